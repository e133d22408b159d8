"""The commands about dead letters: their options, and the calls or actions they stand for."""

import click

from qmq.cli.actions import Call, Output, Redrive
from qmq.cli.arguments import complete_queue
from qmq.cli.help import CommandsInOrder
from qmq.cli.options import (
    Tags,
    default_output,
    duration,
    duration_option,
    given,
    queue_argument,
    tags_option,
    view_call,
    view_output,
)
from qmq.cli.settings import server_option

_follow_option = click.option(
    "--follow", "follows", is_flag=True, help="Show how far it is until it has ended."
)
_redrive_argument = click.argument("redrive_id", metavar="REDRIVE_ID")


@click.group("redrive", cls=CommandsInOrder)
def redrive() -> None:
    """Move dead letters back to where they came from, or elsewhere.

    A redrive is a job of the server's: it goes on by itself, also after a restart.
    """


@redrive.command("start")
@queue_argument
@click.option(
    "--to",
    "target",
    metavar="ID",
    default="",
    shell_complete=complete_queue,
    help="Move them to this queue; otherwise each to the one that it came from.",
)
@tags_option
@click.option(
    "--reason",
    "reasons",
    type=click.Choice(["rejected", "delivery-count-max", "expired", "overflow", "skipped"]),
    multiple=True,
    help="Only those that were put there for this reason; may be given several times.",
)
@click.option("--text", default="", help="Only those whose consumer's reason contains this.")
@duration_option("--older-than", "age_min_s", help="Only those that are there for longer.")
@duration_option("--newer-than", "age_max_s", help="Only those that are there for shorter.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Move N messages a second at most; otherwise as many as possible.",
)
@click.option(
    "--max",
    "count_max",
    type=click.IntRange(min=1),
    metavar="N",
    help="Move N messages at most; otherwise all that are there when it starts.",
)
@click.option(
    "--failed-again-max",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Give up when so many of those that were moved are dead letters again, 0 to 1; 0.5"
    " unless told otherwise, and 1 never gives up.",
)
@click.option(
    "--dry-run", "is_dry", is_flag=True, help="Only count what would be moved, and show that."
)
@_follow_option
@view_output
@server_option()
def start_redrive(  # noqa: PLR0913 - One for each argument and option.
    queue_id: str,
    target: str,
    tags: Tags,
    reasons: tuple[str, ...],
    text: str,
    *,
    age_min_s: float | None,
    age_max_s: float | None,
    rate: float | None,
    count_max: int | None,
    failed_again_max: float | None,
    is_dry: bool,
    follows: bool,
    output: Output | None,
) -> Call | Redrive:
    """Start to move dead letters, and show the redrive.

    ID is that of the dead-letter queue. Of several --tag, messages must have all.
    """
    start = view_call(
        "cannot start redrive",
        "StartRedrive",
        {
            "queue_id": queue_id,
            "target_queue_id": target,
            "tags": tags,
            "reasons": [reason.replace("-", "_").upper() for reason in reasons],
            "text": text,
            "dry_run": is_dry,
        }
        | given(
            age_min=duration(age_min_s),
            age_max=duration(age_max_s),
            messages_per_second=rate,
            messages_max=count_max,
            failed_again_max=failed_again_max,
        ),
        output,
    )
    # Of a dry run, nothing but its end is of interest.
    if follows or is_dry:
        return Redrive(start=start, redrive_id="", output=start.output)
    return start


@redrive.command("list")
@view_output
@server_option()
def list_redrives(output: Output | None) -> Call:
    """List redrives, the latest first.

    Those under way, and the last 100 that have ended.
    """
    return view_call("cannot list redrives", "ListRedrives", {}, output)


@redrive.command("show")
@_redrive_argument
@_follow_option
@view_output
@server_option()
def show_redrive(redrive_id: str, *, follows: bool, output: Output | None) -> Call | Redrive:
    """Show how far a redrive is."""
    if follows:
        return Redrive(start=None, redrive_id=redrive_id, output=output or default_output())
    return view_call("cannot get redrive", "GetRedrive", {"redrive_id": redrive_id}, output)


@redrive.command("stop")
@_redrive_argument
@view_output
@server_option()
def stop_redrive(redrive_id: str, output: Output | None) -> Call:
    """Stop a redrive. What it has moved stays where it is."""
    return view_call("cannot stop redrive", "StopRedrive", {"redrive_id": redrive_id}, output)
