"""The program `q`: a message-queue server."""

import sys
from typing import Final

import click

from qmq.bin.q_backup import backup
from qmq.bin.q_certs import certs
from qmq.bin.q_check import check
from qmq.bin.q_config import config
from qmq.bin.q_crashtest import crashtest
from qmq.bin.q_migrate import migrate
from qmq.bin.q_probe import probe
from qmq.bin.q_tokens import tokens
from qmq.errors import QError
from qmq.server.config import Config
from qmq.server.options import KnowingOthers, Told, options_of

#: What q does besides serving, each called by its name. Modules of commands import late what
#: only running them needs.
COMMANDS: Final = (check, backup, crashtest, migrate, config, probe, tokens, certs)


#: Commands that other servers have, and what does the same here.
_COMMANDS_ELSEWHERE: Final = {
    **dict.fromkeys(("run", "serve", "server", "start"), "q serves without a command"),
    **dict.fromkeys(("info", "stats", "status"), "qcli server tells how a q does"),
    **dict.fromkeys(("quit", "shutdown", "stop"), "TERM ends a q, or Ctrl-C"),
    "restore": "q --data DIR serves a backup, or a copy of it",
}


class _Program(KnowingOthers, click.Group):
    """The program and its commands; it knows what others call them."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command."""
        if here := _COMMANDS_ELSEWHERE.get(args[0]):
            raise click.UsageError(f"No such command {args[0]!r}: {here}.", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    subcommand_metavar="[COMMAND [ARGS]...]",
)
@click.version_option(package_name="qmq", prog_name="q")
@options_of(Config)
def main(told: Told[Config]) -> None:
    """Serve many named FIFO queues over gRPC, gRPC-Web and REST on one port.

    A queue lives in memory (MEMORY) or in the data directory (DISK), where a message is
    on disk before its Add is answered.

    With a COMMAND, q does that instead.
    """
    context = click.get_current_context()
    if context.invoked_subcommand:
        context.obj = told
        return
    try:
        chosen = told.config()
        # Imported late: help and usage errors need none of it.
        from qmq.server.start import start  # noqa: PLC0415

        start(chosen, told.origin)
    except QError as error:
        sys.exit(f"q: error: {error.message}")


for command in COMMANDS:
    main.add_command(command)


if __name__ == "__main__":
    main()
