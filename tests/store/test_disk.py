"""The DISK store passes the suite of all stores, and keeps what it holds.

How much of it is also in memory must make no difference, so all of this runs with a
cache for everything, for a few messages, and for none.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from qmq.engine.broker import Broker
from qmq.errors import QueueEmpty, QueueFull, QueueNotFound
from qmq.ids import RandomIds
from qmq.limits import CACHE_BYTES_MAX
from qmq.store.journalled import CACHED_OVERHEAD_BYTES
from qmq.store.local.disk import DiskStore
from qmq.store.local.memory import MemoryStore
from qmq.testing import START_NS, ManualClock
from qmq.values import Store, Tag
from tests.store.batch_conformance import BrokerBatchConformance, StoreBatchConformance
from tests.store.changes_conformance import (
    StoreChangesConformance,
    holds_by_store,
    move_head,
)
from tests.store.conformance import (
    LARGE_BYTES,
    BrokerConformance,
    StoreConformance,
    make_queue,
)
from tests.store.disk import AT_ONCE, Commits, Disks, has_swept, rows, sweep
from tests.store.durability_conformance import BrokerDurabilityConformance

#: Bytes of memory for messages: all; a few, as callers add them; one of a few bytes; none.
CACHES = {
    "cached": CACHE_BYTES_MAX,
    "partly-cached": 200 + 3 * CACHED_OVERHEAD_BYTES,
    "hardly-cached": 10 + CACHED_OVERHEAD_BYTES,
    "uncached": 0,
}


@pytest.fixture(params=CACHES.values(), ids=list(CACHES))
def cache_bytes_max(request: pytest.FixtureRequest) -> int:
    """Return how many bytes of messages the store may keep in memory."""
    assert isinstance(request.param, int)
    return request.param


@pytest.fixture
async def store(disks: Disks, data: Path, cache_bytes_max: int) -> DiskStore:
    """Return an empty store."""
    return disks.open(data, cache_bytes_max=cache_bytes_max)


@pytest.fixture
def kind() -> Store:
    """Return what the store is called."""
    return Store.DISK


@asynccontextmanager
async def opened(
    data: Path, cache_bytes_max: int = CACHE_BYTES_MAX, clock: ManualClock | None = None
) -> AsyncIterator[Broker]:
    """Run a broker on a data directory, as q does, to a clean end."""
    disk = DiskStore.open(data, cache_bytes_max=cache_bytes_max)
    broker = Broker(
        {Store.MEMORY: MemoryStore(), Store.DISK: disk},
        clock=clock or ManualClock(),
        new_id=RandomIds(),
        held=disk,
    )
    try:
        yield broker
    finally:
        await broker.close()


class TestDiskStore(StoreConformance):
    """By its protocol."""


class TestBatchesOnDisk(StoreBatchConformance):
    """Many messages at once, by its protocol."""


class TestChangesOnDisk(StoreChangesConformance):
    """Changes that belong together, by its protocol."""


class TestBrokerOnDisk(BrokerConformance):
    """As callers see it."""


class TestBrokerBatchesOnDisk(BrokerBatchConformance):
    """Many messages at once, as callers see them."""


class TestBrokerDurabilityOnDisk(BrokerDurabilityConformance):
    """How durable changes are, as callers see it."""


async def test_everything_is_there_after_a_clean_end(data: Path, cache_bytes_max: int) -> None:
    """Queues with names, limits, tags and order; messages with order and bodies."""
    async with opened(data, cache_bytes_max) as broker:
        jobs = await broker.new_queue(Store.DISK, limit=3, name="jobs", tags=[Tag("b", "1")])
        gone = await broker.new_queue(Store.DISK, name="gone")
        other = await broker.new_queue(Store.DISK, tags=[Tag("", "\u4e16"), Tag('"', "\n")])
        await broker.add_queue_tag("jobs", Tag("a", "2"))
        await broker.add_queue_tag("jobs", Tag("a", "1"))
        await broker.delete_queue_tag("jobs", Tag("a", "2"))
        await broker.delete_queue("gone")
        sent = [await broker.add("jobs", bytes([n]) * n, b"\x1a\0" * n) for n in range(3)]
        large = await broker.add(other.id, bytes(range(256)) * (LARGE_BYTES // 256))
        infos, _ = await broker.list_queues(0, "")

    async with opened(data, cache_bytes_max) as broker:
        assert await broker.list_queues(0, "") == (infos, "")
        assert [info.id for info in infos] == [jobs.id, other.id]
        with pytest.raises(QueueNotFound):
            await broker.get_queue(gone.id)
        with pytest.raises(QueueFull):
            await broker.add("jobs", b"refused")
        assert await broker.peek("jobs") == sent[0]
        assert [await broker.pop("jobs") for _ in sent] == sent
        with pytest.raises(QueueEmpty):
            await broker.pop("jobs")
        assert await broker.pop(other.id) == large


async def test_order_goes_on_where_it_was(data: Path, cache_bytes_max: int) -> None:
    """What comes after the reopening stands behind what was there, whatever the clock says."""
    async with opened(data, cache_bytes_max) as broker:
        await broker.new_queue(Store.DISK, name="jobs")
        first = [await broker.add("jobs", b"1"), await broker.add("jobs", b"2")]

    async with opened(data, cache_bytes_max, ManualClock(START_NS - 10**18)) as broker:
        then = [await broker.add("jobs", b"3"), await broker.add("jobs", b"4")]
        assert await broker.pop("jobs") == first[0]

    async with opened(data, cache_bytes_max) as broker:
        assert [await broker.pop("jobs") for _ in range(3)] == [first[1], *then]


async def test_popped_message_does_not_come_back(data: Path, cache_bytes_max: int) -> None:
    """Neither one that was taken from memory nor one that was read from disk."""
    async with opened(data, cache_bytes_max) as broker:
        await broker.new_queue(Store.DISK, name="jobs")
        sent = [await broker.add("jobs", b"%d" % n) for n in range(3)]
        await broker.pop("jobs")

    for n in (1, 2):
        async with opened(data, cache_bytes_max) as broker:
            assert await broker.pop("jobs") == sent[n]

    await sweep(data)
    assert (rows(data, "queue"), rows(data, "message")) == (1, 0)


async def test_memory_queues_end_with_the_process(data: Path) -> None:
    """They are listed among the others, and leave nothing on disk."""
    async with opened(data) as broker:
        await broker.new_queue(Store.MEMORY, name="scratch")
        kept = await broker.new_queue(Store.DISK, name="jobs")
        await broker.add("scratch", b"x")

    async with opened(data) as broker:
        assert await broker.list_queues(0, "") == ([kept], "")
        await broker.new_queue(Store.MEMORY, name="scratch")
        with pytest.raises(QueueEmpty):
            await broker.pop("scratch")


async def test_new_queue_never_inherits(data: Path) -> None:
    """Neither a queue of the same name nor the next one gets what a deleted queue held."""
    async with opened(data) as broker:
        await broker.new_queue(Store.DISK, name="jobs")
        await asyncio.gather(*(broker.add("jobs", b"gone") for _ in range(5_000)))
        await broker.delete_queue("jobs")

    async with opened(data) as broker:
        for name in ("jobs", "other"):
            await broker.new_queue(Store.DISK, name=name)

    async with opened(data) as broker:
        for name in ("jobs", "other"):
            with pytest.raises(QueueEmpty):
                await broker.pop(name)


async def test_rows_of_a_deleted_queue_are_swept(disks: Disks, data: Path) -> None:
    """By and by, in several transactions, until the table holds only what is alive."""
    commits = Commits()
    store = disks.open(data, commits, patience=AT_ONCE)
    doomed, alive = make_queue(1), make_queue(2)
    for queue in (doomed, alive):
        await store.new_queue(queue)
    await asyncio.gather(*(store.add(doomed, b"gone", START_NS) for _ in range(5_000)))
    await store.add(alive, b"kept", START_NS)

    before = commits.count
    await store.delete_queue(doomed)
    await has_swept(store)
    await store.close()

    assert commits.count >= before + 4
    assert (rows(data, "queue"), rows(data, "message")) == (1, 1)


async def test_sweep_goes_on_after_a_crash(disks: Disks, data: Path, tmp_path: Path) -> None:
    """A process that ended in the midst of it leaves rows; the next one removes them."""
    commits, image = Commits(), tmp_path / "image"
    store = disks.open(data, commits, patience=AT_ONCE)
    doomed = make_queue(7)
    await store.new_queue(doomed)
    await asyncio.gather(*(store.add(doomed, b"gone", START_NS) for _ in range(5_000)))
    before = commits.count
    await store.delete_queue(doomed)
    await commits.reach(before + 2)
    commits.copy_next(image)
    await commits.reach(before + 3)
    await store.close()
    assert (rows(image, "queue"), rows(image, "message")) == (0, 3_000)

    reopened = disks.open(image)
    highest = reopened.last_queue_number
    await reopened.close()
    await sweep(image)

    # The number of the deleted queue is not given to another while rows have it.
    assert (highest, reopened.queues) == (7, [])
    assert rows(image, "message") == 0


async def test_end_does_not_wait_for_a_sweep(disks: Disks, data: Path) -> None:
    """Closing answers who waits and leaves the rest of the rows to the next opening."""
    commits = Commits()
    store = disks.open(data, commits)
    doomed = make_queue(1)
    await store.new_queue(doomed)
    await asyncio.gather(*(store.add(doomed, b"gone", START_NS) for _ in range(10_000)))

    await store.delete_queue(doomed)
    await store.close()

    assert rows(data, "message") >= 4_000


async def test_cache_gives_back_what_it_held(disks: Disks, data: Path) -> None:
    """Messages that go, popped or with their queue, make room for others in memory."""
    commits = Commits()
    store = disks.open(data, commits, cache_bytes_max=1_000 + 2 * CACHED_OVERHEAD_BYTES)
    queue, deleted = make_queue(1), make_queue(2)
    for each in (queue, deleted):
        await store.new_queue(each)
    for _ in range(2):
        await store.add(deleted, bytes(500), START_NS)
    await store.delete_queue(deleted)
    for _ in range(5):
        await store.add(queue, bytes(900), START_NS)
        await store.pop(queue)
    await store.add(queue, bytes(900), START_NS)
    before = commits.count

    # What is in memory is shown without a transaction.
    await store.peek(queue)
    await store.close()

    assert commits.count == before


@pytest.mark.parametrize("at_once", [1, 5])
async def test_cache_holds_what_fits_with_all_that_it_costs(
    disks: Disks, data: Path, at_once: int
) -> None:
    """A small message costs more than it says; what has gone costs nothing any more."""
    commits = Commits()
    store = disks.open(data, commits, cache_bytes_max=10 * (1 + CACHED_OVERHEAD_BYTES))
    queue = make_queue(1)
    await store.new_queue(queue)
    in_memory = []

    for popped_at_once in (1, 5, 5, 1):
        for _ in range(20 // at_once):
            if at_once == 1:
                await store.add(queue, b"x", START_NS)
            else:
                await store.add_batch(queue, [b"x"] * at_once, START_NS)
        count = 0
        while queue.ready:
            before = commits.count
            # What is in memory is shown without a transaction.
            await store.peek(queue)
            count += popped_at_once * (commits.count == before)
            await store.pop_batch(queue, popped_at_once, LARGE_BYTES)
        in_memory.append(count)

    assert in_memory == [10] * 4


@pytest.mark.parametrize(("cache_bytes_max", "holds"), [(CACHE_BYTES_MAX, 1), (0, 0)])
async def test_keys_of_the_cache_are_the_ints_that_the_line_holds(
    disks: Disks, data: Path, cache_bytes_max: int, holds: int
) -> None:
    """Others of the same value would take memory of their own, for each message."""
    store = disks.open(data, cache_bytes_max=cache_bytes_max)

    assert await holds_by_store(store) == [holds] * 5


async def test_message_that_moves_costs_the_cache_what_it_takes_then(
    disks: Disks, data: Path
) -> None:
    """It stays in memory if it still fits."""
    commits = Commits()
    store = disks.open(data, commits, cache_bytes_max=100 + CACHED_OVERHEAD_BYTES)
    source, target = make_queue(1), make_queue(2)
    for queue in (source, target):
        await store.new_queue(queue)
    was_in_memory = []

    for suffix in (50, 51, 50):
        await store.add(source, bytes(50), START_NS)
        await store.commit(move_head(store, source, target, bytes(suffix)))
        before = commits.count
        assert await store.peek(target) == bytes(50 + suffix)
        was_in_memory.append(commits.count == before)
        assert await store.pop(target) == bytes(50 + suffix)

    assert was_in_memory == [True, False, True]
