"""A disk without room: what errors say so, and whether there is some again."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw

#: What the system calls it when a file cannot grow, though the disk is well.
NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

#: Made and removed to see whether there is room.
_SCRATCH: Final = "q.room"

#: Bytes that there has to be room for before a disk that was full is written to again: some
#: commits; and how many are written at a time.
_ROOM_BYTES: Final = 4 * 1024 * 1024
_PIECE_BYTES: Final = 256 * 1024

#: macOS has none that leaves out the time of the last change.
sync_data: Final[Callable[[int], None]] = getattr(os, "fdatasync", os.fsync)


def is_for_want_of_room(error: Exception, *system_errnos: int) -> bool:
    """Whether an error of SQLite says no more than that a file could not be made longer.

    A sync that fails for want of room is another matter: what was not written then is lost.

    Args:
        error: what SQLite has raised.
        system_errnos: what the system said to the connections that it may be of. What SQLite
            calls full is only what the system calls so, and not a quota or a bound.
    """
    if isinstance(error, apsw.FullError):
        return True
    return (
        isinstance(error, apsw.IOError)
        and getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_WRITE
        and not NO_ROOM.isdisjoint(system_errnos)
    )


def has_room(directory: Path) -> bool:
    """Find out whether the disk takes some megabytes, by writing them.

    What the system says is free is not always to be had: there are quotas, and file systems
    that look for room when they write. The file has no name, so that nothing stays of it.

    Args:
        directory: where they would be.
    """
    scratch = directory / _SCRATCH
    try:
        fd = os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            scratch.unlink()
            piece = bytes(_PIECE_BYTES)
            written = [os.pwrite(fd, piece, at) for at in range(0, _ROOM_BYTES, _PIECE_BYTES)]
            sync_data(fd)
        finally:
            os.close(fd)
    except OSError:
        return False
    return sum(written) == _ROOM_BYTES
