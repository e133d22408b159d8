"""Each pair of features goes together as `docs/feature-pairs.md` says, in every store."""

import inspect
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import combinations
from pathlib import Path
from typing import Final

import pytest

from qmq.values import Store
from tests.documents import page
from tests.engine import (
    pairs_of_flow,
    pairs_of_groups,
    pairs_of_keys,
    pairs_of_order,
    pairs_of_picking,
    pairs_of_time,
)
from tests.engine.pairs import CELLS, FEATURES, Cell
from tests.engine.servers import Server, started
from tests.store.clusters import emptied

#: The modules that the pairs are in: to import them is to have them.
MODULES: Final = (
    pairs_of_time,
    pairs_of_order,
    pairs_of_groups,
    pairs_of_keys,
    pairs_of_flow,
    pairs_of_picking,
)

PAGE: Final = "docs/feature-pairs.md"

PAIRS: Final = list(combinations(FEATURES, 2))

#: A row of the table: the pair, and how it goes together.
_ROW: Final = re.compile(r"^\| `(\w+)` \u00d7 `(\w+)` \| (.+) \|$", re.MULTILINE)


@pytest.fixture(params=list(Store)[1:], ids=lambda kind: kind.name)
def place(request: pytest.FixtureRequest) -> tuple[Store, str]:
    """Return a store, and where its database is if it has one."""
    dsn = request.getfixturevalue("shared_database") if request.param is Store.CLUSTER else ""
    return request.param, dsn


@pytest.fixture
async def server(place: tuple[Store, str], tmp_path: Path) -> AsyncIterator[Server]:
    """Return a server with the queue "jobs", whose dead letters go to the queue "dead"."""
    kind, dsn = place
    async with AsyncExitStack() as stack:
        clusters = await stack.enter_async_context(emptied(dsn)) if dsn else None
        yield await stack.enter_async_context(started(Server(kind, tmp_path, clusters)))


@pytest.mark.parametrize("test", [CELLS[pair] for pair in PAIRS], ids=["-".join(p) for p in PAIRS])
async def test_pair_goes_together(server: Server, test: Cell) -> None:
    """As the docstring of its test says."""
    await test(server)


def test_table_says_of_each_pair_what_its_test_does() -> None:
    """All of them, in their order, in the same words."""
    rows = {(first, second): text for first, second, text in _ROW.findall(page(PAGE))}

    assert list(rows) == PAIRS
    for pair, text in rows.items():
        assert inspect.getdoc(CELLS[pair]) == text
    assert {test.__module__ for test in CELLS.values()} == {each.__name__ for each in MODULES}
