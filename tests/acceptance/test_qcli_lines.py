"""Many messages at once: `qcli add --lines` and `--jsonl`, and out again."""

import hashlib
import json
import os
import pty
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qmq.limits import BATCH_MESSAGES_MAX, MESSAGE_BYTES_MAX
from tests.acceptance.command_line import Qcli, Running, made, running_qcli, stats, until
from tests.acceptance.running import RunningQ, environment, program

LINES = 100_000

#: What the Python of qcli, gRPC and a few batches take, and some room.
MEMORY_KIB_MAX = 96 * 1024
#: How much more a hundred thousand lines may take than a few.
GROWTH_KIB_MAX = 16 * 1024


def ready(qcli: Qcli, queue: str) -> int:
    """How many messages a queue holds."""
    return stats(qcli, queue)["ready"]


@contextmanager
def endless(qcli: Running) -> Iterator[None]:
    """Give a qcli line after line to read."""
    with subprocess.Popen(["yes"], stdout=qcli.stdin) as writer:
        qcli.stdin.close()
        try:
            yield
        finally:
            writer.kill()


def digest(path: Path) -> str:
    """The checksum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


#: Runs a program, and writes the most memory it took to a file. A process of its own, and a
#: small one, since a program counts as its own what the process took that started it.
MEASURE = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
"""


def memory_kib(*arguments: str, address: str, stdin: Path, stdout: Path) -> int:
    """Run qcli, its input and output by way of pipes, and return the most memory it took."""
    peak = stdout.with_suffix(".peak")
    with stdin.open("rb") as source, stdout.open("wb") as target:
        reader = subprocess.Popen(["cat"], stdin=source, stdout=subprocess.PIPE)
        writer = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=target)
        qcli = subprocess.Popen(
            [sys.executable, "-c", MEASURE, str(peak), program("qcli"), *arguments],
            stdin=reader.stdout,
            stdout=writer.stdin,
            env=environment(QCLI_SERVER=address),
        )
        for pipe in (reader.stdout, writer.stdin):
            assert pipe is not None
            pipe.close()
        assert (qcli.wait(), reader.wait(), writer.wait()) == (0, 0, 0)
    return int(peak.read_text(encoding="ascii"))


def test_a_hundred_thousand_lines_come_back(bare_q: RunningQ, tmp_path: Path) -> None:
    """Byte for byte from a queue on disk, and neither way takes more memory than a few do."""
    made(Qcli(bare_q.address), "DISK", name="lines")
    some = random.Random(4)
    lines, few, out = tmp_path / "lines", tmp_path / "few", tmp_path / "out"
    lines.write_bytes(
        b"".join(b"%d %s\n" % (i, some.randbytes(20).hex().encode()) for i in range(LINES))
    )
    few.write_bytes(b"a\nb\n")

    def there_and_back(source: Path) -> list[int]:
        return [
            memory_kib(*arguments, address=bare_q.address, stdin=stdin, stdout=out)
            for arguments, stdin in [
                (("add", "lines", "--lines"), source),
                (("pop", "lines", "--all", "--raw"), Path(os.devnull)),
            ]
        ]

    took_for_few = there_and_back(few)
    took = there_and_back(lines)

    assert digest(out) == digest(lines)
    for kib, kib_for_few in zip(took, took_for_few, strict=True):
        assert kib < MEMORY_KIB_MAX
        assert kib - kib_for_few < GROWTH_KIB_MAX


@pytest.mark.parametrize(
    ("text", "payloads"),
    [
        (b"", []),
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\n\n\nb", [b"a", b"", b"", b"b"]),
        (b"\x00\xff\r\n", [b"\x00\xff\r"]),
    ],
)
def test_a_line_is_a_payload(qcli: Qcli, queue: str, text: bytes, payloads: list[bytes]) -> None:
    """Without its line break; nothing is printed."""
    done = qcli("add", queue, "--lines", payload=text)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert ready(qcli, queue) == len(payloads)
    assert qcli("pop", queue, "--all", "--raw", "--null").stdout == b"".join(
        payload + b"\0" for payload in payloads
    )


@pytest.mark.parametrize("text", [b"a\nb\n", b"no end", b"\n\r\n\x00", os.urandom(100_000)])
def test_a_file_comes_back_byte_for_byte(qcli: Qcli, queue: str, text: bytes) -> None:
    """A text by lines; anything, a last line without an end included, with their ends kept."""
    qcli("add", queue, "--lines", "--keep-ends", payload=text)
    kept = qcli("pop", queue, "--all", "--raw", "--no-newline").stdout
    qcli("add", queue, "--lines", payload=text)
    stripped = qcli("pop", queue, "--all", "--raw").stdout

    assert kept == text
    assert stripped == (text if text.endswith(b"\n") else text + b"\n")


def test_lines_may_end_with_a_zero_byte(qcli: Qcli, queue: str) -> None:
    """As those of `find -print0` do, so that payloads may have line breaks in them."""
    text = b"a\nb\0c\0"

    qcli("add", queue, "--lines", "--null", payload=text)

    assert ready(qcli, queue) == 2
    assert qcli("pop", queue, "--all", "--raw", "-0").stdout == text


def test_json_lines_come_back(qcli: Qcli, queue: str) -> None:
    """What pop prints, add reads: payload and tags stay, id and creation time are new."""
    text = b'{"payload":"a","tags":{"k":["v","w"],"x":""}}\n{"payload_base64":"AP8="}\n'
    qcli("add", queue, "--jsonl", "-t", "more=1", payload=text)

    first = qcli("pop", queue, "--all", "--jsonl").stdout
    done = qcli("add", queue, "--jsonl", payload=first)
    second = qcli("pop", queue, "--all", "--jsonl").stdout

    assert done.returncode == 0
    records = [[json.loads(line) for line in text.splitlines()] for text in (first, second)]
    assert all(a["id"] != b["id"] for a, b in zip(*records, strict=True))
    for record in records[0] + records[1]:
        del record["id"], record["created"]
    assert records[0] == records[1] == [
        {"tags": {"k": ["v", "w"], "x": "", "more": "1"}, "payload": "a"},
        {"tags": {"more": "1"}, "payload_base64": "AP8="},
    ]  # fmt: skip


def test_every_line_has_the_tags_that_are_given(qcli: Qcli, queue: str) -> None:
    """In each message of the batch."""
    qcli("add", queue, "--lines", "-t", "k=v", payload=b"a\nb\n")

    popped = qcli("pop", queue, "--all", "--jsonl").stdout.splitlines()
    assert [json.loads(line)["tags"] for line in popped] == [{"k": "v"}, {"k": "v"}]


def test_a_full_queue_takes_the_first_lines(qcli: Qcli) -> None:
    """It is said how many, and --skip goes on from there."""
    made(qcli, limit=1_500, name="narrow")
    text = b"".join(b"%d\n" % number for number in range(2_500))

    done = qcli("add", "narrow", "--lines", payload=text)

    said = done.stderr.decode()
    assert done.returncode == 1
    assert re.fullmatch(
        r"qcli: error: cannot add message to queue: RESOURCE_EXHAUSTED: queue \S+ has reached"
        r" limit of 1500 messages \(limit 1500, current 1500, retry after 1 s\); the first 1500"
        r" lines are stored; to go on, give the same lines with --skip 1500\n",
        said,
    )
    first = qcli("pop", "narrow", "--all", "--raw").stdout
    assert qcli("add", "narrow", "--lines", "--skip", "1500", payload=text).returncode == 0
    assert first + qcli("pop", "narrow", "--all", "--raw").stdout == text


@pytest.mark.parametrize("before", [0, 1, 3, BATCH_MESSAGES_MAX + 3])
def test_a_bad_line_is_named(qcli: Qcli, queue: str, before: int) -> None:
    """The lines before it are stored, those behind it are not."""
    text = b'{"payload":"good"}\n' * before + b'{"payload":1}\n{"payload":"behind"}\n'

    done = qcli("add", queue, "--jsonl", payload=text)

    said = done.stderr.decode()
    assert f"line {before + 1}: payload must be a text, not a number; " in said
    assert ("nothing is stored" in said) == (before == 0)
    assert (f"with --skip {before}\n" in said) == (before > 0)
    assert done.returncode == 1
    assert ready(qcli, queue) == before


@pytest.mark.parametrize("before", [0, 1, 3, BATCH_MESSAGES_MAX + 3])
def test_a_line_that_the_server_refuses_is_named(qcli: Qcli, queue: str, before: int) -> None:
    """Its reason is that of the one message, however many it was sent with."""
    large = b"x" * MESSAGE_BYTES_MAX
    text = b"good\n" * before + large + b"\nbehind\n" * 3

    done = qcli("add", queue, "--lines", payload=text)

    said = done.stderr.decode()
    assert f"cannot add line {before + 1} to queue: RESOURCE_EXHAUSTED: payload, tags and" in said
    assert done.returncode == 1
    assert ready(qcli, queue) == before


def test_a_tag_that_the_server_refuses_is_named(qcli: Qcli, queue: str) -> None:
    """The field is that of the message, not of the request that it was sent in."""
    text = json.dumps({"payload": "a", "tags": {"k" * 2_000: "v"}}).encode()

    done = qcli("add", queue, "--jsonl", payload=b'{"payload":"good"}\n' + text)

    assert b"cannot add line 2 to queue: INVALID_ARGUMENT: tags[0].key: " in done.stderr
    assert ready(qcli, queue) == 1


def test_large_lines_go_in_batches_that_fit(qcli: Qcli, queue: str) -> None:
    """A request has a limit, which three of these lines together would pass."""
    text = b"".join(bytes([each]) * (MESSAGE_BYTES_MAX // 2) + b"\n" for each in b"abc")

    assert qcli("add", queue, "--lines", payload=text).returncode == 0

    assert qcli("pop", queue, "--all", "--raw").stdout == text


def test_a_server_with_a_smaller_limit_gets_smaller_batches(tmp_path: Path) -> None:
    """Qcli does not know the limit, and finds it."""
    q = RunningQ(tmp_path)
    q.start("--message-bytes-max", "2000")
    try:
        qcli = Qcli(q.address)
        made(qcli, name="small")
        text = b"".join(b"%01000d\n" % number for number in range(300))

        done = qcli("add", "small", "--lines", payload=text)

        assert (done.returncode, done.stderr) == (0, b"")
        assert qcli("pop", "small", "--all", "--raw").stdout == text
    finally:
        q.stop()


@pytest.mark.parametrize(
    ("text", "skip", "added"),
    [(b"a\nb\n", 0, b"a\nb\n"), (b"a\nb\n", 1, b"b\n"), (b"a\nb", 2, b"")],
)
def test_lines_are_skipped(qcli: Qcli, queue: str, text: bytes, skip: int, added: bytes) -> None:
    """All of them may be: somebody goes on where there is nothing left to do."""
    done = qcli("add", queue, "--lines", "--skip", str(skip), payload=text)

    assert (done.returncode, done.stderr) == (0, b"")
    assert qcli("pop", queue, "--all", "--raw").stdout == added


def test_more_lines_cannot_be_skipped_than_there_are(qcli: Qcli, queue: str) -> None:
    """It is not the file that somebody began with."""
    done = qcli("add", queue, "--lines", "--skip", "3", payload=b"a\nb\n")

    assert done.stderr == b"qcli: error: --skip 3 leaves out more than the 2 lines there are\n"
    assert done.returncode == 1


def test_nothing_is_read_for_a_queue_that_is_not_there(shared_q: RunningQ) -> None:
    """It says so at once, and not after the first line."""
    with running_qcli(shared_q.address, "add", "none-such", "--lines") as running:
        status, said = running.wait()

    assert status == 1
    assert said.startswith("qcli: error: cannot add message to queue: INVALID_ARGUMENT: queue_id: ")


def test_a_slow_writer_is_followed(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """A line is in the queue when it is complete, though more may follow."""
    with running_qcli(shared_q.address, "add", queue, "--lines") as running:
        for line in (b"first\n", b"second\nthi"):
            running.stdin.write(line)
            running.stdin.flush()
            popped = qcli("pop", queue, "--wait", "60", "--raw").stdout
            assert popped == line.partition(b"\n")[0] + b"\n"
        running.stdin.close()

        assert running.wait() == (0, "")
    assert qcli("pop", queue, "--raw").stdout == b"thi\n"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_add_says_what_is_stored(
    shared_q: RunningQ, qcli: Qcli, queue: str, number: int, status: int
) -> None:
    """And stored it is."""
    with running_qcli(shared_q.address, "add", queue, "--lines") as running:
        running.stdin.write(b"a\nb\nc")
        running.stdin.flush()
        assert qcli("pop", queue, "-n2", "--wait", "60", "--raw").stdout == b"a\nb\n"

        ended_with, said = running.end(number)

    assert ended_with == status
    assert said == (
        "qcli: error: interrupted; the first 2 lines are stored; to go on, give the same"
        " lines with --skip 2\n"
    )
    assert ready(qcli, queue) == 0


def test_an_add_without_end_is_interrupted_with_the_right_count(
    shared_q: RunningQ, qcli: Qcli, queue: str
) -> None:
    """Whatever it was doing at that moment."""
    with running_qcli(shared_q.address, "add", queue, "--lines") as running, endless(running):
        until(lambda: ready(qcli, queue) >= 10_000)
        status, said = running.end(signal.SIGINT)

    stored = re.search(r"the first (\d+) lines are stored; to go on, .* --skip (\d+)\n", said)
    assert stored, said
    assert [int(each) for each in stored.groups()] == 2 * [ready(qcli, queue)]
    assert status == 130


def test_a_server_that_dies_leaves_a_count(q_server: RunningQ) -> None:
    """What was acknowledged is there after a restart, and of the rest it is said how much."""
    qcli = Qcli(q_server.address)
    made(qcli, "DISK", name="lines")
    with running_qcli(q_server.address, "add", "lines", "--lines") as running, endless(running):
        until(lambda: ready(qcli, "lines") >= 10_000)
        q_server.kill()
        status, said = running.wait()
    q_server.start()

    stored = re.search(
        r"the first (\d+) lines are stored(?:; the next (\d+) may be, since their answer was"
        r" lost)?; to go on, ",
        said,
    )
    assert stored, said
    acknowledged, unknown = int(stored[1]), int(stored[2] or 0)
    assert acknowledged <= ready(qcli, "lines") <= acknowledged + unknown
    assert unknown <= BATCH_MESSAGES_MAX
    assert status == 4


def test_a_restarted_server_is_waited_for(q_server: RunningQ) -> None:
    """Who restarts q in good order does not notice in the lines."""
    qcli = Qcli(q_server.address)
    made(qcli, "DISK", name="lines")
    with running_qcli(q_server.address, "add", "lines", "--lines") as running:
        for number in range(3):
            running.stdin.write(b"%d\n" % number)
            running.stdin.flush()
            while ready(qcli, "lines") <= number:
                assert running.process.poll() is None
            if number == 1:
                q_server.stop()
                q_server.start()
        running.stdin.close()
        assert running.wait() == (0, "")

    assert qcli("pop", "lines", "--all", "--raw").stdout == b"0\n1\n2\n"


def on_a_terminal(address: str, command: str, typed: bytes = b"") -> tuple[str, int]:
    """Run a shell command with standard error, and input unless redirected, on a terminal."""
    keyboard, terminal = pty.openpty()
    with subprocess.Popen(
        ["sh", "-c", command, program("qcli")],
        stdin=terminal,
        stderr=terminal,
        env=environment(QCLI_SERVER=address),
    ) as running:
        os.close(terminal)
        shown = b""
        try:
            if typed:
                shown = os.read(keyboard, 4096)
                os.write(keyboard, typed)
            # Linux says by an error that nobody has the terminal any more.
            while piece := os.read(keyboard, 4096):
                shown += piece
        except OSError:
            pass
        finally:
            os.close(keyboard)
    return shown.decode(), running.returncode


def test_a_person_sees_how_far_it_is(shared_q: RunningQ, queue: str, tmp_path: Path) -> None:
    """One line, of which the last state stays."""
    lines = tmp_path / "lines"
    lines.write_bytes(b"x\n" * 50_000)

    of_a_file, _ = on_a_terminal(shared_q.address, f'"$0" add {queue} --lines < {lines}')
    of_a_pipe, _ = on_a_terminal(shared_q.address, f'cat {lines} | "$0" add {queue} --lines')

    assert re.search(r"\r#{20} 100%  50,000 lines, [\d,]+/s\x1b\[K\r\n$", of_a_file)
    assert re.search(r"\r50,000 lines, [\d,]+/s\x1b\[K\r\n$", of_a_pipe)
    assert of_a_file.count("\n") == of_a_pipe.count("\n") == 1


def test_a_person_may_type_lines(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """What is waited for is said, and Ctrl-D ends it."""
    shown, status = on_a_terminal(shared_q.address, f'"$0" add {queue} --lines', b"a\nb\n\x04")

    assert shown.startswith("reading lines from standard input; end with Ctrl-D\r\n")
    assert status == 0
    assert qcli("pop", queue, "--all", "--raw").stdout == b"a\nb\n"
