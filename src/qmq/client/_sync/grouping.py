# Generated from _async by scripts/unasync.py; change it there.
"""The groups of one queue."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from qmq.client._sync.scheduling import Scheduling
from qmq.client.decode import group_info
from qmq.client.queue_values import GroupInfo, GroupStateName
from qmq.client.values import member
from qmq.values import GroupState
from qmq.wire import q_pb2 as pb

T = TypeVar("T")


class Grouping(Scheduling[T]):
    """What an Queue has for those who look after its groups.

    Each `group_id` is up to 128 bytes, without control characters, and not empty: otherwise
    the call raises InvalidArgument.
    """

    def groups(
        self, *, states: Iterable[GroupStateName] = (), page_size: int = 100
    ) -> Iterator[GroupInfo]:
        """Go through the groups that have messages, or are paused or parked.

        They come in the order of their ids. What comes or leaves meanwhile may be shown or not.

        Args:
            states: only groups that are READY, LEASED, DELAYED, PAUSED or PARKED; all if left
                out.
            page_size: how many to ask for at a time, up to 1,000.

        Raises:
            InvalidArgument: `page_size` is out of range.
            ValueError: there is no such state.
        """
        request = pb.ListGroupsRequest(
            queue_id=self.queue_id,
            page_size=page_size,
            states=[
                pb.Group.State.Name(member(GroupState, each, "each of states")) for each in states
            ],
        )
        while True:
            reply = self._connection.ask(
                "ListGroups", request, pb.ListGroupsResponse, repeatable=True
            )
            for group in reply.groups:
                yield group_info(group)
            if not reply.next_page_token:
                return
            request.page_token = reply.next_page_token

    def pause_group(self, group_id: str) -> GroupInfo:
        """Hand out no messages of a group until `resume_group`; the other groups go on.

        What is on lease can still be acked. The group need not have messages yet.

        Raises:
            GroupsFull: as many groups of the queue are paused or parked as may be.
        """
        request = pb.PauseGroupRequest(queue_id=self.queue_id, group_id=group_id)
        reply = self._connection.ask("PauseGroup", request, pb.PauseGroupResponse, repeatable=True)
        return group_info(reply.group)

    def resume_group(self, group_id: str) -> GroupInfo:
        """Let a group go on that was paused, or has parked. That it was neither is no error."""
        request = pb.ResumeGroupRequest(queue_id=self.queue_id, group_id=group_id)
        reply = self._connection.ask(
            "ResumeGroup", request, pb.ResumeGroupResponse, repeatable=True
        )
        return group_info(reply.group)

    def skip_group(self, group_id: str, messages_max: int = 1) -> int:
        """Take messages from the head of a group, which is stuck at them.

        They go to the dead-letter queue, if the queue has one, and are gone otherwise. A group
        that has parked goes on with what is behind them. It is not repeated when its answer was
        lost: it would take further ones.

        Args:
            group_id: the group.
            messages_max: how many at most, 1 to 1,000; what is on lease is left.

        Returns:
            How many were taken.

        Raises:
            InvalidArgument: `messages_max` is out of range.
        """
        request = pb.SkipGroupRequest(
            queue_id=self.queue_id, group_id=group_id, messages_max=messages_max
        )
        reply = self._connection.ask("SkipGroup", request, pb.SkipGroupResponse)
        return reply.skipped
