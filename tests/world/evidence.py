"""What follows from a history for sure, message by message: the ground that the rules stand on.

Where a history does not tell, nothing follows: what a crash may have taken back is not certain, and
what may have happened has not happened for sure.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

from qmq.values import NS_PER_S, Durability, Store
from tests.world.history import NEVER, Asked, History, Op, Shown, Taken
from tests.world.queues import QueueKind, matched

#: The least durability of what a fault does not take back, but on MEMORY.
_SURVIVES: Final = {"kill": Durability.OS, "power": Durability.FSYNC, "full": Durability.OS}
#: What takes back what was answered, or some of it.
_TAKES_BACK: Final = frozenset({"kill", "power", "stop", "full"})


class Delivery(NamedTuple):
    """That a message was handed out, to whoever got the answer."""

    op: Op
    taken: Taken
    #: Its place in the answer.
    at: int

    @property
    def queue(self) -> str:
        """The queue that it was in."""
        return self.taken.queue or self.op.queue


class Sight(NamedTuple):
    """That a message was shown."""

    op: Op
    shown: Shown
    #: Its place in the answer.
    at: int


class Fact(NamedTuple):
    """That something was so by a moment, as certain as an answer of some durability is."""

    op: Op
    #: When it was so at the earliest, and for sure.
    begin: float
    end: float
    level: Durability
    #: Which queue it was about, if not that of the call.
    of: str = ""

    @property
    def queue(self) -> str:
        """Which queue it was about."""
        return self.of or self.op.queue

    @classmethod
    def told(cls, op: Op, of: str = "") -> "Fact":
        """Return what an answer tells by itself."""
        return cls(op, op.begin, op.end, op.level, of)


@dataclass(eq=False)
class Message:
    """All that is known of one message, by its id."""

    id: str
    payload: str
    queue: QueueKind
    asked: Asked
    #: The calls that may have added it, and what tells that it was.
    attempts: list[Op] = field(default_factory=list)
    added: list[Fact] = field(default_factory=list)
    #: Whether an answer has told that one of these calls has added it.
    maker: Op | None = None
    deliveries: list[Delivery] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)
    #: That it is gone, since it was popped, acked, deleted or purged.
    removed: list[Fact] = field(default_factory=list)
    #: Calls that may have removed it, those of `removed` as well.
    removers: list[Op] = field(default_factory=list)

    @cached_property
    def gone_from(self) -> float:
        """When it may have been removed at the earliest, by what the history tells of it alone."""
        return min((op.begin for op in self.removers), default=NEVER)

    @cached_property
    def there_from(self) -> float:
        """From when on it was there for sure, unless it had gone."""
        return min((fact.end for fact in self.added), default=NEVER)

    @cached_property
    def there_until(self) -> float:
        """Until when it was there for sure, unless a crash has given it back: it was seen then."""
        seen = max((each.begin for each in self.seen_by), default=-1.0)
        return min(seen, self.gone_from)

    @property
    def seen_by(self) -> list[Op]:
        """Return the calls that have handed it out or shown it."""
        return [each.op for each in self.deliveries] + [each.op for each in self.sights]


class Evidence:
    """A history, in the order in which the rules ask."""

    def __init__(self, history: History, kinds: Mapping[str, QueueKind]) -> None:
        """Look through a history.

        Args:
            history: what happened.
            kinds: the queues, by name.
        """
        self.history = history
        self.kinds = kinds
        self.messages: dict[str, Message] = {}
        #: By payload: the calls that were to add it.
        self.attempts: defaultdict[str, list[Op]] = defaultdict(list)
        self._asked: dict[str, Asked] = {}
        #: By payload: what a schedule adds, as often as it ticks.
        self.scheduled: set[str] = set()
        self._matched: dict[str, frozenset[str]] = {}
        self._ends = [each for each in history.faults if each.verb in _TAKES_BACK]
        self._boots = [each for each in history.faults if each.verb == "boot"]
        for op in history.ops:
            for asked in op.messages:
                self.attempts[asked.payload].append(op)
                self._asked[asked.payload] = asked
            if op.verb == "put_schedule":
                self.scheduled.update(each.payload for each in op.messages)
        self._note_what_was_told()
        self._note_what_was_taken()
        self._note_what_was_removed()

    def lost_at(self, fact: Fact) -> float:
        """Return when a fault may have taken something back; NEVER if none may."""
        is_kept = self.kinds[fact.queue].store is not Store.MEMORY
        for fault in self._ends:
            # What asked for less may have been lost while its answer was on the way.
            if fault.at < fact.begin or fault.verb == ("stop" if is_kept else "full"):
                continue
            if is_kept and fact.level >= (needed := _SURVIVES[fault.verb]):
                continue
            if is_kept and fact.end <= self._covered[fault.at, needed]:
                continue
            return fault.at
        return NEVER

    @cached_property
    def _covered(self) -> dict[tuple[float, Durability], float]:
        """For each end: what had ended by then was answered, and later something more durable.

        On DISK, that is: what a q of a cluster has in hand that was succeeded, and does not know,
        is covered by nothing that another one answers.
        """
        on_disk = {each.name for each in self.kinds.values() if each.store is Store.DISK}
        return {
            (fault.at, level): max(
                (
                    op.begin
                    for op in self.history.ops
                    if op.is_ok and op.end < fault.at and op.level >= level and op.queue in on_disk
                ),
                default=-1.0,
            )
            for fault in self._ends
            for level in _SURVIVES.values()
        }

    def ends_between(self, begin: float, end: float) -> bool:
        """Whether a server has ended between two places, or gone back to what its disk held."""
        return any(begin < fault.at < end for fault in self._ends)

    def steady_ns(self, begin_s: float, end_s: float) -> tuple[int, int]:
        """Return the least and the most that the clock told that nobody sets, in an interval."""
        end_s = min(end_s, self._last_s)
        told = [self.history.steady_ns(begin_s), self.history.steady_ns(end_s)]
        for before, boot in zip([None, *self._boots], self._boots, strict=False):
            if begin_s <= boot.at_s <= end_s:
                now_ns = round(boot.at_s * NS_PER_S)
                told.append(boot.ns + now_ns)
                if before:
                    told.append(before.ns + now_ns)
        return min(told), max(told)

    @cached_property
    def _last_s(self) -> float:
        moments = [op.ended_s for op in self.history.ops if op.ended_s < math.inf]
        return max(moments, default=0.0)

    def message(self, id_: str, payload: str, queue: str) -> Message:
        """Return what is known of a message; `queue` is where it was seen."""
        if id_ not in self.messages:
            attempts = self.attempts[payload]
            home = attempts[0].target or attempts[0].queue if attempts else queue
            asked = self._asked.get(payload, Asked(payload))
            self.messages[id_] = Message(id_, payload, self.kinds[home], asked, attempts)
        return self.messages[id_]

    def _note_what_was_told(self) -> None:
        for op in self.history.ops:
            for asked, told in zip(op.messages, op.told, strict=bool(op.told)):
                message = self.message(told.id, asked.payload, op.target or op.queue)
                message.added.append(Fact.told(op, op.target))
                if not told.was_known:
                    message.maker = op

    def _note_what_was_taken(self) -> None:
        for op in self.history.ops:
            for at, taken in enumerate(op.taken):
                delivery = Delivery(op, taken, at)
                message = self.message(taken.id, taken.payload, delivery.queue)
                message.deliveries.append(delivery)
                if not taken.lease_id:
                    message.removed.append(Fact.told(op, delivery.queue))
                    message.removers.append(op)
            for at, shown in enumerate(op.shown):
                message = self.message(shown.id, shown.payload, op.queue)
                message.sights.append(Sight(op, shown, at))
                message.added.append(Fact.told(op))

    def _note_what_was_removed(self) -> None:
        by_lease: defaultdict[tuple[str, str], list[Message]] = defaultdict(list)
        for message in self.messages.values():
            for delivery in message.deliveries:
                if delivery.taken.lease_id:
                    by_lease[delivery.queue, delivery.taken.lease_id].append(message)
        for op in filter(lambda each: each.may_have_happened, self.history.ops):
            if op.verb in {"ack", "complete"}:
                self._note_acked(op, by_lease)
            elif op.verb in {"purge", "delete_queue"}:
                self._note_purged(op)
            elif op.verb == "skip_group":
                self._note_skipped(op)
            elif op.verb == "delete":
                self._note_deleted(op)

    def _note_acked(self, op: Op, by_lease: Mapping[tuple[str, str], list[Message]]) -> None:
        end, level = op.end, op.level
        if op.verb == "complete" and (seen := self._first_seen(op)):
            # What it was to add is there, so that all of it has happened.
            end, level = min(end, seen.end), seen.level if op.end == NEVER else level
        refused = op.refused or ("",) * len(op.lease_ids)
        for lease_id, why in zip(op.lease_ids, refused, strict=True):
            for message in by_lease.get((op.queue, lease_id), ()):
                if why:
                    continue
                message.removers.append(op)
                if end < NEVER:
                    message.removed.append(Fact(op, op.begin, end, level))

    def _first_seen(self, op: Op) -> Op | None:
        """Return the first call that has handed out what only another one can have added."""
        payloads = {each.payload for each in op.messages if len(self.attempts[each.payload]) == 1}
        found = [
            delivery.op
            for message in self.messages.values()
            if message.payload in payloads
            for delivery in message.deliveries
        ]
        return min(found, key=lambda each: each.end, default=None)

    def _note_skipped(self, op: Op) -> None:
        for message in self.messages.values():
            if message.queue.name == op.queue and message.asked.group_id == op.name:
                message.removers.append(op)

    def _note_deleted(self, op: Op) -> None:
        for id_, why in zip(op.ids, op.refused or ("",) * len(op.ids), strict=True):
            if message := None if why else self.messages.get(id_):
                message.removers.append(op)
                if op.is_ok:
                    message.removed.append(Fact.told(op))

    def _note_purged(self, op: Op) -> None:
        for message in self.messages.values():
            if message.queue.name == op.queue:
                message.removers.append(op)
                if op.is_ok and any(fact.end < op.begin for fact in message.added):
                    message.removed.append(Fact.told(op))

    def ended_from(self, delivery: Delivery) -> float:
        """Return when a lease may have ended by a call, at the earliest."""
        stream = delivery.op.stream
        by_calls = (
            op.begin
            for op in self._by_lease.get((delivery.queue, delivery.taken.lease_id), ())
            if op.verb != "extend" and op.may_have_happened
        )
        # The end of a stream releases what was handed out on it.
        return min(min(by_calls, default=NEVER), stream.let_go if stream else NEVER)

    def holds(self, first: Delivery, begin: float, end: float, ended_s: float) -> bool:
        """Whether one who got a message on lease had it for sure all along a call.

        Args:
            first: how that one got it.
            begin: where the call began.
            end: where it ended.
            ended_s: when it ended, by the world's time.
        """
        if not first.taken.lease_id or self.ended_from(first) < end:
            return False
        fact = Fact.told(first.op, first.queue)
        if first.op.level < Durability.FSYNC and self.ends_between(first.op.begin, end):
            return False
        if first.op.end > begin or self.lost_at(fact) < end:
            return False
        _, most_ns = self.steady_ns(first.op.began_s, ended_s)
        return most_ns < self.until_ns(first, end)

    @cached_property
    def _by_lease(self) -> dict[tuple[str, str], list[Op]]:
        found: defaultdict[tuple[str, str], list[Op]] = defaultdict(list)
        for op in self.history.ops:
            for lease_id in op.lease_ids:
                found[op.queue, lease_id].append(op)
        return dict(found)

    def until_ns(self, delivery: Delivery, place: float) -> int:
        """Return until when a lease lasts at least, as it is at a place of the history."""
        extends = [
            op
            for op in self._by_lease.get((delivery.queue, delivery.taken.lease_id), ())
            if op.verb == "extend" and op.may_have_happened and op.begin < place
        ]
        known = [delivery.taken.until_ns]
        for op in extends:
            if not op.is_ok:
                least_ns, _ = self.steady_ns(op.began_s, op.ended_s)
                known.append(least_ns + round(op.seconds * NS_PER_S))
                continue
            until_ns = op.until_ns[op.lease_ids.index(delivery.taken.lease_id)]
            is_kept = self.lost_at(Fact.told(op)) > place
            if until_ns and op.end < place and len(known) == 1 and is_kept:
                known = [until_ns]
            elif until_ns:
                known.append(until_ns)
        return min(known)

    def unknown_takers(self, queues: Iterable[str]) -> int:
        """Return how many messages may have been popped without anybody having got them."""
        names = set(queues)
        return sum(
            op.most
            for op in self.history.ops
            if op.verb in {"pop", "pop_batch"}
            and op.may_have_happened
            and not op.is_ok
            and not names.isdisjoint(self.queues_of(op))
        )

    def queues_of(self, op: Op) -> frozenset[str]:
        """Return the queues that a call may take messages of."""
        if not op.selector:
            return frozenset({op.queue})
        if op.selector not in self._matched:
            self._matched[op.selector] = matched(self.kinds, op.selector)
        return self._matched[op.selector]

    def of_queue(self, name: str) -> list[Message]:
        """Return the messages that were added to a queue."""
        return self._of_queue.get(name, [])

    @cached_property
    def _of_queue(self) -> dict[str, list[Message]]:
        found: defaultdict[str, list[Message]] = defaultdict(list)
        for message in self.messages.values():
            found[message.queue.name].append(message)
        return dict(found)
