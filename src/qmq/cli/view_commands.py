"""The commands that show what is there: the queues' contents, and qcli's own settings."""

import json
import sys
from typing import get_args

import click

from qmq.cli.arguments import complete_queue, read_interval
from qmq.cli.call import Call, Output, Sort, Top
from qmq.cli.config_file import config_path
from qmq.cli.help import CommandWithExamples
from qmq.cli.options import output_option
from qmq.cli.settings import Chosen, Value, chosen_settings, server_option
from qmq.cli.table import Column, table

_view_output = output_option("Otherwise a table on a terminal, and jsonl elsewhere.")


@click.command("stats", cls=CommandWithExamples)
@click.argument("queue_id", metavar="[ID]", default="", shell_complete=complete_queue)
@_view_output
@server_option()
def show_stats(queue_id: str, output: Output | None) -> Call:
    """Show how many messages each queue holds, or one queue.

    Also how many bytes they take, how long the oldest has been waiting, how many callers
    wait for a message, and how many were added and popped since the server started.
    """
    return Call(
        failure="cannot count messages",
        method="Stats",
        fields={"queue_id": queue_id},
        output=output or _default_output(),
        is_original=False,
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
@server_option()
def show_top(sort: Sort, interval_s: float, *, is_once: bool) -> Top:
    """Show what all queues hold and how fast it changes, until Ctrl-C.

    Rates are messages a second since the look before. Where standard output is no
    terminal, the table is printed once.
    """
    return Top(sort=sort, interval_s=interval_s, is_once=is_once)


@click.command("config", cls=CommandWithExamples)
@_view_output
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
    match output or _default_output():
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


def _default_output() -> Output:
    return "table" if sys.stdout is not None and sys.stdout.isatty() else "jsonl"
