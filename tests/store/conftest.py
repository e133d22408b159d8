"""Settings for the tests of stores."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.store.disk import Commits, Disks

# The suite is no test module of its own, but its assertions should be as talkative.
pytest.register_assert_rewrite(
    "tests.store.conformance",
    "tests.store.batch_conformance",
    "tests.store.changes_conformance",
    "tests.store.durability_conformance",
)


@pytest.fixture
async def disks() -> AsyncIterator[Disks]:
    """Return what opens DISK stores; they are closed after the test."""
    disks = Disks()
    yield disks
    await disks.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return the data directory, which does not exist yet."""
    return tmp_path / "data"


@pytest.fixture
async def commits() -> Commits:
    """Return the hand on the store's commits."""
    return Commits()
