"""Between the settings of queues on the wire and their values: checks come with it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from google.protobuf.message import Message

from qmq.descriptions import BackOff, Fairness, QueueSettings, Rate
from qmq.errors import InvalidArgument
from qmq.limits import (
    BURST_MAX,
    DEDUP_WINDOW_S_MAX,
    DEDUP_WINDOW_S_MIN,
    DELIVERY_COUNT_MAX,
    FAIR_KEY_BYTES_MAX,
    LEASE_S_MAX,
    PARK_AFTER_MAX,
    PRIORITY_AGEING_S_MAX,
    RATE_MAX,
    RATE_MIN,
    WEIGHT_MAX,
    WEIGHTS_MAX,
)
from qmq.values import NS_PER_S, Durability, Overflow
from qmq.wire import q_pb2 as pb
from qmq.wire.choices import choice
from qmq.wire.ids import checked_id
from qmq.wire.times import AHEAD, DELAY, LEASE, TTL, Span, duration_message, duration_ns

#: How long each of the settings may last that are durations.
_SPANS: Final = {
    "lease_duration": LEASE,
    "delay": AHEAD,
    "dedup_window": Span(
        DEDUP_WINDOW_S_MIN * NS_PER_S, DEDUP_WINDOW_S_MAX * NS_PER_S, "1 second to 7 days"
    ),
    "priority_ageing": Span(0, PRIORITY_AGEING_S_MAX * NS_PER_S, "0 to 1 day"),
}
#: In a queue, 0 is no ttl.
_TTL: Final = TTL._replace(text=f"{TTL.text}, or 0 for ever")

#: The lowest and highest value of each of the settings that are counts, and in words what it
#: may be. No more than some of these hold is what the wire holds.
_LEASED_MAX: Final = (0, 2**31 - 1, "1 or more, or 0 for any number")
_COUNTS: Final = {
    "delivery_count_max": (
        0,
        DELIVERY_COUNT_MAX,
        f"1 to {DELIVERY_COUNT_MAX}, or 0 for no maximum",
    ),
    "bytes_limit": (0, 2**63 - 1, "1 or more, or 0 for no limit"),
    "leased_max": _LEASED_MAX,
    "park_after": (0, PARK_AFTER_MAX, f"1 to {PARK_AFTER_MAX}, or 0 for never"),
    "weight": (1, WEIGHT_MAX, f"1 to {WEIGHT_MAX}"),
}
_COUNTS_OF_KEYS: Final = {"leased_max": _LEASED_MAX}

_BASE: Final = Span(0, LEASE_S_MAX * NS_PER_S, "0 to 12 hours")


def settings_change(message: pb.QueueSettings) -> Callable[[QueueSettings], QueueSettings]:
    """Convert the field `settings` of a request; what it leaves out stays as it is.

    Returns:
        A function from settings to changed ones. It raises InvalidArgument if there would be
        too many weights, which only those that are there can tell.

    Raises:
        InvalidArgument: one of them breaks its rule.
    """
    changes: dict[str, Any] = {
        **_duration_changes(message),
        **_count_changes(message, "settings", _COUNTS),
    }
    for name in ("dead_letter_queue_id", "dead_letter_expired"):
        if message.HasField(name):
            changes[name] = getattr(message, name)
    if message.durability_min:
        changes["durability_min"] = choice(
            Durability, message.durability_min, "settings.durability_min"
        )
    if message.overflow:
        changes["overflow"] = choice(Overflow, message.overflow, "settings.overflow")
    back_off_changes = _back_off_changes(message.back_off, "settings.back_off")
    rate_changes = _rate_changes(message.rate, "settings.rate")
    change_fairness = _fairness_change(message.fairness, "settings.fairness")

    def change(settings: QueueSettings) -> QueueSettings:
        back_off = replace(settings.back_off, **back_off_changes)
        rate = replace(settings.rate, **rate_changes)
        fairness = change_fairness(settings.fairness)
        return replace(settings, **changes, back_off=back_off, rate=rate, fairness=fairness)

    return change


def _duration_changes(message: pb.QueueSettings) -> dict[str, int]:
    changes = {
        f"{name}_ns": duration_ns(getattr(message, name), f"settings.{name}", span)
        for name, span in _SPANS.items()
        if message.HasField(name)
    }
    if message.HasField("ttl"):
        is_for_ever = message.ttl.ToNanoseconds() == 0
        changes["ttl_ns"] = 0 if is_for_ever else duration_ns(message.ttl, "settings.ttl", _TTL)
    return changes


def _count_changes(
    message: Message, field: str, counts: Mapping[str, tuple[int, int, str]]
) -> dict[str, int]:
    changes: dict[str, int] = {}
    for name, (least, most, words) in counts.items():
        if message.HasField(name):
            changes[name] = count = getattr(message, name)
            if not least <= count <= most:
                raise InvalidArgument(f"{field}.{name}", f"must be {words}; got {count}")
    return changes


def _back_off_changes(message: pb.BackOff, field: str) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name, key, span in (("base", "base_ns", _BASE), ("max", "max_ns", DELAY)):
        if message.HasField(name):
            changes[key] = duration_ns(getattr(message, name), f"{field}.{name}", span)
    for name, least, most in (("factor", 1, 100), ("jitter", 0, 1)):
        if message.HasField(name):
            changes[name] = number = getattr(message, name)
            # What is no number at all is neither less nor more than any.
            if not least <= number <= most:
                raise InvalidArgument(
                    f"{field}.{name}", f"must be {least} to {most}; got {number:g}"
                )
    return changes


def _rate_changes(message: pb.Rate, field: str) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if message.HasField("messages_per_second"):
        changes["messages_per_second"] = rate = message.messages_per_second
        if rate and not RATE_MIN <= rate <= RATE_MAX:
            raise InvalidArgument(
                f"{field}.messages_per_second",
                f"must be {RATE_MIN:.5f} to {RATE_MAX:,}, or 0 for no limit; got {rate:g}",
            )
    if message.HasField("burst"):
        changes["burst"] = burst = message.burst
        if not 0 <= burst <= BURST_MAX:
            raise InvalidArgument(
                f"{field}.burst",
                f"must be 1 to {BURST_MAX:,}, or 0 for as many as in one second; got {burst}",
            )
    return changes


def _fairness_change(message: pb.Fairness, field: str) -> Callable[[Fairness], Fairness]:
    changes = _count_changes(message, field, _COUNTS_OF_KEYS)
    rate_changes = _rate_changes(message.rate, f"{field}.rate")
    weight_changes = _weight_changes(message.weights, f"{field}.weights")

    def change(fairness: Fairness) -> Fairness:
        weights = {**dict(fairness.weights), **weight_changes}
        kept = tuple(sorted((key, weight) for key, weight in weights.items() if weight))
        if len(kept) > WEIGHTS_MAX:
            raise InvalidArgument(
                f"{field}.weights",
                f"would be {len(kept)}, more than weights_max of {WEIGHTS_MAX}; 0 forgets one",
            )
        rate = replace(fairness.rate, **rate_changes)
        return replace(fairness, **changes, rate=rate, weights=kept)

    return change


def _weight_changes(weights: Mapping[str, int], field: str) -> dict[str, int]:
    # In the order of the keys: of several faults it is always the same one that is told.
    changes = dict(sorted(weights.items()))
    for key, weight in changes.items():
        name = f"{field}[{json.dumps(key[:FAIR_KEY_BYTES_MAX], ensure_ascii=False)}]"
        checked_id(key, name, FAIR_KEY_BYTES_MAX, "fair_key")
        if not 0 <= weight <= WEIGHT_MAX:
            raise InvalidArgument(
                name, f"must be 1 to {WEIGHT_MAX}, or 0 to forget it; got {weight}"
            )
    return changes


def settings_message(settings: QueueSettings) -> pb.QueueSettings:
    """Describe a queue's settings on the wire: all of them."""
    return pb.QueueSettings(
        lease_duration=duration_message(settings.lease_duration_ns),
        delivery_count_max=settings.delivery_count_max,
        dead_letter_queue_id=settings.dead_letter_queue_id,
        back_off=_back_off_message(settings.back_off),
        durability_min=pb.Durability.Level.Name(settings.durability_min),
        delay=duration_message(settings.delay_ns),
        ttl=duration_message(settings.ttl_ns),
        dead_letter_expired=settings.dead_letter_expired,
        dedup_window=duration_message(settings.dedup_window_ns),
        priority_ageing=duration_message(settings.priority_ageing_ns),
        bytes_limit=settings.bytes_limit,
        overflow=pb.Overflow.Policy.Name(settings.overflow),
        leased_max=settings.leased_max,
        rate=_rate_message(settings.rate),
        park_after=settings.park_after,
        fairness=pb.Fairness(
            leased_max=settings.fairness.leased_max,
            rate=_rate_message(settings.fairness.rate),
            weights=dict(settings.fairness.weights),
        ),
        weight=settings.weight,
    )


def _rate_message(rate: Rate) -> pb.Rate:
    return pb.Rate(messages_per_second=rate.messages_per_second, burst=rate.burst)


def _back_off_message(back_off: BackOff) -> pb.BackOff:
    return pb.BackOff(
        base=duration_message(back_off.base_ns),
        factor=back_off.factor,
        max=duration_message(back_off.max_ns),
        jitter=back_off.jitter,
    )
