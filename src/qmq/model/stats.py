"""The counts of a queue, for those who watch it."""

from typing import Final

from qmq.descriptions import QueueStats
from qmq.model.queue import Queue

#: Consumers that are named.
_CONSUMERS_MAX: Final = 100


def stats_of(
    queue: Queue,
    now_ns: int,
    *,
    waiting: int = 0,
    rates: tuple[float, float] = (0.0, 0.0),
    with_top: bool = False,
) -> QueueStats:
    """Count what a queue holds.

    Args:
        queue: the queue.
        now_ns: the moment.
        waiting: how many calls wait for a message.
        rates: how many messages come, and are taken or acked, a second.
        with_top: whether to name the fair_keys that most messages have.
    """
    leases, groups, keys = queue.leases, queue.lines.groups, queue.lines.keys
    ready = queue.ready_count
    return QueueStats(
        info=queue.info,
        ready=ready,
        ready_bytes=queue.ready_bytes,
        oldest_age_ns=queue.oldest_age_ns(now_ns),
        waiting=waiting,
        enqueued_total=queue.enqueued_total,
        consumed_total=queue.consumed_total,
        leased=leases.leased,
        delayed=leases.delayed,
        acked_total=queue.acked_total,
        redelivered_total=queue.redelivered_total,
        dead_lettered_total=sum(queue.dead_lettered.values()),
        added_per_second=rates[0],
        done_per_second=rates[1],
        consumers=tuple(sorted(leases.held_by.items())[:_CONSUMERS_MAX]),
        bytes=queue.bytes,
        expired_total=queue.expired_total,
        overflowed_total=queue.overflowed_total,
        deduplicated_total=queue.deduplicated_total,
        dedup_ids=len(queue.dedup),
        blocked=groups.blocked,
        groups=len(groups),
        groups_paused=groups.paused,
        groups_parked=groups.parked,
        fair_keys=keys.used,
        deleted_total=queue.deleted_total,
        moved_in_total=queue.moved_in_total,
        moved_out_total=queue.moved_out_total,
        top_fair_keys=keys.top(ready + leases.delayed) if with_top else (),
    )
