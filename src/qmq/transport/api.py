"""All methods of the service Q, from the parts that each serve some of them."""

from typing import Protocol

from qmq.access.granted import EVERYTHING, Rights
from qmq.engine.broker import Broker
from qmq.transport.access_service import AccessFile, AccessService
from qmq.transport.browse_service import BrowseService
from qmq.transport.consume_service import ConsumeService
from qmq.transport.group_service import GroupService
from qmq.transport.grpc import UnaryMethod, WaitingMethod
from qmq.transport.lease_service import LeaseService
from qmq.transport.message_service import MessageService
from qmq.transport.picking_service import PickingService
from qmq.transport.queue_service import QueueService
from qmq.transport.redrive_service import RedriveService
from qmq.transport.schedule_service import ScheduleService
from qmq.transport.server_service import Oversee, ServerService
from qmq.transport.streams import StreamMethod


class Part(Protocol):
    """Some methods of the service, each kind by its gRPC path."""

    def methods(self) -> dict[str, UnaryMethod]:
        """Return the methods of one request and one reply."""
        ...

    def waiting_methods(self) -> dict[str, WaitingMethod]:
        """Return the methods that may wait."""
        ...

    def stream_methods(self) -> dict[str, StreamMethod]:
        """Return the methods that are streams."""
        ...


class Api:
    """The service Q on top of a broker, for callers of some rights."""

    def __init__(
        self,
        broker: Broker,
        rights: Rights = EVERYTHING,
        access: AccessFile | None = None,
        oversee: Oversee | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            broker: carries out what is asked for.
            rights: those of the callers.
            access: who may call; None where nobody is asked.
            oversee: tells how the server does; None if nobody knows more than the broker.
        """
        parts: tuple[Part, ...] = (
            QueueService(broker, rights),
            MessageService(broker, rights),
            LeaseService(broker, rights),
            RedriveService(broker, rights),
            ScheduleService(broker, rights),
            ConsumeService(broker, rights),
            BrowseService(broker, rights),
            GroupService(broker, rights),
            AccessService(access, rights),
            ServerService(oversee or broker.overseeing.condition, rights),
            PickingService(broker, rights),
        )
        #: Each by its gRPC path.
        self.methods: dict[str, UnaryMethod] = {}
        self.waiting_methods: dict[str, WaitingMethod] = {}
        self.stream_methods: dict[str, StreamMethod] = {}
        for part in parts:
            self.methods |= part.methods()
            self.waiting_methods |= part.waiting_methods()
            self.stream_methods |= part.stream_methods()
