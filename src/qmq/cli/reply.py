"""A reply as qcli prints it."""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from qmq.cli.access_reply import access_records, access_table, new_token_lines
from qmq.cli.actions import Output
from qmq.cli.records import (
    Record,
    explained_record,
    group_record,
    line_of,
    queue_record,
    redrive_record,
    stats_record,
)
from qmq.cli.reply_tables import (
    Names,
    explanation_text,
    group_table,
    queue_table,
    redrive_table,
    stats_table,
)
from qmq.cli.schedule_reply import schedule_records, schedule_table
from qmq.cli.server_reply import server_record, server_text
from qmq.cli.table import numbers, table
from qmq.client.codecs import AS_IS
from qmq.client.decode import explanation, group_info, queue_info, queue_stats, redrive
from qmq.client.queue_values import QueueInfo
from qmq.client.server import server_info
from qmq.descriptions import QueueInfo as Described
from qmq.values import Store
from qmq.wire import q_pb2 as pb
from qmq.wire.convert import queue_message


def write_reply(reply: Message, output: Output, names: Names) -> None:
    """Print `reply` on standard output; a table calls queues by their names.

    Raises BrokenPipeError if nobody reads it, and click.ClickException for every other
    reason that it cannot be written.
    """
    match output:
        case "plain" if isinstance(reply, pb.MakeTokenResponse):
            text, about = new_token_lines(reply)
            click.echo(about, err=True)
            lines: Iterable[str] = [text]
        case "plain":
            lines = [plain_json(reply)]
        case "json":
            lines = [reply_json(reply)]
        case "jsonl":
            lines = map(line_of, _records(reply))
        case _:
            lines = _table(reply, names)
    write_lines(lines)


def write_lines(lines: Iterable[str]) -> None:
    """Print lines on standard output. Raises as `write_reply` does."""
    write_output("".join(f"{line}\n" for line in lines).encode())


def write_output(data: bytes) -> None:
    """Print bytes on standard output. Raises as `write_reply` does."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"cannot write the reply: {error.strerror}"
        raise click.ClickException(message) from error


def reply_json(reply: Message) -> str:
    """Return `reply` as JSON: the proto's names in the proto's order, two spaces deep.

    Empty fields are left out, except that a tag always shows its key and its value.
    """
    return _json(_fields(reply))


def plain_json(reply: Message) -> str:
    """Return the same without what the original did not have and nobody has asked for.

    That is: how durable the change is, the limit, and the settings that are as by default.
    """
    fields = _fields(reply)
    fields.pop("durability", None)
    for queue in [*fields.get("queues", ()), *([fields["queue"]] if "queue" in fields else ())]:
        queue.pop("limit", None)
        if settings := _changed(queue.get("settings", {}), _DEFAULTS):
            queue["settings"] = settings
        else:
            queue.pop("settings", None)
    return _json(fields)


def _fields(reply: Message) -> dict[str, Any]:
    fields: dict[str, Any] = MessageToDict(reply, preserving_proto_field_name=True)
    return fields


def _json(fields: object) -> str:
    return json.dumps(_with_whole_tags(fields), indent=2, ensure_ascii=False)


#: The settings of a queue for which nobody has asked for anything, as JSON.
_DEFAULTS: Final = _fields(
    queue_message(Described(id="", created_ns=0, store=Store.MEMORY)).settings
)


def _changed(settings: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that are not as by default."""
    changed: dict[str, Any] = {}
    for name, value in settings.items():
        default = defaults.get(name)
        kept = _changed(value, default) if isinstance(default, dict) else value
        if kept not in (default, {}):
            changed[name] = kept
    return changed


def _with_whole_tags(value: object) -> object:
    """Return JSON's `value` with the empty keys and values of its tags filled in."""
    if isinstance(value, list):
        return [_with_whole_tags(item) for item in value]
    if isinstance(value, dict):
        return {
            name: [{"key": "", "value": "", **tag} for tag in inner]
            # A weight may have that name as well.
            if name == "tags" and isinstance(inner, list)
            else _with_whole_tags(inner)
            for name, inner in value.items()
        }
    return value


def _records(reply: Message) -> Iterator[Record]:  # noqa: C901 - One for each kind.
    """The flat objects that a reply is made of."""
    match reply:
        case pb.StatsResponse():
            yield from (stats_record(queue_stats(each)) for each in reply.queues)
        case pb.GetServerResponse():
            yield server_record(server_info(reply.server))
        case pb.PurgeResponse():
            yield {"removed": reply.removed}
        case pb.ExplainResponse():
            yield explained_record(explanation(reply, AS_IS))
        case pb.ListRedrivesResponse():
            yield from (redrive_record(redrive(each)) for each in reply.redrives)
        case pb.StartRedriveResponse() | pb.GetRedriveResponse() | pb.StopRedriveResponse():
            yield redrive_record(redrive(reply.redrive))
        case pb.PutScheduleResponse() | pb.GetScheduleResponse() | pb.ListSchedulesResponse():
            yield from schedule_records(reply)
        case pb.ListGroupsResponse():
            yield from (group_record(group_info(each)) for each in reply.groups)
        case pb.PauseGroupResponse() | pb.ResumeGroupResponse():
            yield group_record(group_info(reply.group))
        case pb.SkipGroupResponse():
            yield {"skipped": reply.skipped, **group_record(group_info(reply.group))}
        case pb.GetIdentityResponse() | pb.ListIdentitiesResponse() | pb.MakeTokenResponse():
            yield from map(_fields, access_records(reply))
        case _:
            yield from map(queue_record, _queues_of(reply))


def _table(  # noqa: C901, PLR0911 - One for each kind.
    reply: Message, names: Names
) -> list[str]:
    """A reply for people."""
    match reply:
        case pb.StatsResponse():
            return stats_table([queue_stats(each) for each in reply.queues])
        case pb.GetServerResponse():
            return server_text(server_info(reply.server))
        case pb.PurgeResponse():
            return table([numbers("REMOVED", [reply.removed])])
        case pb.ExplainResponse():
            return explanation_text(explanation(reply, AS_IS), names)
        case pb.ListRedrivesResponse():
            return redrive_table([redrive(each) for each in reply.redrives], names)
        case pb.StartRedriveResponse() | pb.GetRedriveResponse() | pb.StopRedriveResponse():
            return redrive_table([redrive(reply.redrive)], names)
        case pb.PutScheduleResponse() | pb.GetScheduleResponse() | pb.ListSchedulesResponse():
            return schedule_table(reply, names)
        case pb.ListGroupsResponse():
            return group_table([group_info(each) for each in reply.groups], None)
        case pb.PauseGroupResponse() | pb.ResumeGroupResponse():
            return group_table([group_info(reply.group)], None)
        case pb.SkipGroupResponse():
            return group_table([group_info(reply.group)], reply.skipped)
        case pb.GetIdentityResponse() | pb.ListIdentitiesResponse() | pb.MakeTokenResponse():
            return access_table(reply)
        case _:
            return queue_table(_queues_of(reply), names)


def _queues_of(reply: Message) -> list[QueueInfo]:
    """The queues in a reply that holds one or several."""
    queues = reply.queues if isinstance(reply, pb.ListQueuesResponse) else [_queue_of(reply)]
    return [queue_info(queue) for queue in queues]


def _queue_of(reply: Message) -> pb.Queue:
    assert isinstance(
        reply,
        pb.GetQueueResponse
        | pb.NewQueueResponse
        | pb.UpdateQueueResponse
        | pb.PauseResponse
        | pb.ResumeResponse,
    )
    return reply.queue
