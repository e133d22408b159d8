"""Moments at which something happens to a queue by itself: leases and delays end."""

import asyncio
from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush
from typing import Final

from qmq.engine.waiting import Timer
from qmq.model.queue import Queue
from qmq.values import NS_PER_S

#: Seconds to sleep when there is nothing to wake up for; any long time would do.
_LONG_S: Final = 3600.0


class Alarms:
    """Calls back for each queue when the moment has come that was set for it."""

    def __init__(self, timer: Timer, on_alarm: Callable[[Queue], None]) -> None:
        self._timer = timer
        self._on_alarm = on_alarm
        #: The moments, of queues by number; a queue may stand here more often than once.
        self._heap: list[tuple[int, int, Queue]] = []
        #: The earliest of them of each queue.
        self._earliest: dict[int, int] = {}
        self._sleeper: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None

    def set(self, queue: Queue, moment_ns: int) -> None:
        """Call back for a queue at a moment by the timer, or before that."""
        earliest = self._earliest.get(queue.number)
        if earliest is not None and earliest <= moment_ns:
            return
        self._earliest[queue.number] = moment_ns
        is_next = not self._heap or moment_ns < self._heap[0][0]
        heappush(self._heap, (moment_ns, queue.number, queue))
        if self._sleeper is None:
            self._sleeper = asyncio.get_running_loop().create_task(self._sleep())
        elif is_next and self._wake and not self._wake.done():
            self._wake.set_result(None)

    def forget(self, queues: Iterable[Queue]) -> None:
        """Call back for some queues no more, unless a moment is set anew."""
        numbers = {queue.number for queue in queues}
        self._heap = [each for each in self._heap if each[1] not in numbers]
        heapify(self._heap)
        for number in numbers:
            self._earliest.pop(number, None)

    async def close(self) -> None:
        """Call back no more."""
        if self._sleeper:
            self._sleeper.cancel()
            await asyncio.gather(self._sleeper, return_exceptions=True)

    async def _sleep(self) -> None:
        """Sleep from one moment to the next."""
        loop = asyncio.get_running_loop()
        while True:
            now_ns = self._timer.now_ns()
            due = []
            while self._heap and self._heap[0][0] <= now_ns:
                due.append(heappop(self._heap))
            for moment_ns, number, queue in due:
                if self._earliest.get(number) == moment_ns:
                    del self._earliest[number]
                    self._on_alarm(queue)
            # A queue with more to do than it may at once has set the same moment again.
            await asyncio.sleep(0)
            left_s = (self._heap[0][0] - now_ns) / NS_PER_S if self._heap else _LONG_S
            if left_s <= 0:
                continue
            self._wake = loop.create_future()
            await self._timer.wait(self._wake, min(left_s, _LONG_S))
