"""Options on DISK through crashes: a message and all that is known of it are one change."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmq.descriptions import MessageOptions, QueueSettings
from qmq.engine.broker import Broker
from qmq.errors import StoreFailed
from qmq.model.changes import Changes
from qmq.model.check import problems_of
from qmq.model.dedup import Known
from qmq.model.delivery import State
from qmq.model.queue import Queue
from qmq.store.local.disk import DiskStore
from qmq.testing import START_NS, ManualClock, seeded_ids
from qmq.values import NS_PER_S, Durability, Overflow, Store
from tests.store.conformance import make_queue, seqs_in, started
from tests.store.disk import AT_ONCE, Commits, Disks, has_swept, rows, sweep
from tests.store.power import Machine, running_machine

#: All that a message can be added with.
OPTIONS = MessageOptions(
    delay_ns=5 * NS_PER_S, ttl_ns=60 * NS_PER_S, priority=7, dedup_id="\u4e16 '\"\\"
)


def broker_on(store: DiskStore) -> Broker:
    """Make a broker whose time stands still."""
    clock = ManualClock()
    return Broker(
        {Store.DISK: store},
        clock=clock,
        timer=clock,
        new_id=seeded_ids(),
        held=store,
    )


def known_of(queue: Queue) -> list[tuple[object, ...]]:
    """Return what is known of the messages of a queue, and its dedup_ids."""
    assert problems_of(queue) == []
    return [
        *((each.priority, each.expires_ns) for each in queue.leases.by_seq.values()),
        *((each.state, each.until_ns) for each in queue.leases.by_seq.values()),
        *(tuple(each) for each in queue.dedup),
    ]


@pytest.fixture
async def broker(disks: Disks, data: Path, commits: Commits) -> Broker:
    """Return a broker with the queue "jobs"."""
    broker = broker_on(disks.open(data, commits))
    await broker.new_queue(Store.DISK, name="jobs")
    return broker


async def test_message_is_on_disk_with_all_that_it_was_added_with_or_not_at_all(
    broker: Broker, disks: Disks, data: Path, commits: Commits, tmp_path: Path
) -> None:
    """The row, its options and its dedup_id, of one message or of many."""
    commits.copy_next(tmp_path / "before")
    await broker.add_with("jobs", b"1", b"", OPTIONS)
    count = commits.count
    commits.copy_next(tmp_path / "between")
    await broker.add_batch_with(
        "jobs",
        [(b"", b"2"), (b"", b"3")],
        {0: MessageOptions(dedup_id="a"), 1: MessageOptions(priority=1)},
    )

    assert commits.count == count + 1
    now = known_of(broker.catalog.find("jobs"))
    await broker.close()
    [before], [between], [after] = (
        disks.open(path).queues for path in (tmp_path / "before", tmp_path / "between", data)
    )
    assert (before.message_count, known_of(before)) == (0, [])
    assert between.message_count == 1
    assert known_of(between)[:2] == [
        (7, START_NS + 60 * NS_PER_S),
        (State.DELAYED, START_NS + 5 * NS_PER_S),
    ]
    [known] = between.dedup
    assert (known.dedup_id, known.expires_ns) == (OPTIONS.dedup_id, START_NS + 300 * NS_PER_S)
    assert (after.message_count, known_of(after)) == (3, now)


async def test_repeat_after_a_crash_adds_what_the_crash_has_taken(
    broker: Broker, disks: Disks, commits: Commits, tmp_path: Path
) -> None:
    """Nobody was told of it, so who makes the call again does right."""
    asked = MessageOptions(dedup_id="a")
    commits.copy_next(tmp_path / "crashed")
    first = await broker.add_with("jobs", b"1", b"", asked)

    broker = broker_on(disks.open(tmp_path / "crashed"))
    again, third = [await broker.add_with("jobs", b"1", b"", asked) for _ in range(2)]

    assert [was_known for _, was_known in (first, again, third)] == [False, False, True]
    assert broker.catalog.find("jobs").message_count == 1


async def test_repeat_is_answered_after_the_commit_of_the_first(
    broker: Broker, commits: Commits
) -> None:
    """It says that the message is there, which could still be taken back."""
    commits.hold()
    before = commits.count
    asked = MessageOptions(dedup_id="a")

    calls = await started(broker.add_with("jobs", b"1", b"", asked))
    await commits.reach(before + 1)
    calls += await started(
        broker.add_with("jobs", b"2", b"", asked),
        broker.add_batch_with("jobs", [(b"", b"3")], {0: asked}),
        broker.leasing.complete([], [("jobs", [(b"", b"4")])], [{0: asked}]),
    )
    for _ in range(20):
        await asyncio.sleep(0)
    were_answered = [call.done() for call in calls]
    commits.release_all()
    results = await asyncio.gather(*calls)

    assert were_answered == [False] * 4
    assert results[1][1] is True  # type: ignore[index]
    assert commits.count == before + 1


async def test_repeat_of_what_could_not_be_kept_fails_alike(
    broker: Broker, commits: Commits
) -> None:
    """There is no such message."""
    commits.hold()
    before = commits.count
    asked = MessageOptions(dedup_id="a")
    calls = await started(broker.add_with("jobs", b"1", b"", asked))
    await commits.reach(before + 1)
    calls += await started(broker.add_with("jobs", b"2", b"", asked))

    commits.fail = True
    commits.release_all()
    await asyncio.wait(calls)

    assert [type(call.exception()) for call in calls] == [StoreFailed] * 2


async def test_displaced_messages_go_with_the_commit_of_what_displaces_them(
    broker: Broker, disks: Disks, commits: Commits, tmp_path: Path
) -> None:
    """No crash leaves the queue without either, nor over its limit."""
    await broker.update_queue(
        "jobs", lambda _: QueueSettings(overflow=Overflow.DROP_OLDEST), limit=2
    )
    await broker.add_with("jobs", b"1", b"", MessageOptions(priority=1, dedup_id="1"))
    await broker.add("jobs", b"2")
    commits.copy_next(tmp_path / "before")
    await broker.add_with("jobs", b"3", b"", MessageOptions(priority=2, dedup_id="3"))
    commits.copy_next(tmp_path / "after")
    await broker.add_with("jobs", b"4", b"", MessageOptions(priority=3, dedup_id="4"))

    for name, ids in (("before", ["1"]), ("after", ["1", "3"])):
        [queue] = disks.open(tmp_path / name).queues
        assert queue.message_count == 2
        assert [each.dedup_id for each in queue.dedup] == ids
        assert problems_of(queue) == []


@pytest.fixture
def machine(data: Path) -> Iterator[Machine]:
    """Return the machine that the data is on."""
    with running_machine(data) as machine:
        yield machine


@pytest.mark.parametrize("level", [Durability.MEMORY, Durability.OS, Durability.FSYNC])
async def test_lost_power_takes_a_message_with_its_dedup_id_or_neither(
    machine: Machine, disks: Disks, data: Path, tmp_path: Path, level: Durability
) -> None:
    """However durable it was to be."""
    store = disks.open(data)
    broker = broker_on(store)
    await broker.new_queue(Store.DISK, name="jobs")

    await broker.add_with("jobs", b"1", b"", OPTIONS, durability=level)

    [left] = disks.open(machine.after_power_loss(tmp_path / "powerless")).queues
    is_kept = level is Durability.FSYNC
    assert (left.message_count, len(left.dedup)) == (int(is_kept), int(is_kept))
    assert len(left.leases.by_seq) == int(is_kept)


def known(seq: int, dedup_id: str) -> Known:
    """Make what is remembered of a message."""
    return Known(seq, dedup_id, b"meta", START_NS + NS_PER_S)


async def add_known(store: DiskStore, queue: Queue, dedup_id: str) -> Known:
    """Let a store remember a dedup_id for a queue, and nothing else."""
    made = known(store.number(1, START_NS), dedup_id)
    queue.dedup.add(made)
    changes = Changes()
    changes.known.append((queue.number, made))
    await store.commit(changes)
    return made


async def test_ids_are_remembered_by_their_own_queue(disks: Disks, data: Path) -> None:
    """In order, and what is forgotten is forgotten on disk too."""
    store = disks.open(data)
    one, two = make_queue(1), make_queue(2)
    for queue in (one, two):
        await store.new_queue(queue)
    kept = [await add_known(store, queue, text) for queue in (one, two) for text in ("a", "b")]
    changes = Changes()
    changes.forgotten = [kept[0].seq]
    await store.commit(changes)
    await store.close()

    found = disks.open(data).queues

    assert [list(queue.dedup) for queue in found] == [kept[1:2], kept[2:]]


async def test_ids_of_a_deleted_queue_are_no_other_ones(disks: Disks, data: Path) -> None:
    """If q ended before they were swept, its number is not used again until they are."""
    commits = Commits()
    store = disks.open(data, commits)
    for number in (1, 2):
        queue = make_queue(number)
        await store.new_queue(queue)
        await add_known(store, queue, "a")
    await store.settle()
    commits.connection.execute("delete from queue where number = 2")
    await store.close()

    store = disks.open(data)
    found = [(queue.number, len(queue.dedup)) for queue in store.queues]
    last_number = store.last_queue_number
    await store.close()
    await sweep(data)

    assert (found, last_number) == ([(1, 1)], 2)
    assert rows(data, "dedup") == 1


async def test_crowd_of_ids_is_swept_between_other_calls(
    disks: Disks, data: Path, commits: Commits
) -> None:
    """Some thousands at a time, so that it holds up nobody."""
    store = disks.open(data, commits, patience=AT_ONCE)
    queue, other = make_queue(1), make_queue(2)
    for each in (queue, other):
        await store.new_queue(each)
    changes = Changes()
    first_seq = store.number(10_000, START_NS)
    for seq in range(first_seq, first_seq + 10_000):
        made = known(seq, f"{seq}")
        queue.dedup.add(made)
        changes.known.append((queue.number, made))
    await store.commit(changes)
    before = commits.count

    deleted = store.delete_queue(queue)
    await store.add(other, b"x", START_NS)
    await deleted
    assert commits.count - before < 4
    await has_swept(store)
    await store.close()

    assert rows(data, "dedup") == 0
    [left] = disks.open(data).queues
    assert len(seqs_in(left)) == 1
