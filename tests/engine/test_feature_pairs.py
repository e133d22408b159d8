"""Each pair of features goes together as `docs/feature-pairs.md` says, on MEMORY and on DISK."""

import inspect
import re
from itertools import combinations
from typing import Final

import pytest

from tests.documents import page
from tests.engine import (
    pairs_of_flow,
    pairs_of_groups,
    pairs_of_keys,
    pairs_of_order,
    pairs_of_time,
)
from tests.engine.pairs import CELLS, FEATURES, Cell
from tests.engine.servers import Server

#: The modules that the pairs are in: to import them is to have them.
MODULES: Final = (
    pairs_of_time,
    pairs_of_order,
    pairs_of_groups,
    pairs_of_keys,
    pairs_of_flow,
)

PAGE: Final = "docs/feature-pairs.md"

PAIRS: Final = list(combinations(FEATURES, 2))

#: A row of the table: the pair, and how it goes together.
_ROW: Final = re.compile(r"^\| `(\w+)` \u00d7 `(\w+)` \| (.+) \|$", re.MULTILINE)


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
