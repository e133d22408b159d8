"""Calls, and what they end with when there is no reply."""

import socket
import subprocess
import sys
import threading
import time

import grpc
import pytest

from qmq.client.channel import Channel
from qmq.client.errors import RpcError, ServerNotReached
from qmq.wire import q_pb2
from tests.client.conftest import Peer

REQUEST = q_pb2.PopRequest(queue_id="jobs")

#: Seconds within which a person hears that the server is not there.
PATIENCE_S = 5.0


def pop(address: str, timeout_s: float = 10.0) -> q_pb2.PopResponse:
    """Pop from the server at `address`."""
    with Channel(address) as channel:
        return channel.call("Pop", REQUEST, q_pb2.PopResponse, timeout_s=timeout_s)


def test_a_call_sends_its_request_and_returns_the_reply(peer: Peer) -> None:
    """Method and messages are those of the wire contract."""
    reply = q_pb2.PopResponse(message=q_pb2.Message(payload=b"\x00\xff"))
    peer.answer = lambda _request, _context: reply.SerializeToString()

    assert pop(peer.address) == reply

    assert peer.asked == [("/proto.Q/Pop", REQUEST.SerializeToString())]


def test_a_reply_of_any_size_is_received(peer: Peer) -> None:
    """A message that is popped is not lost because it is larger than gRPC's 4 MiB."""
    reply = q_pb2.PopResponse(message=q_pb2.Message(payload=bytes(9 * 1024 * 1024)))
    peer.answer = lambda _request, _context: reply.SerializeToString()

    assert pop(peer.address) == reply


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (grpc.StatusCode.NOT_FOUND, "queue jobs is empty"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "queue jobs has reached limit of 2 messages"),
        (grpc.StatusCode.UNAVAILABLE, "the store failed: no space left"),
        (grpc.StatusCode.INTERNAL, "zwei\nZeilen, 100 %, é"),
        (grpc.StatusCode.UNKNOWN, ""),
    ],
)
def test_a_refusal_carries_the_servers_status_and_message(
    peer: Peer, status: grpc.StatusCode, message: str
) -> None:
    """Nothing of gRPC's own exception is needed to handle it."""

    def refuse(_request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(status, message)

    peer.answer = refuse

    with pytest.raises(RpcError) as refusal:
        pop(peer.address)

    assert type(refusal.value) is RpcError
    assert (refusal.value.code, refusal.value.message) == (status.name, message)
    assert str(refusal.value) == f"{status.name}: {message}"


def test_a_late_answer_names_the_server_and_the_deadline(peer: Peer) -> None:
    """DEADLINE_EXCEEDED says who did not answer, and how long the client waited."""
    is_over = threading.Event()

    def linger(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        is_over.wait(timeout=60)
        return b""

    peer.answer = linger

    with pytest.raises(RpcError) as refusal:
        pop(peer.address, timeout_s=0.2)
    is_over.set()

    assert str(refusal.value) == (f"DEADLINE_EXCEEDED: no answer from {peer.address} within 0.2 s")


def test_a_refused_connection_is_reported_at_once() -> None:
    """The error names the address and the reason."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        start = time.monotonic()
        with pytest.raises(ServerNotReached) as refusal:
            pop(f":{port}")
        took_s = time.monotonic() - start

    assert refusal.value.code == "UNAVAILABLE"
    assert refusal.value.message == f"no server at localhost:{port}: Connection refused"
    assert took_s < 1


def test_an_unknown_host_is_reported() -> None:
    """Whatever the resolver says, it is one line that names the host."""
    start = time.monotonic()
    with pytest.raises(ServerNotReached, match=r"no server at nohost\.invalid:1: \w[^\n]*$"):
        pop("nohost.invalid:1", timeout_s=30)
    took_s = time.monotonic() - start

    assert took_s < PATIENCE_S


def test_a_server_that_accepts_and_says_nothing_is_given_up() -> None:
    """A port that is no q's, or a q that hangs, does not hold the caller for a minute."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]

        start = time.monotonic()
        with pytest.raises(ServerNotReached, match=f"no server at localhost:{port}: .*timed out"):
            pop(f":{port}", timeout_s=30)
        took_s = time.monotonic() - start

    assert took_s < PATIENCE_S


def test_a_proxy_of_the_environment_is_not_used(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server on this machine is asked directly, whatever the web is reached through."""
    for variable in ("grpc_proxy", "https_proxy", "http_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")

    assert pop(peer.address) == q_pb2.PopResponse()


def test_the_client_loads_no_server_code() -> None:
    """A program that uses the client needs none of the server's dependencies."""
    script = "import sys, qmq.client.channel; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE)

    modules = loaded.stdout.decode().split()
    ours = {name.split(".")[1] for name in modules if name.startswith("qmq.")}
    assert ours <= {"client", "wire"}
    servers = {"apsw", "click", "envoy", "pyvoy", "prometheus_client", "pythonjsonlogger"}
    assert not servers & {*modules}
