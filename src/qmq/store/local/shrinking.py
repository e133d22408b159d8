"""Giving back what the database's file does not need any more.

SQLite keeps the pages of what was deleted, for what comes next: the file stays as large as the
largest backlog ever was. When hardly anything is left, it is written anew, which takes some
tens of milliseconds then, and the end of the file is cut off.

 1. VACUUM puts all that is there into the log, in one transaction, and syncs that. From then on
    nothing in the file itself is needed.
 2. The file is cut off a piece at a time, between commits: a gigabyte at a time would take the
    file system half a second. The log must not be written back meanwhile, since that may
    make the file longer.

Whatever happens between any two of these, the next start finds it all in the log.
"""

import os
import time
from collections.abc import Callable
from typing import Final

import apsw

from qmq.limits import SHRINK_FILE_BYTES_MIN, SHRINK_LIVE_BYTES_MAX

#: Bytes that are cut off at a time: some milliseconds.
_PIECE_BYTES: Final = 16 * 1024 * 1024

#: Seconds from one look at the file to the next.
_LOOK_EVERY_S: Final = 1.0

#: Seconds for which there has to be hardly anything, so that one who fills and drains
#: a queue by turns does not have the file made anew each time.
_AFTER_S: Final = 10.0

#: Seconds after which it is tried again when it could not be done.
_AGAIN_S: Final = 600.0

#: Errors that undo a VACUUM, and say nothing about what is on disk: no room, or no memory, or
#: somebody else reads.
_HARMLESS: Final = (
    apsw.FullError,
    apsw.NoMemError,
    apsw.CantOpenError,
    apsw.BusyError,
    apsw.LockedError,
)


class Shrinker:
    """Looks at the database's file now and then, in the writer thread, between commits."""

    def __init__(  # noqa: PLR0913 - The rules, each by name.
        self,
        connection: apsw.Connection,
        file: Callable[[], int],
        *,
        file_bytes_min: int = SHRINK_FILE_BYTES_MIN,
        live_bytes_max: int = SHRINK_LIVE_BYTES_MAX,
        after_s: float = _AFTER_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with a database that was just opened.

        Args:
            connection: the one that commits.
            file: returns a descriptor of the database's file, which stays open.
            file_bytes_min: a smaller file stays as it is.
            live_bytes_max: the file is made anew where what is in use takes no more.
            after_s: seconds for which that has to be so.
            now_s: tells the time in seconds, from any moment on.
        """
        self._connection = connection
        self._file = file
        self._file_bytes_min = file_bytes_min
        self._live_bytes_max = live_bytes_max
        self._after_s = after_s
        self._now_s = now_s
        #: Before that, nobody looks.
        self._look_at_s = 0.0
        #: Whether there was a commit since somebody looked.
        self._is_changed = True
        #: Since when there is hardly anything; None if there is more.
        self._since_s: float | None = None
        #: What the file is to take in the end, while it is being cut off.
        self._target_bytes: int | None = None

    @property
    def is_cutting(self) -> bool:
        """Whether the file is being cut off, so that the log must not be written back."""
        return self._target_bytes is not None

    @property
    def wait_s(self) -> float | None:
        """After how many seconds `proceed` is to be called if nothing happens; None is never."""
        if self.is_cutting:
            return 0
        return _LOOK_EVERY_S if self._is_changed or self._since_s is not None else None

    def has_committed(self) -> None:
        """Take note of a commit."""
        self._is_changed = True

    def proceed(self, *, may_begin: bool) -> bool:
        """Do what there is to do now: between commits, in the writer thread.

        Args:
            may_begin: whether nobody writes back the log.

        Returns:
            Whether the database was made anew, so that there is more in the log.

        Raises:
            apsw.Error: it failed in a way that leaves in doubt what is on disk.
        """
        if self.is_cutting:
            self._cut()
            return False
        now_s = self._now_s()
        if now_s < self._look_at_s or not may_begin:
            return False
        self._look_at_s = now_s + min(_LOOK_EVERY_S, self._after_s)
        self._is_changed = False
        if not self._is_worth_it():
            self._since_s = None
            return False
        if self._since_s is None:
            self._since_s = now_s
        if now_s - self._since_s < self._after_s:
            return False
        self._since_s = None
        if self._make_anew():
            return True
        self._look_at_s = now_s + _AGAIN_S
        return False

    def _is_worth_it(self) -> bool:
        connection = self._connection
        pages, page_bytes = connection.pragma("page_count"), connection.pragma("page_size")
        live = pages - connection.pragma("freelist_count")
        return bool(
            pages * page_bytes >= self._file_bytes_min
            and live * page_bytes <= self._live_bytes_max
            and live * 4 <= pages
        )

    def _make_anew(self) -> bool:
        """Put what is in use together; return whether that was possible."""
        connection = self._connection
        synchronous = connection.pragma("synchronous")
        # What is done with is in no file but the log, so there has to be no room for another.
        connection.pragma("temp_store", 2)
        connection.pragma("synchronous", 2)
        try:
            connection.execute("vacuum")
        except _HARMLESS:
            return False
        finally:
            connection.pragma("synchronous", synchronous)
        self._target_bytes = connection.pragma("page_count") * connection.pragma("page_size")
        return True

    def _cut(self) -> None:
        """Cut off a piece of the file."""
        assert self._target_bytes is not None
        try:
            file = self._file()
            size = max(self._target_bytes, os.fstat(file).st_size - _PIECE_BYTES)
            os.ftruncate(file, size)
        except OSError:
            # SQLite does so itself when it has written the log back, at one go.
            size = self._target_bytes
        if size == self._target_bytes:
            self._target_bytes = None
