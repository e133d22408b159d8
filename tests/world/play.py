"""What all worlds have in common: clients that live for a time, and what is left in the end."""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any, Final

from qmq.testing import seeded_ids
from qmq.values import NS_PER_S, Durability
from tests.world.clients import GROUPS, Client, Keeper, Producer
from tests.world.consumers import Consumer, StreamConsumer
from tests.world.evidence import Evidence
from tests.world.history import History, Op, Outcome
from tests.world.judge import RULES, problems_of
from tests.world.loop import SimulatedLoop
from tests.world.network import Network
from tests.world.queues import SCHEDULES, QueueKind, most_durable
from tests.world.rules import Rule
from tests.world.server import WallClock

#: How many clients there are of each kind.
_CLIENTS: Final[tuple[tuple[type[Client], str, int], ...]] = (
    (Producer, "p", 2),
    (Consumer, "c", 4),
    (StreamConsumer, "s", 2),
    (Keeper, "k", 1),
)

#: Seconds by which somebody sets the machine's clock.
_SETS_S: Final = (-600, -30, -2, 1, 5, 60, 86_400)

#: Seconds after which every lease, delay and back-off is over, of which none takes longer than
#: half a minute, but for a clock that was set back.
PEACE_S: Final = 60.0

#: What may befall whoever is there, and how often it does beside the others.
Fates = Sequence[tuple[int, Callable[[], Awaitable[None] | None]]]


class Play(ABC):
    """One history, from its beginning to its end."""

    #: What it is judged by.
    rules: Iterable[Rule] = RULES
    #: Seconds for which the last messages are waited for, in each queue.
    last_wait_s = 20.0
    #: To be set before anybody lives.
    _loop: SimulatedLoop
    _wall: WallClock
    _network: Network
    #: Who makes queues, and takes out what is left.
    _setup: Keeper

    def __init__(self, seed: str, kinds: Callable[[Random], Mapping[str, QueueKind]]) -> None:
        """Begin one.

        Args:
            seed: decides what happens.
            kinds: chooses the queues that there are.
        """
        self._seed = seed
        self._chance = Random(seed)
        self.history = History()
        #: The queues that there are, by name.
        self.kinds = kinds(self._chance)
        #: How many faults there were, by kind.
        self.faults: Counter[str] = Counter()
        #: What went wrong that no client can see.
        self.surprises: list[str] = []
        #: Whether nothing happens to a server any more.
        self._is_peace = False
        #: By how many seconds the clock was set back, each time.
        self._set_back_s = 0

    @abstractmethod
    def play(self) -> None:
        """Let it all happen."""

    def problems(self) -> list[str]:
        """Return what was wrong, by what clients have seen or otherwise, once it has ended."""
        return [*self.surprises, *problems_of(Evidence(self.history, self.kinds), self.rules)]

    def _begin(self, loop: SimulatedLoop) -> None:
        """Have time, and ids."""
        self._loop = loop
        self._wall = WallClock(loop)
        self._new_id = seeded_ids(self._chance.randrange(1 << 32))

    async def _while_clients_live(self, go_on: Callable[[], Awaitable[None]]) -> None:
        """Have clients make calls, while something goes on beside them."""
        clients = [
            self._client(kind, f"{name}{number}")
            for kind, name, count in _CLIENTS
            for number in range(count)
        ]
        tasks = [asyncio.ensure_future(each.run()) for each in clients]
        await go_on()
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        self.surprises += [repr(each) for each in results if isinstance(each, Exception)]

    def _client(self, kind: type[Any], name: str) -> Any:  # noqa: ANN401 - One of that kind.
        return kind(name, self._seed, self.history, self._network, self.kinds)

    async def _have_happen(self, fates: Fates) -> None:
        """Have one thing go wrong."""
        weights = [weight for weight, _ in fates]
        ((_, what),) = self._chance.choices(fates, weights)
        if result := what():
            await result

    def _note(self, verb: str, ns: int = 0) -> None:
        self.faults[verb] += 1
        self.history.note(verb, self._loop.time(), ns)

    def _set_clock(self) -> None:
        seconds = self._chance.choice(_SETS_S)
        self._set_back_s += max(0, -seconds)
        self._wall.set_ns += seconds * NS_PER_S
        self._note("set", seconds * NS_PER_S)

    async def _make_queue(self, name: str) -> Op:
        return await self._setup.call("new_queue", name, level=Durability.FSYNC)

    async def _come_to_an_end(self) -> None:
        """Wait until nothing happens by itself any more."""
        for name in self.kinds:
            # It may have been deleted, and nobody knows.
            while (await self._make_queue(name)).outcome is Outcome.UNKNOWN:
                pass
        await self._let_go_on()
        await self._end_schedules()
        await asyncio.sleep(PEACE_S + self._set_back_s)
        self.history.drained_from = self.history.length

    async def _take_everything_out(self) -> None:
        """Take out all that is left."""
        redrives = await self._certainly("list_redrives", "dead")
        if redrives.count:
            self.surprises.append(f"{redrives.count} redrives go on, and nothing is in their way")
        for redrive in redrives.names:
            # Its target is full, until the messages there are taken out.
            await self._certainly("stop_redrive", "dead", name=redrive)
        for name in self.kinds:
            await self._certainly("stats", name)
        for name in self.kinds:
            while (
                await self._certainly("pop_batch", name, most=1_000, seconds=self.last_wait_s)
            ).taken:
                pass

    async def _let_go_on(self) -> None:
        """End all pauses."""
        for kind in self.kinds.values():
            if kind.is_paused:
                await self._certainly("resume", kind.name)
                for group in GROUPS if kind.in_groups else ():
                    await self._certainly("resume_group", kind.name, name=group)

    async def _end_schedules(self) -> None:
        """Have schedules add nothing more, and tell what they have added."""
        for kind in self.kinds.values():
            for name in SCHEDULES if kind.is_scheduled else ():
                while not (await self._setup.put_schedule(kind, name, is_paused=True)).is_ok:
                    pass

    async def _certainly(self, verb: str, queue: str, **asked: Any) -> Any:  # noqa: ANN401
        """Make a call until there is an answer."""
        while True:
            op = await self._setup.call(verb, queue, level=most_durable(self.kinds[queue]), **asked)
            if op.is_ok:
                return op
            assert op.may_have_happened, op.answered()
