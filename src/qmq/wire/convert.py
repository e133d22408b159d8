"""Between the messages of the wire and the values of q: checks come with the conversion."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final, NamedTuple

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from qmq.envelope import encode_tags
from qmq.errors import InvalidArgument
from qmq.limits import (
    CONSUMER_BYTES_MAX,
    DELAY_S_MAX,
    DELIVERY_COUNT_MAX,
    LEASE_S_MAX,
    LEASE_S_MIN,
    REASON_BYTES_MAX,
    TAG_KEY_BYTES_MAX,
    TAG_VALUE_BYTES_MAX,
    TAGS_BYTES_MAX,
    TAGS_MAX,
)
from qmq.values import (
    NS_PER_S,
    BackOff,
    Durability,
    Pause,
    QueueInfo,
    QueueSettings,
    QueueStats,
    Tag,
)
from qmq.wire import q_pb2 as pb

#: How durable a change is, as field 2 or 3 of a reply, by the number of the level.
LEVEL_2: Final = tuple(b"\x10" + bytes((level,)) for level in Durability)
LEVEL_3: Final = tuple(b"\x18" + bytes((level,)) for level in Durability)


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


def encoded_messages(messages: Iterable[pb.NewMessage], field: str) -> list[tuple[bytes, bytes]]:
    """Convert messages that are to be added: of each its tags, encoded, and its payload.

    Args:
        messages: a repeated field.
        field: its name, for errors.

    Raises:
        InvalidArgument: one has too many tags, or they are too long.
    """
    return [
        (
            encoded_tags(tags, len(tags), f"{field}[{at}].tags") if (tags := message.tags) else b"",
            message.payload,
        )
        for at, message in enumerate(messages)
    ]


class Span(NamedTuple):
    """How long something may last."""

    min_ns: int
    max_ns: int
    #: The same for people to read.
    text: str


LEASE: Final = Span(
    round(LEASE_S_MIN * NS_PER_S), LEASE_S_MAX * NS_PER_S, "1 millisecond to 12 hours"
)
DELAY: Final = Span(0, DELAY_S_MAX * NS_PER_S, "0 to 7 days")
_BASE: Final = Span(0, LEASE_S_MAX * NS_PER_S, "0 to 12 hours")


def duration_ns(duration: Duration, field: str, span: Span) -> int:
    """Convert a duration to nanoseconds.

    Raises:
        InvalidArgument: it is shorter or longer than it may be; `field` names it.
    """
    ns = duration.ToNanoseconds()
    if not span.min_ns <= ns <= span.max_ns:
        raise InvalidArgument(field, f"must be {span.text}; got {ns / NS_PER_S:g} seconds")
    return ns


def optional_duration_ns(message: Message, field: str, span: Span) -> int | None:
    """Convert a field that holds a duration to nanoseconds; None if it is left out.

    Raises:
        InvalidArgument: it is shorter or longer than it may be.
    """
    return duration_ns(getattr(message, field), field, span) if message.HasField(field) else None


def consumer_name(text: str, field: str) -> str:
    """Return what a consumer calls itself.

    Raises:
        InvalidArgument: it is too long; `field` names it.
    """
    if (size := len(text.encode())) > CONSUMER_BYTES_MAX:
        raise InvalidArgument(field, f"takes {size} bytes, more than {CONSUMER_BYTES_MAX}")
    return text


def kept_reason(text: str) -> str:
    """Return as much of a reason as is kept: whole characters."""
    return text.encode()[:REASON_BYTES_MAX].decode(errors="ignore")


def settings_change(
    message: pb.QueueSettings, field: str
) -> Callable[[QueueSettings], QueueSettings]:
    """Convert what a request says of a queue's settings.

    Args:
        message: the settings; what is left out stays as it is.
        field: its name, for errors.

    Returns:
        A function from settings to changed ones.

    Raises:
        InvalidArgument: one of them breaks its rule.
    """
    changes: dict[str, Any] = {}
    if message.HasField("lease_duration"):
        changes["lease_duration_ns"] = duration_ns(
            message.lease_duration, f"{field}.lease_duration", LEASE
        )
    if message.HasField("delivery_count_max"):
        changes["delivery_count_max"] = count = message.delivery_count_max
        if not 0 <= count <= DELIVERY_COUNT_MAX:
            raise InvalidArgument(
                f"{field}.delivery_count_max",
                f"must be 1 to {DELIVERY_COUNT_MAX}, or 0 for no maximum; got {count}",
            )
    if message.HasField("dead_letter_queue_id"):
        changes["dead_letter_queue_id"] = message.dead_letter_queue_id
    if message.durability_min:
        changes["durability_min"] = _durability(message.durability_min, f"{field}.durability_min")
    back_off_changes = _back_off_changes(message.back_off, f"{field}.back_off")

    def change(settings: QueueSettings) -> QueueSettings:
        back_off = replace(settings.back_off, **back_off_changes)
        return replace(settings, **changes, back_off=back_off)

    return change


def _back_off_changes(message: pb.BackOff, field: str) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name, key, span in (("base", "base_ns", _BASE), ("max", "max_ns", DELAY)):
        if message.HasField(name):
            changes[key] = duration_ns(getattr(message, name), f"{field}.{name}", span)
    for name, least, most in (("factor", 1, 100), ("jitter", 0, 1)):
        if message.HasField(name):
            changes[name] = number = getattr(message, name)
            # What is no number at all is neither less nor more than any.
            if not least <= number <= most:
                raise InvalidArgument(
                    f"{field}.{name}", f"must be {least} to {most}; got {number:g}"
                )
    return changes


def _durability(level: int, field: str) -> Durability:
    try:
        return Durability(level)
    except ValueError:
        levels = ", ".join(
            f"{each.name} ({each.value})" for each in Durability if each is not Durability.UNKNOWN
        )
        raise InvalidArgument(field, f"must be one of {levels}; got {level}") from None


def queue_message(info: QueueInfo) -> pb.Queue:
    """Describe a queue on the wire."""
    return pb.Queue(
        meta=pb.Metadata(
            id=info.id,
            created=_moment(info.created_ns),
            tags=[pb.Tag(key=tag.key, value=tag.value) for tag in info.tags],
        ),
        store=pb.Queue.Store.Name(info.store),
        name=info.name,
        settings=_settings_message(info.settings),
        limit=info.limit,
        paused=_paused_message(info.pause) if info.pause else None,
    )


def _settings_message(settings: QueueSettings) -> pb.QueueSettings:
    return pb.QueueSettings(
        lease_duration=_duration(settings.lease_duration_ns),
        delivery_count_max=settings.delivery_count_max,
        dead_letter_queue_id=settings.dead_letter_queue_id,
        back_off=_back_off_message(settings.back_off),
        durability_min=pb.Durability.Level.Name(settings.durability_min),
    )


def _back_off_message(back_off: BackOff) -> pb.BackOff:
    return pb.BackOff(
        base=_duration(back_off.base_ns),
        factor=back_off.factor,
        max=_duration(back_off.max_ns),
        jitter=back_off.jitter,
    )


def _paused_message(pause: Pause) -> pb.PausedQueue:
    return pb.PausedQueue(since=_moment(pause.since_ns), adds=pause.adds)


def stats_message(stats: QueueStats) -> pb.QueueStats:
    """Describe on the wire what a queue holds."""
    age_ns = stats.oldest_age_ns
    return pb.QueueStats(
        queue=queue_message(stats.info),
        ready=stats.ready,
        ready_bytes=stats.ready_bytes,
        oldest_age=None if age_ns is None else _duration(age_ns),
        waiting=stats.waiting,
        enqueued_total=stats.enqueued_total,
        consumed_total=stats.consumed_total,
        limit=stats.info.limit,
        leased=stats.leased,
        delayed=stats.delayed,
        acked_total=stats.acked_total,
        redelivered_total=stats.redelivered_total,
        dead_lettered_total=stats.dead_lettered_total,
        added_per_second=stats.added_per_second,
        done_per_second=stats.done_per_second,
        consumers=[
            pb.ConsumerStats(consumer=consumer, leased=leased)
            for consumer, leased in stats.consumers
        ],
    )


def _moment(ns: int) -> Timestamp:
    """Convert nanoseconds since the Unix epoch."""
    seconds, nanos = divmod(ns, NS_PER_S)
    return Timestamp(seconds=seconds, nanos=nanos)


def _duration(ns: int) -> Duration:
    """Convert nanoseconds, of which there are none less than 0."""
    seconds, nanos = divmod(ns, NS_PER_S)
    return Duration(seconds=seconds, nanos=nanos)
