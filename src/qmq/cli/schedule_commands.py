"""The commands about schedules: their options, and the calls or actions they stand for."""

from typing import Any, Final

import click

from qmq.cli.actions import Call, ListSchedules, Output, PauseSchedule
from qmq.cli.arguments import complete_queue
from qmq.cli.help import CommandsInOrder
from qmq.cli.options import (
    Tags,
    default_output,
    duration,
    duration_option,
    exclusive,
    given,
    needs,
    queue_argument,
    tags_option,
    view_call,
    view_output,
)
from qmq.cli.settings import server_option
from qmq.cli.standard_input import read_payload

_name_argument: Final = click.argument("name", metavar="NAME")


@click.group("schedule", cls=CommandsInOrder)
def schedule() -> None:
    """Add messages again and again, at set times.

    A schedule belongs to a queue, and adds messages to it by itself, also after a restart.
    """


@schedule.command("put")
@queue_argument
@_name_argument
@click.option(
    "--cron",
    metavar="EXPRESSION",
    default="",
    help="When: minute, hour, day of the month, month, day of the week.",
)
@duration_option("--every", "interval_s", help="When: at this interval, 1s or more.")
@click.option(
    "--time-zone",
    metavar="ZONE",
    default="",
    help="The zone of --cron, for example Europe/Berlin; otherwise UTC.",
)
@click.option(
    "--missed",
    type=click.Choice(["skip", "one", "all"]),
    default="one",
    help="What is added for times at which the server was down: nothing, one message for all, or"
    " one for each, up to 1,000; otherwise one.",
)
@click.option("--paused", is_flag=True, help="Let it stand still until `qcli schedule resume`.")
@tags_option
@duration_option("--delay", "delay_s", help="How long each message is held back.")
@duration_option("--ttl", "ttl_s", help="How long each message is useful.")
@click.option(
    "--priority",
    type=click.IntRange(0, 255),
    metavar="N",
    help="0 to 255; higher goes first. Without it, 0.",
)
@click.option(
    "--dedup-id",
    metavar="TEXT",
    help="While the queue remembers this id, a second message with it is not added.",
)
@click.option("--group", "group_id", metavar="TEXT", help="The group of each message.")
@click.option("--fair-key", metavar="TEXT", help="Whose each message is.")
@view_output
@server_option()
def put_schedule(  # noqa: PLR0913 - One for each argument and option.
    queue_id: str,
    name: str,
    *,
    cron: str,
    interval_s: float | None,
    time_zone: str,
    missed: str,
    paused: bool,
    tags: Tags,
    delay_s: float | None,
    ttl_s: float | None,
    priority: int | None,
    dedup_id: str | None,
    group_id: str | None,
    fair_key: str | None,
    output: Output | None,
) -> Call:
    """Make a schedule, or change the one of that name, and show it.

    The payload of its messages is taken from standard input as it is. A schedule whose times
    stay as they are goes on where it is.
    """
    exclusive(cron=cron, every=interval_s is not None)
    if not cron and interval_s is None:
        raise click.UsageError("say when: by --cron or --every")
    needs("--cron", is_given=bool(cron), time_zone=time_zone)
    options = given(
        delay=duration(delay_s),
        ttl=duration(ttl_s),
        priority=priority,
        dedup_id=dedup_id or None,
        group_id=group_id or None,
        fair_key=fair_key or None,
    )
    message: dict[str, Any] = {"tags": tags, "payload": read_payload()}
    return view_call(
        "cannot put schedule",
        "PutSchedule",
        {
            "queue_id": queue_id,
            "name": name,
            "schedule": {
                "cron": cron,
                "time_zone": time_zone,
                "message": message | given(options=options or None),
                "missed": missed.upper(),
                "paused": paused,
            }
            | given(interval=duration(interval_s)),
        },
        output,
    )


@schedule.command("list")
@click.argument("queue_id", metavar="[ID]", default="", shell_complete=complete_queue)
@view_output
@server_option()
def list_schedules(queue_id: str, output: Output | None) -> ListSchedules:
    """List the schedules of a queue, or of all queues."""
    return ListSchedules(queue_id=queue_id, output=output or default_output())


@schedule.command("show")
@queue_argument
@_name_argument
@view_output
@server_option()
def show_schedule(queue_id: str, name: str, output: Output | None) -> Call:
    """Show a schedule: when it is due, and what became of the times before."""
    return view_call(
        "cannot get schedule", "GetSchedule", {"queue_id": queue_id, "name": name}, output
    )


@schedule.command("delete")
@queue_argument
@_name_argument
@server_option()
def delete_schedule(queue_id: str, name: str) -> Call:
    """Delete a schedule.

    Prints nothing. What it has added stays in the queue.
    """
    return Call(
        failure="cannot delete schedule",
        method="DeleteSchedule",
        fields={"queue_id": queue_id, "name": name},
        prints_reply=False,
        is_original=False,
    )


@schedule.command("pause")
@queue_argument
@_name_argument
@view_output
@server_option()
def pause_schedule(queue_id: str, name: str, output: Output | None) -> PauseSchedule:
    """Let a schedule stand still, and show it."""
    return PauseSchedule(
        queue_id=queue_id, name=name, is_paused=True, output=output or default_output()
    )


@schedule.command("resume")
@queue_argument
@_name_argument
@view_output
@server_option()
def resume_schedule(queue_id: str, name: str, output: Output | None) -> PauseSchedule:
    """Let a schedule go on, and show it.

    Nothing is added for the times that have passed meanwhile.
    """
    return PauseSchedule(
        queue_id=queue_id, name=name, is_paused=False, output=output or default_output()
    )
