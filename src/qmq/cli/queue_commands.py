"""The commands about queues: their options, and the calls that they stand for."""

from typing import Unpack

import click

from qmq.cli.actions import Call, Output, Purge
from qmq.cli.arguments import complete_store, read_limit, read_store
from qmq.cli.help import CommandWithExamples
from qmq.cli.options import (
    Tags,
    default_output,
    given,
    output_option,
    queue_argument,
    selector_option,
    tags_option,
    view_call,
    view_output,
)
from qmq.cli.queue_options import QueueOptions, queue_options, settings_fields
from qmq.cli.settings import server_option
from qmq.values import Store

_queues_output = output_option(
    "json is the server's whole reply, jsonl a queue a line. Otherwise json, in which settings"
    " are left out that are as by default."
)


@click.command("list", cls=CommandWithExamples)
@selector_option("Only queues whose tags it matches, such as 'team=mail,env in (prod,stage),!old'.")
@_queues_output
@server_option()
def list_queues(selector: str, output: Output | None) -> Call:
    """List all queues, the oldest first."""
    return Call(
        failure="cannot list queues",
        method="ListQueues",
        fields=given(selector=selector or None),
        output=output or "plain",
    )


@click.command("get", cls=CommandWithExamples)
@queue_argument
@_queues_output
@server_option()
def get_queue(queue_id: str, output: Output | None) -> Call:
    """Show one queue and its settings."""
    return Call(
        failure="cannot get queue",
        method="GetQueue",
        fields={"queue_id": queue_id},
        output=output or "plain",
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
@queue_options
@_queues_output
@server_option()
def new_queue(
    store: Store,
    limit: int,
    tags: Tags,
    name: str,
    output: Output | None,
    **options: Unpack[QueueOptions],
) -> Call:
    """Create a queue.

    STORE is MEMORY, whose messages end with the server, or DISK, whose messages are on
    disk before the server answers. LIMIT is the number of messages that the queue holds
    at most, those on lease and kept back included; -1 means no limit.
    """
    fields = {"store": store.value, "limit": limit, "tags": tags, "name": name}
    return Call(
        failure="cannot create new queue",
        method="NewQueue",
        fields=fields | given(settings=settings_fields(options) or None),
        output=output or "plain",
    )


@click.command("update", cls=CommandWithExamples)
@queue_argument
@click.option(
    "--limit",
    callback=read_limit,
    metavar="N",
    help="How many messages the queue holds at most; -1 means no limit. What it holds stays.",
)
@queue_options
@view_output
@server_option()
def update_queue(
    queue_id: str, *, limit: int | None, output: Output | None, **options: Unpack[QueueOptions]
) -> Call:
    """Change a queue's settings. What is not given stays as it is.

    The settings are then shown. They count for what happens from now on: leases and delays
    that have begun end when it was said that they would.
    """
    settings = settings_fields(options)
    if limit is None and not settings:
        raise click.UsageError("nothing to change: give at least one setting, or --limit")
    return view_call(
        "cannot update queue",
        "UpdateQueue",
        {"queue_id": queue_id} | given(limit=limit, settings=settings or None),
        output,
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


@click.command("pause", cls=CommandWithExamples)
@queue_argument
@click.option("--adds", "stops_adds", is_flag=True, help="Take no messages either.")
@view_output
@server_option()
def pause_queue(queue_id: str, *, stops_adds: bool, output: Output | None) -> Call:
    """Hand out no messages of a queue, until `qcli resume`.

    What is on lease can still be acked. Who waits for a message goes on waiting.
    """
    return view_call(
        "cannot pause queue", "Pause", {"queue_id": queue_id, "adds": stops_adds}, output
    )


@click.command("resume", cls=CommandWithExamples)
@queue_argument
@view_output
@server_option()
def resume_queue(queue_id: str, output: Output | None) -> Call:
    """End the pause of a queue. That there is none is no error."""
    return view_call("cannot resume queue", "Resume", {"queue_id": queue_id}, output)


@click.command("purge", cls=CommandWithExamples)
@queue_argument
@click.option("-y", "--yes", "is_sure", is_flag=True, help="Do not ask.")
@view_output
@server_option()
def purge_queue(queue_id: str, *, is_sure: bool, output: Output | None) -> Purge:
    """Remove all messages of a queue, also those on lease. Shows how many.

    On a terminal, it asks for the queue's name first. Elsewhere there is nobody to ask, and
    --yes has to say that this is meant.
    """
    return Purge(queue_id=queue_id, is_sure=is_sure, output=output or default_output())
