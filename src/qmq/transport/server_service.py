"""The method of the service Q that tells how the server does."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from qmq.access.granted import EVERYTHING, Rights
from qmq.access.rights import Right
from qmq.condition import ServerCondition
from qmq.transport.decode import decode
from qmq.transport.grpc import UnaryMethod, WaitingMethod
from qmq.transport.streams import StreamMethod
from qmq.wire import q_pb2 as pb
from qmq.wire.condition import server_message

#: Tells how the server does.
Oversee: TypeAlias = Callable[[], Awaitable[ServerCondition]]


class ServerService:
    """Part of the service Q, about the server as a whole."""

    def __init__(self, oversee: Oversee, rights: Rights = EVERYTHING) -> None:
        self._oversee = oversee
        self._rights = rights

    def methods(self) -> dict[str, UnaryMethod]:
        """Return the methods by their gRPC path."""
        return {"/proto.Q/GetServer": self.get_server}

    def waiting_methods(self) -> dict[str, WaitingMethod]:
        """Return no methods."""
        return {}

    def stream_methods(self) -> dict[str, StreamMethod]:
        """Return no methods."""
        return {}

    async def get_server(self, data: bytes) -> bytes:
        """Tell how the server does."""
        decode(pb.GetServerRequest, data)
        # It is about all queues, and more than one who has some of them needs to know.
        self._rights.check_all(Right.BROWSE)
        condition = await self._oversee()
        return pb.GetServerResponse(server=server_message(condition)).SerializeToString()
