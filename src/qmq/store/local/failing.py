"""What callers are told when the disk has failed, or is full."""

import errno
from typing import Final

import apsw

from qmq.errors import DataDirectoryError, DiskFull, StoreFailed

#: What the system calls it when it has no more files, or memory, for a process or for all.
_NO_MEANS: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def full(error: Exception) -> DiskFull:
    """Return what is said where there was no room, and nothing is in doubt."""
    return DiskFull(
        f"the disk is full ({type(error).__name__}: {error}), and nothing was done;"
        " q goes on by itself when there is room again"
    )


def failed(error: Exception) -> StoreFailed:
    """Return what is said where it is not known what is on disk."""
    return StoreFailed(
        f"the DISK store failed ({type(error).__name__}: {error}) and acknowledges nothing"
        " more; mend the disk and restart q, which serves all that was acknowledged"
    )


def is_for_want_of_means(error: Exception) -> bool:
    """Whether an error of opening a database says no more than that files or memory are used up.

    SQLite does not tell why a file cannot be opened; that there was none is no reason here.
    """
    cause = error.__cause__ if isinstance(error, DataDirectoryError) else error
    if isinstance(cause, OSError):
        return cause.errno in _NO_MEANS
    return isinstance(cause, apsw.CantOpenError | apsw.NoMemError | MemoryError)


def unread(error: Exception) -> str:
    """Return what is said where the disk was full, and what is on it cannot be read for now."""
    return (
        f"the disk was full, and what it holds cannot be read for now ({error}); q tries again"
        " until it can"
    )
