"""From messages on the wire that are to be added to what the engine takes, checked."""

import re
from collections.abc import Iterable
from typing import Final

from qmq.errors import InvalidArgument
from qmq.limits import DEDUP_ID_BYTES_MAX, PRIORITY_MAX
from qmq.values import MessageOptions
from qmq.wire import q_pb2 as pb
from qmq.wire.convert import encoded_tags
from qmq.wire.times import AHEAD, TTL, Span, duration_ns, moment_ns

#: With a line break at its end, a dedup_id is another one than without, and looks the same: it
#: is refused, rather than taken for a new one.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


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
                encoded_tags(tags, len(tags), f"{field}[{at}].tags") if tags else b"",
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
        dedup_id=_dedup_id(message.dedup_id, f"{field}.dedup_id"),
    )


def _duration_ns(message: pb.MessageOptions, name: str, field: str, span: Span) -> int | None:
    if not message.HasField(name):
        return None
    return duration_ns(getattr(message, name), f"{field}.{name}", span)


def _moment_ns(message: pb.MessageOptions, name: str, field: str) -> int | None:
    return moment_ns(getattr(message, name), f"{field}.{name}") if message.HasField(name) else None


def _dedup_id(text: str, field: str) -> str:
    if (size := len(text.encode())) > DEDUP_ID_BYTES_MAX:
        raise InvalidArgument.over(
            field,
            f"takes {size} bytes, more than {DEDUP_ID_BYTES_MAX}",
            "dedup_id_bytes_max",
            DEDUP_ID_BYTES_MAX,
            size,
        )
    if control := _CONTROL.search(text):
        raise InvalidArgument(
            field,
            f"must have no control characters, such as line breaks; U+{ord(control[0]):04X} is at"
            f" {control.start()}",
        )
    return text
