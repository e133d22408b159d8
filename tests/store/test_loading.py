"""A start finds very many messages where they were, and says how far it is."""

from collections.abc import Awaitable, Sequence
from pathlib import Path

import pytest

from qmq.model.changes import Changes
from qmq.model.index import seq_of
from qmq.model.queue import Queue
from qmq.store.local import loading
from qmq.store.local.disk import DiskStore
from qmq.testing import START_NS
from tests.store.conformance import make_queue

#: More than are read at a time, and more than stand in a line unpacked.
_MANY = 20_000


async def filled(store: DiskStore, *queues: Queue, batch: int, count: int = _MANY) -> None:
    """Add messages to queues by turns."""
    pending: list[Awaitable[None]] = []
    for number in range(count // batch):
        queue = queues[number % len(queues)]
        pending.append(store.add_batch(queue, [b"x" * (number % 7)] * batch, START_NS))
    for each in pending:
        await each


def content(queues: Sequence[Queue]) -> dict[int, tuple[list[int], list[int], int]]:
    """Return the messages of each queue: those in line, those of which more is known, bytes."""
    return {
        queue.number: (list(queue.ready), sorted(queue.leases.by_seq), queue.bytes)
        for queue in queues
    }


@pytest.mark.parametrize("batch", [1, 1_000], ids=["by turns", "in runs"])
async def test_very_many_messages_are_where_they_were(data: Path, batch: int) -> None:
    """In their queues, in order, leased ones and purged ones among them."""
    store = DiskStore.open(data)
    one, two, purged = queues = [make_queue(number) for number in (1, 2, 3)]
    for each in queues:
        await store.new_queue(each)
    await filled(store, *queues, batch=batch)
    await store.purge(purged)
    leased = two.leases.hand_out(START_NS, START_NS + 10**12, 50, 10**9, "")
    changes = Changes()
    changes.leased.append(leased)
    await store.commit(changes)
    await filled(store, one, purged, batch=batch)
    before = content(queues)
    await store.close()

    store = DiskStore.open(data)
    after = content(store.queues)
    await store.close()

    assert after == before
    counts = [(len(line), len(known)) for line, known, _ in after.values()]
    third = len(range(0, _MANY // batch, 3)) * batch
    assert counts == [(third + _MANY // 2, 0), (third - 50, 50), (_MANY // 2, 0)]


async def test_start_says_how_far_it_is(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Now and then: how many messages were read, and about how many there are."""
    store = DiskStore.open(data)
    queue = make_queue(1)
    await store.new_queue(queue)
    await filled(store, queue, batch=1_000)
    await store.close()
    monkeypatch.setattr(loading, "_TOLD_EVERY_S", 0)
    told: list[tuple[int, int]] = []

    store = DiskStore.open(data, on_progress=lambda read, total: told.append((read, total)))
    last_seq = seq_of(list(store.queues[0].ready)[-1])
    await store.close()

    reads = [read for read, _ in told]
    assert (reads[0], reads[-1]) == (4_096, _MANY)
    assert reads == sorted(reads)
    assert [total for _, total in told if not _MANY / 2 < total < 2 * _MANY] == []
    assert all(read <= total for read, total in told)
    assert last_seq > START_NS


async def test_short_start_says_nothing(data: Path) -> None:
    """There is nothing to wait for."""
    store = DiskStore.open(data)
    await store.new_queue(make_queue(1))
    await store.close()
    told: list[tuple[int, int]] = []

    store = DiskStore.open(data, on_progress=lambda read, total: told.append((read, total)))
    await store.close()

    assert told == []
