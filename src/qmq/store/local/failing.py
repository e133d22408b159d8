"""What callers are told when the disk has failed, is full, or cannot keep up."""

from typing import TypeVar

from qmq.errors import Busy, DiskFull, StoreFailed, Unavailable

_T = TypeVar("_T", bound=Unavailable)


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


def busy(pending: int, pending_max: int) -> Busy:
    """Return what is said where so many bytes wait for the disk, and so many may."""
    return Busy(
        f"{pending} bytes wait for the disk, more than journal_pending_bytes_max of {pending_max}",
        limit="journal_pending_bytes_max",
        value=str(pending_max),
        current=str(pending),
    )


def again(error: _T) -> _T:
    """Return the same for a further caller: one that is raised again grows a traceback."""
    return type(error)(error.message)
