"""Metrics of queues: what they hold, and what went through them.

Rates are counters, as the original's were, since counts keep their meaning when they
are downsampled; a gauge stands only where no counter could answer.
"""

from collections.abc import Iterable, Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from qmq.clock import Clock
from qmq.model.catalog import Catalog
from qmq.model.queue import Queue
from qmq.values import NS_PER_S, Overflow


class QueueCollector(Collector):
    """Counts and gauges of every queue, as they are when they are asked for.

    The counts themselves are part of the queues' state; a queue's lines go with it.
    """

    def __init__(self, catalog: Catalog, clock: Clock) -> None:
        """Collect of the queues in a catalog.

        Args:
            catalog: the queues.
            clock: the one that numbers messages, to tell how old they are.
        """
        self._catalog = catalog
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of all queues."""
        # A list, in one step: other threads make and delete queues meanwhile.
        queues = list(self._catalog)
        # Most queues may never have a lease, and each line of a queue takes its time.
        leasing = [queue for queue in queues if queue.leases.last_leased_ns]
        return (
            *_flows(queues),
            *_contents(queues, leasing, self._clock.now_ns()),
            *_deliveries(queues, leasing),
            *_options(queues),
            *_picked(queues),
            *_sharing([queue for queue in queues if queue.lines.is_active]),
        )


def _flows(queues: Sequence[Queue]) -> Iterable[Metric]:
    """Return the counts of messages added and taken, and of refusals."""
    enqueued = CounterMetricFamily(
        "queue_messages_enqueued", "Number of queued messages.", labels=["queue"]
    )
    consumed = CounterMetricFamily(
        "queue_messages_consumed", "Number of consumed messages.", labels=["queue"]
    )
    errors = CounterMetricFamily(
        "queue_errors",
        "Number of errors encountered while enqueuing or consuming messages.",
        labels=["queue", "type"],
    )
    for queue in queues:
        label = [queue.info.id]
        enqueued.add_metric(label, queue.enqueued_total)
        consumed.add_metric(label, queue.consumed_total)
        for kind, count in (
            ("Full", queue.full_total),
            ("NotFound", queue.empty_total),
            ("UnknownError", queue.failed_total),
        ):
            if count:
                errors.add_metric([*label, kind], count)
    return enqueued, consumed, errors


def _contents(queues: Sequence[Queue], leasing: Sequence[Queue], now_ns: int) -> Iterable[Metric]:
    """Return what is in the queues, and their names and stores."""
    messages = GaugeMetricFamily(
        "queue_messages", "Number of messages in the queue.", labels=["queue", "state"]
    )
    sizes = GaugeMetricFamily(
        "queue_bytes",
        "What the messages in the queue take, tags and metadata included.",
        labels=["queue"],
    )
    oldest = GaugeMetricFamily(
        "queue_oldest_message_age_seconds",
        "Age of the message at the head of the queue; 0 if there is none.",
        labels=["queue"],
    )
    paused = GaugeMetricFamily(
        "queue_paused", "1 while the queue hands out nothing, no line otherwise.", labels=["queue"]
    )
    dead_letters = GaugeMetricFamily(
        "queue_takes_dead_letters",
        "1 while the queue is the dead-letter queue of another, no line otherwise.",
        labels=["queue"],
    )
    info = InfoMetricFamily(
        "queue", "What a queue's id stands for, to be joined.", labels=["queue"]
    )
    taking = {queue.info.settings.dead_letter_queue_id for queue in queues}
    for queue in queues:
        label = [queue.info.id]
        info.add_metric(label, {"name": queue.info.name, "store": queue.info.store.name})
        messages.add_metric([*label, "ready"], queue.ready_count)
        sizes.add_metric(label, queue.bytes)
        oldest.add_metric(label, (queue.oldest_age_ns(now_ns) or 0) / NS_PER_S)
        if queue.info.pause:
            paused.add_metric(label, 1)
        if queue.info.id in taking:
            dead_letters.add_metric(label, 1)
    for queue in leasing:
        messages.add_metric([queue.info.id, "leased"], queue.leases.leased)
    for queue in queues:
        leases = queue.leases
        if leases.last_leased_ns or leases.delayed or queue.info.settings.delay_ns:
            messages.add_metric([queue.info.id, "delayed"], leases.delayed)
    return messages, sizes, oldest, paused, dead_letters, info


def _deliveries(queues: Sequence[Queue], leasing: Sequence[Queue]) -> Iterable[Metric]:
    """Return what became of messages that were handed out on lease."""
    acked = CounterMetricFamily(
        "queue_messages_acked", "Number of acked messages.", labels=["queue"]
    )
    redeliveries = CounterMetricFamily(
        "queue_redeliveries",
        "Number of times that a message was handed out again.",
        labels=["queue"],
    )
    dead_lettered = CounterMetricFamily(
        "queue_dead_lettered",
        "Number of messages that left the queue for its dead-letter queue.",
        labels=["queue", "reason"],
    )
    for queue in leasing:
        acked.add_metric([queue.info.id], queue.acked_total)
        redeliveries.add_metric([queue.info.id], queue.redelivered_total)
    for queue in queues:
        # From 0 on where there may be any: a counter that begins with 1 never rose.
        if any(queue.dead_lettered.values()) or queue.info.settings.dead_letter_queue_id:
            for reason, count in queue.dead_lettered.items():
                dead_lettered.add_metric([queue.info.id, reason.name.lower()], count)
    return acked, redeliveries, dead_lettered


def _options(queues: Sequence[Queue]) -> Iterable[Metric]:
    """Return what became of messages by their options, or by the limits of their queue.

    Most queues have neither, and no line here.
    """
    expired = CounterMetricFamily(
        "queue_messages_expired",
        "Number of messages that were removed since their ttl had passed.",
        labels=["queue"],
    )
    overflowed = CounterMetricFamily(
        "queue_messages_overflowed",
        "Number of messages that were removed to make room.",
        labels=["queue"],
    )
    deduplicated = CounterMetricFamily(
        "queue_messages_deduplicated",
        "Number of messages that were not added, since the queue knew their dedup_id.",
        labels=["queue"],
    )
    dedup_ids = GaugeMetricFamily(
        "queue_dedup_ids", "Number of dedup_ids that the queue knows.", labels=["queue"]
    )
    for queue in queues:
        label, settings = [queue.info.id], queue.info.settings
        # From 0 on where there may be any, as above.
        if queue.expired_total or settings.ttl_ns:
            expired.add_metric(label, queue.expired_total)
        if queue.overflowed_total or settings.overflow is not Overflow.REJECT:
            overflowed.add_metric(label, queue.overflowed_total)
        if queue.deduplicated_total or queue.dedup:
            deduplicated.add_metric(label, queue.deduplicated_total)
            dedup_ids.add_metric(label, len(queue.dedup))
    return expired, overflowed, deduplicated, dedup_ids


def _picked(queues: Sequence[Queue]) -> Iterable[Metric]:
    """Return what people did to messages by their ids, in queues where they did."""
    deleted = CounterMetricFamily(
        "queue_messages_deleted",
        "Number of messages that were deleted by their ids.",
        labels=["queue"],
    )
    moved_in = CounterMetricFamily(
        "queue_messages_moved_in",
        "Number of messages that were moved here by their ids.",
        labels=["queue"],
    )
    moved_out = CounterMetricFamily(
        "queue_messages_moved_out",
        "Number of messages that were moved to another queue by their ids.",
        labels=["queue"],
    )
    for queue in queues:
        for metric, count in (
            (deleted, queue.deleted_total),
            (moved_in, queue.moved_in_total),
            (moved_out, queue.moved_out_total),
        ):
            if count:
                metric.add_metric([queue.info.id], count)
    return deleted, moved_in, moved_out


def _sharing(queues: Sequence[Queue]) -> Iterable[Metric]:
    """Return how many groups and fair_keys there are, in queues that have or had any."""
    groups = GaugeMetricFamily(
        "queue_groups", "Number of groups that have messages, or are held.", labels=["queue"]
    )
    held = GaugeMetricFamily(
        "queue_groups_held",
        "Number of groups that hand out nothing, since they are paused or have parked.",
        labels=["queue", "state"],
    )
    blocked = GaugeMetricFamily(
        "queue_messages_blocked",
        "Number of ready messages that wait for others of their group, or for it to go on.",
        labels=["queue"],
    )
    fair_keys = GaugeMetricFamily(
        "queue_fair_keys",
        "Number of fair_keys that messages in the queue have.",
        labels=["queue"],
    )
    for queue in queues:
        label, lines = [queue.info.id], queue.lines
        groups.add_metric(label, len(lines.groups))
        held.add_metric([*label, "paused"], lines.groups.paused)
        held.add_metric([*label, "parked"], lines.groups.parked)
        blocked.add_metric(label, lines.groups.blocked)
        fair_keys.add_metric(label, lines.keys.used)
    return groups, held, blocked, fair_keys
