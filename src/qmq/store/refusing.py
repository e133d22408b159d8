"""What callers of a journalled store are told, wherever its journal is."""

from typing import TypeVar

from qmq.errors import Busy, Unavailable

_T = TypeVar("_T", bound=Unavailable)


def busy(place: str, pending: int, pending_max: int) -> Busy:
    """Return what is said where so many bytes wait for a disk or database, and so many may."""
    return Busy(
        f"{pending} bytes wait for the {place}, more than journal_pending_bytes_max of"
        f" {pending_max}",
        limit="journal_pending_bytes_max",
        value=str(pending_max),
        current=str(pending),
    )


def again(error: _T) -> _T:
    """Return the same for a further caller: one that is raised again grows a traceback."""
    return type(error)(error.message, **error.metadata)
