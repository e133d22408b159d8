"""The DISK store: on disk before the reply, in one SQLite database."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import apsw

from qmq.errors import DiskFull, StoreFailed
from qmq.limits import CACHE_BYTES_MAX, JOURNAL_PENDING_BYTES_MAX
from qmq.model.footprint import Footprint
from qmq.store.journalled import INDEX_BYTES, JournalledStore
from qmq.store.local.checkpoints import Checkpointer
from qmq.store.local.checksums import unreadable
from qmq.store.local.directory import DataDirectory
from qmq.store.local.failing import is_for_want_of_means, unread
from qmq.store.local.figures import DiskFigures
from qmq.store.local.journal import Journal
from qmq.store.local.loading import load
from qmq.store.local.recovering import Recovery, Wait, wait_for
from qmq.store.local.shrinking import Shrinker
from qmq.store.local.sweeping import Patience, Sweeper
from qmq.store.local.upkeep import Upkeep
from qmq.store.local.workers import Hire, WorkerThread
from qmq.store.rebuilding import Found
from qmq.store.together import Together
from qmq.values import Durability


def _ignore(_: str) -> None:
    """Do nothing about a failure but what the store does itself."""


def _do_nothing() -> None:
    """Do nothing about a recovery but what the store does itself."""


def _tell_nobody(read: int, total: int) -> None:
    """Say nothing of what was read so far."""


class DiskStore(JournalledStore[Journal]):
    """Keeps messages in a data directory. See `qmq.store.base.QueueStore`.

    The index of messages is in memory, as the model's queues; envelopes are there only
    as far as the cache holds them, and are read by their sequence number otherwise.
    """

    def __init__(  # noqa: PLR0913 - What it is made of, each by name.
        self,
        directory: DataDirectory,
        connection: apsw.Connection,
        *,
        cache_bytes_max: int = CACHE_BYTES_MAX,
        pending_bytes_max: int = JOURNAL_PENDING_BYTES_MAX,
        on_failure: Callable[[str], None] = _ignore,
        on_damage: Callable[[str], None] = _ignore,
        on_progress: Callable[[int, int], None] = _tell_nobody,
        footprint: Footprint | None = None,
        patience: Patience | None = None,
        upkeep: Upkeep | None = None,
        wait: Wait = wait_for,
        hire: Hire = WorkerThread,
    ) -> None:
        """Open the store, in the event loop that will use it.

        Args:
            directory: held for as long as the store is open; `close` lets go of it.
            connection: what `directory.open_database` returned; the store's from now on.
            cache_bytes_max: bytes of memory that envelopes may take.
            pending_bytes_max: bytes of changes that wait for the disk before it is busy.
            on_failure: called with the reason when a write fails and the store acknowledges
                nothing more, be it for good or until there is room on the disk again.
            on_damage: called, with a sentence, when messages turn out to be damaged on disk.
            on_progress: called once a second while messages are read, with how many were read
                and about how many there are; in another thread if they are read anew.
            footprint: counts what messages take in memory; where that leaves no room, nothing
                is cached.
            patience: when rows of what has left are removed; by default, as `Patience` says.
            upkeep: when the files are seen to; by default, as `Upkeep` says.
            wait: measures the time between two looks at a disk that is full.
            hire: makes the threads that work beside the event loop, or what takes their place.
        """
        super().__init__(cache_bytes_max=cache_bytes_max, footprint=footprint)
        self._directory = directory
        self._connection = connection
        self._pending_bytes_max = pending_bytes_max
        self._patience = patience
        self._upkeep = upkeep or Upkeep()
        self._on_failure = on_failure
        self._on_damage = on_damage
        self._hire = hire
        self._on_progress = on_progress
        #: Takes over `queues`, `redrives` and `schedules` when they were read from disk anew, since
        #: it was full: what was before is of no use then. To be set by who has them; without
        #: it, a store whose disk was full takes nothing until it is opened anew.
        self.on_reload: Callable[[], None] | None = None
        #: Called when changes are taken again after that.
        self.on_recovery: Callable[[], None] = _do_nothing
        #: How often a write failed.
        self._failures = 0
        #: Whether it was told that what is on disk cannot be read for now.
        self._is_unread = False
        self._recovery = Recovery(self, wait=wait)
        found = load(connection, self._together, on_progress)
        #: How far ahead of the machine's clock the one is by which moments were written: see
        #: `qmq.engine.clock_offset`. Who goes on with these moments starts there.
        self.clock_offset_ns = found.clock_offset_ns
        self._take_over(found)
        self._journal = self._begin(connection, found)

    def _take_over(self, found: Found) -> None:
        """Hold what was found on disk."""
        #: The queues found on disk, in order of creation.
        self.queues = found.queues
        #: The redrives found on disk, in order of their starts: id, and what was kept.
        self.redrives = found.redrives
        #: The schedules found on disk, in order of their creation: id, and what was kept.
        self.schedules = found.schedules
        #: The highest number that a queue, or what is left over of one, ever had.
        self.last_queue_number = found.last_queue_number
        self._footprint.left -= found.live * INDEX_BYTES

    def _begin(
        self, connection: apsw.Connection, found: Found, only_reads: DiskFull | None = None
    ) -> Journal:
        """Return a journal of what was found on disk."""
        sweeper = Sweeper(self._patience)
        sweeper.begin(found.live, *found.gone_numbers)
        sweeper.add(found.gone)
        sweeper.add_leases(found.leases)
        sweeper.add_known(found.strangers)
        directory, upkeep = self._directory, self._upkeep
        journal = Journal(
            connection,
            checkpointer=Checkpointer(
                directory.open_beside(),
                directory.sync_database,
                pages=upkeep.checkpoint_pages,
                hire=self._hire,
            ),
            shrinker=Shrinker(
                connection,
                directory.database_file,
                file_bytes_min=upkeep.shrink_file_bytes_min,
                after_s=upkeep.shrink_after_s,
            ),
            sweeper=sweeper,
            on_failure=self._note_failure,
            on_damage=self._on_damage,
            pending_bytes_max=self._pending_bytes_max,
            only_reads=only_reads,
            hire=self._hire,
        )
        journal.last_number = found.last_number
        return journal

    def _note_failure(self, reason: str) -> None:
        self._failures += 1
        self._on_failure(reason)
        if self.is_to_be_reloaded:
            self._recovery.see_to()

    @property
    def is_to_be_reloaded(self) -> bool:
        """Whether memory is ahead of the disk, which was full, and somebody takes over anew."""
        return self.on_reload is not None and isinstance(self._journal.failure, DiskFull)

    @property
    def takes_only_reads(self) -> bool:
        """Whether all is as it is on disk, and nothing can be changed until there is room."""
        return self._journal.refusal is not None and self._journal.failure is None

    async def reload(self) -> None:
        """Forget all that is not on disk, and take only reads from then on.

        Where the system gives no files or memory for that, nothing has changed: it is to be
        called again.
        """
        before = self._journal
        await before.close()
        full = before.failure
        if not isinstance(full, DiskFull) or self.on_reload is None:
            return
        together = Together()
        loop = asyncio.get_running_loop()
        try:
            self._connection, found = await loop.run_in_executor(None, self._read_anew, together)
            journal = self._begin(self._connection, found, full)
        except Exception as error:  # noqa: BLE001 - Whatever it is, what is on disk is not known.
            if not is_for_want_of_means(error):
                before.fail_for_good(error)
            elif not self._is_unread:
                self._is_unread = True
                self._on_failure(unread(error))
            return
        self._is_unread = False
        journal.go_on_after(before)
        self._footprint.left += before.live * INDEX_BYTES
        self._uncache_whole()
        self._together, self._journal = together, journal
        self._take_over(found)
        try:
            self.on_reload()
        except Exception as error:  # noqa: BLE001 - A fault of q, which its log has in full.
            journal.fail_for_good(error)
            loop.call_exception_handler({"message": "cannot take over", "exception": error})

    def _read_anew(self, together: Together) -> tuple[apsw.Connection, Found]:
        """Open the database again and read it, in a thread of its own."""
        self._connection.close()
        connection = self._directory.open_database(needs_room=False)
        try:
            return connection, load(connection, together, self._on_progress, keeps_clock=True)
        except BaseException:
            connection.close()
            raise

    async def has_room(self) -> bool:
        """Whether the disk has room."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self._directory.has_room)

    def take_changes(self) -> None:
        """Take all from now on, since there is room."""
        self._journal.take_changes()
        self.on_recovery()

    @classmethod
    def open(  # noqa: PLR0913 - As above.
        cls,
        path: Path,
        *,
        cache_bytes_max: int = CACHE_BYTES_MAX,
        on_failure: Callable[[str], None] = _ignore,
        on_damage: Callable[[str], None] = _ignore,
        on_progress: Callable[[int, int], None] = _tell_nobody,
        footprint: Footprint | None = None,
    ) -> Self:
        """Open the store in a data directory, making or migrating it as needed.

        To be called in the event loop that will use the store.

        Args:
            path: the data directory.
            cache_bytes_max: bytes of memory that envelopes may take.
            on_failure: called once, with the reason, when a write fails and the store
                acknowledges nothing more.
            on_damage: called, with a sentence, when messages turn out to be damaged on disk.
            on_progress: called once a second while messages are read, with how many were read
                and about how many there are.
            footprint: counts what messages take in memory.

        Raises:
            DataDirectoryError: the directory cannot be used.
        """
        with ExitStack() as undo:
            directory = DataDirectory(path)
            undo.callback(directory.close)
            connection = directory.open_database()
            undo.callback(connection.close)
            try:
                store = cls(
                    directory,
                    connection,
                    cache_bytes_max=cache_bytes_max,
                    on_failure=on_failure,
                    on_damage=on_damage,
                    on_progress=on_progress,
                    footprint=footprint,
                )
            except apsw.Error as error:
                raise unreadable(path, error) from error
            undo.pop_all()
        return store

    def figures(self) -> DiskFigures:
        """How the disk does, at this moment."""
        return self._journal.figures._replace(
            failures=self._failures, takes_changes=self.refusal is None
        )

    @property
    def refusal(self) -> StoreFailed | DiskFull | None:
        """Why DISK queues cannot be changed now; None if they can. Any thread may ask."""
        return self._journal.refusal

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way, be it to commit or to see to the files."""
        return self._journal.is_idle

    @property
    def is_swept(self) -> bool:
        """Whether nothing that has left has rows any more, but for what is being removed."""
        return self._journal.is_swept

    def keep_clock_offset(self, offset_ns: int) -> Awaitable[None]:
        """Keep how far ahead of the machine's clock the one is by which moments are written."""
        self._journal.check()
        return self._journal.change_queue("save_clock_offset", {"offset_ns": offset_ns})

    async def hold_file(self) -> None:
        """Keep the database's file as it is, with all in it that was decided upon before.

        To copy that file is to copy all that the store held when this returns. Meanwhile all
        goes on, and the log grows. One at a time may hold it, until `let_go_of_file`.

        Raises:
            StoreFailed: a write has failed.
        """
        await self._journal.hold_file()

    def let_go_of_file(self) -> None:
        """Write to the database's file as ever."""
        self._journal.let_go_of_file()

    @property
    def durability_max(self) -> Durability:
        """How durable it makes a change at most."""
        return Durability.FSYNC

    async def close(self) -> None:
        """Commit what is under way and close the database."""
        await self._recovery.close()
        await self._journal.close()
        self._connection.close()
        self._directory.close()
