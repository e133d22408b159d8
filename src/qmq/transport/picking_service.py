"""The methods of the service Q that delete and move messages by their ids."""

from collections.abc import Iterable, Sequence

from qmq.access.granted import EVERYTHING, Rights
from qmq.access.rights import Right
from qmq.engine.broker import Broker
from qmq.engine.picking import Moved, Result
from qmq.errors import InvalidArgument
from qmq.limits import BATCH_MESSAGES_MAX
from qmq.transport.decode import decode
from qmq.transport.grpc import UnaryMethod, WaitingMethod
from qmq.transport.status import code_of
from qmq.transport.streams import StreamMethod
from qmq.wire import q_pb2 as pb
from qmq.wire.times import moment_ns


class PickingService:
    """Part of the service Q, on top of a broker."""

    def __init__(self, broker: Broker, rights: Rights = EVERYTHING) -> None:
        self._rights = rights
        self._picking = broker.picking

    def methods(self) -> dict[str, UnaryMethod]:
        """Return the methods by their gRPC path."""
        return {
            "/proto.Q/DeleteMessages": self.delete_messages,
            "/proto.Q/MoveMessages": self.move_messages,
        }

    def waiting_methods(self) -> dict[str, WaitingMethod]:
        """Return no methods."""
        return {}

    def stream_methods(self) -> dict[str, StreamMethod]:
        """Return no methods."""
        return {}

    async def delete_messages(self, data: bytes) -> bytes:
        """Remove messages for good."""
        request = decode(pb.DeleteMessagesRequest, data)
        self._rights.check(Right.MANAGE, request.queue_id)
        results = await self._picking.delete(
            request.queue_id,
            _message_ids(request.message_ids),
            leased=request.leased,
            created_ns=_created_ns(request),
        )
        return pb.DeleteMessagesResponse(results=_results(results)).SerializeToString()

    async def move_messages(self, data: bytes) -> bytes:
        """Move messages to another queue."""
        request = decode(pb.MoveMessagesRequest, data)
        self._rights.check(Right.MANAGE, request.queue_id)
        if request.target_queue_id:
            self._rights.check(Right.PRODUCE, request.target_queue_id)
        results = await self._picking.move(
            request.queue_id,
            _message_ids(request.message_ids),
            request.target_queue_id,
            leased=request.leased,
            created_ns=_created_ns(request),
            check_right=lambda queue_id: self._rights.check(Right.PRODUCE, queue_id),
        )
        return pb.MoveMessagesResponse(results=_results(results)).SerializeToString()


def _message_ids(message_ids: Sequence[str]) -> list[str]:
    """Return the ids of a request.

    Raises:
        InvalidArgument: there are too many or none.
    """
    if not 1 <= len(message_ids) <= BATCH_MESSAGES_MAX:
        raise InvalidArgument(
            "message_ids", f"must be 1 to {BATCH_MESSAGES_MAX} message ids; got {len(message_ids)}"
        )
    return list(message_ids)


def _created_ns(request: pb.DeleteMessagesRequest | pb.MoveMessagesRequest) -> int | None:
    if not request.HasField("created_from"):
        return None
    return moment_ns(request.created_from, "created_from")


def _results(results: Iterable[Result]) -> list[pb.MessageResult]:
    """Describe on the wire what became of messages."""
    return list(map(_result, results))


def _result(result: Result) -> pb.MessageResult:
    if result is None:
        return pb.MessageResult()
    if isinstance(result, Moved):
        return pb.MessageResult(queue_id=result.queue_id, was_there=result.was_there)
    return pb.MessageResult(
        code=code_of(result).value, message=result.message, reason=result.reason
    )
