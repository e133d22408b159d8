"""How long commits took lately, from counts that exist anyway.

What is measured is one addition a commit. Every few seconds the counts are read here, and their
growth is a step. So knowing the last minutes costs commits nothing.
"""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import starmap
from operator import sub
from typing import Final, NamedTuple

from qmq.condition import CommitTimes, Spell
from qmq.durations import FineDurations, quantile_s
from qmq.values import NS_PER_S

#: Steps that are remembered, and those of them that are the last minute, of five seconds each.
_STEPS_MAX: Final = 24
_LATELY: Final = 12

#: Nanoseconds that a step takes at least: a look so soon after another one says nothing.
_STEP_NS_MIN: Final = NS_PER_S


class _Step(NamedTuple):
    """What came between two looks."""

    #: By the clock that nobody sets.
    ended_ns: int
    window_ns: int
    counts: tuple[int, ...]
    longest_s: float


class Lately:
    """The steps of one journal."""

    def __init__(self, passed_ns: Callable[[], int]) -> None:
        """Begin with none.

        Args:
            passed_ns: a clock that nobody sets, in nanoseconds.
        """
        self._passed_ns = passed_ns
        self._since_ns = passed_ns()
        self._counts: tuple[int, ...] = ()
        self._durations: FineDurations | None = None
        self._steps: deque[_Step] = deque(maxlen=_STEPS_MAX)

    def look(self, durations: FineDurations) -> None:
        """End a step: look at how much the counts have grown."""
        now_ns, counts = self._passed_ns(), durations.counts
        if now_ns - self._since_ns < _STEP_NS_MIN:
            return
        if durations is not self._durations:
            # Those of another journal, which has begun to count.
            self._durations, self._counts = durations, (0,) * len(counts)
        grown = tuple(starmap(sub, zip(counts, self._counts, strict=True)))
        step = _Step(now_ns, now_ns - self._since_ns, grown, durations.take_longest_s())
        self._steps.append(step)
        self._since_ns, self._counts = now_ns, counts

    def times(self, now_ns: int) -> CommitTimes:
        """Return what is known.

        Args:
            now_ns: the machine's time, by which moments are told.
        """
        ahead_ns = now_ns - self._passed_ns()
        steps = [*self._steps]
        return CommitTimes(
            lately=_together(steps[-_LATELY:], ahead_ns),
            steps=tuple(_together([step], ahead_ns) for step in steps),
        )


def _together(steps: Sequence[_Step], ahead_ns: int) -> Spell:
    if not steps:
        return Spell(ended_ns=0, window_ns=0)
    counts = [*map(sum, zip(*(step.counts for step in steps), strict=True))]
    longest_s = max(step.longest_s for step in steps)
    # Never above the longest one, which is known exactly.
    p50_s, p99_s = (min(quantile_s(counts, share), longest_s or 1e9) for share in (0.5, 0.99))
    return Spell(
        ended_ns=steps[-1].ended_ns + ahead_ns,
        window_ns=sum(step.window_ns for step in steps),
        count=sum(counts),
        p50_ns=round(p50_s * NS_PER_S),
        p99_ns=round(p99_s * NS_PER_S),
        max_ns=round(max(longest_s, p99_s) * NS_PER_S),
    )
