"""TLS to the cluster's database: whom q trusts, and what it says of whom it does not."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from qmq.errors import DatabaseAway
from qmq.server.certificates import utc_now
from qmq.server.dev_certificates import make
from tests.postgres.secured import Secured, secured
from tests.postgres.test_connecting import connector

pytestmark = pytest.mark.usefixtures("postgres")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A server that asks for certificates."""
    with secured(tmp_path_factory.mktemp("secured"), asks=True) as server:
        yield server


async def refusal(dsn: str) -> str:
    """Return why a server is not connected to."""
    with pytest.raises(DatabaseAway) as raised:
        await connector(dsn)()
    return raised.value.message


async def test_a_server_is_known_by_its_certificate_and_knows_q_by_its_own(
    server: Secured,
) -> None:
    """All that is said is said by TLS."""
    made = server.made
    dsn = server.dsn(
        sslmode="verify-full",
        sslrootcert=made.cert("ca"),
        sslcert=made.cert("q"),
        sslkey=made.key("q"),
    )

    connection = await connector(dsn)()

    told = await connection.fetchrow(
        "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"
    )
    assert told is not None
    assert tuple(told) == (True, "TLSv1.3")
    connection.terminate()


async def test_whoever_is_another_than_they_should_be_is_not_trusted(
    server: Secured, tmp_path: Path
) -> None:
    """Of another CA, or by another name; and the error says which."""
    made = server.made
    mine = {"sslmode": "verify-full", "sslcert": str(made.cert("q")), "sslkey": str(made.key("q"))}
    other = make(tmp_path, hosts=["localhost"], client="q", holds=timedelta(days=1), now=utc_now())
    trusting = server.dsn(**mine, sslrootcert=str(made.cert("ca")))

    assert "certificate verify failed" in await refusal(
        server.dsn(**mine, sslrootcert=str(other.cert("ca")))
    )
    assert "IP address mismatch" in await refusal(trusting.replace("localhost", "127.0.0.1"))


async def test_q_without_tls_or_certificate_is_told_so(server: Secured) -> None:
    """By the server, in its own words."""
    ca = server.made.cert("ca")

    assert "no encryption" in await refusal(server.dsn(sslmode="disable"))
    assert "requires a valid client certificate" in await refusal(
        server.dsn(sslmode="verify-full", sslrootcert=ca)
    )


async def test_a_file_that_is_not_there_is_named(server: Secured, tmp_path: Path) -> None:
    """That of the CA: without it nobody could be known."""
    told = await refusal(server.dsn(sslmode="verify-full", sslrootcert=tmp_path / "missing.pem"))

    assert "missing.pem" in told
