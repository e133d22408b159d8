"""Rows of what has left are removed later: whatever ends a server until then, nothing comes back.

And nothing is lost: with each answer after which power may be lost, each commit before which the
process may be killed, and each commit that may fail.
"""

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import suppress
from pathlib import Path

import pytest

from qmq.errors import StoreFailed
from qmq.model.check import problems_of
from qmq.model.queue import Queue
from qmq.store.local.disk import DiskStore
from qmq.store.local.sweeping import Patience
from qmq.testing import START_NS
from qmq.values import NS_PER_S, Durability
from tests.store.changes_conformance import (
    EVERYTHING,
    LEASE_NS,
    ack,
    ack_first,
    changed,
    move_head,
)
from tests.store.conformance import make_queue
from tests.store.disk import ALONG, AT_ONCE, Commits, Disks, has_swept, rows, sweep
from tests.store.power import Machine, running_machine

sweeping = pytest.mark.parametrize(
    "patience", [ALONG, AT_ONCE, Patience()], ids=["along", "at-once", "later"]
)

#: The entries of all messages of each queue, by its number.
Held = dict[int, list[int]]


def held_by(queues: Iterable[Queue]) -> Held:
    """Return what queues hold, which must be sound."""
    held: Held = {}
    for queue in queues:
        assert problems_of(queue) == []
        known = (each.entry for each in queue.leases.by_seq.values())
        held[queue.number] = sorted({*queue.ready, *known})
    return held


class Story:
    """Messages that leave in all ways, one after the other."""

    def __init__(self, store: DiskStore, patience: Patience) -> None:
        self.store = store
        self.patience = patience
        self.queues = [make_queue(number) for number in (1, 2, 3)]
        self.jobs, self.dead, self.doomed = self.queues
        #: What the queues held after each step.
        self.held: list[Held] = []

    async def go_through(self) -> AsyncIterator[Held]:
        """Make one step after the other, and tell what the queues hold after each."""
        store, jobs, dead, doomed = self.store, self.jobs, self.dead, self.doomed
        for queue in self.queues:
            await store.new_queue(queue)
        await store.add_batch(jobs, [b"%d" % n for n in range(20)], START_NS)
        await store.add_batch(dead, [b"dead", b"older"], START_NS)
        await store.add_batch(doomed, [b"a", b"b", b"c"], START_NS)
        steps: list[Callable[[], Awaitable[object]]] = [
            store.settle,
            lambda: store.pop(jobs),
            lambda: self.leased_and_acked(3),
            lambda: store.add(jobs, b"new", START_NS),
            lambda: store.pop_batch(jobs, 2, EVERYTHING),
            lambda: store.commit(move_head(store, jobs, dead, b"!")),
            lambda: store.purge(doomed),
            self.moved_and_taken,
            lambda: store.add(doomed, b"after", START_NS),
            lambda: store.add(doomed, b"that", START_NS),
            lambda: store.pop(doomed),
            self.deleted,
            lambda: self.leased_and_acked(1),
            lambda: store.add(jobs, b"last", START_NS),
        ]
        for step in steps:
            await step()
            held = held_by(self.queues)
            self.held.append(held)
            yield held
            if self.patience is AT_ONCE:
                await has_swept(store)
                await store.settle()

    async def leased_and_acked(self, count: int) -> None:
        """Have messages leased together, and acked."""
        handed_out = self.jobs.lease(START_NS, LEASE_NS, count, EVERYTHING, "")
        changes = changed()
        changes.leased.append(handed_out)
        await self.store.commit(changes)
        deliveries = handed_out.deliveries
        await self.store.commit(
            ack(self.jobs, deliveries) if deliveries else ack_first(self.jobs, handed_out.seqs)
        )

    async def moved_and_taken(self) -> None:
        """Have a message go to another queue and leave that before its move is on disk."""
        moved = self.store.commit(move_head(self.store, self.jobs, self.dead, b"?"))
        await asyncio.gather(moved, self.store.pop_batch(self.dead, 9, EVERYTHING))

    async def deleted(self) -> None:
        """Delete a queue with what is in it."""
        deleted = self.store.delete_queue(self.queues.pop())
        await deleted


async def holds(disks: Disks, path: Path, expected: Sequence[Held]) -> Held:
    """Check that a data directory holds one of what is expected, before and after a sweep."""
    store = disks.open(path)
    held = held_by(store.queues)
    assert held in expected
    leased = sum(len(queue.leases.by_seq) for queue in store.queues)
    await store.close()
    await sweep(path)
    assert rows(path, "message") == sum(map(len, held.values()))
    # One alone has a row of its own; three share one.
    of_leases = {0: (0, 0), 1: (1, 0), 3: (0, 1)}
    assert (rows(path, "delivery"), rows(path, "lease")) == of_leases[leased]
    store = disks.open(path)
    assert held_by(store.queues) == held
    await store.close()
    return held


@pytest.fixture
def machine(data: Path) -> Iterator[Machine]:
    """Return the machine that the data is on."""
    with running_machine(data) as machine:
        yield machine


@sweeping
async def test_lost_power_brings_nothing_back(
    machine: Machine, disks: Disks, data: Path, tmp_path: Path, patience: Patience
) -> None:
    """After each answer, all that was told is so, however far the sweeps have come."""
    story = Story(disks.open(data, patience=patience, cache_bytes_max=0), patience)
    images: list[tuple[Path, Held]] = []

    async for held in story.go_through():
        images.append((machine.after_power_loss(tmp_path / f"{len(images)}"), held))
    await story.store.close()

    assert len(images) == 14
    for image, held in images:
        await holds(disks, image, [held])


@sweeping
async def test_killed_server_goes_on_with_what_was_told(
    disks: Disks, data: Path, tmp_path: Path, commits: Commits, patience: Patience
) -> None:
    """Before each commit: of a call, of a sweep, and of the row that said what had gone."""
    story = Story(disks.open(data, commits, patience=patience), patience)
    images = tmp_path / "images"
    first = True

    async for _ in story.go_through():
        if first:
            commits.copy_each(images)
            first = False
    await story.store.close()

    at = 0
    crashes = sorted(images.iterdir())
    for crash in crashes:
        held = await holds(disks, crash, story.held[at : at + 2])
        at = story.held.index(held)
    # Each step but the last one was on disk before the commit of the next.
    assert at == len(story.held) - 2
    sweeps = len(crashes) > 2 * len(story.held)
    assert sweeps is (patience is AT_ONCE)


@sweeping
async def test_failure_takes_nothing_back(disks: Disks, tmp_path: Path, patience: Patience) -> None:
    """Of any commit: what was told before it is so after a restart."""
    failed = 0
    for fail_from in range(7, 100):
        path, commits, failures = tmp_path / f"{fail_from}", Commits(), list[str]()
        commits.fail_from = fail_from
        story = Story(disks.open(path, commits, patience=patience, failures=failures), patience)
        with suppress(StoreFailed):
            async for _ in story.go_through():
                pass
        await story.store.close()
        if not failures:
            break
        failed += 1
        await holds(disks, path, story.held[-1:])

    assert failed > 10


@pytest.mark.parametrize("durability", [Durability.MEMORY, Durability.OS, Durability.FSYNC])
async def test_number_is_not_used_again_when_its_row_is_gone(
    disks: Disks, data: Path, durability: Durability
) -> None:
    """Though the clock was set back, and however little the caller waited for."""
    store = disks.open(data, patience=AT_ONCE)
    queue = make_queue(1)
    await store.new_queue(queue)
    await store.add(queue, b"x", START_NS)
    await store.pop(queue, durability)
    await has_swept(store)
    await store.close()
    assert rows(data, "message") == 0

    store = disks.open(data)

    assert store.number(1, START_NS - 3_600 * NS_PER_S) == START_NS + 1
