"""A program that serves HTTP, in the hands of one test, and a request in flight on it."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.acceptance.running import environment, program

#: Seconds that a program may take to start, to end or to do what is waited for.
PATIENCE_S = 80.0


class Serving:
    """A program that runs. What it needs and writes is in a directory of the test's own."""

    def __init__(
        self,
        directory: Path,
        name: str,
        *arguments: str,
        ports: list[int],
        **variables: str,
    ) -> None:
        """Start it, and wait until it takes connections.

        Args:
            directory: where its log is, and what it needs only while it runs.
            name: which of the project's programs it is, or the path of another.
            arguments: those of its command line.
            ports: of 127.0.0.1, those that it listens on; requests go to the first one.
            variables: of its environment.
        """
        self.port = ports[0]
        self.address = f"127.0.0.1:{self.port}"
        self._log_path = directory / f"{Path(name).name}.log"
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [program(name), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(XDG_RUNTIME_DIR=str(directory), **variables),
            )
        try:
            self.wait_until(lambda: all(map(_accepts, ports)))
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Look again and again until something holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)

    def accepts(self) -> bool:
        """Tell whether it takes connections."""
        return _accepts(self.port)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end, and return the exit status."""
        return self._process.wait(PATIENCE_S)

    def kill(self) -> None:
        """End it in any case."""
        self._process.kill()
        self._process.wait()

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log_path.read_text()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log, each line of which is JSON."""
        return [json.loads(line) for line in self.log.splitlines()]

    @property
    def messages(self) -> list[str]:
        """What each line of the log says."""
        return [line["msg"] for line in self.lines]


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class SlowRequest:
    """A NewQueue in flight: its body has begun, and ends when the test wants."""

    _BODY = b'{"store": "MEMORY"}'

    def __init__(self, server: Serving) -> None:
        self._connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        head = (
            f"POST /v1/queues HTTP/1.1\r\nhost: q\r\nexpect: 100-continue\r\n"
            f"content-length: {len(self._BODY)}\r\n\r\n"
        )
        self._connection.sendall(head.encode())
        # With this answer it is known to be in flight.
        assert self._connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        self._connection.sendall(self._BODY[:5])

    def finish(self) -> bytes:
        """Send the rest, and return the status line of the answer; empty if there is none."""
        try:
            self._connection.sendall(self._BODY[5:])
            return self._connection.recv(65536).partition(b"\r\n")[0]
        except OSError:
            return b""
        finally:
            self._connection.close()
