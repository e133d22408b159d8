"""What is said of leases on DISK is on disk, and after a failed write nothing more is said.

So it is for each call about messages, and for those that change a queue as a whole.
"""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from qmq.engine.broker import Broker
from qmq.errors import QueueInUse, StoreFailed
from qmq.store.local.disk import DiskStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import Durability, Store
from tests.store.changes_conformance import EVERYTHING
from tests.store.conformance import started
from tests.store.disk import Commits, Disks
from tests.store.durability_conformance import CALLS, QUEUE_CALLS, Call, with_jobs

EVERY_CALL = CALLS | QUEUE_CALLS

every_call = pytest.mark.parametrize("call", EVERY_CALL.values(), ids=list(EVERY_CALL))

UNKNOWN = Durability.UNKNOWN


@pytest.fixture(params=[1024 * 1024, 0], ids=["cached", "uncached"])
async def store(
    request: pytest.FixtureRequest, disks: Disks, data: Path, commits: Commits
) -> DiskStore:
    """Return the store, whose commits can be held and refused."""
    return disks.open(data, commits, cache_bytes_max=request.param)


@pytest.fixture
def broker(store: DiskStore) -> Broker:
    """Return a broker that has the store alone."""
    clock = ManualClock()
    return Broker({Store.DISK: store}, clock=clock, timer=clock, new_id=seeded_ids())


async def turns() -> None:
    """Let everything that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


@every_call
async def test_change_is_answered_after_its_commit(
    broker: Broker, commits: Commits, call: Call
) -> None:
    """Whoever has the answer has it on disk, by one transaction."""
    lease_id = await with_jobs(broker, Store.DISK)
    before = commits.count
    commits.hold()

    [changed] = await started(call(broker, lease_id, UNKNOWN))
    await commits.reach(before + 1)
    await turns()
    was_answered = changed.done()
    commits.release_all()
    await changed

    assert not was_answered
    assert commits.count == before + 1


#: A change, and what is asked right after it, which rests on it.
ANSWERS = [
    *(("ack", "ack"), ("ack", "nack"), ("ack", "extend"), ("ack", "complete")),
    *(("nack", "nack"), ("nack", "ack"), ("complete", "ack"), ("complete", "complete")),
    *(("purge", "ack"), ("purge", "pop"), ("purge", "pop_batch"), ("purge", "lease")),
    *(("pause", "pop"), ("pause", "lease"), ("pause", "resume"), ("pause", "add")),
    *(("pause", "add_batch"), ("pause", "complete")),
    *(("lease", "extend"), ("nack", "lease"), ("update_queue", "update_queue")),
]


@pytest.mark.parametrize(("change", "answer"), ANSWERS, ids=map("-".join, ANSWERS))
async def test_answer_that_rests_on_a_change_waits_for_its_commit(
    broker: Broker, commits: Commits, change: str, answer: str
) -> None:
    """Also if it says that there is nothing to do, or refuses."""
    lease_id = await with_jobs(broker, Store.DISK)
    before = commits.count
    commits.hold()

    calls = await started(EVERY_CALL[change](broker, lease_id, UNKNOWN))
    await commits.reach(before + 1)
    calls += await started(EVERY_CALL[answer](broker, lease_id, UNKNOWN))
    await turns()
    were_answered = [call.done() for call in calls]
    commits.release_all()
    await asyncio.wait(calls)

    assert were_answered == [False, False]


async def test_refusal_to_delete_a_dead_letter_queue_waits_for_what_made_it_one(
    broker: Broker, commits: Commits
) -> None:
    """It rests on the settings of the other queue."""
    await with_jobs(broker, Store.DISK)
    await broker.new_queue(Store.DISK, name="failed")
    before = commits.count
    commits.hold()

    calls = await started(
        broker.update_queue("jobs", partial(replace, dead_letter_queue_id="failed"))
    )
    await commits.reach(before + 1)
    calls += await started(broker.delete_queue("failed"))
    await turns()
    were_answered = [call.done() for call in calls]
    commits.release_all()
    await asyncio.wait(calls)

    assert were_answered == [False, False]
    assert isinstance(calls[1].exception(), QueueInUse)


@every_call
async def test_everyone_who_waits_is_told_of_a_failure(
    broker: Broker, commits: Commits, call: Call
) -> None:
    """Who is in the failed transaction, and who was gathered behind it."""
    lease_id = await with_jobs(broker, Store.DISK)
    before = commits.count
    commits.hold()

    calls = await started(call(broker, lease_id, UNKNOWN))
    await commits.reach(before + 1)
    for other in EVERY_CALL.values():
        calls += await started(other(broker, lease_id, UNKNOWN))
    commits.fail = True
    commits.release_all()
    await asyncio.wait(calls)

    assert {type(call.exception()) for call in calls} == {StoreFailed}
    assert commits.count == before + 1


@every_call
@pytest.mark.parametrize("level", [Durability.MEMORY, UNKNOWN], ids=lambda level: level.name)
async def test_call_is_refused_after_a_failure(
    broker: Broker, commits: Commits, call: Call, level: Durability
) -> None:
    """Whatever it waits for, and although the disk is well again; it changes nothing."""
    lease_id = await with_jobs(broker, Store.DISK)
    commits.fail = True
    with pytest.raises(StoreFailed):
        await broker.add("jobs", b"lost")
    commits.fail = False
    count = commits.count
    [queue] = broker.catalog
    before = (queue.info, queue.message_count, repr(queue.leases.by_seq))

    with pytest.raises(StoreFailed):
        await call(broker, lease_id, level)
    await turns()

    assert commits.count == count
    assert (queue.info, queue.message_count, repr(queue.leases.by_seq)) == before


@every_call
async def test_restart_finds_nothing_of_what_has_failed(
    broker: Broker, commits: Commits, disks: Disks, data: Path, call: Call
) -> None:
    """All that was acknowledged before is as it was, the lease included."""
    lease_id = await with_jobs(broker, Store.DISK)
    [info], _ = await broker.list_queues(0, "")
    commits.fail = True
    with pytest.raises(StoreFailed):
        await call(broker, lease_id, UNKNOWN)
    await broker.close()

    store = disks.open(data)
    [queue] = store.queues
    [delivery] = queue.leases.by_seq.values()
    assert queue.info == info
    assert (delivery.lease_id, delivery.state.name, delivery.attempts) == (lease_id, "LEASED", ())
    assert len(await store.pop_batch(queue, 9, EVERYTHING)) == 3
