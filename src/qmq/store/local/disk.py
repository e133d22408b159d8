"""The DISK store: on disk before the reply, in one SQLite database."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path
from typing import Final, Self, TypeVar

import apsw

from qmq.errors import DataLoss, DiskFull
from qmq.limits import CACHE_BYTES_MAX, JOURNAL_PENDING_BYTES_MAX
from qmq.model.changes import Changes
from qmq.model.damaged import set_aside
from qmq.model.footprint import MESSAGE_BYTES, Footprint
from qmq.model.index import entry, seq_of, seqs_of
from qmq.model.queue import Queue
from qmq.store.local.checkpoints import Checkpointer
from qmq.store.local.checksums import unreadable
from qmq.store.local.directory import DataDirectory
from qmq.store.local.done import Done
from qmq.store.local.figures import DiskFigures
from qmq.store.local.journal import Journal
from qmq.store.local.loading import Found, load
from qmq.store.local.recovering import Recovery, Wait, wait_for
from qmq.store.local.rows import delivery_row, queue_columns
from qmq.store.local.shrinking import Shrinker
from qmq.store.local.sweeping import Patience, Sweeper
from qmq.store.local.together import Together
from qmq.store.local.upkeep import Upkeep
from qmq.store.local.workers import Hire, WorkerThread
from qmq.values import Durability, Store

#: Bytes of memory that a cached envelope takes besides what is in it: the header of its
#: bytes object, and its part of a dict that has just grown. It is more than many a message,
#: so that the cache would be much larger than it may be if it did not count.
CACHED_OVERHEAD_BYTES: Final = 110

#: Bytes of memory that a message takes, its envelope apart.
_INDEX_BYTES: Final = MESSAGE_BYTES[Store.DISK]

_T = TypeVar("_T")


def _ignore(_: str) -> None:
    """Do nothing about a failure but what the store does itself."""


def _do_nothing() -> None:
    """Do nothing about a recovery but what the store does itself."""


def _tell_nobody(read: int, total: int) -> None:
    """Say nothing of what was read so far."""


class DiskStore:
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
        self._footprint = footprint or Footprint()
        self._directory = directory
        self._connection = connection
        self._cache_bytes_max = cache_bytes_max
        #: Envelopes by their entries in the index: the very objects, so that the keys take nothing.
        self._cache: dict[int, bytes] = {}
        self._cache_bytes = 0
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
        self._recovery = Recovery(self, wait=wait)
        self._together = Together()
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
        self._footprint.left -= found.live * _INDEX_BYTES

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
        return self._journal.takes_only_reads

    async def reload(self) -> None:
        """Forget all that is not on disk, and take only reads from then on."""
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
            before.fail_for_good(error)
            return
        journal.go_on_after(before)
        self._footprint.left += before.live * _INDEX_BYTES + self._cache_bytes
        self._cache.clear()
        self._cache_bytes = 0
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

    @property
    def cached_bytes(self) -> int:
        """What the envelopes take in memory that are there."""
        return self._cache_bytes

    def figures(self) -> DiskFigures:
        """How the disk does, at this moment."""
        journal = self._journal
        takes_changes = journal.failure is None and not journal.takes_only_reads
        return journal.figures._replace(failures=self._failures, takes_changes=takes_changes)

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

    def check(self, *, only_reads: bool = False) -> None:
        """Refuse calls that could not be made durable."""
        self._journal.check(only_reads=only_reads)

    def new_queue(self, queue: Queue) -> Awaitable[None]:
        """Keep a new, empty queue."""
        info = queue.info
        return self._journal.change_queue(
            "insert_queue",
            {
                "number": queue.number,
                "id": info.id,
                "name": info.name,
                "created_ns": info.created_ns,
                **queue_columns(queue),
            },
        )

    def delete_queue(self, queue: Queue) -> Awaitable[None]:
        """Drop a queue at once; its messages' rows follow by and by."""
        self._journal.forget_groups(queue.number)
        deleted = self._journal.change_queue("delete_queue", {"number": queue.number})
        self._journal.sweep((), queue.dedup.drop_all())
        self._sweep(queue)
        return deleted

    def purge(self, queue: Queue) -> Awaitable[None]:
        """Drop all messages of a queue at once; their rows follow by and by."""
        # All that it holds, and nothing that will come, has a number up to this one.
        queue.purged_seq = self._journal.last_number
        purged = self.save_info(queue)
        self._sweep(queue)
        return purged

    def _sweep(self, queue: Queue) -> None:
        entries = queue.drop_all()
        self._uncache_all(entries)
        self._footprint.left += len(entries) * _INDEX_BYTES
        self._journal.forget_leases(self._together.leave(seqs_of(entries)))
        self._journal.sweep(entries)

    def save_info(self, queue: Queue) -> Awaitable[None]:
        """Keep what has changed in a queue's info."""
        return self._journal.change_queue(
            "update_queue", {"number": queue.number, **queue_columns(queue)}
        )

    def add(
        self,
        queue: Queue,
        envelope: bytes,
        created_ns: int,
        durability: Durability = Durability.UNKNOWN,
    ) -> Awaitable[None]:
        """Put a message at the end of a queue."""
        journal = self._journal
        seq = max(journal.last_number + 1, created_ns)
        added = entry(seq, len(envelope))
        queue.add(added)
        journal.last_number = seq
        self._footprint.left -= _INDEX_BYTES
        self._keep(added, envelope)
        return journal.insert(seq, queue.number, envelope, durability)

    def add_batch(
        self,
        queue: Queue,
        envelopes: Sequence[bytes],
        created_ns: int,
        durability: Durability = Durability.UNKNOWN,
    ) -> Awaitable[None]:
        """Put messages at the end of a queue."""
        first_seq = self.number(len(envelopes), created_ns)
        sizes = [len(envelope) for envelope in envelopes]
        added = queue.add_batch(first_seq, sizes)
        size = sum(sizes)
        self._footprint.left -= len(sizes) * _INDEX_BYTES
        if self._takes(size + len(sizes) * CACHED_OVERHEAD_BYTES):
            self._cache.update(zip(added, envelopes, strict=True))
        seqs = range(first_seq, first_seq + len(envelopes))
        return self._journal.insert_batch(
            zip(seqs, repeat(queue.number), envelopes), size, durability
        )

    def pop(self, queue: Queue, durability: Durability = Durability.UNKNOWN) -> Awaitable[bytes]:
        """Take the message at the head of a queue."""
        taken, was_leased = queue.pop()
        self._footprint.left += _INDEX_BYTES
        if was_leased:
            self._journal.forget_leases(self._together.leave((seq_of(taken),)))
        envelope = self._uncache(taken)
        if envelope is None:
            return _first(self._journal.take((taken,), durability))
        return self._journal.remove((taken,), envelope, durability)

    def pop_batch(
        self,
        queue: Queue,
        count_max: int,
        bytes_max: int,
        durability: Durability = Durability.UNKNOWN,
    ) -> Awaitable[list[bytes]]:
        """Take messages from the head of a queue."""
        taken, leased = queue.pop_batch(count_max, bytes_max)
        if not taken:
            return self._settled_with([], durability)
        if leased:
            self._journal.forget_leases(self._together.leave(leased))
        envelopes = self._uncache_all(taken)
        self._footprint.left += len(taken) * _INDEX_BYTES
        if len(envelopes) < len(taken):
            return self._journal.take(taken, durability)
        return self._journal.remove(taken, envelopes, durability)

    def peek(self, queue: Queue) -> Awaitable[bytes]:
        """Return the message at the head of a queue."""
        head = queue.peek()
        if (envelope := self._cache.get(head)) is not None:
            return self._settled_with(envelope, Durability.FSYNC)
        return self._shown(queue, head, self._journal.read([head], Durability.FSYNC))

    async def _shown(self, queue: Queue, head: int, read: Awaitable[list[bytes]]) -> bytes:
        try:
            return await _first(read)
        except DataLoss:
            self.set_aside(queue, [head])
            raise

    def set_aside(self, queue: Queue, entries: Sequence[int]) -> None:
        """Leave out of a queue, until the next start, messages that are damaged on disk."""
        for _ in set_aside(queue, entries):
            self._footprint.left += _INDEX_BYTES

    def number(self, count: int, created_ns: int) -> int:
        """Return the first of so many sequence numbers in a row that were never used."""
        first_seq = max(self._journal.last_number + 1, created_ns)
        self._journal.last_number = first_seq + count - 1
        return first_seq

    def commit(
        self,
        changes: Changes,
        read: Sequence[int] = (),
        durability: Durability = Durability.UNKNOWN,
    ) -> Awaitable[list[bytes]]:
        """Keep changes, all of them or none; the result is the envelopes to be read."""
        size = 0
        for added, _, envelope in changes.added:
            size += len(envelope)
            self._keep(added, envelope)
        found = [cached for each in read if (cached := self._cache.get(each)) is not None]
        for move in changes.moved:
            if (moved := self._uncache(move.old_entry)) is not None:
                self._keep(move.new_entry, moved + move.suffix)
        if changes.removed:
            self._uncache_all(changes.removed)
        self._footprint.left -= (len(changes.added) - len(changes.removed)) * _INDEX_BYTES
        self._keep_leases(changes)
        self._journal.keep(changes, size)
        if len(found) < len(read):
            return self._journal.read(read, durability)
        return self._settled_with(found, durability)

    def _keep_leases(self, changes: Changes) -> None:
        """Keep what was learned of messages, and forget it of those that leave."""
        if changes.leased or changes.saved:
            row, others = self._together.begin(changes.leased)
            others += changes.saved
            self._journal.keep_leases(row, [delivery_row(each) for each in others])
            # A row of its own counts, whatever one that it shared says.
            self._journal.forget_leases(self._together.leave([each.seq for each in others]))
        if changes.removed or changes.moved:
            leaving = seqs_of(changes.removed)
            leaving += [seq_of(move.old_entry) for move in changes.moved]
            self._journal.forget_leases(self._together.leave(leaving))

    async def settle(self, durability: Durability = Durability.UNKNOWN) -> None:
        """Wait until all that was decided upon so far is so durable: on disk, if not told."""
        if pending := self._journal.settled(None, durability):
            await pending

    async def close(self) -> None:
        """Commit what is under way and close the database."""
        await self._recovery.close()
        await self._journal.close()
        self._connection.close()
        self._directory.close()

    def _settled_with(self, result: _T, durability: Durability) -> Awaitable[_T]:
        """Return what gives the result back when all that was decided upon is so durable."""
        return self._journal.settled(result, durability) or Done(result)

    def _keep(self, entry: int, envelope: bytes) -> None:
        """Cache what comes in, until the cache is full: a queue is read from its head."""
        if self._takes(len(envelope) + CACHED_OVERHEAD_BYTES):
            self._cache[entry] = envelope

    def _takes(self, size: int) -> bool:
        """Count so many bytes as cached, if there is room for them."""
        if self._cache_bytes + size > self._cache_bytes_max or size > self._footprint.left:
            return False
        self._cache_bytes += size
        self._footprint.left -= size
        return True

    def _uncache(self, entry: int) -> bytes | None:
        envelope = self._cache.pop(entry, None)
        if envelope is not None:
            self._cache_bytes -= len(envelope) + CACHED_OVERHEAD_BYTES
            self._footprint.left += len(envelope) + CACHED_OVERHEAD_BYTES
        return envelope

    def _uncache_all(self, entries: Sequence[int]) -> list[bytes]:
        """Return those that were cached, in order."""
        found = map(self._cache.pop, entries, repeat(None))
        envelopes = [envelope for envelope in found if envelope is not None]
        size = sum(map(len, envelopes)) + len(envelopes) * CACHED_OVERHEAD_BYTES
        self._cache_bytes -= size
        self._footprint.left += size
        return envelopes


async def _first(envelopes: Awaitable[list[bytes]]) -> bytes:
    return (await envelopes)[0]
