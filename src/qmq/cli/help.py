"""The help of commands: their examples, and the order in which they are listed."""

from typing import Final

import click

#: Examples by the name of the command that shows them.
EXAMPLES: Final = {
    "qcli": (
        "qcli new DISK -1 --name jobs -t team=web",
        "echo hello | qcli add jobs -t kind=greeting",
        "qcli pop jobs --raw",
        "qcli add jobs --lines < words.txt",
        "qcli --server q.example:10002 list",
    ),
    "list": ("qcli list", "qcli list -o table", "qcli list | jq -r '.queues[].meta.id'"),
    "get": ("qcli get jobs",),
    "delete": ("qcli delete 63ee5c6a-585c-4aef-a2ec-66d8f5b68e28",),
    "new": (
        "qcli new MEMORY 1000",
        "qcli new DISK -1 --name jobs -t team=web -t team=mobile",
    ),
    "tag": ("qcli tag jobs team web", "qcli tag jobs offset -- -5"),
    "untag": ("qcli untag jobs team web",),
    "add": (
        "printf hello | qcli add jobs",
        "qcli add jobs -t kind=image < photo.jpg",
        "qcli add jobs --lines < words.txt",
        "qcli add jobs --lines --skip 12000 < words.txt",
        """echo '{"payload": "hello", "tags": {"kind": "greeting"}}' | qcli add jobs --jsonl""",
        "find . -print0 | qcli add files --lines --null",
    ),
    "pop": (
        "qcli pop jobs",
        "qcli pop jobs | jq -r '.message.payload // \"\"' | base64 --decode",
        "qcli pop jobs --raw --no-newline > photo.jpg",
        "qcli pop jobs --all --raw > words.txt",
        "qcli pop jobs --count 10 --wait 5 --jsonl",
        "qcli pop jobs --all --jsonl | qcli add others --jsonl",
    ),
    "peek": ("qcli peek jobs", "qcli peek jobs --raw"),
    "tail": ("qcli tail jobs --pop", "qcli tail jobs --pop --raw"),
    "stats": ("qcli stats", "qcli stats jobs | jq .ready", "qcli stats -o table"),
    "top": ("qcli top", "qcli top --sort rate --interval 5", "qcli top --once"),
    "config": ("qcli config", "qcli --server q.example:10002 config"),
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
