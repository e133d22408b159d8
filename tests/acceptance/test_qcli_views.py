"""What there is: `qcli stats`, `qcli top`, and the outputs of the commands about queues."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.acceptance.command_line import Qcli, fill, made, put
from tests.acceptance.running import RunningQ, environment, program


@pytest.fixture
def qcli(bare_q: RunningQ) -> Qcli:
    """Runs qcli against a q without queues."""
    return Qcli(bare_q.address)


def shown(qcli: Qcli, *arguments: str) -> dict[str, object]:
    """A queue made with `arguments`, as `new -o jsonl` prints it."""
    queue: dict[str, object] = json.loads(qcli("new", *arguments, "-o", "jsonl").stdout)
    return queue


def lines(qcli: Qcli, *arguments: str) -> list[str]:
    """What a command prints that succeeds."""
    done = qcli(*arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().splitlines()


def test_queues_are_lines(qcli: Qcli) -> None:
    """`new`, `get` and `list` print the same one."""
    first = shown(qcli, "MEMORY", "1", "-tk=v", "-tk=w", "-ta=b")
    second = shown(qcli, "DISK", "-1", "--name", "jobs")

    listed = [json.loads(line) for line in lines(qcli, "list", "-o", "jsonl")]

    assert listed == [first, second]
    assert [json.loads(line) for line in lines(qcli, "get", "jobs", "-o", "jsonl")] == [second]
    assert [first["store"], first["name"], first["tags"]] == [
        "MEMORY",
        "",
        {"k": ["v", "w"], "a": "b"},
    ]
    reply = json.loads(qcli("get", "jobs").stdout)["queue"]
    assert (second["id"], second["name"]) == (reply["meta"]["id"], "jobs")


def test_queues_are_selected_by_their_tags(qcli: Qcli) -> None:
    """In the same way by `list` and `top`."""
    shown(qcli, "MEMORY", "-1", "--name", "mail", "-tteam=mail", "-tenv=prod")
    shown(qcli, "MEMORY", "-1", "--name", "test", "-tteam=mail", "-tenv=test")
    shown(qcli, "MEMORY", "-1", "--name", "other")
    selector = "team=mail,env in (prod,stage)"

    listed = [json.loads(line) for line in lines(qcli, "list", "-l", selector, "-o", "jsonl")]
    _, *rows = lines(qcli, "top", "--once", "--interval", "0.1", "--selector", selector)
    refused = qcli("list", "--selector", "team=")

    assert [queue["name"] for queue in listed] == ["mail"]
    assert [row.split()[0] for row in rows] == ["mail"]
    assert b"selector: at its end: expected a value" in refused.stderr
    assert (refused.returncode, refused.stdout) == (1, b"")


def test_queues_are_a_table(qcli: Qcli) -> None:
    """A line for each; what could move the cursor is spelled out."""
    first = shown(qcli, "MEMORY", "1", "-tk=v", "-tcolour=\x1b[31m")
    made(qcli, "DISK", name="jobs")

    title, unnamed, named = lines(qcli, "list", "-o", "table")

    assert title.split() == [
        *("NAME", "ID", "STORE", "LIMIT", "LEASE", "DELIVERIES", "DEAD-LETTER-QUEUE", "PAUSED"),
        *("CREATED", "TAGS"),
    ]
    assert unnamed.split()[:8] == ["-", first["id"], "MEMORY", "1", "30s", "-", "-", "-"]
    assert unnamed.endswith("Z  k=v colour=\\x1b[31m")
    assert named.split()[0] == "jobs"
    assert lines(qcli, "get", "jobs", "-o", "table")[1].split() == named.split()


def test_stats_count_messages(qcli: Qcli) -> None:
    """As numbers, zeros included, one queue a line."""
    made(qcli, limit=5, name="some")
    made(qcli, "DISK", name="none")
    put(qcli, "some", b"a", b"b", b"c")
    qcli("pop", "some")

    some, none = (json.loads(line) for line in lines(qcli, "stats"))

    assert some["oldest_age_s"] > 0
    assert some["ready_bytes"] > 2
    assert some["added_per_second"] > 0
    counts = ["name", "ready", "waiting", "enqueued_total", "consumed_total", "limit"]
    assert [some[name] for name in counts] == ["some", 2, 0, 3, 1, 5]
    assert [none[name] for name in counts] == ["none", 0, 0, 0, 0, -1]
    assert (none["ready_bytes"], none["oldest_age_s"], none["store"]) == (0, None, "DISK")
    (alone,) = (json.loads(line) for line in lines(qcli, "stats", "some"))
    changing = ["oldest_age_s", "added_per_second", "done_per_second"]
    for each in (alone, some):
        for name in changing:
            del each[name]
    assert alone == some


def test_stats_are_a_table_or_the_reply(qcli: Qcli) -> None:
    """The reply is the one that REST gives, too."""
    made(qcli, limit=5, name="some")
    made(qcli, "DISK", name="none")

    title, some, none = lines(qcli, "stats", "-o", "table")
    reply = json.loads(qcli("stats", "some", "-o", "json").stdout)

    assert title.split() == [
        *("QUEUE", "STORE", "READY", "LEASED", "DELAYED", "LIMIT", "BYTES", "OLDEST", "WAITING"),
        *("ADDED", "DONE", "AGAIN", "DEAD"),
    ]
    zeros = ["0", "0", "0", "0", "0"]
    assert some.split() == ["some", "MEMORY", "0", "0", "0", "5", "0", "B", "-", *zeros]
    assert none.split() == ["none", "DISK", "0", "0", "0", "-", "0", "B", "-", *zeros]
    assert [(each["queue"]["name"], each["limit"]) for each in reply["queues"]] == [("some", "5")]


@pytest.mark.parametrize(
    ("arguments", "server", "status"),
    [
        (["stats", "none-such"], None, 1),
        (["stats"], "127.0.0.1:1", 4),
        (["top"], "127.0.0.1:1", 4),
        (["top", "--once"], "127.0.0.1:1", 4),
    ],
)
def test_a_view_that_fails_says_so(
    shared_q: RunningQ, arguments: list[str], server: str | None, status: int
) -> None:
    """What the server refuses, and that it is not there, are two statuses."""
    done = Qcli(server or shared_q.address)(*arguments)

    assert done.stderr.startswith(b"qcli: error: cannot ")
    assert done.stderr.count(b"\n") == 1
    assert (done.returncode, done.stdout) == (status, b"")


def test_top_is_one_table_where_there_is_no_terminal(qcli: Qcli) -> None:
    """The queue with the most comes first, and every column is there."""
    for name, count in (("few", 1), ("many", 2)):
        made(qcli, name=name)
        fill(qcli, name, count)

    title, first, second = lines(qcli, "top", "--interval", "0.2")

    assert title.split() == [
        *("QUEUE", "STORE", "READY", "LEASED", "DELAYED", "BYTES", "OLDEST", "ADDED/S", "DONE/S"),
        *("DEAD/S", "WAITING"),
    ]
    assert first.split()[:5] == ["many", "MEMORY", "2", "0", "0"]
    assert first.split()[-4:] == ["0.0", "0.0", "0.0", "0"]
    assert second.split()[0] == "few"
    assert lines(qcli, "top", "--once", "--sort", "name")[1].split()[0] == "few"


class Screen:
    """A qcli on a terminal, and what it has drawn there."""

    def __init__(self, process: "subprocess.Popen[bytes]", terminal: int) -> None:
        self._process = process
        self._terminal = terminal
        self.drawn = ""

    def until(self, text: str) -> str:
        """Return what is drawn from now on, up to a text, and all that was drawn with it."""
        self.drawn = ""
        deadline = time.monotonic() + 60
        while not re.search(text, self.drawn):
            assert self._read(), self.drawn
            assert time.monotonic() < deadline, self.drawn
        return self.drawn

    def end(self, number: int) -> int:
        """Send a signal, and return the exit status."""
        self._process.send_signal(number)
        while self._read():
            pass
        return self._process.wait()

    def _read(self) -> bool:
        """Read what was drawn; return whether there may be more."""
        if select.select([self._terminal], [], [], 0.1)[0]:
            try:
                piece = os.read(self._terminal, 65536)
            except OSError:  # Linux says so that nobody has the terminal any more.
                return False
            self.drawn += piece.decode()
        return True


@contextmanager
def screen(
    address: str, *arguments: str, size: tuple[int, int] = (10, 100), kind: str = "xterm"
) -> Iterator[Screen]:
    """Run qcli on a terminal of so many lines and columns."""
    own, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    with subprocess.Popen(
        [program("qcli"), *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment(QCLI_SERVER=address, TERM=kind),
    ) as process:
        os.close(terminal)
        try:
            yield Screen(process, own)
        finally:
            process.kill()
            os.close(own)


def test_top_is_drawn_again_and_again(bare_q: RunningQ, qcli: Qcli) -> None:
    """With what has changed; it leaves the terminal as it found it."""
    made(qcli, name="jobs")
    with screen(bare_q.address, "top", "--interval", "0.2") as top:
        first = top.until(r"jobs +MEMORY +0 .+ 0\.0 +0\.0 +0\.0 +0")
        put(qcli, "jobs", *[b"x"] * 500)
        top.until(r"jobs +MEMORY +500 +0 +0 +[\d.]+ KiB +[\d.]+s +[1-9]\d+ +0\.0 +0\.0 +0")
        status = top.end(signal.SIGINT)

    assert first.startswith("\x1b[?1049h\x1b[?25l")
    assert f"{bare_q.address}  by ready, every 0.2 s; Ctrl-C ends it" in first
    assert "queues 1  ready 0  leased 0  delayed 0  added/s 0  done/s 0  dead/s 0" in first
    assert top.drawn.endswith("\x1b[?25h\x1b[?1049l")
    assert status == 130


def test_top_leaves_the_terminal_alone_when_it_is_ended(bare_q: RunningQ) -> None:
    """Not only by Ctrl-C."""
    with screen(bare_q.address, "top") as top:
        top.until("queues 0")
        status = top.end(signal.SIGTERM)

    assert top.drawn.endswith("\x1b[?25h\x1b[?1049l")
    assert status == 143


def test_top_fits_a_narrow_terminal(bare_q: RunningQ, qcli: Qcli) -> None:
    """It does without some columns, and the rows that there is no room for."""
    for number in range(9):
        made(qcli, name=f"queue-{number}")

    with screen(bare_q.address, "top", "--sort", "name", size=(6, 30)) as top:
        drawn = top.until(r"\x1b\[J")

    lines = re.split(r"\r\n", drawn.removeprefix("\x1b[?1049h\x1b[?25l\x1b[H"))
    shown = [re.sub(r"\x1b\[2?[JK]", "", line) for line in lines]
    assert shown[3:] == ["QUEUE    READY  ADDED/S", "queue-0      0        -",
                         "queue-1      0        -"]  # fmt: skip
    assert len(shown) == 6
    assert max(map(len, shown)) <= 30


def test_top_outlives_the_server(q_server: RunningQ) -> None:
    """It says so while the server is away; rates begin anew."""
    qcli = Qcli(q_server.address)
    made(qcli, "DISK", name="jobs")
    put(qcli, "jobs", b"x")
    with screen(q_server.address, "top", "--interval", "0.2", size=(10, 200)) as top:
        top.until(r"jobs +DISK +1 ")
        q_server.kill()
        top.until("UNAVAILABLE: no ")
        q_server.start()
        top.until(r"Ctrl-C ends it\r\n.*\r\n.*\r\n.*\r\n.*jobs +DISK +1 .+ - +- +- +0")
        top.until(r"jobs +DISK +1 .+ 0\.0 +0\.0 +0\.0 +0")


def test_top_is_printed_once_on_a_terminal_that_cannot_be_drawn_on(bare_q: RunningQ) -> None:
    """That of an editor, for example."""
    with screen(bare_q.address, "top", "--interval", "0.1", kind="dumb") as top:
        drawn = top.until("WAITING\r\n")

    assert "\x1b" not in drawn


def test_stats_are_a_table_on_a_terminal(bare_q: RunningQ, qcli: Qcli) -> None:
    """Where a person reads them."""
    made(qcli, name="jobs")

    with screen(bare_q.address, "stats") as stats:
        drawn = stats.until("jobs")

    assert drawn.startswith("QUEUE  STORE   READY")
