"""The methods of the service Q that make queues, change them and tell of them."""

from contextlib import suppress

from qmq.descriptions import QueueSettings
from qmq.engine.broker import Broker
from qmq.errors import InvalidArgument, QueueNotFound
from qmq.transport.decode import decode
from qmq.transport.grpc import UnaryMethod, WaitingMethod
from qmq.transport.streams import StreamMethod
from qmq.values import Tag
from qmq.wire import q_pb2 as pb
from qmq.wire.convert import queue_message, stats_message, tag_value, tag_values
from qmq.wire.settings import settings_change

_NOTHING = b""  # The encoding of a message without fields.


class QueueService:
    """Part of the service Q, on top of a broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def methods(self) -> dict[str, UnaryMethod]:
        """Return the methods by their gRPC path."""
        return {
            "/proto.Q/ListQueues": self.list_queues,
            "/proto.Q/NewQueue": self.new_queue,
            "/proto.Q/GetQueue": self.get_queue,
            "/proto.Q/UpdateQueue": self.update_queue,
            "/proto.Q/DeleteQueue": self.delete_queue,
            "/proto.Q/AddQueueTag": self.add_queue_tag,
            "/proto.Q/DeleteQueueTag": self.delete_queue_tag,
            "/proto.Q/Purge": self.purge,
            "/proto.Q/Pause": self.pause,
            "/proto.Q/Resume": self.resume,
            "/proto.Q/Stats": self.stats,
        }

    def waiting_methods(self) -> dict[str, WaitingMethod]:
        """Return no methods."""
        return {}

    def stream_methods(self) -> dict[str, StreamMethod]:
        """Return no methods."""
        return {}

    async def list_queues(self, data: bytes) -> bytes:
        """List queues in order of creation."""
        request = decode(pb.ListQueuesRequest, data)
        queues, token = await self._broker.list_queues(
            request.page_size, request.page_token, request.selector
        )
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
            settings=settings_change(request.settings, "settings")(QueueSettings()),
        )
        return pb.NewQueueResponse(queue=queue_message(info)).SerializeToString()

    async def get_queue(self, data: bytes) -> bytes:
        """Describe a queue."""
        info = await self._broker.get_queue(decode(pb.GetQueueRequest, data).queue_id)
        return pb.GetQueueResponse(queue=queue_message(info)).SerializeToString()

    async def update_queue(self, data: bytes) -> bytes:
        """Change the settings of a queue, and how many messages it holds."""
        request = decode(pb.UpdateQueueRequest, data)
        info = await self._broker.update_queue(
            request.queue_id,
            settings_change(request.settings, "settings"),
            request.limit if request.HasField("limit") else None,
        )
        return pb.UpdateQueueResponse(queue=queue_message(info)).SerializeToString()

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

    async def purge(self, data: bytes) -> bytes:
        """Remove all messages of a queue."""
        removed = await self._broker.purge(decode(pb.PurgeRequest, data).queue_id)
        return pb.PurgeResponse(removed=removed).SerializeToString()

    async def pause(self, data: bytes) -> bytes:
        """Let a queue hand out nothing."""
        request = decode(pb.PauseRequest, data)
        info = await self._broker.pause(request.queue_id, adds=request.adds)
        return pb.PauseResponse(queue=queue_message(info)).SerializeToString()

    async def resume(self, data: bytes) -> bytes:
        """End a pause."""
        info = await self._broker.resume(decode(pb.ResumeRequest, data).queue_id)
        return pb.ResumeResponse(queue=queue_message(info)).SerializeToString()

    async def stats(self, data: bytes) -> bytes:
        """Count the messages of one queue or of all."""
        request = decode(pb.StatsRequest, data)
        counts, token = await self._broker.stats(
            request.queue_id, request.page_size, request.page_token
        )
        return pb.StatsResponse(
            queues=[stats_message(each, brief=request.brief) for each in counts],
            next_page_token=token,
        ).SerializeToString()


def _the_tag(request: pb.AddQueueTagRequest | pb.DeleteQueueTagRequest) -> Tag:
    if not request.HasField("tag"):
        raise InvalidArgument("tag", "must be given")
    return tag_value(request.tag, "tag")
