"""The messages of a queue that can be handed out, in their order."""

from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from itertools import islice

from qmq.model.index import entry, seq_of, size_of, sizes_of
from qmq.model.line import TAIL_ENTRIES_MAX, Line
from qmq.model.standing import ENTRY_BITS, Standing, entry_of


class Ready:
    """A line of entries (see `index`): those of the highest priority first, in order of arrival.

    Nearly all messages have priority 0, join at the end and leave at the head. Those that come
    back do so at their old place, which is before all that were never handed out. They stand in
    a heap, as those do that have a priority: ordered by a key, which is the entry itself where
    nothing else counts.
    """

    __slots__ = ("_ageing_ns", "_fresh", "_returned", "bytes")

    def __init__(self) -> None:
        #: Never handed out, and nothing is known of them: without priority.
        self._fresh = Line()
        #: The others.
        self._returned = Standing()
        self._ageing_ns = 0
        #: What all of them take together.
        self.bytes = 0

    def __len__(self) -> int:
        """Count them."""
        # Nearly always there are no others, and every call asks.
        return len(self._fresh) + len(self._returned) if self._returned.keys else len(self._fresh)

    def __iter__(self) -> Iterator[int]:
        """Go through them in order. The line must not change meanwhile."""
        if not self._returned.keys:
            return iter(self._fresh)
        return map(entry_of, merge(sorted(self._returned), map(self._fresh_key, self._fresh)))

    @property
    def fresh(self) -> Line:
        """Those that were never handed out, in order."""
        return self._fresh

    def key(self, entry: int, priority: int) -> int:
        """Return by what an entry is ordered: the lowest one is handed out first."""
        if self._ageing_ns:
            return (seq_of(entry) - priority * self._ageing_ns) << ENTRY_BITS | entry
        return -priority << ENTRY_BITS | entry

    def _fresh_key(self, entry: int) -> int:
        return self.key(entry, 0) if self._ageing_ns else entry

    def set_ageing(self, ageing_ns: int, priority_of: Callable[[int], int]) -> bool:
        """Let entries stand as if they had come so much earlier for each step of priority.

        Args:
            ageing_ns: 0 puts those of low priority behind all others, whenever they came.
            priority_of: tells the priority of an entry that has come back, or has one.

        Returns:
            Whether that changes anything.
        """
        if ageing_ns == self._ageing_ns:
            return False
        returned = list(map(entry_of, self._returned))
        self._ageing_ns = ageing_ns
        self._returned.replace([self.key(entry, priority_of(entry)) for entry in returned])
        return True

    def append(self, entry: int) -> None:
        """Put one at the end, whose sequence number is the highest of all."""
        tail = self._fresh.tail
        tail.append(entry)
        if len(tail) > TAIL_ENTRIES_MAX:
            self._fresh.pack()
        self.bytes += size_of(entry)

    def extend(self, entries: Sequence[int], size: int) -> None:
        """Put several at the end, in order; `size` is what they take together."""
        self._fresh.extend(entries)
        self.bytes += size

    def extend_packed(self, seqs: Sequence[int], sizes: Sequence[int]) -> None:
        """Put very many at the end that come one after the other, given their numbers and sizes."""
        self._fresh.extend_packed(seqs, sizes)
        self.bytes += sum(sizes)

    def put_back(self, entry: int, priority: int = 0) -> None:
        """Put one at the place that it has by its priority and its arrival."""
        self.bytes += size_of(entry)
        self._returned.put(self.key(entry, priority))

    def withdraw(self, entry: int, priority: int = 0) -> None:
        """Take one out that was put back, wherever it stands."""
        self.bytes -= size_of(entry)
        self._returned.withdraw(self.key(entry, priority))

    def head(self) -> int | None:
        """Return the first one, if any, and leave it."""
        key = self.head_key()
        return None if key is None else entry_of(key)

    def head_key(self) -> int | None:
        """Return its key."""
        if self._is_returned_first():
            return self._returned.keys[0]
        head = self._fresh.head
        return self._fresh_key(head[0]) if head else None

    def take(self) -> int:
        """Take the first one, of at least one."""
        if self._is_returned_first():
            taken = self._returned.take()
        else:
            fresh = self._fresh
            taken = fresh.head.popleft()
            if not fresh.head:
                fresh.refill()
        self.bytes -= size_of(taken)
        return taken

    def take_fresh(self) -> int:
        """Take the oldest one, of at least one, of those that were never handed out."""
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
        if count_max == 1:
            return [self.take()] if fresh or returned.keys else []
        overhead = cost(0)
        if not returned.keys:
            # Nearly always, and all that are asked for fit.
            front = fresh.reach(count_max)
            taken = list(islice(front, count_max))
            size_taken = sizes_of(taken)
            if size_taken + len(taken) * overhead <= bytes_max:
                for _ in taken:
                    front.popleft()
                fresh.refill()
                self.bytes -= size_taken
                return taken
        taken = []
        left, size_taken = bytes_max, 0
        while len(taken) < count_max and (fresh or returned.keys):
            is_fresh = not self._is_returned_first()
            head = fresh.head[0] if is_fresh else entry_of(returned.keys[0])
            left -= size_of(head) + overhead if is_fresh else cost(head)
            if left < 0 and taken:
                break
            size_taken += size_of(head)
            taken.append(fresh.popleft() if is_fresh else returned.take())
        self.bytes -= size_taken
        return taken

    def _is_returned_first(self) -> bool:
        """Whether the head of the heap is the head of the line."""
        returned = self._returned.keys
        if not returned or not self._fresh:
            return bool(returned)
        return returned[0] < self._fresh_key(self._fresh.head[0])

    def take_fresh_until(self, last_seq: int, count_max: int) -> list[int]:
        """Take those that were never handed out and came no later than that, the oldest first.

        Args:
            last_seq: the highest sequence number.
            count_max: how many at most.
        """
        taken: list[int] = []
        end = entry(last_seq + 1, 0)
        while len(taken) < count_max and self._fresh and self._fresh.head[0] < end:
            taken.append(self._fresh.popleft())
        self.bytes -= sizes_of(taken)
        return taken

    def between(self, first_seq: int, last_seq: int, count_max: int | None = None) -> list[int]:
        """Return those with sequence numbers in a range, in order, and leave them.

        Args:
            first_seq: the lowest number.
            last_seq: the highest number.
            count_max: return no more than so many, the first ones; None returns all.
        """
        fresh = self.fresh_between(first_seq, last_seq, count_max)
        if not self._returned.keys:
            return fresh
        returned = self._returned.entries_between(first_seq, last_seq)
        return list(islice(merge(fresh, returned), count_max))

    def fresh_between(
        self, first_seq: int, last_seq: int, count_max: int | None = None
    ) -> list[int]:
        """Do the same with those alone that were never handed out."""
        return self._fresh.between(entry(first_seq, 0), entry(last_seq + 1, 0), count_max)

    def count_between(self, first_seq: int, last_seq: int) -> int:
        """Count those with sequence numbers in a range, its ends included."""
        start, end = entry(first_seq, 0), entry(last_seq + 1, 0)
        fresh = self._fresh.count_before(end) - self._fresh.count_before(start)
        return max(0, fresh) + len(self._returned.entries_between(first_seq, last_seq))

    def count_before(self, waiting: int, priority: int) -> int:
        """Count those that are handed out before one of them."""
        returned = self._returned.count_before(self.key(waiting, priority))
        if not priority:
            return returned + self._fresh.count_before(waiting)
        if not self._ageing_ns:
            return returned
        # It stands as if it had come earlier, and behind those that came at that very moment.
        stands_as = max(0, seq_of(waiting) - priority * self._ageing_ns + 1)
        return returned + self._fresh.count_before(entry(stands_as, 0))

    def remove(self, entries: Sequence[int]) -> None:
        """Take out some, in order, that were never handed out, wherever they stand."""
        if not entries:
            return
        self._fresh.remove(entries)
        self.bytes -= sum(map(size_of, entries))

    def clear(self) -> list[int]:
        """Take all, and return them in order."""
        entries = list(self)
        self._fresh.clear()
        self._returned.clear()
        self.bytes = 0
        return entries
