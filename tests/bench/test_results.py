"""Runs are taken together as docs/performance.md says, and a result survives being a file."""

from array import array
from pathlib import Path

import pytest

from suite.results import Series, latency, newest, percentile, ratios, read, spread
from suite.scenarios import points
from tests.bench.measured import result, run


@pytest.mark.parametrize(
    ("part", "value"), [(0.5, 50), (0.99, 99), (0.999, 100), (0.001, 1), (1.0, 100)]
)
def test_percentile_is_a_value_that_was_measured(part: float, value: float) -> None:
    """The nearest rank: no value between two others is invented."""
    assert percentile(range(1, 101), part) == value


def test_percentile_of_nothing_is_refused() -> None:
    """No operation was done: there is nothing to say."""
    with pytest.raises(ValueError, match="no operation"):
        percentile([], 0.5)


def test_latencies_of_all_generators_count() -> None:
    """The slow one is not averaged away."""
    fast, slow = array("d", [0.001] * 98), array("d", [0.5, 0.7])

    found = latency([fast, slow])

    assert (found.operations, found.p50_ms, found.p99_ms, found.p999_ms) == (100, 1.0, 500, 700)


def test_spread_is_median_lowest_highest() -> None:
    """The order of repetitions does not matter."""
    assert spread([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)


def test_ratios_are_taken_within_repetitions() -> None:
    """A slow repetition of both is no spread; one that only one of them has, is not compared."""
    point = points()[0]
    one = Series("a", point, [run(200), run(20)])
    other = Series("b", point, [run(100), run(10), run(1)])

    assert ratios(one, other) == (2.0, 2.0, 2.0)
    assert ratios(one, Series("c", point)) is None


def test_result_is_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    """Points, runs and failures come back as they were."""
    found = result()
    found.series[0].failure = "it stopped"

    found.write(tmp_path / "results" / "a.json")

    assert read(tmp_path / "results" / "a.json") == found


def test_other_format_is_refused(tmp_path: Path) -> None:
    """A reader that does not know a format says so."""
    path = tmp_path / "a.json"
    path.write_text('{"format": 0}')

    with pytest.raises(ValueError, match="format 0"):
        read(path)


def test_newest_result_is_the_one_of_the_last_date(tmp_path: Path) -> None:
    """Names begin with the date, and other files do not count."""
    assert newest(tmp_path) is None
    for name in ("2026-02-01-a.json", "2026-01-31-b.json", "README.md"):
        (tmp_path / name).touch()

    assert newest(tmp_path) == tmp_path / "2026-02-01-a.json"
