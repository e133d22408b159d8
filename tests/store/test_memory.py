"""The MEMORY store passes the suite of all stores."""

import sys
from collections.abc import AsyncIterator

import pytest

from qmq.store.local.memory import MemoryStore
from qmq.testing import START_NS
from qmq.values import Store
from tests.store.batch_conformance import BrokerBatchConformance, StoreBatchConformance
from tests.store.changes_conformance import (
    StoreChangesConformance,
    ack,
    changed,
    holds_by_store,
    lease,
    move_head,
)
from tests.store.conformance import BrokerConformance, StoreConformance, make_queue
from tests.store.durability_conformance import BrokerDurabilityConformance


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    """Return an empty store."""
    store = MemoryStore()
    yield store
    await store.close()


@pytest.fixture
def kind() -> Store:
    """Return what the store is called."""
    return Store.MEMORY


class TestMemoryStore(StoreConformance):
    """By its protocol."""


class TestBatchesInMemory(StoreBatchConformance):
    """Many messages at once, by its protocol."""


class TestChangesInMemory(StoreChangesConformance):
    """Changes that belong together, by its protocol."""


class TestBrokerOnMemory(BrokerConformance):
    """As callers see it."""


class TestBrokerBatchesOnMemory(BrokerBatchConformance):
    """Many messages at once, as callers see them."""


class TestBrokerDurabilityOnMemory(BrokerDurabilityConformance):
    """How durable changes are, as callers see it."""


async def test_memory_is_given_back(store: MemoryStore) -> None:
    """Nothing is kept of messages that were popped, acked or purged, or went with their queue."""
    envelope = b"%d" % START_NS
    held_by_the_test = sys.getrefcount(envelope)
    popped, deleted, acked, purged = (make_queue(number) for number in range(4))
    for queue in (popped, deleted, acked, purged):
        await store.add(queue, envelope, START_NS)
        await store.add_batch(queue, [envelope] * 3, START_NS)
    held_by_the_store = sys.getrefcount(envelope) - held_by_the_test

    await store.pop(popped)
    await store.pop_batch(popped, 3, 1_000)
    await store.delete_queue(deleted)
    await store.commit(ack(acked, lease(acked, 3)))
    await store.commit(move_head(store, acked, purged, b""))
    await store.commit(changed(saved=lease(purged, 2)))
    await store.purge(purged)

    assert held_by_the_store == 16
    assert sys.getrefcount(envelope) == held_by_the_test


async def test_keys_are_the_ints_that_the_line_holds(store: MemoryStore) -> None:
    """Others of the same value would take memory of their own, for each message."""
    assert await holds_by_store(store) == [1] * 5
