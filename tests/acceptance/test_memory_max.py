"""A q whose messages take as much memory as they may: what each of its users is told."""

import urllib.request

import pytest

import qmq
from tests.acceptance.command_line import Qcli
from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ

MEMORY_MAX = 100_000


def metric(q: RunningQ, name: str) -> float:
    """Return the value of a gauge."""
    with urllib.request.urlopen(f"http://{q.metrics_address}/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()
    (value,) = (line.split()[1] for line in lines if line.startswith(f"{name} "))
    return float(value)


def test_full_memory_is_told_to_everybody(q_server: RunningQ) -> None:
    """By REST, the client and qcli alike; and there is room again when a message has left."""
    q_server.stop()
    q_server.start(f"--memory-max={MEMORY_MAX}")
    qcli = Qcli(q_server.address)
    with qmq.Client(q_server.address) as client:
        jobs = client.new_queue("jobs", store="MEMORY")
        jobs.add_batch([b"x" * 10_000] * 9)
        used = metric(q_server, "q_memory_bytes")
        assert 90_000 < used < MEMORY_MAX == metric(q_server, "q_memory_max_bytes")

        with pytest.raises(qmq.MemoryFull) as refusal:
            jobs.add(b"y" * 10_000)
        by_rest = rest(
            *(q_server.address, "POST", "/v1/queues/jobs/messages:batch"),
            {"messages": [{}] * 100},
        )
        by_qcli = qcli("add", "jobs", payload=b"y" * 10_000)

        error = refusal.value
        assert (error.limit, error.value, error.current) == ("memory_max", MEMORY_MAX, used)
        assert error.retry_after_s == 1
        assert by_rest.refusal[:2] == (429, 8)
        info, retry = by_rest.json["details"]
        assert (info["reason"], info["metadata"]["limit"]) == ("MEMORY_FULL", "memory_max")
        assert retry["retry_delay"] == "1s"
        assert by_qcli.returncode == 1
        assert f"(memory_max {MEMORY_MAX}, current {used:.0f}, retry after 1 s)" in (
            by_qcli.stderr.decode()
        )
        jobs.pop()
        jobs.add(b"y" * 10_000)
        assert len(jobs.lease(9)) == 9


def test_without_a_limit_there_is_none_to_show(q_server: RunningQ) -> None:
    """What the messages take is shown all the same; by default there is a limit."""
    assert metric(q_server, "q_memory_max_bytes") > 10**8
    q_server.stop()
    q_server.start("--memory-max=0")

    assert metric(q_server, "q_memory_bytes") == 0
    with pytest.raises(ValueError, match="not enough values"):
        metric(q_server, "q_memory_max_bytes")
