"""A line of entries that are ordered by more than their arrival."""

from bisect import bisect_left
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Final

from qmq.model.index import entry

#: Bits of an entry in a key; above them is what the key is ordered by first.
ENTRY_BITS: Final = 104
_ENTRY_MASK: Final = (1 << ENTRY_BITS) - 1

#: The heap may hold so many that were withdrawn, besides as many as others.
_WITHDRAWN_MAX: Final = 1_024


def entry_of(key: int) -> int:
    """Return the entry (see `index`) in a key."""
    return key & _ENTRY_MASK


class Standing:
    """A heap of keys, from which one can be withdrawn wherever it stands.

    A key is an entry in its low bits, and what is ordered by first above them; with nothing
    there it is the entry itself.
    """

    __slots__ = ("_withdrawn", "keys")

    def __init__(self) -> None:
        #: A heap; the first one, if any, is not withdrawn. For those in a hurry to look at.
        self.keys: list[int] = []
        #: Those in it that are not to be handed out after all.
        self._withdrawn: set[int] = set()

    def __len__(self) -> int:
        """Count them."""
        return len(self.keys) - len(self._withdrawn)

    def __iter__(self) -> Iterator[int]:
        """Go through the keys, in no order. The line must not change meanwhile."""
        if not self._withdrawn:
            return iter(self.keys)
        return (key for key in self.keys if key not in self._withdrawn)

    def put(self, key: int) -> None:
        """Put one where it belongs."""
        if key in self._withdrawn:
            self._withdrawn.remove(key)
        else:
            heappush(self.keys, key)

    def withdraw(self, key: int) -> None:
        """Take one out that is there, wherever it stands."""
        self._withdrawn.add(key)
        self._drop_withdrawn()
        if len(self._withdrawn) > len(self.keys) // 2 + _WITHDRAWN_MAX:
            # Behind one at the head that stays, they would become more and more.
            self.replace([each for each in self.keys if each not in self._withdrawn])

    def head(self) -> int | None:
        """Return the entry that is first, if any, and leave it."""
        return entry_of(self.keys[0]) if self.keys else None

    def take(self) -> int:
        """Take the first one, of at least one, and return its entry."""
        taken = heappop(self.keys)
        if self._withdrawn:
            self._drop_withdrawn()
        return entry_of(taken)

    def replace(self, keys: list[int]) -> None:
        """Hold these keys, in no order, and no others; the list is the line's from now on."""
        self.keys = keys
        self._withdrawn.clear()
        heapify(keys)

    def entries_between(self, first_seq: int, last_seq: int) -> list[int]:
        """Return the entries with sequence numbers in a range, in the order of these."""
        # What is sorted is a heap as well, and takes little to be sorted again.
        keys = self.keys
        keys.sort()
        start = entry(first_seq, 0)
        if keys and (keys[0] < 0 or keys[-1] >> ENTRY_BITS):
            # By their keys, they stand in another order.
            end = entry(last_seq + 1, 0)
            return sorted(each for each in map(entry_of, self) if start <= each < end)
        found = keys[bisect_left(keys, start) : bisect_left(keys, entry(last_seq + 1, 0))]
        return [each for each in found if each not in self._withdrawn]

    def count_before(self, key: int) -> int:
        """Count those that stand before a key."""
        return sum(each < key for each in self)

    def clear(self) -> None:
        """Take all out."""
        self.keys.clear()
        self._withdrawn.clear()

    def _drop_withdrawn(self) -> None:
        """See to it that the head of the heap is one to be handed out."""
        while self.keys and self.keys[0] in self._withdrawn:
            self._withdrawn.remove(heappop(self.keys))
