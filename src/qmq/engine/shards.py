"""The databases of a cluster, among which its queues are divided.

A queue lives in one of them for as long as it exists, and its id tells in which. All that one step
changes is in one database, since two cannot commit as one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from qmq.descriptions import QueueInfo
from qmq.errors import InvalidArgument, Unavailable
from qmq.ids import shard_of
from qmq.model.catalog import parse_uuid
from qmq.model.queue import Queue
from qmq.store.base import QueueStore
from qmq.store.refusing import again
from qmq.values import NS_PER_S, Store, Tag

#: The tag by which the maker of a queue says where it is to live.
SHARD_TAG: Final = "shard"

#: The number of the database that elects the leader; its queues have ids of version 4.
FIRST: Final = 0

#: Nanoseconds after which it is looked again how much each holds: to add that up goes through
#: all queues.
_WEIGHED_NS: Final = NS_PER_S


class Shards:
    """Those that this server was given: one, unless somebody says otherwise."""

    def __init__(self, names: Mapping[int, str] | None = None) -> None:
        """Begin with none of them read.

        Args:
            names: what people call them, by their numbers; None where there is one at most.
        """
        self.names = dict(names or {FIRST: "first"})
        #: Those whose queues are known, by their numbers. Where there is one at most, nobody
        #: looks here.
        self.stores: dict[int, QueueStore] = {}
        #: Why nobody knows what is in the others.
        self.missing: dict[int, Unavailable] = {}
        self._weights: Counter[int] = Counter()
        self._counts: Counter[int] = Counter()
        self._weighed_ns = -_WEIGHED_NS

    @property
    def are_several(self) -> bool:
        """Whether there is more than one."""
        return len(self.names) > 1

    @property
    def further(self) -> list[QueueStore]:
        """The stores of all whose queues are known, but for the first."""
        return [store for number, store in self.stores.items() if number != FIRST]

    def of(self, reference: str) -> int | None:
        """Return the database that the queue of an id is or would be in, if its queues are known.

        None if the reference is a name, or there is one database at most.
        """
        uuid = parse_uuid(reference)
        if uuid is None or not self.are_several:
            return None
        number = shard_of(uuid)
        return number if number in self.stores else None

    def check_known(self, reference: str = "") -> None:
        """Refuse to say that there is no queue, where it may be in one that was not read.

        Args:
            reference: its id or name; empty for any.

        Raises:
            Unavailable: it may.
        """
        if not self.missing:
            return
        uuid = parse_uuid(reference)
        for number, error in self.missing.items():
            if uuid is None or shard_of(uuid) == number:
                raise again(error)

    def check_all(self) -> None:
        """Refuse to speak of all queues while some cannot be spoken of.

        Raises:
            Unavailable: the database of one is away.
        """
        if self.are_several:
            self.check_known()
            for store in self.stores.values():
                store.check(only_reads=True)

    def is_there(self, store: QueueStore) -> bool:
        """Whether the database of a store answers; so it is taken to be where there is only one."""
        if self.are_several:
            with suppress(Unavailable):
                store.check(only_reads=True)
                return True
            return False
        return True

    def place(
        self,
        tags: Sequence[Tag],
        dead_letters: QueueInfo | None,
        queues: Iterable[Queue],
        now_ns: int,
    ) -> int:
        """Return where a new queue is to live.

        Its tag decides; else it lives beside its dead-letter queue; else where the messages take
        the fewest bytes, among the databases that take changes now; and among equals where the
        fewest queues are.

        Args:
            tags: those of the new queue.
            dead_letters: its dead-letter queue, if it has one.
            queues: all that there are.
            now_ns: the moment, by a clock that nobody sets.

        Raises:
            InvalidArgument: the tag names none of them.
            Unavailable: none takes changes.
        """
        if not self.are_several:
            return FIRST
        for tag in tags:
            if tag.key == SHARD_TAG:
                return self._named(tag.value)
        if dead_letters and dead_letters.store is Store.CLUSTER:
            return dead_letters.shard
        self._weigh(queues, now_ns)
        refusals: list[Unavailable] = []
        for number in sorted(self.stores, key=lambda at: (self._weights[at], self._counts[at], at)):
            try:
                self.stores[number].check()
            except Unavailable as error:
                refusals.append(error)
            else:
                self._counts[number] += 1
                return number
        raise refusals[0]

    def name_of(self, info: QueueInfo) -> str:
        """Say where a queue lives, for people."""
        if info.store is Store.CLUSTER and self.are_several:
            return f"{info.store.name}, on shard {self.names[info.shard]}"
        return info.store.name

    def _named(self, name: str) -> int:
        for number, each in self.names.items():
            if each == name:
                return number
        raise InvalidArgument(
            "tags",
            f"the tag {SHARD_TAG} says on which of the cluster's databases a queue is to live:"
            f" {', '.join(sorted(self.names.values()))}; got {name[:120]!r}",
        )

    def _weigh(self, queues: Iterable[Queue], now_ns: int) -> None:
        if now_ns - self._weighed_ns < _WEIGHED_NS:
            return
        self._weighed_ns = now_ns
        self._weights.clear()
        self._counts.clear()
        for queue in queues:
            if queue.info.store is Store.CLUSTER:
                self._weights[queue.info.shard] += queue.bytes
                self._counts[queue.info.shard] += 1
