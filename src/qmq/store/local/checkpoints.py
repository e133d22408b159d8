"""Checkpoints: the database's log is written back beside the commits, not by them.

A commit appends to the log. From time to time all of it has to go into the database's own file, and
that has to be synced, before the log can begin anew. This takes milliseconds, and if the writer
thread did it, everybody would wait. So a thread of its own does it, by a connection of its own,
while commits go on:

1. It writes the log back, has the file synced, and does both again for what came meanwhile, until
that is little.

2. The writer thread does the rest, between two commits: SQLite begins the log anew only where
nothing is left, which never happens by itself as long as commits come.

Right after that the database's file holds all that was committed, and it does not change until the
log is written back again. If it is held there, it can be copied while commits go on into the log.
"""

import threading
import time
from collections.abc import Callable
from typing import Final, Self

import apsw

from qmq.limits import CHECKPOINT_PAGES, LOG_PAGES_MAX
from qmq.store.local.workers import Hire, Worker, WorkerThread, for_ever

#: So few pages that the writer may do the rest: no more than a commit of some messages writes.
_FEW_PAGES: Final = 64

#: Times at most that the thread writes back what came meanwhile: where commits are faster than
#: it is, the rest never gets small.
_PASSES_MAX: Final = 4


class Checkpointer:
    """The thread that writes the log back, and the writer thread's part of that.

    What fails in it fails in the writer thread, as a commit would, and is final likewise.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        sync_database: Callable[[], None],
        *,
        pages: int = CHECKPOINT_PAGES,
        pages_max: int = LOG_PAGES_MAX,
        hire: Hire = WorkerThread,
    ) -> None:
        """Take a connection; `start` starts the thread.

        Args:
            connection: one to the writer's database, for the thread alone, which `close` closes.
            sync_database: syncs the database's file, or raises OSError.
            pages: in the log, from which on they are written back.
            pages_max: at which the writer waits until the thread is done.
            hire: makes the thread, or what takes its place.
        """
        self._connection = connection
        self._sync_database = sync_database
        self._pages = pages
        self._pages_max = pages_max
        self._writer = connection
        self._wake_writer: Callable[[], None] = _nobody
        #: What the writer had written when the log began.
        self._begin = 0
        #: How many pages the log has.
        self.log_pages = 0
        #: Whether the log is being written back, by the thread or, after that, by the writer.
        self.is_asked = False
        #: Whether the thread has done what it was asked for, or has failed.
        self._is_done = threading.Event()
        #: What has failed in the thread. `proceed` raises it, unless the writer has ended.
        self.failure: Exception | None = None
        #: What the system called that; 0 if it was not asked.
        self.system_errno = 0
        self._hire = hire
        self._worker: Worker | None = None
        #: What `hold` was given, until the file is held.
        self._on_held: Callable[[], None] | None = None
        #: Whether the database's file is to stay as it is.
        self.is_held = False
        #: How many pages the log had when the file was let go of. Those may be very many, so that
        #: the writer does not wait for them.
        self._pages_kept = 0
        #: How often the log was written back and began anew.
        self.count = 0
        #: When it was written back last, in nanoseconds since 1970; 0 if it was not.
        self.ended_ns = 0
        #: Seconds in which the thread did that, beside commits.
        self.seconds = 0.0
        #: Seconds in which the writer had to do with it, and commits waited.
        self.writer_seconds = 0.0

    def start(self, writer: apsw.Connection, wake_writer: Callable[[], None]) -> None:
        """Start the thread.

        Args:
            writer: the connection that commits, and does nothing about the log itself.
            wake_writer: has the writer thread call `proceed`; called in any thread.
        """
        self._writer = writer
        self._wake_writer = wake_writer
        self._begin = _pages_written(writer)
        self._worker = self._hire("checkpoints", self._serve, for_ever)

    def go_on_after(self, before: Self) -> None:
        """Go on with the counts of one that has ended."""
        self.count, self.seconds = before.count, before.seconds
        self.ended_ns = before.ended_ns
        self.writer_seconds = before.writer_seconds

    def has_committed(self) -> None:
        """Take note of what the log holds now: after each commit, in the writer thread."""
        self.log_pages = _pages_written(self._writer) - self._begin

    def proceed(self) -> None:
        """Do the writer's part, if there is any: between commits, in the writer thread.

        Raises:
            apsw.Error: the log cannot be written back.
            OSError: likewise.
        """
        if self.is_held:
            return
        if not self.is_asked:
            if self._on_held and not self.log_pages:
                self._grant(self._on_held)
            elif self.log_pages >= (1 if self._on_held else self._pages):
                self.is_asked = True
                self._is_done.clear()
                assert self._worker, "it was started"
                self._worker.call()
            return
        if not self._is_done.is_set() and self.log_pages < self._pages_max + self._pages_kept:
            return
        start = time.perf_counter()
        self._is_done.wait()
        if self.failure:
            raise self.failure
        self.is_asked = False
        if _is_all_written_back(self._writer):
            self._begin += self.log_pages
            self.log_pages = 0
            self._pages_kept = 0
            self.count += 1
            self.ended_ns = time.time_ns()
            if self._on_held:
                # Before a commit comes between.
                self._grant(self._on_held)
        self.writer_seconds += time.perf_counter() - start

    def hold(self, on_held: Callable[[], None]) -> None:
        """Keep the database's file as it is, from when it holds all that was committed.

        Where the log holds anything it is written back first. Until `let_go` the log grows with
        each commit. Nobody holds it already. In the writer thread, as `on_held` is called.
        """
        self._on_held = on_held

    def let_go(self) -> None:
        """Write the log back as ever, or do not begin to hold: in the writer thread."""
        self._on_held = None
        if self.is_held:
            self.is_held = False
            self._pages_kept = self.log_pages

    def _grant(self, on_held: Callable[[], None]) -> None:
        self._on_held = None
        self.is_held = True
        on_held()

    def close(self) -> None:
        """End the thread and close its connection; the writer thread has ended before."""
        if self._worker:
            self._worker.end()
            self._worker.join()
            self._worker = None
        self._connection.close()

    def _serve(self) -> bool:
        """Write back what the log holds, as the writer asked, and say when that is done."""
        start = time.perf_counter()
        try:
            self._write_back()
        except Exception as error:  # noqa: BLE001 - The writer raises it.
            self.failure = error
            self.system_errno = self._connection.system_errno
        self.seconds += time.perf_counter() - start
        self._is_done.set()
        self._wake_writer()
        return True

    def _write_back(self) -> None:
        for _ in range(_PASSES_MAX):
            before = self.log_pages
            is_written_back = _is_all_written_back(self._connection)
            # SQLite syncs the database only where nothing is left in the log, which would be
            # the writer's part. What it has to sync then was synced here but for its own pages.
            self._sync_database()
            if is_written_back and self.log_pages - before <= _FEW_PAGES:
                break


def _is_all_written_back(connection: apsw.Connection) -> bool:
    """Write back what the log holds, as far as nobody is in the way; return whether that is all."""
    try:
        in_log, written_back = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.BusyError:
        # The other connection was just about to change the log.
        return False
    return in_log == written_back


def _pages_written(connection: apsw.Connection) -> int:
    """Return how many pages a connection has written to the log since it was opened."""
    return connection.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)[0]


def _nobody() -> None:
    """Wake nobody, as long as there is no writer."""
