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
from dataclasses import dataclass, replace
from importlib.metadata import version
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
    version: str = ""

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
def running_q(
    data: Path, python: str = sys.executable, environment: dict[str, str] | None = None
) -> Iterator[Running]:
    """Run q on a data directory of its own, as it is installed for an interpreter."""
    port, metrics_port = free_port(), free_port()
    command = [
        *(python, "-m", "qmq.bin.q", "--data", str(data)),
        *("--listen", f"127.0.0.1:{port}", "--metrics", f"127.0.0.1:{metrics_port}"),
    ]
    with running(command, port=port, probe="/v1/queues", environment=environment) as server:
        metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
        yield replace(server, metrics_url=metrics_url, version=version("qmq"))


@contextlib.contextmanager
def running_floor(database: Path | None) -> Iterator[Running]:
    """Run the floor, durable where it has a database."""
    port = free_port()
    pyvoy = shutil.which("pyvoy", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if pyvoy is None:
        raise RuntimeError("the program pyvoy is missing; run `make setup`")
    environment = {"PYTHONPATH": os.pathsep.join((str(_BENCH), *sys.path))}
    if database:
        environment["FLOOR_DATABASE"] = str(database)
    command = [pyvoy, "floor:app", "--port", str(port), "--address", "127.0.0.1"]
    # It knows no other path than its methods, so it is up when it takes connections.
    with running(command, port=port, environment=environment) as server:
        yield server


@contextlib.contextmanager
def running(  # noqa: PLR0913 - All but two are rarely needed.
    command: list[str],
    *,
    port: int,
    probe: str = "",
    environment: dict[str, str] | None = None,
    log: Path | None = None,
    start_s_max: float = _START_S_MAX,
) -> Iterator[Running]:
    """Run a server until the block ends.

    Args:
        command: its program and arguments.
        port: where it listens on 127.0.0.1.
        probe: a path that it answers by HTTP when it is up; empty if a connection tells.
        environment: what it finds there beside the benchmark's own.
        log: where its output goes; without one, nowhere, and its errors to the terminal.
        start_s_max: how long it may take to answer.

    Raises:
        RuntimeError: it does not answer in time, or ends.
    """
    url = f"http://127.0.0.1:{port}"
    started = time.perf_counter()
    with log.open("wb") if log else contextlib.nullcontext() as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            stdout=output or subprocess.DEVNULL,
            stderr=output,
        )
    try:
        while not (_answers(url + probe) if probe else _accepts(port)):
            if process.poll() is not None or time.perf_counter() - started > start_s_max:
                raise RuntimeError(f"does not start: {' '.join(command)}{_end_of(log)}")
            time.sleep(0.01)
        yield Running(url, process.pid, time.perf_counter() - started)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _end_of(log: Path | None) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").strip() if log else ""
    return f": {text[-500:]}" if text else ""


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return bool(response.status == 200)  # noqa: PLR2004
    except (urllib.error.URLError, OSError):
        return False


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scratch_directory() -> contextlib.AbstractContextManager[str]:
    """Make a directory on the disk of the working directory, not on a memory file system."""
    return tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd())
