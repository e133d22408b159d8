"""The messages of a queue that can be handed out, in their order."""

from collections import deque
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush, merge

from qmq.model.index import seq_of, size_of


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
        # Mostly it stands at the head.
        while self._returned and self._returned[0] in self._withdrawn:
            self._withdrawn.remove(heappop(self._returned))

    def head(self) -> int | None:
        """Return the first one, if any, and leave it."""
        if self._returned and (not self._fresh or self._returned[0] < self._fresh[0]):
            return self._returned[0]
        return self._fresh[0] if self._fresh else None

    def take(self) -> int:
        """Take the first one, of at least one."""
        if self._returned and (not self._fresh or self._returned[0] < self._fresh[0]):
            taken = heappop(self._returned)
            while self._returned and self._returned[0] in self._withdrawn:
                self._withdrawn.remove(heappop(self._returned))
        else:
            taken = self._fresh.popleft()
        self.bytes -= size_of(taken)
        return taken

    def clear(self) -> list[int]:
        """Take all, and return their sequence numbers in order."""
        seqs = [seq_of(entry) for entry in self]
        self._fresh.clear()
        self._returned.clear()
        self._withdrawn.clear()
        self.bytes = 0
        return seqs
