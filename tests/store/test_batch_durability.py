"""Batches on DISK: each is one change, on disk as a whole or not at all."""

import asyncio
from pathlib import Path

import pytest

from qmq.engine.broker import Broker
from qmq.limits import BATCH_MESSAGES_MAX
from qmq.store.journalled import CACHED_OVERHEAD_BYTES
from qmq.store.local.disk import DiskStore
from qmq.testing import START_NS, ManualClock, seeded_ids
from qmq.values import Store
from tests.store.conformance import make_queue, seqs_in, started
from tests.store.disk import Commits, Disks

#: More than the messages of any test take.
EVERYTHING = 2**40


def contents(store: DiskStore) -> list[tuple[int, int, int]]:
    """Return how much each queue of a store holds: number, messages, bytes."""
    return [(queue.number, len(queue.ready), queue.ready.bytes) for queue in store.queues]


@pytest.mark.parametrize("size", [1, 10_000])
async def test_crash_leaves_whole_batches(
    disks: Disks, data: Path, tmp_path: Path, size: int
) -> None:
    """What was acknowledged is all there; of what was not there is nothing.

    Batches of 10 MB are more than SQLite keeps in memory: they are in its log long before
    their commit.
    """
    commits = Commits()
    store = disks.open(data, commits, pending_bytes_max=2**30)
    one, two = make_queue(1), make_queue(2)
    for queue in (one, two):
        await store.new_queue(queue)
    batch = [bytes(size)] * BATCH_MESSAGES_MAX
    await store.add_batch(one, batch, START_NS)
    commits.copy_next(tmp_path / "before")

    await started(store.add_batch(two, batch, START_NS), store.add_batch(one, batch[:3], START_NS))
    await store.settle()
    commits.copy_next(tmp_path / "after")
    await store.add(one, b"x", START_NS)

    whole = (BATCH_MESSAGES_MAX, BATCH_MESSAGES_MAX * size)
    before, after = disks.open(tmp_path / "before"), disks.open(tmp_path / "after")
    assert contents(before) == [(1, *whole), (2, 0, 0)]
    assert contents(after) == [(1, whole[0] + 3, whole[1] + 3 * size), (2, *whole)]
    assert [await after.pop_batch(queue, 1, EVERYTHING) for queue in after.queues] == [
        [bytes(size)]
    ] * 2


@pytest.mark.parametrize("cache_bytes_max", [1024 * 1024, 250 + 2 * CACHED_OVERHEAD_BYTES, 0])
async def test_crash_during_a_pop_batch_leaves_all_that_it_would_have_taken(
    disks: Disks, data: Path, tmp_path: Path, cache_bytes_max: int
) -> None:
    """Nobody was given anything; after the commit all of it is gone."""
    commits = Commits()
    store = disks.open(data, commits, cache_bytes_max=cache_bytes_max)
    queue = make_queue(1)
    await store.new_queue(queue)
    sent = [b"%3d" % n * 30 for n in range(5)]
    await store.add_batch(queue, sent[:2], START_NS)
    await store.add_batch(queue, sent[2:], START_NS)
    commits.copy_next(tmp_path / "before")

    taken = await store.pop_batch(queue, 4, EVERYTHING)
    commits.copy_next(tmp_path / "after")
    await store.pop(queue)

    before, after = disks.open(tmp_path / "before"), disks.open(tmp_path / "after")
    assert taken == sent[:4]
    assert await before.pop_batch(before.queues[0], 9, EVERYTHING) == sent
    assert await after.pop_batch(after.queues[0], 9, EVERYTHING) == sent[4:]


async def test_batch_is_what_it_was_after_a_clean_end(disks: Disks, data: Path) -> None:
    """Numbers, sizes and contents; and what comes later stands behind it."""
    store = disks.open(data)
    queue = make_queue(1)
    await store.new_queue(queue)
    sent = [bytes([n]) * n * 100 for n in range(1, 6)]
    await store.add_batch(queue, sent, START_NS)
    await store.close()

    store = disks.open(data)
    (found,) = store.queues
    was_found = seqs_in(found), found.ready.bytes
    await store.add_batch(found, [b"x"], START_NS - 10**18)

    assert was_found == ([START_NS + n for n in range(5)], sum(map(len, sent)))
    assert await store.pop_batch(found, 9, EVERYTHING) == [*sent, b"x"]


async def test_batch_is_one_commit(disks: Disks, data: Path) -> None:
    """However many messages it has, in and out."""
    commits = Commits()
    store = disks.open(data, commits, cache_bytes_max=0)
    broker = Broker({Store.DISK: store}, clock=ManualClock(), new_id=seeded_ids())
    await broker.new_queue(Store.DISK, name="jobs")
    before = commits.count

    await broker.add_batch("jobs", [(b"", b"x")] * BATCH_MESSAGES_MAX)
    after_add = commits.count
    popped = await broker.pop_batch("jobs", BATCH_MESSAGES_MAX)

    assert len(popped) == BATCH_MESSAGES_MAX
    assert (after_add, commits.count) == (before + 1, before + 2)
    await broker.close()


async def test_batch_of_which_a_part_is_in_memory_comes_whole_and_in_order(
    disks: Disks, data: Path
) -> None:
    """In memory, on disk and on its way to it; what it held in memory is given back."""
    commits = Commits()
    store = disks.open(data, commits, cache_bytes_max=1_000 + 4 * CACHED_OVERHEAD_BYTES)
    queue = make_queue(1)
    await store.new_queue(queue)
    sent = [bytes([n]) * size for n, size in enumerate((400, 300, 300, 200, 150, 50, 900, 60))]
    await store.add(queue, sent[0], START_NS)
    # Too large for what is left: neither of these two is kept in memory.
    await store.add_batch(queue, [sent[1], sent[2], bytes(1)], START_NS)
    await store.add_batch(queue, sent[3:5], START_NS)
    calls = await started(
        store.add(queue, sent[5], START_NS),
        store.add_batch(queue, sent[6:], START_NS),
        store.pop_batch(queue, 9, EVERYTHING),
    )

    assert await calls[-1] == [*sent[:3], bytes(1), *sent[3:]]
    await store.add(queue, bytes(1_000), START_NS)
    before = commits.count
    # What is in memory is shown without a transaction.
    assert await store.peek(queue) == bytes(1_000)
    assert commits.count == before


async def test_batch_that_is_popped_makes_room_in_memory(disks: Disks, data: Path) -> None:
    """As single messages do."""
    commits = Commits()
    store = disks.open(data, commits, cache_bytes_max=1_000 + 2 * CACHED_OVERHEAD_BYTES)
    queue = make_queue(1)
    await store.new_queue(queue)

    for _ in range(3):
        await store.add_batch(queue, [bytes(500), bytes(500)], START_NS)
        before = commits.count
        await store.peek(queue)
        was_in_memory = commits.count == before
        await store.pop_batch(queue, 2, EVERYTHING)

        assert was_in_memory


async def test_that_nothing_is_left_is_told_after_the_commit_of_what_took_it(
    disks: Disks, data: Path
) -> None:
    """Like every answer that rests on a change."""
    commits = Commits()
    store = disks.open(data, commits)
    queue = make_queue(1)
    await store.new_queue(queue)
    await store.add(queue, b"x", START_NS)
    before = commits.count
    commits.hold()

    calls = await started(store.pop_batch(queue, 9, EVERYTHING))
    await commits.reach(before + 1)
    calls += await started(store.pop_batch(queue, 9, EVERYTHING))
    for _ in range(20):
        await asyncio.sleep(0)
    were_answered = [call.done() for call in calls]
    commits.release_all()

    assert [await call for call in calls] == [[b"x"], []]
    assert were_answered == [False, False]
