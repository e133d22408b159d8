"""Queues, as the client describes them: frozen values, of no connection."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum, IntEnum
from typing import Literal, NamedTuple, TypeAlias

from qmq.client.options import Duration
from qmq.client.values import (
    DurabilityName,
    durability_level,
    first_value,
    member,
    moment,
    set_fields,
    span,
)
from qmq.values import UNBOUNDED, Durability, FairKeyStats, GroupState, Overflow, Store, Tag

#: What becomes of an add to a queue that is full, or the name of that.
OverflowName: TypeAlias = Overflow | Literal["REJECT", "DROP_OLDEST", "DEAD_LETTER_OLDEST"]

#: Whether a group of messages goes on, or the name of that.
GroupStateName: TypeAlias = GroupState | Literal["READY", "LEASED", "DELAYED", "PAUSED", "PARKED"]


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
        set_fields(
            self,
            base=span(base, "base"),
            factor=factor,
            max=span(max, "max"),
            jitter=jitter,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How fast messages are handed out at most. What is None is left as of `QueueSettings`."""

    #: On average: up to 1,000,000, and 0, the default, for no limit.
    messages_per_second: float | None = None
    #: How many at once after a pause: up to 1,000,000, and 0, the default, for as many as in
    #: one second.
    burst: int | None = None


@dataclass(frozen=True, slots=True, init=False)
class Fairness:
    """How messages with different fair_keys share a queue.

    They are handed out in turns, whatever their numbers are. What is None is left as of
    `QueueSettings`.
    """

    #: How many messages of one fair_key may be on lease at a time; 0, the default, is any
    #: number.
    leased_max: int | None
    #: How fast messages of one fair_key are handed out at most.
    rate: Rate | None
    #: How many messages of a fair_key are handed out at its turn, by fair_key: 1 to 1,000, and 1
    #: for those that are not named. `Queue.update` changes those that it names, and 0 forgets
    #: one.
    weights: Mapping[str, int] | None = field(hash=False)

    def __init__(
        self,
        *,
        leased_max: int | None = None,
        rate: Rate | None = None,
        weights: Mapping[str, int] | None = None,
    ) -> None:
        """Say what is wanted.

        Args:
            leased_max: 0 for any number.
            rate: how fast messages of one fair_key are handed out.
            weights: by fair_key, up to 1,000 of them.
        """
        set_fields(
            self,
            leased_max=leased_max,
            rate=rate,
            weights=None if weights is None else dict(weights),
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
    #: How long a message is kept back that says nothing about it: up to 10 years, and 0, the
    #: default, for not at all.
    delay: timedelta | None
    #: How long any message is of use: 1 ms to 10 years, and 0, the default, for ever.
    ttl: timedelta | None
    #: Whether messages of no use any more go to the dead-letter queue rather than nowhere.
    dead_letter_expired: bool | None
    #: How long the queue knows a dedup_id: 1 second to 7 days, 5 minutes by default.
    dedup_window: timedelta | None
    #: How much earlier a message seems to have come for each step of its priority: up to 1 day.
    #: 0, the default, puts those of low priority off for as long as there are others.
    priority_ageing: timedelta | None
    #: How many bytes the messages take together at most, tags and metadata included; 0, the
    #: default, is no limit.
    bytes_limit: int | None
    #: What becomes of an add to a queue that is full: REJECT, the default, refuses it;
    #: DROP_OLDEST and DEAD_LETTER_OLDEST let the oldest messages make room. None, too, if the
    #: server is newer than the client, and knows more of them.
    overflow: Overflow | None
    #: How many messages may be on lease at a time; 0, the default, is any number.
    leased_max: int | None
    #: How fast messages are handed out at most.
    rate: Rate | None
    #: How often a message of a group may fail before its group is parked: up to 1,000, and 0,
    #: the default, for never.
    park_after: int | None
    #: How messages with different fair_keys share the queue.
    fairness: Fairness | None
    #: The queue's share among those that a selector matches: 1, the default, to 1,000.
    weight: int | None

    def __init__(  # noqa: PLR0913 - All there is, each by name.
        self,
        *,
        lease_duration: Duration | None = None,
        delivery_count_max: int | None = None,
        dead_letter_queue_id: str | None = None,
        back_off: BackOff | None = None,
        durability_min: DurabilityName | None = None,
        delay: Duration | None = None,
        ttl: Duration | None = None,
        dead_letter_expired: bool | None = None,
        dedup_window: Duration | None = None,
        priority_ageing: Duration | None = None,
        bytes_limit: int | None = None,
        overflow: OverflowName | None = None,
        leased_max: int | None = None,
        rate: Rate | None = None,
        park_after: int | None = None,
        fairness: Fairness | None = None,
        weight: int | None = None,
    ) -> None:
        """Say what is wanted. The fields say what each is.

        Args:
            lease_duration: in seconds, or a timedelta.
            delivery_count_max: 0 for no maximum.
            dead_letter_queue_id: an id or name; empty for none.
            back_off: how long a failed message is kept back.
            durability_min: a level, or its name.
            delay: as `lease_duration`.
            ttl: likewise; 0 is for ever.
            dead_letter_expired: it needs a dead-letter queue.
            dedup_window: as `lease_duration`.
            priority_ageing: likewise.
            bytes_limit: 0 for no limit.
            overflow: what to do, or its name; DEAD_LETTER_OLDEST needs a dead-letter queue.
            leased_max: 0 for any number.
            rate: how fast messages are handed out.
            park_after: 0 for never.
            fairness: how messages with different fair_keys share the queue.
            weight: 1 to 1,000.

        Raises:
            ValueError: a duration is negative, or there is no such level of durability or
                overflow.
        """
        set_fields(
            self,
            lease_duration=span(lease_duration, "lease_duration"),
            delivery_count_max=delivery_count_max,
            dead_letter_queue_id=dead_letter_queue_id,
            back_off=back_off,
            durability_min=None if durability_min is None else durability_level(durability_min),
            delay=span(delay, "delay"),
            ttl=span(ttl, "ttl"),
            dead_letter_expired=dead_letter_expired,
            dedup_window=span(dedup_window, "dedup_window"),
            priority_ageing=span(priority_ageing, "priority_ageing"),
            bytes_limit=bytes_limit,
            overflow=None if overflow is None else member(Overflow, overflow, "overflow"),
            leased_max=leased_max,
            rate=rate,
            park_after=park_after,
            fairness=fairness,
            weight=weight,
        )


def differences(wanted: QueueSettings, found: QueueSettings) -> list[str]:
    """List what a queue has otherwise than it is wanted, a phrase for each setting.

    Args:
        wanted: the settings; what is None is as good as anything.
        found: those that the queue has.
    """
    return [*_differences(wanted, found, "")]


def _differences(wanted: object, found: object, path: str) -> Iterator[str]:
    if not (is_dataclass(wanted) and is_dataclass(found)):
        # A server that is older, or newer, says less.
        if found is not None and wanted != found:
            yield f"{path} is {_told(found)}, not {_told(wanted)}"
        return
    for each in fields(wanted):
        ours, theirs = getattr(wanted, each.name), getattr(found, each.name)
        # That of the queue is an id, where a name may be wanted; weights are of single fair_keys.
        is_comparable = ours is not None and each.name != "weights"
        if each.name == "dead_letter_queue_id" and ours and theirs:
            is_comparable = False
        if is_comparable:
            yield from _differences(ours, theirs, f"{path}.{each.name}".removeprefix("."))


def _told(value: object) -> str:
    return value.name if isinstance(value, Enum) else str(value) or "none"


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
        return first_value(self.tags, key, default)


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
    #: Messages that are neither on lease nor kept back.
    ready: int
    #: What those take, tags and metadata included, in bytes.
    ready_bytes: int
    #: How long the message at the head has been waiting; None if none is ready, or if all that are
    #: wait for others of their group or fair_key.
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
    #: What all messages take, tags and metadata included, in bytes.
    bytes: int = 0
    #: Messages removed since the server started: of no use any more, and to make room.
    expired_total: int = 0
    overflowed_total: int = 0
    #: Adds since the server started whose dedup_id the queue knew; and how many it knows now.
    deduplicated_total: int = 0
    dedup_ids: int = 0
    #: How many of those that are ready wait for others of their group, or for it to go on.
    blocked: int = 0
    #: Groups that have messages, or are paused or parked; and how many of these are that.
    groups: int = 0
    groups_paused: int = 0
    groups_parked: int = 0
    #: How many fair_keys its messages have.
    fair_keys: int = 0
    #: Messages that were deleted, moved here and moved elsewhere by their ids, since the server
    #: started.
    deleted_total: int = 0
    moved_in_total: int = 0
    moved_out_total: int = 0
    #: Those that most messages have, the first 10; none where all queues are asked about.
    top_fair_keys: tuple[FairKeyStats, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupInfo:
    """What a group of messages is, and what it holds."""

    id: str
    #: None if the server is newer than the client, and knows more of them.
    state: GroupState | None
    #: Messages that are not on lease, and that are.
    waiting: int
    leased: int
    #: Since when it is paused or parked: nanoseconds since the Unix epoch. None if it is not.
    since_ns: int | None = None

    @property
    def since(self) -> datetime | None:
        """Since when it is paused or parked, in UTC, to the microsecond; None if it is not."""
        return None if self.since_ns is None else moment(self.since_ns)


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
