"""Taking turns, for several who share something by their weights.

It is start-time fair queueing: each has a virtual time at which its next message would go, and the
lowest goes first. Taking messages moves that time on by their count over the weight. One that comes
back goes on where it was, or at the time of the others if that is later: being absent earns no
credit, and leaving for a moment costs none. See Goyal, Vin and Cheng, "Start-time fair queueing",
1996.
"""

from heapq import heapify, heappop, heappush
from typing import Final, Generic, TypeVar

#: Virtual time for one message at weight 1; it is counted in integers, which never drift.
_STEP: Final = 1 << 32

#: The heap may hold so many that have left, besides as many as others.
_LEFT_MAX: Final = 1_024

_T = TypeVar("_T")


class Turn(Generic[_T]):
    """The place of one among all that take turns."""

    __slots__ = ("finish", "number", "of", "start", "weight")

    def __init__(self, of: _T, weight: int) -> None:
        #: Whose it is.
        self.of = of
        #: How many messages it gets for one of another with weight 1.
        self.weight = weight
        #: Its place in the order of those who came; 0 if it does not wait for its turn.
        self.number = 0
        #: The virtual times at which its turn is, and its next one would be if it left now.
        self.start = 0
        self.finish = 0

    @property
    def is_waiting(self) -> bool:
        """Whether it is among those who wait for their turn."""
        return self.number > 0


class Turns(Generic[_T]):
    """Those who wait for their turn; those with the same virtual time in the order they came."""

    __slots__ = ("_count", "_heap", "_last_number", "_now")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Turn[_T]]] = []
        self._count = 0
        self._last_number = 0
        #: The virtual time: that of the one who had its turn last.
        self._now = 0

    def __len__(self) -> int:
        """Count those who wait for their turn."""
        return self._count

    @property
    def places(self) -> int:
        """How many places are in memory, of those who have left included."""
        return len(self._heap)

    def enter(self, turn: Turn[_T]) -> None:
        """Let one wait for its turn who does not."""
        self._count += 1
        self._push(turn, max(turn.finish, self._now))

    def leave(self, turn: Turn[_T]) -> None:
        """Let one wait no more."""
        turn.number = 0
        self._count -= 1
        if len(self._heap) > 2 * self._count + _LEFT_MAX:
            self._heap = [each for each in self._heap if each[1] == each[2].number]
            heapify(self._heap)

    def first(self) -> _T | None:
        """Return whose turn it is; None if nobody waits."""
        heap = self._heap
        while heap:
            _, number, turn = heap[0]
            if turn.number == number:
                return turn.of
            heappop(heap)
        return None

    def take(self, turn: Turn[_T], count: int = 1) -> None:
        """Count messages that one has got who waited for its turn; it waits for the next one."""
        self._now = max(self._now, turn.start)
        turn.finish = turn.start + count * (_STEP // turn.weight)
        if self._heap and self._heap[0][1] == turn.number:
            heappop(self._heap)
        self._push(turn, turn.finish)

    def is_idle(self, turn: Turn[_T]) -> bool:
        """Whether one has no claim, and owes nothing, that would have to be remembered."""
        return not turn.number and turn.finish <= self._now

    def _push(self, turn: Turn[_T], start: int) -> None:
        self._last_number += 1
        turn.number, turn.start = self._last_number, start
        heappush(self._heap, (start, turn.number, turn))
