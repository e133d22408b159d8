"""The messages of a queue that have a priority and were never handed out: a line for each.

Such a message is nothing but its entry (see `index`), so that it costs no more than one without a
priority. A heap of the lines' heads, 255 at most, tells which is handed out next; a heap of a
million messages would not fit the processor's caches.
"""

from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heappush, heappushpop
from itertools import groupby
from typing import Final

from qmq.model.index import entry, priority_of, seq_of
from qmq.model.line import Line
from qmq.model.standing import entry_of

#: A heap may hold so many heads of before, besides as many as there are lines.
_STALE_MAX: Final = 256


class Ranks:
    """Lines of entries, one for each priority but 0; which is first is decided by a key.

    The key of an entry has the entry in its low bits, see `standing`. An entry that comes is
    higher than all that ever came.
    """

    __slots__ = ("_by_age", "_count", "_key", "_lines", "_others", "first", "first_key")

    def __init__(self, key: Callable[[int], int]) -> None:
        """Begin with none.

        Args:
            key: by what an entry is ordered.
        """
        self._key = key
        #: Those that hold something, by priority.
        self._lines: dict[int, Line] = {}
        #: The line whose head is first by its key, and that key. For those in a hurry to look at.
        self.first: Line | None = None
        self.first_key = 0
        #: A heap: the keys of the heads of the other lines, and of heads that left before.
        self._others: list[int] = []
        #: A heap, once that was asked for: the heads of all lines by age, and some of before.
        self._by_age: list[int] | None = None
        self._count = 0

    def __len__(self) -> int:
        """Count the entries."""
        return self._count

    def __iter__(self) -> Iterator[int]:
        """Go through them, line after line."""
        return (each for line in self._lines.values() for each in line)

    def order_anew(self) -> None:
        """Take note that keys have changed."""
        self._by_age = None
        self._others = [self._key(line.head[0]) for line in self._lines.values()]
        heapify(self._others)
        self._choose_first()

    def append(self, entry: int) -> None:
        """Put one at the end of its line."""
        priority = priority_of(entry)
        line = self._lines.get(priority)
        self._count += 1
        if line is not None:
            line.append(entry)
            return
        line = self._lines[priority] = Line(priority)
        line.append(entry)
        key = self._key(entry)
        if self.first is None:
            self.first, self.first_key = line, key
        elif key < self.first_key:
            heappush(self._others, self.first_key)
            self.first, self.first_key = line, key
        else:
            heappush(self._others, key)
        if self._by_age is not None:
            self._note_age(entry)

    def oldest(self) -> int | None:
        """Return the one that came first, if there are any."""
        return line.head[0] if (line := self._oldest_line()) else None

    def _oldest_line(self) -> Line | None:
        if self._by_age is None:
            self._by_age = [line.head[0] for line in self._lines.values()]
            heapify(self._by_age)
        while self._by_age:
            line = self._headed_by(self._by_age[0])
            if line:
                return line
            heappop(self._by_age)
        return None

    def _headed_by(self, entry: int) -> Line | None:
        """Return the line that begins with an entry, if one does."""
        line = self._lines.get(priority_of(entry))
        return line if line and line.head[0] == entry else None

    def take(self) -> int:
        """Take the one that is first by its key, of at least one."""
        assert self.first is not None
        return self._take_from(self.first)

    def take_oldest(self) -> int:
        """Take the one that came first, of at least one."""
        line = self._oldest_line()
        assert line
        return self._take_from(line)

    def _take_from(self, line: Line) -> int:
        taken = line.popleft()
        self._has_left(line, 1)
        return taken

    def take_run(self, count_max: int, bytes_max: int, overhead: int) -> tuple[list[int], int]:
        """Take several from the line that has the first one by its key: see `Line.take`."""
        line = self.first
        assert line
        taken, size = line.take(count_max, bytes_max, overhead)
        if taken:
            self._has_left(line, len(taken))
        return taken, size

    def _has_left(self, line: Line, count: int) -> None:
        """Take note that so many were taken from the head of a line."""
        self._count -= count
        is_first = line is self.first
        if not line:
            del self._lines[line.priority]
            if is_first:
                self._choose_first()
            return
        head = line.head[0]
        key = self._key(head)
        if self._by_age is not None:
            self._note_age(head)
        if is_first:
            # It stays the first one always, as long as keys are by priority.
            self.first_key = heappushpop(self._others, key)
            if self.first_key != key:
                self.first = self._headed_by(entry_of(self.first_key))
                if self.first is None:
                    self._choose_first()
            return
        heappush(self._others, key)
        if len(self._others) > 2 * len(self._lines) + _STALE_MAX:
            self.order_anew()

    def _note_age(self, head: int) -> None:
        assert self._by_age is not None
        heappush(self._by_age, head)
        if len(self._by_age) > 2 * len(self._lines) + _STALE_MAX:
            # Most of them are of before.
            self._by_age = None

    def _choose_first(self) -> None:
        """Find out which line is first, where none is known to be."""
        self.first = None
        while self._others and self.first is None:
            self.first_key = heappop(self._others)
            self.first = self._headed_by(entry_of(self.first_key))

    def between(self, start: int, end: int, count_max: int | None) -> list[int]:
        """Return those from one entry up to before another, in order of arrival, and leave them.

        Args:
            start: the first one, whether it is here or not.
            end: what comes after the last one.
            count_max: return no more than so many, the first ones; None returns all.
        """
        found: list[int] = []
        for line in self._lines.values():
            found += line.between(start, end, count_max)
            if count_max is not None and len(found) > count_max:
                found.sort()
                del found[count_max:]
                # Of the other lines, only what came before that is of use.
                end = found[-1] if found else start
        found.sort()
        return found

    def holds(self, entry: int) -> bool:
        """Tell whether an entry is here."""
        line = self._lines.get(priority_of(entry))
        return line is not None and line.holds(entry)

    def count_between(self, start: int, end: int) -> int:
        """Count those from one entry up to before another, whether these are here or not."""
        return sum(line.count_between(start, end) for line in self._lines.values())

    def count_above(self, priority: int) -> int:
        """Count those that have a higher priority."""
        return sum(len(line) for each, line in self._lines.items() if each > priority)

    def count_before(self, waiting: int) -> int:
        """Count those of its priority that came before an entry, whether that is here or not."""
        line = self._lines.get(priority_of(waiting))
        return line.count_before(waiting) if line else 0

    def count_aged(self, waiting: int, ageing_ns: int) -> int:
        """Count those that go before an entry, where each step of priority is worth some time."""
        seq, priority = seq_of(waiting), priority_of(waiting)
        count = self.count_before(waiting)
        for other, line in self._lines.items():
            if other != priority:
                count += line.count_before(aged(seq, priority, other, ageing_ns))
        return count

    def remove(self, entries: Sequence[int]) -> None:
        """Take out some, in order, wherever they stand."""
        for priority, some in groupby(sorted(entries, key=priority_of), priority_of):
            line, leaving = self._lines[priority], list(some)
            line.remove(leaving)
            self._count -= len(leaving)
            if not line:
                del self._lines[priority]
        self.order_anew()


def aged(seq: int, priority: int, other: int, ageing_ns: int) -> int:
    """Return the entry before which those of another priority go before a message.

    Args:
        seq: the message's sequence number.
        priority: its priority.
        other: the other priority.
        ageing_ns: what a step of priority is worth.
    """
    stands_as = seq + (other - priority) * ageing_ns
    # Of two that stand as if they had come at the same moment, the one that really came first
    # goes first: that is the one of the lower priority.
    return entry(max(0, stands_as + (other < priority)), 0)
