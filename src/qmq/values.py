"""Frozen values that all rooms share."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Final, NamedTuple

#: Nanoseconds in a second.
NS_PER_S: Final = 1_000_000_000

#: The limit of a queue that has none.
UNBOUNDED = -1


class Store(IntEnum):
    """Where a queue's messages live; the numbers are those of the wire."""

    UNKNOWN = 0
    MEMORY = 1
    DISK = 2
    CLUSTER = 3


@dataclass(frozen=True, slots=True)
class Tag:
    """A label. Queues and messages have a set of them, kept in order of arrival."""

    key: str
    value: str


class Durability(IntEnum):
    """How durable a change is when it is answered; the numbers are those of the wire."""

    #: Of a request: as durable as the store makes it.
    UNKNOWN = 0
    MEMORY = 1
    OS = 2
    FSYNC = 3
    REPLICATED = 4


#: How durable a store makes a change at most. With synchronous standbys CLUSTER makes it
#: REPLICATED, which is known only where the database is.
DURABILITY_MAX: Final = {
    Store.MEMORY: Durability.MEMORY,
    Store.DISK: Durability.FSYNC,
    Store.CLUSTER: Durability.FSYNC,
}


class ServerRole(IntEnum):
    """What a q does; the numbers are those of the wire."""

    #: It shares its queues with nobody.
    ALONE = 1
    #: Of a cluster: it serves all queues.
    LEADER = 2
    #: Of a cluster: it sends calls on to the leader.
    FOLLOWER = 3


class WarningLevel(IntEnum):
    """How bad it is what a server warns of; the numbers are those of the wire."""

    #: Good to know: it may be meant.
    NOTE = 1
    #: It will do harm, or keeps what was promised from being true, unless somebody does something.
    WARNING = 2
    #: Calls fail for it.
    CRITICAL = 3


class Outcome(IntEnum):
    """How a lease ended; the numbers are those of the wire."""

    RELEASED = 1
    FAILED = 2
    REJECTED = 3
    EXPIRED = 4


class NackKind(IntEnum):
    """What a nack means; the numbers are those of the wire."""

    RELEASE = 1
    FAIL = 2
    REJECT = 3


class DeadLetterReason(IntEnum):
    """Why a message is a dead letter; the numbers are those of the wire."""

    REJECTED = 1
    DELIVERY_COUNT_MAX = 2
    #: It was of no use any more.
    EXPIRED = 3
    #: It was the oldest one in a queue that was full.
    OVERFLOW = 4
    #: Somebody took it out of its group.
    SKIPPED = 5


class Overflow(IntEnum):
    """What becomes of an Add to a queue that is full; the numbers are those of the wire."""

    #: It is refused.
    REJECT = 1
    #: The oldest messages make room, and are gone.
    DROP_OLDEST = 2
    #: The oldest messages make room, and are dead letters.
    DEAD_LETTER_OLDEST = 3


class MessageState(IntEnum):
    """Where a message of a queue is; the numbers are those of the wire."""

    READY = 1
    LEASED = 2
    DELAYED = 3


class GroupState(IntEnum):
    """Whether a group of messages goes on; the numbers are those of the wire."""

    #: Its first message can be handed out.
    READY = 1
    #: Some of its messages are on lease.
    LEASED = 2
    #: Its first message is kept back until a moment.
    DELAYED = 3
    #: Somebody has paused it.
    PAUSED = 4
    #: A message has failed too often.
    PARKED = 5


class Attempt(NamedTuple):
    """One time that a message was handed out on lease, and how that ended."""

    #: Which delivery of the message it was, from 1.
    fence: int
    #: What the consumer called itself, or "".
    consumer: str
    #: Nanoseconds since the Unix epoch, as are the others.
    leased_ns: int
    ended_ns: int
    outcome: Outcome
    #: What the consumer said why, or "".
    reason: str


class DeadLetter(NamedTuple):
    """Why a message is a dead letter."""

    reason: DeadLetterReason
    #: What the last consumer said why, or "".
    text: str
    source_queue_id: str
    #: Nanoseconds since the Unix epoch.
    moved_ns: int
    delivery_count: int


class FairKeyStats(NamedTuple):
    """What a queue holds with one fair_key."""

    #: Empty stands for the messages that have none.
    fair_key: str
    weight: int
    #: Messages that are not on lease.
    waiting: int
    leased: int


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def utc(ns: int) -> str:
    """Write a moment, given in nanoseconds since the Unix epoch, for people to read.

    To the millisecond, as RFC 3339 has it: 2026-11-24T21:00:00.000Z.
    """
    moment = _EPOCH + timedelta(microseconds=ns // 1_000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1_000:03}Z"
