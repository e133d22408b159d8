"""Queues of the model, made with no more than a test is about."""

from qmq.model.index import seq_of
from qmq.model.queue import Queue
from qmq.testing import START_NS
from qmq.values import UNBOUNDED, QueueInfo, Store, Tag


def queue_id(number: int) -> str:
    """Return the UUID of the queue with the number."""
    return f"00000000-0000-4000-8000-{number:012x}"


def queue(
    number: int = 1, *, limit: int = UNBOUNDED, name: str = "", tags: tuple[Tag, ...] = ()
) -> Queue:
    """Make an empty queue."""
    return Queue(
        number,
        QueueInfo(
            id=queue_id(number),
            created_ns=START_NS,
            store=Store.MEMORY,
            limit=limit,
            name=name,
            tags=tags,
        ),
    )


def seqs_in(queue: Queue) -> list[int]:
    """Return the sequence numbers of the messages in a queue, oldest first."""
    return [seq_of(entry) for entry in queue.ready]
