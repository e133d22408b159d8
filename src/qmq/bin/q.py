"""The program `q`: a message-queue server."""

import sys

import click

from qmq.errors import QError
from qmq.server.config import Config
from qmq.server.options import config_options


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="qmq", prog_name="q")
@config_options
def main(config: Config) -> None:
    """Serve many named FIFO queues over gRPC, gRPC-Web and REST on one port.

    A queue lives in memory (MEMORY) or in the data directory (DISK), where a message is
    on disk before its Add is answered.
    """
    # Imported late: help and usage errors need none of it.
    from qmq.server.start import start  # noqa: PLC0415

    try:
        start(config)
    except QError as error:
        click.echo(f"q: error: {error.message}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
