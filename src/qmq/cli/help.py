"""The help of commands: their examples, and the order in which they are listed."""

from typing import Final

import click

#: Examples by the name of the command that shows them.
EXAMPLES: Final = {
    "qcli": (
        "qcli new DISK -1 --name jobs -t team=web",
        "echo hello | qcli add jobs -t kind=greeting",
        "qcli pop jobs | jq -r .message.payload | base64 --decode",
        "qcli --server q.example:10002 list",
    ),
    "list": ("qcli list", "qcli list | jq -r '.queues[].meta.id'"),
    "get": ("qcli get jobs",),
    "delete": ("qcli delete 63ee5c6a-585c-4aef-a2ec-66d8f5b68e28",),
    "new": (
        "qcli new MEMORY 1000",
        "qcli new DISK -1 --name jobs -t team=web -t team=mobile",
    ),
    "tag": ("qcli tag jobs team web", "qcli tag jobs offset -- -5"),
    "untag": ("qcli untag jobs team web",),
    "add": ("printf hello | qcli add jobs", "qcli add jobs -t kind=image < photo.jpg"),
    "pop": ("qcli pop jobs", "qcli pop jobs | jq -r '.message.payload // \"\"' | base64 --decode"),
    "peek": ("qcli peek jobs",),
    "help": ("qcli help new",),
}


class CommandWithExamples(click.Command):
    """A command whose help ends with its examples."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are: a wrapped command line cannot be pasted."""
        del ctx
        with formatter.section("Examples"):
            for example in EXAMPLES[self.name or ""]:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


class CommandsInOrder(CommandWithExamples, click.Group):
    """Commands that are listed in the order in which they are defined."""

    command_class = CommandWithExamples

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        del ctx
        return list(self.commands)
