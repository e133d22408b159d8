"""A broker with dead letters, whose redrives go on when the test lets time pass."""

import asyncio
from collections.abc import Sequence

from qmq.descriptions import BackOff, QueueSettings
from qmq.engine.broker import Broker
from qmq.envelope import encode_tags
from qmq.ids import RandomIds
from qmq.model.redrive import Redrive, RedriveRequest
from qmq.store.base import QueueStore
from qmq.store.local.disk import DiskStore
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import NackKind, Store, Tag
from qmq.wire import q_pb2 as pb
from tests.engine.callers import turns
from tests.leased import leased_messages

#: Messages that one call can bring about.
_BATCH: int = 500


async def never_gone() -> bool:
    """Tell that a caller is still there."""
    return False


def memory_broker(clock: ManualClock, store: QueueStore | None = None) -> Broker:
    """Make a broker without a data directory."""
    return Broker(
        {Store.MEMORY: store or MemoryStore()}, clock=clock, timer=clock, new_id=seeded_ids()
    )


def disk_broker(clock: ManualClock, disk: DiskStore, new_id: RandomIds) -> Broker:
    """Make a broker of what is in a data directory, and let its redrives and schedules go on."""
    broker = Broker(
        {Store.MEMORY: MemoryStore(), Store.DISK: disk},
        clock=clock,
        timer=clock,
        new_id=new_id,
        held=disk,
    )
    broker.start()
    return broker


async def make_queues(broker: Broker, store: Store = Store.MEMORY) -> None:
    """Make the queue "jobs", whose dead letters go to the queue "dead"."""
    await broker.new_queue(store, name="dead")
    settings = QueueSettings(
        dead_letter_queue_id="dead", delivery_count_max=2, back_off=BackOff(base_ns=0)
    )
    await broker.new_queue(store, name="jobs", settings=settings)


async def add(
    broker: Broker, payloads: Sequence[bytes], queue: str = "jobs", tags: Sequence[Tag] = ()
) -> None:
    """Add messages."""
    for at in range(0, len(payloads), _BATCH):
        batch = payloads[at : at + _BATCH]
        await broker.add_batch(queue, [(encode_tags(tags), payload) for payload in batch])


async def lease(broker: Broker, count: int, queue: str = "jobs") -> list[pb.LeasedMessage]:
    """Lease messages, up to so many."""
    leased: list[pb.LeasedMessage] = []
    while len(leased) < count and (
        more := await broker.leasing.lease(
            queue,
            min(count - len(leased), _BATCH),
            wait_s=0,
            is_gone=never_gone,
            consumer="worker",
        )
    ):
        leased += leased_messages(more)
    return leased


async def reject(
    broker: Broker, messages: Sequence[pb.LeasedMessage], reason: str = "broken"
) -> None:
    """Make dead letters of messages on lease."""
    ids = [message.lease_id for message in messages]
    results = await broker.leasing.nack("jobs", ids, NackKind.REJECT, reason=reason)
    assert results == [None] * len(ids)


async def bury(broker: Broker, payloads: Sequence[bytes], reason: str = "broken") -> None:
    """Make dead letters: messages that were added to "jobs" and rejected."""
    await add(broker, payloads)
    await reject(broker, await lease(broker, len(payloads)), reason)


def payloads_in(broker_payloads: Sequence[bytes]) -> list[bytes]:
    """Return the payloads of envelopes."""
    return [pb.Message.FromString(envelope).payload for envelope in broker_payloads]


async def drain(broker: Broker, queue: str) -> list[bytes]:
    """Pop all messages of a queue, and return their payloads."""
    found: list[bytes] = []
    while envelopes := await broker.pop_batch(queue, 1_000):
        found += payloads_in(envelopes)
    return found


async def ended(broker: Broker, redrive: Redrive) -> Redrive:
    """Wait until a redrive has ended by itself."""
    now = redrive
    async with asyncio.timeout(30):
        while now.is_running:
            await turns(1)
            now = await broker.redriving.get(redrive.id)
    return now


async def redriven(broker: Broker, **request: object) -> Redrive:
    """Start a redrive of the queue "dead", and wait until it has ended."""
    started = await broker.redriving.start(
        RedriveRequest(queue_id="dead", **request)  # type: ignore[arg-type]
    )
    return await ended(broker, started)


async def standing(broker: Broker, redrive: Redrive) -> Redrive:
    """Let a redrive go on until it waits for time to pass; tell how far it is."""
    await turns(100)
    return await broker.redriving.get(redrive.id)


def numbered(count: int, start: int = 0) -> list[bytes]:
    """Return payloads that differ."""
    return [b"%d" % n for n in range(start, start + count)]
