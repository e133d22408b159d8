"""How far the clock that nobody sets has come apart from the machine's, for the next start.

Moments on disk are told by the clock that nobody sets. It starts with the machine's, and the
two come apart when somebody sets that one. A server that started with the machine's clock
again would take all those moments for earlier or later ones, by as much as it was set: so how
far they are apart is kept, and the next clock starts there.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from qmq.clock import Clock
from qmq.engine.waiting import Timer
from qmq.errors import Unavailable
from qmq.values import NS_PER_S

#: What two looks may differ by without anybody having set a clock, and a moment may be wrong by.
TOLERANCE_NS: Final = NS_PER_S // 100

#: Seconds between two looks. A clock that is set, and q killed within this time, is not noticed.
_PERIOD_S: Final = 1.0


class ClockOffset:
    """Has it kept how far the two clocks are apart, whenever that has changed."""

    def __init__(
        self,
        clock: Clock,
        timer: Timer,
        kept_ns: int,
        keep: Callable[[int], Awaitable[None]],
    ) -> None:
        """Make one that does not look yet.

        Args:
            clock: the machine's.
            timer: the one that nobody sets.
            kept_ns: how far ahead `timer` is as far as is known on disk, in nanoseconds.
            keep: makes that durable when it has changed.
        """
        self._clock = clock
        self._timer = timer
        self._kept_ns = kept_ns
        self._keep = keep
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look every second from now on, in the event loop that runs."""
        self._looking = asyncio.get_running_loop().create_task(self._look_for_ever())

    async def close(self) -> None:
        """Look a last time; to be called before the store is closed."""
        if self._looking:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self.look()

    async def look(self) -> None:
        """Have it kept how far the clocks are apart, if that has changed.

        That the store takes nothing now is no error: the next look tries again.
        """
        before_ns = self._timer.now_ns()
        offset_ns = before_ns - self._clock.now_ns()
        if self._timer.now_ns() - before_ns > TOLERANCE_NS:
            # Something came between the two, so that they tell nothing.
            return
        if abs(offset_ns) <= TOLERANCE_NS:
            offset_ns = 0
        if abs(offset_ns - self._kept_ns) <= TOLERANCE_NS:
            return
        try:
            await self._keep(offset_ns)
        except Unavailable:
            return
        self._kept_ns = offset_ns

    async def _look_for_ever(self) -> None:
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        while True:
            await self._timer.wait(never, _PERIOD_S)
            await self.look()
