"""The schema of a cluster's database: made, looked at, and brought up to date.

It is made by the first q that finds none. After that it changes only when somebody says so
(`q migrate`), since q of the old version may still run on it.

Who changes it has a lock from before the first step until after the last one. Who finds a schema
of an older version waits for that lock before it says so: somebody may be about to change it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import asyncpg

from qmq.errors import ConfigError
from qmq.store.postgres.connecting import close
from qmq.store.postgres.leadership import ask
from qmq.store.postgres.term import Connect
from qmq.store.sql import Migration, load_migrations

if TYPE_CHECKING:
    from asyncpg.protocol.record import Record

    _Connection = asyncpg.Connection[Record]
else:
    _Connection = asyncpg.Connection

#: The steps that this q knows, up to the version that it needs.
MIGRATIONS: Final = tuple(load_migrations("qmq.store.postgres"))

#: Who migrates holds this lock of the database's; the number means nothing. It is the session's, so
#: that it outlives the transactions of single steps, and ends with the session at the latest.
_LOCK: Final = 0x71_6D_69_67

#: Tables are locked for the time of a step; somebody who works on one lets go of it between
#: commits, or is what the error tells of.
_TRIES: Final = 5
_TABLES_S: Final = 2
_PAUSE_S: Final = 1.0

#: Seconds for which somebody who has the lock is waited for.
_TURN_S: Final = 60

_FIRST: Final = """
create table q.migration (
    version integer primary key,
    applied_at timestamptz not null default clock_timestamp()
);
"""


async def make_ready(connection: _Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Make the schema in a database that has none, and refuse one of another version.

    Args:
        connection: to the primary.
        migrations: the steps that lead to what is needed.

    Raises:
        ConfigError: it is of another version, or somebody else's, or may not be made.
        asyncpg.PostgresError: the database fails.
    """
    version = await _version(connection, migrations)
    if version == len(migrations):
        return
    async with _turn(connection):
        # Somebody may have made it while this one waited for its turn.
        version = await _version(connection, migrations)
        if version == 0:
            await _apply(connection, migrations)
            return
    if version < len(migrations):
        raise ConfigError(
            f"the cluster's database has schema version {version}, and this q needs"
            f" {len(migrations)}; run `q migrate`, at any time, then start this q again"
        )


async def migrate(
    connect: Connect, *, is_trial: bool = False, migrations: Sequence[Migration] = MIGRATIONS
) -> list[Migration]:
    """Bring the schema up to date, step by step; each is made as a whole or not at all.

    Args:
        connect: opens a connection to the primary.
        is_trial: change nothing.
        migrations: the steps that lead to what is needed.

    Returns:
        the steps that were made, or with `is_trial` would have been.

    Raises:
        ConfigError: the schema is newer than this q, somebody else's, or may not be changed.
        DatabaseAway: the database does not answer, or refuses a step.
    """
    connection = await connect()
    try:
        if is_trial:
            version: int = await ask(connection, _version(connection, migrations))
            return list(migrations[version:])
        made: list[Migration] = await ask(
            connection, _migrated(connection, migrations), seconds=None
        )
        return made
    finally:
        await close(connection)


async def _migrated(connection: _Connection, migrations: Sequence[Migration]) -> list[Migration]:
    async with _turn(connection):
        return await _apply(connection, migrations)


async def _version(connection: _Connection, migrations: Sequence[Migration]) -> int:
    """Read how many steps were made; 0 if there is no schema."""
    # In this order: whoever makes the schema meanwhile is not taken for a stranger.
    has_tables = await connection.fetchval(
        "select exists (select from pg_class where relnamespace = to_regnamespace('q'))"
    )
    if not await connection.fetchval("select to_regclass('q.migration') is not null"):
        if has_tables:
            raise ConfigError(
                "the database has a schema q that is not q's; give q a database of its own"
            )
        return 0
    version: int = await connection.fetchval("select coalesce(max(version), 0) from q.migration")
    if version > len(migrations):
        raise ConfigError(
            f"the cluster's database has schema version {version}, of a newer q; this one knows"
            f" {len(migrations)} at most"
        )
    return version


@asynccontextmanager
async def _turn(connection: _Connection) -> AsyncIterator[None]:
    """Be the only one who changes the schema, until the end of the block.

    Raises:
        ConfigError: somebody else does for longer than anybody waits.
    """
    try:
        async with connection.transaction():
            await connection.execute(f"set local lock_timeout = '{_TURN_S}s'")
            await connection.execute("select pg_advisory_lock($1)", _LOCK)
    except asyncpg.LockNotAvailableError as error:
        raise ConfigError(
            f"somebody else has been changing the schema for {_TURN_S} seconds; see pg_locks for"
            " who has the advisory lock, and run `q migrate` again"
        ) from error
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("select pg_advisory_unlock($1)", _LOCK)


async def _apply(connection: _Connection, migrations: Sequence[Migration]) -> list[Migration]:
    """Make the steps that are missing; all at once where there are none, or else one by one."""
    made: list[Migration] = []
    try:
        while steps := await _apply_next(connection, migrations):
            made += steps
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigError(
            f"q may not make or change the schema q of the cluster's database ({error.message});"
            " make q's role the owner of the database"
        ) from error
    return made


async def _apply_next(
    connection: _Connection, migrations: Sequence[Migration]
) -> Sequence[Migration]:
    """Make what comes next, and try again where a table is in use; none if none is missing."""
    for tries_left in reversed(range(_TRIES)):
        try:
            return await _try_next(connection, migrations)
        except asyncpg.LockNotAvailableError as error:
            if not tries_left:
                raise ConfigError(
                    "the schema cannot be changed, for somebody works on its tables for long;"
                    " see pg_stat_activity for who, and run `q migrate` again"
                ) from error
        await asyncio.sleep(_PAUSE_S)
    return ()


async def _try_next(
    connection: _Connection, migrations: Sequence[Migration]
) -> Sequence[Migration]:
    version = await _version(connection, migrations)
    # A schema that is new is made as a whole: nobody ever finds half of it, whoever ends meanwhile.
    steps = migrations[version : version + 1] if version else migrations
    async with connection.transaction():
        await connection.execute(f"set local lock_timeout = '{_TABLES_S}s'")
        if version == 0:
            if not await connection.fetchval("select to_regnamespace('q') is not null"):
                await connection.execute("create schema q")
            await connection.execute(_FIRST)
        for step in steps:
            await connection.execute(step.script)
            await connection.execute("insert into q.migration (version) values ($1)", step.version)
    return steps
