"""How long things take, counted by classes, for those who watch."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final

#: Upper bounds of the classes that are shown, in seconds.
_BOUNDS_S: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0
)  # fmt: skip

#: Into so many parts each of them is divided where quantiles are asked for, so that these are known
#: to about a tenth.
_PARTS: Final = 4

#: Upper bounds of all these, in seconds.
_FINE_S: Final[tuple[float, ...]] = (
    *(_BOUNDS_S[0] * part / _PARTS for part in range(1, _PARTS)),
    _BOUNDS_S[0],
    *(
        bound_s
        for low_s, high_s in pairwise(_BOUNDS_S)
        for bound_s in (
            *(low_s * (high_s / low_s) ** (part / _PARTS) for part in range(1, _PARTS)),
            high_s,
        )
    ),
)


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
        return list(zip(bounds, map(float, self._so_far()), strict=True))

    def _so_far(self) -> list[int]:
        """Return how many took no longer than each bound that is shown, and how many there were."""
        return [*accumulate(self._counts)]


class FineDurations(Durations):
    """The same in finer classes, for quantiles, and with the longest since somebody asked."""

    __slots__ = ("_longest_s",)

    def __init__(self) -> None:
        super().__init__()
        self._counts = [0] * (len(_FINE_S) + 1)
        self._longest_s = 0.0

    def note(self, took_s: float) -> None:
        """Count one that took so many seconds."""
        self._counts[bisect_left(_FINE_S, took_s)] += 1
        self.total_s += took_s
        self._longest_s = max(self._longest_s, took_s)

    @property
    def counts(self) -> tuple[int, ...]:
        """How many there were of each class, for `quantile_s`."""
        return tuple(self._counts)

    def take_longest_s(self) -> float:
        """Return the longest since this was last called, in seconds; 0 if there was none.

        One that is noted in this very moment may be left out; its class is counted all the same.
        """
        longest_s, self._longest_s = self._longest_s, 0.0
        return longest_s

    def _so_far(self) -> list[int]:
        so_far = super()._so_far()
        return [*so_far[_PARTS - 1 : -1 : _PARTS], so_far[-1]]


def quantile_s(counts: Sequence[int], share: float) -> float:
    """Return what a share of all took at most, in seconds; 0 if there were none.

    Args:
        counts: how many there were of each class, see `FineDurations.counts`.
        share: 0 to 1.
    """
    wanted = share * sum(counts)
    if not wanted:
        return 0.0
    below = 0
    for at, count in enumerate(counts):
        if count and below + count >= wanted:
            low_s = _FINE_S[at - 1] if at else 0.0
            high_s = _FINE_S[at] if at < len(_FINE_S) else low_s
            return low_s + (high_s - low_s) * (wanted - below) / count
        below += count
    return _FINE_S[-1]
