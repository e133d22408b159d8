"""After a write has failed, DISK acknowledges nothing more, and what it did is all there.

Two ways to fail, both SQLite's own: a commit that is refused, and a disk that is full.
"""

import asyncio
import gc
from pathlib import Path

import pytest

from qmq.engine.broker import Broker
from qmq.errors import DiskFull, StoreFailed
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import Store, Tag
from tests.store.conformance import started
from tests.store.disk import Commits, Disks


@pytest.fixture
def failures() -> list[str]:
    """Return what the store told of its failure."""
    return []


@pytest.fixture
async def broker(disks: Disks, data: Path, commits: Commits, failures: list[str]) -> Broker:
    """Return a broker with the queue "jobs", which holds one message."""
    disk = disks.open(data, commits, failures=failures)
    broker = Broker(
        {Store.MEMORY: MemoryStore(), Store.DISK: disk}, clock=ManualClock(), new_id=seeded_ids()
    )
    await broker.new_queue(Store.DISK, name="jobs")
    await broker.add("jobs", b"kept")
    return broker


async def drained(disks: Disks, data: Path) -> list[bytes]:
    """Open the data directory anew and return all messages of its one queue."""
    disk = disks.open(data)
    (queue,) = disk.queues
    return [await disk.pop(queue) for _ in range(len(queue.ready))]


async def test_everyone_who_waits_is_told(
    broker: Broker, commits: Commits, failures: list[str]
) -> None:
    """Who is in the failed transaction, and who was gathered behind it."""
    before = commits.count
    commits.hold()

    calls = await started(broker.add("jobs", b"lost"), broker.peek("jobs"))
    await commits.reach(before + 1)
    calls += await started(
        broker.add("jobs", b"lost"),
        broker.pop("jobs"),
        broker.pop("jobs"),
        broker.new_queue(Store.DISK, name="lost"),
        broker.list_queues(0, ""),
        broker.pop("jobs", wait_s=60),
        broker.add_batch("jobs", [(b"", b"lost"), (b"", b"lost")]),
        broker.pop_batch("jobs", 9),
        broker.pop_batch("jobs", 9),
        broker.stats("", 0, ""),
    )
    commits.fail = True
    commits.release_all()
    await asyncio.wait(calls)

    errors = {str(call.exception()) for call in calls}
    assert [type(call.exception()) for call in calls] == [StoreFailed] * len(calls)
    assert errors == {failures[0]}
    assert failures[0].startswith("the DISK store failed (ConstraintError: ")
    assert failures[0].endswith(
        ") and acknowledges nothing more;"
        " mend the disk and restart q, which serves all that was acknowledged"
    )
    assert commits.count == before + 1


async def test_every_later_call_is_refused(
    broker: Broker, commits: Commits, failures: list[str]
) -> None:
    """Reads too, for memory may be ahead of the disk; that the disk is well again is no help."""
    commits.fail = True
    with pytest.raises(StoreFailed):
        await broker.add("jobs", b"lost")
    commits.fail = False
    count = commits.count

    for call in (
        broker.add("jobs", b"refused"),
        broker.pop("jobs"),
        broker.peek("jobs"),
        broker.get_queue("jobs"),
        broker.list_queues(0, ""),
        broker.add_queue_tag("jobs", Tag("a", "1")),
        broker.delete_queue_tag("jobs", Tag("a", "1")),
        broker.new_queue(Store.DISK),
        broker.delete_queue("jobs"),
        broker.add_batch("jobs", [(b"", b"refused")]),
        broker.add_batch("jobs", []),
        broker.pop_batch("jobs", 9),
        broker.pop("jobs", wait_s=60),
        broker.stats("jobs", 0, ""),
    ):
        with pytest.raises(StoreFailed):
            await call

    assert len(failures) == 1
    assert commits.count == count
    # The Add that was lost, and each attempt to put or take messages since.
    assert broker.catalog.find("jobs").failed_total == 8


async def test_memory_queues_go_on(broker: Broker, commits: Commits) -> None:
    """A queue that needs no disk misses none."""
    await broker.new_queue(Store.MEMORY, name="scratch")
    commits.fail = True
    with pytest.raises(StoreFailed):
        await broker.add("jobs", b"lost")

    added = await broker.add("scratch", b"x")

    assert await broker.pop("scratch") == added
    assert (await broker.get_queue("scratch")).store is Store.MEMORY


async def test_queue_that_could_not_be_kept_is_forgotten(broker: Broker, commits: Commits) -> None:
    """Its name does not point to a queue that nobody was told of."""
    commits.fail = True

    with pytest.raises(StoreFailed):
        await broker.new_queue(Store.DISK, name="lost")

    assert [queue.info.name for queue in broker.catalog] == ["jobs"]


async def test_queue_that_was_deleted_before_it_could_be_kept_fails_alike(
    broker: Broker, commits: Commits
) -> None:
    """Both who made it and who deleted it by its name are told of the store."""
    commits.hold()
    calls = await started(broker.new_queue(Store.DISK, name="brief"), broker.delete_queue("brief"))

    commits.fail = True
    commits.release_all()
    await asyncio.wait(calls)

    assert [type(call.exception()) for call in calls] == [StoreFailed, StoreFailed]


async def test_restart_serves_what_was_acknowledged(
    broker: Broker, commits: Commits, disks: Disks, data: Path
) -> None:
    """The message whose Pop failed is there again; the one whose Add failed is not."""
    commits.fail = True
    results = await asyncio.gather(
        broker.pop("jobs"),
        broker.add("jobs", b"lost"),
        broker.delete_queue("jobs"),
        return_exceptions=True,
    )
    await broker.close()

    (kept,) = await drained(disks, data)
    assert kept.endswith(b"kept")
    assert {type(result) for result in results} == {StoreFailed}


async def test_full_disk_loses_nothing_that_was_acknowledged(
    disks: Disks, data: Path, commits: Commits, failures: list[str]
) -> None:
    """Of many producers some are told of the failure; a restart has the messages of all others.

    Here nobody takes over what would be read anew: see test_full_disk.py.
    """
    store = disks.open(data, commits, failures=failures)
    broker = Broker({Store.DISK: store}, clock=ManualClock(), new_id=seeded_ids())
    await broker.new_queue(Store.DISK, name="jobs")
    # What SQLite answers is what it answers when the file system has no room: SQLITE_FULL.
    commits.connection.pragma("max_page_count", 200)

    acknowledged: list[bytes] = []

    async def produce() -> None:
        while not failures:
            acknowledged.append(await broker.add("jobs", bytes(1_000)))

    results = await asyncio.gather(*(produce() for _ in range(16)), return_exceptions=True)
    await broker.close()

    assert {type(result) for result in results} == {DiskFull}
    assert failures == [str(results[0])]
    assert "the disk is full (FullError: database or disk is full)" in failures[0]
    assert len(acknowledged) > 100
    assert await drained(disks, data) == acknowledged


async def test_index_that_disagrees_with_the_disk_is_a_failure(
    disks: Disks, data: Path, commits: Commits, failures: list[str]
) -> None:
    """A message that the database has lost is never answered with something else."""
    store = disks.open(data, commits, cache_bytes_max=0, failures=failures)
    broker = Broker({Store.DISK: store}, clock=ManualClock(), new_id=seeded_ids())
    await broker.new_queue(Store.DISK, name="jobs")
    await broker.add("jobs", b"x")
    commits.connection.execute("delete from message")

    with pytest.raises(StoreFailed, match="is in the index but not in the database"):
        await broker.pop("jobs")
    await broker.close()

    assert len(failures) == 1
    assert await drained(disks, data) == []


async def test_failed_commit_is_rolled_back(
    broker: Broker, commits: Commits, disks: Disks, data: Path
) -> None:
    """Nothing of it is left for the restart to find: queue, message or deletion."""
    commits.fail = True
    results = await asyncio.gather(
        broker.new_queue(Store.DISK, name="lost"),
        *(broker.add("lost", b"lost") for _ in range(100)),
        return_exceptions=True,
    )
    await broker.close()

    reopened = disks.open(data)
    assert [queue.info.name for queue in reopened.queues] == ["jobs"]
    assert reopened.last_queue_number == 1
    assert {type(result) for result in results} == {StoreFailed}


async def test_end_during_a_failure_is_an_end(
    broker: Broker, commits: Commits, failures: list[str]
) -> None:
    """Closing returns, and nothing that went wrong meanwhile is left unheard."""
    unheard: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    before = commits.count
    commits.hold()
    calls = await started(broker.add("jobs", b"lost"))
    await commits.reach(before + 1)

    closing = await started(broker.close())
    commits.fail = True
    commits.release_all()
    await asyncio.wait([*calls, *closing])

    assert isinstance(calls[0].exception(), StoreFailed)
    assert closing[0].exception() is None
    assert len(failures) == 1
    del calls, closing
    gc.collect()
    assert unheard == []
