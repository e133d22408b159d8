"""The messages of a queue that can be handed out, in their order."""

from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from itertools import chain, islice

from qmq.model.index import entry, priority_of, seq_of, size_of, sizes_of
from qmq.model.line import Line
from qmq.model.ranks import Ranks, aged
from qmq.model.standing import ENTRY_BITS, Standing, entry_of


class Ready:
    """A line of entries (see `index`): those of the highest priority first, in order of arrival.

    Nearly all messages have priority 0, join at the end and leave at the head. Messages of another
    priority do so in lines of their own. A message that comes back takes its old place, before all
    of its priority that were never handed out: such messages stand in a heap, ordered by a key,
    which is the entry itself where nothing else counts.
    """

    __slots__ = ("_ageing_ns", "_fresh", "_ranks", "_returned", "bytes")

    def __init__(self) -> None:
        #: Never handed out, and nothing is known of them: without priority.
        self._fresh = Line()
        #: The same with a priority; None as long as there never were any.
        self._ranks: Ranks | None = None
        #: The others.
        self._returned = Standing()
        self._ageing_ns = 0
        #: What all of them take together.
        self.bytes = 0

    def __len__(self) -> int:
        """Count them."""
        # Nearly always there are no others, and every call asks.
        if self._ranks is None and not self._returned.keys:
            return len(self._fresh)
        return len(self._fresh) + len(self._ranks or ()) + len(self._returned)

    def __iter__(self) -> Iterator[int]:
        """Go through them in order. The line must not change meanwhile."""
        if not self._returned.keys and not self._ranks:
            return iter(self._fresh)
        others = sorted(chain(map(self.key, self._ranks or ()), self._returned))
        return map(entry_of, merge(others, map(self._fresh_key, self._fresh)))

    @property
    def fresh(self) -> Iterator[int]:
        """Those that were never handed out, in order of arrival. They must not change meanwhile."""
        return merge(self._fresh, sorted(self._ranks)) if self._ranks else iter(self._fresh)

    def oldest_fresh(self) -> int | None:
        """Return which of these came first, if there are any."""
        plain = self._fresh.head[0] if self._fresh.head else None
        ranked = self._ranks.oldest() if self._ranks else None
        if plain is None or ranked is None:
            return ranked if plain is None else plain
        return min(plain, ranked)

    def key(self, entry: int) -> int:
        """Return by what an entry is ordered: the lowest one is handed out first."""
        priority = priority_of(entry)
        if self._ageing_ns:
            return (seq_of(entry) - priority * self._ageing_ns) << ENTRY_BITS | entry
        return -priority << ENTRY_BITS | entry

    def _fresh_key(self, entry: int) -> int:
        return self.key(entry) if self._ageing_ns else entry

    def set_ageing(self, ageing_ns: int) -> bool:
        """Let entries stand as if they had come so much earlier for each step of priority.

        Args:
            ageing_ns: 0 puts those of low priority behind all others, whenever they came.

        Returns:
            Whether that changes anything.
        """
        if ageing_ns == self._ageing_ns:
            return False
        returned = list(map(entry_of, self._returned))
        self._ageing_ns = ageing_ns
        self._returned.replace([self.key(entry) for entry in returned])
        if self._ranks:
            self._ranks.order_anew()
        return True

    def append(self, entry: int) -> None:
        """Put one without priority at the end, whose sequence number is the highest of all."""
        fresh = self._fresh
        tail = fresh.tail
        tail.append(entry)
        if len(tail) > fresh.tail_max:
            fresh.pack()
        self.bytes += size_of(entry)

    def append_ranked(self, entry: int) -> None:
        """Put one that has a priority behind all others of that; its number is the highest."""
        if self._ranks is None:
            self._ranks = Ranks(self.key)
        self._ranks.append(entry)
        self.bytes += size_of(entry)

    def extend(self, entries: Sequence[int], size: int) -> None:
        """Put several without priority at the end, in order; `size` is what they take together."""
        self._fresh.extend(entries)
        self.bytes += size

    def extend_packed(self, seqs: Sequence[int], sizes: Sequence[int]) -> None:
        """Put very many at the end that come one after the other, given their numbers and sizes."""
        self._fresh.extend_packed(seqs, sizes)
        self.bytes += sum(sizes)

    def put_back(self, entry: int) -> None:
        """Put one at the place that it has by its priority and its arrival."""
        self.bytes += size_of(entry)
        self._returned.put(self.key(entry))

    def withdraw(self, entry: int) -> None:
        """Take one out that was put back, wherever it stands."""
        self.bytes -= size_of(entry)
        self._returned.withdraw(self.key(entry))

    def head(self) -> int | None:
        """Return the first one, if any, and leave it."""
        key = self.head_key()
        return None if key is None else entry_of(key)

    def head_key(self) -> int | None:
        """Return its key."""
        if self._ranks is not None and self._is_ranked_first():
            return self._ranks.first_key
        if self._is_returned_first():
            return self._returned.keys[0]
        head = self._fresh.head
        return self._fresh_key(head[0]) if head else None

    def _is_ranked_first(self) -> bool:
        """Whether the head of a priority's line is the head of all."""
        ranks, returned = self._ranks, self._returned.keys
        if ranks is None or ranks.first is None:
            return False
        key = ranks.first_key
        if returned and returned[0] < key:
            return False
        return not (self._ageing_ns and self._fresh and self.key(self._fresh.head[0]) < key)

    def _is_returned_first(self) -> bool:
        """Whether the head of the heap is, where that is in no priority's line."""
        returned = self._returned.keys
        if not returned or not self._fresh:
            return bool(returned)
        return returned[0] < self._fresh_key(self._fresh.head[0])

    def take(self) -> int:
        """Take the first one, of at least one."""
        if self._ranks is not None and self._is_ranked_first():
            taken = self._ranks.take()
        elif self._is_returned_first():
            taken = self._returned.take()
        else:
            fresh = self._fresh
            taken = fresh.head.popleft()
            if not fresh.head:
                fresh.refill()
        self.bytes -= size_of(taken)
        return taken

    def take_fresh(self) -> int:
        """Take the oldest entry that was never handed out; there must be one."""
        head, ranks = self._fresh.head, self._ranks
        oldest = ranks.oldest() if ranks else None
        if ranks and oldest is not None and not (head and head[0] < oldest):
            taken = ranks.take_oldest()
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
        fresh, returned, ranks = self._fresh, self._returned, self._ranks
        if count_max == 1:
            return [self.take()] if fresh or ranks or returned.keys else []
        taken: list[int] = []
        size = 0
        if returned.keys or (ranks and self._ageing_ns):
            taken, size = self._take_one_by_one(count_max, bytes_max, cost)
        elif ranks:
            taken, size = self._take_runs(ranks, count_max, bytes_max, cost(0))
        elif fresh:
            # Nearly always.
            taken, size = fresh.take(count_max, bytes_max, cost(0))
        self.bytes -= size
        if taken or not count_max or not (fresh or ranks or returned.keys):
            return taken
        # The first one is taken also where it does not fit.
        return [self.take()]

    def _take_runs(
        self, ranks: Ranks, count_max: int, bytes_max: int, overhead: int
    ) -> tuple[list[int], int]:
        """Take some, line after line, where none has come back."""
        taken: list[int] = []
        size = 0
        while len(taken) < count_max and (ranks or self._fresh):
            take = ranks.take_run if ranks else self._fresh.take
            left = bytes_max - size - len(taken) * overhead
            some, some_size = take(count_max - len(taken), left, overhead)
            if not some:
                break
            taken += some
            size += some_size
        return taken, size

    def _take_one_by_one(
        self, count_max: int, bytes_max: int, cost: Callable[[int], int]
    ) -> tuple[list[int], int]:
        """Take some, each from where the first one stands."""
        fresh, returned, ranks = self._fresh, self._returned, self._ranks
        taken: list[int] = []
        left, size, overhead = bytes_max, 0, cost(0)
        while len(taken) < count_max and (fresh or returned.keys or ranks):
            is_returned = False
            if ranks is not None and ranks.first and self._is_ranked_first():
                head, take = ranks.first.head[0], ranks.take
            elif is_returned := self._is_returned_first():
                head, take = entry_of(returned.keys[0]), returned.take
            else:
                head, take = fresh.head[0], fresh.popleft
            left -= cost(head) if is_returned else size_of(head) + overhead
            if left < 0:
                break
            size += size_of(head)
            taken.append(take())
        return taken, size

    def take_fresh_until(self, last_seq: int, count_max: int) -> list[int]:
        """Take those that were never handed out and came no later than that, the oldest first.

        Args:
            last_seq: the highest sequence number.
            count_max: how many at most.
        """
        taken: list[int] = []
        end = entry(last_seq + 1, 0)
        while len(taken) < count_max:
            oldest = self.oldest_fresh()
            if oldest is None or oldest >= end:
                break
            taken.append(self.take_fresh())
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
        start, end = entry(first_seq, 0), entry(last_seq + 1, 0)
        plain = self._fresh.between(start, end, count_max)
        if not self._ranks:
            return plain
        return list(islice(merge(plain, self._ranks.between(start, end, count_max)), count_max))

    def holds_fresh(self, entry: int) -> bool:
        """Tell whether one is here that was never handed out."""
        if priority_of(entry):
            return self._ranks is not None and self._ranks.holds(entry)
        return self._fresh.holds(entry)

    def count_between(self, first_seq: int, last_seq: int) -> int:
        """Count those with sequence numbers in a range, its ends included."""
        start, end = entry(first_seq, 0), entry(last_seq + 1, 0)
        count = self._fresh.count_between(start, end)
        if self._ranks:
            count += self._ranks.count_between(start, end)
        return count + len(self._returned.entries_between(first_seq, last_seq))

    def count_before(self, waiting: int) -> int:
        """Count those that are handed out before one of them."""
        count = self._returned.count_before(self.key(waiting))
        priority, ageing_ns, ranks = priority_of(waiting), self._ageing_ns, self._ranks
        if not priority:
            count += self._fresh.count_before(waiting)
        elif ageing_ns:
            count += self._fresh.count_before(aged(seq_of(waiting), priority, 0, ageing_ns))
        if not ranks:
            return count
        if ageing_ns:
            return count + ranks.count_aged(waiting, ageing_ns)
        return count + ranks.count_above(priority) + ranks.count_before(waiting)

    def remove(self, entries: Sequence[int]) -> None:
        """Take out some, in order, that were never handed out, wherever they stand."""
        plain = [each for each in entries if not priority_of(each)]
        if plain:
            self._fresh.remove(plain)
        if self._ranks and len(plain) < len(entries):
            self._ranks.remove([each for each in entries if priority_of(each)])
        self.bytes -= sizes_of(entries)

    def clear(self) -> list[int]:
        """Take all, and return them in order."""
        entries = list(self)
        self._fresh.clear()
        self._returned.clear()
        self._ranks = None
        self.bytes = 0
        return entries
