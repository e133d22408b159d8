"""The command `q config`."""

import sys
from pathlib import Path
from typing import Final

import click

from qmq.server.config import Config
from qmq.server.config_file import FaultyFile, check_config_file
from qmq.server.config_pages import example_file, shown
from qmq.server.gateway_config import GatewayConfig
from qmq.server.option_table import Table
from qmq.server.options import Told

_TABLES: Final[dict[str, type[Table]]] = {"q": Config, "qrest": GatewayConfig}

_program = click.option(
    "--program",
    type=click.Choice(list(_TABLES)),
    default="q",
    show_default=True,
    help="Whose configuration file.",
)


@click.group()
def config() -> None:
    """Look at what q is told: by flags, variables and a configuration file."""


@config.command()
@click.pass_obj
def show(told: Told[Config]) -> None:
    """Print the options that hold, and where each comes from.

    Flags and variables count as they do for q itself; flags stand before the command, as in
    q --config q.toml config show. What is printed is a configuration file, but that passwords are
    masked.
    """
    click.echo(shown(told.config(), told.sources), nl=False)


@config.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@_program
def check(file: Path, program: str) -> None:
    """Find all that is wrong with the configuration file FILE.

    Exits with status 0 if that is nothing, and with 1 otherwise; then each fault is a line on
    standard output, with the number of its line in the file.
    """
    try:
        check_config_file(file, _TABLES[program])
    except FaultyFile as error:
        click.echo(error.message)
        sys.exit(1)
    click.echo(f"{file} is sound")


@config.command()
@_program
def example(program: str) -> None:
    """Print a configuration file with every option, explained and commented out."""
    click.echo(example_file(program, _TABLES[program]), nl=False)
