"""Decides which message of a queue is next, where there is more than one line.

Messages without group and fair_key stand in one line, and most queues know no others: for them
nothing of this is active, and nothing of it is looked at.
"""

from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush

from qmq.descriptions import Fairness
from qmq.model.delivery import READY, Delivery
from qmq.model.fair_keys import FairKeys
from qmq.model.groups import Groups
from qmq.model.index import seq_of, size_of
from qmq.model.ready import Ready
from qmq.model.standing import Standing, entry_of

#: What a message takes in a reply, given its entry and what is known of it.
Cost = Callable[[int, Delivery | None], int]


class Lines:
    """The lines of a queue: one for each fair_key, in which the heads of groups stand as well.

    Once it is active, it is told all that becomes of messages of which something is known.
    """

    __slots__ = (
        "_by_seq",
        "_bytes",
        "_count",
        "_plain",
        "groups",
        "is_active",
        "keys",
        "park_after",
    )

    def __init__(self, plain: Ready, by_seq: Mapping[int, Delivery]) -> None:
        """Make one that is not active.

        Args:
            plain: the line of the messages without a fair_key.
            by_seq: all messages that something is known of, by sequence number.
        """
        self._plain = plain
        self._by_seq = by_seq
        #: Whether there is more to look at than the one line.
        self.is_active = False
        self.keys = FairKeys(plain)
        self.groups = Groups(by_seq, self._stand, self._withdraw)
        #: How often a message of a group may fail before its group is parked; 0 is for never.
        self.park_after = 0
        #: How many messages stand in the lines of fair_keys, and what they take.
        self._count = 0
        self._bytes = 0

    @property
    def outside(self) -> int:
        """How many messages are ready that are not in the line of those without a fair_key."""
        return self._count + self.groups.blocked

    @property
    def bytes(self) -> int:
        """What these take."""
        return self._bytes + self.groups.bytes

    def set_rules(self, fairness: Fairness, park_after: int, leased: int) -> None:
        """Do as the settings of the queue say; `leased` is as for `activate`."""
        self.park_after = park_after
        self.keys.set_fairness(fairness)
        if self.keys.is_limited:
            self.activate(leased)

    def activate(self, leased: int) -> None:
        """Look at more than one line from now on.

        Args:
            leased: how many messages are on lease; none of them has a group or fair_key.
        """
        if not self.is_active:
            self.is_active = True
            self.keys.add_leased(self.keys.without, leased)
            self.plain_changed()

    def plain_changed(self) -> None:
        """Take note that messages came into the line of those without a fair_key, or left it."""
        without = self.keys.without
        self.keys.recount(without, len(self._plain) - without.standing)

    def join(self, delivery: Delivery) -> None:
        """Let a message wait that comes to the queue."""
        self._count_waiting(delivery, 1)
        if delivery.group_id:
            self.groups.join(delivery)
        elif delivery.state in READY:
            self._stand(delivery)

    def let_wait_again(self, delivery: Delivery) -> None:
        """Let a message wait whose lease has ended."""
        key = self.keys.get(delivery.fair_key)
        self.keys.add_leased(key, -1)
        self._count_waiting(delivery, 1)
        if delivery.group_id:
            self.groups.let_wait_again(delivery)
        elif delivery.state in READY:
            self._stand(delivery)

    def is_due(self, delivery: Delivery) -> None:
        """Take note that a message is not kept back any more."""
        if delivery.group_id:
            self.groups.is_due(delivery)
        else:
            self._stand(delivery)

    def leave(self, delivery: Delivery) -> None:
        """Let a message leave for good that waited; it is not in `by_seq` any more."""
        self._count_waiting(delivery, -1)
        if delivery.group_id:
            self.groups.leave(delivery)
        elif delivery.state in READY:
            self._withdraw(delivery)

    def lease_began(self, delivery: Delivery) -> None:
        """Take note of a message that is on lease and did not wait before."""
        self.keys.add_leased(self.keys.get(delivery.fair_key), 1)
        if delivery.group_id:
            self.groups.lease_began(delivery)

    def lease_ended(self, delivery: Delivery) -> None:
        """Take note that a message leaves for good that was on lease."""
        self.keys.add_leased(self.keys.get(delivery.fair_key), -1)
        if delivery.group_id:
            self.groups.lease_ended(delivery)

    def leases_ended(self, deliveries: Sequence[Delivery]) -> None:
        """Take note of several."""
        if self.keys.are_used:
            for delivery in deliveries:
                self.lease_ended(delivery)
            return
        self.plain_leases_ended(len(deliveries))
        for delivery in deliveries:
            if delivery.group_id:
                self.groups.lease_ended(delivery)

    def plain_leases_ended(self, count: int) -> None:
        """Take note that so many messages leave for good that have neither group nor fair_key."""
        self.keys.add_leased(self.keys.without, -count)

    def failed(self, delivery: Delivery, now_ns: int) -> None:
        """Take note that a message waits again since its work was not done."""
        if delivery.group_id and 0 < self.park_after <= delivery.count:
            self.groups.park(delivery, now_ns)

    def head(self) -> int | None:
        """Return the entry of the message that is next, if any may be handed out."""
        key = self.keys.first()
        return key.line.head() if key else None

    def take_batch(
        self, count_max: int, bytes_max: int, cost: Cost, *, on_lease: bool
    ) -> list[int]:
        """Take the messages that are next, one after the other, and return their entries.

        Args:
            count_max: how many at most.
            bytes_max: what they may take in a reply; one is taken in any case.
            cost: what one takes there.
            on_lease: whether they stay in the queue, and in `by_seq`.
        """
        if self.keys.are_used:
            taken, groups = self._take_by_turns(count_max, bytes_max, cost, on_lease=on_lease)
        else:
            taken, groups = self._take_from_one(count_max, bytes_max, cost, on_lease=on_lease)
        for group_id in groups:
            self.groups.end_take(group_id)
        return taken

    def _take_by_turns(
        self, count_max: int, bytes_max: int, cost: Cost, *, on_lease: bool
    ) -> tuple[list[int], set[str]]:
        """Do so where there are fair_keys; return the groups of which something was taken too."""
        keys, by_seq = self.keys, self._by_seq
        taken: list[int] = []
        groups: set[str] = set()
        left = bytes_max
        while len(taken) < count_max and (key := keys.first()):
            head = key.line.head()
            assert head is not None
            delivery = by_seq.get(seq_of(head))
            left -= cost(head, delivery)
            if left < 0 and taken:
                break
            taken.append(head)
            keys.take(key, on_lease=on_lease)
            if key.name:
                self._count -= 1
                self._bytes -= size_of(head)
            if delivery and delivery.group_id:
                groups.add(delivery.group_id)
                if following := self.groups.take(delivery, on_lease=on_lease):
                    self.groups.let_stand(following)
            keys.recount(key)
        return taken, groups

    def _take_from_one(
        self, count_max: int, bytes_max: int, cost: Cost, *, on_lease: bool
    ) -> tuple[list[int], set[str]]:
        """Do so where there are none: the one line, and what follows in the groups of it."""
        key, plain, by_seq = self.keys.without, self._plain, self._by_seq
        count_max = min(count_max, self.keys.allowance(key, on_lease=on_lease))
        taken: list[int] = []
        groups: set[str] = set()
        #: A heap: what may be taken besides what stands in the line.
        following: list[tuple[int, Delivery]] = []
        left = bytes_max
        while len(taken) < count_max:
            head_key = plain.head_key()
            is_following = bool(following) and (head_key is None or following[0][0] < head_key)
            if is_following:
                delivery: Delivery | None = following[0][1]
                entry = following[0][1].entry
            elif head_key is None:
                break
            else:
                entry = entry_of(head_key)
                delivery = by_seq.get(seq_of(entry))
            left -= cost(entry, delivery)
            if left < 0 and taken:
                break
            if is_following:
                heappop(following)
            else:
                plain.take()
            taken.append(entry)
            if delivery and delivery.group_id:
                groups.add(delivery.group_id)
                if after := self.groups.take(delivery, on_lease=on_lease):
                    heappush(following, (self._key_of(after), after))
        self.keys.took(key, len(taken), on_lease=on_lease)
        # What is on lease lets nothing else of its group stand.
        return taken, set() if on_lease else groups

    def set_ageing(self) -> None:
        """Bring the lines of fair_keys into the order that the other one has from now on."""
        for key in self.keys.all():
            if isinstance(key.line, Standing):
                entries = map(entry_of, key.line)
                key.line.replace([self._key_of(self._by_seq[seq_of(each)]) for each in entries])

    def count_before(self, delivery: Delivery) -> int:
        """Count the messages of its fair_key, or of its group, that go before a ready one."""
        group = self.groups.get(delivery.group_id)
        if group and group.standing is not delivery:
            return self.groups.count_before(delivery)
        line = self.keys.get(delivery.fair_key).line
        if isinstance(line, Standing):
            return line.count_before(self._key_of(delivery))
        return line.count_before(delivery.entry)

    def clear(self) -> list[int]:
        """Take all messages out of the lines of fair_keys, and return their entries."""
        entries = [
            delivery.entry
            for delivery in self._by_seq.values()
            if delivery.state in READY and self._is_outside(delivery)
        ]
        self.groups.clear()
        self.keys.clear()
        self._count = self._bytes = 0
        return entries

    def _is_outside(self, delivery: Delivery) -> bool:
        group = self.groups.get(delivery.group_id)
        return bool(delivery.fair_key or (group and group.standing is not delivery))

    def _count_waiting(self, delivery: Delivery, count: int) -> None:
        if delivery.fair_key:
            key = self.keys.get(delivery.fair_key)
            # One text for all of them, rather than one each.
            delivery.fair_key = key.name
            self.keys.add_waiting(key, count)

    def _stand(self, delivery: Delivery) -> None:
        """Put a message into the line that it belongs to."""
        key = self.keys.get(delivery.fair_key)
        if isinstance(key.line, Standing):
            key.line.put(self._key_of(delivery))
            self._count += 1
            self._bytes += size_of(delivery.entry)
        else:
            key.line.put_back(delivery.entry)
        self.keys.recount(key, 1)

    def _withdraw(self, delivery: Delivery) -> None:
        """Take it out of there."""
        key = self.keys.get(delivery.fair_key)
        if isinstance(key.line, Standing):
            key.line.withdraw(self._key_of(delivery))
            self._count -= 1
            self._bytes -= size_of(delivery.entry)
        else:
            key.line.withdraw(delivery.entry)
        self.keys.recount(key, -1)

    def _key_of(self, delivery: Delivery) -> int:
        return self._plain.key(delivery.entry)
