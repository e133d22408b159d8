"""The schema of a cluster's database: made, looked at, and brought up to date.

It is made by the first q that finds none. After that it changes only when somebody says so
(`q migrate`), since q of the old version may still run on it.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import asyncpg

from qmq.errors import ConfigError
from qmq.store.postgres.connecting import close
from qmq.store.postgres.term import Connect
from qmq.store.sql import Migration, load_migrations

if TYPE_CHECKING:
    from asyncpg.protocol.record import Record

    _Connection = asyncpg.Connection[Record]
else:
    _Connection = asyncpg.Connection

#: The steps that this q knows, up to the version that it needs.
MIGRATIONS: Final = tuple(load_migrations("qmq.store.postgres"))

#: Who migrates holds this lock of the database's; the number means nothing.
_LOCK: Final = 0x71_6D_69_67

#: Tables are locked for the time of a step; somebody who works on one lets go of it between
#: commits, or is what the error tells of.
_TRIES: Final = 5
_PAUSE_S: Final = 1.0

_BEGIN: Final = """
set local lock_timeout = '60s';
select pg_advisory_xact_lock({lock});
set local lock_timeout = '2s';
"""

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
    if version == 0:
        await _apply(connection, migrations)
    elif version < len(migrations):
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
        DatabaseAway: the database does not answer.
    """
    connection = await connect()
    try:
        if is_trial:
            return list(migrations[await _version(connection, migrations) :])
        return await _apply(connection, migrations)
    finally:
        await close(connection)


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


async def _apply(connection: _Connection, migrations: Sequence[Migration]) -> list[Migration]:
    """Make the steps that are missing, each when its turn has come."""
    made = []
    try:
        while step := await _apply_next(connection, migrations):
            made.append(step)
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigError(
            f"q may not make or change the schema q of the cluster's database ({error.message});"
            " make q's role the owner of the database"
        ) from error
    return made


async def _apply_next(connection: _Connection, migrations: Sequence[Migration]) -> Migration | None:
    """Make the next step, and try again where a table is in use; None if none is missing."""
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
    return None


async def _try_next(connection: _Connection, migrations: Sequence[Migration]) -> Migration | None:
    async with connection.transaction():
        await connection.execute(_BEGIN.format(lock=_LOCK))
        # Somebody else may have made it while this one waited for its turn.
        version = await _version(connection, migrations)
        if version == len(migrations):
            return None
        if version == 0:
            if not await connection.fetchval("select to_regnamespace('q') is not null"):
                await connection.execute("create schema q")
            await connection.execute(_FIRST)
        step = migrations[version]
        await connection.execute(step.script)
        await connection.execute("insert into q.migration (version) values ($1)", step.version)
        return step
