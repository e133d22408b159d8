"""How the DISK store does, for people who look after the server."""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from qmq.clock import passed_ns
from qmq.condition import DiskCondition, ServerCondition
from qmq.engine.overseeing import Overseeing
from qmq.errors import DiskFull
from qmq.server.lately import Lately
from qmq.server.readiness import Disk, DiskLook
from qmq.values import Store

#: Seconds for which the file system is waited for; one that hangs does not hold up the rest.
_ANSWER_S: Final = 1.0


class _Files(NamedTuple):
    """What the file system says, in bytes."""

    database: int = 0
    log: int = 0
    free: int = 0
    total: int = 0


class OverseenDisk:
    """The DISK store. It is a `qmq.server.overseer.Part`."""

    def __init__(
        self,
        disk: Disk,
        directory: Path,
        backup_ns: Callable[[], int],
    ) -> None:
        """Look at a store.

        Args:
            disk: the store.
            directory: its data directory.
            backup_ns: returns for which moment the last backup stands; 0 if there was none.
        """
        self._disk = disk
        self._directory = directory.absolute()
        self._backup_ns = backup_ns
        self._hangs = DiskLook(disk)
        self._lately = Lately(passed_ns)
        self._files = _Files()
        self._asking: asyncio.Future[_Files] | None = None

    async def look(self) -> None:
        """Ask the file system, and see how long commits took."""
        self._lately.look(self._disk.figures().commits)
        if self._asking is None:
            self._asking = asyncio.ensure_future(asyncio.to_thread(_files_in, self._directory))
        asking = self._asking
        await asyncio.wait((asking,), timeout=_ANSWER_S)
        # Somebody else may have looked at the same time, and taken the answer.
        if asking.done() and asking is self._asking:
            self._asking = None
            self._files = asking.result()

    def want(self) -> None:
        """Do nothing: what changes fast is at hand."""

    def add_to(
        self, condition: ServerCondition, overseeing: Overseeing, now_ns: int
    ) -> ServerCondition:
        """Return how the server does, with its disk."""
        disk, files, figures = self._disk, self._files, self._disk.figures()
        refusal = disk.refusal
        return replace(
            condition,
            disk=DiskCondition(
                contents=overseeing.contents(Store.DISK),
                directory=str(self._directory),
                database_bytes=files.database,
                log_bytes=files.log,
                free_bytes=files.free,
                total_bytes=files.total,
                refusal=refusal.message if refusal else "",
                is_full=isinstance(refusal, DiskFull),
                hangs="" if refusal else self._hangs(),
                commits=self._lately.times(now_ns),
                pending_bytes=figures.pending_bytes,
                checkpoint_ns=figures.checkpoint_ns,
                backup_ns=self._backup_ns(),
                damaged=figures.damaged,
            ),
        )


def _files_in(directory: Path) -> _Files:
    """Ask the file system, in a thread of its own."""
    try:
        usage = shutil.disk_usage(directory)
        database, log = (_size_of(directory / name) for name in ("q.db", "q.db-wal"))
    except OSError:
        # A disk that is gone: other warnings tell of it.
        return _Files()
    return _Files(database, log, usage.free, usage.total)


def _size_of(path: Path) -> int:
    """Return what a file takes; 0 if it is not there, as the log may be."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
