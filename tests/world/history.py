"""What happened in a world, as those saw it who live there.

A call is answered, refused, or nobody knows what has become of it. Who judges by a history knows
which of two calls came first only if one had ended when the other began: so moments are places
in the history, and seconds are there for what lasts a given time.
"""

import hashlib
import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from qmq.testing import START_NS
from qmq.values import NS_PER_S, Durability, NackKind

#: The place of what has never come.
NEVER: Final = math.inf


class Outcome(Enum):
    """What a client knows of a call."""

    OK = "ok"
    #: It was refused, and has changed nothing.
    FAIL = "fail"
    #: It may have happened, or may yet happen.
    UNKNOWN = "unknown"


class Asked(NamedTuple):
    """A message that is to be added."""

    payload: str
    delay_s: float = 0.0
    #: 0 for ever.
    ttl_s: float = 0.0
    priority: int = 0
    dedup_id: str = ""
    group_id: str = ""
    fair_key: str = ""
    #: Whether its delay and ttl are asked for as moments, by the machine's clock.
    by_moment: bool = False


class Told(NamedTuple):
    """What is answered of a message that was added."""

    id: str
    #: Whether its dedup_id was known, and the id is that of the first one.
    was_known: bool = False


class Taken(NamedTuple):
    """A message that was handed out."""

    id: str
    payload: str
    #: Empty for one that was popped.
    lease_id: str = ""
    #: When the lease ends, by the clock that nobody sets.
    until_ns: int = 0
    #: Which queue it was in, if the call was about those that a selector matches.
    queue: str = ""

    @property
    def line(self) -> int:
        """The number of a leased message: it has another one when it has moved.

        It is the moment in which it came to its queue, by the clock that nobody sets, or hardly
        more.
        """
        return int(self.lease_id.partition("-")[0], 16)

    @property
    def fence(self) -> int:
        """How often a leased message was handed out."""
        return int(self.lease_id.partition("-")[2], 16)


class Shown(NamedTuple):
    """A message that was shown, and stays where it is."""

    id: str
    payload: str
    #: READY, LEASED or DELAYED; empty for one that was peeked at.
    state: str = ""


class Ticks(NamedTuple):
    """What has become of the ticks of a schedule: what was added, and what was not, and why."""

    added: int
    missed: int
    refused: int
    deduplicated: int

    @property
    def passed(self) -> int:
        """How many ticks there were."""
        return sum(self)


@dataclass(eq=False)
class Op:
    """One call of one client."""

    number: int
    client: str
    verb: str
    queue: str
    begin: float
    began_s: float
    #: How durable what was answered is.
    level: Durability = Durability.FSYNC
    #: What was asked for, if the queue insists on more.
    asks: Durability = Durability.UNKNOWN
    #: Of what is about all queues that it matches; `queue` is what it is called then.
    selector: str = ""
    #: Of what is about single messages: which.
    ids: tuple[str, ...] = ()
    #: Of what adds.
    messages: tuple[Asked, ...] = ()
    #: Which queue a Complete adds to.
    target: str = ""
    #: Of what is about leases.
    lease_ids: tuple[str, ...] = ()
    kind: NackKind = NackKind.RELEASE
    #: Of what takes: how many messages at most, and for how long it waits.
    most: int = 0
    seconds: float = 0.0
    #: Of what is about one group or schedule, or one redrive: which.
    name: str = ""
    #: Of a pause: whether nothing is added either. Of a redrive: whether nothing is moved. Of a
    #: schedule: whether it stands still.
    flag: bool = False
    #: What is shown, if not everything: a state, a group_id, a fair_key.
    state: str = ""
    group_id: str = ""
    fair_key: str = ""
    #: Of what hands out messages on a stream, or opens one: the call that has opened it.
    stream: "Op | None" = None
    #: Of what has opened a stream: when its leases may have ended with it, at the earliest.
    let_go: float = NEVER
    outcome: Outcome = Outcome.UNKNOWN
    end: float = NEVER
    ended_s: float = NEVER
    #: Of what has added.
    told: tuple[Told, ...] = ()
    #: Of what has taken.
    taken: tuple[Taken, ...] = ()
    #: Of what was about leases, or single messages: for each, nothing or why it was refused.
    refused: tuple[str, ...] = ()
    #: Of an Extend: when each lease ends.
    until_ns: tuple[int, ...] = ()
    #: Of what counts.
    count: int = -1
    #: Of redrives: those that something stands in the way of. The others that go on are counted.
    names: tuple[str, ...] = ()
    #: Of what shows, and whether that is all there is.
    shown: tuple[Shown, ...] = ()
    is_all: bool = False
    #: Of a schedule.
    ticks: Ticks | None = None
    #: Why it was refused, or nobody knows.
    why: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether it was answered."""
        return self.outcome is Outcome.OK

    @property
    def may_have_happened(self) -> bool:
        """Whether it was not refused."""
        return self.outcome is not Outcome.FAIL

    def asked(self) -> str:
        """Tell what was asked for."""
        parts = [f"#{self.number} {self.client} {self.verb} {self.queue}", self.level.name]
        parts += [_without_defaults(each) for each in self.messages]
        parts += self.ids
        parts += [*self.lease_ids, f"target={self.target}"] if self.target else self.lease_ids
        if self.verb == "nack":
            parts.append(self.kind.name)
        if self.most:
            parts.append(f"most={self.most}")
        if self.seconds:
            parts.append(f"seconds={self.seconds:g}")
        if self.asks is not Durability.UNKNOWN:
            parts.append(f"asks={self.asks.name}")
        parts += [self.selector, self.name, self.state, self.group_id, self.fair_key]
        parts.append("flag" * self.flag)
        if self.stream and self.stream is not self:
            parts.append(f"on #{self.stream.number}")
        return " ".join(filter(None, parts))

    def answered(self) -> str:
        """Tell what was answered."""
        parts = [f"#{self.number} {self.outcome.value}", self.why]
        parts += [each.id + " (known)" * each.was_known for each in self.told]
        parts += [" ".join(map(str, filter(None, each))) for each in self.taken]
        parts += [each or "done" for each in self.refused]
        parts += map(str, self.until_ns)
        if self.count >= 0:
            parts.append(str(self.count))
        parts += [" ".join(filter(None, each)) for each in self.shown]
        parts.append("all" * self.is_all)
        if self.ticks:
            parts.append(str(tuple(self.ticks)))
        return " ".join(filter(None, parts))


class Fault(NamedTuple):
    """What happened to the server or its clock."""

    #: `kill`, `power`, `stop` (it was told to end), `broken` (a write failed), `full` (the same for
    #: want of room), `room` (there is some again), `boot` or `set` (the machine's clock).
    verb: str
    at: float
    at_s: float
    #: Of a boot: what its clock that nobody sets is ahead of the history's; of `set`: by how much.
    ns: int = 0


@dataclass
class History:
    """All that happened, in order."""

    ops: list[Op] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    #: How many things have happened.
    length: int = 0
    #: When each of them happened, by the world's time.
    moments_s: list[float] = field(default_factory=list)
    #: Where the last messages began to be taken out, since nothing else happens any more.
    drained_from: float = NEVER
    #: From where on all that was due by itself has come about, if servers had to wait for others.
    settled_from: float = -1.0

    def begin(self, op: Op) -> Op:
        """Take note that a call was made; it has its place now."""
        op.number, op.begin = len(self.ops) + 1, self._next(op.began_s)
        self.ops.append(op)
        self._tell(op.began_s, f"invoke {op.asked()}")
        return op

    def end(self, op: Op, outcome: Outcome, now_s: float, why: str = "") -> None:
        """Take note what a client knows of its call."""
        op.outcome, op.ended_s, op.why = outcome, now_s, why
        place = self._next(now_s)
        # What is unknown may happen at any time.
        op.end = NEVER if outcome is Outcome.UNKNOWN else place
        self._tell(now_s, op.answered())

    def note(self, verb: str, now_s: float, ns: int = 0) -> None:
        """Take note of a fault."""
        self.faults.append(Fault(verb, self._next(now_s), now_s, ns))
        self._tell(now_s, f"server {verb}" + f" {ns}" * bool(ns))

    def steady_ns(self, at_s: float) -> int:
        """Return what the server's clock that nobody sets told at a moment."""
        ahead_ns = 0
        for fault in self.faults:
            if fault.verb == "boot" and (fault.at_s <= at_s or not ahead_ns):
                ahead_ns = fault.ns
        return ahead_ns + round(at_s * NS_PER_S)

    def world_s(self, steady_ns: int) -> float:
        """Return the world's time at which the server's clock that nobody sets told a moment."""
        boots = [each.ns for each in self.faults if each.verb == "boot"]
        return (steady_ns - boots[-1]) / NS_PER_S if boots else 0.0

    def wall_ns(self, at_s: float) -> int:
        """Return what the machine's clock told at a moment; that it was set then counts."""
        set_ns = sum(each.ns for each in self.faults if each.verb == "set" and each.at_s <= at_s)
        return START_NS + round(at_s * NS_PER_S) + set_ns

    def digest(self) -> str:
        """Return what is the same for two histories only if they are."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()

    def last(self, lines: int) -> Iterable[str]:
        """Return the last lines."""
        return self.lines[-lines:]

    def place_at(self, at_s: float) -> float:
        """Return the place of a moment: after all that happened before, with some ns to spare."""
        return bisect_left(self.moments_s, at_s - 1e-6) + 0.5

    def _next(self, now_s: float) -> float:
        self.length += 1
        self.moments_s.append(now_s)
        return self.length

    def _tell(self, now_s: float, text: str) -> None:
        self.lines.append(f"{now_s:.6f} {text}")


def _without_defaults(asked: Asked) -> str:
    said = [
        f"{name}={value}"
        for name, value in asked._asdict().items()
        if value != asked._field_defaults.get(name)
    ]
    return f"({', '.join(said)})"
