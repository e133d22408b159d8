"""What a queue remembers of the messages that were added with a dedup_id."""

from collections import deque
from collections.abc import Iterator
from itertools import islice, takewhile
from typing import NamedTuple


class Known(NamedTuple):
    """A message that was added with a dedup_id; it may have left since."""

    #: Its sequence number.
    seq: int
    dedup_id: str
    #: Its metadata as it stands in its envelope: field 1 of a `proto.Message`.
    meta: bytes
    #: Until when it is remembered, by the clock that nobody sets.
    expires_ns: int


class Dedup:
    """The messages of one queue that were added with a dedup_id not long ago."""

    def __init__(self) -> None:
        self._by_id: dict[str, Known] = {}
        #: All of them, in order of arrival; also those whose id another one has by now.
        self._known: deque[Known] = deque()

    def __len__(self) -> int:
        """Count what is remembered, also what is to be forgotten by the next Add."""
        return len(self._known)

    def __iter__(self) -> Iterator[Known]:
        """Go through it in order of arrival. It must not change meanwhile."""
        return iter(self._known)

    def find(self, dedup_id: str, now_ns: int) -> Known | None:
        """Return the message that has an id, if it is still remembered."""
        known = self._by_id.get(dedup_id)
        return known if known and known.expires_ns > now_ns else None

    def add(self, known: Known) -> None:
        """Remember a message whose id `find` does not know."""
        self._by_id[known.dedup_id] = known
        self._known.append(known)

    def outdated(self, now_ns: int, count_max: int) -> int:
        """Count those that `forget` would forget."""
        oldest = takewhile(lambda known: known.expires_ns <= now_ns, self._known)
        return sum(1 for _ in islice(oldest, count_max))

    def forget(self, now_ns: int, count_max: int) -> list[int]:
        """Forget the oldest whose time is over, and return their sequence numbers.

        After the window has become shorter, some wait for older ones to be forgotten first.
        """
        forgotten: list[int] = []
        while self._known and len(forgotten) < count_max:
            known = self._known[0]
            if known.expires_ns > now_ns:
                break
            self._known.popleft()
            forgotten.append(known.seq)
            if self._by_id.get(known.dedup_id) is known:
                del self._by_id[known.dedup_id]
        return forgotten

    def drop_all(self) -> list[int]:
        """Forget all, and return their sequence numbers."""
        seqs = [known.seq for known in self._known]
        self._known.clear()
        self._by_id.clear()
        return seqs

    def next_ns(self, now_ns: int) -> int | None:
        """Return when the next one is forgotten whose time is not over; None if there is none."""
        return next((each.expires_ns for each in self._known if each.expires_ns > now_ns), None)
