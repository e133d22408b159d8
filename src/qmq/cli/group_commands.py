"""The commands about groups: their options, and the calls or actions they stand for."""

from typing import Final

import click

from qmq.cli.actions import Call, ListGroups, Output
from qmq.cli.help import CommandsInOrder
from qmq.cli.options import default_output, given, queue_argument, view_call, view_output
from qmq.cli.settings import server_option

_group_argument: Final = click.argument("group_id", metavar="GROUP")


@click.group("group", cls=CommandsInOrder)
def group() -> None:
    """Look after groups, whose messages are handed out one after the other.

    A message is of the group that `qcli add --group` says.
    """


@group.command("list")
@queue_argument
@click.option(
    "--state",
    "states",
    type=click.Choice(["ready", "leased", "delayed", "paused", "parked"]),
    multiple=True,
    help="Only groups in this state; may be given several times.",
)
@view_output
@server_option()
def list_groups(queue_id: str, states: tuple[str, ...], output: Output | None) -> ListGroups:
    """List the groups of a queue, in the order of their names.

    Those that have messages, or are paused or parked.
    """
    return ListGroups(
        queue_id=queue_id,
        states=tuple(state.upper() for state in states),
        output=output or default_output(),
    )


@group.command("pause")
@queue_argument
@_group_argument
@view_output
@server_option()
def pause_group(queue_id: str, group_id: str, output: Output | None) -> Call:
    """Hand out no messages of a group, and show it.

    The other groups go on. The group need not have messages yet.
    """
    return view_call(
        "cannot pause group", "PauseGroup", {"queue_id": queue_id, "group_id": group_id}, output
    )


@group.command("resume")
@queue_argument
@_group_argument
@view_output
@server_option()
def resume_group(queue_id: str, group_id: str, output: Output | None) -> Call:
    """Let a group go on that was paused or has parked, and show it."""
    return view_call(
        "cannot resume group", "ResumeGroup", {"queue_id": queue_id, "group_id": group_id}, output
    )


@group.command("skip")
@queue_argument
@_group_argument
@click.option(
    "-n",
    "--count",
    type=click.IntRange(1, 1_000),
    metavar="N",
    help="Take up to N messages; otherwise 1.",
)
@view_output
@server_option()
def skip_group(queue_id: str, group_id: str, count: int | None, output: Output | None) -> Call:
    """Take the first messages out of a group, and show it.

    That is for a group which is stuck at them, and goes on with what is behind them if it has
    parked. They go to the dead-letter queue, if the queue has one, and are gone otherwise. What
    is on lease is left.
    """
    fields = {"queue_id": queue_id, "group_id": group_id} | given(messages_max=count)
    return view_call("cannot skip group", "SkipGroup", fields, output)
