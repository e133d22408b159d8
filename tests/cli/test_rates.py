"""How fast queues change, and which comes first."""

from datetime import timedelta
from typing import TypeAlias

import pytest

from qmq.cli.actions import Sort, Top
from qmq.cli.rates import Row, rows_of, sorted_rows
from qmq.cli.top import frame
from qmq.client.queue_values import QueueInfo, QueueStats
from qmq.values import Store


def stats(  # noqa: PLR0913 - One for each count.
    name: str,
    *,
    ready: int = 0,
    leased: int = 0,
    delayed: int = 0,
    size: int = 0,
    age_s: float | None = None,
    waiting: int = 0,
    added: int = 0,
    popped: int = 0,
    acked: int = 0,
    dead: int = 0,
) -> QueueStats:
    """What a queue holds."""
    return QueueStats(
        info=QueueInfo(f"id of {name}", name, Store.DISK, 0),
        ready=ready,
        ready_bytes=size,
        oldest_age=None if age_s is None else timedelta(seconds=age_s),
        waiting=waiting,
        enqueued_total=added,
        consumed_total=popped,
        limit=-1,
        leased=leased,
        delayed=delayed,
        acked_total=acked,
        dead_lettered_total=dead,
    )


Rates: TypeAlias = tuple[float | None, float | None, float | None]


def rates_of(now: QueueStats, before: QueueStats | None) -> Rates:
    """The rates of one queue, two seconds after the look before."""
    (row,) = rows_of([now], {before.info.id: before} if before else {}, 2.0)
    return row.added_per_s, row.done_per_s, row.dead_per_s


UNKNOWN = (None, None, None)


@pytest.mark.parametrize(
    ("now", "before", "rates"),
    [
        (stats("a", added=10, popped=4), stats("a"), (5.0, 2.0, 0.0)),
        (stats("a", acked=4, popped=2, dead=1), stats("a"), (0.0, 3.0, 0.5)),
        (stats("a", added=10, popped=4), stats("a", added=10, popped=4), (0.0, 0.0, 0.0)),
        (stats("a", added=10), None, UNKNOWN),
        (stats("a", added=10), stats("b"), UNKNOWN),
        (stats("a", added=1), stats("a", added=2), UNKNOWN),
        (stats("a", added=9, popped=1), stats("a", popped=2), UNKNOWN),
        (stats("a", added=9, acked=1), stats("a", acked=2), UNKNOWN),
        (stats("a", added=9), stats("a", dead=2), UNKNOWN),
    ],
)
def test_a_rate_is_what_was_counted_since(
    now: QueueStats, before: QueueStats | None, rates: Rates
) -> None:
    """There is none for a new queue, nor where the server began to count anew."""
    assert rates_of(now, before) == rates


def test_a_row_is_called_by_its_name() -> None:
    """Or else by its id."""
    assert Row(stats("jobs"), *UNKNOWN).name == "jobs"
    assert Row(stats(""), *UNKNOWN).name == "id of "


ROWS = [
    Row(stats("b", ready=1, delayed=2, size=9, age_s=1.0, waiting=3), 5.0, 0.0, 0.5),
    Row(stats("c", ready=5, leased=7, size=1, age_s=None), *UNKNOWN),
    Row(stats("a", ready=1, leased=2, delayed=1, size=5, age_s=7.0, waiting=1), 1.0, 8.0, 4.0),
]


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("ready", "cab"),
        ("leased", "cab"),
        ("delayed", "bac"),
        ("bytes", "bac"),
        ("oldest", "abc"),
        ("added", "bac"),
        ("done", "abc"),
        ("rate", "abc"),
        ("dead", "abc"),
        ("waiting", "bac"),
        ("name", "abc"),
    ],
)
def test_the_largest_comes_first(by: Sort, names: str) -> None:
    """And of equals the one that the alphabet puts first."""
    assert "".join(row.name for row in sorted_rows(ROWS, by)) == names


@pytest.mark.parametrize("size", [(120, 40), (80, 6), (30, 5), (12, 3), (80, 1)])
def test_a_frame_fits_its_terminal(size: tuple[int, int]) -> None:
    """It begins with the sums, and shows as many queues as there is room for."""
    lines = frame(ROWS, Top(sort="name", interval_s=1.0, is_once=False), "q.example:1", size)

    assert len(lines) == min(7, size[1])
    assert max(map(len, lines)) <= size[0]
    assert lines[0] == "q.example:1"
    sums = "queues 3  ready 7  leased 9  delayed 3  added/s 6  done/s 8  dead/s 4"
    assert lines[1:2] == [sums[: size[0]]][: size[1] - 1]
    assert [line[0] for line in lines[4:]] == ["a", "b", "c"][: max(size[1] - 4, 0)]
