"""What a queue has counted since the server started, handed on to the one that takes its place."""

from typing import Final

from qmq.model.queue import Queue

_COUNTS: Final = (
    "acked_total",
    "consumed_total",
    "dead_lettered",
    "deduplicated_total",
    "deleted_total",
    "empty_total",
    "enqueued_total",
    "expired_total",
    "failed_total",
    "full_total",
    "moved_in_total",
    "moved_out_total",
    "overflowed_total",
)


def take_counts(queue: Queue, before: Queue) -> None:
    """Let a queue that was read anew go on with the counts of the same one before that."""
    for name in _COUNTS:
        setattr(queue, name, getattr(before, name))
    queue.leases.redelivered_total = before.leases.redelivered_total
