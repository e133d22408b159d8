"""The databases of a cluster in one term, whether they could be read or are away.

Each commits for itself, so that one that is slow or away holds up only its own queues. A database
that could not be read when this q took over is read when it is there again.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Final, NamedTuple

import asyncpg

from qmq.engine.broker import Broker
from qmq.engine.shards import FIRST, Shards
from qmq.errors import DatabaseAway, QError, Unavailable
from qmq.model.footprint import Footprint
from qmq.model.queue import Queue
from qmq.observe.cluster import Database
from qmq.store.postgres.figures import ClusterFigures
from qmq.store.postgres.leadership import LeaderTerm, Setting
from qmq.store.postgres.shards import Registry, ShardTerm
from qmq.store.postgres.store import PostgresStore
from qmq.store.postgres.trouble import is_passing
from qmq.values import Store

#: Seconds between two looks at which databases answer, and between two tries to read one that does
#: not.
_LOOK_AGAIN_S: Final = 0.5
_TRY_AGAIN_S: Final = 1.0

#: Seconds that a q that takes over waits for a database to take note of it, before it serves what
#: the others have: one that is stopped lets it in, and says nothing more.
_BEGIN_S: Final = 2.0

#: Under these names health tells whether a shard's database answers.
SHARD_SERVICE: Final = "qmq.shard."

_log = logging.getLogger(__name__)


class Opening(NamedTuple):
    """What stores of a term are made of."""

    footprint: Footprint
    cache_bytes_max: int
    #: Called when one of them will take nothing any more.
    on_end: Callable[[Unavailable], None]
    on_progress: Callable[[int, int], None]

    async def store(
        self, setting: Setting, term: LeaderTerm | ShardTerm, *, shards: int
    ) -> PostgresStore:
        """Read what a database holds, of so many.

        Raises:
            DatabaseAway: it does not answer.
        """
        try:
            return await PostgresStore.open(
                setting.connect,
                term,
                cache_bytes_max=self.cache_bytes_max // shards,
                footprint=self.footprint,
                on_end=self.on_end,
                on_progress=self.on_progress,
                random=setting.random,
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            if is_passing(error):
                raise DatabaseAway(f"the cluster's database was lost: {error}") from error
            raise


class Overseen(NamedTuple):
    """What people are told of one of the databases."""

    number: int
    name: str
    #: None of one that could not be read yet.
    figures: ClusterFigures | None
    term: LeaderTerm | ShardTerm | None
    is_there: bool
    #: Why its queues cannot be served or changed; empty if they can.
    refusal: str


class TermShards:
    """All databases of a cluster, from when this q has been elected until its term ends."""

    def __init__(
        self,
        term: LeaderTerm,
        first: PostgresStore,
        settings: Mapping[str, Setting],
        registry: Registry,
        opening: Opening,
    ) -> None:
        """Begin with the first one.

        Args:
            term: the leadership.
            first: what the first one holds.
            settings: how the others are reached, by their names.
            registry: their numbers.
            opening: what their stores are made of.
        """
        self._first_term = term
        self._settings = settings
        self._registry = registry
        self._opening = opening
        names = {number: name for name, number in registry.numbers.items()}
        #: For the broker: which there are.
        self.shards = Shards(names)
        self.shards.stores[FIRST] = first
        self._stores: dict[int, PostgresStore] = {FIRST: first}
        self._terms: dict[int, LeaderTerm | ShardTerm] = {FIRST: term}
        self._tasks: list[asyncio.Task[None]] = []
        for name in settings.keys() & registry.removed:
            settings[name].on_notice("it was removed; take it from --postgres")

    async def open(self) -> None:
        """Read all that are there; why one cannot be read is in `Shards.missing`."""
        numbers = [number for number in self.shards.names if number != FIRST]
        await asyncio.gather(*map(self._open, numbers))

    @property
    def queues(self) -> list[Queue]:
        """The queues of all that were read, in order of creation."""
        found = chain.from_iterable(store.queues for store in self._stores.values())
        return sorted(found, key=lambda queue: queue.number)

    @property
    def redrives(self) -> Iterable[tuple[str, str]]:
        """Their redrives."""
        return chain.from_iterable(store.redrives for store in self._stores.values())

    @property
    def schedules(self) -> Iterable[tuple[str, str]]:
        """Their schedules."""
        return chain.from_iterable(store.schedules for store in self._stores.values())

    @property
    def last_queue_number(self) -> int:
        """The highest number that a queue ever had."""
        return max(store.last_queue_number for store in self._stores.values())

    def trouble(self) -> tuple[float, str]:
        """What keeps all of them from serving.

        Returns:
            for how many seconds none has answered, and why changes are refused; 0 and "" if one
            of them serves.
        """
        away_s = [store.figures().away_s for store in self._stores.values()]
        refusals = [term.refusal for term in self._terms.values()]
        if any(not away and not why for away, why in zip(away_s, refusals, strict=True)):
            return 0.0, ""
        return min(away_s), next((why.message for why in refusals if why), "")

    def databases(self) -> Mapping[str, Database | None]:
        """How each does at this moment; None of those that could not be read yet."""
        return {
            name: Database(
                self._stores[number].figures(), self._terms[number], self._is_there(number)
            )
            if number in self._stores
            else None
            for number, name in self.shards.names.items()
        }

    def overseen(self) -> Iterator[Overseen]:
        """Yield how each does at this moment, the first one first."""
        for number, name in sorted(self.shards.names.items()):
            store, term = self._stores.get(number), self._terms.get(number)
            if store is None or term is None:
                error = self.shards.missing.get(number)
                why = error.message if error else f"shard {name} was not read yet"
                yield Overseen(number, name, None, None, is_there=False, refusal=why)
                continue
            figures = store.figures()
            is_there = not (figures.away_s or term.is_silent)
            why = term.refusal.message if term.refusal else ""
            if not is_there:
                why = why or f"database {name} does not answer ({figures.away_reason or 'silent'})"
            yield Overseen(number, name, figures, term, is_there, why)

    def serve(self, broker: Broker, tell: Callable[[Mapping[str, bool]], None]) -> None:
        """Look after all of them from now on.

        Args:
            broker: serves their queues.
            tell: called with which of them answer, by their names, again and again.
        """
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._look_for_ever(broker, tell)),
            *(loop.create_task(self._try_again(broker, each)) for each in self.shards.missing),
        ]

    async def stop(self) -> None:
        """Look after them no more, before the stores are closed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def release(self) -> None:
        """Let go of all but the first, when the stores are closed."""
        further = [term for term in self._terms.values() if isinstance(term, ShardTerm)]
        await asyncio.gather(*(term.release() for term in further))

    async def _open(self, number: int) -> None:
        """Read one, or note why that cannot be."""
        name = self.shards.names[number]
        term: ShardTerm | None = None
        try:
            setting = self._settings[name]
            term = await self._begun(name, setting)
            self._stores[number] = await self._read(setting, term)
            self._terms[number] = term
        except Exception as error:  # noqa: BLE001 - Whatever it is, the others are to be served.
            reason = error.message if isinstance(error, QError) else repr(error)
            away = DatabaseAway(
                f"shard {name} of the cluster could not be read since this q took over"
                f" ({reason}); q tries again by itself",
                effect="none",
            )
            if number not in self.shards.missing:
                _log.warning("cluster", extra={"error": away.message})
            self.shards.missing[number] = away
        else:
            self.shards.missing.pop(number, None)
            self.shards.stores[number] = self._stores[number]
        finally:
            if term and number not in self._terms:
                await term.release()

    async def _begun(self, name: str, setting: Setting) -> ShardTerm:
        """Have one take the commits of this leader.

        Raises:
            QError: it does not, or not in time.
        """
        try:
            async with asyncio.timeout(_BEGIN_S):
                return await ShardTerm.begin(name, setting, self._first_term, self._registry)
        except TimeoutError:
            raise DatabaseAway(f"it has not answered within {_BEGIN_S:g} seconds") from None

    async def _read(self, setting: Setting, term: ShardTerm) -> PostgresStore:
        """Read what one holds, for as long as it answers others.

        Raises:
            DatabaseAway: it does not.
        """
        opened = self._opening.store(setting, term, shards=len(self.shards.names))
        reading = asyncio.ensure_future(opened)
        try:
            while not reading.done():
                await asyncio.wait((reading,), timeout=_LOOK_AGAIN_S)
                if term.is_silent and not reading.done():
                    raise DatabaseAway("it has stopped to answer while it was read")
            return reading.result()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _try_again(self, broker: Broker, number: int) -> None:
        """Read one that was away when this q took over, as soon as that can be."""
        while number in self.shards.missing:
            await asyncio.sleep(_TRY_AGAIN_S)
            await self._open(number)
            # From here on in one turn: nobody is told that a queue of it is not there.
        store = self._stores[number]
        broker.replace(Store.CLUSTER, store, shard=number)
        _log.info(
            "shard read", extra={"shard": self.shards.names[number], "queues": len(store.queues)}
        )

    def _is_there(self, number: int) -> bool:
        """Whether one that was read answers, as far as is known."""
        if self._stores[number].figures().away_s:
            return False
        # While nobody changes anything there, only those who look at it find out.
        return not (self.shards.are_several and self._terms[number].is_silent)

    async def _look_for_ever(
        self, broker: Broker, tell: Callable[[Mapping[str, bool]], None]
    ) -> None:
        """Find out which databases answer, and leave out of selections the queues of others."""
        before: dict[int, bool] = {}
        while True:
            now = {
                number: number in self._stores and self._is_there(number)
                for number in self.shards.names
            }
            if now != before:
                if self.shards.are_several:
                    for number, is_there in now.items():
                        broker.selecting.pass_over((Store.CLUSTER, number), is_away=not is_there)
                before = now
            tell({self.shards.names[number]: is_there for number, is_there in now.items()})
            await asyncio.sleep(_LOOK_AGAIN_S)
