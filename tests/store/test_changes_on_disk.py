"""Leases, acks, dead letters and purges on DISK: on disk as a whole, also after a crash.

How much of the messages is also in memory must make no difference.
"""

import asyncio
import shutil
from pathlib import Path

import pytest

from qmq.limits import CACHE_BYTES_MAX
from qmq.model.delivery import Delivery, State
from qmq.model.queue import Queue
from qmq.store.journalled import CACHED_OVERHEAD_BYTES
from qmq.store.local.disk import DiskStore
from qmq.testing import START_NS
from qmq.values import NS_PER_S, Attempt, NackKind, Outcome
from tests.store.changes_conformance import (
    EVERYTHING,
    LEASE_NS,
    ack,
    ack_first,
    changed,
    give_back,
    lease,
    move,
    move_head,
)
from tests.store.conformance import make_queue
from tests.store.disk import AT_ONCE, Commits, Disks, has_swept, orphans, rows, sweep

pytestmark = pytest.mark.parametrize(
    "cache_bytes_max",
    [CACHE_BYTES_MAX, 2 + CACHED_OVERHEAD_BYTES, 0],
    ids=["cached", "hardly-cached", "uncached"],
)


@pytest.fixture
async def store(disks: Disks, data: Path, commits: Commits, cache_bytes_max: int) -> DiskStore:
    """Return an empty store."""
    return disks.open(data, commits, cache_bytes_max=cache_bytes_max)


async def new_queues(store: DiskStore, count: int) -> list[Queue]:
    """Make queues in a store, numbered from 1."""
    queues = [make_queue(number) for number in range(1, count + 1)]
    for queue in queues:
        await store.new_queue(queue)
    return queues


def known(delivery: Delivery) -> dict[str, object]:
    """Return all that is known of how a message was handed out."""
    return {name: getattr(delivery, name) for name in FIELDS}


#: All that a store has to keep of a delivery.
FIELDS = (
    *("entry", "seq", "fence", "count", "state", "until_ns"),
    *("leased_ns", "consumer", "attempts", "redrive_id", "priority", "expires_ns"),
)


async def handed_out(store: DiskStore, queue: Queue) -> list[Delivery]:
    """Fill a queue with messages that were handed out, in all states, and others."""
    await store.add_batch(queue, [b"%d" % n for n in range(6)], START_NS)
    leased = lease(queue, 5, "w\u00f6rker \U0001f600 '\"\n")
    await store.commit(changed(saved=leased))
    leases = queue.leases
    leases.give_back(leased[0], NackKind.RELEASE, START_NS + 1, 0, "")
    leases.give_back(leased[1], NackKind.FAIL, START_NS + 2, LEASE_NS, "\u4e16\0' \\ \ud7ff")
    leases.extend(leased[2], START_NS + 9 * NS_PER_S)
    await store.commit(changed(saved=leased[:3]))
    for turn in range(20):
        again = lease(queue, 1, f"{turn}")
        give_back(queue, again)
        await store.commit(changed(saved=again))
    again = lease(queue, 1)
    again[0].redrive_id = "00000000-0000-4000-8000-00000000000a"
    await store.commit(changed(saved=again))
    return leased


@pytest.mark.parametrize("is_killed", [False, True], ids=["closed", "killed"])
async def test_what_was_handed_out_is_known_after_the_end(
    disks: Disks, data: Path, tmp_path: Path, store: DiskStore, *, is_killed: bool
) -> None:
    """Each message's state, deliveries and attempts; and each is at its place in the order."""
    [queue] = await new_queues(store, 1)
    deliveries = await handed_out(store, queue)
    before = {delivery.seq: known(delivery) for delivery in deliveries}
    assert [delivery.state for delivery in deliveries] == [
        *(State.LEASED, State.DELAYED, State.LEASED, State.LEASED, State.LEASED)
    ]
    assert len(deliveries[0].attempts) == 16
    leases = queue.leases
    counts = (len(queue.ready), leases.leased, leases.delayed, leases.held_by)

    if is_killed:
        data = Path(shutil.copytree(data, tmp_path / "killed"))
    else:
        await store.close()
    reopened = disks.open(data)
    [found] = reopened.queues

    assert {seq: known(each) for seq, each in found.leases.by_seq.items()} == before
    leases = found.leases
    assert (len(found.ready), leases.leased, leases.delayed, leases.held_by) == counts
    assert leases.next_moment_ns() == START_NS + 9 * NS_PER_S
    assert found.pass_time(START_NS + LEASE_NS + 2) == ([], [], [])
    assert await reopened.pop_batch(found, 9, EVERYTHING) == [b"%d" % n for n in range(6)]
    await reopened.close()
    await sweep(data)
    assert (rows(data, "message"), rows(data, "delivery"), rows(data, "lease")) == (0, 0, 0)


async def test_lease_is_the_same_one_after_the_end(
    disks: Disks, data: Path, store: DiskStore
) -> None:
    """Who has it can extend and ack it; the next lease on the message is another one."""
    [queue] = await new_queues(store, 1)
    await store.add_batch(queue, [b"0", b"1"], START_NS)
    leased = lease(queue, 2, "w")
    await store.commit(changed(saved=leased))
    names = [delivery.lease_id for delivery in leased]
    await store.close()

    store = disks.open(data)
    [queue] = store.queues
    [first, second] = [queue.leases.find(delivery.seq, 1) for delivery in leased]
    assert first
    assert second
    queue.leases.extend(second, START_NS + LEASE_NS + 1)
    await store.commit(changed(saved=[second], removed=ack(queue, [first]).removed))
    queue.pass_time(START_NS + LEASE_NS + 1)
    again = lease(queue, 9)
    await store.commit(changed(saved=again))
    await store.close()

    store = disks.open(data)
    [queue] = store.queues
    [delivery] = queue.leases.by_seq.values()
    assert names[1] < delivery.lease_id
    assert (delivery.seq, delivery.fence, delivery.count) == (second.seq, 2, 2)
    assert delivery.attempts == (
        Attempt(1, "w", START_NS, START_NS + LEASE_NS + 1, Outcome.EXPIRED, ""),
    )


async def test_ack_is_on_disk_when_it_is_answered(
    disks: Disks, data: Path, tmp_path: Path, store: DiskStore, commits: Commits
) -> None:
    """A crash before leaves the message on lease; one after leaves nothing of it."""
    [queue] = await new_queues(store, 1)
    await store.add_batch(queue, [b"0", b"1", b"2"], START_NS)
    leased = lease(queue, 2)
    await store.commit(changed(saved=leased))
    commits.copy_next(tmp_path / "before")

    await store.commit(ack(queue, leased))
    shutil.copytree(data, tmp_path / "after")

    before, after = disks.open(tmp_path / "before"), disks.open(tmp_path / "after")
    assert [each.fence for each in before.queues[0].leases.by_seq.values()] == [1, 1]
    assert not after.queues[0].leases.by_seq
    assert await after.pop_batch(after.queues[0], 9, EVERYTHING) == [b"2"]
    await after.close()
    await sweep(tmp_path / "after")
    assert (rows(tmp_path / "after", "message"), rows(tmp_path / "after", "delivery")) == (0, 0)


@pytest.mark.parametrize("how", ["at once", "in parts", "one by one", "purged", "deleted"])
async def test_row_of_those_leased_together_goes_with_the_last_of_them(
    disks: Disks, data: Path, cache_bytes_max: int, how: str
) -> None:
    """However they leave; not before, and without a start that would look for such rows."""
    store = disks.open(data, cache_bytes_max=cache_bytes_max, patience=AT_ONCE)
    [queue] = await new_queues(store, 1)
    await store.add_batch(queue, [b"0", b"1", b"2", b"3"], START_NS)
    handed_out = queue.lease(START_NS, LEASE_NS, 4, EVERYTHING, "w")
    changes = changed()
    changes.leased.append(handed_out)
    await store.commit(changes)
    if how != "at once":
        await store.commit(ack_first(queue, handed_out.seqs[1:3]))
    assert (rows(data, "lease"), rows(data, "delivery")) == (1, 0)

    match how:
        case "at once":
            await store.commit(ack_first(queue, handed_out.seqs))
        case "in parts":
            await store.commit(ack_first(queue, [handed_out.seqs[0]]))
            await store.commit(ack_first(queue, [handed_out.seqs[3]]))
        case "one by one":
            for seq in (handed_out.seqs[3], handed_out.seqs[0]):
                await store.commit(ack(queue, [queue.leases.by_seq[seq]]))
        case "purged":
            await store.purge(queue)
        case _:
            await store.delete_queue(queue)

    await has_swept(store)
    await store.close()
    assert (rows(data, "lease"), rows(data, "message")) == (0, 0)
    reopened = disks.open(data)
    assert [each.message_count for each in reopened.queues] == ([] if how == "deleted" else [0])
    await reopened.close()


async def test_message_is_in_one_queue_whenever_it_moves(
    disks: Disks, data: Path, tmp_path: Path, store: DiskStore, commits: Commits
) -> None:
    """Before the commit where it was, on lease; after it where it went, as one never leased."""
    source, target, last = await new_queues(store, 3)
    await store.add_batch(source, [b"0", b"1"], START_NS)
    leased = lease(source, 2)
    await store.commit(changed(saved=leased))
    commits.copy_next(tmp_path / "before")

    await store.commit(
        changed(moved=[move(store, source, each, target, b"!" * 5_000) for each in leased])
    )
    shutil.copytree(data, tmp_path / "after")
    await asyncio.gather(*(store.commit(move_head(store, target, last, b"?")) for _ in range(2)))

    before, after = disks.open(tmp_path / "before"), disks.open(tmp_path / "after")
    assert [queue.message_count for queue in before.queues] == [2, 0, 0]
    assert before.queues[0].leases.leased == 2
    assert [queue.message_count for queue in after.queues] == [0, 2, 0]
    moved = after.queues[1]
    assert moved.ready.bytes == 2 * 5_001
    assert not moved.leases.by_seq
    assert await after.pop_batch(moved, 9, EVERYTHING) == [b"0" + b"!" * 5_000, b"1" + b"!" * 5_000]
    await store.close()
    await sweep(data)
    assert (rows(data, "message"), rows(data, "delivery")) == (2, 0)
    store = disks.open(data)
    got = await store.pop_batch(store.queues[2], 9, EVERYTHING)
    assert got == [b"0" + b"!" * 5_000 + b"?", b"1" + b"!" * 5_000 + b"?"]


async def test_changes_that_belong_together_are_all_there_or_none(
    disks: Disks, data: Path, tmp_path: Path, store: DiskStore, commits: Commits
) -> None:
    """A step of a pipeline: the ack of its input, and its output in other queues."""
    source, one, two = await new_queues(store, 3)
    await store.add_batch(source, [b"in", b"bad", b"stays"], START_NS)
    done, failed = lease(source, 2)
    await store.commit(changed(saved=[done, failed]))
    first = store.number(2, START_NS)
    [to_one] = one.add_batch(first, [1])
    [to_two] = two.add_batch(first + 1, [1])
    commits.copy_next(tmp_path / "before")

    await store.commit(
        changed(
            added=[(to_one, one.number, b"1"), (to_two, two.number, b"2")],
            moved=[move(store, source, failed, two, b"!")],
            removed=ack(source, [done]).removed,
            redrives=[("r", "{}")],
            schedules=[("s", "{}")],
        )
    )
    shutil.copytree(data, tmp_path / "after")

    before, after = disks.open(tmp_path / "before"), disks.open(tmp_path / "after")
    assert [queue.message_count for queue in before.queues] == [3, 0, 0]
    assert [len(queue.leases.by_seq) for queue in before.queues] == [2, 0, 0]
    assert (before.redrives, after.redrives) == ([], [("r", "{}")])
    assert (before.schedules, after.schedules) == ([], [("s", "{}")])
    assert [await after.pop_batch(queue, 9, EVERYTHING) for queue in after.queues] == [
        *([b"stays"], [b"1"], [b"2", b"bad!"])
    ]


@pytest.mark.parametrize("kind", ["redrives", "schedules"])
async def test_jobs_are_kept_until_they_are_to_be_forgotten(
    disks: Disks, data: Path, store: DiskStore, kind: str
) -> None:
    """In the order of their starts, however often they were written since."""

    async def keep(*jobs: tuple[str, str]) -> None:
        changes = changed()
        getattr(changes, kind).extend(jobs)
        await store.commit(changes)

    for id_ in ("b", "a", "c", "d"):
        await keep((id_, '{"at": "\u4e16"}'))
    await keep(("a", "changed"), ("d", ""))
    await keep(("b", "again"), ("b", "last"), ("none", ""))
    await store.close()

    store = disks.open(data)
    assert getattr(store, kind) == [("b", "last"), ("a", "changed"), ("c", '{"at": "\u4e16"}')]
    await keep(("e", "new"), ("b", ""))
    await store.close()
    assert [id_ for id_, _ in getattr(disks.open(data), kind)] == ["a", "c", "e"]


async def filled_for_purge(store: DiskStore) -> list[Queue]:
    """Make a queue with more messages than one transaction sweeps, and another one."""
    doomed, other = await new_queues(store, 2)
    for _ in range(5):
        await store.add_batch(doomed, [b"gone"] * 1_000, START_NS)
    await store.add_batch(other, [b"kept"] * 3, START_NS)
    leased = [*lease(doomed, 3_000), *lease(other, 2)]
    await store.commit(changed(saved=leased))
    for delivery in leased[:500]:
        doomed.leases.give_back(delivery, NackKind.FAIL, START_NS, LEASE_NS, "")
    give_back(doomed, leased[500:1_000])
    await store.commit(changed(saved=leased[:1_000]))
    return [doomed, other]


@pytest.mark.parametrize("is_deleted", [False, True], ids=["purged", "deleted"])
async def test_nothing_comes_back_after_a_crash_during_a_purge(  # noqa: PLR0913 - Fixtures.
    disks: Disks,
    data: Path,
    tmp_path: Path,
    store: DiskStore,
    commits: Commits,
    *,
    is_deleted: bool,
) -> None:
    """All is gone with the first commit; what came later is there; the rows follow."""
    doomed, other = await filled_for_purge(store)
    before = commits.count
    commits.copy_next(tmp_path / "before")
    await (store.delete_queue(doomed) if is_deleted else store.purge(doomed))
    await commits.reach(before + 1)
    commits.copy_next(tmp_path / "added")
    await store.add(other if is_deleted else doomed, b"new", START_NS)
    await store.close()
    shutil.copytree(data, tmp_path / "after")

    old = disks.open(tmp_path / "before")
    assert [queue.message_count for queue in old.queues] == [5_000, 3]
    assert len(old.queues[0].leases.by_seq) == 3_000
    for image, later in (("added", []), ("after", [b"new"])):
        reopened = disks.open(tmp_path / image)
        held = {queue.number: queue.message_count for queue in reopened.queues}
        leased = [len(queue.leases.by_seq) for queue in reopened.queues]
        got = await reopened.pop_batch(reopened.queues[0], 9, EVERYTHING)
        await reopened.close()
        await sweep(tmp_path / image)

        assert held == ({2: 3 + len(later)} if is_deleted else {1: len(later), 2: 3})
        assert leased == ([2] if is_deleted else [0, 2])
        assert got == ([b"kept", *later] if is_deleted else later)
        assert rows(tmp_path / image, "message") == (2 if is_deleted else 3)
        assert rows(tmp_path / image, "delivery") == 2


async def test_what_comes_after_a_purge_stays_although_the_clock_was_set_back(
    disks: Disks, data: Path, store: DiskStore
) -> None:
    """Also when no message is left to tell what the last number was."""
    [queue] = await new_queues(store, 1)
    await store.add_batch(queue, [b"gone"] * 3, START_NS)
    await store.purge(queue)
    await store.close()

    store = disks.open(data)
    [queue] = store.queues
    await store.add(queue, b"kept", START_NS - 3_600 * NS_PER_S)
    await store.close()

    store = disks.open(data)
    [queue] = store.queues
    assert await store.pop_batch(queue, 9, EVERYTHING) == [b"kept"]


async def test_moved_message_that_was_purged_does_not_come_back(
    disks: Disks, data: Path, store: DiskStore
) -> None:
    """Its number is that of its arrival, whether or not its move was kept before the purge."""
    source, target = await new_queues(store, 2)
    await store.add_batch(source, [b"0", b"1", b"2"], START_NS)
    await store.commit(move_head(store, source, target, b"!"))

    moved = store.commit(move_head(store, source, target, b"!"))
    await asyncio.gather(moved, store.purge(target))
    await store.commit(move_head(store, source, target, b"!"))
    await store.close()

    store = disks.open(data)
    assert [queue.message_count for queue in store.queues] == [0, 1]
    assert await store.pop(store.queues[1]) == b"2!"
    await store.close()
    await sweep(data)
    assert (rows(data, "message"), rows(data, "delivery")) == (0, 0)


@pytest.mark.parametrize("take", ["pop", "pop_batch", "ack", "purge", "delete_queue", "move"])
async def test_nothing_is_left_of_a_message_that_was_leased(
    data: Path, store: DiskStore, take: str
) -> None:
    """However it leaves its queue."""
    queue, other = await new_queues(store, 2)
    await store.add_batch(queue, [b"0", b"1", b"2"], START_NS)
    leased = lease(queue, 2)
    await store.commit(changed(saved=leased))
    if take in ("pop", "pop_batch"):
        give_back(queue, leased)
        await store.commit(changed(saved=leased))

    match take:
        case "pop":
            assert [await store.pop(queue) for _ in range(2)] == [b"0", b"1"]
        case "pop_batch":
            assert await store.pop_batch(queue, 2, EVERYTHING) == [b"0", b"1"]
        case "ack":
            await store.commit(ack(queue, leased))
        case "purge":
            await store.purge(queue)
        case "delete_queue":
            await store.delete_queue(queue)
        case _:
            moves = [move(store, queue, delivery, other, b"") for delivery in leased]
            await store.commit(changed(moved=moves))
    await store.close()
    await sweep(data)

    assert (rows(data, "delivery"), rows(data, "lease")) == (0, 0)
    left = {"purge": 0, "delete_queue": 0, "move": 3}
    assert rows(data, "message") == left.get(take, 1)
    assert orphans(data) == 0


async def test_delivery_without_a_message_is_swept(
    disks: Disks, data: Path, store: DiskStore, commits: Commits
) -> None:
    """Should a database have such rows, they do not stay for good."""
    [queue] = await new_queues(store, 1)
    await store.add_batch(queue, [b"0", b"1"], START_NS)
    await store.commit(changed(saved=lease(queue, 2)))
    commits.connection.execute("delete from message where seq = ?", (START_NS,))
    await store.close()
    assert orphans(data) == 1

    store = disks.open(data)
    await store.close()
    await sweep(data)

    assert list(store.queues[0].leases.by_seq) == [START_NS + 1]
    assert (rows(data, "message"), rows(data, "delivery"), orphans(data)) == (1, 1, 0)
