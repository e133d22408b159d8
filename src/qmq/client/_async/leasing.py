"""Calls about leases on messages of one queue, or of all that a selector matches."""

from collections.abc import Sequence

from qmq.client._async.connection import AsyncConnection
from qmq.client._async.patience import next_turn
from qmq.client.decode import lease_error, moment_ns
from qmq.client.encode import duration
from qmq.client.endings import Ending
from qmq.client.errors import QmqError
from qmq.values import Durability
from qmq.wire import q_pb2 as pb


class AsyncLeasing:
    """Leases messages, and ends and extends leases: those of one queue."""

    def __init__(
        self,
        connection: AsyncConnection,
        queue_id: str,
        durability: Durability = Durability.UNKNOWN,
        *,
        selector: str = "",
    ) -> None:
        """Ask for nothing yet.

        Args:
            connection: goes to the server.
            queue_id: the queue's id or name; empty with a selector.
            durability: what each call asks for.
            selector: which queues to lease from. Their leases are ended and extended by what
                `of` returns.
        """
        self.connection = connection
        self.queue_id = queue_id
        self.durability = durability
        self.selector = selector

    @property
    def source(self) -> str:
        """Where messages come from, for people to read: the queue, or the selector."""
        return self.selector or self.queue_id

    def of(self, queue_id: str) -> "AsyncLeasing":
        """Return what ends and extends leases of one queue, of which a message was leased."""
        if not self.selector:
            return self
        return AsyncLeasing(self.connection, queue_id, self.durability)

    def asking_for(self, durability: Durability) -> "AsyncLeasing":
        """Return what does the same as durably as that; UNKNOWN leaves it as it is."""
        if not durability:
            return self
        return AsyncLeasing(self.connection, self.queue_id, durability, selector=self.selector)

    async def lease(
        self,
        messages_max: int,
        wait_s: float | None,
        duration_s: float | None,
        consumer: str,
    ) -> pb.LeaseResponse:
        """Lease messages that are next; none if there is none in time.

        It is repeated only if it cannot have leased any: they would be nobody's until their
        leases end.

        Args:
            messages_max: how many at most.
            wait_s: how many seconds to wait for the first one; None waits for ever.
            duration_s: how long the leases last; None leaves that to the queue.
            consumer: what the caller calls itself.

        Returns:
            The server's reply.

        Raises QmqError.
        """
        request = pb.LeaseRequest(
            queue_id=self.queue_id,
            selector=self.selector,
            messages_max=messages_max,
            lease_duration=None if duration_s is None else duration(duration_s),
            consumer=consumer,
            durability=self.durability.name,
        )
        while True:
            turn_s, wait_s = next_turn(wait_s)
            request.ClearField("wait")
            if turn_s:
                request.wait.CopyFrom(duration(turn_s))
            data = await self.connection.call("Lease", request.SerializeToString(), wait_s=turn_s)
            reply = pb.LeaseResponse.FromString(data)
            if reply.messages or wait_s == 0:
                return reply

    async def end(
        self, lease_ids: Sequence[str], ending: Ending, *, repeatable: bool = False
    ) -> list[QmqError | None]:
        """End leases, all in one way.

        Args:
            lease_ids: up to 1,000; without any the server is not asked.
            ending: the way.
            repeatable: whether to repeat it when the answer was lost. Of an ack that is
                repeated in any case nobody can tell; of a nack, its lease is lost.

        Returns:
            For each lease id, in order, None or why it is refused.

        Raises QmqError.
        """
        if not lease_ids:
            return []
        durability = (ending.durability or self.durability).name
        if ending.kind is None:
            acked = await self.connection.ask(
                "Ack",
                pb.AckRequest(queue_id=self.queue_id, lease_ids=lease_ids, durability=durability),
                pb.AckResponse,
                repeatable=True,
            )
            results = acked.results
        else:
            request = pb.NackRequest(
                queue_id=self.queue_id,
                lease_ids=lease_ids,
                kind=pb.NackRequest.Kind.Name(ending.kind),
                delay=None if ending.delay_s is None else duration(ending.delay_s),
                reason=ending.reason,
                durability=durability,
            )
            nacked = await self.connection.ask(
                "Nack", request, pb.NackResponse, repeatable=repeatable
            )
            results = nacked.results
        return [
            lease_error(result, lease_id)
            for result, lease_id in zip(results, lease_ids, strict=True)
        ]

    async def extend(
        self, lease_ids: Sequence[str], duration_s: float | None
    ) -> list[int | QmqError]:
        """Make leases end a time from now.

        Args:
            lease_ids: up to 1,000; without any the server is not asked.
            duration_s: the time; None leaves that to the queue.

        Returns:
            For each lease id, in order, when it ends, in nanoseconds since the Unix epoch,
            or why it is refused.

        Raises QmqError.
        """
        if not lease_ids:
            return []
        request = pb.ExtendRequest(
            queue_id=self.queue_id,
            lease_ids=lease_ids,
            lease_duration=None if duration_s is None else duration(duration_s),
            durability=self.durability.name,
        )
        reply = await self.connection.ask("Extend", request, pb.ExtendResponse, repeatable=True)
        return [
            lease_error(result, lease_id) or moment_ns(result.lease_expires_at)
            for result, lease_id in zip(reply.results, lease_ids, strict=True)
        ]

    async def end_one(self, lease_id: str, ending: Ending) -> QmqError | None:
        """End one lease, in a call of its own; return why it is refused."""
        (error,) = await self.end([lease_id], ending)
        return error
