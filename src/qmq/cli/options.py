"""The arguments and options that several commands share."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from qmq.cli.arguments import complete_queue, read_tags

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

queue_argument: Final = click.argument("queue_id", metavar="ID", shell_complete=complete_queue)

tags_option: Final = click.option(
    "-t",
    "--tag",
    "tags",
    metavar="KEY=VALUE",
    multiple=True,
    callback=read_tags,
    help="A tag; may be given several times, also for one key. KEY:VALUE works too.",
)


def output_option(text: str) -> Callable[[Decorated], Decorated]:
    """Add -o/--output to a command about queues."""
    return click.option("-o", "--output", type=click.Choice(["json", "jsonl", "table"]), help=text)


def exclusive(**flags: object) -> None:
    """Refuse more than one of the options that were given.

    Raises:
        click.UsageError: it names two of them.
    """
    given = [name for name, value in flags.items() if value]
    if len(given) > 1:
        raise click.UsageError(f"--{given[0]} and --{given[1]} exclude each other")


def needs(other: str, *, is_given: bool, **flags: object) -> None:
    """Refuse options that say nothing without another.

    Args:
        other: how that is called.
        is_given: whether it was given.
        flags: the options, by the names that people know.

    Raises:
        click.UsageError: it names what is missing.
    """
    for name, value in flags.items():
        if value and not is_given:
            raise click.UsageError(f"--{name.replace('_', '-')} needs {other}")
