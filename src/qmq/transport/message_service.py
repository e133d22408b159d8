"""The methods of the service Q that put messages into queues and take them out for good."""

from qmq.engine.broker import Broker
from qmq.engine.waiting import IsGone
from qmq.envelope import batch_reply_with, reply_with
from qmq.errors import InvalidArgument, QueueEmpty
from qmq.limits import BATCH_MESSAGES_MAX
from qmq.transport.decode import decode
from qmq.transport.grpc import StreamMethod, UnaryMethod, WaitingMethod
from qmq.transport.waits import Wait
from qmq.wire import q_pb2 as pb
from qmq.wire.convert import LEVEL_2, LEVEL_3, encoded_messages, encoded_tags


class MessageService:
    """Part of the service Q, on top of a broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def methods(self) -> dict[str, UnaryMethod]:
        """Return the methods by their gRPC path."""
        return {
            "/proto.Q/Add": self.add,
            "/proto.Q/AddBatch": self.add_batch,
            "/proto.Q/Peek": self.peek,
        }

    def waiting_methods(self) -> dict[str, WaitingMethod]:
        """Return the methods that may wait, by their gRPC path."""
        return {"/proto.Q/Pop": self.pop, "/proto.Q/PopBatch": self.pop_batch}

    def stream_methods(self) -> dict[str, StreamMethod]:
        """Return no methods."""
        return {}

    async def add(self, data: bytes) -> bytes:
        """Put a message at the end of a queue."""
        request = decode(pb.AddRequest, data)
        message = request.message
        tags = message.tags
        level = self._broker.reached(request.queue_id, request.durability)
        envelope = await self._broker.add(
            request.queue_id,
            message.payload,
            encoded_tags(tags, len(tags), "message.tags") if tags else b"",
            durability=level,
        )
        return reply_with(envelope) + LEVEL_2[level]

    async def add_batch(self, data: bytes) -> bytes:
        """Put messages at the end of a queue."""
        request = decode(pb.AddBatchRequest, data)
        count = len(request.messages)
        if count > BATCH_MESSAGES_MAX:
            raise InvalidArgument(
                "messages",
                f"has {count} messages, more than batch_messages_max of {BATCH_MESSAGES_MAX}",
            )
        level = self._broker.reached(request.queue_id, request.durability)
        metas = await self._broker.add_batch(
            request.queue_id,
            encoded_messages(request.messages, "messages"),
            partial=request.partial,
            durability=level,
        )
        refused = pb.AddBatchResponse(refused=count - len(metas)).SerializeToString()
        return b"".join((*metas, refused, LEVEL_3[level]))

    async def pop(self, data: bytes, is_gone: IsGone, limit_s: float | None) -> bytes:
        """Take the message at the head of a queue."""
        request = decode(pb.PopRequest, data)
        level = self._broker.reached(request.queue_id, request.durability)
        if not request.HasField("wait"):
            envelope = await self._broker.pop(request.queue_id, durability=level)
            return reply_with(envelope) + LEVEL_2[level]
        wait = Wait.of(request, limit_s)
        try:
            envelope = await self._broker.pop(
                request.queue_id, wait.seconds, is_gone, durability=level
            )
        except QueueEmpty:
            wait.check_in_time()
            raise
        return reply_with(envelope) + LEVEL_2[level]

    async def pop_batch(self, data: bytes, is_gone: IsGone, limit_s: float | None) -> bytes:
        """Take messages from the head of a queue."""
        request = decode(pb.PopBatchRequest, data)
        if not 1 <= request.messages_max <= BATCH_MESSAGES_MAX:
            raise InvalidArgument(
                "messages_max", f"must be 1 to {BATCH_MESSAGES_MAX}; got {request.messages_max}"
            )
        wait = Wait.of(request, limit_s)
        level = self._broker.reached(request.queue_id, request.durability)
        envelopes = await self._broker.pop_batch(
            request.queue_id, request.messages_max, wait.seconds, is_gone, durability=level
        )
        if not envelopes:
            wait.check_in_time()
        return batch_reply_with(envelopes) + LEVEL_2[level]

    async def peek(self, data: bytes) -> bytes:
        """Return the message at the head of a queue."""
        return reply_with(await self._broker.peek(decode(pb.PeekRequest, data).queue_id))
