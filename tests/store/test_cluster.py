"""The CLUSTER store passes the suite of all stores, on a real PostgreSQL.

How much of it is also in memory must make no difference, so all of this runs with a cache for
everything and for none.
"""

from collections.abc import AsyncIterator

import pytest

from qmq.limits import CACHE_BYTES_MAX
from qmq.store.postgres.store import PostgresStore
from qmq.values import Store
from tests.store.batch_conformance import BrokerBatchConformance, StoreBatchConformance
from tests.store.changes_conformance import StoreChangesConformance
from tests.store.clusters import Clusters
from tests.store.conformance import BrokerConformance, StoreConformance
from tests.store.durability_conformance import BrokerDurabilityConformance


@pytest.fixture(params=[CACHE_BYTES_MAX, 0], ids=["cached", "uncached"])
async def store(request: pytest.FixtureRequest, clusters: Clusters) -> AsyncIterator[PostgresStore]:
    """Return an empty store."""
    assert isinstance(request.param, int)
    store = await clusters.open(cache_bytes_max=request.param)
    yield store
    assert not clusters.ends


@pytest.fixture
def kind() -> Store:
    """Return what the store is called."""
    return Store.CLUSTER


class TestClusterStore(StoreConformance):
    """By its protocol."""


class TestBatchesInCluster(StoreBatchConformance):
    """Many messages at once, by its protocol."""


class TestChangesInCluster(StoreChangesConformance):
    """Changes that belong together, by its protocol."""


class TestBrokerInCluster(BrokerConformance):
    """As callers see it."""


class TestBrokerBatchesInCluster(BrokerBatchConformance):
    """Many messages at once, as callers see them."""


class TestBrokerDurabilityInCluster(BrokerDurabilityConformance):
    """How durable changes are, as callers see it."""
