"""The schema is made once, changed step by step, and never guessed at."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from click.testing import CliRunner

from qmq.bin.q_program import program
from qmq.errors import ConfigError
from qmq.store.postgres.connecting import Connector
from qmq.store.postgres.dsn import Dsn
from qmq.store.postgres.migrating import MIGRATIONS, make_ready, migrate
from qmq.store.sql import Migration
from tests.postgres.installation import query
from tests.postgres.nodes import Node

TWO = (
    Migration(1, "create table q.thing (n int)"),
    Migration(2, "alter table q.thing add column m int"),
)
BROKEN = (*TWO, Migration(3, "create table q.half (n int); select 1 / 0"))


#: The second step waits here until the test lets it go on; the number is nobody else's.
GATE = 4711
SLOW = (TWO[0], Migration(2, f"{TWO[1].script}; select pg_advisory_xact_lock({GATE})"))


@asynccontextmanager
async def gate_shut(dsn: str) -> AsyncIterator[None]:
    """Let nobody through, until the end of the block."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("select pg_advisory_lock($1)", GATE)
        yield
    finally:
        await connection.close()


async def waiting(dsn: str, *, at_gate: bool) -> list[str]:
    """Wait until somebody waits there, or for the turn to migrate; return the sessions."""
    pids = (
        "select pid from pg_locks join pg_database on pg_database.oid = database"
        " where locktype = 'advisory' and not granted and datname = current_database()"
        f" and objid {'=' if at_gate else '<>'} {GATE}"
    )
    async with asyncio.timeout(20):
        while not (found := query(dsn, pids)):  # noqa: ASYNC110 - What it waits for is elsewhere.
            await asyncio.sleep(0.01)
    return found


def connector(dsn: str) -> Connector:
    """Make one for a server of tests, which does not sync."""
    return Connector(Dsn.parse(dsn), takes_unsynced=True)


async def ready(dsn: str, *migrations: Migration) -> None:
    """Do what a q does that starts and needs the schema that these steps lead to."""
    connection = await connector(dsn)()
    try:
        await make_ready(connection, migrations)
    finally:
        await connection.close()


def versions(dsn: str) -> list[str]:
    """Return the steps that were made, in order."""
    return query(dsn, "select version from q.migration order by version")


async def test_first_ones_to_start_make_the_schema_together(database: str) -> None:
    """One of them makes it, and the others wait until it is there."""
    await asyncio.gather(*(ready(database, *MIGRATIONS) for _ in range(5)))

    assert versions(database) == [str(step.version) for step in MIGRATIONS]
    assert query(database, "select epoch, batch from q.journal") == ["0|0"]


async def test_schema_that_is_new_is_made_as_a_whole(database: str) -> None:
    """Whoever looks meanwhile finds nothing of it; one that ends in the midst leaves nothing."""
    async with gate_shut(database):
        maker = asyncio.create_task(ready(database, *SLOW))
        [pid] = await waiting(database, at_gate=True)
        others = [asyncio.create_task(ready(database, *SLOW)) for _ in range(5)]
        await waiting(database, at_gate=False)
        assert query(database, "select to_regnamespace('q') is null") == ["t"]

        query(database, f"select pg_terminate_backend({pid})")
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
            await maker
    await asyncio.gather(*others)

    assert versions(database) == ["1", "2"]


async def test_many_that_start_on_new_databases_find_them_whole(primary: Node) -> None:
    """Each makes sure of all databases of a cluster, in rounds, since it is about moments."""
    for _ in range(3):
        with primary.database() as one, primary.database() as two:
            dsns = (primary.dsn(one), primary.dsn(two))
            await asyncio.gather(*(ready(dsn, *MIGRATIONS) for dsn in dsns * 10))
            for dsn in dsns:
                assert versions(dsn) == [str(step.version) for step in MIGRATIONS]


async def test_several_that_migrate_make_each_step_once(database: str) -> None:
    """Whoever is second has nothing to do."""
    await ready(database, TWO[0])

    made = await asyncio.gather(*(migrate(connector(database), migrations=TWO) for _ in range(5)))

    assert sorted(made) == [[], [], [], [], [TWO[1]]]
    assert versions(database) == ["1", "2"]


async def test_older_schema_is_refused_until_somebody_migrates(database: str) -> None:
    """Old processes may be running on it."""
    await ready(database, TWO[0])

    with pytest.raises(ConfigError, match="has schema version 1, and this q needs 2; run `q mig"):
        await ready(database, *TWO)
    assert await migrate(connector(database), is_trial=True, migrations=TWO) == [TWO[1]]
    assert versions(database) == ["1"]
    assert await migrate(connector(database), migrations=TWO) == [TWO[1]]

    await ready(database, *TWO)


async def test_who_starts_while_somebody_migrates_waits(database: str) -> None:
    """It does not end for want of a step that is being made, nor of the one after that."""
    await ready(database, TWO[0])
    three = (*SLOW, Migration(3, "create table q.more (n int)"))
    async with gate_shut(database):
        migrating = asyncio.create_task(migrate(connector(database), migrations=three))
        await waiting(database, at_gate=True)
        starting = asyncio.create_task(ready(database, *three))
        await waiting(database, at_gate=False)

    assert await migrating == list(three[1:])
    await starting


async def test_newer_schema_is_refused(database: str) -> None:
    """Nobody knows what is different in it."""
    await ready(database, *TWO)

    with pytest.raises(ConfigError, match="version 2, of a newer q; this one knows 1 at most"):
        await ready(database, TWO[0])
    with pytest.raises(ConfigError, match="version 2, of a newer q"):
        await migrate(connector(database), migrations=TWO[:1])


async def test_step_that_fails_leaves_nothing(database: str) -> None:
    """Those before it stay, so that it can be tried again; where it is new, there are none."""
    with pytest.raises(Exception, match="division by zero"):
        await migrate(connector(database), migrations=BROKEN)
    assert query(database, "select to_regnamespace('q') is null") == ["t"]

    await ready(database, TWO[0])
    with pytest.raises(Exception, match="division by zero"):
        await migrate(connector(database), migrations=BROKEN)

    assert versions(database) == ["1", "2"]
    assert query(database, "select to_regclass('q.half') is null") == ["t"]


async def test_schema_of_somebody_else_is_left_alone(database: str) -> None:
    """It is not taken for an empty one."""
    query(database, "create schema q; create table q.theirs (n int)")

    with pytest.raises(ConfigError, match="a schema q that is not q's"):
        await ready(database, *MIGRATIONS)


async def test_role_that_may_make_no_schema_is_told_so(primary: Node) -> None:
    """And what to do about it; with a schema that is there already, it may do without."""
    with primary.database() as name:
        primary.query(f"ALTER DATABASE {name} OWNER TO postgres")
        with pytest.raises(ConfigError, match="make q's role the owner of the database"):
            await ready(primary.dsn(name), *MIGRATIONS)

        primary.query("CREATE SCHEMA q AUTHORIZATION q", name)

        await ready(primary.dsn(name), *MIGRATIONS)


def test_command_says_what_it_does(database: str) -> None:
    """First what it would do, then what it has done, then that there is nothing to do."""
    arguments = ["migrate", f"--postgres={database}"]

    trial = CliRunner().invoke(program, [*arguments, "--dry-run"])
    done = CliRunner().invoke(program, arguments)
    again = CliRunner().invoke(program, arguments)

    assert trial.output.startswith("would make 0001: What a cluster keeps")
    assert done.output.startswith("made 0001: What a cluster keeps")
    assert again.output == f"{database} has schema version {len(MIGRATIONS)}, which this q needs\n"
    assert (trial.exit_code, done.exit_code, again.exit_code) == (0, 0, 0)


def test_command_without_a_database_fails_and_shows_no_password() -> None:
    """It says which server is away."""
    dsn = "postgresql://q:hush@127.0.0.1:1/q"

    away = CliRunner().invoke(program, ["migrate", f"--postgres={dsn}"])
    wrong = CliRunner().invoke(program, ["migrate"], env={"Q_POSTGRES": f"{dsn}?hush=1"})

    assert (away.exit_code, wrong.exit_code) == (1, 2)
    assert "127.0.0.1:1 cannot be reached" in away.output
    assert "hush@" not in away.output + wrong.output
