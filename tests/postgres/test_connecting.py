"""The primary is found among its hosts, and nothing that cannot be trusted is taken for one."""

import asyncio
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import asyncpg
import pytest

from qmq.errors import DatabaseAway
from qmq.store.postgres.connecting import Connector, asked, close
from qmq.store.postgres.dsn import Dsn
from tests.postgres.nodes import Node, Trio

pytestmark = pytest.mark.usefixtures("postgres")


def connector(dsn: str, *, takes_unsynced: bool = True, timeout_s: float = 2.0) -> Connector:
    """Make one for servers of tests, which do not sync."""
    return Connector(Dsn.parse(dsn), takes_unsynced=takes_unsynced, timeout_s=timeout_s)


@contextmanager
def silent_host() -> Iterator[str]:
    """Yield an address that takes connections, and where nobody ever says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield "{}:{}".format(*server.getsockname())


async def setting(connection: "asyncpg.Connection[asyncpg.Record]", name: str) -> str:
    """Tell how a session is set."""
    value = await connection.fetchval("select current_setting($1)", name)
    assert isinstance(value, str)
    return value


async def test_session_waits_for_syncs_and_never_for_ever(primary: Node) -> None:
    """Whatever a role has, since a forgotten setting would lose messages or hold up everybody."""
    with primary.database() as name:
        primary.query(
            f"ALTER DATABASE {name} SET synchronous_commit = off;"
            f"ALTER DATABASE {name} SET statement_timeout = '1s';"
            f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"
        )
        connection = await connector(primary.dsn(name))()

        assert await setting(connection, "synchronous_commit") == "on"
        assert await setting(connection, "statement_timeout") == "0"
        assert await setting(connection, "transaction_isolation") == "read committed"
        assert await setting(connection, "application_name") == "q"
        assert await setting(connection, "tcp_user_timeout") == "10000"
        await close(connection)
        assert connection.is_closed()


async def test_host_that_is_silent_or_gone_holds_nobody_up(primary: Node) -> None:
    """The first that takes writes is it, wherever it stands in the list."""
    with silent_host() as silent:
        started_s = time.monotonic()
        connection = await connector(
            f"postgresql://q@{silent},127.0.0.1:1,{primary.host}/postgres"
        )()

        assert time.monotonic() - started_s < 1.5
        assert await connection.fetchval("select 1") == 1
        connection.terminate()


async def test_error_names_each_host_and_no_password(primary: Node) -> None:
    """So that who reads it knows which server to look after."""
    with silent_host() as silent:
        hosts = f"{silent},127.0.0.1:1,nowhere.invalid,{primary.host}"
        with pytest.raises(DatabaseAway) as raised:
            await connector(f"postgresql://q:hush@{hosts}/hole", timeout_s=0.5)()

    message = raised.value.message
    assert f"{silent} has not answered within 0.5 seconds" in message
    assert "127.0.0.1:1 cannot be reached: " in message
    assert "nowhere.invalid:5432 " in message
    assert f'{primary.host} says: database "hole" does not exist' in message
    assert "hush" not in message


async def test_server_that_may_lose_commits_is_refused(primary: Node) -> None:
    """What was acknowledged would be lost by a power failure."""
    with pytest.raises(DatabaseAway, match="has fsync off, so that a power failure"):
        await connector(primary.dsn(), takes_unsynced=False)()


async def test_server_that_is_read_only_is_refused(primary: Node) -> None:
    """Not only a standby is."""
    with primary.database() as name:
        primary.query(f"ALTER DATABASE {name} SET default_transaction_read_only = on")

        with pytest.raises(DatabaseAway, match="default_transaction_read_only is on"):
            await connector(primary.dsn(name))()


async def without_settings(
    client: asyncio.StreamReader, to_client: asyncio.StreamWriter, node: Node
) -> None:
    """Pass on all but what a session is to be set to, as a pooler does that shares sessions."""
    database, to_database = await asyncio.open_connection("127.0.0.1", node.port)
    size = int.from_bytes(await client.readexactly(4))
    head = (await client.readexactly(size - 4)).split(b"\0database\0")[0]
    name = head[4:].split(b"\0")
    user, of = name[name.index(b"user") + 1], b"postgres"
    body = b"\0\3\0\0" + b"user\0%b\0database\0%b\0\0" % (user, of)
    to_database.write((len(body) + 4).to_bytes(4) + body)

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    # Who connected may have gone before all of it has come.
    with closing(to_database), closing(to_client):
        await asyncio.gather(pass_on(client, to_database), pass_on(database, to_client))


async def test_pooler_that_takes_no_settings_is_refused(primary: Node) -> None:
    """Nothing that q relies on would hold: no bound for locks, perhaps no wait for a sync."""

    async def take(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        await without_settings(client, to_client, primary)

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(DatabaseAway, match="not take a session's settings; is there a pooler"):
            await connector(f"postgresql://q@127.0.0.1:{port}/postgres?sslmode=disable")()


async def test_database_that_cannot_keep_all_texts_is_refused(primary: Node) -> None:
    """The first one that it cannot keep would end a leadership, and that of the next leader."""
    primary.query("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")

    with pytest.raises(DatabaseAway, match="has the encoding LATIN1, which cannot keep all texts"):
        await connector(primary.dsn("latin"))()


async def test_what_is_no_postgresql_is_refused() -> None:
    """Whatever it says, q goes on to look for one."""

    async def talk(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        await client.read(65536)
        to_client.write(b"Z\0\0\0\5I" * 3)
        to_client.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(DatabaseAway, match="cannot be used"):
            await connector(f"postgresql://q@127.0.0.1:{port}/q?sslmode=disable")()


async def test_password_file_is_read_for_each_connection(postgres: None, tmp_path: Path) -> None:
    """So a password is replaced while q runs."""
    del postgres
    file = tmp_path / "pgpass"
    file.touch(mode=0o600)
    with Node.new("with_passwords") as node:
        rules = "host all postgres 127.0.0.1/32 trust\nhost all q 127.0.0.1/32 scram-sha-256\n"
        (node.data / "pg_hba.conf").write_text(rules)
        node.start()
        connect = connector(f"{node.dsn()}?passfile={file}")
        for password in ("old", "new"):
            node.query(f"ALTER ROLE q PASSWORD '{password}'")
            with pytest.raises(DatabaseAway, match="password"):
                await connect()

            file.write_text(f"*:*:*:q:{password}\n")

            await close(await connect())


async def test_question_without_an_answer_ends_with_its_connection(primary: Node) -> None:
    """In time, and so that nobody takes the connection for one that can be used."""
    connection = await connector(primary.dsn())()

    with pytest.raises(DatabaseAway, match=r"has not answered within 0\.1 seconds"):
        await asked(connection, connection.execute("select pg_sleep(10)"), 0.1)

    assert connection.is_closed()


async def test_session_that_was_ended_is_the_database_away(primary: Node) -> None:
    """As it is when the server is shut down; what is wrong with a statement is told as it is."""
    connection = await connector(primary.dsn())()
    with pytest.raises(asyncpg.UndefinedTableError):
        await asked(connection, connection.execute("select from nothing"), 2)
    pid = connection.get_server_pid()

    primary.query(f"SELECT pg_terminate_backend({pid})")

    with pytest.raises(DatabaseAway):
        await asked(connection, connection.fetchval("select 1"), 2)
    assert connection.is_closed()


async def test_driver_that_has_lost_its_way_is_the_database_away(primary: Node) -> None:
    """A connection that cannot be asked any more is given up, as one that was lost."""
    connection = await connector(primary.dsn())()

    async def ask() -> None:
        raise asyncpg.InternalClientError("another operation is in progress")

    with pytest.raises(DatabaseAway, match="another operation is in progress"):
        await asked(connection, ask(), 2)
    assert connection.is_closed()


async def hosts_of(trio: Trio, hosts: Sequence[Node]) -> Connector:
    """Return a connector that has seen the present primary, and knows these hosts."""
    found = connector(f"postgresql://q@{','.join(node.host for node in hosts)}/postgres")
    connection = await found()
    assert connection.get_server_pid() in trio.primary.pids()
    connection.terminate()
    return found


async def test_primary_is_found_wherever_it_is(trio: Trio) -> None:
    """While the old one is paused, the new one is found; nobody goes back to the old one after."""
    first = trio.primary
    connect = await hosts_of(trio, trio.nodes)
    first.pause()
    trio.fail_over()
    connection = await connect()
    assert connection.get_server_pid() in trio.primary.pids()
    connection.terminate()

    first.resume()
    for node in trio.nodes:
        if node is not first:
            node.pause()

    with pytest.raises(DatabaseAway, match="is at timeline 1, and another server was promoted"):
        await connect()


async def test_commit_that_was_told_not_to_wait_for_standbys_is_no_answer(trio: Trio) -> None:
    """The server reports success for it, with a warning."""
    connection = await (await hosts_of(trio, trio.nodes))()
    for standby in trio.standbys:
        standby.pause()
    pid = connection.get_server_pid()
    waits = f"SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = {pid}"

    closed = []

    async def commit() -> None:
        await connection.execute("create temporary table t ()")
        closed.append(connection.is_closed())

    made = asyncio.create_task(asked(connection, commit(), 20))
    await asyncio.to_thread(
        trio.primary.wait_until, lambda: trio.primary.query(waits) == ["t"], "wait for standbys"
    )
    trio.primary.query(f"SELECT pg_cancel_backend({pid})")

    with pytest.raises(DatabaseAway, match="committed without its standbys"):
        await made
    assert closed == [True]
