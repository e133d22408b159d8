"""/healthz and /readyz, as Kubernetes and load balancers ask for them."""

import json
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

import qmq
from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ, free_ports
from tests.acceptance.serving import PATIENCE_S, Serving, SlowRequest
from tests.acceptance.test_full_disk import bound_files
from tests.postgres.nodes import Trio

#: More than the log takes at first.
_FULL_BYTES = 1_000_000


def probed(address: str, path: str) -> tuple[int, dict[str, str]]:
    """Ask, and return the status, and what is not well."""
    reply = rest(address, "GET", path, headers={})
    assert reply.headers["content-type"] == "application/json"
    checks: dict[str, str] = json.loads(reply.body)["checks"]
    return reply.status, {part: why for part, why in checks.items() if why != "ok"}


def test_q_is_alive_and_ready(shared_q: RunningQ) -> None:
    """Both are answered to anybody, and say what was looked at."""
    assert probed(shared_q.metrics_address, "/healthz") == (200, {})
    reply = rest(shared_q.metrics_address, "GET", "/readyz", headers={})

    assert reply.status == 200
    assert json.loads(reply.body) == {
        "ready": True,
        "checks": {"event_loop": "ok", "disk": "ok", "shutdown": "ok"},
    }


def test_q_with_a_full_disk_is_alive_and_not_ready(q_server: RunningQ) -> None:
    """It says why, until there is room again."""
    with qmq.Client(q_server.address, retry=qmq.Retry(duration=0)) as client:
        jobs = client.ensure_queue("jobs")
        bound_files(q_server, _FULL_BYTES)
        try:
            while True:
                jobs.add("x" * 20_000)
        except qmq.DiskFull:
            pass
        full = probed(q_server.metrics_address, "/readyz")
        alive = probed(q_server.metrics_address, "/healthz")
        bound_files(q_server, resource.RLIM_INFINITY)
        while probed(q_server.metrics_address, "/readyz")[0] != 200:
            pass

    assert full[0] == 503
    assert "the disk is full" in full[1]["disk"]
    assert alive == (200, {})


def test_q_that_drains_is_alive_and_not_ready(tmp_path: Path) -> None:
    """Load balancers hear of it while it finishes what is in flight."""
    listen, metrics = free_ports(2)
    options = [f"--listen=127.0.0.1:{listen}", f"--metrics=127.0.0.1:{metrics}", "--data=none"]
    q = Serving(tmp_path, "q", *options, ports=[listen, metrics])
    try:
        request = SlowRequest(q)
        q.signal(signal.SIGTERM)
        q.wait_until(lambda: "shutting down" in q.messages)
        ready = probed(f"127.0.0.1:{metrics}", "/readyz")
        alive = probed(f"127.0.0.1:{metrics}", "/healthz")
        request.finish()
        status = q.wait()
    finally:
        q.kill()

    assert ready == (503, {"shutdown": "q is shutting down"})
    assert alive == (200, {})
    assert status == 0


def test_gateway_is_ready_while_its_server_serves(tmp_path: Path) -> None:
    """It looks at its server's health by itself, and is alive in any case."""
    q = RunningQ(tmp_path)
    (port,) = free_ports(1)
    gateway = Serving(tmp_path, "qrest", q.address, f"--listen=127.0.0.1:{port}", ports=[port])
    try:
        nobody = probed(gateway.address, "/readyz")
        q.start()
        gateway.wait_until(lambda: probed(gateway.address, "/readyz") == (200, {}))
        q.stop()
        gateway.wait_until(lambda: probed(gateway.address, "/readyz")[0] == 503)
        alive = probed(gateway.address, "/healthz")
    finally:
        gateway.kill()
        if q.is_running:
            q.kill()

    assert nobody == (
        503,
        {"server": f"the server {q.address} does not answer, or says that it does not serve"},
    )
    assert alive == (200, {})


def test_cluster_without_the_standbys_it_needs_is_not_ready(tmp_path: Path, trio: Trio) -> None:
    """Neither for Kubernetes nor for gRPC: changes would be refused."""
    trio.primary.query("CREATE SCHEMA q AUTHORIZATION q")
    trio.primary.query("GRANT pg_read_all_stats TO q")
    q = RunningQ(tmp_path)
    q.start(
        f"--postgres={trio.dsn()}", "--postgres-unsynced", "--data=none", "--require-replicas=2"
    )
    try:
        _wait_for(lambda: probed(q.metrics_address, "/readyz") == (200, {}))
        before = health_of(q)
        trio.standbys[0].stop()
        _wait_for(lambda: probed(q.metrics_address, "/readyz")[0] == 503)
        status, troubles = probed(q.metrics_address, "/readyz")
        during = health_of(q)
        trio.standbys[0].start()
        _wait_for(lambda: probed(q.metrics_address, "/readyz") == (200, {}))
        after = health_of(q)
    finally:
        q.kill()

    assert (status, [*troubles]) == (503, ["standbys"])
    assert "--require-replicas asks for 2" in troubles["standbys"]
    assert (before, during, after) == ("SERVING", "NOT_SERVING", "SERVING")


def health_of(q: RunningQ) -> str:
    """Ask for the service Q by gRPC."""
    with grpc.insecure_channel(q.address) as channel:
        stub: Any = HealthStub(channel)
        reply = stub.Check(health_pb2.HealthCheckRequest(service="proto.Q"))
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))


def _wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
