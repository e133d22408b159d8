"""The DISK store: on disk before the reply, in one SQLite database."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path
from typing import Final, Self, TypeVar

import apsw

from qmq.errors import DataDirectoryError
from qmq.limits import CACHE_BYTES_MAX, CHECKPOINT_PAGES, JOURNAL_PENDING_BYTES_MAX
from qmq.model.changes import Changes
from qmq.model.footprint import MESSAGE_BYTES, Footprint
from qmq.model.index import entry, seq_of, seqs_of
from qmq.model.queue import Queue
from qmq.store.local.checkpoints import Checkpointer
from qmq.store.local.directory import DataDirectory
from qmq.store.local.done import Done
from qmq.store.local.figures import DiskFigures
from qmq.store.local.journal import Journal
from qmq.store.local.loading import load
from qmq.store.local.rows import delivery_row, queue_columns
from qmq.store.local.shrinking import Shrinker
from qmq.store.local.sweeping import Patience, Sweeper
from qmq.store.local.together import Together
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
        on_progress: Callable[[int, int], None] = _tell_nobody,
        footprint: Footprint | None = None,
        patience: Patience | None = None,
        checkpoint_pages: int = CHECKPOINT_PAGES,
        hire: Hire = WorkerThread,
    ) -> None:
        """Open the store, in the event loop that will use it.

        Args:
            directory: held for as long as the store is open; `close` lets go of it.
            connection: what `directory.open_database` returned; the store's from now on.
            cache_bytes_max: bytes of memory that envelopes may take.
            pending_bytes_max: bytes of changes that wait for the disk before it is busy.
            on_failure: called once, with the reason, when a write fails and the store
                acknowledges nothing more.
            on_progress: called once a second while messages are read, with how many were read
                and about how many there are.
            footprint: counts what messages take in memory; where that leaves no room, nothing
                is cached.
            patience: when rows of what has left are removed; by default, as `Patience` says.
            checkpoint_pages: in the database's log, from which on they are written back.
            hire: makes the threads that work beside the event loop, or what takes their place.
        """
        self._footprint = footprint or Footprint()
        self._directory = directory
        self._connection = connection
        self._cache_bytes_max = cache_bytes_max
        #: Envelopes by their entries in the index: the very objects, so that the keys take nothing.
        self._cache: dict[int, bytes] = {}
        self._cache_bytes = 0
        self._together = Together()
        found = load(connection, self._together, on_progress)
        #: The queues found on disk, in order of creation.
        self.queues = found.queues
        #: The redrives found on disk, in order of their starts: id, and what was kept.
        self.redrives = found.redrives
        #: The schedules found on disk, in order of their creation: id, and what was kept.
        self.schedules = found.schedules
        #: The highest number that a queue, or what is left over of one, ever had.
        self.last_queue_number = found.last_queue_number
        #: How far ahead of the machine's clock the one is by which moments were written: see
        #: `qmq.engine.clock_offset`. Who goes on with these moments starts there.
        self.clock_offset_ns = found.clock_offset_ns
        self._footprint.left -= found.live * _INDEX_BYTES
        sweeper = Sweeper(patience)
        sweeper.begin(found.live, *found.gone_numbers)
        sweeper.add(found.gone)
        sweeper.add_leases(found.leases)
        sweeper.add_known(found.strangers)
        self._journal = Journal(
            connection,
            checkpointer=Checkpointer(
                directory.open_beside(), directory.sync_database, pages=checkpoint_pages, hire=hire
            ),
            shrinker=Shrinker(connection, directory.database_file),
            sweeper=sweeper,
            on_failure=on_failure,
            pending_bytes_max=pending_bytes_max,
            hire=hire,
        )
        self._journal.last_number = found.last_number

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        cache_bytes_max: int = CACHE_BYTES_MAX,
        on_failure: Callable[[str], None] = _ignore,
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
                    on_progress=on_progress,
                    footprint=footprint,
                )
            except apsw.Error as error:
                raise DataDirectoryError(
                    f"cannot read the database in {path}: {error}; put back a copy of it, or"
                    " give another directory by --data DIR"
                ) from error
            undo.pop_all()
        return store

    @property
    def cached_bytes(self) -> int:
        """What the envelopes take in memory that are there."""
        return self._cache_bytes

    def figures(self) -> DiskFigures:
        """How the disk does, at this moment."""
        return self._journal.figures

    @property
    def is_swept(self) -> bool:
        """Whether nothing that has left has rows any more, but for what is being removed."""
        return self._journal.is_swept

    def keep_clock_offset(self, offset_ns: int) -> Awaitable[None]:
        """Keep how far ahead of the machine's clock the one is by which moments are written."""
        return self._journal.change_queue("save_clock_offset", {"offset_ns": offset_ns})

    def check(self) -> None:
        """Refuse calls that could not be made durable."""
        self._journal.check()

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
        return _first(self._journal.read([head], Durability.FSYNC))

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
