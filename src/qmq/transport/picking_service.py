"""The methods of the service Q that delete and move messages by their ids."""

from qmq.access.granted import EVERYTHING, Rights
from qmq.access.rights import Right
from qmq.engine.broker import Broker
from qmq.engine.picking import Moved, Result
from qmq.transport.decode import decode, ids_in
from qmq.transport.methods import Methods
from qmq.transport.status import code_of
from qmq.wire import q_pb2 as pb
from qmq.wire.times import moment_ns


class PickingService:
    """Part of the service Q, on top of a broker."""

    def __init__(self, broker: Broker, rights: Rights = EVERYTHING) -> None:
        self._rights = rights
        self._picking = broker.picking

    def methods(self) -> Methods:
        """Return the methods by their gRPC path."""
        return Methods(
            {
                "/proto.Q/DeleteMessages": self.delete_messages,
                "/proto.Q/MoveMessages": self.move_messages,
            }
        )

    async def delete_messages(self, data: bytes) -> bytes:
        """Remove messages for good."""
        request = decode(pb.DeleteMessagesRequest, data)
        self._rights.check(Right.MANAGE, request.queue_id)
        results = await self._picking.delete(
            request.queue_id,
            ids_in(request.message_ids, "message_ids"),
            leased=request.leased,
            created_ns=_created_ns(request),
        )
        return pb.DeleteMessagesResponse(results=map(_result, results)).SerializeToString()

    async def move_messages(self, data: bytes) -> bytes:
        """Move messages to another queue."""
        request = decode(pb.MoveMessagesRequest, data)
        self._rights.check(Right.MANAGE, request.queue_id)
        if request.target_queue_id:
            self._rights.check(Right.PRODUCE, request.target_queue_id)
        results = await self._picking.move(
            request.queue_id,
            ids_in(request.message_ids, "message_ids"),
            request.target_queue_id,
            leased=request.leased,
            created_ns=_created_ns(request),
            check_right=lambda queue_id: self._rights.check(Right.PRODUCE, queue_id),
        )
        return pb.MoveMessagesResponse(results=map(_result, results)).SerializeToString()


def _created_ns(request: pb.DeleteMessagesRequest | pb.MoveMessagesRequest) -> int | None:
    if not request.HasField("created_from"):
        return None
    return moment_ns(request.created_from, "created_from")


def _result(result: Result) -> pb.MessageResult:
    """Describe on the wire what became of a message."""
    if result is None:
        return pb.MessageResult()
    if isinstance(result, Moved):
        return pb.MessageResult(queue_id=result.queue_id, was_there=result.was_there)
    return pb.MessageResult(
        code=code_of(result).value, message=result.message, reason=result.reason
    )
