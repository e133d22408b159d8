"""The methods of the service Q that make queues, change them and tell of them."""

from contextlib import suppress

from qmq.access.granted import EVERYTHING, Rights
from qmq.access.rights import Right
from qmq.descriptions import QueueSettings
from qmq.engine.broker import Broker
from qmq.envelope import field_1
from qmq.errors import AccessDenied, InvalidArgument, QueueNotFound
from qmq.model.tags import with_tag, without_tag
from qmq.transport.decode import decode
from qmq.transport.methods import Methods
from qmq.values import Tag
from qmq.wire import q_pb2 as pb
from qmq.wire.convert import queue_bytes, queue_message, stats_bytes, tag_value, tag_values
from qmq.wire.settings import settings_change

_NOTHING = b""  # The encoding of a message without fields.


class QueueService:
    """Part of the service Q, on top of a broker."""

    def __init__(self, broker: Broker, rights: Rights = EVERYTHING) -> None:
        self._broker = broker
        self._rights = rights

    def methods(self) -> Methods:
        """Return the methods by their gRPC path."""
        return Methods(
            {
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
        )

    async def list_queues(self, data: bytes) -> bytes:
        """List queues in order of creation."""
        request = decode(pb.ListQueuesRequest, data)
        queues, token = await self._broker.list_queues(
            request.page_size,
            request.page_token,
            request.selector,
            scope=self._rights.covered(Right.BROWSE),
        )
        end = pb.ListQueuesResponse(next_page_token=token).SerializeToString()
        return b"".join((*(field_1(queue_bytes(each)) for each in queues), end))

    async def new_queue(self, data: bytes) -> bytes:
        """Create a queue."""
        request = decode(pb.NewQueueRequest, data)
        tags = tag_values(request.tags)
        self._rights.check_new(request.name, tags)
        self._check_dead_letters(request.settings)
        info = await self._broker.new_queue(
            request.store,
            limit=request.limit,
            name=request.name,
            tags=tags,
            settings=settings_change(request.settings)(QueueSettings()),
        )
        return pb.NewQueueResponse(queue=queue_message(info)).SerializeToString()

    async def get_queue(self, data: bytes) -> bytes:
        """Describe a queue."""
        request = decode(pb.GetQueueRequest, data)
        self._rights.check(Right.BROWSE, request.queue_id)
        info = await self._broker.get_queue(request.queue_id)
        return pb.GetQueueResponse(queue=queue_message(info)).SerializeToString()

    async def update_queue(self, data: bytes) -> bytes:
        """Change the settings of a queue, and how many messages it holds."""
        request = decode(pb.UpdateQueueRequest, data)
        self._rights.check(Right.MANAGE, request.queue_id)
        self._check_dead_letters(request.settings)
        info = await self._broker.update_queue(
            request.queue_id,
            settings_change(request.settings),
            request.limit if request.HasField("limit") else None,
        )
        return pb.UpdateQueueResponse(queue=queue_message(info)).SerializeToString()

    async def delete_queue(self, data: bytes) -> bytes:
        """Delete a queue; one that is gone already is as good."""
        request = decode(pb.DeleteQueueRequest, data)
        self._rights.check(Right.MANAGE, request.queue_id)
        with suppress(QueueNotFound):
            await self._broker.delete_queue(request.queue_id)
        return _NOTHING

    async def add_queue_tag(self, data: bytes) -> bytes:
        """Add a tag to a queue."""
        request = decode(pb.AddQueueTagRequest, data)
        tag = _the_tag(request)
        self._rights.check_tags(request.queue_id, lambda info: with_tag(info, tag))
        await self._broker.add_queue_tag(request.queue_id, tag)
        return _NOTHING

    async def delete_queue_tag(self, data: bytes) -> bytes:
        """Remove a tag from a queue."""
        request = decode(pb.DeleteQueueTagRequest, data)
        tag = _the_tag(request)
        self._rights.check_tags(request.queue_id, lambda info: without_tag(info, tag))
        await self._broker.delete_queue_tag(request.queue_id, tag)
        return _NOTHING

    async def purge(self, data: bytes) -> bytes:
        """Remove all messages of a queue."""
        request = decode(pb.PurgeRequest, data)
        self._rights.check(Right.MANAGE, request.queue_id)
        removed = await self._broker.purge(request.queue_id)
        return pb.PurgeResponse(removed=removed).SerializeToString()

    async def pause(self, data: bytes) -> bytes:
        """Let a queue hand out nothing."""
        request = decode(pb.PauseRequest, data)
        self._rights.check(Right.MANAGE, request.queue_id)
        info = await self._broker.pause(request.queue_id, adds=request.adds)
        return pb.PauseResponse(queue=queue_message(info)).SerializeToString()

    async def resume(self, data: bytes) -> bytes:
        """End a pause."""
        request = decode(pb.ResumeRequest, data)
        self._rights.check(Right.MANAGE, request.queue_id)
        info = await self._broker.resume(request.queue_id)
        return pb.ResumeResponse(queue=queue_message(info)).SerializeToString()

    async def stats(self, data: bytes) -> bytes:
        """Count the messages of one queue or of all."""
        request = decode(pb.StatsRequest, data)
        if request.queue_id:
            self._rights.check(Right.BROWSE, request.queue_id)
        counts, token = await self._broker.stats(
            request.queue_id,
            request.page_size,
            request.page_token,
            self._rights.covered(Right.BROWSE),
        )
        brief = request.brief
        end = pb.StatsResponse(next_page_token=token).SerializeToString()
        return b"".join((*(field_1(stats_bytes(each, brief=brief)) for each in counts), end))

    def _check_dead_letters(self, settings: pb.QueueSettings) -> None:
        """Refuse to send dead letters where the caller may add no messages."""
        if settings.dead_letter_queue_id:
            try:
                self._rights.check(Right.PRODUCE, settings.dead_letter_queue_id)
            except AccessDenied as error:
                raise AccessDenied(
                    f"settings.dead_letter_queue_id: {error.message}", **error.metadata
                ) from None


def _the_tag(request: pb.AddQueueTagRequest | pb.DeleteQueueTagRequest) -> Tag:
    if not request.HasField("tag"):
        raise InvalidArgument("tag", "must be given")
    return tag_value(request.tag, "tag")
