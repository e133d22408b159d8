"""The log of requests, and the ids by which requests are found again in logs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from qmq.wire import q_pb2 as pb
from tests.acceptance.rest import RestReply, rest
from tests.acceptance.running import RunningQ, free_ports
from tests.acceptance.serving import Serving

PRIVATE = "a secret that is logged nowhere"


@pytest.fixture(scope="module")
def q(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A q that logs requests."""
    listen, metrics = free_ports(2)
    options = [f"--listen=127.0.0.1:{listen}", f"--metrics=127.0.0.1:{metrics}", "--data=none"]
    q = Serving(
        tmp_path_factory.mktemp("q"), "q", *options, "--request-log=stdout", ports=[listen, metrics]
    )
    yield q
    q.kill()


def called(
    address: str, path: str, request: bytes, *metadata: tuple[str, str]
) -> tuple[grpc.StatusCode, dict[str, str]]:
    """Make a gRPC call, and return its status, and the headers and trailers of the answer."""
    with grpc.insecure_channel(address) as channel:
        method: Any = channel.unary_unary(path)
        call = method.future(request, metadata=metadata, timeout=20)
        status = call.code()
        return status, dict([*call.initial_metadata(), *call.trailing_metadata()])


def request_id(reply: RestReply) -> str | None:
    """Return the id that an answer tells."""
    return reply.headers.get("x-request-id")


def line_of(q: Serving, wanted: str) -> dict[str, Any]:
    """Wait for the line about a request, by its id."""
    q.wait_until(lambda: any(line.get("request_id") == wanted for line in q.lines))
    (line,) = (line for line in q.lines if line.get("request_id") == wanted)
    return line


def test_each_call_is_a_line(q: Serving) -> None:
    """What became of it is told as its protocol has it."""
    pop = pb.PopRequest(queue_id="none").SerializeToString()
    _, headers = called(q.address, "/proto.Q/Pop", pop, ("authorization", f"Bearer {PRIVATE}"))
    grpc_line = line_of(q, headers["x-request-id"])
    reply = rest(q.address, "POST", "/v1/queues", {"store": "MEMORY", "name": "a"})
    rest_line = line_of(q, str(request_id(reply)))

    assert grpc_line["url"] == "/proto.Q/Pop"
    assert (grpc_line["status"], grpc_line["grpc_status"]) == (200, 3)
    assert (rest_line["method"], rest_line["url"]) == ("POST", "/v1/queues")
    assert (rest_line["status"], rest_line["bytes_out"]) == (200, len(reply.body))
    assert "grpc_status" not in rest_line
    assert 0 <= rest_line["took_ms"] < 10_000
    assert rest_line["remote"].startswith("127.0.0.1:")


def test_payloads_and_tokens_are_in_no_line(q: Serving) -> None:
    """Whatever the outcome."""
    headers = {"authorization": f"Bearer {PRIVATE}", "x-request-id": "with-a-secret"}
    rest(q.address, "POST", "/v1/queues/none", {"payload": PRIVATE}, headers)

    assert line_of(q, "with-a-secret")["status"] == 400
    assert PRIVATE not in q.log


def test_looks_at_health_are_no_lines(q: Serving) -> None:
    """Probes come every few seconds, for ever."""
    status, _ = called(q.address, "/grpc.health.v1.Health/Check", b"")
    rest(q.address, "GET", "/nix", None, {"x-request-id": "after"})
    line_of(q, "after")

    assert status is grpc.StatusCode.OK
    assert "Health" not in q.log


def test_the_callers_request_id_is_kept_and_told(q: Serving) -> None:
    """One that is too long is cut off."""
    for given, kept in (("order 66/a", "order 66/a"), ("x" * 1_000, "x" * 128)):
        reply = rest(q.address, "GET", "/v1/queues", None, {"x-request-id": given})

        assert request_id(reply) == kept
        assert line_of(q, kept)["status"] == 200


def test_without_a_log_only_given_ids_are_told(shared_q: RunningQ) -> None:
    """So that nothing is made that nobody will see."""
    given = rest(shared_q.address, "GET", "/v1/queues/none", None, {"x-request-id": "mine"})
    none = rest(shared_q.address, "GET", "/v1/queues/none", None, {})

    assert request_id(given) == "mine"
    assert request_id(none) is None


def test_debug_log_has_the_ids(tmp_path: Path) -> None:
    """Those of callers, and those that were made, which the answer tells."""
    listen, metrics = free_ports(2)
    options = [f"--listen=127.0.0.1:{listen}", f"--metrics=127.0.0.1:{metrics}", "--data=none"]
    q = Serving(tmp_path, "q", *options, "--debug", ports=[listen, metrics])
    try:
        rest(q.address, "GET", "/v1/queues", None, {"x-request-id": "mine"})
        made = request_id(rest(q.address, "GET", "/v1/queues/none", None, {}))
        q.wait_until(lambda: f"request_id={made}" in q.log)
    finally:
        q.kill()

    assert re.fullmatch("[0-9a-f-]{36}", str(made))
    assert re.search("ListQueues .*request_id=mine$", q.log, re.MULTILINE)
