"""The commands that show what the queues hold, how the server does, and qcli's own settings."""

import json
from typing import get_args

import click

from qmq.cli.actions import Browse, BrowseOutput, Call, Output, Sort, Top
from qmq.cli.arguments import Moment, complete_queue, read_interval, read_moment
from qmq.cli.config_file import config_path
from qmq.cli.help import CommandWithExamples
from qmq.cli.options import (
    Tags,
    default_output,
    duration,
    duration_option,
    given,
    queue_argument,
    selector_option,
    tags_option,
    view_call,
    view_output,
)
from qmq.cli.settings import Chosen, Value, chosen_settings, server_option
from qmq.cli.table import Column, table


@click.command("stats", cls=CommandWithExamples)
@click.argument("queue_id", metavar="[ID]", default="", shell_complete=complete_queue)
@view_output
@server_option()
def show_stats(queue_id: str, output: Output | None) -> Call:
    """Show how many messages each queue holds, or one queue.

    That is, how many are ready, on lease and kept back, how many bytes the ready ones take,
    how long the oldest has been waiting, and how many callers wait for a message; and how many
    were added, done, handed out again and made dead letters since the server started.
    """
    return view_call("cannot count messages", "Stats", {"queue_id": queue_id}, output)


@click.command("server", cls=CommandWithExamples)
@view_output
@server_option()
def show_server(output: Output | None) -> Call:
    """Show how the server does, and what of it is worth a look.

    That is: what warns, with what to do about it; memory, the disk and how long commits take; in
    a cluster also which q there are, its databases and their standbys, as the q that leads sees
    them. The exit status does not depend on it.
    """
    return view_call("cannot ask how the server does", "GetServer", {}, output)


@click.command("browse", cls=CommandWithExamples)
@queue_argument
@click.option(
    "--state",
    "states",
    type=click.Choice(["ready", "leased", "delayed"]),
    multiple=True,
    help="Only messages in this state; may be given several times.",
)
@tags_option
@selector_option("Only messages whose tags it matches, such as 'kind in (a,b),!old'.")
@click.option("--group", "group_id", metavar="ID", help="Only messages of this group.")
@click.option("--fair-key", metavar="KEY", help="Only messages with this fair key.")
@duration_option("--older-than", "age_min_s", help="Only messages that are there for longer.")
@duration_option("--newer-than", "age_max_s", help="Only messages that are there for shorter.")
@click.option(
    "-n", "--count", type=click.IntRange(min=1), metavar="N", help="Show up to N messages."
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["json", "jsonl", "raw", "table"]),
    help="Otherwise a table on a terminal, and jsonl elsewhere; raw prints payloads, a line each.",
)
@server_option()
def browse_queue(  # noqa: PLR0913 - One for each argument and option.
    queue_id: str,
    states: tuple[str, ...],
    tags: Tags,
    *,
    selector: str,
    group_id: str | None,
    fair_key: str | None,
    age_min_s: float | None,
    age_max_s: float | None,
    count: int | None,
    output: BrowseOutput | None,
) -> Browse:
    """Show messages of a queue in its order, and change nothing.

    Of several --tag, messages must have all. A table shows the beginning of each payload.
    """
    return Browse(
        output=output or ("table" if default_output() == "table" else "jsonl"),
        count=count,
        fields={
            "queue_id": queue_id,
            "states": [state.upper() for state in states],
            "tags": tags,
        }
        | given(
            selector=selector or None,
            group_id=group_id,
            fair_key=fair_key,
            age_min=duration(age_min_s),
            age_max=duration(age_max_s),
        ),
    )


@click.command("explain", cls=CommandWithExamples)
@queue_argument
@click.argument("message_id")
@click.option(
    "--created",
    metavar="TIME",
    callback=read_moment,
    help="When it was created, as qcli shows it: spares q a search in a large queue.",
)
@view_output
@server_option()
def explain_message(
    queue_id: str, message_id: str, created: Moment | None, output: Output | None
) -> Call:
    """Tell where a message is, and why nobody gets it now.

    Also how it was handed out before, and how that ended: the last 16 times.
    """
    return view_call(
        "cannot explain message",
        "Explain",
        {"queue_id": queue_id, "message_id": message_id} | given(created=created),
        output,
    )


@click.command("top", cls=CommandWithExamples)
@click.option(
    "--sort",
    type=click.Choice(get_args(Sort)),
    default="ready",
    show_default=True,
    help="What stands first: the queue with the most.",
)
@click.option(
    "--interval",
    "interval_s",
    metavar="SECONDS",
    type=float,
    default=1.0,
    show_default=True,
    callback=read_interval,
    help="Time between two looks.",
)
@click.option("--once", "is_once", is_flag=True, help="Look twice, print the table, and end.")
@selector_option("Only queues whose tags it matches, as of `qcli list`.")
@server_option()
def show_top(sort: Sort, interval_s: float, *, is_once: bool, selector: str) -> Top:
    """Show what all queues hold and how fast it changes, until Ctrl-C.

    Rates are messages a second since the look before. Where standard output is no
    terminal, the table is printed once.
    """
    return Top(sort=sort, interval_s=interval_s, is_once=is_once, selector=selector)


@click.command("config", cls=CommandWithExamples)
@view_output
@server_option()
@click.pass_context
def show_config(ctx: click.Context, output: Output | None) -> None:
    """Show which server is asked and how, and what says so.

    An option wins over its environment variable, that over the file, that over the
    default. The token itself is not shown.
    """
    shown = {name: _shown(name, chosen) for name, chosen in chosen_settings(ctx).items()}
    records = [
        {"name": name, "value": chosen.value, "from": chosen.origin}
        for name, chosen in shown.items()
    ]
    match output or default_output():
        case "jsonl":
            lines = [json.dumps(record, ensure_ascii=False) for record in records]
        case "json":
            whole = {"file": str(config_path()), "settings": records}
            lines = [json.dumps(whole, indent=2, ensure_ascii=False)]
        case _:
            lines = [
                *table(
                    [
                        Column("NAME", [*shown]),
                        Column("VALUE", [_text(chosen.value) for chosen in shown.values()]),
                        Column("FROM", [chosen.origin for chosen in shown.values()]),
                    ]
                ),
                "",
                f"The file is {config_path()}{'' if config_path().exists() else ', and missing'}.",
            ]
    click.echo("\n".join(lines))


def _shown(name: str, chosen: Chosen) -> Chosen:
    """Return a setting without what must stay secret."""
    if name == "token" and chosen.value is not None:
        return Chosen("********", chosen.origin)
    return chosen


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "-" if value is None else value
