"""The methods of the service Q: decode, call the broker, encode."""

from contextlib import suppress
from typing import Final

from qmq.engine.broker import Broker
from qmq.engine.waiting import IsGone
from qmq.envelope import batch_reply_with, reply_with
from qmq.errors import DeadlineExceeded, InvalidArgument, QueueEmpty, QueueNotFound
from qmq.limits import BATCH_MESSAGES_MAX, WAIT_S_MAX
from qmq.transport.decode import decode
from qmq.transport.grpc import StreamMethod, UnaryMethod, WaitingMethod
from qmq.values import NS_PER_S, Tag
from qmq.wire import q_pb2 as pb
from qmq.wire.convert import (
    encoded_tags,
    queue_message,
    stats_message,
    tag_value,
    tag_values,
)

_NOTHING = b""  # The encoding of a message without fields.

#: Seconds before a caller's deadline in which it is given no message that it would have to
#: wait for: the reply might come too late, and the message would be lost.
_REPLY_S: Final = 0.02


class QService:
    """The service Q on top of a broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def methods(self) -> dict[str, UnaryMethod]:
        """Return the methods by their gRPC path."""
        return {
            "/proto.Q/ListQueues": self.list_queues,
            "/proto.Q/NewQueue": self.new_queue,
            "/proto.Q/GetQueue": self.get_queue,
            "/proto.Q/DeleteQueue": self.delete_queue,
            "/proto.Q/AddQueueTag": self.add_queue_tag,
            "/proto.Q/DeleteQueueTag": self.delete_queue_tag,
            "/proto.Q/Add": self.add,
            "/proto.Q/AddBatch": self.add_batch,
            "/proto.Q/Peek": self.peek,
            "/proto.Q/Stats": self.stats,
        }

    def waiting_methods(self) -> dict[str, WaitingMethod]:
        """Return the methods that may wait, by their gRPC path."""
        return {"/proto.Q/Pop": self.pop, "/proto.Q/PopBatch": self.pop_batch}

    def stream_methods(self) -> dict[str, StreamMethod]:
        """Return no methods."""
        return {}

    async def list_queues(self, data: bytes) -> bytes:
        """List queues in order of creation."""
        request = decode(pb.ListQueuesRequest, data)
        queues, token = await self._broker.list_queues(request.page_size, request.page_token)
        return pb.ListQueuesResponse(
            queues=map(queue_message, queues), next_page_token=token
        ).SerializeToString()

    async def new_queue(self, data: bytes) -> bytes:
        """Create a queue."""
        request = decode(pb.NewQueueRequest, data)
        info = await self._broker.new_queue(
            request.store,
            limit=request.limit,
            name=request.name,
            tags=tag_values(request.tags, len(request.tags), "tags"),
        )
        return pb.NewQueueResponse(queue=queue_message(info)).SerializeToString()

    async def get_queue(self, data: bytes) -> bytes:
        """Describe a queue."""
        info = await self._broker.get_queue(decode(pb.GetQueueRequest, data).queue_id)
        return pb.GetQueueResponse(queue=queue_message(info)).SerializeToString()

    async def delete_queue(self, data: bytes) -> bytes:
        """Delete a queue; one that is gone already is as good."""
        request = decode(pb.DeleteQueueRequest, data)
        with suppress(QueueNotFound):
            await self._broker.delete_queue(request.queue_id)
        return _NOTHING

    async def add_queue_tag(self, data: bytes) -> bytes:
        """Add a tag to a queue."""
        request = decode(pb.AddQueueTagRequest, data)
        await self._broker.add_queue_tag(request.queue_id, _the_tag(request))
        return _NOTHING

    async def delete_queue_tag(self, data: bytes) -> bytes:
        """Remove a tag from a queue."""
        request = decode(pb.DeleteQueueTagRequest, data)
        await self._broker.delete_queue_tag(request.queue_id, _the_tag(request))
        return _NOTHING

    async def add(self, data: bytes) -> bytes:
        """Put a message at the end of a queue."""
        request = decode(pb.AddRequest, data)
        message = request.message
        tags = message.tags
        envelope = await self._broker.add(
            request.queue_id,
            message.payload,
            encoded_tags(tags, len(tags), "message.tags") if tags else b"",
        )
        return reply_with(envelope)

    async def add_batch(self, data: bytes) -> bytes:
        """Put messages at the end of a queue."""
        request = decode(pb.AddBatchRequest, data)
        count = len(request.messages)
        if count > BATCH_MESSAGES_MAX:
            raise InvalidArgument(
                "messages",
                f"has {count} messages, more than batch_messages_max of {BATCH_MESSAGES_MAX}",
            )
        messages = [
            (
                encoded_tags(tags, len(tags), f"messages[{at}].tags")
                if (tags := message.tags)
                else b"",
                message.payload,
            )
            for at, message in enumerate(request.messages)
        ]
        metas = await self._broker.add_batch(request.queue_id, messages, partial=request.partial)
        refused = pb.AddBatchResponse(refused=count - len(metas)).SerializeToString()
        return b"".join((*metas, refused))

    async def pop(self, data: bytes, is_gone: IsGone, limit_s: float | None) -> bytes:
        """Take the message at the head of a queue."""
        request = decode(pb.PopRequest, data)
        if not request.HasField("wait"):
            return reply_with(await self._broker.pop(request.queue_id))
        wait_s = _wait_s(request)
        may_wait_s = _before_deadline(wait_s, limit_s)
        try:
            return reply_with(await self._broker.pop(request.queue_id, may_wait_s, is_gone))
        except QueueEmpty as error:
            if may_wait_s < wait_s:
                raise _no_message_in_time() from error
            raise

    async def pop_batch(self, data: bytes, is_gone: IsGone, limit_s: float | None) -> bytes:
        """Take messages from the head of a queue."""
        request = decode(pb.PopBatchRequest, data)
        if not 1 <= request.messages_max <= BATCH_MESSAGES_MAX:
            raise InvalidArgument(
                "messages_max", f"must be 1 to {BATCH_MESSAGES_MAX}; got {request.messages_max}"
            )
        wait_s = _wait_s(request)
        may_wait_s = _before_deadline(wait_s, limit_s)
        envelopes = await self._broker.pop_batch(
            request.queue_id, request.messages_max, may_wait_s, is_gone
        )
        if not envelopes and may_wait_s < wait_s:
            raise _no_message_in_time()
        return batch_reply_with(envelopes)

    async def peek(self, data: bytes) -> bytes:
        """Return the message at the head of a queue."""
        return reply_with(await self._broker.peek(decode(pb.PeekRequest, data).queue_id))

    async def stats(self, data: bytes) -> bytes:
        """Count the messages of one queue or of all."""
        request = decode(pb.StatsRequest, data)
        counts, token = await self._broker.stats(
            request.queue_id, request.page_size, request.page_token
        )
        return pb.StatsResponse(
            queues=map(stats_message, counts), next_page_token=token
        ).SerializeToString()


def _wait_s(request: pb.PopRequest | pb.PopBatchRequest) -> float:
    """Return for how many seconds a call wants to wait."""
    wait_s = request.wait.ToNanoseconds() / NS_PER_S
    if not 0 <= wait_s <= WAIT_S_MAX:
        raise InvalidArgument("wait", f"must be 0 to {WAIT_S_MAX} seconds; got {wait_s:g}")
    return wait_s


def _before_deadline(wait_s: float, limit_s: float | None) -> float:
    """Return for how many seconds a call can wait whose deadline is `limit_s` away."""
    return wait_s if limit_s is None else min(wait_s, max(0.0, limit_s - _REPLY_S))


def _no_message_in_time() -> DeadlineExceeded:
    return DeadlineExceeded("no message came before the call's deadline; none was taken")


def _the_tag(request: pb.AddQueueTagRequest | pb.DeleteQueueTagRequest) -> Tag:
    if not request.HasField("tag"):
        raise InvalidArgument("tag", "must be given")
    return tag_value(request.tag, "tag")
