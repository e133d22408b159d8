"""CLUSTER stores of a database, with their leadership in the test's hand."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

import asyncpg

from qmq.errors import DatabaseAway, Unavailable
from qmq.limits import CACHE_BYTES_MAX, JOURNAL_PENDING_BYTES_MAX
from qmq.model.footprint import Footprint
from qmq.store.postgres.migrating import make_ready
from qmq.store.postgres.store import PostgresStore
from qmq.values import Durability

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.protocol.record import Record


#: Says what the schema is like, with its indexes and constraints; null if there is none.
SCHEMA: Final = """
select md5(string_agg(what, ' ' order by what)) from (
    select format('%s.%s %s %s', attrelid::regclass, attname, atttypid::regtype, attnotnull)
    from pg_attribute join pg_class on pg_class.oid = attrelid
    where relnamespace = to_regnamespace('q')
    union all
    select format('%s %s', conrelid::regclass, pg_get_constraintdef(oid))
    from pg_constraint where connamespace = to_regnamespace('q')
) as all_of_it (what)
"""

#: Leaves of it what is there when it was made.
_EMPTY: Final = """
do $$ begin
    execute (
        select format('truncate %s restart identity', string_agg(format('q.%I', tablename), ', '))
        from pg_tables where schemaname = 'q' and tablename <> 'migration'
    );
    insert into q.journal default values;
    insert into q.leader default values;
end $$
"""


class Leadership:
    """A term that lasts as long as the test says."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.durability_max = Durability.FSYNC
        #: Why nothing may be changed.
        self.refusal: DatabaseAway | None = None
        self.is_certain = True
        #: What `make_certain` raises.
        self.doubt: Unavailable | None = None
        #: How often somebody asked to be certain.
        self.asked = 0

    async def make_certain(self) -> None:
        """Be certain again, or not."""
        self.asked += 1
        await asyncio.sleep(0)
        if self.doubt:
            raise self.doubt
        self.is_certain = True


class Clusters:
    """Opens stores of one database, which end with the test."""

    #: What the schema is like that was made.
    _schema: ClassVar[str | None] = None

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._stores: list[PostgresStore] = []
        self._epoch = 0
        #: What is done beside the stores is done by this connection.
        self._beside: Connection[Record] | None = None
        #: Connections that were opened, oldest first.
        self.connections: list[Connection[Record]] = []
        #: What is raised instead of connecting.
        self.is_away = False
        #: Why stores have ended.
        self.ends: list[Unavailable] = []

    async def connect(self) -> "Connection[Record]":
        """Open a connection, as a store does."""
        if self.is_away:
            raise DatabaseAway("127.0.0.1 is away, says the test")
        connection = await asyncpg.connect(self.dsn)
        self.connections.append(connection)
        return connection

    async def reset(self) -> None:
        """Leave nothing in the database but the schema; it is made anew only if it has to be."""
        connection = await self._connected()
        schema = await connection.fetchval(SCHEMA)
        if schema and schema == Clusters._schema:
            await connection.execute(_EMPTY)
        else:
            await connection.execute("drop schema if exists q cascade")
            await make_ready(connection)
            Clusters._schema = await connection.fetchval(SCHEMA)

    async def lead(self) -> Leadership:
        """Take over, whoever leads."""
        self._epoch += 1
        await self.execute("update q.journal set epoch = $1", self._epoch)
        return Leadership(self._epoch)

    async def open(
        self,
        *,
        cache_bytes_max: int = CACHE_BYTES_MAX,
        pending_bytes_max: int = JOURNAL_PENDING_BYTES_MAX,
        footprint: Footprint | None = None,
        term: Leadership | None = None,
        on_progress: Callable[[int, int], None] = lambda _read, _total: None,
    ) -> PostgresStore:
        """Return the store of a new leader."""
        store = await PostgresStore.open(
            self.connect,
            term or await self.lead(),
            cache_bytes_max=cache_bytes_max,
            pending_bytes_max=pending_bytes_max,
            footprint=footprint,
            on_end=self.ends.append,
            on_progress=on_progress,
        )
        self._stores.append(store)
        return store

    async def execute(self, statement: str, *parameters: object) -> None:
        """Run a statement beside the stores."""
        connection = await self._connected()
        await connection.execute(statement, *parameters)

    async def fetch(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return rows, read beside the stores."""
        connection = await self._connected()
        return [tuple(row) for row in await connection.fetch(statement, *parameters)]

    async def close(self) -> None:
        """Close all stores."""
        self.is_away = False
        for store in self._stores:
            await store.close()
        if self._beside:
            await self._beside.close()

    async def _connected(self) -> "Connection[Record]":
        if self._beside is None or self._beside.is_closed():
            self._beside = await asyncpg.connect(self.dsn)
        return self._beside


@asynccontextmanager
async def emptied(dsn: str) -> AsyncIterator[Clusters]:
    """Remove all that a database holds, and close the stores that were opened on it."""
    clusters = Clusters(dsn)
    await clusters.reset()
    try:
        yield clusters
    finally:
        await clusters.close()
