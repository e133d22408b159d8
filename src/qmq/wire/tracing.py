"""What a trace says of a call: its queue, the number of its messages, and where they came from.

The names are those of OpenTelemetry's conventions for messaging. Payloads are in none of it.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError, Message

from qmq.wire import q_pb2 as pb

#: The tag of a message that names the span in which it was added, as the W3C writes it.
TRACEPARENT: Final = "traceparent"

#: Of the messages of one call, so many at most are told of, and linked to.
MESSAGES_TOLD_MAX: Final = 32

#: Of what clients call a queue, or write in a selector, so many characters are told.
TEXT_TOLD_MAX: Final = 200

#: What kind of operation a method is; others are not told to be any.
_KINDS: Final = {
    **dict.fromkeys(("Add", "AddBatch"), "send"),
    **dict.fromkeys(("Pop", "PopBatch", "Lease", "Consume", "Peek"), "receive"),
    **dict.fromkeys(("Ack", "Nack", "Complete"), "settle"),
}

_PARENT: Final = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_UUID: Final = re.compile("(urn:uuid:)?[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)
_WORD: Final = re.compile("(?<!^)(?=[A-Z])")


class Origin(NamedTuple):
    """The span in which a message was added."""

    trace_id: int
    span_id: int
    flags: int


class Told(NamedTuple):
    """What the messages of a call say."""

    number: int = 0
    #: Ids of the first of them, as far as they have any.
    message_ids: tuple[str, ...] = ()
    #: Different ones, of the first messages that name any.
    origins: tuple[Origin, ...] = ()


class Asked(NamedTuple):
    """What a request says."""

    #: As the caller calls it; empty if it names none.
    queue_id: str = ""
    selector: str = ""
    messages: Told = Told()


def operation_name(method: str) -> str:
    """Return what a method's operation is called: `add_batch` for AddBatch."""
    return _WORD.sub("_", method).lower()


def operation_kind(method: str) -> str:
    """Return `send`, `receive` or `settle`; empty for what is none of these."""
    return _KINDS.get(method, "")


def span_name(method: str, queue: str) -> str:
    """Return the name of a call's span, such as `lease orders`.

    Of names there should be few, so a queue's UUID is no part of it.
    """
    name = operation_name(method)
    return name if not queue or _UUID.fullmatch(queue) else f"{name} {queue[:TEXT_TOLD_MAX]}"


def origin_of(traceparent: str) -> Origin | None:
    """Read what the W3C calls a traceparent; None if it is none."""
    match = _PARENT.fullmatch(traceparent)
    if match is None:
        return None
    origin = Origin(*(int(each, 16) for each in match.groups()))
    return origin if origin.trace_id and origin.span_id else None


def origin_in(tags: Iterable[tuple[str, str]]) -> Origin | None:
    """Return what the tags of a message say of where it was added; None if they do not."""
    for key, value in tags:
        if key == TRACEPARENT:
            return origin_of(value)
    return None


def asked(method: str, request: bytes) -> Asked:
    """Read a request; of one that cannot be read nothing is known."""
    message = _decoded(f"{method}Request", request)
    if message is None:
        return Asked()
    # Each kind has some of these.
    new: Sequence[pb.NewMessage] = (
        [message.message] if method == "Add" else getattr(message, "messages", ())
    )
    lease_ids: Sequence[str] = getattr(message, "lease_ids", ())
    told = Told(
        len(new) or len(lease_ids), (), _origins(each.tags for each in new[:MESSAGES_TOLD_MAX])
    )
    return Asked(getattr(message, "queue_id", ""), getattr(message, "selector", ""), told)


def told(method: str, reply: bytes) -> Told:
    """Read which messages a reply is about; of one that has none there are none."""
    message = _decoded(f"{method}Response", reply) if operation_kind(method) else None
    if message is None:
        return Told()
    if method == "Consume":
        message = message.messages
    metas = _metas(message)
    return Told(
        len(metas),
        tuple(meta.id for meta in metas[:MESSAGES_TOLD_MAX]),
        _origins(meta.tags for meta in metas[:MESSAGES_TOLD_MAX]),
    )


def _metas(reply: Any) -> list[pb.Metadata]:  # noqa: ANN401 - One of several messages.
    """Return what is known of the messages that a reply has."""
    found = getattr(reply, "messages", None)
    if found is None:
        found = [reply.message] if hasattr(reply, "message") and reply.HasField("message") else []
    return [_meta(each) for each in found]


def _meta(message: Any) -> pb.Metadata:  # noqa: ANN401 - As above.
    if isinstance(message, pb.Metadata):
        return message
    meta: pb.Metadata = (message.message if hasattr(message, "message") else message).meta
    return meta


def _origins(tags: Iterable[Iterable[pb.Tag]]) -> tuple[Origin, ...]:
    pairs = (((tag.key, tag.value) for tag in each) for each in tags)
    return tuple(dict.fromkeys(filter(None, map(origin_in, pairs))))


def _decoded(name: str, data: bytes) -> Any:  # noqa: ANN401 - One of several messages, or None.
    kind = _kind(name)
    if kind is None:
        return None
    try:
        return kind.FromString(data)
    except DecodeError:
        return None


@cache
def _kind(name: str) -> type[Message] | None:
    kind: type[Message] | None = getattr(pb, name, None)
    return kind
