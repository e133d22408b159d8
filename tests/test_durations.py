"""How long things take, by classes."""

from qmq.durations import Durations


def test_each_is_counted_under_every_bound_that_it_kept() -> None:
    """One that took exactly as long as a bound kept it; the last class has no bound."""
    durations = Durations()
    for took_s in (0.0, 0.001, 0.0011, 11.0):
        durations.note(took_s)

    buckets = durations.buckets()

    counts = dict(buckets)
    assert [bound for bound, _ in buckets] == sorted(counts, key=float)
    assert (counts["0.0005"], counts["0.001"], counts["0.0025"]) == (1, 2, 3)
    assert (counts["10.0"], counts["+Inf"]) == (3, 4)
    assert durations.total_s == 11.0021
