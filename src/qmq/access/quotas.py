"""How much the queues of a name hold together, and may hold.

Counting all of them at each Add would cost more the more they are. The last count and the messages
added since are together never less than what there is. So while that sum fits, nothing is counted;
when it does not, the queues are counted before anything is refused. What comes without a call, from
schedules and as dead letters, is counted within a second.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from qmq.access.policy import Quota
from qmq.access.rights import name_matches
from qmq.errors import QuotaReached
from qmq.model.catalog import Catalog
from qmq.model.queue import Queue

#: Seconds for which what was counted counts, if it leaves room.
_COUNTED_S: Final = 1.0
#: The same if it leaves none, and there are so many queues that to count them takes its time.
_FULL_S: Final = 0.1
_QUEUES_MANY: Final = 1000

#: Bytes that a message takes besides its tags and payload, at most.
MESSAGE_OVERHEAD_BYTES: Final = 70


class _Group:
    """The queues of one quota."""

    def __init__(self, quota: Quota, catalog: Catalog) -> None:
        self.quota = quota
        self._catalog = catalog
        #: The ids of the queues that it had when they were counted, and up to which number all
        #: were looked at: names never change, so that only new ones are to be looked at.
        self._ids: list[str] = []
        self._last_number = 0
        self._rearranged = catalog.rearranged
        self.messages = self.bytes = self.queues = 0
        #: When they were counted, in seconds; long ago at the beginning.
        self.counted_s = float("-inf")

    def count(self, now_s: float) -> None:
        """Count them."""
        found = self._found()
        self.queues = len(found)
        self.messages = sum(each.message_count for each in found)
        self.bytes = sum(each.bytes for each in found)
        self.counted_s = now_s

    def queues_at_most(self) -> int:
        """Return how many there are, and were deleted since they were counted."""
        catalog, pattern = self._catalog, self.quota.pattern
        if catalog.rearranged != self._rearranged:
            self._rearranged = catalog.rearranged
            self._last_number, self._ids = 0, []
        new = list(catalog.after(self._last_number))
        if new:
            self._last_number = new[0].number
            self._ids += [each.info.id for each in new if name_matches(pattern, each.info.name)]
        return len(self._ids)

    def _found(self) -> list[Queue]:
        """Return them, without going through all that there are."""
        self.queues_at_most()
        found = [queue for id_ in self._ids if (queue := self._catalog.get(id_))]
        if len(found) < len(self._ids):
            self._ids = [queue.info.id for queue in found]
        return found

    def over(self, count: int, size: int) -> QuotaReached | None:
        """Return what forbids to add so much, by what is known."""
        quota = self.quota
        if quota.messages_max and self.messages + count > quota.messages_max:
            return QuotaReached(quota.pattern, "messages_max", quota.messages_max, self.messages)
        if quota.bytes_max and self.bytes + size > quota.bytes_max:
            return QuotaReached(quota.pattern, "bytes_max", quota.bytes_max, self.bytes)
        return None


class Quotas:
    """The quotas that hold for the queues of a catalog."""

    def __init__(
        self, quotas: Iterable[Quota], catalog: Catalog, now_s: Callable[[], float]
    ) -> None:
        """Begin to look after them.

        Args:
            quotas: what holds.
            catalog: the queues.
            now_s: tells the present, in seconds of a clock that nobody sets.
        """
        self._catalog = catalog
        self._now_s = now_s
        self._groups: list[_Group] = []
        #: Those that a queue is in, by its number: names never change.
        self._of: dict[int, Sequence[_Group]] = {}
        self.replace(quotas)

    def replace(self, quotas: Iterable[Quota]) -> None:
        """Let others hold from now on."""
        self._groups = [_Group(quota, self._catalog) for quota in quotas]
        self._of = {}

    @property
    def are_set(self) -> bool:
        """Whether there are any."""
        return bool(self._groups)

    def check_add(self, queue: Queue, count: int, size: int) -> None:
        """Refuse messages for which a quota leaves no room, or count them.

        Args:
            queue: where they are to be added.
            count: how many they are.
            size: bytes of their payloads and tags.

        Raises:
            QuotaReached: there is no room for them.
        """
        groups = self._of.get(queue.number)
        if groups is None:
            groups = self._groups_of(queue)
        if not groups:
            return
        size += count * MESSAGE_OVERHEAD_BYTES
        now_s = self._now_s()
        for group in groups:
            if now_s - group.counted_s > _COUNTED_S:
                group.count(now_s)
            error = group.over(count, size)
            if error and (group.queues <= _QUEUES_MANY or now_s - group.counted_s > _FULL_S):
                group.count(now_s)
                error = group.over(count, size)
            if error:
                raise error
        for group in groups:
            group.messages += count
            group.bytes += size

    def check_new(self, name: str) -> None:
        """Refuse a further queue of a name if a quota has as many as it may.

        Raises:
            QuotaReached: one has.
        """
        for group in self._groups:
            quota = group.quota
            most = quota.queues_max
            if most and name_matches(quota.pattern, name) and group.queues_at_most() >= most:
                group.count(self._now_s())
                if group.queues >= most:
                    raise QuotaReached(quota.pattern, "queues_max", most, group.queues)

    def _groups_of(self, queue: Queue) -> Sequence[_Group]:
        if len(self._of) > 2 * len(self._catalog) + _QUEUES_MANY:
            # Most of these are deleted.
            self._of.clear()
        name = queue.info.name
        groups = tuple(each for each in self._groups if name_matches(each.quota.pattern, name))
        self._of[queue.number] = groups
        return groups
