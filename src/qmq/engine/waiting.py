"""Calls that wait for messages: one line for each queue, first come, first served.

A message that arrives is promised to the first in line, and to nobody else. It stays in its queue
until that call comes to take it. So a call that leaves instead loses nothing: the promise goes to
the next. Calls take their promised messages in the order in which they came. If the message is gone
by then, the call waits on at its old place.

Each selector has a line too, of calls that wait for messages of any of its queues. What is left
over by the queue's own line is promised to these calls, in order of arrival across all selectors.
What is left after that gives the queue a turn with each of the selectors.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count
from typing import Final, Protocol

from qmq.clock import passed_ns
from qmq.engine.places import Line, Member, Place, Selection
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
        self._start_ns = time.time_ns() + offset_ns - passed_ns()

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, by a clock that nobody sets."""
        return self._start_ns + passed_ns()

    async def wait(self, future: asyncio.Future[None], timeout_s: float) -> None:
        """Wait until the future is done, or so many seconds have passed."""
        await asyncio.wait((future,), timeout=timeout_s)


class Waiting:
    """The lines of all queues, and of the selectors in use."""

    def __init__(self, timer: Timer, may_take: Callable[[Queue, Selection | None], bool]) -> None:
        """Make lines in which nobody waits.

        Args:
            timer: measures how long callers wait.
            may_take: asked when a caller's turn has come; tells whether what it was promised is
                still there, and still is in the selection that it waits for, if any. If not,
                the caller goes on waiting at its old place, unless an error is raised.
        """
        self._timer = timer
        self._may_take = may_take
        #: Of queues that somebody waits for, or that are in a selection.
        self._lines: dict[int, Line] = {}
        self._numbers = count(1)

    def count(self, queue: Queue) -> int:
        """Count those who wait for messages of a queue, by its id or by a selector."""
        line = self._lines.get(queue.number)
        if line is None:
            return 0
        # In one step: those who watch ask from another thread.
        by_selector = sum(len(selection.waiting) for selection in tuple(line.members))
        return len(line.waiting) + len(line.promised) + by_selector

    def free(self, queue: Queue) -> int:
        """Count the messages that are promised to nobody."""
        line = self._lines.get(queue.number)
        return queue.available - len(line.promised) if line else queue.available

    def share(self, queue: Queue, most: int) -> int:
        """Return how many messages, at most so many, one may take whose turn it is.

        What is promised to others is not for this one; what it was promised itself is, also
        when some of theirs is gone meanwhile.
        """
        line = self._lines.get(queue.number)
        return min(most, max(1, self.free(queue))) if line and line.promised else most

    def serve(self, queue: Queue) -> None:
        """Promise messages that have arrived to waiting calls. To be called after each Add."""
        line = self._lines.get(queue.number)
        if line is None:
            return
        while line.waiting and queue.available > len(line.promised):
            line.promise(queue, line.waiting.popleft())
        if line.idle and queue.available > len(line.promised):
            self._serve_selections(queue, line)

    def _serve_selections(self, queue: Queue, line: Line) -> None:
        """Promise free messages to calls that wait by selectors; the rest gives the queue turns."""
        while longest := min(
            (selection.waiting for selection in line.idle if selection.waiting),
            key=lambda waiting: waiting[0].number,
            default=None,
        ):
            line.promise(queue, longest.popleft())
            if queue.available <= len(line.promised):
                return
        for selection, member in line.idle.items():
            selection.turns.enter(member.turn)
        line.idle.clear()

    def first(self, selection: Selection) -> Member | None:
        """Return whose turn it is among the queues of a selection that have messages free."""
        while (member := selection.turns.first()) is not None:
            if self.free(member.queue) > 0:
                return member
            selection.turns.leave(member.turn)
            self._lines[member.queue.number].idle[selection] = member
        return None

    def count_out(self, selection: Selection, queue: Queue, count: int) -> None:
        """Count messages that a queue of a selection has handed out: others have their turn."""
        line = self._lines[queue.number]
        member, turns = line.members[selection], selection.turns
        if line.idle.pop(selection, None):
            turns.enter(member.turn)
        member.turn.weight = queue.info.settings.weight
        turns.take(member.turn, count)
        if self.free(queue) <= 0:
            turns.leave(member.turn)
            line.idle[selection] = member

    def join(self, selection: Selection, queue: Queue) -> None:
        """Add a queue to a selection, and promise its free messages to calls that wait there."""
        line = self._lines.setdefault(queue.number, Line())
        member = Member(queue)
        selection.members[queue.number] = line.members[selection] = line.idle[selection] = member
        self.serve(queue)

    def part(self, selection: Selection, queue: Queue) -> None:
        """Let a selection have one of its queues no more.

        Who was promised a message of it waits on, when that one comes to take it.
        """
        member = selection.members.pop(queue.number)
        if member.turn.is_waiting:
            selection.turns.leave(member.turn)
        line = self._lines[queue.number]
        line.idle.pop(selection, None)
        del line.members[selection]
        self._drop_if_of_no_use(queue)

    def selections_of(self, queue: Queue) -> list[Selection]:
        """List the selections that a queue is in."""
        line = self._lines.get(queue.number)
        return list(line.members) if line else []

    def dismiss(self, queue: Queue, error: QError) -> None:
        """Let everybody go who waits for a queue by its id, with an error."""
        if line := self._lines.get(queue.number):
            _dismiss(line.waiting, error)

    def dismiss_all(self, selection: Selection, error: QError) -> None:
        """Let everybody go who waits for any queue of a selection, with an error."""
        _dismiss(selection.waiting, error)

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
        line = self._lines.setdefault(queue.number, Line())
        try:
            found = await self._turn(
                line.waiting, partial(self.serve, queue), None, wait_s, is_gone
            )
        finally:
            self._drop_if_of_no_use(queue)
        if found is None:
            raise QueueEmpty(queue.info.id)

    async def turn_of(
        self, selection: Selection, wait_s: float, is_gone: IsGone | None
    ) -> Queue | None:
        """Wait for a message of any queue of a selection, in which none has a message free.

        Args:
            selection: whose messages to wait for.
            wait_s: how long at most.
            is_gone: as in `turn`.

        Returns:
            The queue of which a message is the caller's, who must take it at once; None if
            there was none in time.

        Raises:
            Gone: the caller has left.
            QError: what everybody was dismissed with.
        """
        if wait_s <= 0:
            return None
        look = partial(self._serve_waiting, selection)
        return await self._turn(selection.waiting, look, selection, wait_s, is_gone)

    def _serve_waiting(self, selection: Selection) -> None:
        """Promise free messages to calls that wait for any queue of a selection."""
        while selection.waiting and (member := self.first(selection)):
            line = self._lines[member.queue.number]
            line.promise(member.queue, selection.waiting.popleft())

    async def _turn(
        self,
        waiting: deque[Place],
        look: Callable[[], None],
        selection: Selection | None,
        wait_s: float,
        is_gone: IsGone | None,
    ) -> Queue | None:
        """Wait in a line until there is a message that is the caller's.

        Args:
            waiting: the line.
            look: promises what there is to those in the line.
            selection: what the line is for, if it is not for one queue.
            wait_s: as in `turn`.
            is_gone: as in `turn`.
        """
        deadline_ns = self._timer.now_ns() + round(wait_s * NS_PER_S)
        place = Place(next(self._numbers))
        waiting.append(place)
        # There may be messages that came since the caller looked.
        look()
        has_turn = False
        try:
            while True:
                while not place.promise.done():
                    left_s = (deadline_ns - self._timer.now_ns()) / NS_PER_S
                    if left_s <= 0:
                        return None
                    look_s = min(left_s, _LOOK_AGAIN_S) if is_gone else left_s
                    await self._timer.wait(place.promise, look_s)
                    if is_gone and await is_gone():
                        raise Gone
                place.promise.result()
                queue = place.queue
                assert queue
                await self._after_those_before(place, self._lines[queue.number].promised)
                has_turn = self._may_take(queue, selection)
                if has_turn:
                    return queue
                self._take_back(queue, place, waiting)
                # It may be there all the same, for others, or there may be another one.
                self.serve(queue)
                look()
        finally:
            self._leave(place, waiting, has_turn=has_turn)

    def _take_back(self, queue: Queue, place: Place, waiting: deque[Place]) -> None:
        """Let one wait again, before all who came later, since its message is gone."""
        self._lines[queue.number].promised.remove(place)
        # Those who wait for it to take something need not any more.
        place.left.set_result(None)
        loop = asyncio.get_running_loop()
        place.promise, place.left = loop.create_future(), loop.create_future()
        place.queue = None
        before = sum(each.number < place.number for each in waiting)
        waiting.insert(before, place)
        self._drop_if_of_no_use(queue)

    async def _after_those_before(self, place: Place, promised: Sequence[Place]) -> None:
        """Wait until those who came before have taken their messages, but not for long.

        How soon it is known that a caller is still there differs from one to the next.
        """
        while (at := promised.index(place)) > 0:
            left = promised[at - 1].left
            await self._timer.wait(left, _LOOK_AGAIN_S)
            if not left.done():
                return

    def _leave(self, place: Place, waiting: deque[Place], *, has_turn: bool) -> None:
        """Take one who waited out of the line, and its promise back."""
        place.left.set_result(None)
        if not place.promise.done():
            waiting.remove(place)
        elif (queue := place.queue) is not None:
            self._lines[queue.number].promised.remove(place)
            if not has_turn:
                self.serve(queue)
            self._drop_if_of_no_use(queue)
        else:
            # Who has left does not ask with which error it was let go.
            place.promise.exception()

    def _drop_if_of_no_use(self, queue: Queue) -> None:
        """Forget a line that is of no use."""
        line = self._lines.get(queue.number)
        if line and not line.is_of_use:
            del self._lines[queue.number]


def _dismiss(waiting: deque[Place], error: QError) -> None:
    while waiting:
        promise = waiting.popleft().promise
        promise.set_exception(error)
        # Who leaves at this moment does not ask, and the loop would complain of that.
        promise.exception()
