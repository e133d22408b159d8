"""Starts what is measured, each on a free port of loopback, and stops it again."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BENCH = Path(__file__).parent
_START_S_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    url: str
    pid: int
    #: From the start of its process to its first answer.
    start_s: float
    #: Of q: where /metrics is.
    metrics_url: str = ""

    def resident_mib(self) -> float:
        """Return the memory that it holds now."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError(f"process {self.pid} has no VmRSS")

    def cpu_s(self) -> float:
        """Return the processor time that it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running_q(data: Path) -> Iterator[Running]:
    """Run q on a data directory of its own."""
    port, metrics_port = _free_port(), _free_port()
    command = [
        *(sys.executable, "-m", "qmq.bin.q", "--data", str(data)),
        *("--listen", f"127.0.0.1:{port}", "--metrics", f"127.0.0.1:{metrics_port}"),
    ]
    url = f"http://127.0.0.1:{port}"
    with _running(command, f"{url}/v1/queues", {}) as (pid, start_s):
        yield Running(url, pid, start_s, f"http://127.0.0.1:{metrics_port}/metrics")


@contextlib.contextmanager
def running_floor(database: Path | None) -> Iterator[Running]:
    """Run the floor, durable where it has a database."""
    port = _free_port()
    pyvoy = shutil.which("pyvoy", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if pyvoy is None:
        raise RuntimeError("the program pyvoy is missing; run `make setup`")
    environment = {"PYTHONPATH": os.pathsep.join((str(_BENCH), *sys.path))}
    if database:
        environment["FLOOR_DATABASE"] = str(database)
    url = f"http://127.0.0.1:{port}"
    # It knows no other path than its methods; any answer shows that it is up.
    command = [pyvoy, "floor:app", "--port", str(port), "--address", "127.0.0.1"]
    with _running(command, None, environment, port) as (pid, start_s):
        yield Running(url, pid, start_s)


@contextlib.contextmanager
def _running(
    command: list[str], probe: str | None, environment: dict[str, str], port: int = 0
) -> Iterator[tuple[int, float]]:
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL
    )
    try:
        while not (_answers(probe) if probe else _accepts(port)):
            if process.poll() is not None or time.perf_counter() - started > _START_S_MAX:
                raise RuntimeError(f"does not start: {' '.join(command)}")
            time.sleep(0.01)
        yield process.pid, time.perf_counter() - started
    finally:
        process.terminate()
        process.wait(timeout=60)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return bool(response.status == 200)  # noqa: PLR2004
    except (urllib.error.URLError, OSError):
        return False


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scratch_directory() -> contextlib.AbstractContextManager[str]:
    """Make a directory on the disk of the working directory, not on a memory file system."""
    return tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd())
