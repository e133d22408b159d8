"""DISK answers when what it says is on disk, and tells nobody anything it may take back."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from qmq.engine.broker import Broker
from qmq.errors import Busy, InvalidArgument, QueueEmpty, QueueFull, QueueNotFound
from qmq.store.local.disk import DiskStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import Store, Tag
from tests.store.conformance import started
from tests.store.disk import Commits, Disks

#: A call to the broker; the queue is "jobs", with room for two messages and one in it.
Call = Callable[[Broker], Coroutine[Any, Any, object]]


def new_queue(broker: Broker) -> Coroutine[Any, Any, object]:
    """Make another queue."""
    return broker.new_queue(Store.DISK, name="other")


def delete(broker: Broker) -> Coroutine[Any, Any, object]:
    """Delete the queue by its id."""
    return broker.delete_queue(seeded_ids()().decode())


def get(broker: Broker) -> Coroutine[Any, Any, object]:
    """Describe the queue."""
    return broker.get_queue("jobs")


def get_other(broker: Broker) -> Coroutine[Any, Any, object]:
    """Describe the other queue."""
    return broker.get_queue("other")


def list_all(broker: Broker) -> Coroutine[Any, Any, object]:
    """Describe all queues."""
    return broker.list_queues(0, "")


def tag(broker: Broker) -> Coroutine[Any, Any, object]:
    """Tag the queue."""
    return broker.add_queue_tag("jobs", Tag("k", "v"))


def untag(broker: Broker) -> Coroutine[Any, Any, object]:
    """Remove the tag that the queue has from the start."""
    return broker.delete_queue_tag("jobs", Tag("old", "tag"))


def add(broker: Broker) -> Coroutine[Any, Any, object]:
    """Add a message."""
    return broker.add("jobs", b"second")


def pop(broker: Broker) -> Coroutine[Any, Any, object]:
    """Take a message."""
    return broker.pop("jobs")


def peek(broker: Broker) -> Coroutine[Any, Any, object]:
    """Look at the head."""
    return broker.peek("jobs")


def add_batch(broker: Broker) -> Coroutine[Any, Any, object]:
    """Add messages, as many as there is room for."""
    return broker.add_batch("jobs", [(b"", b"second"), (b"", b"third")], partial=True)


def add_whole_batch(broker: Broker) -> Coroutine[Any, Any, object]:
    """Add messages of which there is room for one."""
    return broker.add_batch("jobs", [(b"", b"second"), (b"", b"third")])


def pop_batch(broker: Broker) -> Coroutine[Any, Any, object]:
    """Take all messages."""
    return broker.pop_batch("jobs", 9)


def pop_waiting(broker: Broker) -> Coroutine[Any, Any, object]:
    """Take a message, or wait for one."""
    return broker.pop("jobs", wait_s=60)


def stats(broker: Broker) -> Coroutine[Any, Any, object]:
    """Count the messages of the queue."""
    return broker.stats("jobs", 0, "")


def stats_of_all(broker: Broker) -> Coroutine[Any, Any, object]:
    """Count the messages of all queues."""
    return broker.stats("", 0, "")


@pytest.fixture(params=[1024 * 1024, 0], ids=["cached", "uncached"])
async def store(
    request: pytest.FixtureRequest, disks: Disks, tmp_path: Path, commits: Commits
) -> DiskStore:
    """Return the store, whose commits can be held."""
    return disks.open(
        tmp_path / "data", commits, cache_bytes_max=request.param, pending_bytes_max=10_000
    )


@pytest.fixture
async def broker(store: DiskStore) -> Broker:
    """Return a broker with the queue "jobs", which holds one message of at most two."""
    broker = Broker({Store.DISK: store}, clock=ManualClock(), new_id=seeded_ids())
    await broker.new_queue(Store.DISK, name="jobs", limit=2, tags=[Tag("old", "tag")])
    await broker.add("jobs", b"first")
    return broker


async def turns() -> None:
    """Let everything that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def outcomes(tasks: list[asyncio.Future[object]]) -> list[object]:
    """Return what calls returned, or the type of what they raised."""
    results = await asyncio.gather(*tasks, return_exceptions=True)
    return [type(result) if isinstance(result, Exception) else result for result in results]


@pytest.mark.parametrize(
    "change",
    [new_queue, delete, tag, untag, add, pop, add_batch, pop_batch],
    ids=lambda call: call.__name__,
)
async def test_change_is_answered_after_its_commit(
    broker: Broker, commits: Commits, change: Call
) -> None:
    """Whoever has the answer has it on disk."""
    before = commits.count
    commits.hold()

    calls = await started(change(broker))
    await commits.reach(before + 1)
    await turns()
    was_answered = calls[0].done()
    commits.release()
    await asyncio.wait(calls)

    assert not was_answered
    assert calls[0].exception() is None
    assert commits.count == before + 1


#: Changes, and what is asked right after them: a call and how it ends.
ANSWERS: list[tuple[list[Call], Call, type[Exception] | None]] = [
    ([pop], peek, QueueEmpty),
    ([pop, add], peek, None),
    ([pop], pop, QueueEmpty),
    ([add], add, QueueFull),
    ([tag], tag, None),
    ([untag], untag, None),
    ([delete], delete, QueueNotFound),
    ([tag], get, None),
    ([tag], list_all, None),
    ([new_queue], get_other, None),
    ([delete], list_all, None),
    ([add_batch], add, QueueFull),
    ([add_batch], peek, None),
    ([add], add_batch, QueueFull),
    ([add], add_whole_batch, QueueFull),
    ([pop_batch], peek, QueueEmpty),
    ([pop_batch], pop, QueueEmpty),
    ([pop], pop_batch, None),
    ([pop_batch], add_whole_batch, None),
    ([delete], pop_batch, InvalidArgument),
    ([pop], stats, None),
    ([add_batch], stats_of_all, None),
    ([delete], stats, InvalidArgument),
    ([pop, add], pop_waiting, None),
    ([pop, pop_waiting], add, None),
    ([pop, pop_waiting, add], pop, QueueEmpty),
    ([pop, pop_waiting], delete, None),
]

answers = pytest.mark.parametrize(
    ("changes", "answer", "expected"),
    ANSWERS,
    ids=[
        f"{answer.__name__}-after-{'-'.join(change.__name__ for change in changes)}"
        for changes, answer, _ in ANSWERS
    ],
)


@answers
async def test_answer_that_rests_on_a_change_waits_for_its_commit(
    broker: Broker,
    commits: Commits,
    changes: list[Call],
    answer: Call,
    expected: type[Exception] | None,
) -> None:
    """Also while an earlier commit is under way, and the change is only gathered."""
    before = commits.count
    commits.hold()

    earlier = await started(broker.new_queue(Store.DISK))
    await commits.reach(before + 1)
    calls = await started(*(call(broker) for call in (*changes, answer)))
    commits.release()
    await commits.reach(before + 2)
    await turns()
    were_answered = [earlier[0].done(), *(call.done() for call in calls)]
    commits.release_all()
    result = (await outcomes(calls))[-1]

    assert were_answered == [True] + [False] * len(calls)
    assert result is expected if expected else not isinstance(result, type)


@answers
async def test_answer_that_rests_on_a_commit_under_way_waits_for_it(
    broker: Broker,
    commits: Commits,
    changes: list[Call],
    answer: Call,
    expected: type[Exception] | None,
) -> None:
    """Also when nothing is gathered behind it."""
    before = commits.count
    commits.hold()

    calls = await started(*(call(broker) for call in changes))
    await commits.reach(before + 1)
    calls += await started(answer(broker))
    await turns()
    were_answered = [call.done() for call in calls]
    commits.release_all()
    result = (await outcomes(calls))[-1]

    assert were_answered == [False] * len(calls)
    assert result is expected if expected else not isinstance(result, type)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (get, None),
        (list_all, None),
        (peek, None),
        (add, QueueFull),
        (add_batch, QueueFull),
        (stats, None),
        (stats_of_all, None),
        (delete, QueueNotFound),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_answer_that_rests_on_nothing_new_needs_no_commit(
    broker: Broker, commits: Commits, question: Call, expected: type[Exception] | None
) -> None:
    """When all is on disk, there is nothing to wait for (but a read, without a cache)."""
    await broker.add("jobs", b"second")
    if question is delete:
        await delete(broker)
    before = commits.count

    (result,) = await outcomes(await started(question(broker)))

    assert result is expected if expected else not isinstance(result, type)
    assert commits.count <= before + (question is peek)


async def test_all_who_wait_share_a_commit(broker: Broker, commits: Commits) -> None:
    """While one commit is under way, everything that comes is gathered for the next."""
    await broker.new_queue(Store.DISK, name="many")
    before = commits.count
    commits.hold()

    calls = await started(broker.add("many", b"0"))
    await commits.reach(before + 1)
    for n in range(1, 100):
        calls += await started(broker.add("many", b"%d" % n), broker.peek("many"))
    commits.release_all()
    await asyncio.wait(calls)

    assert [call.exception() for call in calls] == [None] * 199
    assert commits.count == before + 2


async def test_cancelled_call_leaves_the_others_of_its_commit_alone(
    broker: Broker, commits: Commits
) -> None:
    """It has taken effect; who waits with it is answered."""
    await broker.new_queue(Store.DISK, name="many")
    before = commits.count
    commits.hold()

    calls = await started(*(broker.add("many", b"%d" % n) for n in range(3)))
    await commits.reach(before + 1)
    calls += await started(broker.pop("many"), broker.peek("many"), broker.peek("many"))
    for cancelled in (calls[1], calls[3], calls[4]):
        cancelled.cancel()
    commits.release_all()
    await asyncio.wait(calls)

    assert [call.cancelled() for call in calls] == [False, True, False, True, True, False]
    left = [await broker.pop("many"), await broker.pop("many")]
    assert calls[5].result() == left[0]
    assert calls[2].result() == left[1]


async def test_too_much_waiting_for_the_disk_is_refused(
    broker: Broker, store: DiskStore, commits: Commits
) -> None:
    """The server is busy then, with every call that would need the disk, and changes nothing."""
    await broker.new_queue(Store.DISK, name="many")
    before = commits.count
    commits.hold()
    calls = await started(broker.add("many", bytes(20_000)))
    await commits.reach(before + 1)
    gathered = asyncio.create_task(broker.add("many", bytes(20_000)))
    await turns()

    refused = await asyncio.gather(
        *(
            call(broker)
            for call in (
                *(add, pop, peek, tag, untag, delete, new_queue),
                *(add_batch, pop_batch, pop_waiting),
            )
        ),
        return_exceptions=True,
    )
    commits.release_all()
    await asyncio.wait(calls)
    added = await gathered

    for refusal in refused:
        assert isinstance(refusal, Busy)
        assert refusal.message == (
            f"{len(added)} bytes wait for the disk, more than journal_pending_bytes_max of 10000"
        )
    store.check()
    jobs = broker.catalog.find("jobs")
    assert (len(jobs.ready), jobs.info.tags, jobs.failed_total) == (1, (Tag("old", "tag"),), 6)
    assert [info.name for info in (await broker.list_queues(0, ""))[0]] == ["jobs", "many"]
    await broker.pop("jobs")


async def test_who_waited_and_is_refused_leaves_the_message_to_others(
    broker: Broker, commits: Commits
) -> None:
    """The disk may be busy by the time that a message comes; nobody waits on beside it."""
    await broker.new_queue(Store.DISK, name="many")
    await broker.pop("jobs")
    before = commits.count
    commits.hold()
    held = await started(broker.add("many", b"x"))
    await commits.reach(before + 1)
    line = await started(broker.pop("jobs", 60), broker.pop_batch("jobs", 9, 60))

    held += await started(broker.add("jobs", b"kept"), broker.add("many", bytes(20_000)))
    await turns()
    told = [call.exception() if call.done() else None for call in line]
    commits.release_all()
    await asyncio.wait(held)

    assert [type(error) for error in told] == [Busy, Busy]
    assert await broker.pop("jobs") == held[1].result()
    assert broker.catalog.find("jobs").failed_total == 2


async def test_waiting_call_is_answered_after_the_commit_of_the_message(
    broker: Broker, commits: Commits
) -> None:
    """Of the message that it waited for, and of its being taken."""
    await broker.pop("jobs")
    line = await started(broker.pop("jobs", 60), broker.pop_batch("jobs", 9, 60))
    before = commits.count
    commits.hold()

    added = await started(broker.add("jobs", b"1"), broker.add("jobs", b"2"))
    await commits.reach(before + 1)
    await turns()
    were_answered = [call.done() for call in (*added, *line)]
    commits.release_all()

    assert were_answered == [False] * 4
    assert [await line[0], await line[1]] == [await added[0], [await added[1]]]


async def test_batches_count_in_full_as_what_waits_for_the_disk(
    broker: Broker, store: DiskStore, commits: Commits
) -> None:
    """By the bytes of all their messages."""
    await broker.new_queue(Store.DISK, name="many")
    before = commits.count
    commits.hold()
    calls = await started(broker.add("many", b"x"))
    await commits.reach(before + 1)

    calls += await started(broker.add_batch("many", [(b"", bytes(100))] * 60))
    store.check()
    calls += await started(broker.add_batch("many", [(b"", bytes(100))] * 60))
    with pytest.raises(Busy):
        store.check()
    with pytest.raises(Busy):
        await broker.add_batch("many", [(b"", b"x")])
    commits.release_all()
    await asyncio.wait(calls)

    assert len(await broker.pop_batch("many", 1_000)) == 121


async def test_end_of_the_broker_makes_durable_what_is_under_way(
    broker: Broker, commits: Commits, disks: Disks, tmp_path: Path
) -> None:
    """Closing waits for the disk, and answers everyone."""
    before = commits.count
    commits.hold()
    calls = await started(broker.add("jobs", b"second"))
    await commits.reach(before + 1)
    calls += await started(broker.pop("jobs"))

    closing = await started(broker.close())
    await turns()
    was_closed = closing[0].done()
    commits.release_all()
    await asyncio.wait([*calls, *closing])

    assert not was_closed
    reopened = disks.open(tmp_path / "data")
    assert await reopened.pop(reopened.queues[0]) == calls[0].result()
    with pytest.raises(QueueEmpty):
        await reopened.pop(reopened.queues[0])
