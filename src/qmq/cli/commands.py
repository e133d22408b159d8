"""The commands of qcli: what each accepts, and the call that it stands for."""

import click

from qmq.cli.arguments import (
    complete_command,
    complete_queue,
    complete_store,
    read_limit,
    read_store,
    read_tags,
)
from qmq.cli.call import Call
from qmq.cli.help import CommandsInOrder
from qmq.cli.payload import read_payload
from qmq.cli.server import server_address, server_option
from qmq.values import Store

Tags = list[dict[str, str]]


@click.group(
    cls=CommandsInOrder,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96},
)
@server_option(envvar="QCLI_SERVER")
@click.version_option(package_name="qmq", prog_name="qcli", message="%(prog)s %(version)s")
@click.pass_context
def qcli(ctx: click.Context) -> None:
    """Ask a q server to make queues, and put messages into them and take them out.

    Answers are printed as JSON. Wherever a queue's ID stands, its name does as well.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        ctx.exit()


@qcli.result_callback()
@click.pass_context
def make_call(ctx: click.Context, call: Call | None) -> None:
    """Make the call that the command stands for; `help` stands for none."""
    if call is not None:
        from qmq.cli.execute import execute  # noqa: PLC0415 - only a call needs gRPC

        execute(call, server_address(ctx))


queue_argument = click.argument("queue_id", metavar="ID", shell_complete=complete_queue)
tags_option = click.option(
    "-t",
    "--tag",
    "tags",
    metavar="KEY=VALUE",
    multiple=True,
    callback=read_tags,
    help="A tag; may be given several times, also for one key. KEY:VALUE works too.",
)


@qcli.command("list")
@server_option()
def list_queues() -> Call:
    """List all queues, the oldest first."""
    return Call(failure="cannot list queues", method="ListQueues", fields={})


@qcli.command("get")
@queue_argument
@server_option()
def get_queue(queue_id: str) -> Call:
    """Show one queue: its id, creation time, tags, store and name."""
    return Call(failure="cannot get queue", method="GetQueue", fields={"queue_id": queue_id})


@qcli.command("delete")
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
@qcli.command("new", context_settings={"ignore_unknown_options": True})
@click.argument("store", callback=read_store, shell_complete=complete_store)
@click.argument("limit", callback=read_limit)
@tags_option
@click.option("--name", default="", help="A unique name, accepted wherever an ID is.")
@server_option()
def new_queue(store: Store, limit: int, tags: Tags, name: str) -> Call:
    """Create a queue.

    STORE is MEMORY, whose messages end with the server, or DISK, whose messages are on
    disk before the server answers. LIMIT is the number of messages that the queue holds
    at most; -1 means no limit.
    """
    return Call(
        failure="cannot create new queue",
        method="NewQueue",
        fields={"store": store.value, "limit": limit, "tags": tags, "name": name},
    )


@qcli.command("tag")
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


@qcli.command("untag")
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


@qcli.command("add")
@queue_argument
@tags_option
@server_option()
def add_message(queue_id: str, tags: Tags) -> Call:
    """Add a message to a queue; its payload is read from standard input.

    The payload is taken as it is, the end of its last line included.
    """
    return Call(
        failure="cannot add message to queue",
        method="Add",
        fields={"queue_id": queue_id, "message": {"tags": tags, "payload": read_payload()}},
    )


@qcli.command("pop")
@queue_argument
@server_option()
def pop_message(queue_id: str) -> Call:
    """Take the message at the head of a queue out of it.

    The payload is printed in base64.
    """
    return Call(
        failure="cannot pop message from queue", method="Pop", fields={"queue_id": queue_id}
    )


@qcli.command("peek")
@queue_argument
@server_option()
def peek_message(queue_id: str) -> Call:
    """Show the message at the head of a queue and leave it there."""
    return Call(
        failure="cannot peek at message in queue", method="Peek", fields={"queue_id": queue_id}
    )


@qcli.command("help")
@click.argument("command", required=False, shell_complete=complete_command)
@click.pass_context
def show_help(ctx: click.Context, command: str | None) -> None:
    """Show help, or the help of one command."""
    root = ctx.find_root()
    if command is None:
        click.echo(root.get_help())
        return
    name, found, _ = qcli.resolve_command(root, [command])
    if found is not None:
        click.echo(found.get_help(click.Context(found, info_name=name, parent=root)))
