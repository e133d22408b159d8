"""How the command line of `q` is taken apart, and ends."""

import sys
from typing import Any, Final

import click

from qmq.server.options import KnowingOthers

#: Commands that other servers have, and what does the same here.
_COMMANDS_ELSEWHERE: Final = {
    **dict.fromkeys(("run", "serve", "server", "start"), "q serves without a command"),
    **dict.fromkeys(("info", "stats", "status"), "qcli server tells how a q does"),
    **dict.fromkeys(("quit", "shutdown", "stop"), "TERM ends a q, or Ctrl-C"),
    "restore": "q --data DIR serves a backup, or a copy of it",
}


class Program(KnowingOthers, click.Group):
    """The program and its commands; it knows what others call them."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - As click has it.
        """Run the program, or a command.

        Ctrl-C ends it without a word: click would say "Aborted!", and exit with 1, which of
        `q check` means that problems were found.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(130)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command."""
        if here := _COMMANDS_ELSEWHERE.get(args[0]):
            raise click.UsageError(f"No such command {args[0]!r}: {here}.", ctx)
        return super().resolve_command(ctx, args)
