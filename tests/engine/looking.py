"""Queues to look into, with time in the test's hand."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from qmq.descriptions import BackOff, MessageOptions, QueueSettings
from qmq.engine.broker import Broker
from qmq.envelope import encode_tags, id_of
from qmq.errors import TooLarge
from qmq.model.changes import Changes
from qmq.store.base import QueueStore
from qmq.store.local.disk import DiskStore
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import NS_PER_S, Durability, MessageState, NackKind, Store, Tag
from qmq.wire import q_pb2 as pb
from tests.leased import leased_messages

READY: Final = pb.BrowseRequest.READY
LEASED: Final = pb.BrowseRequest.LEASED
DELAYED: Final = pb.BrowseRequest.DELAYED

#: Bytes of a reply in these tests.
REPLY_BYTES_MAX = 200_000


class CountingStore(MemoryStore):
    """A store that counts the messages that were read, a number for each call."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[int] = []

    def commit(
        self,
        changes: Changes,
        read: Sequence[int] = (),
        durability: Durability = Durability.UNKNOWN,
    ) -> Awaitable[list[bytes]]:
        """Count, and keep changes."""
        self.reads.append(len(read))
        return super().commit(changes, read, durability)


async def broker_to_browse(store: QueueStore, clock: ManualClock) -> Broker:
    """Make a broker with the empty MEMORY queue "jobs", whose dead letters go to "dead"."""
    broker = Broker(
        {Store.MEMORY: store},
        clock=clock,
        timer=clock,
        new_id=seeded_ids(),
        message_bytes_max=REPLY_BYTES_MAX,
        chance=lambda: 0.0,
    )
    await broker.new_queue(Store.MEMORY, name="dead")
    settings = QueueSettings(
        dead_letter_queue_id="dead", back_off=BackOff(base_ns=10 * NS_PER_S, jitter=0.0)
    )
    await broker.new_queue(Store.MEMORY, name="jobs", settings=settings)
    return broker


@asynccontextmanager
async def broker_on_disk(
    path: Path, clock: ManualClock, *, cache_bytes_max: int
) -> AsyncIterator[Broker]:
    """Run a broker on a data directory."""
    store = DiskStore.open(path, cache_bytes_max=cache_bytes_max)
    broker = Broker(
        {Store.DISK: store},
        clock=clock,
        timer=clock,
        new_id=seeded_ids(),
        held=store,
    )
    try:
        yield broker
    finally:
        await broker.close()


async def present() -> bool:
    """Tell that a caller has not left."""
    return False


async def put(broker: Broker, *payloads: bytes, tags: tuple[Tag, ...] = ()) -> list[str]:
    """Add messages to the queue "jobs", and return their ids."""
    return [id_of(await broker.add("jobs", payload, encode_tags(tags))) for payload in payloads]


async def put_with(
    broker: Broker, payload: bytes, *, group_id: str = "", fair_key: str = ""
) -> None:
    """Add a message of a group, or with a fair_key, to the queue "jobs"."""
    options = MessageOptions(group_id=group_id, fair_key=fair_key)
    await broker.add_with("jobs", payload, b"", options)


async def leased(
    broker: Broker, count: int = 1, consumer: str = "", queue: str = "jobs"
) -> list[str]:
    """Lease messages for 30 seconds, and return their lease ids."""
    found = await broker.leasing.lease(queue, count, wait_s=0, is_gone=present, consumer=consumer)
    return [each.lease_id for each in leased_messages(found)]


async def page(  # noqa: PLR0913 - As `Browsing.browse` has them.
    broker: Broker,
    page_token: str = "",
    *,
    queue: str = "jobs",
    page_size: int = 0,
    states: tuple[MessageState, ...] = (),
    tags: tuple[Tag, ...] = (),
    selector: str = "",
    group_id: str = "",
    fair_key: str = "",
    age_min_s: float = 0,
    age_max_s: float | None = None,
) -> tuple[list[pb.BrowsedMessage], str]:
    """Browse a page."""
    messages, token = await broker.browsing.browse(
        queue,
        page_size=page_size,
        page_token=page_token,
        states=states,
        tags=tags,
        selector=selector,
        group_id=group_id,
        fair_key=fair_key,
        age_min_ns=round(age_min_s * NS_PER_S),
        age_max_ns=None if age_max_s is None else round(age_max_s * NS_PER_S),
    )
    return list(map(pb.BrowsedMessage.FromString, messages)), token


async def browsed(
    broker: Broker,
    **shown: Any,  # noqa: ANN401 - As `page` has it.
) -> list[pb.BrowsedMessage]:
    """Browse all pages."""
    found, token = await page(broker, **shown)
    while token:
        more, token = await page(broker, token, **shown)
        found += more
    return found


def payloads(messages: Sequence[pb.BrowsedMessage]) -> list[bytes]:
    """Return what is in messages."""
    return [each.message.payload for each in messages]


async def in_each_state(broker: Broker, clock: ManualClock) -> None:
    """Fill the queue "jobs" with messages that are in each of the states that there are."""
    await put(broker, b"expired", b"leased", b"released", b"delayed", b"fresh")
    await leased(broker, consumer="gone")
    clock.advance(20)
    _, released, failed = await leased(broker, 3, "worker")
    await broker.leasing.nack("jobs", [released], NackKind.RELEASE)
    await broker.leasing.nack("jobs", [failed], NackKind.FAIL, delay_ns=100 * NS_PER_S)
    clock.advance(10)


async def largest(broker: Broker) -> str:
    """Add the largest message that there may be, and return its id."""
    size = REPLY_BYTES_MAX
    while True:
        try:
            return (await put(broker, bytes(size)))[0]
        except TooLarge:
            size -= 1
