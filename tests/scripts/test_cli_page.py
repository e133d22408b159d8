"""The reference of the commands leaves out no command and no option that people are shown."""

from collections.abc import Iterator

import click

from qmq.bin.q_program import program as q
from qmq.bin.qrest_program import program as qrest
from qmq.cli.commands import qcli
from scripts.cli_page import page
from tests.documents import section

PAGE = page()


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Go through a command and all in it, each by how it is called."""
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            if not inner.hidden:
                yield from commands(inner, f"{path} {name}")


def test_every_command_is_on_the_page_with_its_options() -> None:
    """Whatever `--help` names is there; options of q itself have a page of their own."""
    found = [*commands(q, "q"), *commands(qcli, "qcli"), *commands(qrest, "qrest")]

    assert len(found) > 40
    for path, command in found:
        part = section(PAGE, path)
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden and command is not q:
                assert all(name in part for name in option.opts), (path, option.name)


def test_examples_are_those_of_the_help() -> None:
    """A command of qcli shows how it is called."""
    context = click.Context(qcli, info_name="qcli")
    inner = click.Context(qcli.commands["work"], info_name="work", parent=context)
    (example, *_) = (line for line in inner.get_help().splitlines() if "qcli work jobs" in line)

    assert f"\n{example.strip()}\n" in section(PAGE, "qcli work")
