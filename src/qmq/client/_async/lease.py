"""A message on lease, and what the client knows of the lease."""

import time
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from qmq.client._async.leasing import AsyncLeasing
from qmq.client.codecs import Codec
from qmq.client.decode import metadata, moment_ns, what_else
from qmq.client.endings import Ending
from qmq.client.errors import LeaseLost, QmqError, QueueNotFound
from qmq.client.options import Duration, seconds
from qmq.client.values import DurabilityName, Message, durability_level, moment
from qmq.values import Durability, NackKind
from qmq.wire import q_pb2 as pb

T = TypeVar("T")

#: What a call about a lease is told if the lease has ended: also with its queue.
_LOST: Final = (LeaseLost, QueueNotFound)


class AsyncKeeper(Protocol):
    """Who keeps a lease as long as it lasts."""

    leasing: AsyncLeasing

    async def end(self, lease: "AsyncLease", ending: Ending) -> QmqError | None:
        """End a lease; return why it is refused. Raises QmqError."""
        ...

    def let_go(self, lease: "AsyncLease") -> None:
        """Keep a lease no longer: it has ended."""
        ...


class AsyncByHand:
    """Keeps leases that their holder ends and extends: there is nothing to do."""

    def __init__(self, leasing: AsyncLeasing) -> None:
        self.leasing = leasing

    async def end(self, lease: "AsyncLease", ending: Ending) -> QmqError | None:
        """End a lease at once."""
        return await lease.leasing.end_one(lease.id, ending)

    def let_go(self, lease: "AsyncLease") -> None:
        """Nothing."""


class AsyncLease:
    """What the client knows of one lease."""

    __slots__ = (
        "duration_s",
        "ends_at",
        "expires_ns",
        "id",
        "is_ending",
        "is_lost",
        "is_over",
        "keeper",
        "message_id",
        "queue_id",
        "worker",
    )

    def __init__(
        self, wire: pb.LeasedMessage, keeper: AsyncKeeper, duration_s: float | None
    ) -> None:
        """Take over what the server says.

        Args:
            wire: that.
            keeper: who keeps the lease.
            duration_s: how long it was asked to last; None if that was left to the queue.
        """
        self.id = wire.lease_id
        self.message_id = wire.message.meta.id
        #: The queue that the message is in: its id, or what the caller calls it.
        self.queue_id = wire.queue_id or keeper.leasing.queue_id
        self.keeper = keeper
        self.duration_s = duration_s
        #: When it ends: nanoseconds since the Unix epoch, by the server's clock.
        self.expires_ns = moment_ns(wire.lease_expires_at)
        #: The same by `time.monotonic`, as far as that is known.
        self.ends_at: float | None = None
        if duration_s is not None:
            self.ends_at = time.monotonic() + duration_s
        #: Who works on the message, if a consumer knows.
        self.worker: object = None
        #: Whether its end is on its way to the server.
        self.is_ending = False
        #: Whether it was ended, or lost: there is nothing more to do for it.
        self.is_over = False
        #: Whether it ended before the message was acked or given back.
        self.is_lost = False

    def __repr__(self) -> str:
        state = "lost" if self.is_lost else "over" if self.is_over else "held"
        return f"<AsyncLease {self.id} {state}>"

    @property
    def leasing(self) -> AsyncLeasing:
        """What ends and extends it."""
        return self.keeper.leasing.of(self.queue_id)

    async def end(self, ending: Ending) -> None:
        """End it. Raises QmqError."""
        self.is_ending = True
        try:
            error = await self.keeper.end(self, ending)
        finally:
            self.is_ending = False
        self.note_end(error)
        if error:
            raise error

    async def extend(self, duration_s: float | None, durability: Durability) -> None:
        """Make it end a time from now. Raises QmqError."""
        if duration_s is None:
            duration_s = self.duration_s
        sent_at = time.monotonic()
        leasing = self.leasing.asking_for(durability)
        (result,) = await leasing.extend([self.id], duration_s)
        self.note_extension(result, sent_at, duration_s)
        if isinstance(result, QmqError):
            raise result

    def note_end(self, error: QmqError | None) -> None:
        """Note that it was ended, or why that was refused."""
        if not self.is_over and (error is None or isinstance(error, _LOST)):
            self.is_lost = error is not None
            self.is_over = True
            self.keeper.let_go(self)

    def note_extension(
        self, result: int | QmqError, sent_at: float, duration_s: float | None
    ) -> None:
        """Note when it ends now, or why it was not extended.

        Args:
            result: what `AsyncLeasing.extend` returned of it.
            sent_at: when that was asked for, by `time.monotonic`.
            duration_s: how long it was asked to last.
        """
        if isinstance(result, _LOST):
            self.is_lost = True
        elif not isinstance(result, QmqError):
            self.expires_ns = result
            self.ends_at = None if duration_s is None else sent_at + duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncLeasedMessage(Message[T]):
    """A message that was leased: it comes back unless it is acked before its lease ends.

    Each of its methods may raise LeaseLost when the lease has ended already, and Unavailable
    and its kin, DeadlineExceeded and ClientUnusable. Their `durability` is as of
    `AsyncQueue.add`; if it is not reached, nothing is done.

    A copy, and what another process gets, is a Message: the lease stays where it is.
    """

    #: Proves that the lease is held; another one at each delivery.
    lease_id: str
    #: How often the message has been delivered, this time included: 1 at first. What was
    #: released does not count.
    delivery_count: int
    _lease: AsyncLease = field(repr=False, compare=False)

    def __reduce__(self) -> tuple[object, ...]:
        """Say what is to be copied, or sent to another process."""
        return Message, tuple(getattr(self, each.name) for each in fields(Message))

    @property
    def lease_expires_ns(self) -> int:
        """When the lease ends, as far as is known: nanoseconds since the Unix epoch."""
        return self._lease.expires_ns

    @property
    def lease_expires_at(self) -> datetime:
        """When the lease ends, as far as is known, in UTC, to the microsecond."""
        return moment(self._lease.expires_ns)

    @property
    def is_lost(self) -> bool:
        """Whether the lease is known to have ended by itself: somebody else may have it."""
        return self._lease.is_lost

    async def ack(self, *, durability: DurabilityName | None = None) -> None:
        """Remove the message from its queue: the work is done.

        After its lease has ended that succeeds if the message was not handed out again
        meanwhile. It is repeated when its answer was lost: to ack twice is no error.

        Args:
            durability: a message that was acked with less than FSYNC may come back after a
                crash.
        """
        await self._lease.end(Ending(durability=durability_level(durability)))

    async def extend(
        self, duration: Duration | None = None, *, durability: DurabilityName | None = None
    ) -> None:
        """Make the lease end a time from now.

        Args:
            duration: in seconds; None for as long as it was asked to last at first, or as the
                queue has it.
            durability: how durable the lease is then, at least.
        """
        duration_s = None if duration is None else seconds(duration, "duration")
        await self._lease.extend(duration_s, durability_level(durability))

    async def release(
        self, *, delay: Duration = 0, durability: DurabilityName | None = None
    ) -> None:
        """Give the message back unharmed: its delivery does not count.

        Args:
            delay: for how many seconds it is kept back, up to 7 days.
            durability: how durable that is, at least.
        """
        delay_s = seconds(delay, "delay")
        level = durability_level(durability)
        await self._lease.end(Ending(NackKind.RELEASE, delay_s, durability=level))

    async def fail(
        self,
        reason: str = "",
        *,
        delay: Duration | None = None,
        durability: DurabilityName | None = None,
    ) -> None:
        """Give the message back since the work failed: its delivery counts.

        If it was delivered as often as its queue allows, it becomes a dead letter.

        Args:
            reason: why, for those who look; up to 1,024 bytes are kept.
            delay: for how many seconds it is kept back, up to 7 days; None leaves that to the
                back-off of the queue.
            durability: how durable that is, at least.
        """
        delay_s = None if delay is None else seconds(delay, "delay")
        level = durability_level(durability)
        await self._lease.end(Ending(NackKind.FAIL, delay_s, reason, level))

    async def reject(self, reason: str = "", *, durability: DurabilityName | None = None) -> None:
        """Make the message a dead letter: nobody can do the work.

        Args:
            reason: as of `fail`.
            durability: how durable that is, at least.

        Raises:
            NoDeadLetterQueue: its queue has none. The lease goes on.
        """
        level = durability_level(durability)
        await self._lease.end(Ending(NackKind.REJECT, reason=reason, durability=level))


def received(
    wire: pb.LeasedMessage, codec: Codec[T], keeper: AsyncKeeper, duration_s: float | None
) -> AsyncLeasedMessage[T]:
    """Return a message that was leased. See AsyncLease."""
    message = wire.message
    meta = metadata(message.meta)
    lease = AsyncLease(wire, keeper, duration_s)
    return AsyncLeasedMessage(
        meta.id,
        meta.created_ns,
        meta.tags,
        message.payload,
        codec,
        *what_else(message),
        queue_id=lease.queue_id,
        lease_id=wire.lease_id,
        delivery_count=wire.delivery_count,
        _lease=lease,
    )


def lease_of(message: AsyncLeasedMessage[Any]) -> AsyncLease:
    """Return what is known of the lease on a message."""
    return message._lease  # noqa: SLF001 - It is hidden from users alone.
