"""A store whose index is in memory, and whose journal is on disk or in PostgreSQL."""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Final, Generic, Protocol, TypeVar

from qmq.errors import DataLoss
from qmq.model.changes import Changes
from qmq.model.damaged import set_aside
from qmq.model.delivery import Delivery
from qmq.model.footprint import MESSAGE_BYTES, Footprint
from qmq.model.index import entry, seq_of, seqs_of
from qmq.model.queue import Queue
from qmq.store.done import Done
from qmq.store.rows import DeliveryRow, delivery_row, queue_columns
from qmq.store.together import LeaseRow, Together
from qmq.values import Durability, Store

#: Bytes of memory that a cached envelope takes besides what is in it: the header of its
#: bytes object, and its part of a dict that has just grown. It is more than many a message,
#: so that the cache would be much larger than it may be if it did not count.
CACHED_OVERHEAD_BYTES: Final = 110

#: Bytes of memory that a message takes, its envelope apart: its place in the index.
INDEX_BYTES: Final = MESSAGE_BYTES[Store.DISK]

_T = TypeVar("_T")
_ResultT = TypeVar("_ResultT")


class Journal(Protocol):
    """What makes changes durable, in the order in which they are handed in.

    What its methods return is to be awaited; it is done when the change is as durable as the
    caller wants.
    """

    #: The highest number that a message ever had, for the store to say.
    last_number: int

    def check(self, *, only_reads: bool = False) -> None:
        """Refuse work that could not be made durable; see `QueueStore.check`."""
        ...

    def insert(
        self, seq: int, queue_number: int, envelope: bytes, durability: Durability
    ) -> Awaitable[None]:
        """Keep a message."""
        ...

    def insert_batch(
        self, rows: Iterable[tuple[int, int, bytes]], size: int, durability: Durability
    ) -> Awaitable[None]:
        """Keep messages: number, number of the queue, envelope; `size` is that of all."""
        ...

    def remove(
        self, entries: Sequence[int], result: _ResultT, durability: Durability
    ) -> Awaitable[_ResultT]:
        """Forget messages, by their entries; give `result` back when that is durable."""
        ...

    def take(self, entries: Sequence[int], durability: Durability) -> Awaitable[list[bytes]]:
        """Forget messages and return their envelopes."""
        ...

    def read(self, entries: Sequence[int], durability: Durability) -> Awaitable[list[bytes]]:
        """Return the envelopes of messages; all that came before is so durable then."""
        ...

    def keep(self, changes: Changes, size: int) -> None:
        """Keep new, moved and removed messages, redrives and schedules, all of them or none.

        `size` is that of the new envelopes.
        """
        ...

    def keep_leases(self, together: Sequence[LeaseRow], deliveries: Sequence[DeliveryRow]) -> None:
        """Keep what was learned of messages; it belongs to what is kept next."""
        ...

    def forget_leases(self, together: Iterable[int]) -> None:
        """Remove rows about messages that were leased together, by their keys, by and by."""
        ...

    def forget_groups(self, queue_number: int) -> None:
        """Forget which groups of a queue are held; that belongs to what is kept next."""
        ...

    def change_queue(self, statement: str, parameters: Mapping[str, str | int]) -> Awaitable[None]:
        """Run one of the named statements about a queue, and wait until that is durable."""
        ...

    def sweep(self, entries: Sequence[int], known: Iterable[int] = ()) -> None:
        """Remove messages, and dedup_ids, of which the database tells that they are gone."""
        ...

    def settled(self, result: _ResultT, durability: Durability) -> Awaitable[_ResultT] | None:
        """Return what gives `result` back when all that was handed in is so durable.

        None if it is already.

        Raises:
            Unavailable: not all of it is.
        """
        ...


_JournalT = TypeVar("_JournalT", bound=Journal)


class JournalledStore(Generic[_JournalT]):
    """Keeps messages by a journal. See `qmq.store.base.QueueStore`.

    The index of messages is in memory, as the model's queues; envelopes are there only
    as far as the cache holds them, and are read by their sequence number otherwise.
    """

    #: To be set by who knows what there is already.
    _journal: _JournalT

    def __init__(self, *, cache_bytes_max: int, footprint: Footprint | None) -> None:
        """Begin with an empty cache.

        Args:
            cache_bytes_max: bytes of memory that envelopes may take.
            footprint: counts what messages take in memory; where that leaves no room, nothing
                is cached.
        """
        self._footprint = footprint or Footprint()
        self._cache_bytes_max = cache_bytes_max
        #: Envelopes by their entries in the index: the very objects, so that the keys take nothing.
        self._cache: dict[int, bytes] = {}
        self._cache_bytes = 0
        self._together = Together()

    @property
    def cached_bytes(self) -> int:
        """What the envelopes take in memory that are there."""
        return self._cache_bytes

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
        self._journal.forget_leases([lot.first_seq for lot in queue.leases.by_seq.lots])
        entries = queue.drop_all()
        self._uncache_all(entries)
        self._footprint.left += len(entries) * INDEX_BYTES
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
        self._footprint.left -= INDEX_BYTES
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
        self._footprint.left -= len(sizes) * INDEX_BYTES
        if self._takes(size + len(sizes) * CACHED_OVERHEAD_BYTES):
            self._cache.update(zip(added, envelopes, strict=True))
        seqs = range(first_seq, first_seq + len(envelopes))
        return self._journal.insert_batch(
            zip(seqs, repeat(queue.number), envelopes), size, durability
        )

    def pop(self, queue: Queue, durability: Durability = Durability.UNKNOWN) -> Awaitable[bytes]:
        """Take the message at the head of a queue."""
        taken, was_leased = queue.pop()
        self._footprint.left += INDEX_BYTES
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
        self._footprint.left += len(taken) * INDEX_BYTES
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
            self._footprint.left += INDEX_BYTES

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
        found = [each for each in map(self._cache.get, read) if each is not None]
        for move in changes.moved:
            if (moved := self._uncache(move.old_entry)) is not None:
                self._keep(move.new_entry, moved + move.suffix)
        if changes.removed:
            self._uncache_all(changes.removed)
        self._footprint.left -= (len(changes.added) - len(changes.removed)) * INDEX_BYTES
        self._keep_leases(changes)
        self._journal.keep(changes, size)
        if len(found) < len(read):
            return self._journal.read(read, durability)
        return self._settled_with(found, durability)

    def _keep_leases(self, changes: Changes) -> None:
        """Keep what was learned of messages, and forget it of those that leave."""
        if changes.leased or changes.saved:
            rows, others = list[LeaseRow](), list[Delivery]()
            for handed_out in changes.leased:
                together, each_apart = self._together.begin(handed_out)
                rows += together
                others += each_apart
            others += changes.saved
            self._journal.keep_leases(rows, [delivery_row(each) for each in others])
            # A row of its own counts, whatever one that it shared says.
            self._journal.forget_leases(self._together.leave([each.seq for each in others]))
        if changes.removed or changes.moved:
            self._journal.forget_leases(changes.ended_lots)
            if self._together:
                leaving = seqs_of(changes.removed)
                leaving += [seq_of(move.old_entry) for move in changes.moved]
                self._journal.forget_leases(self._together.leave(leaving))

    async def settle(self, durability: Durability = Durability.UNKNOWN) -> None:
        """Wait until all that was decided upon so far is so durable: on disk, if not told."""
        if pending := self._journal.settled(None, durability):
            await pending

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

    def _uncache_whole(self) -> None:
        """Forget all that is cached."""
        self._footprint.left += self._cache_bytes
        self._cache.clear()
        self._cache_bytes = 0

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
