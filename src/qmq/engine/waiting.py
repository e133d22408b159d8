"""Who waits for a message: one line for each queue, first come, first served.

A message that arrives is promised to who waits first, and is not for anybody else from
then on. It stays in its queue until that one comes to take it, so one who leaves instead
loses nothing: the promise goes to the next. Those who were promised messages take them in
the order in which they came; one whose message is gone by then waits on at its old place.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Final, Protocol

from qmq.errors import QError, QueueEmpty
from qmq.model.queue import Queue
from qmq.values import NS_PER_S

#: Tells whether the caller is gone, so that a message for it would be lost.
IsGone = Callable[[], Awaitable[bool]]

#: Seconds between two looks at whether a waiting caller is still there.
_LOOK_AGAIN_S: Final = 0.5


class Gone(Exception):
    """The caller has left while it waited."""


class Timer(Protocol):
    """Measures how long something lasts."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, by a clock that nobody sets.

        It goes at an even pace, and is right when the process starts, unless moments were kept
        by a clock that was not: see `qmq.engine.clock_offset`.
        """
        ...

    async def wait(self, future: asyncio.Future[None], timeout_s: float) -> None:
        """Wait until the future is done, or so many seconds have passed."""
        ...


class SteadyTimer:
    """The time that really passes."""

    def __init__(self, offset_ns: int = 0) -> None:
        """Start a clock.

        Args:
            offset_ns: how far ahead of the machine's clock it starts, in nanoseconds.
        """
        self._start_ns = time.time_ns() + offset_ns - _passed_ns()

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, by a clock that nobody sets."""
        return self._start_ns + _passed_ns()

    async def wait(self, future: asyncio.Future[None], timeout_s: float) -> None:
        """Wait until the future is done, or so many seconds have passed."""
        await asyncio.wait((future,), timeout=timeout_s)


#: Time passes for leases also while the machine sleeps, where the system can tell.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _passed_ns() -> int:
    return time.clock_gettime_ns(_CLOCK)


class _Place:
    """The place of one caller in a line."""

    __slots__ = ("left", "number", "promise")

    def __init__(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        #: The lower, the earlier the caller came.
        self.number = number
        #: Done when the caller is promised a message, or dismissed with an error.
        self.promise: asyncio.Future[None] = loop.create_future()
        #: Done when the caller has taken its message, or left without one.
        self.left: asyncio.Future[None] = loop.create_future()


class _Line:
    """Those who wait for messages of one queue."""

    __slots__ = ("numbers", "promised", "waiting")

    def __init__(self) -> None:
        self.numbers = count()
        #: Not promised anything yet, in order of arrival.
        self.waiting: deque[_Place] = deque()
        #: Promised a message that they have not taken yet, in the same order.
        self.promised: deque[_Place] = deque()


class Waiting:
    """The lines of all queues."""

    def __init__(self, timer: Timer, may_take: Callable[[Queue], bool]) -> None:
        """Make lines in which nobody waits.

        Args:
            timer: measures how long callers wait.
            may_take: asked when a caller's turn has come; tells whether what it was promised is
                still there. If not, the caller goes on waiting at its old place, unless an error
                is raised.
        """
        self._timer = timer
        self._may_take = may_take
        self._lines: dict[int, _Line] = {}

    def count(self, queue: Queue) -> int:
        """Count those who wait for messages of a queue."""
        line = self._lines.get(queue.number)
        return len(line.waiting) + len(line.promised) if line else 0

    def free(self, queue: Queue) -> int:
        """Count the messages that are promised to nobody."""
        line = self._lines.get(queue.number)
        return queue.available - (len(line.promised) if line else 0)

    def share(self, queue: Queue, most: int) -> int:
        """Return how many messages, at most so many, one may take whose turn it is.

        What is promised to others is not for this one; what it was promised itself is, also
        when some of theirs is gone meanwhile.
        """
        line = self._lines.get(queue.number)
        return min(most, max(1, self.free(queue))) if line and line.promised else most

    def serve(self, queue: Queue) -> None:
        """Promise what has arrived to those who wait. To be called after each Add."""
        line = self._lines.get(queue.number)
        while line and line.waiting and queue.available > len(line.promised):
            first = line.waiting.popleft()
            line.promised.append(first)
            first.promise.set_result(None)

    def dismiss(self, queue: Queue, error: QError) -> None:
        """Let everybody go who waits for a queue, with an error."""
        line = self._lines.get(queue.number)
        while line and line.waiting:
            line.waiting.popleft().promise.set_exception(error)

    async def turn(self, queue: Queue, wait_s: float, is_gone: IsGone | None) -> None:
        """Wait for a message; on return it is the caller's, who must take it at once.

        Args:
            queue: whose messages to wait for.
            wait_s: how long at most; 0 to take no for an answer.
            is_gone: asked now and then, and before the message is the caller's. None for
                one whose call is cancelled when it leaves.

        Raises:
            QueueEmpty: there was none in time.
            Gone: the caller has left.
            QError: what everybody was dismissed with.
        """
        if wait_s <= 0:
            raise QueueEmpty(queue.info.id)
        deadline_ns = self._timer.now_ns() + round(wait_s * NS_PER_S)
        line = self._lines.setdefault(queue.number, _Line())
        place = _Place(next(line.numbers))
        line.waiting.append(place)
        # There may be messages that came since the caller looked.
        self.serve(queue)
        has_turn = False
        try:
            while not has_turn:
                while not place.promise.done():
                    left_s = (deadline_ns - self._timer.now_ns()) / NS_PER_S
                    if left_s <= 0:
                        raise QueueEmpty(queue.info.id)
                    look_s = min(left_s, _LOOK_AGAIN_S) if is_gone else left_s
                    await self._timer.wait(place.promise, look_s)
                    if is_gone and await is_gone():
                        raise Gone
                place.promise.result()
                await self._after_those_before(place, line.promised)
                has_turn = self._may_take(queue)
                if not has_turn:
                    self._take_back(line, place)
        finally:
            self._leave(queue, line, place, has_turn=has_turn)

    def _take_back(self, line: _Line, place: _Place) -> None:
        """Let one wait again, before all who came later, since its message is gone."""
        line.promised.remove(place)
        # Those who wait for it to take something need not any more.
        place.left.set_result(None)
        loop = asyncio.get_running_loop()
        place.promise, place.left = loop.create_future(), loop.create_future()
        before = sum(each.number < place.number for each in line.waiting)
        line.waiting.insert(before, place)

    async def _after_those_before(self, place: _Place, promised: Sequence[_Place]) -> None:
        """Wait until those who came before have taken their messages, but not for long.

        How soon it is known that a caller is still there differs from one to the next.
        """
        while (at := promised.index(place)) > 0:
            left = promised[at - 1].left
            await self._timer.wait(left, _LOOK_AGAIN_S)
            if not left.done():
                return

    def _leave(self, queue: Queue, line: _Line, place: _Place, *, has_turn: bool) -> None:
        """Take one who waited out of the line, and its promise back."""
        place.left.set_result(None)
        if not place.promise.done():
            line.waiting.remove(place)
        elif place.promise.exception() is None:
            line.promised.remove(place)
            if not has_turn:
                self.serve(queue)
        if not line.waiting and not line.promised and self._lines.get(queue.number) is line:
            del self._lines[queue.number]
