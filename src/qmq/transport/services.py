"""The methods of the service Q: decode, call the broker, encode."""

from contextlib import suppress

from qmq.engine.broker import Broker
from qmq.envelope import reply_with
from qmq.errors import InvalidArgument, QueueNotFound
from qmq.transport.decode import decode
from qmq.transport.grpc import UnaryMethod
from qmq.values import Tag
from qmq.wire import q_pb2 as pb
from qmq.wire.convert import encoded_tags, queue_message, tag_value, tag_values

_NOTHING = b""  # The encoding of a message without fields.


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
            "/proto.Q/Pop": self.pop,
            "/proto.Q/Peek": self.peek,
        }

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

    async def pop(self, data: bytes) -> bytes:
        """Take the message at the head of a queue."""
        return reply_with(await self._broker.pop(decode(pb.PopRequest, data).queue_id))

    async def peek(self, data: bytes) -> bytes:
        """Return the message at the head of a queue."""
        return reply_with(await self._broker.peek(decode(pb.PeekRequest, data).queue_id))


def _the_tag(request: pb.AddQueueTagRequest | pb.DeleteQueueTagRequest) -> Tag:
    if not request.HasField("tag"):
        raise InvalidArgument("tag", "must be given")
    return tag_value(request.tag, "tag")
