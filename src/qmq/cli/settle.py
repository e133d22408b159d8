"""Acking, giving back and extending leases. Whoever imports this loads gRPC."""

from typing import Final, TypeAlias

from qmq.cli.actions import Settle
from qmq.cli.in_batches import ask_in_batches, name_refused
from qmq.cli.records import line_of, moment_text
from qmq.cli.reply import reply_json, write_lines
from qmq.cli.settings import Settings
from qmq.cli.table import Column, table
from qmq.client._sync.connection import Connection
from qmq.client.decode import moment_ns
from qmq.wire import q_pb2 as pb

_Reply: TypeAlias = pb.AckResponse | pb.NackResponse | pb.ExtendResponse

_WHAT: Final = {
    "Ack": "cannot ack message",
    "Nack": "cannot give message back",
    "Extend": "cannot extend lease",
}

#: What may be asked for twice without harm: a message is given back once only.
_REPEATABLE: Final = frozenset({"Ack", "Extend"})


def settle(action: Settle, settings: Settings) -> None:
    """Ack, give back or extend leases, as many as there are ids.

    Raises as `ask_in_batches` does; leases that were refused have been named.
    """
    what = _WHAT[action.method]

    def settle_some(connection: Connection, lease_ids: list[str]) -> int:
        reply = _ask(connection, action, lease_ids)
        refused = name_refused(what, "lease", lease_ids, reply.results)
        _show(action, lease_ids, reply)
        return refused

    ask_in_batches(
        settings,
        what,
        action.lease_ids,
        "leases",
        ask=settle_some,
        prints=action.method == "Extend",
    )


def _ask(connection: Connection, action: Settle, lease_ids: list[str]) -> _Reply:
    """Make the call; return what became of each. Raises QmqError."""
    request = getattr(pb, f"{action.method}Request")(
        queue_id=action.queue_id, lease_ids=lease_ids, **action.fields
    )
    reply: _Reply = connection.ask(
        action.method,
        request,
        getattr(pb, f"{action.method}Response"),
        repeatable=action.method in _REPEATABLE,
    )
    return reply


def _show(action: Settle, lease_ids: list[str], reply: _Reply) -> None:
    """Print when extended leases end."""
    if action.method != "Extend":
        return
    ends = [
        (lease_id, moment_text(moment_ns(result.lease_expires_at)))
        for lease_id, result in zip(lease_ids, reply.results, strict=True)
        if not result.code
    ]
    match action.output:
        case "json":
            lines = [reply_json(reply)]
        case "table":
            ids, moments = [lease_id for lease_id, _ in ends], [moment for _, moment in ends]
            lines = table([Column("LEASE", ids), Column("EXPIRES", moments)])
        case _:
            lines = [
                line_of({"lease_id": lease_id, "lease_expires_at": moment})
                for lease_id, moment in ends
            ]
    write_lines(lines)
