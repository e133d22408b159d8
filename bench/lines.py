"""A million lines into a queue and out again, by qcli, compared byte for byte.

    make bench-lines

Lines come by a pipe and leave by a pipe, so that qcli sees neither a size nor an end. Its
memory must not grow with their number: a run with a few lines shows what it takes anyway.
"""

import argparse
import hashlib
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from servers import Running, running_q, scratch_directory

_FEW = 1_000
#: Bytes of a line before they are written in hexadecimal.
_LINE_BYTES = range(10, 40)
_CHUNK_BYTES = 1024 * 1024


class Trip(NamedTuple):
    """One way of some lines."""

    took_s: float
    #: Most memory that qcli held, in MiB.
    qcli_mib: float


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="Lines in and out by qcli.")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--store", choices=["DISK", "MEMORY"], default="DISK")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with scratch_directory() as scratch, running_q(Path(scratch) / "data") as q:
        few, many = Path(scratch) / "few", Path(scratch) / "many"
        write_lines(few, _FEW)
        write_lines(many, arguments.lines)
        subprocess.run(
            [*qcli(q), "new", arguments.store, "-1", "--name", "lines"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        before = there_and_back(q, few)
        start_mib = q.resident_mib()
        after = there_and_back(q, many)
        print(f"{arguments.lines:,} lines, {many.stat().st_size / 2**20:.0f} MiB,")
        print("sha256 in and out the same")
        print(table(arguments.lines, before, after))
        print(f"q held {start_mib:.0f} MiB before, at most {peak_mib(q.pid):.0f} MiB since")


def there_and_back(q: Running, path: Path) -> tuple[Trip, Trip]:
    """Add the lines of a file, pop them all, and make sure that they are the same."""
    with path.open("rb") as file:
        there, _ = trip([*qcli(q), "add", "lines", "--lines"], file)
    with Path(os.devnull).open("rb") as nothing:
        back, digest = trip([*qcli(q), "pop", "lines", "--all", "--raw"], nothing)
    with path.open("rb") as file:
        expected = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != expected:
        raise RuntimeError(f"{path}: {expected} went in, {digest} came out")
    return there, back


def trip(command: list[str], source: IO[bytes]) -> tuple[Trip, str]:
    """Run a command between two pipes; return what it took, and the digest of its output."""
    digest = hashlib.sha256()
    start = time.perf_counter()
    with (
        subprocess.Popen(["cat"], stdin=source, stdout=subprocess.PIPE) as reader,
        running(command, reader.stdout) as process,
    ):
        assert process.stdout is not None
        while piece := process.stdout.read(_CHUNK_BYTES):
            digest.update(piece)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took_s = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return Trip(took_s, usage.ru_maxrss / 1024), digest.hexdigest()


@contextmanager
def running(command: list[str], source: IO[bytes] | None) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a command that reads what another one writes."""
    with subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE) as process:
        if source:
            source.close()
        yield process


def qcli(q: Running) -> list[str]:
    """The words that begin a command to a q."""
    return [sys.executable, "-m", "qmq.bin.qcli", "--server", q.url.removeprefix("http://")]


def write_lines(path: Path, count: int) -> None:
    """Write lines of several lengths, each another one."""
    some = random.Random(count)  # noqa: S311 - Any bytes will do.
    with path.open("wb") as file:
        for number in range(count):
            text = some.randbytes(some.choice(_LINE_BYTES)).hex()
            file.write(f"{number} {text}\n".encode())


def peak_mib(pid: int) -> float:
    """Return the most memory that a process has held so far."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no VmHWM")


def table(count: int, before: tuple[Trip, Trip], after: tuple[Trip, Trip]) -> str:
    """Write what was measured as a Markdown table."""
    lines = [
        f"| command | lines/s | s | qcli, MiB at most | with {_FEW:,} lines |",
        "|---|---|---|---|---|",
    ]
    names = ("add --lines", "pop --all --raw")
    lines += [
        f"| `{name}` | {count / trip.took_s:,.0f} | {trip.took_s:.1f}"
        f" | {trip.qcli_mib:.1f} | {few.qcli_mib:.1f} |"
        for name, few, trip in zip(names, before, after, strict=True)
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
