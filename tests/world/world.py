"""A world: clients, a network, a machine with a server, and what befalls them.

All that happens follows from the seed, and is told by the history.
"""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, Final

import apsw

from qmq.errors import QError, StoreFailed
from qmq.testing import seeded_ids
from qmq.values import NS_PER_S, Durability
from tests.world.clients import GROUPS, Client, Keeper, Producer
from tests.world.consumers import Consumer, StreamConsumer
from tests.world.evidence import Evidence
from tests.world.history import History, Op, Outcome
from tests.world.judge import problems_of
from tests.world.loop import SimulatedLoop
from tests.world.machine import Machine, Trouble
from tests.world.network import LINGERS_S, Network, Weather
from tests.world.queues import SCHEDULES, most_durable, some_queues
from tests.world.server import Server, WallClock, owned_task

#: Seconds for which a world goes on: some hundred calls, and a second of a processor's time.
SECONDS: Final = 20.0

#: How many clients there are of each kind.
_CLIENTS: Final[tuple[tuple[type[Client], str, int], ...]] = (
    (Producer, "p", 2),
    (Consumer, "c", 4),
    (StreamConsumer, "s", 2),
    (Keeper, "k", 1),
)

#: Seconds between two faults, on average.
_BETWEEN_FAULTS_S: Final = 2.5

#: Seconds by which somebody sets the machine's clock.
_SETS_S: Final = (-600, -30, -2, 1, 5, 60, 86_400)

#: Seconds for which a disk that is full stays so; 0 is for a moment, as by a quota.
_FULL_S: Final = (0.0, 0.0, 0.5, 3.0)

#: Seconds for which the last messages are waited for, each.
_LAST_WAIT_S: Final = 20.0

#: Seconds after which every lease, delay and back-off is over, of which none takes longer than
#: half a minute, but for a clock that was set back.
_PEACE_S: Final = 60.0


class World:
    """One history, from its beginning to its end."""

    def __init__(self, seed: int, seconds: float = SECONDS) -> None:
        """Make a world.

        Args:
            seed: decides what happens.
            seconds: how long it goes on, of its own time, until all faults end.
        """
        self._seed = f"world {seed}"
        self._seconds = seconds
        self._chance = Random(self._seed)
        self.history = History()
        #: The queues that there are, by name.
        self.kinds = some_queues(self._chance)
        #: How many faults there were, by kind.
        self.faults: Counter[str] = Counter()
        #: What went wrong that no client can see.
        self.surprises: list[str] = []
        self._server: Server | None = None
        #: Those that were killed: what was under way there never ends.
        self._killed: list[Server] = []
        self._is_broken = False
        #: Whether nothing happens to a server any more.
        self._is_peace = False
        #: By how many seconds the clock was set back, each time.
        self._set_back_s = 0

    def play(self) -> None:
        """Let it all happen."""
        data = Path(tempfile.mkdtemp(prefix="q-world-"))
        self._loop = SimulatedLoop(self._chance)
        self._loop.set_task_factory(owned_task)
        self._loop.set_exception_handler(self._note_surprise)
        self._wall = WallClock(self._loop)
        self._new_id = seeded_ids(self._chance.randrange(1 << 32))
        self._machine = Machine(data / "data", self._loop, self._chance)
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._live())
        finally:
            if self._server:
                self._server.kill()
            self._machine.unregister()
            shutil.rmtree(data)

    def problems(self) -> list[str]:
        """Return what was wrong, by what clients have seen or otherwise, once it has ended."""
        return [*self.surprises, *problems_of(Evidence(self.history, self.kinds))]

    async def _live(self) -> None:
        self._needs_care = asyncio.Event()
        self._network = Network(self._loop, self._chance, self.kinds, lambda: self._server)
        self._setup: Keeper = self._client(Keeper, "setup")
        self._machine.on_off = lambda: self._loop.call_soon_threadsafe(self._go_off, self._server)
        await self._boot()
        clients = [
            self._client(kind, f"{name}{number}")
            for kind, name, count in _CLIENTS
            for number in range(count)
        ]
        tasks = [asyncio.ensure_future(each.run()) for each in clients]
        until_s = self._loop.time() + self._seconds
        while self._loop.time() < until_s:
            await self._be_well(self._chance.expovariate(1 / _BETWEEN_FAULTS_S))
            if not self._needs_care.is_set():
                await self._befall()
            if self._needs_care.is_set():
                # Whoever looks after it comes, sooner or later.
                await asyncio.sleep(self._chance.expovariate(2))
                await self._restart()
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        self.surprises += [repr(each) for each in results if isinstance(each, Exception)]
        await self._drain()

    def _client(self, kind: type[Any], name: str) -> Any:  # noqa: ANN401 - One of that kind.
        return kind(name, self._seed, self.history, self._network, self.kinds)

    async def _befall(self) -> None:
        """Have one thing go wrong."""
        happens: list[tuple[int, Callable[[], Awaitable[None] | None]]] = [
            (3, self._kill),
            (3, self._cut_power),
            (4, self._cut_power_while_writing),
            (2, self._stop),
            (6, self._have_no_space),
            (2, self._have_no_sync),
            (2, self._slow_disk_down),
            (3, self._set_clock),
            (3, self._spoil_weather),
        ]
        weights = [weight for weight, _ in happens]
        ((_, what),) = self._chance.choices(happens, weights)
        if result := what():
            await result

    async def _be_well(self, seconds: float) -> None:
        """Let nothing happen for a time, or until the server has ended or failed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._needs_care.wait()

    def _note(self, verb: str, ns: int = 0) -> None:
        self.faults[verb] += 1
        self.history.note(verb, self._loop.time(), ns)

    def _kill(self) -> None:
        self._end_server("kill")

    def _cut_power(self) -> None:
        self._end_server("power")

    def _end_server(self, how: str) -> None:
        """End the server at once; what is left is what its disk holds, or the kernel as well."""
        server, self._server = self._server, None
        self._needs_care.set()
        if server:
            self._end(server, how)

    def _end(self, server: Server, how: str) -> None:
        server.kill()
        self._killed.append(server)
        if how == "power":
            self._machine.lose_power()
        self._machine.trouble = Trouble()
        self._note(how)

    def _go_off(self, server: Server | None) -> None:
        """End a server that was just writing, unless it was about to start."""
        self.faults["while writing"] += 1
        if server and server is self._server:
            self._end_server(self._chance.choice(("kill", "power", "power")))

    async def _cut_power_while_writing(self) -> None:
        self._machine.trouble.off_after = self._chance.randint(0, 40)
        await self._be_well(self._chance.expovariate(1))

    async def _stop(self) -> None:
        server = self._server
        if server is None:
            return
        ending = server.run(server.stop())
        await asyncio.wait((ending,))
        if self._server is server:
            if not ending.cancelled():
                ending.result()
            self._server = None
            self._machine.trouble = Trouble()
            self._needs_care.set()
            self._note("kill" if self._is_broken else "stop")

    def _have_no_space(self) -> None:
        self.faults["no space"] += 1
        self._machine.trouble.no_space_after = self._chance.randint(0, 40)
        self._machine.trouble.full_s = self._chance.choice(_FULL_S)

    def _have_no_sync(self) -> None:
        self.faults["no sync"] += 1
        self._machine.trouble.no_sync_after = self._chance.randint(0, 10)

    async def _slow_disk_down(self) -> None:
        self.faults["slow disk"] += 1
        self._machine.trouble.slowness = self._chance.choice((20, 100, 400))
        await self._be_well(self._chance.expovariate(1))
        self._machine.trouble.slowness = 1

    def _set_clock(self) -> None:
        seconds = self._chance.choice(_SETS_S)
        self._set_back_s += max(0, -seconds)
        self._wall.set_ns += seconds * NS_PER_S
        self._note("set", seconds * NS_PER_S)

    async def _spoil_weather(self) -> None:
        self.faults["bad network"] += 1
        self._network.weather = Weather(
            lost=self._chance.choice((0.02, 0.2, 1.0)), slowness=self._chance.choice((1, 20, 200))
        )
        await self._be_well(self._chance.expovariate(1))
        self._network.weather = Weather()

    async def _restart(self) -> None:
        if self._server:
            # It has failed, and goes on as if nothing were on disk that it had not acknowledged.
            self._end_server(self._chance.choice(("kill", "power")))
        if self._chance.random() < 0.2:
            self._set_clock()
        await self._boot()

    async def _boot(self) -> None:
        """Start a server, however often that takes."""
        if self.history.faults and not self._is_peace and self._chance.random() < 0.1:
            self._machine.trouble.off_after = self._chance.randint(0, 10)
        while self._server is None:
            self._is_broken = False
            self._needs_care.clear()
            failures = self._machine.failures
            server = Server(
                self._machine,
                self._loop,
                self._wall,
                chance=self._chance,
                new_id=self._new_id,
                on_failure=self._break,
                on_recovery=self._recover,
            )
            try:
                server.start()
            except (apsw.Error, QError):
                if not self._machine.is_off and self._machine.failures == failures:
                    raise
                self._end(server, self._chance.choice(("kill", "power")))
                # A disk that is full is so for some time.
                await asyncio.sleep(self._chance.expovariate(2))
            else:
                self._server = server
                self._note("boot", server.steady.ahead_ns)
        for name in self.kinds:
            await self._make_queue(name)

    async def _make_queue(self, name: str) -> Op:
        return await self._setup.call("new_queue", name, level=Durability.FSYNC)

    def _break(self, _: str) -> None:
        """Take note that the DISK store has failed, unless that is how it heard of its end."""
        if self._server is None:
            return
        if self._server.mends_itself:
            self._note("full")
            return
        self._is_broken = True
        self._needs_care.set()
        self._note("broken")

    def _recover(self) -> None:
        """Take note that the DISK store has found room."""
        self._note("room")

    async def _drain(self) -> None:
        """Let everything come to its end, and take out all that is left."""
        self._is_peace = True
        self._network.weather = Weather(lost=0.0)
        self._machine.trouble = Trouble()
        self._machine.make_room()
        await asyncio.sleep(LINGERS_S)
        if self._server is None or self._is_broken:
            await self._restart()
        for name in self.kinds:
            # It may have been deleted, and nobody knows.
            while (await self._make_queue(name)).outcome is Outcome.UNKNOWN:
                pass
        await self._let_go_on()
        await self._end_schedules()
        await asyncio.sleep(_PEACE_S + self._set_back_s)
        self.history.drained_from = self.history.length
        assert self._server
        self.surprises += self._server.problems()
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
                await self._certainly("pop_batch", name, most=1_000, seconds=_LAST_WAIT_S)
            ).taken:
                pass
        await self._server.stop()
        self._server = None

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

    def _note_surprise(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        # What is left of a server that was killed does not hear any more that it has failed.
        if not isinstance(error, StoreFailed | apsw.ConnectionClosedError):
            self.surprises.append(f"{context['message']}: {error!r} {context.get('task')}")
