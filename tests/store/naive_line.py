"""Which messages of a queue can be handed out, and which one is next: groups and fair keys.

Of groups, all is found out again each time by looking at all messages. Fair keys take turns by
`qmq.model.turns`, where only what begins and ends is told; so whatever changes a queue has it
look again who waits for a turn, in `settle`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from qmq.descriptions import GroupInfo, QueueInfo
from qmq.model.rate import Bucket
from qmq.model.turns import Turn, Turns
from qmq.values import FairKeyStats, GroupState
from tests.store.naive_message import DELAYED, LEASED, READY, NaiveMessage


@dataclass
class NaiveHold:
    """That a group hands out nothing: since when somebody wants that, and since when it failed."""

    paused_ns: int | None = None
    parked_ns: int | None = None


@dataclass
class NaiveLine:
    """The messages of a queue, in order of arrival, and who is next."""

    info: QueueInfo
    messages: list[NaiveMessage] = field(default_factory=list)
    #: Groups that are paused or parked.
    holds: dict[str, NaiveHold] = field(default_factory=dict)
    turns: Turns[str] = field(default_factory=Turns)
    #: The turns of all keys that there ever were since the server started, and their buckets.
    turn_of: dict[str, Turn[str]] = field(default_factory=dict)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    #: When it was last looked whether buckets have filled up by themselves.
    looked_ns: int = 0
    #: Whether there was ever more than the plain line since the server started, so that keys take
    #: turns; and whether a message ever had a key since then.
    is_active: bool = False
    had_keys: bool = False

    def members(self, group_id: str) -> list[NaiveMessage]:
        """Return the messages of a group, in order."""
        return [each for each in self.messages if each.group_id == group_id]

    def held(self, group_id: str) -> list[NaiveHold]:
        """Return how a group is paused or parked, if it is."""
        return [hold for each, hold in self.holds.items() if each == group_id]

    def group_ids(self) -> list[str]:
        """Return the groups that there are, in the order of their ids."""
        ids = {each.group_id for each in self.messages if each.group_id} | set(self.holds)
        return sorted(ids)

    def group(self, group_id: str) -> GroupInfo:
        """Say what a group is and holds."""
        members = self.members(group_id)
        leased = [each for each in members if each.state is LEASED]
        waiting = [each for each in members if each.state is not LEASED]
        hold = self.holds.get(group_id, NaiveHold())
        since_ns = 0
        if hold.paused_ns is not None:
            state, since_ns = GroupState.PAUSED, hold.paused_ns
        elif hold.parked_ns is not None:
            state, since_ns = GroupState.PARKED, hold.parked_ns
        elif leased:
            state = GroupState.LEASED
        elif waiting and waiting[0].state is DELAYED:
            state = GroupState.DELAYED
        else:
            state = GroupState.READY
        return GroupInfo(
            id=group_id, state=state, waiting=len(waiting), leased=len(leased), since_ns=since_ns
        )

    def groups(self) -> list[GroupInfo]:
        """Say so of all groups that have messages, or are paused or parked."""
        return [self.group(each) for each in self.group_ids()]

    def line(self, taken: Collection[int] = ()) -> list[NaiveMessage]:
        """Return those that stand in the line, each key's in the order in which they are next.

        Args:
            taken: the numbers of messages that make no group busy, though they are on lease.
        """
        heads: dict[str, NaiveMessage] = {}
        busy = set(self.holds)
        for each in self.messages:
            if each.state is not LEASED:
                heads.setdefault(each.group_id, each)
            elif each.seq not in taken:
                busy.add(each.group_id)
        ageing_ns = self.info.settings.priority_ageing_ns
        return sorted(
            (
                each
                for each in self.messages
                if each.state is READY
                and (
                    not each.group_id
                    or (each is heads[each.group_id] and each.group_id not in busy)
                )
            ),
            key=lambda each: (
                (each.seq - each.priority * ageing_ns if ageing_ns else -each.priority),
                each.seq,
            ),
        )

    def blocked(self) -> int:
        """Count those that are ready and do not stand in the line."""
        return sum(each.state is READY for each in self.messages) - len(self.line())

    def weight(self, key: str) -> int:
        """Return how many messages of a key are handed out at its turn."""
        return dict(self.info.settings.fairness.weights).get(key, 1)

    def may_go_on(self, key: str, now_ns: int) -> bool:
        """Whether messages of a key may be handed out, by how many have been."""
        leased_max = self.info.settings.fairness.leased_max
        leased = sum(each.fair_key == key and each.state is LEASED for each in self.messages)
        bucket = self.buckets.get(key)
        return (not leased_max or leased < leased_max) and (
            bucket is None or bucket.level(now_ns) > 0
        )

    def settle(self, now_ns: int, taken: Collection[int] = ()) -> None:
        """See who waits for a turn now, and whose group is parked no more.

        Args:
            now_ns: the present.
            taken: as in `line`.
        """
        self.activate()
        for group_id, hold in list(self.holds.items()):
            if not self.members(group_id):
                hold.parked_ns = None
            if hold == NaiveHold():
                del self.holds[group_id]
        keys = {each.fair_key for each in self.line(taken)}
        waiting = {key for key in keys if self.may_go_on(key, now_ns)}
        for key, turn in self.turn_of.items():
            if turn.is_waiting and key not in waiting:
                self.turns.leave(turn)
        for key in sorted(waiting):
            turn = self.turn_of.setdefault(key, Turn(key, 1))
            if not turn.is_waiting:
                self.turns.enter(turn)

    def activate(self) -> None:
        """Begin to take turns with the first message, pause or limit that makes it necessary."""
        fairness = self.info.settings.fairness
        self.had_keys = self.had_keys or any(each.fair_key for each in self.messages)
        is_limited = bool(fairness.leased_max or fairness.rate.messages_per_second)
        has_groups = bool(self.holds or any(each.group_id for each in self.messages))
        if not self.is_active and (self.had_keys or is_limited or has_groups):
            self.is_active = True
            self.turns, self.turn_of = Turns(), {}

    def waiting(self) -> list[str]:
        """Return the keys that wait for a turn, in the order of their turns."""
        waiting = [each for each in self.turn_of.values() if each.is_waiting]
        return [each.of for each in sorted(waiting, key=lambda each: (each.start, each.number))]

    def head(self, taken: Collection[int] = ()) -> NaiveMessage | None:
        """Return what is next: the first one of the key whose turn it is."""
        key = self.turns.first()
        if key is None:
            return None
        return next(each for each in self.line(taken) if each.fair_key == key)

    def hand_out(
        self, most: int, now_ns: int, take: Callable[[NaiveMessage], None]
    ) -> list[NaiveMessage]:
        """Take messages, so many at most: each time the one that is next.

        Args:
            most: how many.
            now_ns: the present.
            take: takes one: out of the queue, or on lease.
        """
        taken: list[NaiveMessage] = []
        seqs: set[int] = set()
        while len(taken) < most and (message := self.head(seqs)):
            taken.append(message)
            seqs.add(message.seq)
            take(message)
            turn = self.turn_of[message.fair_key]
            turn.weight = self.weight(message.fair_key)
            self.turns.take(turn)
            if self.info.settings.fairness.rate.messages_per_second:
                self.bucket_of(message.fair_key).take(1, now_ns)
            self.settle(now_ns, seqs)
        # From here on, groups of which some were leased are busy.
        self.settle(now_ns)
        return taken

    def bucket_of(self, key: str) -> Bucket:
        """Return the bucket of a key, of those that have a rate."""
        return self.buckets.setdefault(key, Bucket(self.info.settings.fairness.rate))

    def next_ns(self, now_ns: int) -> list[int]:
        """Return when keys go on that were handed out too fast."""
        return [each.next_ns() for each in self.buckets.values() if not each.level(now_ns)]

    def start_anew(self, now_ns: int) -> None:
        """Forget all turns and buckets, and let the messages come again one after the other."""
        self.turns, self.turn_of, self.buckets = Turns(), {}, {}
        self.is_active = self.had_keys = False
        messages, holds = self.messages, self.holds
        self.messages, self.holds = [], {}
        for message in messages:
            self.messages.append(message)
            self.settle(now_ns)
        self.holds = holds
        self.settle(now_ns)

    def change(self, info: QueueInfo, now_ns: int) -> None:
        """Be something else from now on."""
        if info.settings.fairness.rate != self.info.settings.fairness.rate:
            self.buckets.clear()
        self.info = info
        self.settle(now_ns)

    def remove(self, message: NaiveMessage, now_ns: int) -> None:
        """Take a message out."""
        self.messages.remove(message)
        self.settle(now_ns)

    def park(self, message: NaiveMessage, now_ns: int) -> bool:
        """Park the group of a message that came back from a failure, if that was one too many."""
        if not (message.group_id and 0 < self.info.settings.park_after <= message.count):
            return False
        hold = self.holds.setdefault(message.group_id, NaiveHold())
        if hold.parked_ns is None:
            hold.parked_ns = now_ns
        return True

    def pause_group(self, group_id: str, now_ns: int) -> GroupInfo:
        """Hand out nothing of a group."""
        hold = self.holds.setdefault(group_id, NaiveHold())
        if hold.paused_ns is None:
            hold.paused_ns = now_ns
        self.settle(now_ns)
        return self.group(group_id)

    def resume_group(self, group_id: str, now_ns: int) -> GroupInfo:
        """Go on with a group."""
        self.holds.pop(group_id, None)
        self.settle(now_ns)
        return self.group(group_id)

    def fair_keys(self) -> list[FairKeyStats]:
        """Count the messages of each key, if there was ever one; there are few enough of them."""
        counts = []
        for key in sorted({each.fair_key for each in self.messages} if self.had_keys else ()):
            states = [each.state for each in self.messages if each.fair_key == key]
            leased = states.count(LEASED)
            counts.append(FairKeyStats(key, self.weight(key), len(states) - leased, leased))
        return counts
