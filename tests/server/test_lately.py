"""How long commits took of late."""

import pytest

from qmq.durations import FineDurations
from qmq.server.lately import Lately
from qmq.testing import START_NS, ManualClock
from qmq.values import NS_PER_S

#: What a look ends, in seconds.
STEP_S = 5


def looked(lately: Lately, clock: ManualClock, durations: FineDurations, *took_s: float) -> None:
    """Let commits take so long, and look five seconds later."""
    for each_s in took_s:
        durations.note(each_s)
    clock.advance(STEP_S)
    lately.look(durations)


def test_commits_are_told_by_steps_and_of_the_last_minute() -> None:
    """What was a minute ago is in the steps, and not in the summary any more."""
    clock, durations = ManualClock(), FineDurations()
    lately = Lately(clock.now_ns)
    looked(lately, clock, durations, 0.4)
    for _ in range(12):
        looked(lately, clock, durations, 0.002, 0.002)

    times = lately.times(START_NS)

    assert times.lately.window_ns == 60 * NS_PER_S
    assert times.lately.count == 24
    assert times.lately.max_ns == 2_000_000
    assert times.lately.p50_ns == pytest.approx(2_000_000, rel=0.2)
    assert [step.count for step in times.steps] == [1, *[2] * 12]
    assert times.steps[0].max_ns == times.steps[0].p99_ns == 400_000_000
    # The machine's clock says something else than the one that nobody sets.
    assert times.steps[-1].ended_ns == START_NS
    assert times.steps[0].ended_ns == START_NS - 60 * NS_PER_S


def test_steps_are_remembered_for_two_minutes() -> None:
    """No more, however long it lasts."""
    clock, durations = ManualClock(), FineDurations()
    lately = Lately(clock.now_ns)
    for _ in range(100):
        looked(lately, clock, durations, 0.001)

    assert len(lately.times(START_NS).steps) == 24


def test_nothing_is_known_at_first() -> None:
    """A look right after the start ends no step."""
    clock = ManualClock()
    lately = Lately(clock.now_ns)
    lately.look(FineDurations())

    times = lately.times(START_NS)

    assert (times.steps, times.lately.count, times.lately.window_ns) == ((), 0, 0)


def test_counts_that_begin_anew_are_no_step_back() -> None:
    """A journal of another kind counts from 0."""
    clock, before, after = ManualClock(), FineDurations(), FineDurations()
    lately = Lately(clock.now_ns)
    looked(lately, clock, before, 0.001, 0.001, 0.001)
    looked(lately, clock, after, 0.002)

    assert [step.count for step in lately.times(START_NS).steps] == [3, 1]
