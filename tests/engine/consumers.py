"""Consumers of messages on lease, and what they are told, in plain values."""

from collections.abc import Sequence
from typing import NamedTuple

from qmq.descriptions import QueueSettings, QueueStats
from qmq.engine.broker import Broker
from qmq.engine.leasing import Result
from qmq.errors import QError
from qmq.model.check import problems_of
from qmq.store.local.memory import MemoryStore
from qmq.testing import START_NS, ManualClock, seeded_ids
from qmq.values import NS_PER_S, Durability, NackKind, Store
from qmq.wire import q_pb2 as pb
from tests.leased import leased_messages

#: What lasts for ever, as far as a test goes.
LONG_S = 12 * 3600

#: How a result reads that is fine.
FINE = ""


class Held(NamedTuple):
    """A message on lease, as its consumer sees it."""

    payload: bytes
    lease_id: str
    #: When the lease ends, in seconds since the test began.
    until_s: float
    delivery_count: int
    #: How earlier leases ended, oldest first.
    attempts: Sequence[pb.Attempt]
    message: pb.Message


async def never_gone() -> bool:
    """Stay."""
    return False


def memory_broker(
    clock: ManualClock, *, chance: float = 0.0, message_bytes_max: int = 100_000
) -> Broker:
    """Make a broker whose queues all live in memory, DISK ones too, in stores of their own."""
    return Broker(
        {Store.MEMORY: MemoryStore(), Store.DISK: MemoryStore(durability_max=Durability.FSYNC)},
        clock=clock,
        timer=clock,
        new_id=seeded_ids(),
        chance=lambda: chance,
        message_bytes_max=message_bytes_max,
    )


async def new_queue(
    broker: Broker,
    name: str,
    *,
    limit: int = -1,
    settings: QueueSettings = QueueSettings(),  # noqa: B008 - Frozen.
    store: Store = Store.MEMORY,
) -> str:
    """Make a queue, and return its id."""
    info = await broker.new_queue(store, name=name, limit=limit, settings=settings)
    return info.id


async def add(broker: Broker, *payloads: bytes, queue: str = "jobs") -> None:
    """Add messages."""
    for payload in payloads:
        await broker.add(queue, payload)


async def lease(  # noqa: PLR0913 - All that a consumer can say.
    broker: Broker,
    messages_max: int = 1,
    *,
    queue: str = "jobs",
    wait_s: float = 0.0,
    duration_s: float | None = None,
    consumer: str = "",
) -> list[Held]:
    """Lease messages."""
    leased = await broker.leasing.lease(
        queue,
        messages_max,
        wait_s=wait_s,
        is_gone=never_gone,
        duration_ns=None if duration_s is None else round(duration_s * NS_PER_S),
        consumer=consumer,
    )
    return [
        Held(
            each.message.payload,
            each.lease_id,
            (each.lease_expires_at.ToNanoseconds() - START_NS) / NS_PER_S,
            each.delivery_count,
            each.message.attempts,
            each.message,
        )
        for each in leased_messages(leased)
    ]


async def ack(broker: Broker, *leases: Held | str, queue: str = "jobs") -> list[str]:
    """Ack leases, and return what is said of each."""
    return said(await broker.leasing.ack(queue, ids_of(leases)))


async def nack(
    broker: Broker,
    kind: NackKind,
    *leases: Held | str,
    queue: str = "jobs",
    delay_s: float | None = None,
    reason: str = "",
) -> list[str]:
    """Give messages back, and return what is said of each."""
    delay_ns = None if delay_s is None else round(delay_s * NS_PER_S)
    return said(
        await broker.leasing.nack(queue, ids_of(leases), kind, delay_ns=delay_ns, reason=reason)
    )


async def release(broker: Broker, *leases: Held | str, delay_s: float | None = None) -> list[str]:
    """Give messages back unharmed."""
    return await nack(broker, NackKind.RELEASE, *leases, delay_s=delay_s)


async def fail(broker: Broker, *leases: Held | str, delay_s: float | None = None) -> list[str]:
    """Give messages back since the work failed."""
    return await nack(broker, NackKind.FAIL, *leases, delay_s=delay_s)


async def reject(broker: Broker, *leases: Held | str, reason: str = "") -> list[str]:
    """Give messages back since nobody can do the work."""
    return await nack(broker, NackKind.REJECT, *leases, reason=reason)


def ids_of(leases: Sequence[Held | str]) -> list[str]:
    """Return the names of leases."""
    return [each if isinstance(each, str) else each.lease_id for each in leases]


def said(results: Sequence[Result]) -> list[str]:
    """Return what is said of each of several leases: nothing, if all is well."""
    return [result.message if isinstance(result, QError) else FINE for result in results]


async def stats(broker: Broker, queue: str = "jobs") -> QueueStats:
    """Return the counts of a queue, after a look at whether it is in order."""
    found = broker.catalog.find(queue)
    ([counts], _) = await broker.stats(queue, 0, "")
    assert problems_of(found) == []
    return counts


async def states(broker: Broker, queue: str = "jobs") -> tuple[int, int, int]:
    """Count the messages of a queue that are ready, leased and delayed."""
    counts = await stats(broker, queue)
    return counts.ready, counts.leased, counts.delayed


async def pop_all(broker: Broker, queue: str = "jobs") -> list[bytes]:
    """Take all messages that are ready, and return their payloads."""
    popped = await broker.pop_batch(queue, 1_000)
    return [pb.Message.FromString(envelope).payload for envelope in popped]


async def leased_again(
    broker: Broker, queue: str = "jobs", *, consumer: str = "thief"
) -> list[bytes]:
    """Let another consumer lease everything that it can get, and return the payloads."""
    return [each.payload for each in await lease(broker, 1_000, queue=queue, consumer=consumer)]
