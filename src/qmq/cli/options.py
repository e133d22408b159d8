"""The arguments and options that several commands share."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

from qmq.cli.actions import Call, Fields, Output
from qmq.cli.arguments import complete_queue, read_duration, read_level, read_tags
from qmq.values import NS_PER_S

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

#: Tags as fields of proto.Tag.
Tags = list[dict[str, str]]

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


def selector_option(
    help: str,  # noqa: A002 - As click calls it.
) -> Callable[[Decorated], Decorated]:
    """Add an option whose value is a selector, or empty."""
    return click.option("-l", "--selector", metavar="SELECTOR", default="", help=help)


#: The queue of a command that may have a selector in its place: see `source_of`.
source_argument: Final = click.argument(
    "queue_id", metavar="[ID]", required=False, default="", shell_complete=complete_queue
)

source_option: Final = selector_option(
    "In place of an ID: any queues whose tags it matches, in turns."
)


def check_source(queue_id: str, selector: str) -> None:
    """Refuse a command that has neither an ID nor a selector, or both.

    Raises:
        click.UsageError: it does.
    """
    if not (queue_id or selector):
        raise click.UsageError("Missing argument 'ID'; --selector takes its place.")
    if queue_id and selector:
        raise click.UsageError(f"--selector takes the place of an ID, and there is {queue_id!r}")


def output_option(text: str) -> Callable[[Decorated], Decorated]:
    """Add -o/--output to a command about queues."""
    return click.option("-o", "--output", type=click.Choice(["json", "jsonl", "table"]), help=text)


#: That of the commands that the original did not have.
view_output: Final = output_option("Otherwise a table on a terminal, and jsonl elsewhere.")


def default_output() -> Output:
    """How those print replies, unless told otherwise."""
    return "table" if sys.stdout is not None and sys.stdout.isatty() else "jsonl"


def view_call(failure: str, method: str, fields: Fields, output: Output | None) -> Call:
    """Return a call whose reply is shown, for commands that the original did not have.

    Args:
        failure: how an error message begins, for example `cannot pause group`.
        method: the method's name in the service.
        fields: those of the request, by their names in the proto.
        output: how the reply is printed; None for a table on a terminal, and jsonl elsewhere.
    """
    return Call(
        failure=failure,
        method=method,
        fields=fields,
        output=output or default_output(),
        is_original=False,
    )


def duration_option(
    *names: str,
    help: str,  # noqa: A002 - As click calls it.
) -> Callable[[Decorated], Decorated]:
    """Add an option whose value is a number of seconds, or None."""
    return click.option(*names, metavar="DURATION", callback=read_duration, help=help)


def level_option(
    name: str,
    *,
    help: str,  # noqa: A002 - As click calls it.
) -> Callable[[Decorated], Decorated]:
    """Add an option whose value is a level of durability; UNKNOWN if it is not given."""
    levels = click.Choice(["memory", "os", "fsync", "replicated"], case_sensitive=False)
    return click.option(name, type=levels, callback=read_level, help=help)


#: That of the commands that change what is in a queue.
durability_option: Final = level_option(
    "--durability",
    help="What the server waits for: nothing, writing the change, syncing it to disk, or, in a"
    " cluster, on a second machine too; otherwise the most that the queue's store can do.",
)


def duration(seconds: float | None) -> Mapping[str, int] | None:
    """Return seconds as the fields of a google.protobuf.Duration."""
    if seconds is None:
        return None
    whole_s, ns = divmod(round(seconds * NS_PER_S), NS_PER_S)
    return {"seconds": whole_s, "nanos": ns}


def given(**fields: object) -> dict[str, Any]:
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def exclusive(**flags: object) -> None:
    """Refuse more than one of the options that were given.

    Raises:
        click.UsageError: it names two of them.
    """
    given_ones = [name.replace("_", "-") for name, value in flags.items() if value]
    if len(given_ones) > 1:
        raise click.UsageError(f"--{given_ones[0]} and --{given_ones[1]} exclude each other")


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


def with_options(
    command: Decorated, options: tuple[Callable[[Decorated], Decorated], ...]
) -> Decorated:
    """Add options to a command, in this order."""
    for option in reversed(options):
        command = option(command)
    return command
