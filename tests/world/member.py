"""One q of a world's cluster: it follows, is elected, reads what there is, leads, and dies.

It does as `qmq.server.cluster.Cluster` does, with the same parts, but for Envoy and metrics.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from contextvars import Context, copy_context
from random import Random
from typing import TYPE_CHECKING, Any, Final

from qmq.engine.broker import Broker
from qmq.errors import DatabaseAway, NotLeading, Unavailable
from qmq.ids import RandomIds
from qmq.model.footprint import Footprint
from qmq.server.shards import Opening, TermShards
from qmq.store.local.memory import MemoryStore
from qmq.store.postgres.connecting import Connector
from qmq.store.postgres.dsn import FIRST, Dsn
from qmq.store.postgres.leadership import LeaderTerm, Setting, Watch, campaign
from qmq.store.postgres.migrating import make_ready
from qmq.store.postgres.shards import check_first, enlisted, make_further_ready
from qmq.values import NS_PER_S, Store
from tests.world.loop import SimulatedLoop
from tests.world.owning import OWNER
from tests.world.server import SteadyClock, WallClock

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.protocol.record import Record

#: Bytes of envelopes that are kept in memory: nothing, little, all.
_CACHES: Final = (0, 2_000, 1_000_000)


class Lead:
    """A q that leads, for one term: what a network takes for a server."""

    def __init__(
        self, member: "Member", term: LeaderTerm, shards: TermShards, broker: Broker
    ) -> None:
        self.member = member
        self.term = term
        self.shards = shards
        self.broker = broker
        self.wall = member.wall
        self.run = member.run
        #: Done when it does not lead any more, or is no more.
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: What its clock that nobody sets is ahead of the world's time.
        self.ahead_ns = 0
        #: Whether it takes calls.
        self.is_serving = True

    def end(self) -> None:
        """Take note that it leads no more."""
        if not self.ended.done():
            self.ended.set_result(None)


class Member:
    """A q that may be killed, and may stand still."""

    def __init__(  # noqa: PLR0913 - What it is made of, each by name.
        self,
        name: str,
        dsns: Mapping[str, str],
        loop: SimulatedLoop,
        wall: WallClock,
        *,
        chance: Random,
        new_id: RandomIds,
        on_lead: Callable[[Lead], object],
        on_end: Callable[[Lead], object],
    ) -> None:
        """Make one that does nothing yet.

        Args:
            name: what it is called.
            dsns: its databases, by their names.
            loop: where it runs.
            wall: the machine's clock.
            chance: decides what it is set to, and what it does by chance.
            new_id: makes ids.
            on_lead: called when it leads, before anybody is served.
            on_end: called when it does not any more.
        """
        self.name = name
        self.wall = wall
        self._loop = loop
        self._chance = chance
        self._new_id = new_id
        self._on_lead = on_lead
        self._on_end = on_end
        self.context: Context = copy_context()
        self.context.run(OWNER.set, self)
        #: In order, unlike a set.
        self._tasks: dict[asyncio.Task[Any], None] = {}
        #: Whether it stands still, and what is to happen when it does not any more.
        self.is_frozen = False
        self.deferred: list[Callable[[], object]] = []
        #: Seconds for which it has stood still.
        self.frozen_s = 0.0
        self._frozen_at_s = 0.0
        self.lead: Lead | None = None
        self._term: LeaderTerm | None = None
        self._cache_bytes = chance.choice(_CACHES)
        settings = {each: self._setting(each, dsn, frozenset(dsns)) for each, dsn in dsns.items()}
        self._first = settings.pop(FIRST)
        self._further = settings
        self._watch = Watch(self._first)
        self._living: asyncio.Task[None] | None = None

    def _setting(self, name: str, dsn: str, names: frozenset[str]) -> Setting:
        async def make_first_ready(connection: "Connection[Record]") -> None:
            await make_ready(connection)
            await check_first(connection, names)

        return Setting(
            connect=Connector(Dsn.parse(dsn), takes_unsynced=True),
            address=f"{self.name}:10002",
            clock=self.wall,
            passed_ns=lambda: round(self._loop.time() * NS_PER_S),
            random=self._chance,
            make_ready=make_first_ready if name == FIRST else make_ready,
        )

    def start(self) -> None:
        """Begin to follow."""
        self._living = self.run(self._live())

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do something that ends with it."""
        return self._loop.create_task(work, context=self.context.copy())

    def owns(self, task: asyncio.Task[Any]) -> None:
        """Have a task end with it."""
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    def freeze(self) -> None:
        """Stand still."""
        self.is_frozen, self._frozen_at_s = True, self._loop.time()

    def thaw(self) -> None:
        """Go on, as if no time had passed."""
        if self.is_frozen:
            self.is_frozen = False
            self.frozen_s += self._loop.time() - self._frozen_at_s
            deferred, self.deferred = self.deferred, []
            for act in deferred:
                act()

    def kill(self) -> None:
        """End at once; nothing that it has sent last needs to arrive."""
        self.thaw()
        for task in list(self._tasks):
            task.cancel()
        self._drop()

    def failure(self) -> BaseException | None:
        """Return why it has ended by itself, as a process that fails does; None if it has not."""
        living = self._living
        return living.exception() if living and living.done() and not living.cancelled() else None

    async def stop(self) -> None:
        """End as it does when it is told to: what is under way is durable, and another leads."""
        if self._living:
            self._living.cancel()
            await asyncio.gather(self._living, return_exceptions=True)
        if lead := self.lead:
            lead.is_serving = False
            lead.broker.stop_waiting()
            await self._close(lead.broker, lead.shards)
        if self._term:
            await self._term.release()
        await self._watch.close()
        self._drop()

    def _drop(self) -> None:
        lead, self.lead = self.lead, None
        if lead:
            lead.end()
            self._on_end(lead)

    async def _live(self) -> None:
        for name, setting in self._further.items():
            with suppress(DatabaseAway):
                await make_further_ready(name, setting)
        while True:
            sight = await self._watch.next()
            if not sight.is_vacant:
                continue
            try:
                term = self._term = await campaign(self._first, sight)
            except Unavailable:
                continue
            term.start()
            with suppress(Unavailable):
                await self._serve(term)
            self._term = None
            await term.release()

    async def _serve(self, term: LeaderTerm) -> None:
        """Read everything, and serve until the term has ended.

        Raises:
            Unavailable: it has; this says why.
        """
        ended: asyncio.Future[Unavailable] = self._loop.create_future()

        def end(error: Unavailable) -> None:
            if not ended.done():
                ended.set_result(error)

        term.ended.add_done_callback(lambda done: end(done.result()))
        opening = Opening(Footprint(), self._cache_bytes, end, lambda _read, _of: None)
        registry = await enlisted(self._first.connect, term, self._further)
        first = await opening.store(self._first, term, shards=len(registry.numbers))
        shards = TermShards(term, first, self._further, registry, opening)
        await shards.open()
        steady = SteadyClock(self._loop, self.wall, term.clock_offset_ns)
        broker = Broker(
            {Store.MEMORY: MemoryStore(opening.footprint), Store.CLUSTER: first},
            clock=self.wall,
            timer=steady,
            new_id=self._new_id,
            chance=self._chance.random,
            held=shards,
            footprint=opening.footprint,
            shards=shards.shards,
        )
        if ended.done():
            await self._close(broker, shards)
            raise ended.result()
        broker.start()
        lead = self.lead = Lead(self, term, shards, broker)
        lead.ahead_ns = steady.ahead_ns
        self._on_lead(lead)
        shards.serve(broker, lambda _: None)
        error = await asyncio.shield(ended)
        lead.is_serving = False
        broker.stop_waiting(lambda: NotLeading(error.message))
        await self._close(broker, shards)
        self._drop()
        raise error

    async def _close(self, broker: Broker, shards: TermShards) -> None:
        await shards.stop()
        await broker.close()
        await shards.release()
