"""The methods of the service Q about groups."""

from qmq.access.granted import EVERYTHING, Rights
from qmq.access.rights import Right
from qmq.engine.broker import Broker
from qmq.errors import InvalidArgument
from qmq.limits import BATCH_MESSAGES_MAX, GROUP_ID_BYTES_MAX, PAGE_SIZE_MAX
from qmq.transport.decode import decode
from qmq.transport.methods import Methods
from qmq.values import GroupState
from qmq.wire import q_pb2 as pb
from qmq.wire.choices import choices
from qmq.wire.convert import group_message
from qmq.wire.ids import checked_id


class GroupService:
    """Part of the service Q, on top of a broker."""

    def __init__(self, broker: Broker, rights: Rights = EVERYTHING) -> None:
        self._rights = rights
        self._grouping = broker.grouping

    def methods(self) -> Methods:
        """Return the methods by their gRPC path."""
        return Methods(
            {
                "/proto.Q/ListGroups": self.list_groups,
                "/proto.Q/PauseGroup": self.pause_group,
                "/proto.Q/ResumeGroup": self.resume_group,
                "/proto.Q/SkipGroup": self.skip_group,
            }
        )

    async def list_groups(self, data: bytes) -> bytes:
        """List groups in the order of their ids."""
        request = decode(pb.ListGroupsRequest, data)
        self._rights.check(Right.BROWSE, request.queue_id)
        if not 0 <= request.page_size <= PAGE_SIZE_MAX:
            raise InvalidArgument(
                "page_size", f"must be 1 to {PAGE_SIZE_MAX}, or 0 for 100; got {request.page_size}"
            )
        page, token = await self._grouping.list_groups(
            request.queue_id,
            page_size=request.page_size,
            page_token=request.page_token,
            states=choices(GroupState, request.states, "states"),
        )
        return pb.ListGroupsResponse(
            groups=map(group_message, page), next_page_token=token
        ).SerializeToString()

    async def pause_group(self, data: bytes) -> bytes:
        """Let a group hand out nothing."""
        request = decode(pb.PauseGroupRequest, data)
        self._rights.check(Right.MANAGE, request.queue_id)
        group = await self._grouping.pause_group(request.queue_id, _group_id(request.group_id))
        return pb.PauseGroupResponse(group=group_message(group)).SerializeToString()

    async def resume_group(self, data: bytes) -> bytes:
        """Let a group go on that was paused, or has parked."""
        request = decode(pb.ResumeGroupRequest, data)
        self._rights.check(Right.MANAGE, request.queue_id)
        group = await self._grouping.resume_group(request.queue_id, _group_id(request.group_id))
        return pb.ResumeGroupResponse(group=group_message(group)).SerializeToString()

    async def skip_group(self, data: bytes) -> bytes:
        """Take messages from the head of a group."""
        request = decode(pb.SkipGroupRequest, data)
        self._rights.check(Right.MANAGE, request.queue_id)
        if not 0 <= request.messages_max <= BATCH_MESSAGES_MAX:
            raise InvalidArgument(
                "messages_max",
                f"must be 1 to {BATCH_MESSAGES_MAX}, or 0 for 1; got {request.messages_max}",
            )
        skipped, group = await self._grouping.skip_group(
            request.queue_id, _group_id(request.group_id), request.messages_max or 1
        )
        return pb.SkipGroupResponse(skipped=skipped, group=group_message(group)).SerializeToString()


def _group_id(text: str) -> str:
    if not text:
        raise InvalidArgument("group_id", "must be given")
    return checked_id(text, "group_id", GROUP_ID_BYTES_MAX, "group_id")
