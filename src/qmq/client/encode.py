"""From the values of the client to the messages of the wire.

Requests with many messages are encoded without an object for each. Only the little of the
protobuf encoding that a NewMessage takes is written here; a test holds it against the
protobuf library, byte for byte. See https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache
from typing import Final

from google.protobuf import duration_pb2

from qmq.client.options import Duration, seconds
from qmq.client.values import (
    BackOff,
    DeadLetterReasonName,
    MessageStateName,
    QueueSettings,
    Tags,
    tag_pairs,
)
from qmq.envelope import varint
from qmq.values import NS_PER_S, DeadLetterReason, Durability, MessageState
from qmq.wire import q_pb2 as pb

#: Field 2, length-delimited: `messages` of AddBatchRequest, `payload` of NewMessage.
_FIELD_2: Final = b"\x12"


@lru_cache(maxsize=4096)
def _head(payload_bytes: int) -> bytes:
    """Encode what stands before a payload of that length in a message without tags."""
    if not payload_bytes:
        return _FIELD_2 + varint(0)
    payload_head = _FIELD_2 + varint(payload_bytes)
    return _FIELD_2 + varint(len(payload_head) + payload_bytes) + payload_head


def new_message(payload: bytes, tags: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Encode a message as it stands in an AddBatchRequest."""
    if not tags:
        return _head(len(payload)) + payload
    message = pb.NewMessage(payload=payload, tags=[pb.Tag(key=k, value=v) for k, v in tags])
    body = message.SerializeToString()
    return _FIELD_2 + varint(len(body)) + body


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


def read_new_message(record: bytes) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    """Return payload and tags of what `new_message` returned."""
    (message,) = pb.AddBatchRequest.FromString(record).messages
    return message.payload, tuple((tag.key, tag.value) for tag in message.tags)


def duration(value_s: float) -> duration_pb2.Duration:
    """Encode a duration, given in seconds, to the nanosecond."""
    whole_s, ns = divmod(round(value_s * NS_PER_S), NS_PER_S)
    return duration_pb2.Duration(seconds=whole_s, nanos=ns)


def tags_of(tags: Tags) -> list[pb.Tag]:
    """Encode tags, however they were written."""
    return [pb.Tag(key=key, value=value) for key, value in tag_pairs(tags)]


def queue_settings(settings: QueueSettings) -> pb.QueueSettings:
    """Encode settings of a queue; what is None is left out."""
    level = settings.durability_min
    return pb.QueueSettings(
        lease_duration=_span(settings.lease_duration),
        delivery_count_max=settings.delivery_count_max,
        dead_letter_queue_id=settings.dead_letter_queue_id,
        back_off=_back_off(settings.back_off) if settings.back_off else None,
        durability_min=None if level is None else pb.Durability.Level.Name(level),
    )


def browse_request(  # noqa: PLR0913 - All that it may ask for, each by name.
    queue_id: str,
    *,
    states: Iterable[MessageStateName],
    tags: Tags,
    age_min: Duration | None,
    age_max: Duration | None,
    page_size: int,
) -> pb.BrowseRequest:
    """Encode what `Queue.browse` is told."""
    return pb.BrowseRequest(
        queue_id=queue_id,
        page_size=page_size,
        states=[
            pb.BrowseRequest.State.Name(MessageState[each] if isinstance(each, str) else each)
            for each in states
        ],
        tags=tags_of(tags),
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
            pb.DeadLetter.Reason.Name(DeadLetterReason[each] if isinstance(each, str) else each)
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


def _span(span: timedelta | None) -> duration_pb2.Duration | None:
    return None if span is None else duration(span.total_seconds())


def _duration(value: Duration | None, name: str) -> duration_pb2.Duration | None:
    return None if value is None else duration(seconds(value, name))
