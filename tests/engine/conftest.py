"""What the tests of the engine share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qmq.testing import ManualClock
from qmq.values import Store
from tests.engine.servers import Server, started

# The tests of pairs are in no test modules of their own, but should be as talkative.
pytest.register_assert_rewrite(
    "tests.engine.pairs_of_time",
    "tests.engine.pairs_of_order",
    "tests.engine.pairs_of_groups",
    "tests.engine.pairs_of_keys",
    "tests.engine.pairs_of_flow",
    "tests.engine.pairs_of_picking",
)


@pytest.fixture
def clock() -> ManualClock:
    """Return the time, which stands still until the test lets it pass."""
    return ManualClock()


@pytest.fixture(params=[Store.MEMORY, Store.DISK], ids=["MEMORY", "DISK"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    """Return a server with the queue "jobs", whose dead letters go to the queue "dead"."""
    async with started(Server(request.param, tmp_path)) as server:
        yield server
