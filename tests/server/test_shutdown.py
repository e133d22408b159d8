"""How the server ends, and what it owes to the requests in flight: asked of the real q."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.rest import RestReply, rest
from tests.acceptance.running import DRAIN_S, cpu_s, environment, free_ports, program
from tests.acceptance.serving import Serving, SlowRequest


class Process(Serving):
    """A q of a test, with its pieces in reach."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        port, metrics_port = free_ports(2)
        self._metrics_address = f"127.0.0.1:{metrics_port}"
        self._directory = directory
        super().__init__(
            directory,
            "q",
            f"--listen=127.0.0.1:{port}",
            f"--metrics={self._metrics_address}",
            "--data=none",
            *arguments,
            ports=[port, metrics_port],
        )

    @property
    def runtime_directories(self) -> list[Path]:
        """What q needs only while it runs."""
        return list(self._directory.glob("qmq-*"))

    def ops(self, method: str, path: str) -> RestReply:
        """Ask the metrics port."""
        return rest(self._metrics_address, method, path, headers={})


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts q with more arguments, and kills it after the test if it still runs."""
    started: list[Process] = []

    def start_process(*arguments: str) -> Process:
        started.append(Process(tmp_path, *arguments))
        return started[-1]

    yield start_process
    for process in started:
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_at_once_and_well(
    start: Callable[..., Process], number: signal.Signals
) -> None:
    """With nothing to wait for there is no reason to wait, and nothing is left behind."""
    process = start()
    assert len(process.runtime_directories) == 1
    before = time.monotonic()

    process.signal(number)

    assert process.wait() == 0
    assert time.monotonic() - before < DRAIN_S
    assert process.messages == ["serving", "shutting down", "stopped"]
    assert process.runtime_directories == []


def test_a_request_in_flight_gets_its_answer(start: Callable[..., Process]) -> None:
    """New connections are refused meanwhile, and the metrics port still answers."""
    process = start()
    slow = SlowRequest(process)

    process.signal(signal.SIGTERM)

    process.wait_until(lambda: not process.accepts())
    assert process.ops("GET", "/metrics").status == 200
    assert slow.finish() == b"HTTP/1.1 200 OK"
    assert process.wait() == 0


def test_a_request_that_never_ends_is_cut_off(start: Callable[..., Process]) -> None:
    """The patience is configured, and its end is said in the log."""
    process = start("--drain-timeout=0.3")
    slow = SlowRequest(process)

    process.signal(signal.SIGTERM)

    assert process.wait() == 0
    assert slow.finish() == b""
    assert "requests in flight are cut off" in process.messages


def test_a_second_signal_ends_at_once(start: Callable[..., Process]) -> None:
    """Whoever presses Ctrl-C twice means it."""
    process = start("--drain-timeout=3600")
    slow = SlowRequest(process)
    process.signal(signal.SIGINT)
    process.wait_until(lambda: not process.accepts())

    process.signal(signal.SIGINT)

    assert process.wait() == 0
    assert slow.finish() == b""
    assert "second signal: requests in flight are cut off" in process.messages


def test_hup_does_not_end_the_server(start: Callable[..., Process]) -> None:
    """The original died of it."""
    process = start()

    process.signal(signal.SIGHUP)

    process.wait_until(lambda: len(process.messages) > 1)
    assert process.accepts()
    process.signal(signal.SIGTERM)
    assert process.wait() == 0


def test_quitquitquit_ends_as_term_does(start: Callable[..., Process]) -> None:
    """The caller has the answer first, and requests in flight have theirs."""
    process = start()
    slow = SlowRequest(process)

    assert process.ops("POST", "/quitquitquit").status == 200

    process.wait_until(lambda: not process.accepts())
    assert slow.finish() == b"HTTP/1.1 200 OK"
    assert process.wait() == 0


def test_get_quitquitquit_ends_nothing(start: Callable[..., Process]) -> None:
    """The original's did."""
    process = start()

    reply = process.ops("GET", "/quitquitquit")

    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert process.accepts()


def test_the_administration_socket_is_private(start: Callable[..., Process]) -> None:
    """Neither the directory nor the socket lets others in."""
    process = start()

    (runtime,) = process.runtime_directories
    assert runtime.stat().st_mode & 0o777 == 0o700
    assert (runtime / "admin.sock").stat().st_mode & 0o777 == 0o600


def test_what_a_killed_server_leaves_is_removed_by_the_next(
    start: Callable[..., Process],
) -> None:
    """Runtime directories do not pile up."""
    killed = start()
    killed.kill()
    assert len(killed.runtime_directories) == 1

    following = start()

    assert len(following.runtime_directories) == 1
    assert following.runtime_directories[0].stat().st_uid == os.getuid()


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    """It is said before anything is started, on standard error."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = subprocess.run(
            [program("q"), f"--listen=127.0.0.1:{port}", "--metrics=127.0.0.1:0", "--data=none"],
            env=environment(XDG_RUNTIME_DIR=str(tmp_path)),
            capture_output=True,
            text=True,
            check=False,
        )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"q: error: cannot listen on 127.0.0.1:{port}: address already in use; "
        "stop the process that listens there, or give another port by --listen\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_server_starts_within_a_second(start: Callable[..., Process]) -> None:
    """Of processor time, from the command to the first connection; the best of five counts."""
    assert any(cpu_s(start().pid) < 1 for _ in range(5))
