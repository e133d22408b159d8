"""The counts of queues and how fast they change. It knows no terminal."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from qmq.cli.actions import Sort
from qmq.client.queue_values import QueueStats


@dataclass(frozen=True, slots=True)
class Row:
    """One queue."""

    stats: QueueStats
    #: Messages a second since the look before; None if there is none to compare with.
    added_per_s: float | None
    #: Popped or acked.
    done_per_s: float | None
    #: Made dead letters.
    dead_per_s: float | None

    @property
    def name(self) -> str:
        """How the queue is called: by its name, or else by its id."""
        return self.stats.info.name or self.stats.info.id


def rows_of(
    stats: Iterable[QueueStats], before: Mapping[str, QueueStats], seconds: float
) -> list[Row]:
    """Compare the counts of queues with earlier ones.

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


def done_total(stats: QueueStats) -> int:
    """How many messages were popped or acked since the server started."""
    return stats.consumed_total + stats.acked_total


def _row(stats: QueueStats, before: QueueStats | None, seconds: float) -> Row:
    if before is None or seconds <= 0:
        return Row(stats, None, None, None)
    added = stats.enqueued_total - before.enqueued_total
    done = done_total(stats) - done_total(before)
    dead = stats.dead_lettered_total - before.dead_lettered_total
    if min(added, done, dead) < 0:
        # The server has been started anew and counts from 0.
        return Row(stats, None, None, None)
    return Row(stats, added / seconds, done / seconds, dead / seconds)


def _measure(row: Row, by: Sort) -> float:
    stats = row.stats
    added, done = row.added_per_s or 0.0, row.done_per_s or 0.0
    measures: dict[Sort, float] = {
        "ready": stats.ready,
        "leased": stats.leased,
        "delayed": stats.delayed,
        "bytes": stats.ready_bytes,
        "oldest": stats.oldest_age.total_seconds() if stats.oldest_age else 0.0,
        "added": added,
        "done": done,
        "rate": added + done,
        "dead": row.dead_per_s or 0.0,
        "waiting": stats.waiting,
    }
    return measures[by]
