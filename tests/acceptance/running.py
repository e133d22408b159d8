"""The real programs, started as a user starts them."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path

from tests.acceptance.warm import Forked

#: Seconds that q may take, beside whatever else the machine does: no test is about them.
_START_TIMEOUT_S = 80.0
_STOP_TIMEOUT_S = 60.0

#: Seconds for which q waits, by default, for what is in flight when it ends: if it ends earlier,
#: it has waited for nothing.
DRAIN_S = 10.0


def program(name: str) -> str:
    """The path of one of the project's programs: q, qcli or qrest. A path is what it is."""
    return name if "/" in name else str(Path(sys.executable).with_name(name))


def environment(**variables: str) -> dict[str, str]:
    """The environment of a test, free of what configures the programs, with `variables`.

    That includes the size of a terminal, which is that of the one the tests may run in.
    """
    clean = {
        name: value
        for name, value in os.environ.items()
        if not re.match("Q_|QCLI_|QREST_|GRPC_|COLUMNS$|LINES$", name)
    }
    return {**clean, "XDG_CONFIG_HOME": "/nonexistent", **variables}


def _ports() -> Iterator[int]:
    """Go round the ports of this process, beginning anywhere.

    They are below those that systems give to whoever asks for any, a client that connects among
    them; and of the processes that share the tests, each has a thousand of its own.
    """
    number = os.environ.get("PYTEST_XDIST_WORKER", "gw19").removeprefix("gw")
    first = 12_000 + int(number) % 20 * 1_000
    begin = random.randrange(1_000)
    return cycle(first + (begin + at) % 1_000 for at in range(1_000))


_PORTS = _ports()


def free_ports(count: int) -> list[int]:
    """TCP ports of 127.0.0.1 that nobody listens on, all different."""
    found: list[int] = []
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            break
    return found


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has taken so far, whatever else the machine does."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class RunningQ:
    """The program q on ports and a data directory of its own, which outlive a restart."""

    def __init__(self, directory: Path) -> None:
        listen, metrics = free_ports(2)
        self.address = f"127.0.0.1:{listen}"
        self.metrics_address = f"127.0.0.1:{metrics}"
        self.data = directory / "data"
        self._stdout = directory / "stdout.log"
        self._stderr = directory / "stderr.log"
        self._process: Forked | None = None

    @property
    def pid(self) -> int:
        """The process id. q must be running."""
        assert self._process is not None
        return self._process.pid

    @property
    def cpu_s(self) -> float:
        """Seconds of processor time that q has taken so far, whatever else the machine does."""
        return cpu_s(self.pid)

    @property
    def log(self) -> str:
        """What q has written to standard output since the first start."""
        return self._stdout.read_text()

    @property
    def errors(self) -> str:
        """What q has written to standard error since the first start."""
        return self._stderr.read_text()

    def start(self, *arguments: str, **variables: str) -> None:
        """Start q, with more `arguments` and `variables` if given, and wait until it serves."""
        assert self._process is None
        options = [
            f"--listen={self.address}",
            f"--metrics={self.metrics_address}",
            f"--data={self.data}",
            *arguments,
        ]
        with (
            Path(os.devnull).open("rb") as stdin,
            self._stdout.open("ab") as stdout,
            self._stderr.open("ab") as stderr,
        ):
            streams = stdin, stdout, stderr
            self._process = Forked("q", options, environment(**variables), *streams)
        try:
            self._wait_until_serving()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End q as an operator does and check that it ended well."""
        os.kill(self.pid, signal.SIGTERM)
        status = self.wait()
        assert status == 0, f"q ended with {status}:\n{self.log}{self.errors}"

    def wait(self) -> int:
        """Wait until q ends, which the caller has caused, and return its exit status."""
        process = self._running()
        try:
            return process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def kill(self) -> None:
        """End q as a power failure does: kill -9."""
        process = self._running()
        process.kill()
        process.wait()

    @property
    def is_running(self) -> bool:
        """Whether q was started and neither stopped nor killed since."""
        return self._process is not None

    def _running(self) -> Forked:
        """The process, which the caller ends."""
        process, self._process = self._process, None
        assert process is not None, "q is not running"
        return process

    def _wait_until_serving(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_TIMEOUT_S
        for address in (self.address, self.metrics_address):
            host, _, port = address.rpartition(":")
            while True:
                try:
                    socket.create_connection((host, int(port)), timeout=1).close()
                    break
                except OSError:
                    status = self._process.poll()
                    report = f"q does not serve {address}:\n{self.log}{self.errors}"
                    assert status is None, f"q ended with {status}; {report}"
                    assert time.monotonic() < deadline, report
                    time.sleep(0.02)
