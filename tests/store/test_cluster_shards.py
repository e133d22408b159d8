"""Queues that are divided among two databases pass the suites of all stores, as callers see them.

What is in one of them makes no difference for those in the other, and callers see no difference
at all; so every other queue is in another database here.
"""

from collections.abc import AsyncIterator, Iterator

import pytest

from qmq.engine.broker import Broker
from qmq.engine.shards import Shards
from qmq.store.base import QueueStore
from qmq.store.postgres.store import PostgresStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import Store
from tests.postgres.nodes import Node
from tests.store.batch_conformance import BrokerBatchConformance
from tests.store.clusters import Clusters, emptied
from tests.store.conformance import BrokerConformance
from tests.store.durability_conformance import BrokerDurabilityConformance


@pytest.fixture(scope="module")
def second_database(primary: Node) -> Iterator[str]:
    """The address (DSN) of a database beside the one that other tests share."""
    with primary.database() as name:
        yield primary.dsn(name)


@pytest.fixture
async def store(clusters: Clusters) -> AsyncIterator[PostgresStore]:
    """Return the empty store of the first."""
    yield await clusters.open()
    assert not clusters.ends


@pytest.fixture
async def second(second_database: str) -> AsyncIterator[PostgresStore]:
    """Return the empty store of the second."""
    async with emptied(second_database) as clusters:
        yield await clusters.open()
        assert not clusters.ends


@pytest.fixture
def kind() -> Store:
    """Return what the stores are called."""
    return Store.CLUSTER


class OnTwoShards:
    """The broker of a suite."""

    @pytest.fixture
    def broker(
        self, store: QueueStore, second: QueueStore, kind: Store, clock: ManualClock
    ) -> Broker:
        """Return a broker that has both stores."""
        shards = Shards({0: "first", 1: "two"})
        shards.stores = {0: store, 1: second}
        return Broker({kind: store}, clock=clock, timer=clock, new_id=seeded_ids(), shards=shards)


class TestBrokerOnShards(OnTwoShards, BrokerConformance):
    """As callers see it."""


class TestBrokerBatchesOnShards(OnTwoShards, BrokerBatchConformance):
    """Many messages at once."""


class TestBrokerDurabilityOnShards(OnTwoShards, BrokerDurabilityConformance):
    """How durable changes are."""
