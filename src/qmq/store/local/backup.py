"""`q backup`: a copy of a data directory, whether a q runs on it or not.

The database's file is copied as it is, byte by byte. Nobody writes to it meanwhile: a q that runs
keeps its commits in the log as long as it is asked to (`backup_calls`), and where none
runs its lock is held, so that none starts, and the log is copied as well.
"""

import os
import select
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import apsw

from qmq.errors import DataDirectoryError
from qmq.store.local.backup_calls import COPIED, HELD, KEPT, LINE_BYTES_MAX, connect_in
from qmq.store.local.checking import Verdict, check_directory, open_to_read
from qmq.store.local.checksums import CHECKSUMS_FORMAT
from qmq.store.local.copying import copy_synced
from qmq.store.local.directory import (
    DATABASE,
    LOG,
    DirectoryHeld,
    lock_directory,
    sync_directory,
)

#: Seconds to wait for a q: to have the log written back may take that long on a slow disk.
_PATIENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made."""

    #: Where it is: a data directory.
    path: Path
    #: All that was acknowledged before is in it: nanoseconds since the Unix epoch.
    moment_ns: int
    #: What it takes on disk.
    bytes: int
    #: None where its format is that of an older q, which this one would migrate first.
    queues: int | None
    messages: int | None
    #: Whether a q was running on the directory.
    was_running: bool


def back_up(path: Path, target: Path, on_copied: Callable[[int, int], None]) -> Backup:
    """Copy a data directory to a new one, on which a q can be started.

    Whatever happens, there is a whole backup at `target` then or nothing. The copy is read once,
    as `q check` does it, before it is put there.

    Args:
        path: the data directory.
        target: where to put the copy, which must not exist; its parent does.
        on_copied: called again and again with the bytes that are copied, and the bytes of all.

    Raises:
        DataDirectoryError: there is no backup, and why.
    """
    if not (path / DATABASE).exists():
        raise DataDirectoryError(f"{path} is not a data directory of q: it holds no {DATABASE}")
    if os.path.lexists(target):
        raise DataDirectoryError(f"{target} exists; give the name of a new directory")
    try:
        with ExitStack() as undo:
            made = Path(
                tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".incomplete", dir=target.parent)
            )
            undo.callback(shutil.rmtree, made, ignore_errors=True)
            source = undo.enter_context(_source(path))
            _copy(source, made, on_copied)
            verdict = _looked_at(made)
            if verdict and verdict.problems:
                raise DataDirectoryError(
                    f"the copy of {path} is not sound, and was removed: {verdict.problems[0]}"
                )
            shutil.copymode(path, made)
            made.rename(target)
            sync_directory(target.parent)
            source.keep()
            return Backup(
                path=target,
                moment_ns=source.moment_ns,
                bytes=sum(file.stat().st_size for file in target.iterdir()),
                queues=verdict.queues if verdict else None,
                messages=verdict.messages if verdict else None,
                was_running=isinstance(source, _Running),
            )
    except OSError as error:
        raise DataDirectoryError(f"cannot back up {path} to {target}: {error}") from error


class _Stopped:
    """A data directory that no q uses, and none can as long as this is held."""

    def __init__(self, path: Path) -> None:
        self.moment_ns = time.time_ns()
        self.files = [file for file in (path / DATABASE, path / LOG) if file.exists()]

    def look(self) -> None:
        """Nothing can change."""

    def release(self) -> None:
        """The lock goes with the backup."""

    def keep(self) -> None:
        """Nobody wants to know."""


class _Running:
    """A data directory on which a q runs, which holds its database's file."""

    def __init__(self, path: Path, connection: socket.socket) -> None:
        self.files = [path / DATABASE]
        self._connection = connection
        self._replies = connection.makefile("r")
        word, said = self._hear()
        if word != HELD:
            raise DataDirectoryError(f"q makes no backup: {said}")
        self.moment_ns = int(said)

    @classmethod
    def connect(cls, path: Path) -> Self:
        try:
            connection = connect_in(path)
        except OSError as error:
            raise DataDirectoryError(
                f"data directory {path} is in use by a q that cannot be asked for a backup"
                f" ({error.strerror}): it is another user's, or stop it first"
            ) from error
        connection.settimeout(_PATIENCE_S)
        return cls(path, connection)

    def look(self) -> None:
        """Find out whether q still holds the file: it says nothing as long as it does."""
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        if poll.poll(0):
            raise DataDirectoryError(f"q makes no backup any more: {self._hear()[1]}")

    def release(self) -> None:
        """Let q write to the file again; make sure that it has not done so before."""
        self._connection.sendall(f"{COPIED}\n".encode())
        word, said = self._hear()
        if word != COPIED:
            raise DataDirectoryError(f"q makes no backup any more: {said}")

    def keep(self) -> None:
        """Tell q that the backup is in its place, and let it take note; it may have ended since."""
        with suppress(OSError):
            self._connection.sendall(f"{KEPT}\n".encode())
            self._replies.readline(LINE_BYTES_MAX)

    def close(self) -> None:
        self._replies.close()
        self._connection.close()

    def _hear(self) -> tuple[str, str]:
        word, _, said = self._replies.readline(LINE_BYTES_MAX).strip().partition(" ")
        return word, said or "it has ended; start it, or back up what it has left"


@contextmanager
def _source(path: Path) -> Iterator[_Stopped | _Running]:
    """Keep the files of a data directory as they are, or have the q that runs on it do so."""
    try:
        lock = lock_directory(path)
    except DirectoryHeld:
        with closing(_Running.connect(path)) as running:
            yield running
        return
    with lock or nullcontext():
        yield _Stopped(path)


def _copy(source: _Stopped | _Running, made: Path, on_copied: Callable[[int, int], None]) -> None:
    total = sum(file.stat().st_size for file in source.files)
    done = 0

    def tell(copied: int) -> None:
        nonlocal done
        done += copied
        source.look()
        on_copied(done, total)

    for file in source.files:
        copy_synced(file, made / file.name, tell)
    source.release()
    sync_directory(made)


def _looked_at(path: Path) -> Verdict | None:
    """Look at a copy as `q check` does; None if it has an older format, which has no checksums."""
    try:
        with closing(open_to_read(path)) as connection:
            if connection.pragma("user_version") < CHECKSUMS_FORMAT:
                return None
    except apsw.Error as error:
        raise DataDirectoryError(f"cannot read the copy of {path}: {error}") from error
    return check_directory(path)
