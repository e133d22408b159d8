"""What every Lease does with a queue that has a message for it, and what is said of it then."""

from collections.abc import Sequence

from qmq.engine.queues import Queues
from qmq.envelope import encode_attempts, encode_leases
from qmq.model.delivery import Delivery, lease_ids_of
from qmq.model.index import size_of
from qmq.model.leases import Holder
from qmq.model.queue import Queue


def hand_out(  # noqa: PLR0913 - What to lease, to whom, and for how long.
    queues: Queues,
    queue: Queue,
    count_max: int,
    bytes_max: int,
    *,
    now_ns: int,
    duration_ns: int | None,
    consumer: str,
    holder: Holder | None,
) -> tuple[list[Delivery], int]:
    """Put messages at the head of a queue on lease, for one whose turn it is.

    Args:
        queues: those of the server.
        queue: where from.
        count_max: how many at most.
        bytes_max: what they may take in a reply; one is handed out in any case.
        now_ns: the moment.
        duration_ns: how long the leases last; None leaves that to the queue.
        consumer: who asks.
        holder: knows of its leases from then on, whatever becomes of the call.

    Returns:
        The messages, and when the leases on them end.
    """
    if duration_ns is None:
        duration_ns = queue.info.settings.lease_duration_ns
    count_max = queues.waiting.share(queue, count_max)
    deliveries = queue.lease(now_ns, duration_ns, count_max, bytes_max, consumer)
    queues.set_alarm(queue)
    if holder:
        queue.leases.hold(deliveries, holder)
    if queue.lines.is_active:
        # More may be free than was known: others of a key, or of another one.
        queues.waiting.serve(queue)
    return deliveries, now_ns + duration_ns


def encoded(
    deliveries: Sequence[Delivery], until_ns: int, envelope_bytes_max: int, rest: bytes = b""
) -> tuple[list[bytes], list[bytes]]:
    """Encode what is true of messages when they are handed out, which is not when it is durable.

    Args:
        deliveries: what `hand_out` returned.
        until_ns: likewise.
        envelope_bytes_max: what each may take in a reply.
        rest: as in `encode_leases`.

    Returns:
        What `encode_attempts` returns of each, and `encode_leases` of all.
    """
    attempts = [
        encode_attempts(each.attempts, envelope_bytes_max - size_of(each.entry))
        if each.attempts
        else b""
        for each in deliveries
    ]
    counts = [each.count for each in deliveries]
    return attempts, encode_leases(lease_ids_of(deliveries), until_ns, counts, rest)
