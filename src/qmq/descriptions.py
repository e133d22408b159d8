"""How queues, their settings, groups and messages to add are described: frozen values.

They are apart from the values that the client needs too, since making such classes takes a good
part of the client's time to import.
"""

from dataclasses import dataclass
from typing import NamedTuple

from qmq.values import (
    NS_PER_S,
    UNBOUNDED,
    Durability,
    FairKeyStats,
    GroupState,
    Overflow,
    Store,
    Tag,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOff:
    """How long a failed message is kept back before it is handed out again."""

    base_ns: int = NS_PER_S
    factor: float = 2.0
    max_ns: int = 300 * NS_PER_S
    #: The share of the delay, 0 to 1, that chance takes off at most.
    jitter: float = 0.2

    def delay_ns(self, delivery_count: int, chance: float) -> int:
        """Return the delay after a delivery has failed.

        Args:
            delivery_count: which delivery it was, from 1.
            chance: 0 to 1; decides how much of the jitter is taken off.
        """
        try:
            delay = self.base_ns * self.factor ** (delivery_count - 1)
        except OverflowError:
            delay = float(self.max_ns if self.base_ns else 0)
        return round(min(delay, self.max_ns) * (1 - self.jitter * chance))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How fast messages are handed out at most."""

    #: On average; 0 is no limit.
    messages_per_second: float = 0.0
    #: How many at once after a pause; 0 stands for as many as in one second.
    burst: int = 0

    @property
    def burst_max(self) -> int:
        """How many at once after a pause, at least 1."""
        return self.burst or max(1, int(self.messages_per_second))


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageOptions:
    """When a message is handed out, and how often it is added."""

    #: How long it is kept back; None leaves that to the queue.
    delay_ns: int | None = None
    #: The same as a moment, in nanoseconds since the Unix epoch; one of the two at most.
    available_ns: int | None = None
    #: How long it is of use; None is for ever, or as the queue says.
    ttl_ns: int | None = None
    #: The same as a moment, in nanoseconds since the Unix epoch; one of the two at most.
    expires_ns: int | None = None
    #: 0 to 255: the higher, the sooner it is handed out.
    priority: int = 0
    #: Stands for what the message is about; empty for nothing.
    dedup_id: str = ""
    #: Messages of one group are handed out one after the other; empty for none.
    group_id: str = ""
    #: Messages with different ones are handed out in turns; empty is one like the others.
    fair_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fairness:
    """How messages with different fair_keys share a queue."""

    #: How many of one key may be on lease at a time; 0 is any number.
    leased_max: int = 0
    #: How fast those of one key are handed out.
    rate: Rate = Rate()
    #: How many of a key are handed out at its turn, by key, in the order of the keys; 1 of others.
    weights: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """How a queue hands out messages."""

    lease_duration_ns: int = 30 * NS_PER_S
    #: How often a message is delivered before it is a dead letter; 0 is no maximum.
    delivery_count_max: int = 0
    #: A UUID, or empty for none.
    dead_letter_queue_id: str = ""
    back_off: BackOff = BackOff()
    #: The least durability of any change to the queue's messages.
    durability_min: Durability = Durability.MEMORY
    #: How long a message is kept back that says nothing about it.
    delay_ns: int = 0
    #: How long any message is of use; 0 is for ever.
    ttl_ns: int = 0
    #: Whether messages of no use any more go to the dead-letter queue.
    dead_letter_expired: bool = False
    #: How long the queue knows the dedup_id of a message.
    dedup_window_ns: int = 300 * NS_PER_S
    #: How much earlier a message seems to have come for each step of its priority; 0 puts those
    #: of low priority off for as long as there are others.
    priority_ageing_ns: int = 0
    #: How many bytes the messages take together at most; 0 is no limit.
    bytes_limit: int = 0
    overflow: Overflow = Overflow.REJECT
    #: How many messages may be on lease at a time; 0 is any number.
    leased_max: int = 0
    rate: Rate = Rate()
    #: How often a message of a group may fail before its group is parked; 0 is for never.
    park_after: int = 0
    fairness: Fairness = Fairness()
    #: The queue's share among those that a selector matches.
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """That a queue hands out no messages."""

    #: Nanoseconds since the Unix epoch.
    since_ns: int
    #: Whether it takes none either.
    adds: bool


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class QueueInfo:
    """What a queue is, apart from the messages in it."""

    #: UUID in its canonical lower-case form.
    id: str
    #: Nanoseconds since the Unix epoch.
    created_ns: int
    #: Never UNKNOWN.
    store: Store
    #: Most messages it holds; UNBOUNDED or at least 1.
    limit: int = UNBOUNDED
    #: Unique, or empty.
    name: str = ""
    tags: tuple[Tag, ...] = ()
    settings: QueueSettings = QueueSettings()
    pause: Pause | None = None
    #: Which of a cluster's databases it lives in, as its id tells: 0 is the first, and what
    #: all queues have that are not CLUSTER.
    shard: int = 0

    def __hash__(self) -> int:
        """Hash the id alone: who goes through all queues looks up what is known of each."""
        return hash(self.id)

    @property
    def home(self) -> tuple[Store, int]:
        """Where it lives: what one step is to change has to live in the same."""
        return self.store, self.shard


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupInfo:
    """What a group is, and what it holds."""

    id: str
    state: GroupState
    #: Messages that are not on lease.
    waiting: int
    leased: int
    #: Since when it is paused or parked, in nanoseconds since the Unix epoch; 0 if it is not.
    since_ns: int = 0


class QueueStats(NamedTuple):
    """What a queue holds, and what went through it since the server started."""

    info: QueueInfo
    #: Messages that are neither on lease nor kept back.
    ready: int
    #: What those take, in bytes.
    ready_bytes: int
    #: Age of the message at the head in nanoseconds; None if none stands there.
    oldest_age_ns: int | None
    #: Calls that wait for a message.
    waiting: int
    enqueued_total: int
    consumed_total: int
    leased: int = 0
    delayed: int = 0
    acked_total: int = 0
    redelivered_total: int = 0
    dead_lettered_total: int = 0
    added_per_second: float = 0.0
    done_per_second: float = 0.0
    #: How many messages each consumer has on lease, by name.
    consumers: tuple[tuple[str, int], ...] = ()
    #: What all messages take, in bytes.
    bytes: int = 0
    expired_total: int = 0
    overflowed_total: int = 0
    deduplicated_total: int = 0
    #: How many dedup_ids the queue knows.
    dedup_ids: int = 0
    #: How many of those that are ready wait for others of their group, or for it to go on.
    blocked: int = 0
    groups: int = 0
    groups_paused: int = 0
    groups_parked: int = 0
    #: How many fair_keys its messages have.
    fair_keys: int = 0
    #: Deleted, moved here and moved elsewhere by their ids.
    deleted_total: int = 0
    moved_in_total: int = 0
    moved_out_total: int = 0
    #: Those that most messages have; left out where many queues are told of.
    top_fair_keys: tuple[FairKeyStats, ...] = ()
