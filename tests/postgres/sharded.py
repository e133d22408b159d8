"""A q that leads a cluster of several databases, in the hands of a test."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Self

from qmq.clock import SystemClock
from qmq.engine.broker import Broker
from qmq.engine.waiting import SteadyTimer
from qmq.errors import DatabaseAway, Unavailable
from qmq.ids import RandomIds
from qmq.limits import CACHE_BYTES_MAX
from qmq.model.footprint import Footprint
from qmq.server.shards import Opening, TermShards
from qmq.store.local.memory import MemoryStore
from qmq.store.postgres.leadership import LeaderTerm, Pace, Setting
from qmq.store.postgres.shards import enlisted
from qmq.values import Store
from tests.postgres.test_leadership import leading, setting

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.protocol.record import Record

#: Other than in tests of leadership, nothing is to happen here by itself.
PACE = Pace(ttl_s=5.0, renew_s=0.2, poll_s=0.1)


class Line:
    """The way to one database, which can be cut."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._connect = setting(dsn).connect
        self._connections: list[Connection[Record]] = []
        self._is_cut = False
        #: Whether who asks for a connection never gets an answer.
        self.hangs = False

    async def __call__(self) -> "Connection[Record]":
        """Open a connection."""
        if self._is_cut:
            raise DatabaseAway("it is away, says the test")
        if self.hangs:
            await asyncio.Event().wait()
        connection = await self._connect()
        self._connections.append(connection)
        return connection

    def cut(self) -> None:
        """Let nothing through any more."""
        self._is_cut = True
        for connection in self._connections:
            connection.terminate()

    def mend(self) -> None:
        """Let everything through again."""
        self._is_cut = False


class Lines:
    """The databases of a cluster, by their names."""

    def __init__(self, dsns: Mapping[str, str]) -> None:
        self.of = {name: Line(dsn) for name, dsn in dsns.items()}

    def settings(self) -> dict[str, Setting]:
        """Describe a q that has them all."""
        return {
            name: setting(line.dsn, pace=PACE)._replace(connect=line)
            for name, line in self.of.items()
        }


class Leader:
    """A q that leads."""

    def __init__(self, term: LeaderTerm, shards: TermShards, broker: Broker) -> None:
        self.term = term
        self.shards = shards
        self.broker = broker
        #: Which databases answer, as was told last.
        self.there: Mapping[str, bool] = {}

    @classmethod
    async def of(cls, lines: Lines, term: LeaderTerm, ends: list[Unavailable]) -> Self:
        """Read what is there, and serve it."""
        settings = lines.settings()
        first = settings.pop("first")
        registry = await enlisted(first.connect, term, settings)
        opening = Opening(Footprint(), CACHE_BYTES_MAX, ends.append, lambda _read, _of: None)
        store = await opening.store(first, term, shards=len(registry.numbers))
        shards = TermShards(term, store, settings, registry, opening)
        await shards.open()
        broker = Broker(
            {Store.MEMORY: MemoryStore(opening.footprint), Store.CLUSTER: store},
            clock=SystemClock(),
            timer=SteadyTimer(term.clock_offset_ns),
            new_id=RandomIds(),
            held=shards,
            shards=shards.shards,
        )
        broker.start()
        leader = cls(term, shards, broker)
        shards.serve(broker, leader.tell)
        return leader

    def tell(self, there: Mapping[str, bool]) -> None:
        """Note which databases answer."""
        self.there = there

    async def close(self) -> None:
        """Make durable what can be, and let go."""
        await self.shards.stop()
        await self.broker.close()
        await self.shards.release()


@asynccontextmanager
async def sharded(lines: Lines, ends: list[Unavailable] | None = None) -> AsyncIterator[Leader]:
    """Lead, until the end of the block."""
    async with AsyncExitStack() as stack:
        first = lines.settings()["first"]
        term = await stack.enter_async_context(leading(first))
        term.start()
        leader = await Leader.of(lines, term, [] if ends is None else ends)
        stack.push_async_callback(leader.close)
        yield leader
