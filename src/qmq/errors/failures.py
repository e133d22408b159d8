"""What q cannot do, though nothing is wrong with what is asked for."""

from collections.abc import Sequence
from typing import Self

from qmq.errors.base import QError


class Unavailable(QError):
    """q cannot answer now; the same request may succeed later."""

    reason = "UNAVAILABLE"
    retry_after_s = 1.0


class StoreFailed(Unavailable):
    """A write to the store failed, so nothing more is acknowledged until a restart."""

    reason = "STORE_FAILED"
    retry_after_s = 10.0


class DiskFull(Unavailable):
    """The disk has no room: nothing was done, and q goes on by itself when there is room again."""

    reason = "DISK_FULL"
    retry_after_s = 5.0


class Busy(Unavailable):
    """More work is waiting for the disk than q keeps in memory."""

    reason = "BUSY"


class DatabaseAway(Unavailable):
    """The cluster's database does not answer; what waits for it may or may not be kept."""

    reason = "DATABASE_AWAY"


class NotLeading(Unavailable):
    """No q leads the cluster at the moment, or this one does not any more.

    What waits for a commit may or may not be kept; everything else was not done.
    """

    reason = "NOT_LEADING"
    #: Whether nothing was done, and somebody else leads who can be asked.
    ask_again: bool = False

    @classmethod
    def of_idle(cls, message: str, *, ask_again: bool) -> Self:
        """Make the answer of a q that does not lead, and so has done nothing."""
        error = cls(f"{message}; nothing was done", effect="none")
        error.ask_again = ask_again
        return error


class AccessChanged(Unavailable):
    """What the caller may do has changed while it waited; called again, it may do that."""

    reason = "ACCESS_CHANGED"

    def __init__(self, name: str) -> None:
        super().__init__(f"what {name} may do has changed; the same call tells what it may now")


class ShuttingDown(Unavailable):
    """q is shutting down."""

    reason = "SHUTTING_DOWN"


class DataLoss(QError):
    """Messages are damaged on disk: what was read of them is not what was written."""

    reason = "DATA_LOSS"

    def __init__(self, seqs: Sequence[int]) -> None:
        named = ", ".join(map(str, seqs))
        super().__init__(
            f"what is on disk of {len(seqs)} messages of this call is damaged, and is not handed"
            f" out: those with the numbers {named}. They are set aside, and stay in the database;"
            " stop q, see `q check`, and put back a backup",
            seqs=named,
        )
        #: Their sequence numbers.
        self.seqs = tuple(seqs)


class DataDirectoryError(QError):
    """The data directory cannot be used: unwritable, foreign, in use or too new."""

    reason = "DATA_DIRECTORY"


class ConfigError(QError):
    """q cannot start with the configuration it was given."""

    reason = "CONFIG"


class DeadlineExceeded(QError):
    """The caller's deadline passed first; the call may have taken effect all the same."""

    reason = "DEADLINE_EXCEEDED"


class RequestTimeout(DeadlineExceeded):
    """The request took too long to come in; the call had no effect."""

    reason = "REQUEST_TIMEOUT"
