"""A command for each message: `qcli work`."""

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command_line import (
    Qcli,
    Running,
    fill,
    made,
    put,
    running_qcli,
    stats,
    until,
    until_waiting,
)
from tests.acceptance.running import RunningQ


def acked(qcli: Qcli, queue: str) -> int:
    """How many messages of a queue were acked."""
    return stats(qcli, queue)["acked_total"]


def letters(qcli: Qcli, queue: str) -> list[dict[str, Any]]:
    """The messages of a dead-letter queue."""
    return [json.loads(line) for line in qcli("browse", queue).stdout.splitlines()]


def test_a_command_runs_for_each_message(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """With the payload as its standard input; what it prints is printed."""
    fill(qcli, queue, 3)
    with running_qcli(shared_q.address, "work", queue, "--", "sed", "s/^/got /;a\\") as running:
        until(lambda: acked(qcli, queue) == 3)

        assert running.end(signal.SIGINT) == (130, "")
        assert sorted(running.stdout.read().split()) == [b"0", b"1", b"2", b"got", b"got", b"got"]
    assert stats(qcli, queue)["leased"] == 0


def test_a_command_knows_its_message(shared_q: RunningQ, qcli: Qcli) -> None:
    """By its environment, and by its arguments."""
    made(qcli, name="parcels")
    added = qcli("add", "parcels", "-tkind=a b", "-tkind=c", "-tx-y=1", payload=b"it's $HOME\n")
    message_id = json.loads(added.stdout)["message"]["meta"]["id"]
    script = 'echo "$Q_QUEUE $Q_MESSAGE_ID $Q_DELIVERY_COUNT $Q_TAG_KIND $Q_TAG_X_Y"; echo "$1"'
    command = ["sh", "-c", script, "sh", "<{}>"]
    with running_qcli(shared_q.address, "work", "parcels", "--", *command) as running:
        until(lambda: acked(qcli, "parcels") == 1)
        running.end(signal.SIGTERM)

        assert running.stdout.read().decode() == f"parcels {message_id} 1 a b 1\n<it's $HOME>\n"


def test_a_failed_command_has_its_reason(
    shared_q: RunningQ, qcli: Qcli, queue: str, dead: str
) -> None:
    """Its exit status and what it said last; the message comes back, and then no more."""
    fill(qcli, queue, 1)
    command = ["sh", "-c", "echo well >&2; echo no disk >&2; exit 7"]
    with running_qcli(
        shared_q.address, "work", queue, "--consumer", "me", "--", *command
    ) as running:
        until(lambda: stats(qcli, dead)["ready"] == 1)
        status, said = running.end(signal.SIGINT)

    (letter,) = letters(qcli, dead)
    assert letter["dead_letter"]["reason"] == "DELIVERY_COUNT_MAX"
    assert letter["dead_letter"]["text"] == "exit status 7: no disk"
    assert [
        (attempt["outcome"], attempt["consumer"], attempt["reason"])
        for attempt in letter["attempts"]
    ] == 2 * [("FAILED", "me", "exit status 7: no disk")]
    once = f"well\nno disk\nqcli: message {letter['id']} failed: exit status 7: no disk\n"
    assert said == 2 * once
    assert status == 130


def test_a_command_rejects(shared_q: RunningQ, qcli: Qcli, queue: str, dead: str) -> None:
    """By exit status 65, at once and with its reason."""
    fill(qcli, queue, 1)
    command = ["sh", "-c", "echo no such user >&2; exit 65"]
    with running_qcli(shared_q.address, "work", queue, "--", *command) as running:
        until(lambda: stats(qcli, dead)["ready"] == 1)
        _, said = running.end(signal.SIGINT)

    (letter,) = letters(qcli, dead)
    assert letter["dead_letter"]["reason"] == "REJECTED"
    assert letter["dead_letter"]["text"] == "exit status 65: no such user"
    assert said.endswith(f"message {letter['id']} is rejected: exit status 65: no such user\n")


def test_what_cannot_be_rejected_has_failed(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """Where there is no dead-letter queue, the message comes back later."""
    fill(qcli, queue, 1)
    qcli("update", queue, "--back-off-base", "1h", "--back-off-max", "1h")
    with running_qcli(shared_q.address, "work", queue, "--", "sh", "-c", "exit 65") as running:
        until(lambda: stats(qcli, queue)["delayed"] == 1)
        _, said = running.end(signal.SIGINT)

    assert "has no dead-letter queue" in said
    (message,) = letters(qcli, queue)
    assert message["attempts"][0]["outcome"] == "FAILED"
    assert message["attempts"][0]["reason"] == "exit status 65"


@pytest.mark.parametrize("payload", [b"a\0b", b"x" * 3_000_000])
def test_a_payload_that_is_no_argument_is_rejected(
    shared_q: RunningQ, qcli: Qcli, queue: str, dead: str, payload: bytes
) -> None:
    """The command does not run for it, and goes on with the next one."""
    put(qcli, queue, payload)
    fill(qcli, queue, 1)
    with running_qcli(shared_q.address, "work", queue, "--", "echo", "{}") as running:
        until(lambda: acked(qcli, queue) == 1)
        running.end(signal.SIGINT)

        assert running.stdout.read() == b"0\n"
    (letter,) = letters(qcli, dead)
    assert letter["dead_letter"]["text"].startswith("the payload ")


def test_commands_run_side_by_side(
    shared_q: RunningQ, qcli: Qcli, queue: str, tmp_path: Path
) -> None:
    """As many as are said, and no more."""
    fill(qcli, queue, 4)
    script = f'touch {tmp_path}/"$1"; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done'
    command = ["sh", "-c", script, "sh", "{}"]
    with running_qcli(shared_q.address, "work", queue, "-c", "3", "--", *command) as running:
        until(lambda: len([*tmp_path.iterdir()]) == 3)
        # A command that is one too many would have begun by the time that this one ends.
        held = json.loads(qcli("stats", queue).stdout)
        (tmp_path / "go").touch()
        until(lambda: acked(qcli, queue) == 4)

        assert running.end(signal.SIGINT) == (130, "")
    assert (held["leased"], held["ready"]) == (3, 1)


def test_a_lease_lasts_as_long_as_the_command(
    shared_q: RunningQ, qcli: Qcli, queue: str, dead: str
) -> None:
    """However short it was asked to be: nobody else gets the message."""
    fill(qcli, queue, 1)
    duration = ["--lease-duration", "1s"]
    with running_qcli(shared_q.address, "work", queue, *duration, "--", "sleep", "3") as running:
        until(lambda: acked(qcli, queue) == 1)
        assert running.end(signal.SIGINT) == (130, "")

    counts = stats(qcli, queue)
    assert (counts["redelivered_total"], counts["dead_lettered_total"]) == (0, 0)
    assert stats(qcli, dead)["ready"] == 0


def started(running: Running, count: int) -> None:
    """Return when so many commands have said that they begin."""
    for _ in range(count):
        assert running.stdout.readline() == b"begun\n"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_waits_for_those_under_way(  # noqa: PLR0913 - Fixtures and parameters.
    shared_q: RunningQ, qcli: Qcli, queue: str, *, tmp_path: Path, number: int, status: int
) -> None:
    """They come to their end and are acked; no more are begun."""
    fill(qcli, queue, 5)
    script = f"echo begun; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    with running_qcli(
        shared_q.address, "work", queue, "-c", "2", "--", "sh", "-c", script
    ) as running:
        started(running, 2)
        running.process.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(1)
        (tmp_path / "go").touch()

        assert running.wait() == (status, "")
        assert running.stdout.read() == b""
    counts = stats(qcli, queue)
    assert [counts[name] for name in ("acked_total", "leased", "ready")] == [2, 0, 3]


def test_the_second_signal_kills_them(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """And what they started; their messages are as if nothing had been."""
    fill(qcli, queue, 2)
    script = "echo begun; sleep 600; true"
    with running_qcli(
        shared_q.address, "work", queue, "-c", "2", "--", "sh", "-c", script
    ) as running:
        started(running, 2)
        running.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(1)

        assert running.end(signal.SIGINT) == (130, "")
        # Nothing that they started holds it open.
        assert running.stdout.read() == b""
    counts = stats(qcli, queue)
    assert (counts["ready"], counts["leased"]) == (2, 0)
    (first, _) = letters(qcli, queue)
    assert (first["delivery_count"], first["attempts"][0]["outcome"]) == (0, "RELEASED")


def test_a_person_is_told_what_is_waited_for(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """And how not to wait for it."""
    fill(qcli, queue, 1)
    watcher, number = pty.openpty()
    command = ["work", queue, "--", "sh", "-c", "echo begun; sleep 600"]
    with (
        os.fdopen(number, "wb") as terminal,
        running_qcli(shared_q.address, *command, stderr=terminal) as running,
    ):
        terminal.close()
        started(running, 1)
        running.process.send_signal(signal.SIGINT)
        said = os.read(watcher, 4096).decode()
        running.process.send_signal(signal.SIGINT)
        status = running.process.wait(20)
    os.close(watcher)

    assert said == "qcli: waiting for the commands that run; a second signal kills them\r\n"
    assert status == 130


def test_a_worker_that_is_killed_loses_nothing(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """Its message comes back when its lease has ended."""
    fill(qcli, queue, 1)
    script = "echo begun; sleep 2"
    command = ["work", queue, "--lease-duration", "3s", "--", "sh", "-c", script]
    with running_qcli(shared_q.address, *command) as running:
        started(running, 1)
        running.process.kill()

    done = qcli("lease", queue, "--wait", "60", "--lease-duration", "1m")

    assert json.loads(done.stdout)["delivery_count"] == 2


def test_work_outlives_the_server(q_server: RunningQ) -> None:
    """It says that the server is away, and goes on when it is back."""
    qcli = Qcli(q_server.address)
    made(qcli, "DISK", name="jobs")
    with running_qcli(q_server.address, "work", "jobs", "--", "cat") as running:
        until_waiting(qcli, "jobs")
        q_server.kill()
        said = running.stderr.readline().decode()
        q_server.start()
        fill(qcli, "jobs", 1)
        until(lambda: acked(qcli, "jobs") == 1)
        status, _ = running.end(signal.SIGINT)

        assert running.stdout.read() == b"0"
    assert re.fullmatch(r"qcli: waiting for queue jobs: .+; trying again\n", said)
    assert status == 130


def test_a_deleted_queue_ends_the_work(shared_q: RunningQ, qcli: Qcli) -> None:
    """There is nothing to wait for."""
    queue = made(qcli)
    with running_qcli(shared_q.address, "work", queue, "--", "true") as running:
        until_waiting(qcli, queue)
        qcli("delete", queue)
        status, said = running.wait()

    assert said == (
        f"qcli: error: cannot work on queue: NOT_FOUND: cannot find queue with id {queue};"
        ' "qcli list" shows what queues there are, "qcli new" makes one\n'
    )
    assert status == 1


def test_a_program_that_is_not_there_takes_no_message(qcli: Qcli, queue: str) -> None:
    """It is said before anything is asked."""
    fill(qcli, queue, 1)

    done = qcli("work", queue, "--", "no-such-program", "{}")

    assert done.stderr == (
        b"qcli: error: cannot work on queue: there is no program no-such-program\n"
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert stats(qcli, queue)["ready"] == 1


def test_a_program_that_cannot_run_ends_the_work(
    shared_q: RunningQ, qcli: Qcli, queue: str, tmp_path: Path
) -> None:
    """It is not the messages' fault: they are given back as they were."""
    fill(qcli, queue, 3)
    script = tmp_path / "script"
    script.write_text("#!/nowhere/interpreter\n", encoding="ascii")
    script.chmod(0o755)
    with running_qcli(shared_q.address, "work", queue, "--", str(script)) as running:
        status, said = running.wait()

    assert said == (
        f"qcli: error: cannot work on queue: cannot run {script}: No such file or directory\n"
    )
    assert status == 1
    counts = stats(qcli, queue)
    assert (counts["ready"], counts["leased"], counts["dead_lettered_total"]) == (3, 0, 0)
