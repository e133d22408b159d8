"""docs/from-the-original.md tells the truth: its tables, replayed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance import replay
from tests.acceptance.replay import Row, Stage
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import StockClient, connected
from tests.acceptance.test_qrest import Gateway

CALLS = replay.rows("gRPC calls")
BYTES = replay.rows("gRPC requests byte by byte")
REST = replay.rows("REST")
QCLI = replay.rows("qcli")

#: What only qrest does.
CORS = "Origin: "


def each(rows: list[Row]) -> pytest.MarkDecorator:
    """Run a test for each row."""
    return pytest.mark.parametrize("row", rows, ids=[" ".join(row.request) for row in rows])


@pytest.fixture(scope="module")
def q(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningQ]:
    """A q whose queues are made and deleted as rows want it."""
    running = RunningQ(tmp_path_factory.mktemp("original"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def gateway(q: RunningQ, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a qrest before it."""
    running = Gateway(Path(tmp_path_factory.mktemp("gateway")), q.address)
    yield f"127.0.0.1:{running.port}"
    running.kill()


@pytest.fixture(scope="module")
def own_client(q: RunningQ) -> Iterator[StockClient]:
    """A client of that q."""
    with connected(q.address) as client:
        yield client


@pytest.fixture
def stage(own_client: StockClient) -> Stage:
    """No queues but those that the row will ask for."""
    stage = Stage(own_client)
    stage.clear()
    return stage


@each(CALLS)
def test_grpc_call_is_answered_as_described(
    stage: Stage, own_client: StockClient, row: Row
) -> None:
    """A stock client gets the status, and the message or reply, that the page gives."""
    assert replay.by_grpc(stage, own_client.channel, row.request) == row.ours


@each(BYTES)
def test_bytes_are_answered_as_described(stage: Stage, q: RunningQ, row: Row) -> None:
    """So does a client that sends what no library would."""
    assert replay.by_raw_grpc(stage, q.address, row.request) == row.ours


@each(REST)
def test_rest_is_answered_by_qrest_as_described(stage: Stage, gateway: str, row: Row) -> None:
    """The gateway answers as the page says."""
    assert replay.by_rest(stage, gateway, row.request) == row.ours


@each([row for row in REST if not any(part.startswith(CORS) for part in row.request)])
def test_rest_is_answered_by_q_as_by_qrest(stage: Stage, q: RunningQ, row: Row) -> None:
    """Q itself answers the same, but for CORS."""
    assert replay.by_rest(stage, q.address, row.request) == row.ours


@each(QCLI)
def test_qcli_answers_as_described(stage: Stage, q: RunningQ, row: Row) -> None:
    """Exit status and output are the page's."""
    assert replay.by_qcli(stage, q.address, row.request) == row.ours


def test_every_change_has_a_reason() -> None:
    """What is not the same says why, and what says it is the same has an answer to compare."""
    rows = [*CALLS, *BYTES, *REST, *QCLI]

    assert len(CALLS) >= 40
    assert len(BYTES) >= 15
    assert len(REST) >= 80
    assert len(QCLI) >= 50
    assert [row.request for row in rows if not row.is_same and not row.why] == []
    assert [row.request for row in rows if not row.ours] == []
    assert [row.request for row in rows if not row.is_same and row.ours == row.original] == []
