"""What an operator wants to know of the disk: how long commits take, and what is left to do."""

from bisect import bisect_left
from typing import Final, NamedTuple

#: Upper bounds of the classes of durations, in seconds.
BOUNDS_S: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0
)  # fmt: skip


class Durations:
    """How long each of many took, by classes. One thread notes, others may read."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        #: By class: one for each of `BOUNDS_S`, and one for all that took longer.
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0

    def note(self, took_s: float) -> None:
        """Count one that took so many seconds."""
        self.counts[bisect_left(BOUNDS_S, took_s)] += 1
        self.total_s += took_s


class DiskFigures(NamedTuple):
    """How the DISK store does."""

    #: Commits, syncs included.
    commits: Durations
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
    #: How often a write failed.
    failures: int = 0
    #: Whether changes are taken: no write has failed, or the disk has room again since.
    takes_changes: bool = True
