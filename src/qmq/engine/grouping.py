"""Commands about groups of messages: who looks after them lists, pauses and unblocks them."""

import asyncio
from collections.abc import Collection
from typing import Final

from qmq.descriptions import GroupInfo
from qmq.engine.queues import Queues
from qmq.errors import GroupsFull
from qmq.limits import GROUPS_HELD_MAX
from qmq.model.changes import Changes
from qmq.model.queue import Queue
from qmq.values import DeadLetterReason, GroupState

#: Groups on a page that does not say how many.
_PAGE_SIZE: Final = 100

#: Groups to look at before others have their turn: some milliseconds.
_SLICE_GROUPS: Final = 10_000


class Grouping:
    """Commands about groups.

    Its methods raise the errors of `qmq.errors`; a reference to a queue is as in
    `qmq.engine.broker.Broker`.
    """

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def list_groups(
        self,
        reference: str,
        *,
        page_size: int = 0,
        page_token: str = "",
        states: Collection[GroupState] = (),
    ) -> tuple[list[GroupInfo], str]:
        """Describe the groups of a queue that have messages or are paused, by their ids.

        Args:
            reference: the queue's id or name.
            page_size: how many at most; 0 for 100.
            page_token: what the call before returned; empty for the first page.
            states: only those in one of them; empty for all.

        Returns:
            The groups, and the token of the next page or "".
        """
        queue = await self._queues.find(reference)
        store = self._queues.store_to_read(queue)
        self._queues.pass_time(queue)
        count_max = page_size or _PAGE_SIZE
        groups, wanted = queue.lines.groups, frozenset(states)
        ids = [group.id for group in groups.all()]
        found: list[str] = []
        for start in range(0, len(ids), _SLICE_GROUPS):
            if start:
                # Others have their turn.
                await asyncio.sleep(0)
            looked_at = ids[start : start + _SLICE_GROUPS]
            found = groups.first_of((*found, *looked_at), page_token, count_max + 1, wanted)
        infos = [groups.info(group_id) for group_id in found[:count_max]]
        await store.settle()
        return infos, infos[-1].id if len(found) > count_max else ""

    async def pause_group(self, reference: str, group_id: str) -> GroupInfo:
        """Hand out nothing of a group until it is resumed, whether it has messages or not.

        Raises:
            GroupsFull: as many groups of the queue are paused or parked as may be.
        """
        queue = await self._queues.find(reference)
        self._queues.store_of(queue)
        self._queues.pass_time(queue)
        groups = queue.lines.groups
        group, held = groups.get(group_id), groups.paused + groups.parked
        # One that is held already takes no further room.
        if held >= GROUPS_HELD_MAX and not (group and group.is_held):
            raise GroupsFull(queue.info.id, GROUPS_HELD_MAX, held)
        queue.pause_group(group_id, self._queues.steady_ns())
        return await self._keep(queue, group_id, Changes())

    async def resume_group(self, reference: str, group_id: str) -> GroupInfo:
        """Let a group go on that was paused or parked; any other one does so anyway."""
        queue = await self._queues.find(reference)
        self._queues.store_of(queue)
        self._queues.pass_time(queue)
        queue.lines.groups.resume(group_id)
        return await self._keep(queue, group_id, Changes())

    async def skip_group(
        self, reference: str, group_id: str, messages_max: int = 1
    ) -> tuple[int, GroupInfo]:
        """Take the first messages out of a group, which is stuck at them.

        They become dead letters if the queue has a dead-letter queue, and are gone otherwise.
        What is on lease stays. A group that has parked goes on.

        Args:
            reference: the queue's id or name.
            group_id: the group.
            messages_max: how many at most.

        Returns:
            How many there were, and the group.
        """
        queue = await self._queues.find(reference)
        self._queues.store_of(queue)
        self._queues.pass_time(queue)
        changes = Changes()
        skipped = queue.skip(group_id, messages_max)
        for delivery in skipped:
            if queue.info.settings.dead_letter_queue_id:
                self._queues.bury(queue, delivery, DeadLetterReason.SKIPPED, changes)
            else:
                queue.leases.forget(delivery)
                changes.removed.append(delivery.entry)
        return len(skipped), await self._keep(queue, group_id, changes)

    async def _keep(self, queue: Queue, group_id: str, changes: Changes) -> GroupInfo:
        """Keep what has changed, and describe the group."""
        changes.note_groups(queue)
        kept = self._queues.store_of(queue).commit(changes)
        info = queue.lines.groups.info(group_id)
        self._queues.set_alarm(queue)
        self._queues.waiting.serve(queue)
        await kept
        return info
