"""What messages are added with, and how queues are set: drawn at random.

Two or three things are drawn at a time, since what is interesting is how they go together.
"""

from typing import Any, Final

from qmq.descriptions import Fairness, MessageOptions, Rate
from qmq.values import NS_PER_S, Overflow
from tests.store import drawing
from tests.store.drawing import Draw

#: Settings of a queue, or options of a message, by their names.
Some = dict[str, Any]


def _merged(some: list[Some], most: int) -> Draw[Some]:
    """Return what has up to so many of these."""
    drawn = drawing.lists(drawing.sampled_from(some), min_size=1, max_size=most)
    return drawn.map(lambda parts: {name: part[name] for part in parts for name in part})


#: Options of a message, if any: moments are given as seconds from now.
asked: Final = _merged(
    [
        *({"delay": seconds} for seconds in (0, 1, 5)),
        *({"available": seconds} for seconds in (-2, 1, 4)),
        *({"ttl": seconds} for seconds in (1, 6, 25)),
        *({"expires": seconds} for seconds in (2, 7)),
        *({"priority": priority} for priority in (1, 1, 2, 9)),
        *({"dedup_id": dedup_id} for dedup_id in "aaaabbc"),
        *({"group_id": group_id} for group_id in "ggggggghhhi"),
        *({"fair_key": fair_key} for fair_key in "xxyyz"),
        *({"group_id": "g", "fair_key": fair_key} for fair_key in "xy"),
        *({"group_id": "h", "fair_key": fair_key} for fair_key in ("y", "")),
        # It is of no use from its beginning.
        {"expires": 0},
        *[Some()] * 3,
    ],
    most=4,
)


def options_of(found: Some, now_ns: int) -> MessageOptions:
    """Return options that were drawn, given the present as people know it."""

    def ns(name: str, since_ns: int = 0) -> int | None:
        return since_ns + found[name] * NS_PER_S if name in found else None

    return MessageOptions(
        delay_ns=ns("delay"),
        available_ns=None if "delay" in found else ns("available", now_ns),
        ttl_ns=ns("ttl"),
        expires_ns=None if "ttl" in found else ns("expires", now_ns),
        priority=found.get("priority", 0),
        dedup_id=found.get("dedup_id", ""),
        group_id=found.get("group_id", ""),
        fair_key=found.get("fair_key", ""),
    )


_TTL: Final[list[Some]] = [
    {"ttl_ns": 4 * NS_PER_S},
    {"ttl_ns": 15 * NS_PER_S},
    {"ttl_ns": 15 * NS_PER_S, "dead_letter_expired": True},
    {"dead_letter_expired": True},
]
_ROOM: Final[list[Some]] = [
    {"bytes_limit": 400},
    {"bytes_limit": 400, "overflow": Overflow.DROP_OLDEST},
    {"bytes_limit": 6_000, "overflow": Overflow.DEAD_LETTER_OLDEST},
    {"overflow": Overflow.DROP_OLDEST},
    {"overflow": Overflow.DEAD_LETTER_OLDEST},
]
_GATES: Final[list[Some]] = [
    {"leased_max": 1},
    {"leased_max": 3},
    {"rate": Rate(messages_per_second=0.5, burst=2)},
    {"rate": Rate(messages_per_second=1.0)},
]
_ORDER: Final[list[Some]] = [
    {"delay_ns": 2 * NS_PER_S},
    {"priority_ageing_ns": NS_PER_S},
    {"priority_ageing_ns": 7 * NS_PER_S},
    {"dedup_window_ns": 2 * NS_PER_S},
]
_GROUPS: Final[list[Some]] = [
    *({"park_after": times} for times in (1, 1, 1, 1, 2, 2)),
]
_FAIRNESS: Final[list[Some]] = [
    {"fairness": fairness}
    for fairness in (
        Fairness(leased_max=1),
        Fairness(leased_max=2, weights=(("x", 3),)),
        Fairness(rate=Rate(messages_per_second=1.0)),
        Fairness(rate=Rate(messages_per_second=0.5, burst=2)),
        Fairness(leased_max=1, rate=Rate(messages_per_second=0.25, burst=3)),
        Fairness(weights=(("", 2), ("y", 3), ("z", 5))),
    )
]

#: Settings of a new queue besides those of its leases.
new_settings: Final = _merged(
    [*_TTL, *_ROOM, *_GATES, *_ORDER, *_GROUPS, *_FAIRNESS * 2, *[Some()] * 8], most=4
)

#: How keys share a queue, or that nothing is said about it any more.
other_fairness: Final = drawing.sampled_from([*_FAIRNESS, {"fairness": Fairness()}])

#: Those that change later, which may also go back to what is usual.
changed_settings: Final = _merged(
    [
        *_TTL,
        *_ROOM,
        *_GATES,
        *_ORDER,
        *_GROUPS,
        *_FAIRNESS * 2,
        {"park_after": 0},
        *({"fairness": Fairness()} for _ in range(3)),
        *({"ttl_ns": 0}, {"delay_ns": 0}, {"priority_ageing_ns": 0}),
        *({"dead_letter_expired": False}, {"dedup_window_ns": 300 * NS_PER_S}),
        *({"bytes_limit": 0}, {"overflow": Overflow.REJECT}, {"leased_max": 0}, {"rate": Rate()}),
        *[Some()] * 8,
    ],
    most=3,
)
