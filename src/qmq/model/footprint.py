"""What the messages of a server take in memory, by a model, and how much they may.

It is counted rather than measured: what a process has of the machine's memory hardly falls when
messages leave, so a server that went by it would refuse messages long after there is room again.
"""

from typing import Final

from qmq.errors import MemoryFull
from qmq.model.delivery import Delivery
from qmq.model.index import size_of
from qmq.model.queue import Queue
from qmq.values import Store

#: Bytes that a message takes besides its envelope, by the store of its queue: its place in the
#: line, and in MEMORY the envelope's header and its part of a dict. Measured, see README.md.
MESSAGE_BYTES: Final = {Store.MEMORY: 195, Store.DISK: 55, Store.CLUSTER: 55}

#: Bytes that what is known of a message takes: how it was handed out or what it was added with;
#: and a dedup_id.
KNOWN_BYTES: Final = 300

#: So much is left where there is no limit; it fits a machine word.
_NO_LIMIT: Final = 1 << 60


class Footprint:
    """What the messages take, of all queues and stores of a server."""

    __slots__ = ("known", "left", "limit")

    def __init__(self, limit: int = 0) -> None:
        """Begin with no messages.

        Args:
            limit: how many bytes they may take; 0 for as many as they want.
        """
        self.limit = limit
        #: How many bytes more they may take; below 0 if they take more than that. Whoever keeps
        #: messages counts them here, since a method would cost more than the rest of it.
        self.left = limit or _NO_LIMIT
        #: Of how many messages and dedup_ids of a queue something is known, by its number.
        self.known: dict[int, int] = {}

    @property
    def used(self) -> int:
        """How many bytes the messages take."""
        return (self.limit or _NO_LIMIT) - self.left

    def limit_to(self, limit: int) -> None:
        """Change how many bytes the messages may take; 0 for as many as they want.

        What takes more already stays.
        """
        self.left += (limit or _NO_LIMIT) - (self.limit or _NO_LIMIT)
        self.limit = limit

    def check(self, store: Store, count: int, size: int, *, known: int = 0, freed: int = 0) -> None:
        """Refuse messages for which there is no room.

        Args:
            store: where they are to be kept.
            count: how many they are.
            size: what their envelopes take, in bytes.
            known: how many of them have options, and how many a dedup_id, together.
            freed: bytes that others leave free which go in the same step. There is room for as
                much as they take, also where the limit was passed before.

        Raises:
            MemoryFull: there is no room.
        """
        needed = count * MESSAGE_BYTES[store] + known * KNOWN_BYTES
        if store is Store.MEMORY:
            needed += size
        if needed > max(0, self.left) + freed:
            raise MemoryFull(self.limit, self.used, needed)

    def recount(self, queue: Queue) -> None:
        """Count what is known of a queue's messages, which a store does not see.

        To be called before or after whatever changes that: what a queue has too much or too
        little is counted right by the next call about it, or when something of it ends.
        """
        known = len(queue.leases.by_seq) + len(queue.dedup)
        before = self.known.get(queue.number, 0)
        if known != before:
            self.left -= (known - before) * KNOWN_BYTES
            self.known[queue.number] = known

    def forget(self, queue: Queue) -> None:
        """Count a queue no more that is deleted."""
        self.left += self.known.pop(queue.number, 0) * KNOWN_BYTES


def freed_by(store: Store, delivery: Delivery) -> int:
    """Return how many bytes a message leaves free that has been handed out, when it leaves."""
    size = size_of(delivery.entry) if store is Store.MEMORY else 0
    return size + MESSAGE_BYTES[store] + KNOWN_BYTES
