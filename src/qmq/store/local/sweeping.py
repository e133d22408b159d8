"""What has left and still has a row, and which of it the next transaction removes.

A commit that removes messages writes their numbers into one row of the table gone, and leaves
their own rows where they are. Those are removed by and by, many at a time and in the order of
their numbers, so that rows that stand on the same page go together. To remove each by itself
would write a page or two for each where messages do not leave in the order in which they came.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from qmq.model.index import seqs_of, sizes_each, sizes_of

#: Messages that are sorted at once, which takes the event loop less than a millisecond.
_SORTED: Final = 2_000

#: Of so many neighbours in a run one is looked at to divide all of them into strips.
_SAMPLED: Final = 100

#: Such samples in a strip: about 2,000 messages, which are brought into order at once.
_STRIP_SAMPLES: Final = 20

#: Rows and bytes of messages that a transaction removes for which others wait, at least. They
#: delay it by a fraction of a millisecond.
_BESIDE_MIN: Final = 200
_BESIDE_BYTES_MIN: Final = 256 * 1024

#: So many times what has left since the last one goes as well, so that no load is too heavy.
_PACE: Final = 4

#: Rows and bytes that a transaction removes for which nobody waits: it takes some milliseconds,
#: for which somebody may have to wait who comes then.
_ALONE: Final = 2_000
_ALONE_BYTES: Final = 4 * 1024 * 1024

#: Rows of leases are so many times larger than those of messages, and rows of the table gone
#: are smaller, or fewer.
_LEASE_WEIGHT: Final = 4
_GONE_LIGHTNESS: Final = 4


class Patience(NamedTuple):
    """When rows of what has left are removed.

    That begins when they are at least so many, or so large, as `_min` says, and besides are half
    as many as what is there, or as many or as large as `_max` says. It also begins when nothing
    was written for a time.
    """

    messages_min: int = 10_000
    bytes_min: int = 8 * 1024 * 1024
    #: Each takes 12 bytes of memory, and 100 for a moment when q starts.
    messages_max: int = 500_000
    bytes_max: int = 1024 * 1024 * 1024
    #: Seconds.
    idle_s: float = 5


class Piece(NamedTuple):
    """What one transaction removes."""

    #: Sequence numbers of messages, whose rows and deliveries go.
    messages: "array[int]"
    #: Keys of rows of the table lease.
    leases: "array[int]"
    #: Sequence numbers of messages whose dedup_ids are forgotten.
    known: "array[int]"
    #: The rows of the table gone up to this number are of no use any more.
    through: int = 0


class _Run:
    """Messages in the order of their numbers."""

    __slots__ = ("at", "seqs", "sizes")

    def __init__(self, entries: Iterable[int]) -> None:
        ordered = sorted(entries)
        self.seqs = array("q", seqs_of(ordered))
        self.sizes = array("I", sizes_each(ordered))
        #: How many of them were taken.
        self.at = 0


class _Pile:
    """What is removed in one go, from the lowest number to the highest."""

    def __init__(
        self,
        runs: list[_Run],
        leases: "array[int]",
        known: "array[int]",
        first: int,
        through: int,
    ) -> None:
        self._runs = runs
        self._leases = array("q", sorted(leases))
        self._known = known
        #: The rows of the table gone that are of no use when all else is removed.
        self._first = first
        self._through = through
        samples: list[int] = []
        for run in runs:
            samples += run.seqs[_SAMPLED // 2 :: _SAMPLED]
        samples.sort()
        self._bounds = islice(samples, _STRIP_SAMPLES, None, _STRIP_SAMPLES)
        self._strip = array("q")
        #: What a message takes of those that came to the strip last, in bytes.
        self._size = 0

    def take(self, count: int, size: int) -> Piece | None:
        """Return the next of it, of about so many rows and bytes; None at the end."""
        while len(self._strip) < count and self._runs:
            self._cut()
        count_by_size = max(1, size // self._size) if self._size else count
        messages = self._strip[: min(count, count_by_size)]
        del self._strip[: len(messages)]
        leases = self._leases[: count // _LEASE_WEIGHT]
        known = self._known[:count]
        del self._leases[: len(leases)]
        del self._known[: len(known)]
        if messages or leases or known:
            return Piece(messages, leases, known)
        if self._first > self._through:
            return None
        self._first += count * _GONE_LIGHTNESS
        return Piece(messages, leases, known, min(self._first - 1, self._through))

    def _cut(self) -> None:
        """Take all that comes before the next bound from the runs."""
        bound = next(self._bounds, None)
        seqs: list[int] = []
        size = 0
        for run in self._runs:
            at = run.at
            run.at = len(run.seqs) if bound is None else bisect_left(run.seqs, bound, at)
            seqs += run.seqs[at : run.at]
            size += sum(run.sizes[at : run.at])
        if bound is None:
            self._runs.clear()
        if seqs:
            # They are runs again, which makes that fast.
            seqs.sort()
            self._strip.extend(seqs)
            self._size = size // len(seqs)


class Sweeper:
    """Remembers what has left and still has a row. Of the event loop's thread alone."""

    def __init__(self, patience: Patience | None = None) -> None:
        """Begin with nothing.

        Args:
            patience: when rows are removed.
        """
        self.patience = patience or Patience()
        #: How many messages there are, but for those that have left.
        self.live = 0
        #: The number of the newest row of the table gone.
        self.number = 0
        #: The number of the oldest one that may be there and is in no pile yet.
        self._first = 1
        #: What has left since it was last asked what a transaction removes besides.
        self._left: list[int] = []
        self._fresh: list[int] = []
        self._runs: list[_Run] = []
        self._leases = array("q")
        self._known = array("q")
        self._count = 0
        self._bytes = 0
        self._pile: _Pile | None = None

    def begin(self, live: int, first: int, last: int) -> None:
        """Take over a database.

        Args:
            live: how many messages there are, but for those that have left.
            first: the number of the oldest row of the table gone; 1 if there is none.
            last: the number of the newest one; 0 if there is none.
        """
        self.live = live
        self._first = first
        self.number = last

    def add(self, entries: Sequence[int]) -> int:
        """Remember messages, by their entries in the index; return what they take, in bytes."""
        size = sizes_of(entries)
        self._fresh += entries
        self._count += len(entries)
        self._bytes += size
        if len(self._fresh) >= _SORTED:
            self._sort()
        return size

    def leave(self, entries: Sequence[int]) -> None:
        """Remember messages that leave by the next transaction: it removes more, if it does any."""
        self._left += entries

    def add_leases(self, keys: Iterable[int]) -> None:
        """Remember rows of the table lease that are about nobody any more."""
        self._leases.extend(keys)

    def add_known(self, seqs: Iterable[int]) -> None:
        """Remember dedup_ids, by the numbers of their messages, of queues that are gone."""
        self._known.extend(seqs)

    def next_number(self) -> int:
        """Return the number of the next row of the table gone."""
        self.number += 1
        return self.number

    @property
    def count(self) -> int:
        """How many messages have left, but for those that are being removed."""
        return self._count + len(self._left)

    def is_empty(self) -> bool:
        """Whether there is nothing to remove."""
        return self._first > self.number and not (
            self._pile or self._left or self._count or self._leases or self._known
        )

    def beside(self, count: int, size: int, through: int) -> Piece | None:
        """Return what a transaction removes besides what it is for; None if it need not.

        Args:
            count: how many messages it adds.
            size: what they take, in bytes.
            through: the number of the newest row of the table gone to which nothing is added.
        """
        if self._left:
            count = max(count, len(self._left))
            size = max(size, self._take_note())
        if self._pile is None:
            if not self._is_due():
                return None
            self._begin_pile(through)
        return self._take(max(_BESIDE_MIN, _PACE * count), max(_BESIDE_BYTES_MIN, _PACE * size))

    def alone(self, through: int) -> Piece | None:
        """Return what a transaction removes for which nobody waits; None if there is nothing.

        Args:
            through: the number of the newest row of the table gone to which nothing is added.
        """
        self._take_note()
        piece = self._take(_ALONE, _ALONE_BYTES)
        if piece is None and not self.is_empty():
            self._begin_pile(through)
            piece = self._take(_ALONE, _ALONE_BYTES)
        return piece

    def _take_note(self) -> int:
        """Count what has just left, once a transaction; return what it takes, in bytes."""
        left = self._left
        self._left = []
        return self.add(left)

    def _take(self, count: int, size: int) -> Piece | None:
        piece = self._pile.take(count, size) if self._pile else None
        if piece is None:
            self._pile = None
        return piece

    def _is_due(self) -> bool:
        patience = self.patience
        count, size = self._count + len(self._leases) + len(self._known), self._bytes
        return (count >= patience.messages_min or size >= patience.bytes_min) and (
            count * 2 >= self.live or count >= patience.messages_max or size >= patience.bytes_max
        )

    def _begin_pile(self, through: int) -> None:
        self._sort()
        self._pile = _Pile(self._runs, self._leases, self._known, self._first, through)
        self._first = through + 1
        self._runs = []
        self._leases = array("q")
        self._known = array("q")
        self._count = self._bytes = 0

    def _sort(self) -> None:
        if self._fresh:
            self._runs.append(_Run(self._fresh))
            self._fresh = []
