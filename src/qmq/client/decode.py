"""From the messages of the wire to the values of the client."""

from collections.abc import Iterable
from datetime import timedelta
from enum import IntEnum
from functools import lru_cache
from typing import Final, TypeAlias, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from qmq.client.codecs import Codec
from qmq.client.errors import InvalidArgument, LeaseLost, NoDeadLetterQueue, QmqError
from qmq.client.queue_values import (
    BackOff,
    ConsumerStats,
    Fairness,
    GroupInfo,
    Pause,
    QueueInfo,
    QueueSettings,
    QueueStats,
    Rate,
    Redrive,
    RedriveState,
)
from qmq.client.status import error_of_result
from qmq.client.values import (
    Attempt,
    BrowsedMessage,
    DeadLetter,
    Explanation,
    Message,
    Metadata,
    MovedMessage,
)
from qmq.values import (
    NS_PER_S,
    DeadLetterReason,
    Durability,
    FairKeyStats,
    GroupState,
    MessageState,
    Outcome,
    Overflow,
    Store,
    Tag,
)
from qmq.wire import q_pb2 as pb

T = TypeVar("T")
E = TypeVar("E", bound=IntEnum)

#: The codes of gRPC that a LeaseResult may have.
_INVALID_ARGUMENT: Final = 3
_FAILED_PRECONDITION: Final = 9


def metadata(
    meta: pb.Metadata,
    durability: Durability = Durability.UNKNOWN,
    *,
    deduplicated: bool = False,
) -> Metadata:
    """Convert what q knows about a message.

    Args:
        meta: that.
        durability: how durable the message is, of one that was added.
        deduplicated: whether it was there already, likewise.
    """
    created, tags = meta.created, meta.tags
    created_ns = created.seconds * NS_PER_S + created.nanos
    return Metadata(meta.id, created_ns, tags_of(tags) if tags else (), durability, deduplicated)


def durability_of(level: int) -> Durability:
    """Convert how durable a change is; UNKNOWN if the client has never heard of that."""
    return known(Durability, level) or Durability.UNKNOWN


def popped(wire: pb.Message, codec: Codec[T], queue_id: str = "") -> Message[T]:
    """Convert a message that was popped, of the queue that is told if it is one of many."""
    meta = wire.meta
    created, tags = meta.created, meta.tags
    return Message(
        meta.id,
        created.seconds * NS_PER_S + created.nanos,
        tags_of(tags) if tags else (),
        wire.payload,
        codec,
        *what_else(wire),
        queue_id,
    )


#: What few messages have: the fields of a Message from `dead_letter` to `fair_key`, in order.
WhatElse: TypeAlias = tuple[
    DeadLetter | None, tuple[Attempt, ...], int, int | None, int | None, str, str, str
]

_NOTHING_ELSE: Final[WhatElse] = (None, (), 0, None, None, "", "", "")


def what_else(wire: pb.Message) -> WhatElse:
    """Convert what few messages have."""
    if not (wire.attempts or wire.HasField("options") or wire.HasField("dead_letter")):
        return _NOTHING_ELSE
    options = wire.options
    return (
        _dead_letter(wire),
        _attempts(wire),
        options.priority,
        moment_ns(options.available_at) if options.HasField("available_at") else None,
        moment_ns(options.expires_at) if options.HasField("expires_at") else None,
        options.dedup_id,
        options.group_id,
        options.fair_key,
    )


def _dead_letter(wire: pb.Message) -> DeadLetter | None:
    """Convert why a message is a dead letter, if it is one."""
    if not wire.HasField("dead_letter"):
        return None
    dead = wire.dead_letter
    return DeadLetter(
        known(DeadLetterReason, dead.reason),
        dead.text,
        dead.source_queue_id,
        moment_ns(dead.moved),
        dead.delivery_count,
    )


def _attempts(wire: pb.Message) -> tuple[Attempt, ...]:
    """Convert how a message was leased before."""
    return tuple(
        Attempt(
            attempt.consumer,
            moment_ns(attempt.leased),
            moment_ns(attempt.ended),
            known(Outcome, attempt.outcome),
            attempt.reason,
        )
        for attempt in wire.attempts
    )


def browsed(wire: pb.BrowsedMessage, codec: Codec[T]) -> BrowsedMessage[T]:
    """Convert a message that somebody looks at."""
    meta = metadata(wire.message.meta)
    return BrowsedMessage(
        meta.id,
        meta.created_ns,
        meta.tags,
        wire.message.payload,
        codec,
        *what_else(wire.message),
        state=known(MessageState, wire.state),
        delivery_count=wire.delivery_count,
        consumer=wire.consumer,
        until_ns=moment_ns(wire.until) if wire.HasField("until") else None,
        age=span_of(wire.age),
    )


def explanation(wire: pb.ExplainResponse, codec: Codec[T]) -> Explanation[T]:
    """Convert why a message is not being handed out."""
    return Explanation(browsed(wire.message, codec), wire.ahead, tuple(wire.reasons))


def lease_error(result: pb.LeaseResult, lease_id: str) -> QmqError | None:
    """Return the error that a request about one lease ended with, if it did."""
    if not result.code:
        return None
    if result.code == _FAILED_PRECONDITION:
        kind = NoDeadLetterQueue if result.reason == NoDeadLetterQueue.reason else LeaseLost
        return kind(result.message, metadata={"lease_id": lease_id})
    if result.code == _INVALID_ARGUMENT:
        return InvalidArgument(result.message, metadata={"field": "lease_ids"})
    return QmqError(result.message, metadata={"lease_id": lease_id})


def moved_message(result: pb.MessageResult) -> MovedMessage | QmqError:
    """Convert what became of a message that was to be moved."""
    if result.code:
        return error_of_result(result.code, result.message, result.reason)
    return MovedMessage(result.queue_id, result.was_there)


def deletion_error(result: pb.MessageResult) -> QmqError | None:
    """Return why a message was not deleted, if it was not."""
    if not result.code:
        return None
    return error_of_result(result.code, result.message, result.reason)


def queue_info(queue: pb.Queue) -> QueueInfo:
    """Convert the description of a queue."""
    meta = metadata(queue.meta)
    return QueueInfo(
        meta.id,
        queue.name,
        known(Store, queue.store) or Store.UNKNOWN,
        meta.created_ns,
        meta.tags,
        _settings(queue.settings.SerializeToString()),
        queue.limit,
        Pause(moment_ns(queue.paused.since), queue.paused.adds)
        if queue.HasField("paused")
        else None,
    )


@lru_cache(maxsize=256)
def _settings(encoded: bytes) -> QueueSettings:
    # Most queues of a server have one of a few, and lists describe all queues.
    settings = pb.QueueSettings.FromString(encoded)
    back_off, fairness = settings.back_off, settings.fairness
    return QueueSettings(
        lease_duration=span_of(settings.lease_duration),
        delivery_count_max=settings.delivery_count_max,
        dead_letter_queue_id=settings.dead_letter_queue_id,
        back_off=BackOff(
            base=span_of(back_off.base),
            factor=back_off.factor,
            max=span_of(back_off.max),
            jitter=back_off.jitter,
        ),
        durability_min=durability_of(settings.durability_min),
        delay=span_of(settings.delay),
        ttl=span_of(settings.ttl),
        dead_letter_expired=settings.dead_letter_expired,
        dedup_window=span_of(settings.dedup_window),
        priority_ageing=span_of(settings.priority_ageing),
        bytes_limit=settings.bytes_limit,
        overflow=known(Overflow, settings.overflow),
        leased_max=settings.leased_max,
        rate=_rate(settings.rate),
        park_after=settings.park_after,
        fairness=Fairness(
            leased_max=fairness.leased_max,
            rate=_rate(fairness.rate),
            weights=dict(sorted(fairness.weights.items())),
        ),
        weight=settings.weight,
    )


def _rate(rate: pb.Rate) -> Rate:
    return Rate(messages_per_second=rate.messages_per_second, burst=rate.burst)


def queue_stats(stats: pb.QueueStats) -> QueueStats:
    """Convert the counts of a queue."""
    return QueueStats(
        info=queue_info(stats.queue),
        ready=stats.ready,
        ready_bytes=stats.ready_bytes,
        oldest_age=span_of(stats.oldest_age) if stats.HasField("oldest_age") else None,
        waiting=stats.waiting,
        enqueued_total=stats.enqueued_total,
        consumed_total=stats.consumed_total,
        limit=stats.limit,
        leased=stats.leased,
        delayed=stats.delayed,
        acked_total=stats.acked_total,
        redelivered_total=stats.redelivered_total,
        dead_lettered_total=stats.dead_lettered_total,
        added_per_second=stats.added_per_second,
        done_per_second=stats.done_per_second,
        consumers=tuple(ConsumerStats(each.consumer, each.leased) for each in stats.consumers),
        bytes=stats.bytes,
        expired_total=stats.expired_total,
        overflowed_total=stats.overflowed_total,
        deduplicated_total=stats.deduplicated_total,
        dedup_ids=stats.dedup_ids,
        blocked=stats.blocked,
        groups=stats.groups,
        groups_paused=stats.groups_paused,
        groups_parked=stats.groups_parked,
        fair_keys=stats.fair_keys,
        deleted_total=stats.deleted_total,
        moved_in_total=stats.moved_in_total,
        moved_out_total=stats.moved_out_total,
        top_fair_keys=tuple(
            FairKeyStats(each.fair_key, each.weight, each.waiting, each.leased)
            for each in stats.top_fair_keys
        ),
    )


def group_info(group: pb.Group) -> GroupInfo:
    """Convert the description of a group."""
    return GroupInfo(
        id=group.group_id,
        state=known(GroupState, group.state),
        waiting=group.waiting,
        leased=group.leased,
        since_ns=moment_ns(group.since) if group.HasField("since") else None,
    )


def redrive(wire: pb.Redrive) -> Redrive:
    """Convert how far a redrive is."""
    return Redrive(
        id=wire.id,
        queue_id=wire.request.queue_id,
        target_queue_id=wire.request.target_queue_id,
        dry_run=wire.request.dry_run,
        state=known(RedriveState, wire.state) or RedriveState.UNKNOWN,
        started_ns=moment_ns(wire.started),
        ended_ns=moment_ns(wire.ended) if wire.HasField("ended") else None,
        total=wire.total,
        seen=wire.seen,
        matched=wire.matched,
        moved=wire.moved,
        failed_again=wire.failed_again,
        message=wire.message,
    )


def tags_of(tags: Iterable[pb.Tag]) -> tuple[Tag, ...]:
    """Convert tags."""
    return tuple(Tag(tag.key, tag.value) for tag in tags)


def moment_ns(moment: Timestamp) -> int:
    """Convert a moment to nanoseconds since the Unix epoch."""
    return moment.seconds * NS_PER_S + moment.nanos


def span_of(duration: Duration) -> timedelta:
    """Convert a duration, to the microsecond."""
    # Cheaper than the library's, which checks what the server does not get wrong.
    return timedelta(seconds=duration.seconds, microseconds=duration.nanos // 1_000)


def known(kind: type[E], number: int) -> E | None:
    """Convert a number of the wire; None if it is one that the client has never heard of."""
    try:
        return kind(number)
    except ValueError:
        return None
