"""The queues of a world, and what holds for each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from qmq.descriptions import BackOff, QueueSettings
from qmq.values import NS_PER_S, Store


@dataclass(frozen=True)
class QueueKind:
    """A queue, and what may be expected of it."""

    name: str
    store: Store = Store.DISK
    settings: QueueSettings = field(default_factory=QueueSettings)
    #: Nothing of it is ever leased: who pops gets what is first.
    in_order: bool = False
    #: Each message has a group; none is ever popped, or a dead letter.
    in_groups: bool = False
    #: Where its dead letters go; empty for nowhere.
    dead_letters: str = ""
    dedup_window_s: float = 0.0
    #: Messages have priorities, delays and ttls.
    has_options: bool = False
    #: It is purged, deleted and made again.
    is_doomed: bool = False
    #: Where what is made of its messages goes, by Complete; empty for nowhere.
    target: str = ""


#: Seconds for which a lease lasts that asks for nothing else, and which a dedup_id is known.
LEASE_S: Final = 4.0
WINDOW_S: Final = 12.0
_LEASES: Final = QueueSettings(lease_duration_ns=round(LEASE_S * NS_PER_S))

#: By name; those that others need come first.
QUEUES: Final[Mapping[str, QueueKind]] = {
    each.name: each
    for each in (
        QueueKind("dead", settings=_LEASES),
        QueueKind("done", settings=_LEASES),
        QueueKind("plain", in_order=True),
        QueueKind("urgent", in_order=True, has_options=True),
        QueueKind(
            "jobs",
            settings=QueueSettings(
                lease_duration_ns=round(LEASE_S * NS_PER_S),
                delivery_count_max=3,
                dead_letter_queue_id="dead",
                back_off=BackOff(base_ns=NS_PER_S),
                dedup_window_ns=round(WINDOW_S * NS_PER_S),
            ),
            dead_letters="dead",
            dedup_window_s=WINDOW_S,
            target="done",
        ),
        QueueKind("groups", settings=_LEASES, in_groups=True),
        QueueKind("memory", store=Store.MEMORY, settings=_LEASES),
        QueueKind("doomed", is_doomed=True, in_order=True),
    )
}
