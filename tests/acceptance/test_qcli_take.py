"""Messages printed as they are taken: `qcli pop` with its options, `peek`, `tail`."""

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.acceptance.command_line import (
    Qcli,
    Running,
    fill,
    made,
    put,
    running_qcli,
    stats,
    until_waiting,
)
from tests.acceptance.running import RunningQ, environment, program


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["--raw"], "0\n"),
        (["--raw", "--count", "2"], "0\n1\n"),
        (["--raw", "-n", "9"], "0\n1\n2\n3\n4\n"),
        (["--raw", "--all"], "0\n1\n2\n3\n4\n"),
        (["--raw", "--all", "--no-newline"], "01234"),
        (["-o", "raw", "-n2", "-0"], "0\x001\x00"),
    ],
)
def test_so_many_messages_are_taken(
    qcli: Qcli, queue: str, arguments: list[str], printed: str
) -> None:
    """Those at the head; fewer if there are no more. The others stay."""
    fill(qcli, queue, 5)

    done = qcli("pop", queue, *arguments)

    assert (done.stdout.decode(), done.returncode, done.stderr) == (printed, 0, b"")
    taken = sum(each in printed for each in "01234")
    assert stats(qcli, queue)["ready"] == 5 - taken


def test_a_count_is_not_exceeded(qcli: Qcli, queue: str) -> None:
    """However large the batches are that it is taken in."""
    fill(qcli, queue, 3_000)

    done = qcli("pop", queue, "--count", "2345", "--raw")

    assert done.stdout == b"".join(b"%d\n" % number for number in range(2_345))
    assert stats(qcli, queue)["ready"] == 655


@pytest.mark.parametrize("how", [["--count", "2"], ["--all"], ["--wait", "0"], ["-o", "json"]])
def test_json_is_that_of_a_plain_pop(qcli: Qcli, queue: str, how: list[str]) -> None:
    """Character for character, one message after the other."""
    replies = [
        qcli("add", queue, "-tk=v", "-tk=", payload=payload).stdout for payload in (b"\xff", b"")
    ]

    printed = qcli("pop", queue, *how).stdout

    assert printed in (replies[0], b"".join(replies))


@pytest.mark.parametrize("option", [["--raw"], ["--jsonl"], ["-o", "json"]])
def test_peek_leaves_the_message(qcli: Qcli, queue: str, option: list[str]) -> None:
    """It prints what pop would."""
    qcli("add", queue, "-tk=v", payload=b"hello")

    peeked = qcli("peek", queue, *option)
    popped = qcli("pop", queue, *option)

    assert peeked.stdout == popped.stdout
    assert b"hello" in peeked.stdout or b"aGVsbG8=" in peeked.stdout
    assert peeked.returncode == popped.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["pop"], 1),
        (["peek"], 1),
        (["pop", "--raw"], 3),
        (["pop", "--jsonl", "--all"], 3),
        (["pop", "--count", "2"], 3),
        (["pop", "--wait", "0.05"], 3),
        (["peek", "--raw"], 3),
    ],
)
def test_an_empty_queue_has_its_own_status(
    qcli: Qcli, queue: str, arguments: list[str], status: int
) -> None:
    """But not in the original's commands as they were."""
    done = qcli(arguments[0], queue, *arguments[1:])

    what = {"pop": "pop message from", "peek": "peek at message in"}[arguments[0]]
    assert done.stderr.decode() == (
        f"qcli: error: cannot {what} queue: NOT_FOUND: queue {queue} is empty\n"
    )
    assert (done.returncode, done.stdout) == (status, b"")


@pytest.mark.parametrize("how", [["--all", "--raw"], ["--count", "2"], ["--wait", "0.05"]])
def test_a_queue_that_hands_out_nothing_is_not_empty(
    qcli: Qcli, queue: str, how: list[str]
) -> None:
    """What holds its messages back is told, however many were asked for; a peek sees them."""
    fill(qcli, queue, 2)
    qcli("update", queue, "--leased-max", "1")
    assert qcli("lease", queue).returncode == 0

    held = qcli("pop", queue, *how)
    qcli("pause", queue)
    paused = qcli("pop", queue, *how)

    assert held.stderr.decode() == (
        f"qcli: error: cannot pop message from queue: NOT_FOUND: queue {queue} does not hand out"
        " the message that is ready now: the queue has 1 on lease, as many as its"
        " leased_max of 1 allows (retry after 1 s)\n"
    )
    assert f"queue {queue} is paused; it hands out messages after Resume" in paused.stderr.decode()
    assert (held.returncode, paused.returncode) == (3, 3)
    assert qcli("peek", queue, "--raw").returncode == 0


@pytest.mark.parametrize("command", [["pop", "--raw"], ["peek", "--raw"], ["tail", "--pop"]])
def test_an_unknown_queue_is_not_empty(qcli: Qcli, command: list[str]) -> None:
    """The server refused, which is another status."""
    done = qcli(command[0], "none-such", *command[1:])

    assert b": INVALID_ARGUMENT: queue_id: " in done.stderr
    assert (done.returncode, done.stdout) == (1, b"")


def test_a_message_is_waited_for(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """And printed as soon as it is there."""
    with running_qcli(shared_q.address, "pop", queue, "--raw", "--wait", "60") as running:
        until_waiting(qcli, queue)
        put(qcli, queue, b"hello")

        assert running.wait() == (0, "")
        assert running.stdout.read() == b"hello\n"


def test_each_message_is_waited_for(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """Until there are enough."""
    with running_qcli(shared_q.address, "pop", queue, "-n2", "--raw", "--wait", "60") as running:
        for payload in (b"a", b"b"):
            until_waiting(qcli, queue)
            put(qcli, queue, payload)
            assert running.stdout.readline() == payload + b"\n"

        assert running.wait() == (0, "")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_tail_prints_messages_as_they_come(
    shared_q: RunningQ, qcli: Qcli, queue: str, number: int, status: int
) -> None:
    """Those that are there and those that come, until somebody has enough; nothing is lost."""
    fill(qcli, queue, 3)
    with running_qcli(shared_q.address, "tail", queue, "--pop") as running:
        first = [json.loads(running.stdout.readline())["payload"] for _ in range(3)]
        until_waiting(qcli, queue)
        qcli("add", queue, "-tk=v", payload=b"\xff")
        last = json.loads(running.stdout.readline())
        until_waiting(qcli, queue)

        assert running.end(number) == (status, "")

    assert first == ["0", "1", "2"]
    assert (last["payload_base64"], last["tags"]) == ("/w==", {"k": "v"})
    counts = stats(qcli, queue)
    assert (counts["consumed_total"], counts["ready"]) == (4, 0)


def test_tail_outlives_the_server(q_server: RunningQ) -> None:
    """It says once that the server is away, and goes on when it is back."""
    qcli = Qcli(q_server.address)
    made(qcli, "DISK", name="jobs")
    with running_qcli(q_server.address, "tail", "jobs", "--pop", "--raw") as running:
        until_waiting(qcli, "jobs")
        q_server.kill()
        said = running.stderr.readline().decode()
        q_server.start()
        put(qcli, "jobs", b"hello")

        assert running.stdout.readline() == b"hello\n"
        until_waiting(qcli, "jobs")
        assert running.end(signal.SIGINT) == (130, "")

    assert said.startswith("qcli: UNAVAILABLE: no answer from ")
    assert said.endswith("; 0 messages printed, up to 1 lost on their way; trying again\n")


def interrupted_amid(running: Running) -> tuple[int, bytes, str]:
    """Interrupt a qcli that prints without end; return its status, output and errors."""
    running.process.send_signal(signal.SIGINT)
    rest = running.stdout.read()
    status, said = running.wait()
    return status, rest, said


def test_ctrl_c_loses_nothing(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """What is out of the queue is printed first."""
    fill(qcli, queue, 100_000)
    with running_qcli(shared_q.address, "pop", queue, "--all", "--raw") as running:
        first = running.stdout.readline()
        status, rest, said = interrupted_amid(running)
    left = qcli("pop", queue, "--all", "--raw").stdout

    assert (status, said) == (130, "")
    assert left
    assert first + rest + left == b"".join(b"%d\n" % number for number in range(100_000))


def test_a_second_ctrl_c_ends_what_does_not_end(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """Nobody reads, and the pipe is full: it says how many messages are lost."""
    for _ in range(2):
        fill(qcli, queue, 100_000)
    with running_qcli(shared_q.address, "pop", queue, "--all", "--raw") as running:
        seen = [0]
        # Nothing for a second: it waits for a reader.
        while not seen[-1] or len({*seen[-6:]}) > 1:
            time.sleep(0.2)
            seen.append(stats(qcli, queue)["consumed_total"])
        running.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(1.5)
        status, said = running.end(signal.SIGINT)
        printed = running.stdout.read().count(b"\n")

    lost = stats(qcli, queue)["consumed_total"] - printed
    assert said == (
        f"qcli: error: cannot print messages: interrupted; {printed} messages printed,"
        f" {lost} lost\n"
    )
    assert 0 < lost <= 1_000
    assert status == 130


def test_a_reader_that_goes_away_is_noticed(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """At most as many again are lost as were printed, and it is said how many."""
    fill(qcli, queue, 10_000)
    done = subprocess.run(
        ["sh", "-c", f'"$0" pop {queue} --all --raw | head -n 3', program("qcli")],
        capture_output=True,
        env=environment(QCLI_SERVER=shared_q.address),
        check=False,
    )
    taken = stats(qcli, queue)["consumed_total"]

    said = done.stderr.decode()
    assert done.stdout == b"0\n1\n2\n"
    assert "messages printed" in said
    if "Broken pipe" in said:
        printed = int(said.split(" messages printed")[0].rpartition(" ")[2])
        assert said.endswith(f", {taken - printed} lost\n")
        assert taken - printed <= printed + 1
    else:
        assert said.endswith(f"nobody reads standard output; {taken} messages printed\n")


def test_nothing_is_taken_that_nobody_reads(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """A pipe without a reader is noticed before the first message."""
    fill(qcli, queue, 3)
    reader, writer = os.pipe()
    os.close(reader)
    with (
        os.fdopen(writer, "wb") as pipe,
        running_qcli(shared_q.address, "pop", queue, "--all", "--raw", stdout=pipe) as running,
    ):
        status, said = running.wait()

    assert said == (
        "qcli: error: cannot pop message from queue: nobody reads standard output;"
        " 0 messages printed\n"
    )
    assert status == 1
    assert stats(qcli, queue)["ready"] == 3


def test_a_full_disk_loses_little(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """The first batch is one message, and it is said that it is lost."""
    fill(qcli, queue, 10)
    with (
        Path("/dev/full").open("wb") as full,
        running_qcli(shared_q.address, "pop", queue, "--all", "--raw", stdout=full) as running,
    ):
        status, said = running.wait()

    assert said == (
        "qcli: error: cannot print messages: No space left on device; 0 messages printed, 1 lost\n"
    )
    assert status == 1
    assert stats(qcli, queue)["ready"] == 9


def test_a_closed_standard_output_takes_nothing(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """As with a plain pop."""
    fill(qcli, queue, 1)
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" pop {queue} --raw >&-', program("qcli")],
        capture_output=True,
        env=environment(QCLI_SERVER=shared_q.address),
        check=False,
    )

    assert done.stderr == (
        b"qcli: error: cannot pop message from queue: standard output is closed\n"
    )
    assert done.returncode == 1
    assert stats(qcli, queue)["ready"] == 1


def test_a_person_reads_messages_on_a_terminal(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """Also one that does not block, as another program may have left it."""
    fill(qcli, queue, 20_000)
    watcher, number = pty.openpty()
    os.set_blocking(number, False)
    with (
        os.fdopen(number, "wb") as terminal,
        running_qcli(shared_q.address, "pop", queue, "--all", "--raw", stdout=terminal) as running,
    ):
        terminal.close()
        shown = b""
        try:
            while piece := os.read(watcher, 65536):
                shown += piece
        except OSError:
            pass  # Linux says so that nobody has the terminal any more.
        finally:
            os.close(watcher)
        assert running.wait() == (0, "")

    assert shown.replace(b"\r", b"") == b"".join(b"%d\n" % number for number in range(20_000))
