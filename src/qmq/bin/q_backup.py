"""The command `q backup`."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from qmq.bin.failing import failing

_MIB = 1024 * 1024


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("target", metavar="DEST", type=click.Path(path_type=Path))
def backup(directory: Path, target: Path) -> None:
    """Copy the data directory DIR to DEST, also while a q runs on it.

    All that was acknowledged before is in it, but for MEMORY queues. DEST is a new directory on
    which q can be started: q --data DEST. Until it is whole it has another name.

    Exits with status 0 if there is a backup, and 1 if there is none.
    """
    # Imported late: help and usage errors need none of it.
    from qmq.bin.counted import counted  # noqa: PLC0415
    from qmq.cli.progress import Progress  # noqa: PLC0415
    from qmq.store.local.backup import back_up  # noqa: PLC0415

    try:
        with (
            failing(),
            Progress(None, "MiB") as progress,
            _interrupted_by(signal.SIGTERM, signal.SIGHUP),
        ):
            made = back_up(
                directory,
                target,
                lambda done, total: progress.show(done // _MIB, done, total),
            )
    except KeyboardInterrupt:
        click.echo("q: error: the backup was broken off, and what was copied is removed", err=True)
        sys.exit(1)
    moment = datetime.fromtimestamp(made.moment_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    holds = "an older format, which q migrates when it starts"
    if made.queues is not None and made.messages is not None:
        holds = f"{counted(made.queues, 'queue')}, {counted(made.messages, 'message')}"
    click.echo(f"{made.path}: {holds}, {made.bytes / _MIB:,.1f} MiB")
    click.echo(f"It holds all that was acknowledged before {moment}.")
    if made.was_running:
        click.echo("MEMORY queues are in no backup.")


@contextmanager
def _interrupted_by(*numbers: signal.Signals) -> Iterator[None]:
    """Let signals do what Ctrl-C does, so that nothing is left behind."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
