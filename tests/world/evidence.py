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
from tests.world.history import NEVER, Asked, History, Op, Taken
from tests.world.queues import QueueKind

#: The least durability of what a fault does not take back, on DISK.
_SURVIVES: Final = {"kill": Durability.OS, "power": Durability.FSYNC}
#: What ends a server, and with it all that is in its memory.
ENDS: Final = frozenset({"kill", "power", "stop"})


class Delivery(NamedTuple):
    """That a message was handed out, to whoever got the answer."""

    op: Op
    taken: Taken
    #: Its place in the answer.
    at: int


class Fact(NamedTuple):
    """That something was so by a moment, as certain as an answer of some durability is."""

    op: Op
    #: When it was so at the earliest, and for sure.
    begin: float
    end: float
    level: Durability


@dataclass
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
    #: That it is gone, since it was popped, acked or purged.
    removed: list[Fact] = field(default_factory=list)
    #: Calls that may have removed it, those of `removed` as well.
    removers: list[Op] = field(default_factory=list)

    @property
    def gone_from(self) -> float:
        """When it may have been removed at the earliest, by what the history tells of it alone."""
        return min((op.begin for op in self.removers), default=NEVER)


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
        self._ends = [each for each in history.faults if each.verb in ENDS]
        self._boots = [each for each in history.faults if each.verb == "boot"]
        for op in history.ops:
            for asked in op.messages:
                self.attempts[asked.payload].append(op)
                self._asked[asked.payload] = asked
        self._note_what_was_told()
        self._note_what_was_taken()
        self._note_what_was_removed()

    def lost_at(self, fact: Fact) -> float:
        """Return when a fault may have taken something back; NEVER if none may."""
        is_kept = self.kinds[fact.op.queue].store is Store.DISK
        for fault in self._ends:
            # What asked for less may have been lost while its answer was on the way.
            if fault.at < fact.begin or (fault.verb == "stop" and is_kept):
                continue
            if is_kept and fact.level >= (needed := _SURVIVES[fault.verb]):
                continue
            if is_kept and fact.end <= self._covered[fault.at, needed]:
                continue
            return fault.at
        return NEVER

    @cached_property
    def _covered(self) -> dict[tuple[float, Durability], float]:
        """For each end: what had ended by then was answered, and later something more durable."""
        return {
            (fault.at, level): max(
                (
                    op.begin
                    for op in self.history.ops
                    if op.is_ok
                    and op.end < fault.at
                    and op.level >= level
                    and self.kinds[op.queue].store is Store.DISK
                ),
                default=-1.0,
            )
            for fault in self._ends
            for level in _SURVIVES.values()
        }

    def ends_between(self, begin: float, end: float) -> bool:
        """Whether a server has ended between two places."""
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
                message.added.append(Fact(op, op.begin, op.end, op.level))
                if not told.was_known:
                    message.maker = op

    def _note_what_was_taken(self) -> None:
        for op in self.history.ops:
            for at, taken in enumerate(op.taken):
                message = self.message(taken.id, taken.payload, op.queue)
                message.deliveries.append(Delivery(op, taken, at))
                if not taken.lease_id:
                    message.removed.append(Fact(op, op.begin, op.end, op.level))
                    message.removers.append(op)

    def _note_what_was_removed(self) -> None:
        by_lease: defaultdict[tuple[str, str], list[Message]] = defaultdict(list)
        for message in self.messages.values():
            for delivery in message.deliveries:
                if delivery.taken.lease_id:
                    by_lease[delivery.op.queue, delivery.taken.lease_id].append(message)
        for op in self.history.ops:
            if not op.may_have_happened:
                continue
            if op.verb in {"ack", "complete"}:
                self._note_acked(op, by_lease)
            elif op.verb in {"purge", "delete_queue"}:
                self._note_purged(op)

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

    def _note_purged(self, op: Op) -> None:
        for message in self.messages.values():
            if message.queue.name == op.queue:
                message.removers.append(op)
                if op.is_ok and any(fact.end < op.begin for fact in message.added):
                    message.removed.append(Fact(op, op.begin, op.end, op.level))

    def ended_from(self, delivery: Delivery) -> float:
        """Return when a lease may have ended by a call, at the earliest."""
        lease_id, queue = delivery.taken.lease_id, delivery.op.queue
        return min(
            (
                op.begin
                for op in self._by_lease.get((queue, lease_id), ())
                if op.verb != "extend" and op.may_have_happened
            ),
            default=NEVER,
        )

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
            for op in self._by_lease.get((delivery.op.queue, delivery.taken.lease_id), ())
            if op.verb == "extend" and op.may_have_happened and op.begin < place
        ]
        known = [delivery.taken.until_ns]
        for op in extends:
            if not op.is_ok:
                least_ns, _ = self.steady_ns(op.began_s, op.ended_s)
                known.append(least_ns + round(op.seconds * NS_PER_S))
                continue
            until_ns = op.until_ns[op.lease_ids.index(delivery.taken.lease_id)]
            if until_ns and op.end < place and len(known) == 1:
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
            and op.queue in names
            and op.may_have_happened
            and not op.is_ok
        )
