"""Checking a data directory that no q holds, without a change to it."""

import fcntl
from contextlib import ExitStack, closing
from pathlib import Path

import apsw

from qmq.errors import DataDirectoryError
from qmq.store.local.directory import DATABASE, LOCK, LOG, database_vfs


def check_directory(path: Path) -> list[str]:
    """Return what is wrong with the database of a data directory, a sentence each.

    Raises:
        DataDirectoryError: it cannot be checked: there is none, it cannot be read, or a q
            that is running holds it.
    """
    with ExitStack() as undo:
        _hold(path, undo)
        try:
            connection = undo.enter_context(closing(open_to_read(path)))
            return [
                f"{path / DATABASE}: {problem}"
                for (problem,) in connection.execute("pragma integrity_check")
                if problem != "ok"
            ]
        except apsw.Error as error:
            raise DataDirectoryError(f"cannot read {path / DATABASE}: {error}") from error


def _hold(path: Path, undo: ExitStack) -> None:
    """Keep any q from using a data directory meanwhile."""
    if not (path / DATABASE).exists():
        raise DataDirectoryError(f"{path} is not a data directory of q: it holds no {DATABASE}")
    try:
        lock = undo.enter_context((path / LOCK).open("rb"))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        # A copy that somebody made of the database alone.
        return
    except BlockingIOError:
        raise DataDirectoryError(
            f"data directory {path} is in use; stop that q first, or check a copy"
        ) from None
    except OSError as error:
        raise DataDirectoryError(f"cannot read {path / LOCK}: {error.strerror}") from error


def open_to_read(path: Path) -> apsw.Connection:
    """Open a database that nobody else has open, so that nothing is written or made."""
    file = path / DATABASE
    if (path / LOG).exists():
        connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY, vfs=database_vfs())
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return connection
    # SQLite would make a log even to read, but for a file that it is told never changes.
    return apsw.Connection(
        f"{file.absolute().as_uri()}?immutable=1",
        flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
    )
