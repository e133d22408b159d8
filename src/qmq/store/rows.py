"""Between the values of the model and the columns of the database."""

import json
from dataclasses import asdict
from typing import Any, Final

from qmq.descriptions import BackOff, Fairness, Pause, QueueInfo, QueueSettings, Rate
from qmq.ids import shard_of
from qmq.model.delivery import Delivery, State
from qmq.model.index import entry
from qmq.model.queue import Queue
from qmq.values import Attempt, Durability, Outcome, Overflow, Store, Tag

#: The settings that stand in the column where a queue has others than by default: most have
#: none, and who has 100,000 queues reads all of that at each start.
_RARE: Final = (
    "delay_ns",
    "ttl_ns",
    "dead_letter_expired",
    "dedup_window_ns",
    "priority_ageing_ns",
    "bytes_limit",
    "overflow",
    "leased_max",
    "rate",
    "park_after",
    "fairness",
    "weight",
)
_DEFAULTS: Final = QueueSettings()

#: A row of the table delivery.
DeliveryRow = tuple[int, int, int, int, int, int, str, str, str, int, int, str, str]


def queue_columns(queue: Queue) -> dict[str, str | int]:
    """Return what may change in a queue's row."""
    info = queue.info
    return {
        "message_limit": info.limit,
        "tags": json.dumps([(tag.key, tag.value) for tag in info.tags], ensure_ascii=False),
        "settings": json.dumps(_settings(queue)),
    }


def queue_of(row: tuple[int, str, str, int, int, str, str], store: Store) -> Queue:
    """Read a row of the table queue of a store; the queue holds no messages."""
    number, id_, name, limit, created_ns, tags, settings = row
    how, pause, purged_seq = settings_of(settings)
    info = QueueInfo(
        id=id_,
        name=name,
        limit=limit,
        created_ns=created_ns,
        store=store,
        tags=tags_of(tags),
        settings=how,
        pause=pause,
        shard=shard_of(id_),
    )
    queue = Queue(number, info)
    queue.purged_seq = purged_seq
    return queue


def tags_of(text: str) -> tuple[Tag, ...]:
    """Read the column `tags`."""
    return tuple(Tag(key, value) for key, value in json.loads(text))


def settings_of(text: str) -> tuple[QueueSettings, Pause | None, int]:
    """Read the column `settings`; the number is that of the last message of a purge."""
    known: dict[str, Any] = json.loads(text)
    pause = known.pop("pause", None)
    purged_seq = known.pop("purged_seq", 0)
    if "back_off" in known:
        known["back_off"] = BackOff(**known["back_off"])
    if "durability_min" in known:
        known["durability_min"] = Durability(known["durability_min"])
    if "overflow" in known:
        known["overflow"] = Overflow(known["overflow"])
    if "rate" in known:
        known["rate"] = Rate(**known["rate"])
    if "fairness" in known:
        known["fairness"] = _fairness(**known["fairness"])
    return QueueSettings(**known), Pause(**pause) if pause else None, purged_seq


def _fairness(rate: dict[str, Any], weights: dict[str, int], leased_max: int) -> Fairness:
    return Fairness(leased_max=leased_max, rate=Rate(**rate), weights=tuple(weights.items()))


def _settings(queue: Queue) -> dict[str, object]:
    settings, pause = queue.info.settings, queue.info.pause
    back_off = settings.back_off
    columns: dict[str, object] = {
        "lease_duration_ns": settings.lease_duration_ns,
        "delivery_count_max": settings.delivery_count_max,
        "dead_letter_queue_id": settings.dead_letter_queue_id,
        "back_off": {
            "base_ns": back_off.base_ns,
            "factor": back_off.factor,
            "max_ns": back_off.max_ns,
            "jitter": back_off.jitter,
        },
        "durability_min": settings.durability_min.value,
    }
    for name in _RARE:
        value = getattr(settings, name)
        if value != getattr(_DEFAULTS, name):
            columns[name] = _column(value)
    if queue.purged_seq:
        columns["purged_seq"] = queue.purged_seq
    if pause:
        columns["pause"] = {"since_ns": pause.since_ns, "adds": pause.adds}
    return columns


def _column(value: object) -> object:
    """Return a setting as JSON has it."""
    match value:
        case Rate():
            return asdict(value)
        case Fairness():
            return {**asdict(value), "weights": dict(value.weights)}
        case _:
            return value


def delivery_row(delivery: Delivery) -> DeliveryRow:
    """Return a delivery as it is now."""
    return (
        delivery.seq,
        delivery.fence,
        delivery.count,
        delivery.state,
        delivery.until_ns,
        delivery.leased_ns,
        delivery.consumer,
        json.dumps(delivery.attempts, ensure_ascii=False) if delivery.attempts else "",
        delivery.redrive_id,
        delivery.priority,
        delivery.expires_ns,
        delivery.group_id,
        delivery.fair_key,
    )


def delivery_of(row: DeliveryRow, size: int) -> Delivery:
    """Read a row of the table delivery, of a message that takes so many bytes."""
    seq, fence, count, state, until_ns, leased_ns, consumer, attempts, redrive_id = row[:9]
    priority, expires_ns, group_id, fair_key = row[9:]
    delivery = Delivery(entry(seq, size, priority))
    delivery.fence = fence
    delivery.count = count
    delivery.state = State(state)
    delivery.until_ns = until_ns
    delivery.leased_ns = leased_ns
    delivery.consumer = consumer
    delivery.attempts = tuple(
        Attempt(number, who, since_ns, ended_ns, Outcome(outcome), reason)
        for number, who, since_ns, ended_ns, outcome, reason in json.loads(attempts or "[]")
    )
    delivery.redrive_id = redrive_id
    delivery.expires_ns, delivery.group_id, delivery.fair_key = expires_ns, group_id, fair_key
    return delivery
