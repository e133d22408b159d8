"""PostgreSQL in the hands of tests does what they rely on."""

import asyncio

import asyncpg
import pytest

from tests.postgres.installation import Failed
from tests.postgres.nodes import Node, Trio
from tests.postgres.processes import is_alive

pytestmark = pytest.mark.usefixtures("postgres")


async def test_database_belongs_to_the_role_that_connects(database: str) -> None:
    """It may make tables in it, without any right beyond that."""
    connection = await asyncpg.connect(database)

    await connection.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (7)")

    assert await connection.fetchval("SELECT n FROM t") == 7
    assert not await connection.fetchval(
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
    )
    await connection.close()


async def test_database_is_new_and_a_copy_of_its_template(primary: Node) -> None:
    """What one test writes is in no other test's database, unless that is made from it."""
    with primary.database() as first:
        primary.query("CREATE TABLE t (n int)", first)
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"

        with primary.database() as empty, primary.database(template=first) as copy:
            assert primary.query(tables, empty) == ["0"]
            assert primary.query(tables, copy) == ["1"]


def test_commit_outlives_kill() -> None:
    """A server that was killed with all its processes starts again, on the same port."""
    with Node.new() as node:
        node.start()
        node.query("CREATE TABLE t (n int); INSERT INTO t VALUES (7)")
        node.kill()
        assert not node.is_ready()

        node.start()

        assert node.query("SELECT n FROM t") == ["7"]


async def test_query_to_a_paused_server_times_out_and_goes_on_after() -> None:
    """Connections stay open, and nothing answers; nor does it take new ones."""
    with Node.new() as node:
        node.start()
        connection = await asyncpg.connect(node.dsn())
        await connection.execute("SET application_name = 'patient'")

        node.pause()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(connection.fetchval("SELECT 1")), 0.2)
        assert node.is_running
        assert not node.is_ready()
        node.resume()

        assert node.is_ready()
        names = node.query("SELECT application_name FROM pg_stat_activity")
        assert "patient" in names
        connection.terminate()


def test_paused_server_can_be_killed() -> None:
    """None of its processes is left."""
    with Node.new() as node:
        node.start()
        pids = node.pids()
        node.pause()

        node.kill()

    assert len(pids) > 1
    assert not [pid for pid in pids if is_alive(pid)]


def test_server_that_does_not_start_shows_its_log() -> None:
    """The error says why, rather than that time has passed."""
    with Node.new() as node:
        node.settings["shared_buffers"] = "many"

        with pytest.raises(Failed, match='invalid value for parameter "shared_buffers": "many"'):
            node.start()


async def test_acknowledged_commit_outlives_the_primary(trio: Trio) -> None:
    """A standby has it, which is promoted; clients find the new primary by the same address."""
    trio.primary.query("CREATE TABLE t (n int); INSERT INTO t VALUES (7)")
    trio.primary.query("GRANT ALL ON t TO q")
    trio.wait_until_replicated()
    assert [standby.query("SELECT n FROM t") for standby in trio.standbys] == [["7"], ["7"]]
    trio.primary.query("INSERT INTO t VALUES (8)")
    killed = trio.primary

    killed.kill()
    trio.fail_over()

    connection = await asyncpg.connect(trio.dsn())
    await connection.execute("INSERT INTO t VALUES (9)")
    rows = await connection.fetch("SELECT n FROM t ORDER BY n")
    assert [row["n"] for row in rows] == [7, 8, 9]
    await connection.close()
    trio.rejoin(killed)
    trio.wait_until_replicated()
    assert killed.query("SELECT count(*) FROM t") == ["3"]


def test_commit_waits_for_a_standby(trio: Trio) -> None:
    """While both are paused, nothing is acknowledged; one of them is enough."""
    trio.primary.query("CREATE TABLE t (n int)")
    first, second = trio.standbys
    first.pause()
    trio.primary.query("INSERT INTO t VALUES (7)")
    second.pause()

    with pytest.raises(Failed):
        trio.primary.query("INSERT INTO t VALUES (8)", timeout_s=0.3)
    first.resume()

    trio.primary.query("INSERT INTO t VALUES (9)")
