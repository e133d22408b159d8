"""Fixtures of the tests that drive the real programs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.command_line import Qcli, made, qcli_of
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import StockClient, connected


def _run(directory: Path) -> Iterator[RunningQ]:
    """Yield a q that serves, and stop it if the test has not."""
    q = RunningQ(directory)
    q.start()
    yield q
    if q.is_running:
        q.stop()


@pytest.fixture
def q_server(tmp_path: Path) -> Iterator[RunningQ]:
    """A q of the test's own, with no queues; the test may stop, kill and restart it."""
    yield from _run(tmp_path)


@pytest.fixture(scope="session")
def shared_q(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningQ]:
    """One q for all tests that only make queues of their own and leave it running."""
    yield from _run(tmp_path_factory.mktemp("shared_q"))


@pytest.fixture(scope="session")
def client(shared_q: RunningQ) -> Iterator[StockClient]:
    """A stock gRPC client of the q that tests share."""
    with connected(shared_q.address) as client:
        yield client


@pytest.fixture
def qcli(shared_q: RunningQ) -> Qcli:
    """Runs qcli against a q that other tests use too."""
    return qcli_of(shared_q.address)


@pytest.fixture
def queue(qcli: Qcli) -> Iterator[str]:
    """The id of a MEMORY queue without messages, on that q."""
    queue_id = made(qcli, "MEMORY", "-1")
    yield queue_id
    qcli("delete", queue_id)
