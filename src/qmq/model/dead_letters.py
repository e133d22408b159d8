"""The rules of dead letters: where a message goes that could not be worked on."""

from collections.abc import Callable

from qmq.descriptions import QueueInfo
from qmq.envelope import encode_dead_letter
from qmq.errors import InvalidArgument
from qmq.model.changes import Move
from qmq.model.delivery import Delivery
from qmq.model.index import entry, size_of
from qmq.model.queue import Queue
from qmq.values import DeadLetter, DeadLetterReason


def bury(  # noqa: PLR0913 - From where to where, which, when, why, and how large.
    source: Queue,
    delivery: Delivery,
    target: Queue,
    *,
    new_seq: int,
    now_ns: int,
    reason: DeadLetterReason,
    envelope_bytes_max: int,
) -> Move:
    """Move a message to its queue's dead-letter queue, whatever the limit of that.

    Args:
        source: the queue that holds it.
        delivery: the message; how its last lease ended is written down, if it had one.
        target: the dead-letter queue.
        new_seq: its sequence number there.
        now_ns: the moment, in nanoseconds since the Unix epoch.
        reason: why.
        envelope_bytes_max: what its envelope may take.
    """
    size = size_of(delivery.entry)
    is_failure = reason in (DeadLetterReason.REJECTED, DeadLetterReason.DELIVERY_COUNT_MAX)
    text = delivery.attempts[-1].reason if is_failure else ""
    suffix = encode_dead_letter(
        DeadLetter(reason, text, source.info.id, now_ns, delivery.count),
        delivery.attempts,
        envelope_bytes_max - size,
    )
    # Of one that just stood in the line, nothing was known.
    if delivery.seq in source.leases.by_seq:
        source.leases.forget(delivery)
    source.dead_lettered[reason] += 1
    new_entry = entry(new_seq, size + len(suffix))
    target.take_in(new_entry)
    return Move(new_entry, target.number, suffix, delivery.entry)


def check_dead_letter_queue(
    info: QueueInfo, target: QueueInfo, get: Callable[[str], QueueInfo]
) -> None:
    """Refuse a dead-letter queue that could not be one.

    Args:
        info: the queue whose dead letters they would be.
        target: where they would go.
        get: describes a queue by its id.

    Raises:
        InvalidArgument: it lives in another store, or dead letters would go in a circle.
    """
    field = "settings.dead_letter_queue_id"
    if target.store is not info.store:
        raise InvalidArgument(
            field,
            f"queue {target.id} lives in {target.store.name}, this one in {info.store.name};"
            " dead letters stay in the store they are in, so that none is ever lost on its way",
        )
    if target.shard != info.shard:
        raise InvalidArgument(
            field,
            f"queue {target.id} lives on another shard of the cluster; dead letters stay on the one"
            " they are on, so that none is ever lost on its way: make both queues with the same tag"
            " shard, or this one without",
        )
    way = [info.id, target.id]
    while way[-1] != info.id and (next_id := get(way[-1]).settings.dead_letter_queue_id):
        way.append(next_id)
    if way[-1] == info.id:
        raise InvalidArgument(field, f"dead letters would go in a circle: {' to '.join(way)}")
