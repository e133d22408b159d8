"""Deleting and moving messages by their ids. Whoever imports this loads gRPC."""

import json
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import click
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2

from qmq.cli.call import Pick
from qmq.cli.connect import connected
from qmq.cli.failures import REFUSED, Failure, failure_of, print_error
from qmq.cli.named import batches
from qmq.cli.settings import Settings
from qmq.cli.stop import Interrupted, Stop
from qmq.client._sync.connection import Connection
from qmq.client.errors import QmqError
from qmq.client.options import TIMEOUT_S, Retry
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

    Raises Failure; click's Exit if messages were left alone, which have been named then, or if it
    was interrupted.
    """
    what = _WHAT[action.method]
    with connected(settings, what) as channel, Stop() as stop:
        connection = Connection(channel, timeout_s=TIMEOUT_S, retry=Retry())
        done = refused = 0
        try:
            for texts in batches(action.message_ids, "the message ids"):
                named = [_named(what, text) for text in texts]
                with stop.deferred():
                    results = _ask(connection, action, named).results
                    left = _name_refused(what, named, results)
                refused += left
                done += len(named) - left
        except QmqError as error:
            more = f"{done} messages were done before" if done else ""
            raise failure_of(what, error, more) from error
        except Interrupted as interrupted:
            raise click.exceptions.Exit(interrupted.exit_code) from interrupted
    if refused:
        raise click.exceptions.Exit(REFUSED)


def _named(what: str, text: str) -> _Named:
    """Read what names a message: its id, or a line as `qcli browse` prints it. Raises Failure."""
    if not text.startswith("{"):
        return _Named(text, "")
    try:
        line = json.loads(text)
    except ValueError as error:
        raise Failure(f"{what}: {text[:80]!r} is neither an id nor JSON: {error}") from error
    message: object = line.get("message", line)
    meta = message.get("meta", message) if isinstance(message, Mapping) else {}
    id_, created = meta.get("id"), meta.get("created", "")
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


def _name_refused(what: str, named: Sequence[_Named], results: Sequence[pb.MessageResult]) -> int:
    """Name the messages that were left alone, and return how many those are."""
    refused = [
        (each.id, result) for each, result in zip(named, results, strict=True) if result.code
    ]
    for id_, result in refused:
        code = code_pb2.Code.Name(result.code)
        sentence = result.message
        if id_ not in sentence:
            sentence = f"message {id_}: {sentence}"
        print_error(f"{what}: {code}: {sentence}")
    return len(refused)
