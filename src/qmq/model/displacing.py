"""The rules of a full queue in which the oldest messages make room for new ones."""

from collections.abc import Sequence

from qmq.model.delivery import Delivery
from qmq.model.index import size_of
from qmq.model.queue import Queue
from qmq.values import UNBOUNDED


def displace(queue: Queue, sizes: Sequence[int]) -> list[Delivery]:
    """Take the oldest messages out of a queue that are ready, as many as have to make room.

    Args:
        queue: the queue.
        sizes: what each of the messages takes, in bytes, that `Queue.room_for` has let in.
    """
    count_max, bytes_max = queue.info.limit, queue.info.settings.bytes_limit
    count, size = queue.message_count + len(sizes), queue.bytes + sum(sizes)
    displaced: list[Delivery] = []
    while count > count_max != UNBOUNDED or size > bytes_max > 0:
        oldest = _take_oldest(queue)
        if oldest is None:
            break
        count -= 1
        size -= size_of(oldest.entry)
        displaced.append(oldest)
    queue.overflowed_total += len(displaced)
    return displaced


def _take_oldest(queue: Queue) -> Delivery | None:
    """Take the ready message that came first, wherever it stands."""
    known, fresh = queue.leases.oldest_ready(), queue.ready.oldest_fresh()
    if fresh is not None and (known is None or fresh < known.entry):
        known = Delivery(queue.ready.take_fresh())
        if queue.lines.is_active:
            queue.lines.plain_changed()
    elif known:
        queue.leases.forget(known)
    return known
