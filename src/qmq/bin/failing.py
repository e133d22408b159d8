"""How the programs end where something cannot be done."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from qmq.errors import QError


@contextmanager
def failing(status: int = 1, program: str = "q") -> Iterator[None]:
    """End the program where a QError is raised: with a line on standard error, and a status."""
    try:
        yield
    except QError as error:
        click.echo(f"{program}: error: {error.message}", err=True)
        sys.exit(status)
