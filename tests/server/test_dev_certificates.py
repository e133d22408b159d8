"""Certificates to try TLS with."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from qmq.bin.q_program import program
from qmq.errors import ConfigError
from qmq.server.certificates import hosts, load_ca, load_pair, subject
from qmq.server.dev_certificates import make

NOW = datetime(2026, 11, 30, tzinfo=UTC)
MONTH = timedelta(days=30)


def test_a_ca_signs_for_q_and_for_a_client(tmp_path: Path) -> None:
    """With names, and keys that nobody else can read."""
    made = make(tmp_path / "new", hosts=["q.example", "::1"], client="ann", holds=MONTH, now=NOW)

    options = ("--tls-cert", "--tls-key")
    server = load_pair(made.cert("server"), made.key("server"), options=options, now=NOW).cert
    client = load_pair(made.cert("ann"), made.key("ann"), options=options, now=NOW).cert
    (ca,) = load_ca(made.cert("ca"), option="--tls-client-ca", now=NOW)
    assert made.is_new_ca
    assert hosts(server) == ["q.example", "::1"]
    assert subject(client) == "CN=ann"
    assert server.not_valid_after_utc == NOW + MONTH
    for each in (server, client):
        each.verify_directly_issued_by(ca)
    for name in ("ca", "server", "ann"):
        assert stat.S_IMODE(made.key(name).stat().st_mode) == 0o600


def test_a_ca_that_is_there_signs_again(tmp_path: Path) -> None:
    """So what trusts it goes on, and clients are added."""
    first = make(tmp_path, hosts=["q"], client="ann", holds=MONTH, now=NOW)
    ca, server, ann = (first.cert(name).read_bytes() for name in ("ca", "server", "ann"))

    second = make(tmp_path, hosts=["q"], client="bob", holds=MONTH, now=NOW)

    assert not second.is_new_ca
    assert second.cert("ca").read_bytes() == ca
    assert second.cert("server").read_bytes() != server
    assert second.cert("ann").read_bytes() == ann
    assert second.cert("bob").exists()


def test_a_ca_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """Whatever is in the directory is not overwritten."""
    (tmp_path / "ca.pem").write_text("theirs")
    (tmp_path / "ca-key.pem").write_text("theirs")

    with pytest.raises(ConfigError, match="are no CA"):
        make(tmp_path, hosts=["q"], client="ann", holds=MONTH, now=NOW)

    assert (tmp_path / "ca.pem").read_text() == "theirs"
    assert not (tmp_path / "server.pem").exists()


def test_the_command_says_what_to_run_next(tmp_path: Path) -> None:
    """Lines to paste, also where a directory has a space in its name."""
    directory = tmp_path / "my certs"

    done = CliRunner().invoke(program, ["certs", "dev", str(directory), "--host", "q.example"])

    assert done.exit_code == 0
    assert (
        f"--tls-cert '{directory}/server.pem' --tls-key '{directory}/server-key.pem'" in done.output
    )
    assert "for localhost, 127.0.0.1, ::1, q.example, and of client, for 90 days" in done.output


@pytest.mark.parametrize("name", ["", "ca", "server", "../ann", ".ann"])
def test_a_client_that_would_overwrite_something_is_refused(tmp_path: Path, name: str) -> None:
    """Its name is that of its files."""
    done = CliRunner().invoke(program, ["certs", "dev", str(tmp_path), "--client", name])

    assert done.exit_code == 2
    assert "is no name for files" in done.output
    assert list(tmp_path.iterdir()) == []


def test_what_is_out_of_its_time_is_refused(tmp_path: Path) -> None:
    """Too late, or too early for a clock that is wrong."""
    made = make(tmp_path, hosts=["q"], client="ann", holds=MONTH, now=NOW)
    options = ("--tls-cert", "--tls-key")

    for now, told in ((NOW + MONTH, "has expired on"), (NOW - MONTH, "holds only from")):
        with pytest.raises(ConfigError, match=told):
            load_pair(made.cert("server"), made.key("server"), options=options, now=now)
