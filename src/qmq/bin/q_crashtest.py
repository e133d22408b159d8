"""The command `q crashtest`."""

import sys
from pathlib import Path
from typing import TextIO

import click

from qmq.bin.failing import failing

_PERCENT = 100


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--write",
    "is_write",
    is_flag=True,
    help="Add messages in DIR until the power fails, and print the number of each when it is on"
    " disk: to another machine, say.",
)
@click.option(
    "--verify",
    "file",
    metavar="FILE",
    type=click.File(encoding="ascii", errors="replace"),
    help="Check that all messages are there whose numbers --write has printed; - is standard"
    " input. If they are, remove them.",
)
def crashtest(directory: Path, file: TextIO | None, *, is_write: bool) -> None:
    """Try the disk under the directory DIR: how fast it is, and whether it keeps what it says.

    Measures syncs and q's commits, kills a q in the middle of its work again and again,
    and leaves nothing there. Takes some 15 seconds.

    Exits with status 0 if all that was acknowledged is there, whatever the warnings, 1 if
    something is lost, and 2 if it cannot be tried.
    """
    if file and is_write:
        raise click.UsageError("give --write or --verify, not both")
    # Imported late: help and usage errors need none of it.
    from qmq.cli.progress import Progress  # noqa: PLC0415
    from qmq.server import crashtest as trial  # noqa: PLC0415

    with failing(status=2):
        if is_write:
            trial.write_until_killed(directory)
            is_kept = True
        elif file:
            is_kept = trial.verify(directory, file, click.echo)
        else:
            with Progress(_PERCENT, "%") as progress:
                is_kept = trial.try_disk(
                    directory,
                    click.echo,
                    lambda warning: click.echo(f"warning: {warning}", err=True),
                    lambda share: progress.show(int(share * _PERCENT), int(share * _PERCENT)),
                )
    sys.exit(0 if is_kept else 1)
