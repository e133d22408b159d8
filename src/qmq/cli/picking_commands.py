"""The commands that delete and move single messages: their options, and their actions."""

from typing import Literal

import click

from qmq.cli.actions import Fields, Pick
from qmq.cli.arguments import Moment, complete_queue, read_moment
from qmq.cli.help import CommandsInOrder
from qmq.cli.named import named_ids
from qmq.cli.options import given, queue_argument
from qmq.cli.settings import server_option

_message_ids_argument = click.argument(
    "message_ids", metavar="MESSAGE_ID...", nargs=-1, required=True
)
_leased_option = click.option(
    "--leased",
    is_flag=True,
    help="Also those that are on lease: whoever has one can do nothing with it any more.",
)
_created_option = click.option(
    "--created",
    metavar="TIME",
    callback=read_moment,
    help="When the first of them was created, as qcli shows it: spares q a search in a large"
    " queue. Lines of `qcli browse` say it themselves.",
)


@click.group("message", cls=CommandsInOrder)
def message() -> None:
    """Delete or move single messages, by their ids.

    In whatever state they are: ready, kept back, waiting in a group; and on lease, if that is
    asked for.
    """


@message.command("delete")
@queue_argument
@_message_ids_argument
@_leased_option
@_created_option
@server_option()
def delete_messages(
    queue_id: str, message_ids: tuple[str, ...], *, leased: bool, created: Moment | None
) -> Pick:
    """Remove single messages for good, in whatever state they are.

    MESSAGE_ID is what `qcli browse` shows; - reads them from standard input, one a line, or
    lines as `qcli browse -o jsonl` prints them. Prints nothing.

    A message that is left alone, since it is on lease or not there, is named on standard
    error; the others are deleted all the same, and the exit status is 5.
    """
    return _pick("DeleteMessages", queue_id, message_ids, _fields(created, leased=leased))


@message.command("move")
@queue_argument
@_message_ids_argument
@click.option(
    "--to",
    "target",
    metavar="ID",
    default="",
    shell_complete=complete_queue,
    help="Move them to the end of this queue; otherwise each dead letter to the queue that it"
    " came from.",
)
@_leased_option
@_created_option
@server_option()
def move_messages(
    queue_id: str,
    message_ids: tuple[str, ...],
    *,
    target: str,
    leased: bool,
    created: Moment | None,
) -> Pick:
    """Move single messages to another queue of the same store, in whatever state they are.

    They stand at its end, in their order, with all that they were added with and their
    history; their deliveries count from 1 again. What was moved before is done.

    Message ids, errors and the exit status are as of `qcli message delete`. Prints nothing.
    """
    fields = {"target_queue_id": target} | _fields(created, leased=leased)
    return _pick("MoveMessages", queue_id, message_ids, fields)


def _fields(created: Moment | None, *, leased: bool) -> dict[str, object]:
    return {"leased": leased} | given(created_from=created)


def _pick(
    method: Literal["DeleteMessages", "MoveMessages"],
    queue_id: str,
    message_ids: tuple[str, ...],
    fields: Fields,
) -> Pick:
    """Return what a command about single messages stands for. Raises click.UsageError."""
    return Pick(
        method=method,
        queue_id=queue_id,
        message_ids=named_ids(message_ids, "message ids"),
        fields=fields,
    )
