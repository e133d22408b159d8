"""What GetServer tells of a q that is alone: by the client, REST, qcli and metrics."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import qmq
from tests.acceptance.command_line import Qcli
from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ
from tests.acceptance.test_full_disk import bound_files
from tests.acceptance.test_metrics_port import only, samples

#: Seconds that things may take on a machine that does much else.
PATIENCE_S = 60.0


def until(client: qmq.Client, is_so: Callable[[qmq.ServerInfo], bool]) -> qmq.ServerInfo:
    """Ask until it is as it should be."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so(info := client.server()):
        assert time.monotonic() < deadline, info
        time.sleep(0.1)
    return info


def _fill(queue: qmq.Queue[bytes | str]) -> None:
    """Add messages for as long as there is room."""
    while True:
        queue.add("x" * 100_000)


def test_a_disk_is_told_of_as_it_is_and_when_it_is_full(q_server: RunningQ) -> None:
    """How long commits took, what the files take, and why changes are refused, with what to do."""
    with qmq.Client(q_server.address, retry=qmq.Retry(duration=0)) as client:
        jobs = client.ensure_queue("jobs", store="DISK")
        client.new_queue(store="MEMORY")
        for number in range(10):
            jobs.add(f"{number}")
        # A step is ended every five seconds.
        info = until(client, lambda info: bool(info.disk and info.disk.commits.count >= 10))

        assert (info.role, info.address) == (qmq.ServerRole.ALONE, q_server.address)
        assert info.contents.queues == 2
        assert info.in_memory == qmq.StoreContents(queues=1, messages=0, bytes=0)
        disk = info.disk
        assert disk
        assert (disk.contents.queues, disk.contents.messages) == (1, 10)
        assert disk.directory == str(q_server.data)
        assert disk.database_bytes + disk.log_bytes > 4_096
        assert 0 < disk.free_bytes < disk.total_bytes
        assert 0 < disk.commits.p50.total_seconds() <= disk.commits.max.total_seconds()
        assert sum(step.count for step in disk.commits.steps) >= 10
        assert disk.refusal == ""

        bound_files(q_server, 1_000_000)
        with pytest.raises(qmq.DiskFull):
            _fill(jobs)
        info = until(client, lambda info: bool(info.warnings))
        [full] = [each for each in info.warnings if each.reason == "DISK_FULL"]
        assert full.level is qmq.WarningLevel.CRITICAL
        assert info.disk
        assert full.message == info.disk.refusal != ""
        assert "room" in full.remedy
        metric = ("q_warning", only(level="critical", reason="DISK_FULL", subject=""))
        assert samples(q_server)[metric] == 1


def test_a_q_without_a_data_directory_has_no_disk(tmp_path: Path) -> None:
    """By REST and by qcli likewise."""
    q = RunningQ(tmp_path)
    q.start("--data=none")
    try:
        by_rest = rest(q.address, "GET", "/v1/server").json["server"]
        by_qcli = json.loads(Qcli(q.address)("server").stdout)
    finally:
        q.stop()

    for found in (by_rest, by_qcli):
        assert (found["role"], found["address"]) == ("ALONE", q.address)
        assert not found.get("disk")
        assert not found.get("cluster")
