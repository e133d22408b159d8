"""What the client hands out: frozen values, apart from any connection."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from qmq.client.codecs import Codec
from qmq.client.options import Duration, seconds
from qmq.values import (
    UNBOUNDED,
    DeadLetterReason,
    Durability,
    MessageState,
    NackKind,
    Outcome,
    Store,
    Tag,
)

T = TypeVar("T")

#: Tags as a program writes them: {"kind": "greeting"}, or pairs where a key repeats.
Tags: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str] | Tag]

#: What a nack means, where a message is, why it is a dead letter: or the names of these.
NackKindName: TypeAlias = NackKind | Literal["RELEASE", "FAIL", "REJECT"]
MessageStateName: TypeAlias = MessageState | Literal["READY", "LEASED", "DELAYED"]
DeadLetterReasonName: TypeAlias = DeadLetterReason | Literal["REJECTED", "DELIVERY_COUNT_MAX"]

#: A level of durability, or its name.
DurabilityName: TypeAlias = Durability | Literal["MEMORY", "OS", "FSYNC", "REPLICATED"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def durability_level(durability: DurabilityName | None) -> Durability:
    """Return a level of durability, however it was written; None is UNKNOWN, which asks for none.

    Raises:
        KeyError: there is no such level.
    """
    if durability is None:
        return Durability.UNKNOWN
    return Durability[durability] if isinstance(durability, str) else durability


def tag_pairs(tags: Tags) -> tuple[tuple[str, str], ...]:
    """Return tags, however they were written, as pairs of key and value."""
    if not tags:
        return ()
    pairs = tags.items() if isinstance(tags, Mapping) else tags
    return tuple((tag.key, tag.value) if isinstance(tag, Tag) else tag for tag in pairs)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What q knows about a message besides its payload."""

    #: A UUID that q gave it.
    id: str
    #: When q accepted it: nanoseconds since the Unix epoch.
    created_ns: int
    #: In the order in which they were given.
    tags: tuple[Tag, ...] = ()
    #: How durable it was, at least, when the call that added it was answered; UNKNOWN if the
    #: server does not say, or is newer than the client.
    durability: Durability = Durability.UNKNOWN

    @property
    def created(self) -> datetime:
        """When q accepted it, in UTC, to the microsecond."""
        return moment(self.created_ns)

    def tag(self, key: str, default: str = "") -> str:
        """Return the value of the first tag that has the key, or the default."""
        return _first_value(self.tags, key, default)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that a message was leased, and how that ended."""

    #: What the consumer called itself; may be empty.
    consumer: str
    #: Nanoseconds since the Unix epoch, as is the end.
    leased_ns: int
    ended_ns: int
    #: None if the server is newer than the client, and knows more of them.
    outcome: Outcome | None
    #: What the consumer said why; may be empty.
    reason: str = ""

    @property
    def leased(self) -> datetime:
        """When it was leased, in UTC, to the microsecond."""
        return moment(self.leased_ns)

    @property
    def ended(self) -> datetime:
        """When that ended, in UTC, to the microsecond."""
        return moment(self.ended_ns)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a message was put into a dead-letter queue."""

    #: None if the server is newer than the client, and knows more of them.
    reason: DeadLetterReason | None
    #: What the last consumer said why; may be empty.
    text: str
    #: The id of the queue that it came from.
    source_queue_id: str
    #: When it was moved: nanoseconds since the Unix epoch.
    moved_ns: int
    #: How often it was delivered.
    delivery_count: int

    @property
    def moved(self) -> datetime:
        """When it was moved, in UTC, to the microsecond."""
        return moment(self.moved_ns)


@dataclass(frozen=True, slots=True)
class Message(Generic[T]):
    """A message, as the server hands it out."""

    #: A UUID that q gave it.
    id: str
    #: When q accepted it: nanoseconds since the Unix epoch.
    created_ns: int
    #: In the order in which they were given.
    tags: tuple[Tag, ...]
    #: The bytes as they were added.
    payload: bytes
    #: What reads the payload: that of the queue it came from.
    codec: Codec[T] = field(repr=False, compare=False)
    #: Why it is in a dead-letter queue; None of a message that is no dead letter.
    dead_letter: DeadLetter | None = field(default=None, repr=False)
    #: How it was leased before, and how that ended: the last 16 times, oldest first. A
    #: message that is leased has it, one that is browsed, and a dead letter.
    attempts: tuple[Attempt, ...] = field(default=(), repr=False)

    @property
    def created(self) -> datetime:
        """When q accepted it, in UTC, to the microsecond."""
        return moment(self.created_ns)

    @property
    def value(self) -> T:
        """The payload as the queue's codec reads it, anew each time.

        Raises:
            ValueError: the codec cannot read it; some codecs raise another error.
        """
        return self.codec.decode(self.payload)

    @property
    def text(self) -> str:
        """The payload as UTF-8 text. Raises UnicodeDecodeError, a ValueError."""
        return self.payload.decode()

    def json(self) -> Any:  # noqa: ANN401 - JSON has no better type.
        """Return the payload read as JSON. Raises json.JSONDecodeError, a ValueError."""
        return json.loads(self.payload)

    def tag(self, key: str, default: str = "") -> str:
        """Return the value of the first tag that has the key, or the default."""
        return _first_value(self.tags, key, default)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowsedMessage(Message[T]):
    """A message that somebody looks at, where it is and for how long."""

    #: None if the server is newer than the client, and knows more of them.
    state: MessageState | None
    #: How often it has been delivered; what was released does not count.
    delivery_count: int
    #: Of a leased message: what the one calls itself who has it. Otherwise empty.
    consumer: str = ""
    #: When its lease ends, or it is kept back until: nanoseconds since the Unix epoch.
    #: None of a message that is ready.
    until_ns: int | None = None
    #: How long it has been in the queue.
    age: timedelta = timedelta()

    @property
    def until(self) -> datetime | None:
        """When its lease ends, or it is kept back until, in UTC, to the microsecond."""
        return None if self.until_ns is None else moment(self.until_ns)


@dataclass(frozen=True, slots=True)
class Explanation(Generic[T]):
    """Where a message is, and why it is not being handed out now."""

    message: BrowsedMessage[T]
    #: How many messages of the queue are handed out before it, if it is ready.
    ahead: int
    #: A sentence each, the most important first.
    reasons: tuple[str, ...]


def _set(value: object, **fields: object) -> None:
    """Set the fields of a frozen value."""
    for name, content in fields.items():
        object.__setattr__(value, name, content)


def _span(duration: Duration | None, name: str) -> timedelta | None:
    return None if duration is None else timedelta(seconds=seconds(duration, name))


@dataclass(frozen=True, slots=True, init=False)
class BackOff:
    """How long a failed message is kept back before it is handed out again.

    After its nth delivery has failed: base * factor^(n-1), at most `max`, less a random share
    of that of up to `jitter`. What is None is left to the server's default or, by
    `Queue.update`, as it is; what the server says has all of it.
    """

    #: 0 to 12 hours; 1 second by default.
    base: timedelta | None
    #: 1 to 100; 2 by default.
    factor: float | None
    #: 0 to 7 days; 5 minutes by default.
    max: timedelta | None
    #: 0 to 1; 0.2 by default.
    jitter: float | None

    def __init__(
        self,
        *,
        base: Duration | None = None,
        factor: float | None = None,
        max: Duration | None = None,  # noqa: A002 - What the wire calls it.
        jitter: float | None = None,
    ) -> None:
        """Say what is wanted.

        Args:
            base: in seconds, or a timedelta.
            factor: what each further delay is multiplied by.
            max: as `base`.
            jitter: the share that chance takes off at most.

        Raises:
            ValueError: a duration is negative or no number.
        """
        _set(
            self,
            base=_span(base, "base"),
            factor=factor,
            max=_span(max, "max"),
            jitter=jitter,
        )


@dataclass(frozen=True, slots=True, init=False)
class QueueSettings:
    """How a queue hands out messages.

    What is None is left to the server's default or, by `Queue.update`, as it is; what the
    server says of a queue has all of it.
    """

    #: How long a lease lasts that asks for nothing else: 1 ms to 12 hours, 30 seconds by
    #: default.
    lease_duration: timedelta | None
    #: How often a message is delivered before it becomes a dead letter: up to 1,000, and 0,
    #: the default, for no maximum. It needs a dead-letter queue.
    delivery_count_max: int | None
    #: Where messages go that were rejected or delivered too often: the id or name of another
    #: queue in the same store; empty, the default, for none. The server says the id.
    dead_letter_queue_id: str | None
    #: How long a failed message is kept back before it is handed out again.
    back_off: BackOff | None
    #: The least durability of any change to the queue's messages.
    durability_min: Durability | None

    def __init__(
        self,
        *,
        lease_duration: Duration | None = None,
        delivery_count_max: int | None = None,
        dead_letter_queue_id: str | None = None,
        back_off: BackOff | None = None,
        durability_min: DurabilityName | None = None,
    ) -> None:
        """Say what is wanted.

        Args:
            lease_duration: in seconds, or a timedelta.
            delivery_count_max: 0 for no maximum.
            dead_letter_queue_id: an id or name; empty for none.
            back_off: how long a failed message is kept back.
            durability_min: a level, or its name.

        Raises:
            ValueError: the duration is negative or no number.
            KeyError: there is no such level of durability.
        """
        _set(
            self,
            lease_duration=_span(lease_duration, "lease_duration"),
            delivery_count_max=delivery_count_max,
            dead_letter_queue_id=dead_letter_queue_id,
            back_off=back_off,
            durability_min=None if durability_min is None else durability_level(durability_min),
        )


@dataclass(frozen=True, slots=True)
class Pause:
    """That a queue hands out no messages until it is resumed."""

    #: When it was paused: nanoseconds since the Unix epoch.
    since_ns: int
    #: Whether it takes no messages either.
    adds: bool

    @property
    def since(self) -> datetime:
        """When it was paused, in UTC, to the microsecond."""
        return moment(self.since_ns)


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """What a queue is, apart from the messages in it."""

    #: A UUID that q gave it.
    id: str
    #: Unique on the server; empty if it has none.
    name: str
    #: Where its messages live; UNKNOWN if the server is newer than the client.
    store: Store
    #: When it was made: nanoseconds since the Unix epoch.
    created_ns: int
    #: In the order in which they were added.
    tags: tuple[Tag, ...] = ()
    #: How it hands out messages.
    settings: QueueSettings = field(default=QueueSettings(), repr=False)
    #: How many messages it holds at most, ready, leased and delayed ones together; -1 is no
    #: limit.
    limit: int = UNBOUNDED
    #: Set while it is paused.
    paused: Pause | None = None

    @property
    def created(self) -> datetime:
        """When it was made, in UTC, to the microsecond."""
        return moment(self.created_ns)

    def tag(self, key: str, default: str = "") -> str:
        """Return the value of the first tag that has the key, or the default."""
        return _first_value(self.tags, key, default)


class ConsumerStats(NamedTuple):
    """Who holds leases on messages of a queue."""

    #: What the consumer calls itself; may be empty.
    consumer: str
    #: How many messages it has on lease.
    leased: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """What a queue holds now, and what went through it since the server started."""

    info: QueueInfo
    #: Messages that can be handed out.
    ready: int
    #: What those take, tags and metadata included, in bytes.
    ready_bytes: int
    #: How long the message at the head has been waiting; None if there is none.
    oldest_age: timedelta | None
    #: Calls that wait for a message.
    waiting: int
    #: Messages added and popped since the server started.
    enqueued_total: int
    consumed_total: int
    #: Most messages it holds; -1 is no limit.
    limit: int
    #: Messages that are on lease.
    leased: int = 0
    #: Messages that are kept back until a moment.
    delayed: int = 0
    #: Messages acked since the server started.
    acked_total: int = 0
    #: Messages handed out again, and made dead letters, since the server started.
    redelivered_total: int = 0
    dead_lettered_total: int = 0
    #: Messages added, and popped or acked, a second: the mean of the last minute.
    added_per_second: float = 0.0
    done_per_second: float = 0.0
    #: Who holds leases, in order of their names: the first 100.
    consumers: tuple[ConsumerStats, ...] = ()


class RedriveState(IntEnum):
    """How far a redrive is; the numbers are those of the wire."""

    #: The server is newer than the client.
    UNKNOWN = 0
    RUNNING = 1
    #: It has looked at all there was.
    DONE = 2
    #: Somebody stopped it.
    STOPPED = 3
    #: It stopped by itself; `message` says why.
    GAVE_UP = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrive:
    """A job that moves dead letters back to where they came from, or elsewhere."""

    #: A UUID.
    id: str
    #: The dead-letter queue, as it was named when the job was started.
    queue_id: str
    #: Where the messages go, likewise; empty if each goes to the queue it came from.
    target_queue_id: str
    #: Whether it counts what it would move, and moves nothing.
    dry_run: bool
    state: RedriveState
    #: When it was started: nanoseconds since the Unix epoch.
    started_ns: int
    #: When it ended; None while it is running.
    ended_ns: int | None
    #: How many dead letters it will look at, and has looked at.
    total: int
    seen: int
    #: How many of these are to be moved, and were moved.
    matched: int
    moved: int
    #: How many of those that were moved are dead letters again.
    failed_again: int
    #: What stands in its way, or why it gave up; empty if all is well.
    message: str

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.state is RedriveState.RUNNING

    @property
    def started(self) -> datetime:
        """When it was started, in UTC, to the microsecond."""
        return moment(self.started_ns)

    @property
    def ended(self) -> datetime | None:
        """When it ended, in UTC, to the microsecond; None while it is running."""
        return None if self.ended_ns is None else moment(self.ended_ns)


def moment(ns: int) -> datetime:
    """Return a moment, given in nanoseconds since the Unix epoch, in UTC."""
    # Whole numbers all the way: a float would be wrong in the last digits.
    return _EPOCH + timedelta(microseconds=ns // 1_000)


def _first_value(tags: tuple[Tag, ...], key: str, default: str) -> str:
    """Return the value of the first tag that has the key, or the default."""
    return next((tag.value for tag in tags if tag.key == key), default)
