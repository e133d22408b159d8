"""How long things take, by classes."""

import pytest

from qmq.durations import Durations, FineDurations, quantile_s


@pytest.mark.parametrize("kind", [Durations, FineDurations])
def test_each_is_counted_under_every_bound_that_it_kept(kind: type[Durations]) -> None:
    """One that took exactly as long as a bound kept it; the last class has no bound."""
    durations = kind()
    for took_s in (0.0, 0.001, 0.0011, 11.0):
        durations.note(took_s)

    buckets = durations.buckets()

    counts = dict(buckets)
    assert [bound for bound, _ in buckets] == sorted(counts, key=float)
    assert (counts["0.0005"], counts["0.001"], counts["0.0025"]) == (1, 2, 3)
    assert (counts["10.0"], counts["+Inf"]) == (3, 4)
    assert durations.total_s == 11.0021


@pytest.mark.parametrize("took_s", [0.00013, 0.0007, 0.004, 0.3, 2.0])
def test_quantiles_are_known_to_about_a_tenth(took_s: float) -> None:
    """Half of what took about as long took no longer than that, whatever class it falls into."""
    durations = FineDurations()
    for share in range(100):
        durations.note(took_s * (0.95 + share / 1_000))
    durations.note(took_s * 100)

    assert quantile_s(durations.counts, 0.5) == pytest.approx(took_s, rel=0.15)
    assert quantile_s(durations.counts, 1) >= min(took_s * 80, 10)


def test_there_is_no_quantile_of_nothing() -> None:
    """It is 0, which nothing takes."""
    assert quantile_s(FineDurations().counts, 0.99) == 0


def test_the_longest_is_told_once() -> None:
    """After that it is the longest since then; the classes stay."""
    durations = FineDurations()
    for took_s in (0.2, 3.0, 0.1):
        durations.note(took_s)

    assert durations.take_longest_s() == 3.0
    assert durations.take_longest_s() == 0.0
    durations.note(0.5)
    assert durations.take_longest_s() == 0.5
    assert durations.count == 4
    assert durations.total_s == pytest.approx(3.8)
