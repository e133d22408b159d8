"""All methods of the service Q, from the parts that each serve some of them."""

from qmq.access.granted import EVERYTHING, Rights
from qmq.engine.broker import Broker
from qmq.transport.access_service import AccessFile, AccessService
from qmq.transport.browse_service import BrowseService
from qmq.transport.consume_service import ConsumeService
from qmq.transport.group_service import GroupService
from qmq.transport.lease_service import LeaseService
from qmq.transport.message_service import MessageService
from qmq.transport.methods import Methods, joined
from qmq.transport.picking_service import PickingService
from qmq.transport.queue_service import QueueService
from qmq.transport.redrive_service import RedriveService
from qmq.transport.schedule_service import ScheduleService
from qmq.transport.server_service import Oversee, ServerService


def api_methods(
    broker: Broker,
    rights: Rights = EVERYTHING,
    access: AccessFile | None = None,
    oversee: Oversee | None = None,
) -> Methods:
    """Return the methods of the service Q on top of a broker, for callers of some rights.

    Args:
        broker: carries out what is asked for.
        rights: those of the callers.
        access: who may call; None where nobody is asked.
        oversee: tells how the server does; None if nobody knows more than the broker.
    """
    parts = (
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
    return joined(part.methods() for part in parts)
