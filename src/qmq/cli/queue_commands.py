"""The commands about queues: what each accepts, and the call that it stands for."""

import click

from qmq.cli.arguments import complete_store, read_limit, read_store
from qmq.cli.call import Call, Output
from qmq.cli.help import CommandWithExamples
from qmq.cli.options import output_option, queue_argument, tags_option
from qmq.cli.settings import server_option
from qmq.values import Store

Tags = list[dict[str, str]]

_queues_output = output_option("json, the server's reply, is the default; jsonl: a queue a line.")


@click.command("list", cls=CommandWithExamples)
@_queues_output
@server_option()
def list_queues(output: Output | None) -> Call:
    """List all queues, the oldest first."""
    return Call(
        failure="cannot list queues", method="ListQueues", fields={}, output=output or "json"
    )


@click.command("get", cls=CommandWithExamples)
@queue_argument
@_queues_output
@server_option()
def get_queue(queue_id: str, output: Output | None) -> Call:
    """Show one queue: its id, creation time, tags, store and name."""
    return Call(
        failure="cannot get queue",
        method="GetQueue",
        fields={"queue_id": queue_id},
        output=output or "json",
    )


@click.command("delete", cls=CommandWithExamples)
@queue_argument
@server_option()
def delete_queue(queue_id: str) -> Call:
    """Delete a queue and every message in it.

    Prints nothing. Deleting a queue that does not exist succeeds.
    """
    return Call(
        failure="cannot delete queue",
        method="DeleteQueue",
        fields={"queue_id": queue_id},
        prints_reply=False,
    )


# A limit of -1 looks like an option; one that is unknown counts as an argument here.
@click.command("new", cls=CommandWithExamples, context_settings={"ignore_unknown_options": True})
@click.argument("store", callback=read_store, shell_complete=complete_store)
@click.argument("limit", callback=read_limit)
@tags_option
@click.option("--name", default="", help="A unique name, accepted wherever an ID is.")
@_queues_output
@server_option()
def new_queue(store: Store, limit: int, tags: Tags, name: str, output: Output | None) -> Call:
    """Create a queue.

    STORE is MEMORY, whose messages end with the server, or DISK, whose messages are on
    disk before the server answers. LIMIT is the number of messages that the queue holds
    at most; -1 means no limit.
    """
    return Call(
        failure="cannot create new queue",
        method="NewQueue",
        fields={"store": store.value, "limit": limit, "tags": tags, "name": name},
        output=output or "json",
    )


@click.command("tag", cls=CommandWithExamples)
@queue_argument
@click.argument("key")
@click.argument("value")
@server_option()
def tag_queue(queue_id: str, key: str, value: str) -> Call:
    """Add a tag to a queue.

    Prints nothing. One key may have several values. Write -- before a KEY or VALUE that
    begins with a dash.
    """
    return Call(
        failure="cannot tag queue",
        method="AddQueueTag",
        fields={"queue_id": queue_id, "tag": {"key": key, "value": value}},
        prints_reply=False,
    )


@click.command("untag", cls=CommandWithExamples)
@queue_argument
@click.argument("key")
@click.argument("value")
@server_option()
def untag_queue(queue_id: str, key: str, value: str) -> Call:
    """Remove a tag from a queue.

    Prints nothing. Removing a tag that the queue does not have succeeds.
    """
    return Call(
        failure="cannot untag queue",
        method="DeleteQueueTag",
        fields={"queue_id": queue_id, "tag": {"key": key, "value": value}},
        prints_reply=False,
    )
