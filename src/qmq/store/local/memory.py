"""The MEMORY store: messages live and end with the process."""

from collections.abc import Awaitable, Sequence

from qmq.model.changes import Changes
from qmq.model.footprint import MESSAGE_BYTES, Footprint
from qmq.model.index import entry, size_of
from qmq.model.queue import Queue
from qmq.store.done import Done
from qmq.values import Durability, Store

_NOTHING = Done(None)

#: Bytes of memory that a message takes besides its envelope.
_OVERHEAD_BYTES = MESSAGE_BYTES[Store.MEMORY]


class MemoryStore:
    """Keeps envelopes in a dict. See `qmq.store.base.QueueStore`.

    Its keys are the entries of the index (see `qmq.model.index`), the very objects: an int of
    its own for each message would take 48 bytes.
    Whatever a caller waits for, it is there at once.
    """

    def __init__(
        self,
        footprint: Footprint | None = None,
        *,
        durability_max: Durability = Durability.MEMORY,
    ) -> None:
        """Begin with no messages.

        Args:
            footprint: counts what they take in memory.
            durability_max: what it says of itself, where it takes the place of another store
                whose promises nobody puts to the test.
        """
        self._footprint = footprint or Footprint()
        self._durability_max = durability_max
        self._envelopes: dict[int, bytes] = {}
        self._seq = 0

    @property
    def durability_max(self) -> Durability:
        """How durable it makes a change at most."""
        return self._durability_max

    def check(self, *, only_reads: bool = False) -> None:
        """Take every call."""

    def new_queue(self, queue: Queue) -> Awaitable[None]:  # noqa: ARG002 - The catalog has it.
        """Nothing to keep: the catalog holds the queue."""
        return _NOTHING

    def delete_queue(self, queue: Queue) -> Awaitable[None]:
        """Drop the queue's messages."""
        dropped = queue.drop_all()
        for each in dropped:
            del self._envelopes[each]
        self._free(dropped)
        return _NOTHING

    def purge(self, queue: Queue) -> Awaitable[None]:
        """Drop the queue's messages."""
        return self.delete_queue(queue)

    def save_info(self, queue: Queue) -> Awaitable[None]:  # noqa: ARG002 - It has its info.
        """Nothing to keep: the queue holds its info."""
        return _NOTHING

    def add(
        self,
        queue: Queue,
        envelope: bytes,
        created_ns: int,
        durability: Durability = Durability.UNKNOWN,  # noqa: ARG002 - It is there.
    ) -> Awaitable[None]:
        """Put a message at the end of a queue."""
        seq = max(self._seq + 1, created_ns)
        added = entry(seq, len(envelope))
        queue.add(added)
        self._seq = seq
        self._envelopes[added] = envelope
        self._footprint.left -= len(envelope) + _OVERHEAD_BYTES
        return _NOTHING

    def add_batch(
        self,
        queue: Queue,
        envelopes: Sequence[bytes],
        created_ns: int,
        durability: Durability = Durability.UNKNOWN,  # noqa: ARG002 - It is there.
    ) -> Awaitable[None]:
        """Put messages at the end of a queue."""
        first_seq = self.number(len(envelopes), created_ns)
        added = queue.add_batch(first_seq, [len(envelope) for envelope in envelopes])
        self._envelopes.update(zip(added, envelopes, strict=True))
        self._footprint.left -= sum(map(size_of, added)) + len(added) * _OVERHEAD_BYTES
        return _NOTHING

    def pop(
        self,
        queue: Queue,
        durability: Durability = Durability.UNKNOWN,  # noqa: ARG002 - It is there.
    ) -> Awaitable[bytes]:
        """Take the message at the head of a queue."""
        taken, _ = queue.pop()
        envelope = self._envelopes.pop(taken)
        self._footprint.left += len(envelope) + _OVERHEAD_BYTES
        return Done(envelope)

    def pop_batch(
        self,
        queue: Queue,
        count_max: int,
        bytes_max: int,
        durability: Durability = Durability.UNKNOWN,  # noqa: ARG002 - It is there.
    ) -> Awaitable[list[bytes]]:
        """Take messages from the head of a queue."""
        taken, _ = queue.pop_batch(count_max, bytes_max)
        self._free(taken)
        return Done(list(map(self._envelopes.pop, taken)))

    def set_aside(self, queue: Queue, entries: Sequence[int]) -> None:
        """Leave alone what is in memory, which is never found to be damaged."""

    def peek(self, queue: Queue) -> Awaitable[bytes]:
        """Return the message at the head of a queue."""
        return Done(self._envelopes[queue.peek()])

    def number(self, count: int, created_ns: int) -> int:
        """Return the first of so many sequence numbers in a row that were never used."""
        first_seq = max(self._seq + 1, created_ns)
        self._seq = first_seq + count - 1
        return first_seq

    def commit(
        self,
        changes: Changes,
        read: Sequence[int] = (),
        durability: Durability = Durability.UNKNOWN,  # noqa: ARG002 - It is there.
    ) -> Awaitable[list[bytes]]:
        """Keep changes; the result is the envelopes that were to be read."""
        envelopes = self._envelopes
        for added, _, envelope in changes.added:
            envelopes[added] = envelope
            self._footprint.left -= len(envelope) + _OVERHEAD_BYTES
        found = [envelopes[each] for each in read]
        for move in changes.moved:
            envelopes[move.new_entry] = envelopes.pop(move.old_entry) + move.suffix
            self._footprint.left -= size_of(move.new_entry) - size_of(move.old_entry)
        if changes.removed:
            for removed in changes.removed:
                del envelopes[removed]
            self._free(changes.removed)
        return Done(found)

    def settle(
        self,
        durability: Durability = Durability.UNKNOWN,  # noqa: ARG002 - It is there.
    ) -> Awaitable[None]:
        """Nothing to wait for."""
        return _NOTHING

    async def close(self) -> None:
        """Nothing to let go of."""

    def _free(self, entries: Sequence[int]) -> None:
        """Count messages no more that have left."""
        self._footprint.left += sum(map(size_of, entries)) + len(entries) * _OVERHEAD_BYTES
