"""Consumers that are handed out messages as they come: the rules of credit.

A consumer says for how many messages it has room: its credit. What it holds counts, until
its lease ends, for whatever reason: by an ack or nack from wherever, by its time, or with
its message or queue. So nobody gets more than it asked for, and nobody has to say again
and again what it has done already.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Final

from qmq.engine.broker import Broker
from qmq.engine.places import Scope
from qmq.errors import QueueNotFound, Unavailable
from qmq.limits import BATCH_MESSAGES_MAX
from qmq.model.leases import Holder
from qmq.values import Durability, NackKind

#: Seconds for which a consumer stands in line at a time; any long time would do.
_LONG_S: Final = 24 * 3600.0

#: Queues whose leases are released at one time.
_QUEUES_AT_ONCE: Final = 100


class Holding:
    """What one consumer holds on lease, and for how much more it has room.

    It is a `qmq.engine.selecting.Holders`.
    """

    def __init__(self, credit: int) -> None:
        """Make one that holds nothing yet.

        Args:
            credit: how many messages it has room for, what it holds included.
        """
        self._credit = credit
        self._held = 0
        #: What it holds of each queue, by the queue's id.
        self._parts: dict[str, _Part] = {}
        #: Set when there may be room.
        self._has_changed = asyncio.Event()

    def __repr__(self) -> str:
        """Say how much it holds of what it may."""
        return f"<Holding {self._held} of {self._credit}>"

    @property
    def room(self) -> int:
        """How many further leases it has room for: less than 1 if it has none."""
        return self._credit - self._held

    @property
    def lease_ids(self) -> list[str]:
        """The leases that it holds, in the order of their messages."""
        # As text, they are in that order.
        return sorted(each for part in self._parts.values() for each in part.lease_ids.values())

    @property
    def by_queue(self) -> dict[str, list[str]]:
        """The same of each queue, by its id."""
        return {queue_id: sorted(part.lease_ids.values()) for queue_id, part in self._parts.items()}

    def of(self, queue_id: str) -> Holder:
        """Return what is told of its leases on messages of one queue, when they begin."""
        return self._parts.get(queue_id) or _Part(self, queue_id)

    def set_credit(self, credit: int) -> None:
        """Have room for so many messages from now on; what it holds it keeps."""
        self._credit = credit
        self._has_changed.set()

    async def room_comes(self) -> None:
        """Wait until there is room."""
        while self.room <= 0:
            self._has_changed.clear()
            await self._has_changed.wait()

    def began(self, part: "_Part") -> None:
        """Hold a further lease."""
        self._held += 1
        self._parts[part.queue_id] = part

    def ended(self, part: "_Part") -> None:
        """Hold one lease less."""
        self._held -= 1
        if not part.lease_ids:
            del self._parts[part.queue_id]
        self._has_changed.set()


class _Part:
    """What a consumer holds on lease of one queue. It is a `qmq.model.leases.Holder`."""

    __slots__ = ("_holding", "lease_ids", "queue_id")

    def __init__(self, holding: Holding, queue_id: str) -> None:
        self._holding = holding
        self.queue_id = queue_id
        #: The leases, by their messages' sequence numbers.
        self.lease_ids: dict[int, str] = {}

    @property
    def room(self) -> int:
        """How many further leases the consumer has room for."""
        return self._holding.room

    def lease_began(self, seq: int, lease_id: str) -> None:
        """Hold a lease."""
        self.lease_ids[seq] = lease_id
        self._holding.began(self)

    def lease_ended(self, seq: int) -> None:
        """Hold it no more."""
        del self.lease_ids[seq]
        self._holding.ended(self)


class Consumer:
    """One who is handed out messages for as long as it has room for them."""

    def __init__(  # noqa: PLR0913 - What it says of itself, each by name.
        self,
        broker: Broker,
        *,
        queue_id: str = "",
        selector: str = "",
        scope: Scope | None = None,
        credit: int,
        duration_ns: int | None = None,
        name: str = "",
    ) -> None:
        """Make one that holds nothing yet.

        Args:
            broker: hands out the messages.
            queue_id: the queue's id; a name might be another queue's later.
            selector: in place of a queue_id: which queues, as in `Selecting.lease`.
            scope: likewise.
            credit: how many messages it has room for at a time.
            duration_ns: how long its leases last; None leaves that to the queue.
            name: what it calls itself.
        """
        self._broker = broker
        self._queue_id = queue_id
        self._selector = selector
        self._scope = scope
        self._duration_ns = duration_ns
        self._name = name
        self.holding = Holding(credit)

    async def next_batch(self) -> tuple[bytes, Durability]:
        """Wait until there is room and a message, and take what there is.

        It may be cancelled; what it has taken is held all the same.

        Returns:
            At least one message, and at most as many as a reply carries; and how durable its
            leases are.

        Raises:
            QueueNotFound: the queue is not there any more.
            Unavailable: q is shutting down, or the store takes no calls any more.
            SelectionsFull: as many other selectors are in use as may be.
        """
        while True:
            await self.holding.room_comes()
            leased, level = await (self._lease_any() if self._selector else self._lease())
            if leased:
                return leased, level

    async def _lease(self) -> tuple[bytes, Durability]:
        level = self._broker.reached(self._queue_id, Durability.UNKNOWN)
        leased = await self._broker.leasing.lease(
            self._queue_id,
            BATCH_MESSAGES_MAX,
            wait_s=_LONG_S,
            is_gone=None,
            duration_ns=self._duration_ns,
            consumer=self._name,
            holder=self.holding.of(self._queue_id),
        )
        return leased, level

    def _lease_any(self) -> Awaitable[tuple[bytes, Durability]]:
        return self._broker.selecting.lease(
            self._selector,
            BATCH_MESSAGES_MAX,
            wait_s=_LONG_S,
            is_gone=None,
            duration_ns=self._duration_ns,
            consumer=self._name,
            holders=self.holding,
            scope=self._scope,
        )

    async def release(self, reason: str) -> None:
        """Give back all that it holds, unharmed; `reason` says why, for those who look.

        What cannot be given back now is handed out again when its time is over.
        """
        held = list(self.holding.by_queue.items())
        for at in range(0, len(held), _QUEUES_AT_ONCE):
            queues = held[at : at + _QUEUES_AT_ONCE]
            if len(queues) > 1:
                await asyncio.gather(*(self._release(*each, reason) for each in queues))
            else:
                await self._release(*queues[0], reason)

    async def _release(self, queue_id: str, lease_ids: list[str], reason: str) -> None:
        """Give back what it holds of one queue."""
        leasing = self._broker.leasing
        with suppress(QueueNotFound, Unavailable):
            # Others have their turn in between.
            for at in range(0, len(lease_ids), BATCH_MESSAGES_MAX):
                batch = lease_ids[at : at + BATCH_MESSAGES_MAX]
                await leasing.nack(queue_id, batch, NackKind.RELEASE, reason=reason)
                await asyncio.sleep(0)
