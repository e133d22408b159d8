"""Queues of the model, made with no more than a test is about."""

from collections.abc import Sequence

from qmq.descriptions import QueueInfo, QueueSettings
from qmq.model.deliveries import HandedOut
from qmq.model.delivery import Delivery
from qmq.model.index import entry, seq_of
from qmq.model.leases import Leases
from qmq.model.queue import Queue
from qmq.testing import START_NS
from qmq.values import NS_PER_S, UNBOUNDED, Store, Tag

#: What a message takes, where that does not matter.
SIZE = 100

#: More than any messages of a test take.
EVERYTHING = 2**40

#: How long leases last, where a test says nothing else.
LEASE_NS = 30 * NS_PER_S


def queue_id(number: int) -> str:
    """Return the UUID of the queue with the number."""
    return f"00000000-0000-4000-8000-{number:012x}"


def queue(  # noqa: PLR0913 - All that a queue can have.
    number: int = 1,
    *,
    limit: int = UNBOUNDED,
    name: str = "",
    tags: tuple[Tag, ...] = (),
    settings: QueueSettings = QueueSettings(),  # noqa: B008 - Frozen.
    store: Store = Store.MEMORY,
) -> Queue:
    """Make an empty queue."""
    return Queue(
        number,
        QueueInfo(
            id=queue_id(number),
            created_ns=START_NS,
            store=store,
            limit=limit,
            name=name,
            tags=tags,
            settings=settings,
        ),
    )


def filled(q: Queue, seqs: Sequence[int]) -> Queue:
    """Put messages with these sequence numbers into a queue, and return it."""
    for seq in seqs:
        q.add(entry(seq, SIZE))
    return q


def leased(
    q: Queue, count: int = 1, *, now_ns: int = START_NS, consumer: str = ""
) -> list[Delivery]:
    """Put messages at the head of a queue on lease."""
    return one_by_one(q.leases, q.lease(now_ns, LEASE_NS, count, EVERYTHING, consumer))


def one_by_one(leases: Leases, handed_out: HandedOut) -> list[Delivery]:
    """Return what is known of each message that was handed out."""
    return [leases.by_seq[seq] for seq in handed_out.seqs]


def together(deliveries: Sequence[Delivery]) -> HandedOut:
    """Return messages as if one call had leased them."""
    handed_out = HandedOut([each.entry for each in deliveries], deliveries[0].until_ns)
    handed_out.deliveries = list(deliveries)
    return handed_out


def seqs_in(queue: Queue) -> list[int]:
    """Return the sequence numbers of the messages in a queue, oldest first."""
    return [seq_of(entry) for entry in queue.ready]
