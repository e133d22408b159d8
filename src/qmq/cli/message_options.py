"""The options that say how messages are printed."""

from typing import TypedDict

import click

from qmq.cli.actions import MessageOutput
from qmq.cli.options import Decorated, exclusive, needs, with_options


class Printing(TypedDict):
    """The options that say how messages are printed."""

    output: MessageOutput | None
    is_raw: bool
    is_jsonl: bool
    is_null: bool
    has_no_end: bool


def printing_options(command: Decorated) -> Decorated:
    """Add the options of Printing to a command."""
    options = (
        click.option(
            "-o",
            "--output",
            type=click.Choice(["json", "jsonl", "raw"]),
            help="How messages are printed; json is the server's reply.",
        ),
        click.option("--raw", "is_raw", is_flag=True, help="Print payloads, a line each."),
        click.option(
            "--jsonl", "is_jsonl", is_flag=True, help="Print messages, a JSON object a line."
        ),
        click.option(
            "-0", "--null", "is_null", is_flag=True, help="With --raw: a zero byte ends each."
        ),
        click.option(
            "--no-newline", "has_no_end", is_flag=True, help="With --raw: nothing ends each."
        ),
    )
    return with_options(command, options)


def output_of(printing: Printing) -> MessageOutput | None:
    """How messages are printed, if an option says so. Raises click.UsageError."""
    output, is_raw, is_jsonl = printing["output"], printing["is_raw"], printing["is_jsonl"]
    exclusive(output=output, raw=is_raw, jsonl=is_jsonl)
    is_raw = is_raw or output == "raw"
    ends = {"null": printing["is_null"], "no-newline": printing["has_no_end"]}
    exclusive(**ends)
    needs("--raw", is_given=is_raw, **ends)
    if is_raw:
        return "raw"
    return "jsonl" if is_jsonl else output


def end_of(printing: Printing) -> bytes:
    """What is printed after a payload."""
    if printing["has_no_end"]:
        return b""
    return b"\0" if printing["is_null"] else b"\n"
