"""The method of the service Q that tells how the server does."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from qmq.access.granted import EVERYTHING, Rights
from qmq.access.rights import Right
from qmq.condition import ServerCondition
from qmq.transport.decode import decode
from qmq.transport.methods import Methods
from qmq.wire import q_pb2 as pb
from qmq.wire.condition import server_message

#: Tells how the server does.
Oversee: TypeAlias = Callable[[], Awaitable[ServerCondition]]


class ServerService:
    """Part of the service Q, about the server as a whole."""

    def __init__(self, oversee: Oversee, rights: Rights = EVERYTHING) -> None:
        self._oversee = oversee
        self._rights = rights

    def methods(self) -> Methods:
        """Return the methods by their gRPC path."""
        return Methods({"/proto.Q/GetServer": self.get_server})

    async def get_server(self, data: bytes) -> bytes:
        """Tell how the server does."""
        decode(pb.GetServerRequest, data)
        # It is about all queues, and more than one who has some of them needs to know.
        self._rights.check_all(Right.BROWSE)
        condition = await self._oversee()
        return pb.GetServerResponse(server=server_message(condition)).SerializeToString()
