"""The messages of a queue that can be handed out, in their order."""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush, merge
from itertools import islice

from qmq.model.index import entry, seq_of, size_of, sizes_of


class Ready:
    """A line of entries (see `index`), the lowest sequence number first.

    Nearly all messages join at the end and leave at the head. Those that come back do so
    at their old place, which is before all that were never handed out.
    """

    __slots__ = ("_fresh", "_returned", "_withdrawn", "bytes")

    def __init__(self) -> None:
        #: Never handed out.
        self._fresh: deque[int] = deque()
        #: A heap of those that have come back.
        self._returned: list[int] = []
        #: Those in the heap that are not to be handed out after all.
        self._withdrawn: set[int] = set()
        #: What all of them take together.
        self.bytes = 0

    def __len__(self) -> int:
        """Count them."""
        return len(self._fresh) + len(self._returned) - len(self._withdrawn)

    def __iter__(self) -> Iterator[int]:
        """Go through them in order. The line must not change meanwhile."""
        if not self._returned:
            return iter(self._fresh)
        returned = sorted(entry for entry in self._returned if entry not in self._withdrawn)
        return merge(returned, self._fresh)

    @property
    def fresh(self) -> Sequence[int]:
        """Those that were never handed out, in order."""
        return self._fresh

    def append(self, entry: int) -> None:
        """Put one at the end, whose sequence number is the highest of all."""
        self._fresh.append(entry)
        self.bytes += size_of(entry)

    def extend(self, entries: Sequence[int], size: int) -> None:
        """Put several at the end, in order; `size` is what they take together."""
        self._fresh.extend(entries)
        self.bytes += size

    def put_back(self, entry: int) -> None:
        """Put one back that was handed out, at its old place."""
        self.bytes += size_of(entry)
        if entry in self._withdrawn:
            self._withdrawn.remove(entry)
        else:
            heappush(self._returned, entry)

    def withdraw(self, entry: int) -> None:
        """Take one out that was put back, wherever it stands."""
        self.bytes -= size_of(entry)
        self._withdrawn.add(entry)
        self._drop_withdrawn()

    def head(self) -> int | None:
        """Return the first one, if any, and leave it."""
        if self._returned and (not self._fresh or self._returned[0] < self._fresh[0]):
            return self._returned[0]
        return self._fresh[0] if self._fresh else None

    def take(self) -> int:
        """Take the first one, of at least one."""
        if self._returned and (not self._fresh or self._returned[0] < self._fresh[0]):
            taken = self._take_returned()
        else:
            taken = self._fresh.popleft()
        self.bytes -= size_of(taken)
        return taken

    def take_batch(self, count_max: int, bytes_max: int, cost: Callable[[int], int]) -> list[int]:
        """Take several from the head.

        Args:
            count_max: how many at most.
            bytes_max: what they may take in a reply; one is taken in any case.
            cost: what one takes there that has come back. A fresh one takes its size and
                the overhead that `cost` tells of the entry 0.
        """
        fresh, returned = self._fresh, self._returned
        overhead = cost(0)
        if not returned:
            # Nearly always, and all that are asked for fit.
            taken = list(islice(fresh, count_max))
            size_taken = sizes_of(taken)
            if size_taken + len(taken) * overhead <= bytes_max:
                for _ in taken:
                    fresh.popleft()
                self.bytes -= size_taken
                return taken
        taken = []
        left, size_taken = bytes_max, 0
        while len(taken) < count_max and (fresh or returned):
            is_fresh = not returned or (bool(fresh) and fresh[0] < returned[0])
            head = fresh[0] if is_fresh else returned[0]
            left -= size_of(head) + overhead if is_fresh else cost(head)
            if left < 0 and taken:
                break
            size_taken += size_of(head)
            taken.append(fresh.popleft() if is_fresh else self._take_returned())
        self.bytes -= size_taken
        return taken

    def _take_returned(self) -> int:
        taken = heappop(self._returned)
        self._drop_withdrawn()
        return taken

    def _drop_withdrawn(self) -> None:
        """See to it that the head of the heap is one to be handed out."""
        while self._returned and self._returned[0] in self._withdrawn:
            self._withdrawn.remove(heappop(self._returned))

    def between(self, first_seq: int, last_seq: int, count_max: int | None = None) -> list[int]:
        """Return those with sequence numbers in a range, in order, and leave them.

        Args:
            first_seq: the lowest number.
            last_seq: the highest number.
            count_max: return no more than so many, the first ones; None returns all.
        """
        fresh = self.fresh_between(first_seq, last_seq, count_max)
        if not self._returned:
            return fresh
        return list(islice(merge(fresh, self._returned_in(first_seq, last_seq)), count_max))

    def fresh_between(
        self, first_seq: int, last_seq: int, count_max: int | None = None
    ) -> list[int]:
        """Do the same with those alone that were never handed out."""
        start, end = self._fresh_range(first_seq, last_seq)
        if count_max is not None:
            end = min(end, start + count_max)
        size = len(self._fresh)
        # To reach a place in a deque takes a nanosecond and a half for each entry on the way.
        if end <= size - start:
            return list(islice(self._fresh, start, end))
        found = list(islice(reversed(self._fresh), size - end, size - start))
        found.reverse()
        return found

    def count_between(self, first_seq: int, last_seq: int) -> int:
        """Count those with sequence numbers in a range, its ends included."""
        start, end = self._fresh_range(first_seq, last_seq)
        return end - start + len(self._returned_in(first_seq, last_seq))

    def remove(self, entries: Sequence[int]) -> None:
        """Take out some, in order, that were never handed out, wherever they stand."""
        if not entries:
            return
        start, end = self._fresh_range(seq_of(entries[0]), seq_of(entries[-1]))
        leaving = set(entries)
        # Turning the line costs less than going through all that stand before.
        self._fresh.rotate(-start)
        staying = [
            each
            for each in (self._fresh.popleft() for _ in range(start, end))
            if each not in leaving
        ]
        self._fresh.extendleft(reversed(staying))
        self._fresh.rotate(start)
        self.bytes -= sum(map(size_of, entries))

    def _fresh_range(self, first_seq: int, last_seq: int) -> tuple[int, int]:
        """Return where those begin and end that were never handed out, of a range."""
        start = bisect_left(self._fresh, entry(first_seq, 0))
        return start, bisect_left(self._fresh, entry(last_seq + 1, 0), start)

    def _returned_in(self, first_seq: int, last_seq: int) -> list[int]:
        """Return those in a range that have come back, in order."""
        # What is sorted is a heap as well, and takes little to be sorted again.
        returned = self._returned
        returned.sort()
        start = bisect_left(returned, entry(first_seq, 0))
        end = bisect_left(returned, entry(last_seq + 1, 0))
        return [each for each in returned[start:end] if each not in self._withdrawn]

    def clear(self) -> list[int]:
        """Take all, and return them in order."""
        entries = list(self)
        self._fresh.clear()
        self._returned.clear()
        self._withdrawn.clear()
        self.bytes = 0
        return entries
