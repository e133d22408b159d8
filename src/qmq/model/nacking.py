"""The rules of a lease whose work is not done: the message comes back, or is a dead letter."""

from qmq.errors import NoDeadLetterQueue
from qmq.model.delivery import Delivery
from qmq.model.queue import Queue
from qmq.values import DeadLetterReason, NackKind, Outcome


def end_undone(  # noqa: PLR0913 - What a nack says, of what, and the moment and chance.
    queue: Queue,
    delivery: Delivery,
    kind: NackKind,
    *,
    now_ns: int,
    delay_ns: int | None,
    reason: str,
    chance: float,
) -> DeadLetterReason | None:
    """End a lease whose work is not done.

    Args:
        queue: the queue that holds the message.
        delivery: the message.
        kind: what the consumer says.
        now_ns: the moment.
        delay_ns: how long the message is kept back; None leaves that to the queue.
        reason: what the consumer says why.
        chance: 0 to 1, for the jitter of the back-off.

    Returns:
        Why the message is to be moved to the dead-letter queue, if it is; it is in
        nobody's hands until then.

    Raises:
        NoDeadLetterQueue: it was rejected, and there is none.
    """
    settings = queue.info.settings
    if kind is NackKind.REJECT:
        if not settings.dead_letter_queue_id:
            raise NoDeadLetterQueue(queue.info.id)
        delivery.end(Outcome.REJECTED, now_ns, reason)
        return DeadLetterReason.REJECTED
    if kind is NackKind.FAIL and 0 < settings.delivery_count_max <= delivery.count:
        delivery.end(Outcome.FAILED, now_ns, reason)
        return DeadLetterReason.DELIVERY_COUNT_MAX
    if delay_ns is None:
        delay_ns = 0
        if kind is NackKind.FAIL:
            delay_ns = settings.back_off.delay_ns(delivery.count, chance)
    queue.leases.give_back(delivery, kind, now_ns, delay_ns, reason)
    return None
