"""A world: clients, a network, a machine with a server, and what befalls them.

All that happens follows from the seed, and is told by the history.
"""

import asyncio
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import apsw

from qmq.errors import QError, StoreFailed
from tests.world.clients import Keeper
from tests.world.loop import SimulatedLoop
from tests.world.machine import Machine, Trouble
from tests.world.network import LINGERS_S, Network, Weather
from tests.world.owning import owned_task
from tests.world.play import Play
from tests.world.queues import some_queues
from tests.world.server import Server

#: Seconds for which a world goes on: some hundred calls, and a second of a processor's time.
SECONDS: Final = 20.0

#: Seconds between two faults, on average.
_BETWEEN_FAULTS_S: Final = 2.5

#: Seconds for which a disk that is full stays so; 0 is for a moment, as by a quota.
_FULL_S: Final = (0.0, 0.0, 0.5, 3.0)


class World(Play):
    """A machine with a server on it."""

    def __init__(self, seed: int, seconds: float = SECONDS) -> None:
        """Make a world.

        Args:
            seed: decides what happens.
            seconds: how long it goes on, of its own time, until all faults end.
        """
        super().__init__(f"world {seed}", some_queues)
        self._seconds = seconds
        self._server: Server | None = None
        #: Those that were killed: what was under way there never ends.
        self._killed: list[Server] = []
        self._is_broken = False

    def play(self) -> None:
        """Let it all happen."""
        data = Path(tempfile.mkdtemp(prefix="q-world-"))
        self._begin(SimulatedLoop(self._chance))
        self._loop.set_task_factory(owned_task)
        self._loop.set_exception_handler(self._note_surprise)
        self._machine = Machine(data / "data", self._loop, self._chance)
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._live())
        finally:
            if self._server:
                self._server.kill()
            self._machine.unregister()
            shutil.rmtree(data)

    async def _live(self) -> None:
        self._needs_care = asyncio.Event()
        self._network = Network(self._loop, self._chance, self.kinds, lambda: self._server)
        self._setup: Keeper = self._client(Keeper, "setup")
        self._machine.on_off = lambda: self._loop.call_soon_threadsafe(self._go_off, self._server)
        await self._boot()
        await self._while_clients_live(self._befall_for_a_time)
        await self._drain()

    async def _befall_for_a_time(self) -> None:
        until_s = self._loop.time() + self._seconds
        while self._loop.time() < until_s:
            await self._be_well(self._chance.expovariate(1 / _BETWEEN_FAULTS_S))
            if not self._needs_care.is_set():
                await self._befall()
            if self._needs_care.is_set():
                # Whoever looks after it comes, sooner or later.
                await asyncio.sleep(self._chance.expovariate(2))
                await self._restart()

    async def _befall(self) -> None:
        """Have one thing go wrong."""
        await self._have_happen(
            [
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
        )

    async def _be_well(self, seconds: float) -> None:
        """Let nothing happen for a time, or until the server has ended or failed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._needs_care.wait()

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
        await self._come_to_an_end()
        assert self._server
        self.surprises += self._server.problems()
        await self._take_everything_out()
        await self._server.stop()
        self._server = None

    def _note_surprise(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        # What is left of a server that was killed does not hear any more that it has failed.
        if not isinstance(error, StoreFailed | apsw.ConnectionClosedError):
            self.surprises.append(f"{context['message']}: {error!r} {context.get('task')}")
