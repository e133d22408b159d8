"""A long line of entries, in order: those at its ends as ints, those between them packed.

An entry (see `index`) takes 56 bytes as an int in a deque, and 12 when its number and its size
stand in arrays. Python's garbage collector, which looks at each int of a deque, knows nothing of
what is packed: among ten million ints, a full collection stopped q for 0.12 s.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice
from typing import Final

from qmq.model.index import entries_of, seq_of, seqs_of, sizes_each, sizes_of

#: Entries of one pack. To pack it, or to unpack it, takes a tenth of a millisecond.
PACK_ENTRIES: Final = 1_024

#: Of a pack, the share that is taken out one by one: to unpack it takes as long as that.
_FEW: Final = 1 / 8

#: The end of the line may hold so many before any are packed: most queues never do, and pay
#: nothing for this.
TAIL_ENTRIES_MAX: Final = 8 * PACK_ENTRIES

#: The same of a line for one priority, of which a queue may have 255.
RANKED_PACK_ENTRIES: Final = 256
RANKED_TAIL_ENTRIES_MAX: Final = 1_024


class Pack:
    """Entries of one priority that are out of reach for now, at least one."""

    __slots__ = ("_priority", "seqs", "sizes")

    def __init__(self, seqs: Sequence[int], sizes: Sequence[int], priority: int = 0) -> None:
        self._priority = priority
        self.seqs = array("Q", seqs)
        self.sizes = array("I", sizes)

    def __len__(self) -> int:
        """Count them."""
        return len(self.seqs)

    def entries(self, start: int = 0, end: int | None = None) -> list[int]:
        """Return them, or some by their places in the pack."""
        return entries_of(self.seqs[start:end], self.sizes[start:end], self._priority)

    def place(self, entry: int) -> int:
        """Return how many of them come before an entry, whether that is here or not."""
        seqs, seq = self.seqs, seq_of(entry)
        place = bisect_left(seqs, seq)
        if place < len(seqs) and seqs[place] == seq and self.entries(place, place + 1)[0] < entry:
            place += 1
        return place

    def remove(self, leaving: Sequence[int]) -> int:
        """Take out some of them, in order; return how many. Others may be among those named."""
        before = len(self.seqs)
        if len(leaving) > before * _FEW:
            gone = set(leaving)
            staying = [each for each in self.entries() if each not in gone]
            self.seqs, self.sizes = array("Q", seqs_of(staying)), array("I", sizes_each(staying))
        else:
            for seq in seqs_of(leaving):
                place = bisect_left(self.seqs, seq)
                if place < len(self.seqs) and self.seqs[place] == seq:
                    del self.seqs[place], self.sizes[place]
        return before - len(self.seqs)


class Line:
    """Entries of one priority in order, each higher than the one before it.

    They join at the end and leave at the head; to do so anywhere else is slow.
    """

    __slots__ = ("_pack_entries", "_packed", "_packs", "head", "priority", "tail", "tail_max")

    def __init__(self, priority: int = 0) -> None:
        #: That of all of them.
        self.priority = priority
        #: How many the tail may hold.
        self.tail_max = RANKED_TAIL_ENTRIES_MAX if priority else TAIL_ENTRIES_MAX
        self._pack_entries = RANKED_PACK_ENTRIES if priority else PACK_ENTRIES
        #: The first ones. There are none only if the line is empty, for which whoever takes from
        #: here has to see by `refill`. For those in a hurry.
        self.head: deque[int] = deque()
        #: The last ones: the same object, unless there are others in between. Whoever puts
        #: something here has to call `pack` when they are more than `tail_max`.
        self.tail = self.head
        self._packs: list[Pack] = []
        #: How many are packed.
        self._packed = 0

    def __len__(self) -> int:
        """Count them."""
        if self.head is self.tail:
            return len(self.head)
        return len(self.head) + self._packed + len(self.tail)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.head)

    def __iter__(self) -> Iterator[int]:
        """Go through them. The line must not change meanwhile."""
        if self.head is self.tail:
            return iter(self.head)
        packed = chain.from_iterable(pack.entries() for pack in self._packs)
        return chain(self.head, packed, self.tail)

    @property
    def packed_count(self) -> int:
        """How many are packed."""
        return self._packed

    def append(self, entry: int) -> None:
        """Put one at the end."""
        self.tail.append(entry)
        if len(self.tail) > self.tail_max:
            self.pack()

    def extend(self, entries: Iterable[int]) -> None:
        """Put several at the end."""
        self.tail.extend(entries)
        if len(self.tail) > self.tail_max:
            self.pack()

    def pack(self) -> None:
        """Pack what the end holds too much."""
        if self.head is self.tail:
            self.head = deque([self.tail.popleft() for _ in range(self._pack_entries)])
        popleft = self.tail.popleft
        while len(self.tail) > self.tail_max:
            some = [popleft() for _ in range(self._pack_entries)]
            self._put_packs(seqs_of(some), sizes_each(some))

    def extend_packed(self, seqs: Sequence[int], sizes: Sequence[int]) -> None:
        """Put several at the end that come one after the other, without making ints of them.

        Args:
            seqs: their sequence numbers.
            sizes: their sizes, in bytes.
        """
        if len(self) < self.tail_max:
            self.extend(entries_of(seqs, sizes, self.priority))
            return
        if self.head is self.tail:
            self.tail = deque()
        elif self.tail:
            last = list(self.tail)
            self.tail.clear()
            self._put_packs(seqs_of(last), sizes_each(last))
        self._put_packs(seqs, sizes)

    def _put_packs(self, seqs: Sequence[int], sizes: Sequence[int]) -> None:
        for start in range(0, len(seqs), self._pack_entries):
            end = start + self._pack_entries
            self._packs.append(Pack(seqs[start:end], sizes[start:end], self.priority))
        self._packed += len(seqs)

    def take(self, count_max: int, bytes_max: int, overhead: int) -> tuple[list[int], int]:
        """Take several from the head, as far as they fit into a reply.

        Args:
            count_max: how many at most.
            bytes_max: what they may take there.
            overhead: what each takes there besides its size.

        Returns:
            Those taken, and their sizes together.
        """
        front = self.reach(count_max)
        taken = list(islice(front, count_max))
        size = sizes_of(taken)
        if size + len(taken) * overhead > bytes_max:
            left = accumulate(
                sizes_each(taken), lambda left, size: left - size - overhead, initial=bytes_max
            )
            del taken[sum(each >= 0 for each in left) - 1 :]
            size = sizes_of(taken)
        for _ in taken:
            front.popleft()
        self.refill()
        return taken, size

    def popleft(self) -> int:
        """Take the first one, of at least one."""
        taken = self.head.popleft()
        if not self.head:
            self.refill()
        return taken

    def refill(self) -> None:
        """See to it that the head holds something, if anything is left."""
        if not self.head and self.head is not self.tail:
            self.reach(1)

    def reach(self, count: int) -> deque[int]:
        """Return the head, holding so many, or all that there are."""
        while len(self.head) < count and self.head is not self.tail:
            if self._packs:
                pack = self._packs.pop(0)
                self._packed -= len(pack)
                self.head.extend(pack.entries())
            elif len(self.tail) > len(self.head):
                self.tail.extendleft(reversed(self.head))
                self.head = self.tail
            else:
                self.head.extend(self.tail)
                self.tail = self.head
        return self.head

    def count_before(self, end: int) -> int:
        """Count those that come before an entry, whether that is here or not."""
        count = bisect_left(self.head, end)
        if count < len(self.head) or self.head is self.tail:
            return count
        place = self._place_of(end)
        count += sum([len(pack.seqs) for pack in islice(self._packs, place)])
        if place < len(self._packs):
            return count + self._packs[place].place(end)
        return count + bisect_left(self.tail, end)

    def count_between(self, start: int, end: int) -> int:
        """Count those from one entry up to before another, whether these are here or not."""
        return max(0, self.count_before(end) - self.count_before(start))

    def _place_of(self, entry: int) -> int:
        """Return where the first pack is that does not end before an entry."""
        return bisect_left(self._packs, seq_of(entry), key=_last_seq)

    def holds(self, entry: int) -> bool:
        """Tell whether an entry is here."""
        return bool(self.between(entry, entry + 1))

    def between(self, start: int, end: int, count_max: int | None = None) -> list[int]:
        """Return those from one entry up to before another, whether these are here or not.

        Args:
            start: the first one.
            end: what comes after the last one.
            count_max: return no more than so many, the first ones; None returns all.
        """
        found = _between(self.head, start, end, count_max)
        if self.head is self.tail:
            return found
        for pack in islice(self._packs, self._place_of(start), None):
            if pack.seqs[0] > seq_of(end) or (count_max is not None and len(found) >= count_max):
                return found[:count_max]
            found += pack.entries(pack.place(start), pack.place(end))
        found += _between(self.tail, start, end, count_max)
        return found[:count_max]

    def remove(self, leaving: Sequence[int]) -> None:
        """Take out some, in order, of at least one, wherever they stand."""
        gone, first, last = set(leaving), leaving[0], leaving[-1]
        _remove(self.head, gone, first, last)
        if self.head is self.tail:
            return
        _remove(self.tail, gone, first, last)
        at, packs = 0, self._packs
        # Packs between, of which none leaves, may be nearly all of the line.
        while at < len(leaving) and (place := self._place_of(leaving[at])) < len(packs):
            end = bisect_right(leaving, packs[place].seqs[-1], at, key=seq_of)
            self._packed -= packs[place].remove(leaving[at:end])
            if not packs[place]:
                del packs[place]
            at = end
        self.refill()

    def clear(self) -> None:
        """Take all."""
        self.head.clear()
        self.tail = self.head
        self._packs.clear()
        self._packed = 0


def _last_seq(pack: Pack) -> int:
    return pack.seqs[-1]


def _between(some: deque[int], start: int, end: int, count_max: int | None) -> list[int]:
    """Return those of a deque from one entry up to before another, so many at most."""
    first = bisect_left(some, start)
    last = bisect_left(some, end, first)
    if count_max is not None:
        last = min(last, first + count_max)
    return list(islice(some, first, last))


def _remove(some: deque[int], gone: set[int], first: int, last: int) -> None:
    """Take those out of a deque that have gone; they are between two entries."""
    start = bisect_left(some, first)
    end = bisect_left(some, last + 1, start)
    if start == end:
        return
    # Turning it costs less than going through all that stand before.
    some.rotate(-start)
    staying = [each for each in (some.popleft() for _ in range(start, end)) if each not in gone]
    some.extendleft(reversed(staying))
    some.rotate(start)
