"""The methods of the service Q that put messages into queues and take them out for good."""

from typing import Final

from qmq.access.granted import EVERYTHING, Rights
from qmq.access.rights import Right
from qmq.engine.broker import Broker
from qmq.engine.waiting import IsGone
from qmq.envelope import batch_reply_with, encode_queue_ids, reply_with
from qmq.errors import InvalidArgument, QueueEmpty
from qmq.limits import BATCH_MESSAGES_MAX
from qmq.transport.decode import decode
from qmq.transport.in_hand import COUNTED_BYTES_MIN
from qmq.transport.methods import Methods
from qmq.transport.sources import is_by_selector
from qmq.transport.waits import Wait
from qmq.wire import q_pb2 as pb
from qmq.wire.convert import LEVEL_2, encoded_tags
from qmq.wire.messages import encoded_messages, message_options
from qmq.wire.payloads import split_payload, split_plain

#: AddResponse.deduplicated.
_DEDUPLICATED: Final = b"\x18\x01"


class MessageService:
    """Part of the service Q, on top of a broker."""

    def __init__(self, broker: Broker, rights: Rights = EVERYTHING) -> None:
        self._broker = broker
        self._rights = rights
        self._check_add = rights.check_add

    def methods(self) -> Methods:
        """Return the methods by their gRPC path."""
        return Methods(
            unary={
                "/proto.Q/Add": self.add,
                "/proto.Q/AddBatch": self.add_batch,
                "/proto.Q/Peek": self.peek,
            },
            waiting={"/proto.Q/Pop": self.pop, "/proto.Q/PopBatch": self.pop_batch},
        )

    async def add(self, data: bytes) -> bytes:
        """Put a message at the end of a queue."""
        split = split_payload(data) if len(data) > COUNTED_BYTES_MIN else None
        request = decode(pb.AddRequest, split[0] if split else data)
        self._check_add(request.queue_id, 1, len(data))
        message = request.message
        payload = split[1] if split else message.payload
        tags = message.tags
        level = self._broker.reached(request.queue_id, request.durability)
        encoded = encoded_tags(tags, "message.tags") if tags else b""
        if message.HasField("options"):
            envelope, is_known = await self._broker.add_with(
                request.queue_id,
                bytes(payload),
                encoded,
                message_options(message.options, "message.options"),
                durability=level,
            )
            return reply_with(envelope, LEVEL_2[level] + (_DEDUPLICATED if is_known else b""))
        envelope = await self._broker.add(request.queue_id, payload, encoded, durability=level)
        return reply_with(envelope, LEVEL_2[level])

    async def add_batch(self, data: bytes) -> bytes:
        """Put messages at the end of a queue."""
        plain = split_plain(data)
        request = decode(pb.AddBatchRequest, plain[0] if plain else data)
        if plain and request.messages:
            plain, request = None, decode(pb.AddBatchRequest, data)
        count = len(plain[1] if plain else request.messages)
        if count > BATCH_MESSAGES_MAX:
            raise InvalidArgument.over(
                "messages",
                f"has {count} messages, more than batch_messages_max of {BATCH_MESSAGES_MAX}",
                "batch_messages_max",
                BATCH_MESSAGES_MAX,
                count,
            )
        self._check_add(request.queue_id, count, len(data))
        level = self._broker.reached(request.queue_id, request.durability)
        messages, options = (
            (plain[1], {}) if plain else encoded_messages(request.messages, "messages")
        )
        known: list[int] = []
        if options:
            metas, known, _ = await self._broker.add_batch_with(
                request.queue_id, messages, options, partial=request.partial, durability=level
            )
        else:
            metas = await self._broker.add_batch(
                request.queue_id, messages, partial=request.partial, durability=level
            )
        rest = pb.AddBatchResponse(
            refused=count - len(metas),
            durability=pb.Durability.Level.Name(level),
            deduplicated=known,
        )
        return b"".join((*metas, rest.SerializeToString()))

    async def pop(self, data: bytes, is_gone: IsGone, limit_s: float | None) -> bytes:
        """Take the message at the head of a queue."""
        request = decode(pb.PopRequest, data)
        self._rights.check(Right.CONSUME, request.queue_id)
        level = self._broker.reached(request.queue_id, request.durability)
        if not request.HasField("wait"):
            envelope = await self._broker.pop(request.queue_id, durability=level)
            return reply_with(envelope, LEVEL_2[level])
        wait = Wait.of(request, limit_s)
        is_gone = self._rights.while_held(Right.CONSUME, request.queue_id, is_gone)
        try:
            envelope = await self._broker.pop(
                request.queue_id, wait.seconds, is_gone, durability=level
            )
        except QueueEmpty:
            wait.check_in_time()
            raise
        return reply_with(envelope, LEVEL_2[level])

    async def pop_batch(self, data: bytes, is_gone: IsGone, limit_s: float | None) -> bytes:
        """Take messages from the head of a queue."""
        request = decode(pb.PopBatchRequest, data)
        if not 1 <= request.messages_max <= BATCH_MESSAGES_MAX:
            raise InvalidArgument(
                "messages_max", f"must be 1 to {BATCH_MESSAGES_MAX}; got {request.messages_max}"
            )
        wait = Wait.of(request, limit_s)
        if is_by_selector(request):
            popped = await self._broker.selecting.pop_batch(
                request.selector,
                request.messages_max,
                wait.seconds,
                is_gone,
                durability=request.durability,
                scope=self._rights.covered(Right.CONSUME),
            )
            if not popped.envelopes:
                wait.check_in_time()
            return b"".join(
                (
                    batch_reply_with(popped.envelopes),
                    LEVEL_2[popped.level],
                    encode_queue_ids(popped.queue_ids),
                )
            )
        self._rights.check(Right.CONSUME, request.queue_id)
        is_gone = self._rights.while_held(Right.CONSUME, request.queue_id, is_gone)
        level = self._broker.reached(request.queue_id, request.durability)
        envelopes = await self._broker.pop_batch(
            request.queue_id, request.messages_max, wait.seconds, is_gone, durability=level
        )
        if not envelopes:
            wait.check_in_time()
        return batch_reply_with(envelopes) + LEVEL_2[level]

    async def peek(self, data: bytes) -> bytes:
        """Return the message at the head of a queue."""
        request = decode(pb.PeekRequest, data)
        self._rights.check(Right.BROWSE, request.queue_id)
        return reply_with(await self._broker.peek(request.queue_id))
