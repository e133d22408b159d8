"""Fixtures of the tests that drive the real programs."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

from qmq.wire import q_pb2 as pb
from tests.acceptance.command_line import Qcli, made
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
def q_to_clear(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningQ]:
    """One q for all tests that want one without queues, and leave it running."""
    yield from _run(tmp_path_factory.mktemp("q_to_clear"))


@pytest.fixture
def bare_q(q_to_clear: RunningQ) -> RunningQ:
    """A q without queues, which goes on after the test."""
    with connected(q_to_clear.address) as client:
        while queues := client.list_queues().queues:
            # One that others send their dead letters to is deleted after them.
            for queue in queues:
                with suppress(grpc.RpcError):
                    client.delete_queue(queue_id=queue.meta.id)
    return q_to_clear


@pytest.fixture(scope="session")
def client(shared_q: RunningQ) -> Iterator[StockClient]:
    """A stock gRPC client of the q that tests share."""
    with connected(shared_q.address) as client:
        yield client


@pytest.fixture
def qcli(shared_q: RunningQ) -> Qcli:
    """Runs qcli against a q that other tests use too."""
    return Qcli(shared_q.address)


@pytest.fixture
def queue(qcli: Qcli) -> Iterator[str]:
    """The id of a MEMORY queue without messages, on that q."""
    queue_id = made(qcli)
    yield queue_id
    with qcli.stock() as client:
        client.delete_queue(queue_id=queue_id)


@pytest.fixture
def dead(qcli: Qcli, queue: str) -> Iterator[str]:
    """The id of the queue's dead-letter queue, for messages that failed twice."""
    dead = made(qcli)
    settings = pb.QueueSettings(dead_letter_queue_id=dead, delivery_count_max=2)
    settings.back_off.base.FromSeconds(0)
    none = pb.QueueSettings(dead_letter_queue_id="", delivery_count_max=0)
    with qcli.stock() as client:
        client.update_queue(queue_id=queue, settings=settings)
    yield dead
    with qcli.stock() as client:
        client.update_queue(queue_id=queue, settings=none)
        client.delete_queue(queue_id=dead)
