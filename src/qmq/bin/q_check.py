"""The command `q check`."""

import json
import sys
from pathlib import Path

import click

from qmq.bin.counted import counted
from qmq.bin.failing import failing
from qmq.cli.progress import Progress


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print what was found as a JSON object.")
def check(directory: Path, *, as_json: bool) -> None:
    """Check that the data directory DIR is sound, and change nothing in it.

    Every row is read. No q may be running on it. Exits with status 0 if it is sound, 1 if
    problems were found, a line each on standard output, and 2 if it cannot be checked.
    """
    # Imported late: help and usage errors need none of it.
    from qmq.store.local.checking import check_directory  # noqa: PLC0415

    with failing(status=2), Progress(1, "messages") as progress:
        verdict = check_directory(directory, progress.show)
    if as_json:
        click.echo(json.dumps({"directory": str(directory), **verdict._asdict()}))
    elif verdict.problems:
        click.echo("\n".join(verdict.problems))
    else:
        messages, queues = counted(verdict.messages, "message"), counted(verdict.queues, "queue")
        click.echo(f"{directory} is sound: {messages} in {queues}")
    sys.exit(1 if verdict.problems else 0)
