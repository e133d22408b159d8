"""Settings that hold for every test."""

import gc
import os
import random
import signal
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from tests.postgres.installation import programs
from tests.postgres.nodes import Node, Trio
from tests.store.clusters import Clusters, emptied

#: Of each test that Hypothesis draws for: others each time, so that they add up over the runs.
#: A longer search: Q_TEST_EXAMPLES=5000 make test ARGS=tests/model
_EXAMPLES: Final = int(os.environ.get("Q_TEST_EXAMPLES", "25"))

# On a machine that does other work too, one example may take long for no fault of ours.
settings.register_profile("q", deadline=None, max_examples=_EXAMPLES)
settings.load_profile("q")

#: Modules of which a test may take half a minute.
_LONG: Final = frozenset(
    {
        *("acceptance/test_crash.py", "acceptance/test_overload.py", "acceptance/test_readme.py"),
        *("acceptance/test_soak.py", "soak/test_backlog.py", "soak/test_simulate.py"),
        "store/test_histories.py",
    }
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among ten thousand tests: a third of the time would go into that."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        # Nor later, whenever a test leaves some.
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long: begun last, it would be waited for by idle processes."""
    here = Path(__file__).parent
    items.sort(key=lambda item: str(item.path.relative_to(here)) not in _LONG)


# A shell starts what runs in the background deaf to Ctrl-C, and so would be every program
# that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def any_seed() -> int:
    """A seed that is another one in each run, for tests that draw themselves what they try.

    It comes from that of the run (pytest-randomly), and comes again with it; a failure shows it.
    """
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - It is shown with what else a failed test has printed.
    return seed


def _need_postgres() -> None:
    """Skip a test where PostgreSQL is not installed; in CI, fail: nothing is left out there."""
    if programs() is None:
        missing = "PostgreSQL is not installed; Debian's package is postgresql-15"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)


@pytest.fixture(scope="session")
def postgres() -> None:
    """For tests that start servers of their own."""
    _need_postgres()


@pytest.fixture(scope="session")
def primary() -> Iterator[Node]:
    """A PostgreSQL that all tests share which leave it running; it does not sync."""
    _need_postgres()
    with Node.new() as node:
        node.start()
        yield node


@pytest.fixture(scope="session")
def shared_database(primary: Node) -> Iterator[str]:
    """The address (DSN) of a database for all tests that make what they need in it anew."""
    with primary.database() as name:
        yield primary.dsn(name)


@pytest.fixture(scope="module")
def addresses(primary: Node) -> Iterator[Sequence[tuple[int, str]]]:
    """Where two databases of a module are: their server's port, and what each is called."""
    with primary.database() as first, primary.database() as second:
        yield [(primary.port, first), (primary.port, second)]


@pytest.fixture
async def clusters(shared_database: str) -> AsyncIterator[Clusters]:
    """Return what opens CLUSTER stores of an empty database; they are closed after the test."""
    async with emptied(shared_database) as clusters:
        yield clusters


@pytest.fixture
def database(primary: Node) -> Iterator[str]:
    """The address (DSN) of a new database on it, which belongs to the role that connects."""
    with primary.database() as name:
        yield primary.dsn(name)


@pytest.fixture
def trio() -> Iterator[Trio]:
    """A PostgreSQL with two synchronous standbys, for this test alone to break."""
    _need_postgres()
    with Trio() as trio:
        yield trio
