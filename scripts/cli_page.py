"""Writes the reference of the commands from the programs themselves: cli_page.py FILE."""

import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from qmq.bin.q_program import program as q
from qmq.bin.qrest_program import program as qrest
from qmq.cli.commands import qcli
from qmq.cli.help import EXAMPLES, CommandWithExamples

_INTRODUCTION: Final = """\
# Commands of q, qcli and qrest

<!-- Generated from the programs by `make docs`. -->

Every command with its options, as `--help` shows them. How to work with them is elsewhere: q in
[operations](operations.md), qcli in [its own page](qcli.md), qrest in [gateway](gateway.md).
"""

#: What a program's options are, where a page of its own has them.
_ELSEWHERE: Final = {"q": "Its options are in [configuration](configuration.md).\n"}

#: What would be read as Markdown in a help text, and is meant as it stands.
_MARKS: Final = re.compile(r"([*<>|])")

_WIDTH: Final = 100


def _plain(text: str) -> str:
    """Return prose on one line, as Markdown that shows it as it stands."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))


def _paragraphs(help_text: str) -> Iterator[str]:
    """Fill the paragraphs of a help text; those that click keeps as they are become a block."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(help_text)):
        if paragraph.startswith("\b\n"):
            yield f"```text\n{textwrap.dedent(paragraph[2:])}\n```\n"
        else:
            yield textwrap.fill(_plain(paragraph), _WIDTH, break_on_hyphens=False) + "\n"


def _options(context: click.Context) -> Iterator[str]:
    records = [
        record
        for parameter in context.command.get_params(context)
        if isinstance(parameter, click.Option) and "--help" not in parameter.opts
        if (record := parameter.get_help_record(context))
    ]
    if not records:
        return
    yield "\n| option | what it does |\n|---|---|\n"
    for names, told in records:
        escaped = names.replace("|", r"\|")
        yield f"| `{escaped}` | {_plain(told)} |\n"


def _examples(context: click.Context) -> Iterator[str]:
    if isinstance(context.command, CommandWithExamples):
        yield "\n```sh\n"
        yield from (f"{line}\n" for line in EXAMPLES[context.command_path.removeprefix("qcli ")])
        yield "```\n"


def _section(context: click.Context, level: int) -> Iterator[str]:
    """Tell of a command, and then of the commands in it."""
    command, path = context.command, context.command_path
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"\n{'#' * level} {path}\n\n```text\n{path} {usage}\n```\n"
    for paragraph in _paragraphs(command.help or ""):
        yield f"\n{paragraph}"
    if path in _ELSEWHERE:
        yield f"\n{_ELSEWHERE[path]}"
    else:
        yield from _options(context)
    yield from _examples(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from _section(
                    click.Context(inner, info_name=name, parent=context), min(level + 1, 4)
                )


def page() -> str:
    """Return the page."""
    programs = {"q": q, "qcli": qcli, "qrest": qrest}
    contexts = [click.Context(program, info_name=name) for name, program in programs.items()]
    return _INTRODUCTION + "".join("".join(_section(context, 2)) for context in contexts)


def main(file: str) -> None:
    """Write the page."""
    Path(file).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
