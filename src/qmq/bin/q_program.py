"""The program `q`: a message-queue server, and its commands."""

from typing import Final

import click

from qmq.bin import ctrl_c
from qmq.bin.failing import failing
from qmq.bin.program import Program
from qmq.bin.q_backup import backup
from qmq.bin.q_certs import certs
from qmq.bin.q_check import check
from qmq.bin.q_config import config
from qmq.bin.q_crashtest import crashtest
from qmq.bin.q_migrate import migrate
from qmq.bin.q_probe import probe
from qmq.bin.q_tokens import tokens
from qmq.server.config import Config
from qmq.server.options import Told, options_of

#: What q does besides serving, each called by its name. Modules of commands import late what
#: only running them needs.
COMMANDS: Final = (check, backup, crashtest, migrate, config, probe, tokens, certs)


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    subcommand_metavar="[COMMAND [ARGS]...]",
)
@click.version_option(package_name="qmq", prog_name="q")
@options_of(Config)
def program(told: Told[Config]) -> None:
    """Serve many named FIFO queues over gRPC, gRPC-Web and REST on one port.

    A queue lives in memory (MEMORY) or in the data directory (DISK), where a message is
    on disk before its Add is answered.

    With a COMMAND, q does that instead.
    """
    context = click.get_current_context()
    if context.invoked_subcommand:
        context.obj = told
        ctrl_c.interrupts()
        return
    with failing():
        chosen = told.config()
        # Imported late: help and usage errors need none of it.
        from qmq.server.start import start  # noqa: PLC0415

        start(chosen, told.origin)


for command in COMMANDS:
    program.add_command(command)
