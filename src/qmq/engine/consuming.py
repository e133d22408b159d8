"""Consumers that are handed out messages as they come: the rules of credit.

A consumer says for how many messages it has room: its credit. What it holds counts, until
its lease ends, for whatever reason: by an ack or nack from wherever, by its time, or with
its message or queue. So nobody gets more than it asked for, and nobody has to say again
and again what it has done already.
"""

import asyncio
from contextlib import suppress
from typing import Final

from qmq.engine.leasing import Leasing
from qmq.errors import QueueNotFound, Unavailable
from qmq.limits import BATCH_MESSAGES_MAX
from qmq.values import NackKind

#: Seconds for which a consumer stands in line at a time; any long time would do.
_LONG_S: Final = 24 * 3600.0


class Holding:
    """What one consumer holds on lease, and for how much more it has room.

    It is a `qmq.model.leases.Holder`.
    """

    def __init__(self, credit: int) -> None:
        """Make one that holds nothing yet.

        Args:
            credit: how many messages it has room for, what it holds included.
        """
        self._credit = credit
        #: The leases that it holds, by their messages' sequence numbers.
        self._lease_ids: dict[int, str] = {}
        #: Set when there may be room.
        self._has_changed = asyncio.Event()

    def __repr__(self) -> str:
        """Say how much it holds of what it may."""
        return f"<Holding {len(self._lease_ids)} of {self._credit}>"

    @property
    def room(self) -> int:
        """How many further leases it has room for: less than 1 if it has none."""
        return self._credit - len(self._lease_ids)

    @property
    def lease_ids(self) -> list[str]:
        """The leases that it holds, in the order of their messages."""
        # As text, they are in that order.
        return sorted(self._lease_ids.values())

    def set_credit(self, credit: int) -> None:
        """Have room for so many messages from now on; what it holds it keeps."""
        self._credit = credit
        self._has_changed.set()

    def lease_began(self, seq: int, lease_id: str) -> None:
        """Hold a lease."""
        self._lease_ids[seq] = lease_id

    def lease_ended(self, seq: int) -> None:
        """Hold it no more."""
        del self._lease_ids[seq]
        self._has_changed.set()

    async def room_comes(self) -> None:
        """Wait until there is room."""
        while self.room <= 0:
            self._has_changed.clear()
            await self._has_changed.wait()


class Consumer:
    """One who is handed out messages of a queue for as long as it has room for them."""

    def __init__(
        self,
        leasing: Leasing,
        queue_id: str,
        *,
        credit: int,
        duration_ns: int | None = None,
        name: str = "",
    ) -> None:
        """Make one that holds nothing yet.

        Args:
            leasing: hands out the messages.
            queue_id: the queue's id; a name might be another queue's later.
            credit: how many messages it has room for at a time.
            duration_ns: how long its leases last; None leaves that to the queue.
            name: what it calls itself.
        """
        self._leasing = leasing
        self._queue_id = queue_id
        self._duration_ns = duration_ns
        self._name = name
        self.holding = Holding(credit)

    async def next_batch(self) -> list[bytes]:
        """Wait until there is room and a message, and take what there is.

        It may be cancelled; what it has taken is held all the same.

        Returns:
            At least one message, and at most as many as a reply carries.

        Raises:
            QueueNotFound: the queue is not there any more.
            Unavailable: q is shutting down, or the store takes no calls any more.
        """
        while True:
            await self.holding.room_comes()
            leased = await self._leasing.lease(
                self._queue_id,
                BATCH_MESSAGES_MAX,
                wait_s=_LONG_S,
                is_gone=None,
                duration_ns=self._duration_ns,
                consumer=self._name,
                holder=self.holding,
            )
            if leased:
                return leased

    async def release(self, reason: str) -> None:
        """Give back all that it holds, unharmed; `reason` says why, for those who look.

        What cannot be given back now is handed out again when its time is over.
        """
        lease_ids = self.holding.lease_ids
        with suppress(QueueNotFound, Unavailable):
            # Others have their turn in between.
            for at in range(0, len(lease_ids), BATCH_MESSAGES_MAX):
                batch = lease_ids[at : at + BATCH_MESSAGES_MAX]
                await self._leasing.nack(self._queue_id, batch, NackKind.RELEASE, reason=reason)
                await asyncio.sleep(0)
