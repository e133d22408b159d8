"""A reply as qcli prints it."""

import json
import sys
from collections.abc import Iterable

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from qmq.cli.call import Output
from qmq.cli.records import line_of, queue_record, stats_record
from qmq.cli.table import Column, age_text, printable, size_text, table
from qmq.client.decode import queue_info, queue_stats
from qmq.client.values import QueueInfo, QueueStats
from qmq.wire import q_pb2 as pb


def write_reply(reply: Message, output: Output) -> None:
    """Print `reply` on standard output.

    Raises BrokenPipeError if nobody reads it, and click.ClickException for every other
    reason that it cannot be written.
    """
    if output == "json":
        write_text(reply_json(reply) + "\n")
        return
    if isinstance(reply, pb.StatsResponse):
        stats = [queue_stats(each) for each in reply.queues]
        lines = _stats_table(stats) if output == "table" else map(line_of, map(stats_record, stats))
    else:
        queues = [queue_info(each) for each in _queues_of(reply)]
        lines = (
            _queue_table(queues) if output == "table" else map(line_of, map(queue_record, queues))
        )
    write_text("".join(f"{line}\n" for line in lines))


def write_text(text: str) -> None:
    """Print on standard output. Raises as `write_reply` does."""
    try:
        sys.stdout.buffer.write(text.encode())
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
    fields = MessageToDict(reply, preserving_proto_field_name=True)
    return json.dumps(_with_whole_tags(fields), indent=2, ensure_ascii=False)


def _with_whole_tags(value: object) -> object:
    """Return JSON's `value` with the empty keys and values of its tags filled in."""
    if isinstance(value, list):
        return [_with_whole_tags(item) for item in value]
    if isinstance(value, dict):
        return {
            name: [{"key": "", "value": "", **tag} for tag in inner]
            if name == "tags"
            else _with_whole_tags(inner)
            for name, inner in value.items()
        }
    return value


def _queues_of(reply: Message) -> Iterable[pb.Queue]:
    """The queues in a reply that holds one or several."""
    if isinstance(reply, pb.ListQueuesResponse):
        return reply.queues
    assert isinstance(reply, pb.GetQueueResponse | pb.NewQueueResponse)
    return [reply.queue]


def _queue_table(queues: list[QueueInfo]) -> list[str]:
    return table(
        [
            Column("NAME", [queue.name or "-" for queue in queues]),
            Column("ID", [queue.id for queue in queues]),
            Column("STORE", [queue.store.name for queue in queues]),
            Column("CREATED", [f"{queue.created:%Y-%m-%d %H:%M:%SZ}" for queue in queues]),
            Column(
                "TAGS",
                [
                    printable(" ".join(f"{tag.key}={tag.value}" for tag in queue.tags))
                    for queue in queues
                ],
            ),
        ]
    )


def _stats_table(stats: list[QueueStats]) -> list[str]:
    def numbers(title: str, values: Iterable[int]) -> Column:
        return Column(title, [str(value) for value in values], is_number=True)

    return table(
        [
            Column("QUEUE", [each.info.name or each.info.id for each in stats]),
            Column("STORE", [each.info.store.name for each in stats]),
            numbers("READY", (each.ready for each in stats)),
            Column(
                "LIMIT",
                ["-" if each.limit < 0 else str(each.limit) for each in stats],
                is_number=True,
            ),
            Column("BYTES", [size_text(each.ready_bytes) for each in stats], is_number=True),
            Column("OLDEST", [age_text(each.oldest_age) for each in stats], is_number=True),
            numbers("WAITING", (each.waiting for each in stats)),
            numbers("ADDED", (each.enqueued_total for each in stats)),
            numbers("POPPED", (each.consumed_total for each in stats)),
        ]
    )
