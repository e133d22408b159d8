"""What the queues of a server hold and how fast it changes. It knows no terminal."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from qmq.cli.call import Sort
from qmq.client.values import QueueStats


@dataclass(frozen=True, slots=True)
class Row:
    """One queue."""

    stats: QueueStats
    #: Messages a second since the look before; None if there is none to compare with.
    added_per_s: float | None
    popped_per_s: float | None

    @property
    def name(self) -> str:
        """How the queue is called: by its name, or else by its id."""
        return self.stats.info.name or self.stats.info.id


def rows_of(
    stats: Iterable[QueueStats], before: Mapping[str, QueueStats], seconds: float
) -> list[Row]:
    """Compare what queues hold with what they held.

    Args:
        stats: of each queue.
        before: what it was, by id.
        seconds: how long ago that was.
    """
    return [_row(each, before.get(each.info.id), seconds) for each in stats]


def sorted_rows(rows: Iterable[Row], by: Sort) -> list[Row]:
    """Sort rows; those that are equal by name."""
    named = sorted(rows, key=lambda row: row.name)
    if by == "name":
        return named
    return sorted(named, key=lambda row: _measure(row, by), reverse=True)


def _row(stats: QueueStats, before: QueueStats | None, seconds: float) -> Row:
    if before is None or seconds <= 0:
        return Row(stats, None, None)
    added = stats.enqueued_total - before.enqueued_total
    popped = stats.consumed_total - before.consumed_total
    if added < 0 or popped < 0:
        # The server has been started anew and counts from 0.
        return Row(stats, None, None)
    return Row(stats, added / seconds, popped / seconds)


def _measure(row: Row, by: Sort) -> float:
    stats = row.stats
    added, popped = row.added_per_s or 0.0, row.popped_per_s or 0.0
    measures: dict[Sort, float] = {
        "ready": stats.ready,
        "bytes": stats.ready_bytes,
        "oldest": stats.oldest_age.total_seconds() if stats.oldest_age else 0.0,
        "added": added,
        "popped": popped,
        "rate": added + popped,
        "waiting": stats.waiting,
    }
    return measures[by]
