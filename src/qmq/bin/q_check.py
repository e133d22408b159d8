"""The command `q check`."""

import sys
from pathlib import Path

import click

from qmq.errors import QError


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
def check(directory: Path) -> None:
    """Check that the data directory DIR is sound, and change nothing in it.

    No q may be running on it. Exits with status 0 if it is sound, 1 if problems were found, a
    line each on standard output, and 2 if it cannot be checked.
    """
    # Imported late: help and usage errors need none of it.
    from qmq.store.local.checking import check_directory  # noqa: PLC0415

    try:
        problems = check_directory(directory)
    except QError as error:
        click.echo(f"q: error: {error.message}", err=True)
        sys.exit(2)
    for problem in problems:
        click.echo(problem)
    sys.exit(1 if problems else 0)
