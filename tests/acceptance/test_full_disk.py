"""A q whose disk is full, and then has room again: by a bound on files, which the system keeps."""

import resource
import time
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

import qmq
from tests.acceptance.running import RunningQ

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

#: More than the log takes at first, and less than the room that q looks for.
_FULL_BYTES = 1_000_000


def bound_files(q: RunningQ, size: int) -> None:
    """Bound how long files of a running q may get."""
    hard = resource.prlimit(q.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(q.pid, resource.RLIMIT_FSIZE, (size, hard))


def head(queue: qmq.Queue[bytes | str]) -> str:
    """Return the head of a queue, once it has been read from disk anew."""
    deadline_s = time.monotonic() + 60
    while True:
        try:
            return queue.peek().text
        except qmq.DiskFull:
            assert time.monotonic() < deadline_s


def test_q_goes_on_by_itself_when_the_disk_has_room(q_server: RunningQ) -> None:
    """All that was acknowledged is there, in order; health and metrics tell how it is."""
    added: list[str] = []
    with (
        grpc.insecure_channel(q_server.address) as channel,
        qmq.Client(q_server.address, retry=qmq.Retry(duration=0)) as client,
    ):
        health: Any = HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest())
        seen = [next(watch).status]
        jobs = client.ensure_queue("jobs")
        bound_files(q_server, _FULL_BYTES)
        refusal = None
        while refusal is None:
            text = f"{len(added)} " * 2_000
            try:
                jobs.add(text)
                added.append(text)
            except qmq.DiskFull as error:
                refusal = error
        seen.append(next(watch).status)
        assert not refusal.may_have_happened
        assert refusal.retry_after_s == 5
        assert head(jobs) == added[0]
        assert jobs.stats().ready == len(added)

        bound_files(q_server, resource.RLIM_INFINITY)
        seen.append(next(watch).status)
        watch.cancel()
        jobs.add("after")

        assert [message.text for message in jobs.drain()] == [*added, "after"]
    assert seen == [SERVING, NOT_SERVING, SERVING]
