"""The methods of the service Q about messages on lease.

Lease and Ack are a hot path: neither makes an object for each message of its reply.
"""

from collections.abc import Awaitable, Sequence
from typing import Final

from qmq.access.granted import EVERYTHING, Rights
from qmq.access.rights import Right
from qmq.engine.broker import Broker
from qmq.engine.leasing import Result
from qmq.engine.waiting import IsGone
from qmq.envelope import encode_moment, reply_with, varint
from qmq.errors import InvalidArgument
from qmq.limits import BATCH_MESSAGES_MAX
from qmq.transport.decode import decode, ids_in
from qmq.transport.methods import Methods
from qmq.transport.sources import is_by_selector
from qmq.transport.status import code_of
from qmq.transport.waits import Wait
from qmq.values import Durability, NackKind
from qmq.wire import q_pb2 as pb
from qmq.wire.convert import LEVEL_2, consumer_name, kept_reason
from qmq.wire.messages import encoded_messages
from qmq.wire.times import DELAY, LEASE, optional_duration_ns

#: A LeaseResult without fields, as an element of the repeated field 1.
_FINE: Final = b"\x0a\x00"
#: The tag of a LeaseResult's lease_expires_at.
_EXPIRES_AT: Final = b"\x1a"

_NACK_KINDS: Final = {
    # Who does not say is taken to have failed, as whoever fails without a word has.
    pb.NackRequest.UNKNOWN: NackKind.FAIL,
    pb.NackRequest.RELEASE: NackKind.RELEASE,
    pb.NackRequest.FAIL: NackKind.FAIL,
    pb.NackRequest.REJECT: NackKind.REJECT,
}


class LeaseService:
    """Part of the service Q, on top of a broker."""

    def __init__(self, broker: Broker, rights: Rights = EVERYTHING) -> None:
        self._rights = rights
        self._reached = broker.reached
        self._leasing = broker.leasing
        self._selecting = broker.selecting

    def methods(self) -> Methods:
        """Return the methods by their gRPC path."""
        return Methods(
            unary={
                "/proto.Q/Ack": self.ack,
                "/proto.Q/Nack": self.nack,
                "/proto.Q/Extend": self.extend,
                "/proto.Q/Complete": self.complete,
            },
            waiting={"/proto.Q/Lease": self.lease},
        )

    async def lease(self, data: bytes, is_gone: IsGone, limit_s: float | None) -> bytes:
        """Hand out messages from the head of a queue for a time."""
        request = decode(pb.LeaseRequest, data)
        if not 0 <= request.messages_max <= BATCH_MESSAGES_MAX:
            raise InvalidArgument(
                "messages_max",
                f"must be 1 to {BATCH_MESSAGES_MAX}, or 0 for 1; got {request.messages_max}",
            )
        wait = Wait.of(request, limit_s)
        duration_ns = optional_duration_ns(request, "lease_duration", LEASE)
        consumer = consumer_name(request.consumer)
        if is_by_selector(request):
            leased, level = await self._selecting.lease(
                request.selector,
                request.messages_max or 1,
                wait_s=wait.seconds,
                is_gone=is_gone,
                duration_ns=duration_ns,
                consumer=consumer,
                durability=request.durability,
                scope=self._rights.covered(Right.CONSUME),
            )
        else:
            self._rights.check(Right.CONSUME, request.queue_id)
            if wait.seconds:
                is_gone = self._rights.while_held(Right.CONSUME, request.queue_id, is_gone)
            level = self._reached(request.queue_id, request.durability)
            leased = await self._leasing.lease(
                request.queue_id,
                request.messages_max or 1,
                wait_s=wait.seconds,
                is_gone=is_gone,
                duration_ns=duration_ns,
                consumer=consumer,
                durability=level,
            )
        if not leased:
            wait.check_in_time()
        return leased + LEVEL_2[level]

    def ack(self, data: bytes) -> Awaitable[bytes]:
        """Remove leased messages."""
        request = decode(pb.AckRequest, data)
        return self.ack_leases(request, request.queue_id)

    async def ack_leases(self, request: pb.AckRequest, queue_id: str) -> bytes:
        """Do what an AckRequest says, on a queue that may be named elsewhere."""
        self._rights.check(Right.CONSUME, queue_id)
        level = self._reached(queue_id, request.durability)
        results = await self._leasing.ack(
            queue_id, ids_in(request.lease_ids, "lease_ids"), durability=level
        )
        return lease_results(results, level)

    async def nack(self, data: bytes) -> bytes:
        """Give leased messages back."""
        request = decode(pb.NackRequest, data)
        return await self.nack_leases(request, request.queue_id)

    async def nack_leases(self, request: pb.NackRequest, queue_id: str) -> bytes:
        """Do what a NackRequest says, on a queue that may be named elsewhere."""
        self._rights.check(Right.CONSUME, queue_id)
        kind = _NACK_KINDS.get(request.kind)
        if kind is None:
            raise InvalidArgument(
                "kind", f"must be RELEASE (1), FAIL (2) or REJECT (3); got {request.kind}"
            )
        level = self._reached(queue_id, request.durability)
        results = await self._leasing.nack(
            queue_id,
            ids_in(request.lease_ids, "lease_ids"),
            kind,
            delay_ns=optional_duration_ns(request, "delay", DELAY),
            reason=kept_reason(request.reason),
            durability=level,
        )
        return lease_results(results, level)

    async def extend(self, data: bytes) -> bytes:
        """Make leases end a time from now."""
        request = decode(pb.ExtendRequest, data)
        return await self.extend_leases(request, request.queue_id)

    async def extend_leases(self, request: pb.ExtendRequest, queue_id: str) -> bytes:
        """Do what an ExtendRequest says, on a queue that may be named elsewhere."""
        self._rights.check(Right.CONSUME, queue_id)
        level = self._reached(queue_id, request.durability)
        results = await self._leasing.extend(
            queue_id,
            ids_in(request.lease_ids, "lease_ids"),
            optional_duration_ns(request, "lease_duration", LEASE),
            durability=level,
        )
        return lease_results(results, level)

    async def complete(self, data: bytes) -> bytes:
        """Ack leases and add messages, all of it or nothing."""
        request = decode(pb.CompleteRequest, data)
        for field, kind, count in (
            ("acks", "lease ids", sum(len(ack.lease_ids) for ack in request.acks)),
            ("adds", "messages", sum(len(add.messages) for add in request.adds)),
        ):
            if count > BATCH_MESSAGES_MAX:
                raise InvalidArgument.over(
                    field,
                    f"has {count} {kind} together, more than batch_messages_max of"
                    f" {BATCH_MESSAGES_MAX}",
                    "batch_messages_max",
                    BATCH_MESSAGES_MAX,
                    count,
                )
        for ack in request.acks:
            self._rights.check(Right.CONSUME, ack.queue_id)
        for add in request.adds:
            self._rights.check_add(add.queue_id, len(add.messages), add.ByteSize())
        queue_ids = [ack.queue_id for ack in request.acks] + [add.queue_id for add in request.adds]
        levels = [self._reached(queue_id, request.durability) for queue_id in queue_ids]
        level = max(levels, default=Durability.UNKNOWN)
        adds = [
            encoded_messages(add.messages, f"adds[{at}].messages")
            for at, add in enumerate(request.adds)
        ]
        metas = await self._leasing.complete(
            [(ack.queue_id, list(ack.lease_ids)) for ack in request.acks],
            [(add.queue_id, sent) for add, (sent, _) in zip(request.adds, adds, strict=True)],
            [options for _, options in adds],
            durability=level,
        )
        return b"".join((*metas, LEVEL_2[level]))


def lease_results(results: Sequence[Result], level: Durability = Durability.UNKNOWN) -> bytes:
    """Encode how requests about leases ended: an AckResponse, NackResponse or ExtendResponse."""
    # Mostly there is nothing to say.
    encoded = b"".join(map(_encoded, results)) if any(results) else _FINE * len(results)
    return encoded + LEVEL_2[level]


def _encoded(result: Result) -> bytes:
    """Encode a LeaseResult as an element of the repeated field 1."""
    if result is None:
        return _FINE
    if isinstance(result, int):
        moment = encode_moment(result)
        return reply_with(_EXPIRES_AT + varint(len(moment)) + moment)
    return reply_with(
        pb.LeaseResult(
            code=code_of(result).value, message=result.message, reason=result.reason
        ).SerializeToString()
    )
