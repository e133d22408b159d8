"""From the messages of the wire to the values of the client."""

from collections.abc import Iterable
from typing import TypeVar

from qmq.client.codecs import Codec
from qmq.client.values import Message, Metadata, QueueInfo, QueueStats
from qmq.values import NS_PER_S, Store, Tag
from qmq.wire import q_pb2 as pb

T = TypeVar("T")


def metadata(meta: pb.Metadata) -> Metadata:
    """Convert what q knows about a message."""
    created, tags = meta.created, meta.tags
    return Metadata(
        meta.id, created.seconds * NS_PER_S + created.nanos, _tags(tags) if tags else ()
    )


def popped(wire: pb.Message, codec: Codec[T]) -> Message[T]:
    """Convert a message that was popped or peeked at."""
    meta = wire.meta
    created, tags = meta.created, meta.tags
    return Message(
        meta.id,
        created.seconds * NS_PER_S + created.nanos,
        _tags(tags) if tags else (),
        wire.payload,
        codec,
    )


def queue_info(queue: pb.Queue) -> QueueInfo:
    """Convert the description of a queue."""
    meta = metadata(queue.meta)
    try:
        store = Store(queue.store)
    except ValueError:
        store = Store.UNKNOWN
    return QueueInfo(meta.id, queue.name, store, meta.created_ns, meta.tags)


def queue_stats(stats: pb.QueueStats) -> QueueStats:
    """Convert the counts of a queue."""
    return QueueStats(
        info=queue_info(stats.queue),
        ready=stats.ready,
        ready_bytes=stats.ready_bytes,
        oldest_age=stats.oldest_age.ToTimedelta() if stats.HasField("oldest_age") else None,
        waiting=stats.waiting,
        enqueued_total=stats.enqueued_total,
        consumed_total=stats.consumed_total,
        limit=stats.limit,
    )


def _tags(tags: Iterable[pb.Tag]) -> tuple[Tag, ...]:
    return tuple(Tag(tag.key, tag.value) for tag in tags)
