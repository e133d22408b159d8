"""What systems do to processes: they stop one for a while, or give it no more files."""

import os
import resource
import signal
import time
from pathlib import Path

import pytest

import qmq
from tests.acceptance.running import RunningQ


def test_lease_ends_while_q_is_stopped(q_server: RunningQ) -> None:
    """Whoever held it is told so once the message was handed out again; all else is as it was."""
    with qmq.Client(q_server.address) as client:
        jobs = client.ensure_queue("jobs")
        jobs.add("work")
        (late,) = jobs.lease(lease_duration=0.5)

        os.kill(q_server.pid, signal.SIGSTOP)
        time.sleep(1)
        os.kill(q_server.pid, signal.SIGCONT)
        (again,) = jobs.lease(lease_duration=60)

        assert again.text == "work"
        assert again.delivery_count == 2
        with pytest.raises(qmq.LeaseLost):
            late.ack()
        again.ack()
        assert jobs.stats().ready == jobs.stats().leased == 0


def test_q_without_file_descriptors_goes_on(q_server: RunningQ) -> None:
    """Those who are connected notice nothing, and others get in when there are some again."""
    with qmq.Client(q_server.address) as client:
        jobs = client.ensure_queue("jobs")
        soft, hard = resource.prlimit(q_server.pid, resource.RLIMIT_NOFILE)
        open_files = [int(fd.name) for fd in Path(f"/proc/{q_server.pid}/fd").iterdir()]
        resource.prlimit(q_server.pid, resource.RLIMIT_NOFILE, (max(open_files) + 1, hard))

        for number in range(200):
            jobs.add(f"{number}")

        resource.prlimit(q_server.pid, resource.RLIMIT_NOFILE, (soft, hard))
        with qmq.Client(q_server.address) as other:
            assert [message.text for message in other.queue("jobs").drain()] == [
                f"{number}" for number in range(200)
            ]
