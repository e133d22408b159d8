"""Between the messages of the wire and the values of q: checks come with the conversion."""

from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from qmq.envelope import encode_tags
from qmq.errors import InvalidArgument
from qmq.limits import TAG_KEY_BYTES_MAX, TAG_VALUE_BYTES_MAX, TAGS_BYTES_MAX, TAGS_MAX
from qmq.values import NS_PER_S, QueueInfo, QueueStats, Tag
from qmq.wire import q_pb2 as pb


def tag_value(tag: pb.Tag, field: str) -> Tag:
    """Convert a tag. An empty key is accepted, as the original did.

    Raises:
        InvalidArgument: key or value is too long; `field` names the tag.
    """
    for part, text, most in (
        ("key", tag.key, TAG_KEY_BYTES_MAX),
        ("value", tag.value, TAG_VALUE_BYTES_MAX),
    ):
        # A character takes one byte or more, so short texts need no encoding to count.
        if len(text) > most // 4 and (size := len(text.encode())) > most:
            raise InvalidArgument(f"{field}.{part}", f"takes {size} bytes, more than {most}")
    return Tag(tag.key, tag.value)


def tag_values(tags: Iterable[pb.Tag], count: int, field: str) -> tuple[Tag, ...]:
    """Convert the tags of a queue.

    Args:
        tags: a repeated field.
        count: its length.
        field: its name, for errors.

    Raises:
        InvalidArgument: there are too many, or they are too long.
    """
    values = _tag_values(tags, count, field)
    _encode(values, field)
    return values


def encoded_tags(tags: Iterable[pb.Tag], count: int, field: str) -> bytes:
    """Convert and encode the tags of a message, for its envelope.

    Raises:
        InvalidArgument: there are too many, or they are too long.
    """
    return _encode(_tag_values(tags, count, field), field)


def _tag_values(tags: Iterable[pb.Tag], count: int, field: str) -> tuple[Tag, ...]:
    if count > TAGS_MAX:
        raise InvalidArgument(field, f"has {count} tags, more than tags_max of {TAGS_MAX}")
    return tuple(tag_value(tag, f"{field}[{at}]") for at, tag in enumerate(tags))


def _encode(tags: tuple[Tag, ...], field: str) -> bytes:
    encoded = encode_tags(tags)
    if len(encoded) > TAGS_BYTES_MAX:
        raise InvalidArgument(
            field, f"take {len(encoded)} bytes, more than tags_bytes_max of {TAGS_BYTES_MAX}"
        )
    return encoded


def queue_message(info: QueueInfo) -> pb.Queue:
    """Describe a queue on the wire."""
    seconds, nanos = divmod(info.created_ns, NS_PER_S)
    return pb.Queue(
        meta=pb.Metadata(
            id=info.id,
            created=Timestamp(seconds=seconds, nanos=nanos),
            tags=[pb.Tag(key=tag.key, value=tag.value) for tag in info.tags],
        ),
        store=pb.Queue.Store.Name(info.store),
        name=info.name,
    )


def stats_message(stats: QueueStats) -> pb.QueueStats:
    """Describe on the wire what a queue holds."""
    message = pb.QueueStats(
        queue=queue_message(stats.info),
        ready=stats.ready,
        ready_bytes=stats.ready_bytes,
        waiting=stats.waiting,
        enqueued_total=stats.enqueued_total,
        consumed_total=stats.consumed_total,
        limit=stats.info.limit,
    )
    if stats.oldest_age_ns is not None:
        seconds, nanos = divmod(stats.oldest_age_ns, NS_PER_S)
        message.oldest_age.CopyFrom(Duration(seconds=seconds, nanos=nanos))
    return message
