"""How far two clocks are apart is kept for as long as moments are that depend on it."""

from dataclasses import replace
from pathlib import Path

import pytest

from qmq.descriptions import QueueSettings
from qmq.model.changes import Changes
from qmq.model.dedup import Known
from qmq.model.delivery import Delivery, State
from qmq.model.index import entry
from qmq.model.queue import Queue
from qmq.store.local.disk import DiskStore
from qmq.testing import START_NS
from qmq.values import NS_PER_S
from tests.model.queues import together
from tests.store.conformance import make_queue
from tests.store.disk import Disks, rows

OFFSET_NS = -3_600 * NS_PER_S


async def started(disks: Disks, data: Path, queue: Queue) -> DiskStore:
    """Return a store that has a queue, and was told how far the clocks are apart."""
    store = disks.open(data)
    await store.new_queue(queue)
    await store.keep_clock_offset(1)
    await store.keep_clock_offset(OFFSET_NS)
    return store


async def offset_after(store: DiskStore, disks: Disks, data: Path) -> int:
    """End a store, and return what another one finds."""
    await store.close()
    again = disks.open(data)
    await again.close()
    return again.clock_offset_ns


async def test_store_that_was_told_nothing_has_written_nothing(disks: Disks, data: Path) -> None:
    """As in nearly all cases."""
    store = disks.open(data)

    assert await offset_after(store, disks, data) == 0
    assert rows(data, "clock") == 0


async def test_plain_messages_depend_on_no_clock(disks: Disks, data: Path) -> None:
    """So the next one starts with the machine's, and the one after that, too."""
    queue = make_queue(1)
    store = await started(disks, data, queue)
    await store.add(queue, b"x", START_NS)

    assert await offset_after(store, disks, data) == 0
    await (again := disks.open(data)).keep_clock_offset(0)
    assert await offset_after(again, disks, data) == 0


@pytest.mark.parametrize("what", ["delay", "lease", "dedup_id", "ttl"])
async def test_moments_keep_their_clock(disks: Disks, data: Path, what: str) -> None:
    """Whichever kind they are of, and for as many starts as there may be."""
    queue = make_queue(1)
    if what == "ttl":
        queue.set_info(replace(queue.info, settings=QueueSettings(ttl_ns=NS_PER_S)))
    store = await started(disks, data, queue)
    changes = Changes()
    added = entry(store.number(1, START_NS), 1)
    changes.added.append((added, queue.number, b"x"))
    delivery = Delivery(added)
    if what == "delay":
        delivery.state, delivery.until_ns = State.DELAYED, START_NS + 5
        changes.saved.append(delivery)
    elif what == "lease":
        delivery.state, delivery.until_ns = State.LEASED, START_NS + 5
        delivery.fence = delivery.count = 1
        changes.leased.append(together([delivery]))
    elif what == "dedup_id":
        changes.known.append((queue.number, Known(delivery.seq, "a", b"", START_NS + 5)))
        changes.removed.append(added)
    await store.commit(changes)

    assert await offset_after(store, disks, data) == OFFSET_NS
    assert await offset_after(disks.open(data), disks, data) == OFFSET_NS
