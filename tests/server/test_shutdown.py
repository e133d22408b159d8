"""How the server ends, and what it owes to the requests in flight: asked of the real q."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.running import environment, free_ports, program

#: Seconds that anything here may take, on a slow machine.
_PATIENCE_S = 20.0

_BODY = b'{"payload": "aGVsbG8="}'


class Process:
    """A q of a test, with its pieces in reach."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.port, self.metrics_port = free_ports(2)
        self.runtime_base = directory
        self._log_path = directory / "log"
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program("q"),
                    f"--listen=127.0.0.1:{self.port}",
                    f"--metrics=127.0.0.1:{self.metrics_port}",
                    "--data=none",
                    *arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(XDG_RUNTIME_DIR=str(directory)),
            )
        self.wait_until(lambda: self.accepts(self.metrics_port) and self.accepts(self.port))

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Look again and again until something holds."""
        deadline = time.monotonic() + _PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)

    def accepts(self, port: int) -> bool:
        """Tell whether a port can be connected to."""
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end, and return the exit status."""
        return self._process.wait(_PATIENCE_S)

    def kill(self) -> None:
        """End q in any case."""
        self._process.kill()
        self._process.wait()

    @property
    def log(self) -> str:
        """What q has written so far."""
        return self._log_path.read_text()

    @property
    def messages(self) -> list[str]:
        """The messages of the log, each line of which is JSON."""
        return [json.loads(line)["msg"] for line in self.log.splitlines()]

    @property
    def runtime_directories(self) -> list[Path]:
        """What q needs only while it runs."""
        return list(self.runtime_base.glob("qmq-*"))

    def ops(self, method: str, path: str) -> http.client.HTTPResponse:
        """Ask the metrics port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=10)
        connection.request(method, path)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response


class SlowRequest:
    """A request in flight: its body has begun, and ends when the test wants."""

    def __init__(self, process: Process, queue: str) -> None:
        self._connection = socket.create_connection(("127.0.0.1", process.port), timeout=10)
        head = (
            f"POST /v1/queues/{queue} HTTP/1.1\r\nhost: q\r\nexpect: 100-continue\r\n"
            f"content-length: {len(_BODY)}\r\n\r\n"
        )
        self._connection.sendall(head.encode())
        # With this answer it is known to be in flight.
        assert self._connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        self._connection.sendall(_BODY[:5])

    def finish(self) -> bytes:
        """Send the rest, and return the status line of the answer; empty if there is none."""
        try:
            self._connection.sendall(_BODY[5:])
            return self._connection.recv(65536).partition(b"\r\n")[0]
        except OSError:
            return b""
        finally:
            self._connection.close()


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


def queue_of(process: Process) -> str:
    """Make a queue, and return its name."""
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=10)
    connection.request("POST", "/v1/queues", '{"store": "MEMORY", "name": "a"}')
    assert connection.getresponse().status == 200
    connection.close()
    return "a"


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
    assert time.monotonic() - before < 2
    assert process.messages == ["serving", "shutting down", "stopped"]
    assert process.runtime_directories == []


def test_a_request_in_flight_gets_its_answer(start: Callable[..., Process]) -> None:
    """New connections are refused meanwhile, and the metrics port still answers."""
    process = start()
    slow = SlowRequest(process, queue_of(process))

    process.signal(signal.SIGTERM)

    process.wait_until(lambda: not process.accepts(process.port))
    assert process.ops("GET", "/metrics").status == 200
    assert slow.finish() == b"HTTP/1.1 200 OK"
    assert process.wait() == 0


def test_a_request_that_never_ends_is_cut_off(start: Callable[..., Process]) -> None:
    """The patience is configured, and its end is said in the log."""
    process = start("--drain-timeout=0.3")
    slow = SlowRequest(process, queue_of(process))

    process.signal(signal.SIGTERM)

    assert process.wait() == 0
    assert slow.finish() == b""
    assert "requests in flight are cut off" in process.messages


def test_a_second_signal_ends_at_once(start: Callable[..., Process]) -> None:
    """Whoever presses Ctrl-C twice means it."""
    process = start("--drain-timeout=3600")
    slow = SlowRequest(process, queue_of(process))
    process.signal(signal.SIGINT)
    process.wait_until(lambda: not process.accepts(process.port))

    process.signal(signal.SIGINT)

    assert process.wait() == 0
    assert slow.finish() == b""
    assert "second signal: requests in flight are cut off" in process.messages


def test_hup_does_not_end_the_server(start: Callable[..., Process]) -> None:
    """The original died of it."""
    process = start()

    process.signal(signal.SIGHUP)

    process.wait_until(lambda: len(process.messages) > 1)
    assert process.accepts(process.port)
    process.signal(signal.SIGTERM)
    assert process.wait() == 0


def test_quitquitquit_ends_as_term_does(start: Callable[..., Process]) -> None:
    """The caller has the answer first, and requests in flight have theirs."""
    process = start()
    slow = SlowRequest(process, queue_of(process))

    assert process.ops("POST", "/quitquitquit").status == 200

    process.wait_until(lambda: not process.accepts(process.port))
    assert slow.finish() == b"HTTP/1.1 200 OK"
    assert process.wait() == 0


def test_get_quitquitquit_ends_nothing(start: Callable[..., Process]) -> None:
    """The original's did."""
    process = start()

    response = process.ops("GET", "/quitquitquit")

    assert (response.status, response.getheader("allow")) == (405, "POST")
    assert process.accepts(process.port)


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
        "stop the process that listens there, or give another port\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_server_starts_within_a_second(start: Callable[..., Process]) -> None:
    """From the command to the first connection, when nothing else keeps the machine busy."""
    durations = []
    for _ in range(3):
        before = time.monotonic()
        start()
        durations.append(time.monotonic() - before)

    assert min(durations) < 1
