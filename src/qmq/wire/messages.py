"""From messages on the wire that are to be added to what the engine takes, checked."""

from collections.abc import Iterable

from qmq.descriptions import MessageOptions
from qmq.errors import InvalidArgument
from qmq.limits import (
    DEDUP_ID_BYTES_MAX,
    FAIR_KEY_BYTES_MAX,
    GROUP_ID_BYTES_MAX,
    PRIORITY_MAX,
)
from qmq.wire import q_pb2 as pb
from qmq.wire.convert import encoded_tags
from qmq.wire.ids import checked_id
from qmq.wire.times import AHEAD, TTL, Span, duration_ns, moment_ns


def encoded_messages(
    messages: Iterable[pb.NewMessage], field: str
) -> tuple[list[tuple[bytes, bytes]], dict[int, MessageOptions]]:
    """Convert messages that are to be added.

    Args:
        messages: a repeated field.
        field: its name, for errors.

    Returns:
        Of each message its tags, encoded, and its payload; and, by their places from 0, the
        options of those that have any.

    Raises:
        InvalidArgument: one has too many tags, or they are too long, or its options break a rule.
    """
    options: dict[int, MessageOptions] = {}
    encoded: list[tuple[bytes, bytes]] = []
    for at, message in enumerate(messages):
        tags = message.tags
        encoded.append(
            (
                encoded_tags(tags, f"{field}[{at}].tags") if tags else b"",
                message.payload,
            )
        )
        if message.HasField("options"):
            options[at] = message_options(message.options, f"{field}[{at}].options")
    return encoded, options


def message_options(message: pb.MessageOptions, field: str) -> MessageOptions:
    """Convert the options of a message.

    Args:
        message: the options. Whether a moment has passed is not looked at.
        field: their name, for errors.

    Raises:
        InvalidArgument: one of them breaks its rule, or two exclude each other.
    """
    for name, other in (("delay", "available_at"), ("ttl", "expires_at")):
        if message.HasField(name) and message.HasField(other):
            raise InvalidArgument(f"{field}.{name}", f"cannot be given together with {other}")
    if not 0 <= message.priority <= PRIORITY_MAX:
        raise InvalidArgument(
            f"{field}.priority", f"must be 0 to {PRIORITY_MAX}; got {message.priority}"
        )
    return MessageOptions(
        delay_ns=_duration_ns(message, "delay", field, AHEAD),
        available_ns=_moment_ns(message, "available_at", field),
        ttl_ns=_duration_ns(message, "ttl", field, TTL),
        expires_ns=_moment_ns(message, "expires_at", field),
        priority=message.priority,
        dedup_id=checked_id(message.dedup_id, f"{field}.dedup_id", DEDUP_ID_BYTES_MAX, "dedup_id"),
        group_id=checked_id(message.group_id, f"{field}.group_id", GROUP_ID_BYTES_MAX, "group_id"),
        fair_key=checked_id(message.fair_key, f"{field}.fair_key", FAIR_KEY_BYTES_MAX, "fair_key"),
    )


def _duration_ns(message: pb.MessageOptions, name: str, field: str, span: Span) -> int | None:
    if not message.HasField(name):
        return None
    return duration_ns(getattr(message, name), f"{field}.{name}", span)


def _moment_ns(message: pb.MessageOptions, name: str, field: str) -> int | None:
    return moment_ns(getattr(message, name), f"{field}.{name}") if message.HasField(name) else None
