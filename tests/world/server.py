"""One q of a world, from its start to its end: the real broker and stores, on a machine's disk."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, copy_context
from random import Random
from typing import Any, Final

import apsw

from qmq.engine.broker import Broker
from qmq.engine.clock_offset import ClockOffset
from qmq.ids import RandomIds
from qmq.model.check import problems_of
from qmq.store.local.disk import DiskStore
from qmq.store.local.memory import MemoryStore
from qmq.store.local.sweeping import Patience
from qmq.store.local.upkeep import Upkeep
from qmq.testing import START_NS
from qmq.values import NS_PER_S, Store
from tests.world.loop import SimulatedLoop, SimulatedWorker
from tests.world.machine import Directory, Machine
from tests.world.owning import OWNER

#: So few pages that the log is written back again and again.
_CHECKPOINT_PAGES: Final = 40

#: Bytes of envelopes that are kept in memory: nothing, little, all.
_CACHES: Final = (0, 2_000, 1_000_000)
_PATIENCES: Final = (Patience(), Patience(messages_min=1, messages_max=1), Patience(idle_s=0.05))


class WallClock:
    """The machine's clock, which people set."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        #: By how much it was set, in nanoseconds.
        self.set_ns = 0

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, as it tells."""
        return START_NS + round(self._loop.time() * NS_PER_S) + self.set_ns


class SteadyClock:
    """The clock that nobody sets, of one server."""

    def __init__(self, loop: SimulatedLoop, wall: WallClock, offset_ns: int) -> None:
        self._loop = loop
        #: How far it is ahead of the loop's time.
        self.ahead_ns = START_NS + wall.set_ns + offset_ns

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, by it."""
        return self.ahead_ns + round(self._loop.time() * NS_PER_S)

    async def wait(self, future: asyncio.Future[None], timeout_s: float) -> None:
        """Wait until the future is done, or so many seconds have passed."""
        await asyncio.wait((future,), timeout=timeout_s)


class Server:
    """A server that may be killed."""

    def __init__(  # noqa: PLR0913 - What it is made of, each by name.
        self,
        machine: Machine,
        loop: SimulatedLoop,
        wall: WallClock,
        *,
        chance: Random,
        new_id: RandomIds,
        on_failure: Callable[[str], None],
        on_recovery: Callable[[], None],
    ) -> None:
        """Begin; `start` starts it.

        Args:
            machine: where its data are.
            loop: where it runs.
            wall: the machine's clock.
            chance: decides what it is set to, and when its workers work.
            new_id: makes ids.
            on_failure: called when the DISK store fails.
            on_recovery: called when it has found room after that, and goes on.
        """
        self._machine = machine
        self._loop = loop
        self.wall = wall
        self._chance = chance
        self._new_id = new_id
        self._on_failure = on_failure
        self._on_recovery = on_recovery
        self._context: Context = copy_context()
        self._context.run(OWNER.set, self)
        #: In order, unlike a set.
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._workers: list[SimulatedWorker] = []
        self._connections: list[apsw.Connection] = []
        self._directory: Directory | None = None
        self._disk: DiskStore | None = None
        #: Done when it is no more.
        self.ended: asyncio.Future[None] = loop.create_future()
        self.broker: Broker
        self.steady: SteadyClock
        self._clock_offset: ClockOffset

    def start(self) -> None:
        """Start on what the machine's disk holds.

        Raises:
            apsw.Error: the disk did something to it.
            QError: likewise.
        """
        self._context.run(self._start)

    def _start(self) -> None:
        disk = self._disk = self._open_disk()
        timer = self.steady = SteadyClock(self._loop, self.wall, disk.clock_offset_ns)
        self._clock_offset = ClockOffset(
            self.wall, timer, disk.clock_offset_ns, disk.keep_clock_offset
        )
        self._clock_offset.start()
        broker = self.broker = Broker(
            {Store.MEMORY: MemoryStore(), Store.DISK: disk},
            clock=self.wall,
            timer=timer,
            new_id=self._new_id,
            chance=self._chance.random,
            held=disk,
        )
        disk.on_reload = lambda: broker.replace(Store.DISK, disk)
        disk.on_recovery = self._on_recovery
        broker.start()

    def _open_disk(self) -> DiskStore:
        """Open the store that outlives the server, on the machine's disk.

        All else in a world knows stores only by what the broker does with them.
        """
        directory = self._directory = Directory(self._machine, self._connections.append)
        return DiskStore(
            directory,
            directory.open_database(),
            cache_bytes_max=self._chance.choice(_CACHES),
            on_failure=self._on_failure,
            patience=self._chance.choice(_PATIENCES),
            upkeep=Upkeep(checkpoint_pages=_CHECKPOINT_PAGES),
            hire=self._hire,
        )

    @property
    def mends_itself(self) -> bool:
        """Whether its store has failed for want of room alone, and goes on when there is some."""
        return self._disk is not None and self._disk.is_to_be_reloaded

    def _hire(
        self,
        name: str,  # noqa: ARG002 - Threads have names.
        turn: Callable[[], bool],
        wait_s: Callable[[], float | None],  # noqa: ARG002 - What it waits for never comes.
    ) -> SimulatedWorker:
        worker = SimulatedWorker(self._loop, self._chance, turn)
        self._workers.append(worker)
        return worker

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do something that ends with the server."""
        return self._loop.create_task(work, context=self._context.copy())

    def owns(self, task: asyncio.Task[Any]) -> None:
        """Have a task end with the server."""
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def stop(self) -> None:
        """End as it does when it is told to."""
        await self._clock_offset.close()
        try:
            await self.broker.close()
        except apsw.Error:
            # The log could not be written back, and stays. SQLite says nothing about that, but
            # what is raised in a file system of Python's comes through.
            self.kill()
        self._end()

    def kill(self) -> None:
        """End at once, with nothing written from now on."""
        for worker in self._workers:
            worker.kill()
        for task in list(self._tasks):
            task.cancel()
        self._machine.is_off = True
        for connection in self._connections:
            with suppress(apsw.ConnectionClosedError):
                # Nobody who is killed writes the log back.
                connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
                connection.close()
        if self._directory:
            self._directory.close()
        self._machine.is_off = False
        self._end()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def problems(self) -> list[str]:
        """Return what is wrong with the state of its queues."""
        return [problem for queue in self.broker.catalog for problem in problems_of(queue)]
