"""Deleting and moving messages by their ids. Whoever imports this loads gRPC."""

import json
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from qmq.cli.actions import Pick
from qmq.cli.failures import Failure
from qmq.cli.in_batches import ask_in_batches, name_refused
from qmq.cli.settings import Settings
from qmq.client._sync.connection import Connection
from qmq.wire import q_pb2 as pb

_Reply: TypeAlias = pb.DeleteMessagesResponse | pb.MoveMessagesResponse

_WHAT: Final = {
    "DeleteMessages": "cannot delete message",
    "MoveMessages": "cannot move message",
}


class _Named(NamedTuple):
    """A message as it was named."""

    id: str
    #: As RFC 3339 has it; empty if it was not said.
    created: str


def pick(action: Pick, settings: Settings) -> None:
    """Delete or move messages, as many as there are ids.

    Raises as `ask_in_batches` does; messages that were left alone have been named.
    """
    what = _WHAT[action.method]

    def pick_some(connection: Connection, texts: list[str]) -> int:
        named = [_named(what, text) for text in texts]
        results = _ask(connection, action, named).results
        return name_refused(what, "message", [each.id for each in named], results)

    ask_in_batches(settings, what, action.message_ids, "messages", ask=pick_some)


def _named(what: str, text: str) -> _Named:
    """Read what names a message: its id, or a line as `qcli browse` prints it. Raises Failure."""
    if not text.startswith("{"):
        return _Named(text, "")
    try:
        line = json.loads(text)
    except ValueError as error:
        raise Failure(f"{what}: {text[:80]!r} is neither an id nor JSON: {error}") from error
    message: object = line.get("message", line)
    meta: object = message.get("meta", message) if isinstance(message, Mapping) else None
    found: Mapping[str, object] = meta if isinstance(meta, Mapping) else {}
    id_, created = found.get("id"), found.get("created", "")
    if not isinstance(id_, str) or not isinstance(created, str):
        raise Failure(f"{what}: {text[:80]!r} has no id; give lines as `qcli browse` prints them")
    return _Named(id_, created)


def _ask(connection: Connection, action: Pick, named: Sequence[_Named]) -> _Reply:
    """Make the call; return what became of each. Raises QmqError."""
    request = getattr(pb, f"{action.method}Request")(
        queue_id=action.queue_id, message_ids=[each.id for each in named], **action.fields
    )
    if not request.HasField("created_from") and (moments := _moments(named)):
        request.created_from.CopyFrom(min(moments, key=Timestamp.ToNanoseconds))
    reply: _Reply = connection.ask(
        action.method, request, getattr(pb, f"{action.method}Response"), repeatable=True
    )
    return reply


def _moments(named: Sequence[_Named]) -> list[Timestamp]:
    """Return when messages were created; nothing if that is not known of each."""
    moments: list[Timestamp] = []
    for each in named:
        moment = Timestamp()
        try:
            moment.FromJsonString(each.created)
        except ValueError:
            return []
        moments.append(moment)
    return moments
