"""The rules of groups: messages that are handed out one after the other."""

from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush, nsmallest
from itertools import islice

from qmq.descriptions import GroupInfo
from qmq.model.delivery import READY, Delivery, State
from qmq.model.index import seq_of, size_of
from qmq.values import GroupState


class Group:
    """The messages of one group, and whether it goes on."""

    __slots__ = ("count", "id", "leased", "parked_ns", "paused_ns", "standing", "waiting")

    def __init__(self, id_: str) -> None:
        self.id = id_
        #: A heap: the entries (see `index`) of its messages that are not on lease, and of some
        #: that have left.
        self.waiting: list[int] = []
        #: How many there are, without the latter.
        self.count = 0
        self.leased = 0
        #: The one that stands in the line, to be handed out next.
        self.standing: Delivery | None = None
        #: Since when it is paused, or parked; 0 if it is not.
        self.paused_ns = 0
        self.parked_ns = 0

    def __repr__(self) -> str:
        """Name it and say what it holds."""
        return f"<Group {self.id} waiting={self.count} leased={self.leased}>"

    @property
    def is_held(self) -> bool:
        """Whether it hands out nothing, whatever it holds."""
        return bool(self.paused_ns or self.parked_ns)


class Groups:
    """The groups of a queue that hold messages, or are paused.

    Of each, the first message stands in the line like one without a group, unless it is kept
    back, or the group is busy or held. The others are blocked: ready, and nowhere in the line.
    """

    __slots__ = (
        "_by_id",
        "_by_seq",
        "_changed",
        "_failed",
        "_stand",
        "_withdraw",
        "blocked",
        "bytes",
        "parked",
        "paused",
    )

    def __init__(
        self,
        by_seq: Mapping[int, Delivery],
        stand: Callable[[Delivery], None],
        withdraw: Callable[[Delivery], None],
    ) -> None:
        """Make one without groups.

        Args:
            by_seq: all messages that something is known of, by sequence number.
            stand: puts one into the line.
            withdraw: takes one out of it.
        """
        self._by_seq = by_seq
        self._stand = stand
        self._withdraw = withdraw
        self._by_id: dict[str, Group] = {}
        #: Those whose pause or parking has changed since that was asked for.
        self._changed: dict[str, Group] = {}
        #: Messages whose lease has run out, which parked their group, since that was asked for.
        self._failed: list[Delivery] = []
        #: Messages that are ready, and do not stand in the line; and what they take, in bytes.
        self.blocked = 0
        self.bytes = 0
        #: How many groups are paused, and parked.
        self.paused = 0
        self.parked = 0

    def __len__(self) -> int:
        """Count the groups."""
        return len(self._by_id)

    def get(self, group_id: str) -> Group | None:
        """Return a group; None if nothing is known of it."""
        return self._by_id.get(group_id)

    def all(self) -> Iterable[Group]:
        """Go through the groups, in no order."""
        return self._by_id.values()

    def join(self, delivery: Delivery) -> None:
        """Let a message wait in its group that is not on lease, or not any more."""
        group = self._group_of(delivery)
        heappush(group.waiting, delivery.entry)
        group.count += 1
        if delivery.state in READY:
            self._block(delivery)
        self._settle(group)

    def is_due(self, delivery: Delivery) -> None:
        """Take note that a message is not kept back any more."""
        self._block(delivery)
        self._settle(self._by_id[delivery.group_id])

    def leave(self, delivery: Delivery) -> None:
        """Let a message leave for good that waited; nothing may be known of it any more."""
        group = self._by_id[delivery.group_id]
        group.count -= 1
        is_standing = group.standing is delivery
        if is_standing:
            group.standing = None
        elif delivery.state in READY:
            self._unblock(delivery)
        self._settle(group)
        if is_standing:
            # The next one stands already: if it has the same fair_key, that keeps its turn.
            self._withdraw(delivery)

    def take(self, delivery: Delivery, *, on_lease: bool) -> Delivery | None:
        """Take note that the first message of a group was taken.

        Returns:
            The one that the same call may take next: the one behind it, if that is ready.
        """
        group = self._by_id[delivery.group_id]
        if group.standing is delivery:
            group.standing = None
        else:
            self._unblock(delivery)
        # It is the first one: that was made sure of when it came to be.
        heappop(group.waiting)
        group.count -= 1
        group.leased += on_lease
        following = self._first(group) if group.count else None
        return following if following and following.state in READY else None

    def end_take(self, group_id: str) -> None:
        """End a call that took messages of a group."""
        if group := self._by_id.get(group_id):
            self._settle(group)

    def let_stand(self, delivery: Delivery) -> None:
        """Let a message stand in the line that the same call may take next."""
        self._let_stand(self._by_id[delivery.group_id], delivery)

    def lease_began(self, delivery: Delivery) -> None:
        """Take note of a message that is on lease and did not wait before."""
        group = self._group_of(delivery)
        group.leased += 1
        self._settle(group)

    def lease_ended(self, delivery: Delivery) -> None:
        """Take note that a message is not on lease any more, before it waits again or leaves."""
        group = self._by_id[delivery.group_id]
        group.leased -= 1
        if not group.leased:
            self._settle(group)

    def let_wait_again(self, delivery: Delivery) -> None:
        """Do both for a message whose lease has ended and that stays."""
        self._by_id[delivery.group_id].leased -= 1
        self.join(delivery)

    def hold(self, group_id: str, paused_ns: int, parked_ns: int) -> None:
        """Let a group be paused or parked since these moments, or not if they are 0.

        One that is not there and that nothing holds stays so.
        """
        group = self._by_id.get(group_id)
        if group is None:
            if not paused_ns:
                return
            group = self._by_id[group_id] = Group(group_id)
        if (group.paused_ns, group.parked_ns) == (paused_ns, parked_ns):
            return
        self.paused += bool(paused_ns) - bool(group.paused_ns)
        self.parked += bool(parked_ns) - bool(group.parked_ns)
        group.paused_ns, group.parked_ns = paused_ns, parked_ns
        self._changed[group_id] = group
        self._settle(group)

    def pause(self, group_id: str, now_ns: int) -> None:
        """Let a group hand out nothing, whether it has messages or not."""
        group = self._by_id.get(group_id)
        if not (group and group.paused_ns):
            self.hold(group_id, now_ns, group.parked_ns if group else 0)

    def resume(self, group_id: str) -> None:
        """Let a group go on that was paused or parked."""
        self.hold(group_id, 0, 0)

    def unpark(self, group_id: str) -> None:
        """Let a group go on that has parked, unless it is paused."""
        if group := self._by_id.get(group_id):
            self.hold(group_id, group.paused_ns, 0)

    def park(self, delivery: Delivery, now_ns: int) -> None:
        """Let a group hand out nothing, since a message of it has failed."""
        group = self._by_id[delivery.group_id]
        if delivery.state is State.EXPIRED:
            self._failed.append(delivery)
        if not group.parked_ns:
            self.hold(group.id, group.paused_ns, now_ns)

    def first(self, group_id: str, count_max: int) -> list[Delivery]:
        """Return the first messages of a group that are not on lease, in order."""
        group = self._by_id.get(group_id)
        if group is None:
            return []
        by_seq = self._by_seq
        found = (by_seq.get(seq_of(entry)) for entry in sorted(group.waiting))
        return list(islice((each for each in found if each), count_max))

    def count_before(self, delivery: Delivery) -> int:
        """Count the messages of its group that are handed out before one that is not on lease."""
        waiting = self._by_id[delivery.group_id].waiting
        return sum(each < delivery.entry and seq_of(each) in self._by_seq for each in waiting)

    def info(self, group_id: str) -> GroupInfo:
        """Describe a group; one of which nothing is known has no messages."""
        group = self._by_id.get(group_id)
        if group is None:
            return GroupInfo(id=group_id, state=GroupState.READY, waiting=0, leased=0)
        return GroupInfo(
            id=group_id,
            state=self._state(group),
            waiting=group.count,
            leased=group.leased,
            since_ns=group.paused_ns or group.parked_ns,
        )

    def first_of(
        self, ids: Iterable[str], after: str, count_max: int, states: frozenset[GroupState]
    ) -> list[str]:
        """Return the ids that come next, of groups that are there, in their order.

        Args:
            ids: which ones to look at.
            after: the id of the last one before; empty for the first page.
            count_max: how many at most.
            states: only those in one of them; empty for all.
        """
        groups = (self._by_id.get(group_id) for group_id in ids if group_id > after)
        found = (each.id for each in groups if each and (not states or self._state(each) in states))
        return nsmallest(count_max, found)

    def take_changed(self) -> list[tuple[str, int, int]]:
        """Return which groups' pause or parking has changed, for a store to keep.

        Returns:
            Id, and since when it is paused and parked, or 0.
        """
        if not self._changed:
            return []
        changed = [(each.id, each.paused_ns, each.parked_ns) for each in self._changed.values()]
        self._changed.clear()
        return changed

    def take_failed(self) -> list[Delivery]:
        """Return which messages parked their group when a lease ran out, for a store to keep.

        Otherwise that lease would run out once more when the server starts again, and park a
        group that was resumed since.
        """
        failed, self._failed = self._failed, []
        return failed

    def clear(self) -> None:
        """Forget all messages; groups stay that are paused."""
        for group in list(self._by_id.values()):
            group.waiting.clear()
            group.count = group.leased = 0
            group.standing = None
            self._drop_if_empty(group)
        self.blocked = self.bytes = 0

    def _group_of(self, delivery: Delivery) -> Group:
        """Return the group of a message; it is known from then on."""
        group = self._by_id.get(delivery.group_id)
        if group is None:
            group = self._by_id[delivery.group_id] = Group(delivery.group_id)
        # One text for all of them, rather than one each.
        delivery.group_id = group.id
        return group

    def _state(self, group: Group) -> GroupState:
        if group.paused_ns:
            return GroupState.PAUSED
        if group.parked_ns:
            return GroupState.PARKED
        if group.leased:
            return GroupState.LEASED
        return GroupState.READY if group.standing or not group.count else GroupState.DELAYED

    def _settle(self, group: Group) -> None:
        """Let the message stand in the line that is to be handed out next, and no other."""
        is_free = not group.leased and not group.is_held
        self._let_stand(group, self._first(group) if is_free else None)
        if not group.count and not group.leased:
            self._drop_if_empty(group)

    def _let_stand(self, group: Group, first: Delivery | None) -> None:
        standing = group.standing
        if standing is first:
            return
        if standing:
            group.standing = None
            self._withdraw(standing)
            self._block(standing)
        if first and first.state in READY:
            group.standing = first
            self._unblock(first)
            self._stand(first)

    def _first(self, group: Group) -> Delivery | None:
        """Return the first message that is not on lease, if there is one."""
        waiting = group.waiting
        while waiting:
            if (delivery := self._by_seq.get(seq_of(waiting[0]))) is not None:
                return delivery
            heappop(waiting)
        return None

    def _drop_if_empty(self, group: Group) -> None:
        """Forget a group without messages; its parking ends, and only a pause keeps it."""
        if group.parked_ns:
            group.parked_ns = 0
            self.parked -= 1
            self._changed[group.id] = group
        if not group.paused_ns:
            self._by_id.pop(group.id, None)

    def _block(self, delivery: Delivery) -> None:
        self.blocked += 1
        self.bytes += size_of(delivery.entry)

    def _unblock(self, delivery: Delivery) -> None:
        self.blocked -= 1
        self.bytes -= size_of(delivery.entry)
