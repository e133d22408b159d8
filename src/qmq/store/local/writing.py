"""The writer: the thread that commits batches, and keeps the files small between them."""

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

import apsw

from qmq.durations import FineDurations
from qmq.store.local.checkpoints import Checkpointer
from qmq.store.local.holding import FileHold
from qmq.store.local.shrinking import Shrinker
from qmq.store.local.transaction import Batch, commit
from qmq.store.local.workers import Hire

#: What SQLite calls the levels of its pragma `synchronous`: sync the log at each commit, or
#: only when that is written back into the database.
_FULL: Final = 2
_NORMAL: Final = 1

#: What was read, each for whom.
Found = list[tuple[asyncio.Future[Any], Any]]


class Writer:
    """Commits what is on offer, one batch after the other, in a thread of its own.

    `call`, `end` and `join` are for the event loop's thread, which is told what has become of
    each batch; all else is the writer's while it works.
    """

    #: Whether rows of some that have left cannot be removed.
    _keeps_gone = False

    def __init__(  # noqa: PLR0913 - What it works with, each by name.
        self,
        connection: apsw.Connection,
        *,
        checkpointer: Checkpointer,
        shrinker: Shrinker,
        on_commit: Callable[[Batch, Found], None],
        on_failure: Callable[[Exception], None],
        hire: Hire,
    ) -> None:
        """Start the thread, to which the connection belongs until `join` returns.

        Args:
            connection: an open database, which syncs its commits.
            checkpointer: of the same database; the writer starts it.
            shrinker: of the same database.
            on_commit: called in the event loop with each batch that is committed, and with what
                was read for it.
            on_failure: called there once, if a commit fails; none comes after that.
            hire: makes the thread, or what takes its place.
        """
        self._connection = connection
        self._checkpointer = checkpointer
        self._shrinker = shrinker
        self._on_commit = on_commit
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        #: The batch on offer, if it was not taken. Both threads take from it.
        self.offered: deque[Batch] = deque(maxlen=1)
        #: How long commits have taken.
        self.commits = FineDurations()
        #: What the connection's `synchronous` is.
        self._synchronous = _FULL
        #: Whether all that was committed is on disk.
        self.is_synced = True
        #: The hold that one may have on the database's file.
        self.file_hold = FileHold(checkpointer, self.call)
        checkpointer.start(connection, self.call)
        self._thread = hire("journal", self._take_turn, lambda: shrinker.wait_s)

    @property
    def sees_to_files(self) -> bool:
        """Whether the log is being written back, or the file cut."""
        return self._checkpointer.is_asked or self._shrinker.is_cutting

    def call(self) -> None:
        """Have it take a turn."""
        self._thread.call()

    def end(self) -> None:
        """Have it end when it has taken the turns that it was called for."""
        self._thread.end()

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join()

    def _take_turn(self) -> bool:
        """Commit the batch on offer; return whether to go on."""
        try:
            self._write_offered()
            self._see_to_files()
        except Exception as error:  # noqa: BLE001 - Whatever failed, nothing is known to be on disk.
            # Nor is what was written back from the log, which is to be there for the restart:
            # to close the connection would write it back once more, and delete it.
            self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            self._loop.call_soon_threadsafe(self._on_failure, error)
            # Nothing may be written after that.
            return False
        return True

    def _see_to_files(self) -> None:
        """Do what keeps the log and the database's file small, between commits."""
        self.file_hold.do_orders()
        checkpointer, shrinker = self._checkpointer, self._shrinker
        may_begin = not (checkpointer.is_asked or checkpointer.is_held)
        if shrinker.proceed(may_begin=may_begin):
            checkpointer.has_committed()
        if not shrinker.is_cutting:
            checkpointer.proceed()

    def _write_offered(self) -> None:
        """Commit the batch on offer, if there is one, and have all who wait for it told."""
        try:
            batch = self.offered.popleft()
        except IndexError:
            # It was taken already, here, or there to let more join it.
            return
        start = perf_counter()
        found = self._write(batch)
        self.commits.note(perf_counter() - start)
        self._checkpointer.has_committed()
        self._shrinker.has_committed()
        self._loop.call_soon_threadsafe(self._on_commit, batch, found)

    def _write(self, batch: Batch) -> Found:
        """Commit a batch, synced if need be; return what was asked for, for whom."""
        connection = self._connection
        synchronous = _FULL if batch.needs_sync else _NORMAL
        if synchronous != self._synchronous:
            connection.pragma("synchronous", synchronous)
            self._synchronous = synchronous
        changes = connection.total_changes()
        if batch.piece and self._keeps_gone:
            batch.piece = batch.piece._replace(through=0)
        found = commit(connection, batch, is_synced=self.is_synced)
        self._keeps_gone |= batch.keeps_gone
        if batch.needs_sync:
            self.is_synced = True
        elif connection.total_changes() != changes:
            self.is_synced = False
        return found
