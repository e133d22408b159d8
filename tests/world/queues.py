"""The queues of a world, and what holds for each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from qmq.descriptions import BackOff, Fairness, QueueSettings, Rate
from qmq.values import NS_PER_S, UNBOUNDED, Durability, Overflow, Store, Tag


@dataclass(frozen=True)
class QueueKind:
    """A queue, and what may be expected of it."""

    name: str
    store: Store = Store.DISK
    settings: QueueSettings = field(default_factory=QueueSettings)
    #: Most messages.
    limit: int = UNBOUNDED
    #: Nothing of it is ever leased: who pops gets what is first.
    in_order: bool = False
    #: Messages have groups; none is ever a dead letter.
    in_groups: bool = False
    #: Messages have fair_keys.
    in_turns: bool = False
    #: Where its dead letters go; empty for nowhere.
    dead_letters: str = ""
    #: Messages have dedup_ids.
    has_dedup_ids: bool = False
    #: Messages have priorities, delays and ttls.
    has_options: bool = False
    #: It is purged, deleted and made again.
    is_doomed: bool = False
    #: It is paused now and then, or groups of it.
    is_paused: bool = False
    #: Messages are added by schedules as well, see `SCHEDULES`.
    is_scheduled: bool = False
    #: Selectors match it.
    is_pooled: bool = False
    #: Where what is made of its messages goes, by Complete; empty for nowhere.
    target: str = ""
    #: On which of a cluster's databases it lives; empty where there is one.
    shard: str = ""

    @property
    def dedup_window_s(self) -> float:
        """For how long a dedup_id is known."""
        return self.settings.dedup_window_ns / NS_PER_S if self.has_dedup_ids else 0.0

    @property
    def drops(self) -> bool:
        """Whether messages make room for others."""
        is_bounded = self.limit != UNBOUNDED
        return is_bounded and self.settings.overflow is not Overflow.REJECT

    @property
    def tags(self) -> tuple[Tag, ...]:
        """By which selectors match it, and which say where it lives."""
        pool = Tag("pool", "popped" if self.in_order else "leased")
        shard = Tag("shard", self.shard)
        return (*(pool,) * self.is_pooled, *(shard,) * bool(self.shard))


#: Seconds for which a lease lasts that asks for nothing else, and which a dedup_id is known.
LEASE_S: Final = 4.0
WINDOW_S: Final = 12.0
_LEASE_NS: Final = round(LEASE_S * NS_PER_S)
_WINDOW_NS: Final = round(WINDOW_S * NS_PER_S)
#: What has failed comes back before a world ends.
_BACK_OFF: Final = BackOff(base_ns=NS_PER_S, max_ns=20 * NS_PER_S)
_LEASES: Final = QueueSettings(lease_duration_ns=_LEASE_NS, back_off=_BACK_OFF)

#: Match those that are pooled: what is leased now and then, and what is only popped.
LEASED: Final = "pool=leased"
POPPED: Final = "pool=popped"

#: The fair_keys; most messages are of the first.
FAIR_KEYS: Final = ("a", "b", "c")
_WEIGHTS: Final = (("b", 2),)

#: Seconds from one tick to the next of a schedule, by its name; 0 for one each minute, as an
#: expression says. What is fleeting is deleted and made again.
SCHEDULES: Final[Mapping[str, float]] = {"beat": 1.5, "minute": 0.0, "fleeting": 1.0}
CRON: Final = "* * * * *"

_JOBS: Final = QueueSettings(
    lease_duration_ns=_LEASE_NS,
    delivery_count_max=3,
    dead_letter_queue_id="dead",
    back_off=_BACK_OFF,
    dedup_window_ns=_WINDOW_NS,
)

#: Those of which each world has some.
_KINDS: Final = (
    QueueKind("plain", in_order=True, is_paused=True, is_pooled=True),
    QueueKind("urgent", in_order=True, has_options=True),
    QueueKind("jobs", settings=_JOBS, dead_letters="dead", has_dedup_ids=True, target="done"),
    QueueKind(
        "groups", settings=_LEASES, in_groups=True, is_paused=True, is_pooled=True, target="done"
    ),
    QueueKind("memory", store=Store.MEMORY, settings=_LEASES, is_pooled=True),
    QueueKind("doomed", is_doomed=True, in_order=True),
    QueueKind("capped", in_order=True, limit=4),
    QueueKind(
        "latest", in_order=True, limit=5, settings=QueueSettings(overflow=Overflow.DROP_OLDEST)
    ),
    QueueKind(
        "shared",
        settings=QueueSettings(
            lease_duration_ns=_LEASE_NS,
            back_off=_BACK_OFF,
            leased_max=5,
            fairness=Fairness(weights=_WEIGHTS),
        ),
        in_turns=True,
        target="done",
    ),
    QueueKind(
        "keyed",
        settings=QueueSettings(
            lease_duration_ns=_LEASE_NS, back_off=_BACK_OFF, fairness=Fairness(leased_max=2)
        ),
        in_turns=True,
        is_pooled=True,
    ),
    QueueKind(
        "slow",
        in_order=True,
        settings=QueueSettings(rate=Rate(messages_per_second=2.0, burst=3)),
    ),
    QueueKind(
        "ticking",
        settings=QueueSettings(
            lease_duration_ns=_LEASE_NS, back_off=_BACK_OFF, durability_min=Durability.FSYNC
        ),
        is_scheduled=True,
        target="done",
    ),
)

#: Those that others need.
_NEEDED: Final = (QueueKind("dead", settings=_LEASES), QueueKind("done", settings=_LEASES))

#: How many of the others are in a world, and how many that have anything whatsoever.
_CHOSEN: Final = 5
_MIXED: Final = 3


def by_name(kinds: Iterable[QueueKind]) -> Mapping[str, QueueKind]:
    """Return queues by their names, in an order in which they can be made."""
    return {each.name: each for each in (*_NEEDED, *kinds)}


#: One with each thing that there is.
QUEUES: Final = by_name(_KINDS)


def some_queues(chance: Random) -> Mapping[str, QueueKind]:
    """Return the queues of one world, by name; those that others need come first."""
    chosen = sorted(chance.sample(range(len(_KINDS)), _CHOSEN))
    mixed = [_mixed(f"mix{number}", chance) for number in range(_MIXED)]
    return by_name([*(_KINDS[at] for at in chosen), *mixed])


def in_a_cluster(
    kinds: Mapping[str, QueueKind], shards: Sequence[str], chance: Random
) -> Mapping[str, QueueKind]:
    """Return the same queues in a cluster.

    None is in MEMORY: each q has its own of those, also one that does not know that it was
    succeeded. Those between which messages go are on the first of several databases.
    """
    found = {}
    for kind in kinds.values():
        is_tied = kind in _NEEDED or kind.dead_letters or kind.target
        shard = shards[0] if is_tied else chance.choice(shards)
        found[kind.name] = replace(
            kind, store=Store.CLUSTER, shard=shard if len(shards) > 1 else ""
        )
    return found


def _mixed(name: str, chance: Random) -> QueueKind:
    """Return a queue that has anything that goes together."""

    def may_be(share: float) -> bool:
        return chance.random() < share

    store = Store.DISK if may_be(0.75) else Store.MEMORY
    in_order, in_groups, in_turns = may_be(0.4), may_be(0.35), may_be(0.35)
    has_options, has_dedup_ids, is_scheduled = may_be(0.35), may_be(0.3), may_be(0.3)
    # What was a dead letter once is at another place of the order, and its ttl is over.
    may_die = store is Store.DISK and not (in_order or in_groups or has_options or is_scheduled)
    dead_letters = "dead" if may_die and may_be(0.6) else ""
    overflow = chance.choice((Overflow.REJECT, Overflow.DROP_OLDEST))
    if dead_letters:
        overflow = chance.choice((Overflow.REJECT, Overflow.DEAD_LETTER_OLDEST))
    if is_scheduled:
        overflow = Overflow.REJECT
    is_kept_well = store is Store.DISK and (is_scheduled or may_be(0.2))
    settings = QueueSettings(
        lease_duration_ns=_LEASE_NS,
        delivery_count_max=chance.choice((0, 2, 4)) if dead_letters else 0,
        dead_letter_queue_id=dead_letters,
        back_off=_BACK_OFF,
        durability_min=Durability.FSYNC if is_kept_well else Durability.MEMORY,
        dedup_window_ns=_WINDOW_NS,
        overflow=overflow,
        leased_max=chance.randint(2, 6) if may_be(0.3) else 0,
        rate=Rate(messages_per_second=3.0, burst=2) if may_be(0.3) else Rate(),
        fairness=Fairness(
            leased_max=chance.randint(1, 3) if in_turns and may_be(0.4) else 0,
            weights=_WEIGHTS if in_turns else (),
        ),
        weight=chance.choice((1, 1, 3)),
    )
    return QueueKind(
        name,
        store=store,
        settings=settings,
        limit=chance.randint(3, 12) if may_be(0.4) else UNBOUNDED,
        in_order=in_order,
        in_groups=in_groups,
        in_turns=in_turns,
        dead_letters=dead_letters,
        has_dedup_ids=has_dedup_ids,
        has_options=has_options,
        is_paused=may_be(0.3),
        is_scheduled=is_scheduled,
        is_pooled=may_be(0.5),
        target="done" if store is Store.DISK and may_be(0.5) else "",
    )


def matched(kinds: Mapping[str, QueueKind], selector: str) -> frozenset[str]:
    """Return the names of the queues that a selector matches."""
    return frozenset(
        each.name
        for each in kinds.values()
        if any(f"{tag.key}={tag.value}" == selector for tag in each.tags)
    )


def most_durable(kind: QueueKind) -> Durability:
    """Return how durable a queue can keep what is asked of it."""
    return Durability.MEMORY if kind.store is Store.MEMORY else Durability.FSYNC
