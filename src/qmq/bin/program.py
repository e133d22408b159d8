"""How the command line of `q` is taken apart, and ends."""

import sys
from typing import Any, Final

import click

#: Commands and options that other servers have, and what does the same here.
_COMMANDS_ELSEWHERE: Final = {
    **dict.fromkeys(("run", "serve", "server", "start"), "q serves without a command"),
    **dict.fromkeys(("info", "stats", "status"), "qcli server tells how a q does"),
    **dict.fromkeys(("quit", "shutdown", "stop"), "TERM ends a q, or Ctrl-C"),
    "restore": "q --data DIR serves a backup, or a copy of it",
}
_OPTIONS_ELSEWHERE: Final = {
    **dict.fromkeys(("--port", "-p"), "--listen :PORT"),
    **dict.fromkeys(("--addr", "--address", "--bind", "--host"), "--listen HOST:PORT"),
    **dict.fromkeys(("--data-dir", "--datadir", "--db", "--dir"), "--data DIR"),
    **dict.fromkeys(("--verbose", "-v"), "--debug"),
}


class Program(click.Group):
    """The program and its commands; it knows what others call them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the command line apart."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            here = _OPTIONS_ELSEWHERE.get(error.option_name)
            if here is None:
                raise
            text = f"No such option {error.option_name!r}: here it is {here}."
            raise click.UsageError(text, ctx) from None

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
