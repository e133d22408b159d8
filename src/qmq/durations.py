"""How long things take, counted by classes, for those who watch."""

from bisect import bisect_left
from itertools import accumulate
from typing import Final

#: Upper bounds of the classes, in seconds.
_BOUNDS_S: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0
)  # fmt: skip


class Durations:
    """How long each of many took. One thread notes, others may read."""

    __slots__ = ("_counts", "total_s")

    def __init__(self) -> None:
        #: By class: one for each bound, and one for all that took longer.
        self._counts = [0] * (len(_BOUNDS_S) + 1)
        #: What all of them took together, in seconds.
        self.total_s = 0.0

    def note(self, took_s: float) -> None:
        """Count one that took so many seconds."""
        self._counts[bisect_left(_BOUNDS_S, took_s)] += 1
        self.total_s += took_s

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self._counts)

    def buckets(self) -> list[tuple[str, float]]:
        """Return how many took no longer than each bound, as Prometheus has it.

        Returns:
            The bounds in seconds as text, from the lowest to "+Inf", each with that number.
        """
        bounds = (*map(str, _BOUNDS_S), "+Inf")
        return list(zip(bounds, map(float, accumulate(self._counts)), strict=True))
