"""What an operator wants to know of the disk: how long commits take, and what is left to do."""

from typing import NamedTuple

from qmq.durations import FineDurations


class DiskFigures(NamedTuple):
    """How the DISK store does."""

    #: Commits, syncs included.
    commits: FineDurations
    #: Bytes in the database's log that are to be written back into the database.
    log_bytes: int
    #: How often the log was written back.
    checkpoints: int
    #: Seconds that this took beside commits.
    checkpoint_s: float
    #: Seconds in which commits waited for that.
    checkpoint_stop_s: float
    #: Messages that have left and still have rows, but for those that are being removed.
    rows_left: int
    #: Messages that turned out to be damaged on disk when they were read.
    damaged: int
    #: Batches of changes that wait for the disk, and what they take.
    under_way: int = 0
    pending_bytes: int = 0
    #: How often a write failed.
    failures: int = 0
    #: Whether changes are taken: no write has failed, or the disk has room again since.
    takes_changes: bool = True
    #: When the log was last written back, in nanoseconds since 1970; 0 if it was not.
    checkpoint_ns: int = 0
