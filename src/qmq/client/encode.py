"""From the values of the client to the messages of the wire.

Requests with many messages are encoded without an object for each. Only the little of the
protobuf encoding that a NewMessage takes is written here; a test holds it against the
protobuf library, byte for byte. See https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, TypeVar

from google.protobuf import duration_pb2, timestamp_pb2

from qmq.client.codecs import Codec
from qmq.client.options import Duration, aware, must_be, seconds
from qmq.client.queue_values import BackOff, Fairness, QueueSettings, Rate
from qmq.client.values import (
    EPOCH,
    DeadLetterReasonName,
    Message,
    MessageStateName,
    Metadata,
    NewMessage,
    TagPairs,
    Tags,
    member,
    tag_pairs,
)
from qmq.envelope import varint
from qmq.limits import PRIORITY_MAX
from qmq.values import NS_PER_S, DeadLetterReason, Durability, MessageState
from qmq.wire import q_pb2 as pb

T = TypeVar("T")

_DAY_S: Final = 24 * 3600

#: Field 2, length-delimited: `messages` of AddBatchRequest, `payload` of NewMessage.
_FIELD_2: Final = b"\x12"


@lru_cache(maxsize=4096)
def _head(payload_bytes: int) -> bytes:
    """Encode what stands before a payload of that length in a message without tags."""
    if not payload_bytes:
        return _FIELD_2 + varint(0)
    payload_head = _FIELD_2 + varint(payload_bytes)
    return _FIELD_2 + varint(len(payload_head) + payload_bytes) + payload_head


def new_message(
    payload: bytes, tags: TagPairs = (), options: pb.MessageOptions | None = None
) -> bytes:
    """Encode a message as it stands in an AddBatchRequest."""
    if not tags and options is None:
        return _head(len(payload)) + payload
    message = pb.NewMessage(
        payload=payload, tags=[pb.Tag(key=k, value=v) for k, v in tags], options=options
    )
    body = message.SerializeToString()
    return _FIELD_2 + varint(len(body)) + body


def message_options(  # noqa: PLR0913 - All that it may be told, each by name.
    *,
    delay: Duration | None,
    available_at: datetime | None,
    ttl: Duration | None,
    expires_at: datetime | None,
    priority: int,
    dedup_id: str,
    group_id: str,
    fair_key: str,
) -> pb.MessageOptions | None:
    """Encode what `Queue.add` is told besides payload and tags; None if it is told nothing.

    Raises:
        ValueError: a duration is negative, a moment has no time zone, or the priority is no
            number of 32 bits.
        TypeError: something is of another type than it must be.
    """
    has_durations = delay is not None or ttl is not None
    has_moments = available_at is not None or expires_at is not None
    has_others = priority or dedup_id or group_id or fair_key
    if not (has_others or has_durations or has_moments):
        return None
    must_be(int, priority=priority)
    if abs(priority) >= 2**31:  # What can be sent the server judges.
        raise ValueError(f"priority must be 0 to {PRIORITY_MAX}; got {priority}")
    must_be(str, dedup_id=dedup_id, group_id=group_id, fair_key=fair_key)
    return pb.MessageOptions(
        delay=_duration(delay, "delay"),
        available_at=_timestamp(available_at, "available_at"),
        ttl=_duration(ttl, "ttl"),
        expires_at=_timestamp(expires_at, "expires_at"),
        priority=priority,
        dedup_id=dedup_id,
        group_id=group_id,
        fair_key=fair_key,
    )


def options_of(message: NewMessage[Any], dedup_id: str = "") -> pb.MessageOptions | None:
    """Encode the options of a message.

    Args:
        message: the message.
        dedup_id: what it is added under if it does not say so itself.
    """
    return message_options(
        delay=message.delay,
        available_at=message.available_at,
        ttl=message.ttl,
        expires_at=message.expires_at,
        priority=message.priority,
        dedup_id=message.dedup_id or dedup_id,
        group_id=message.group_id,
        fair_key=message.fair_key,
    )


def record_of(
    message: T | NewMessage[T], codec: Codec[T], tags: TagPairs, ids: Iterator[str] | None
) -> tuple[bytes, str]:
    """Encode a message of `Queue.add_batch` as `new_message` does.

    Args:
        message: that, or the payload of one without options.
        codec: what encodes the payload.
        tags: further tags.
        ids: of these it gets a dedup_id if it has none.

    Returns:
        The message, and its dedup_id.
    """
    if not isinstance(message, NewMessage):
        if ids is None:
            return new_message(codec.encode(message), tags), ""
        message = NewMessage(message)
    dedup_id = message.dedup_id or (next(ids) if ids else "")
    payload = codec.encode(message.payload)
    return new_message(payload, (*message.tags, *tags), options_of(message, dedup_id)), dedup_id


def add_batch(
    queue_id: str,
    messages: Iterable[bytes],
    *,
    partial: bool,
    durability: Durability = Durability.UNKNOWN,
) -> bytes:
    """Encode an AddBatchRequest from what `new_message` returned."""
    rest = pb.AddBatchRequest(queue_id=queue_id, partial=partial, durability=durability.name)
    return b"".join((rest.SerializeToString(), *messages))


def has_dedup_id(record: bytes) -> bool:
    """Tell whether what `new_message` returned has one."""
    (message,) = pb.AddBatchRequest.FromString(record).messages
    return message.options.dedup_id != ""


def read_new_message(record: bytes) -> NewMessage[bytes]:
    """Return the message of which `new_message` returned that."""
    (message,) = pb.AddBatchRequest.FromString(record).messages
    return message_of(message)


def message_of(message: pb.NewMessage) -> NewMessage[bytes]:
    """Convert a message that is to be added back to what it was made from."""
    options = message.options
    return NewMessage(
        message.payload,
        tags=[(tag.key, tag.value) for tag in message.tags],
        delay=options.delay.ToTimedelta() if options.HasField("delay") else None,
        available_at=options.available_at.ToDatetime(UTC)
        if options.HasField("available_at")
        else None,
        ttl=options.ttl.ToTimedelta() if options.HasField("ttl") else None,
        expires_at=options.expires_at.ToDatetime(UTC) if options.HasField("expires_at") else None,
        priority=options.priority,
        dedup_id=options.dedup_id,
        group_id=options.group_id,
        fair_key=options.fair_key,
    )


def duration(value_s: float) -> duration_pb2.Duration:
    """Encode a duration, given in seconds, to the nanosecond."""
    whole_s, ns = divmod(round(value_s * NS_PER_S), NS_PER_S)
    return duration_pb2.Duration(seconds=whole_s, nanos=ns)


def tags_of(tags: Tags) -> list[pb.Tag]:
    """Encode tags, however they were written."""
    return [pb.Tag(key=key, value=value) for key, value in tag_pairs(tags)]


def queue_settings(settings: QueueSettings) -> pb.QueueSettings:
    """Encode settings of a queue; what is None is left out. Raises TypeError if they are none."""
    must_be(QueueSettings, settings=settings)
    for name in ("delivery_count_max", "bytes_limit", "leased_max", "park_after", "weight"):
        if (number := getattr(settings, name)) is not None:
            must_be(int, **{name: number})
    if settings.dead_letter_queue_id is not None:
        must_be(str, dead_letter_queue_id=settings.dead_letter_queue_id)
    level, overflow = settings.durability_min, settings.overflow
    return pb.QueueSettings(
        lease_duration=_span(settings.lease_duration),
        delivery_count_max=settings.delivery_count_max,
        dead_letter_queue_id=settings.dead_letter_queue_id,
        back_off=_back_off(settings.back_off) if settings.back_off else None,
        durability_min=None if level is None else pb.Durability.Level.Name(level),
        delay=_span(settings.delay),
        ttl=_span(settings.ttl),
        dead_letter_expired=settings.dead_letter_expired,
        dedup_window=_span(settings.dedup_window),
        priority_ageing=_span(settings.priority_ageing),
        bytes_limit=settings.bytes_limit,
        overflow=None if overflow is None else pb.Overflow.Policy.Name(overflow),
        leased_max=settings.leased_max,
        rate=_rate(settings.rate) if settings.rate else None,
        park_after=settings.park_after,
        fairness=_fairness(settings.fairness) if settings.fairness else None,
        weight=settings.weight,
    )


def browse_request(  # noqa: PLR0913 - All that it may ask for, each by name.
    queue_id: str,
    *,
    states: Iterable[MessageStateName],
    tags: Tags,
    selector: str,
    group_id: str,
    fair_key: str,
    age_min: Duration | None,
    age_max: Duration | None,
    page_size: int,
) -> pb.BrowseRequest:
    """Encode what `Queue.browse` is told."""
    return pb.BrowseRequest(
        queue_id=queue_id,
        page_size=page_size,
        states=[
            pb.BrowseRequest.State.Name(member(MessageState, each, "each of states"))
            for each in states
        ],
        tags=tags_of(tags),
        selector=selector,
        group_id=group_id,
        fair_key=fair_key,
        age_min=_duration(age_min, "age_min"),
        age_max=_duration(age_max, "age_max"),
    )


def redrive_request(  # noqa: PLR0913 - As above.
    queue_id: str,
    target_queue_id: str,
    *,
    tags: Tags,
    reasons: Iterable[DeadLetterReasonName],
    text: str,
    age_min: Duration | None,
    age_max: Duration | None,
    messages_max: int,
    messages_per_second: float,
    failed_again_max: float | None,
    dry_run: bool,
) -> pb.StartRedriveRequest:
    """Encode what `Queue.redrive` is told."""
    return pb.StartRedriveRequest(
        queue_id=queue_id,
        target_queue_id=target_queue_id,
        tags=tags_of(tags),
        reasons=[
            pb.DeadLetter.Reason.Name(member(DeadLetterReason, each, "each of reasons"))
            for each in reasons
        ],
        text=text,
        age_min=_duration(age_min, "age_min"),
        age_max=_duration(age_max, "age_max"),
        messages_max=messages_max,
        messages_per_second=messages_per_second,
        failed_again_max=failed_again_max,
        dry_run=dry_run,
    )


def _back_off(back_off: BackOff) -> pb.BackOff:
    return pb.BackOff(
        base=_span(back_off.base),
        factor=back_off.factor,
        max=_span(back_off.max),
        jitter=back_off.jitter,
    )


def _rate(rate: Rate) -> pb.Rate:
    return pb.Rate(messages_per_second=rate.messages_per_second, burst=rate.burst)


def _fairness(fairness: Fairness) -> pb.Fairness:
    return pb.Fairness(
        leased_max=fairness.leased_max,
        rate=_rate(fairness.rate) if fairness.rate else None,
        weights=fairness.weights,
    )


def _span(span: timedelta | None) -> duration_pb2.Duration | None:
    if span is None:
        return None
    # Whole numbers all the way: a float would be wrong in the last digits.
    return duration_pb2.Duration(
        seconds=span.days * _DAY_S + span.seconds, nanos=span.microseconds * 1_000
    )


def _duration(value: Duration | None, name: str) -> duration_pb2.Duration | None:
    if value is None:
        return None
    value_s = seconds(value, name)
    return _span(value) if isinstance(value, timedelta) else duration(value_s)


def _timestamp(moment: datetime | None, name: str) -> timestamp_pb2.Timestamp | None:
    if moment is None:
        return None
    since = aware(moment, name) - EPOCH
    return timestamp_pb2.Timestamp(
        seconds=since.days * _DAY_S + since.seconds, nanos=since.microseconds * 1_000
    )


def picked(messages: Iterable[Message[Any] | Metadata | str]) -> tuple[list[str], int]:
    """Return the ids of messages, and when the first of them was created; 0 if that is not known.

    Args:
        messages: themselves, what `add` returned of them, or their ids.
    """
    ids: list[str] = []
    moments_ns: list[int] = []
    for each in messages:
        if isinstance(each, str):
            ids.append(each)
            moments_ns.append(0)
        else:
            ids.append(each.id)
            moments_ns.append(each.created_ns)
    return ids, min(moments_ns, default=0)
