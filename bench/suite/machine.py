"""What a result depends on besides the servers: the machine, its disk, who uses its processors."""

import os
import platform
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

_PROBES = 200


def describe(directory: Path) -> dict[str, str]:
    """Tell what the machine is, with the file system of a directory."""
    cpu = re.search(r"^model name\s*: (.*)$", _read("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal: +(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    return {
        "processor": cpu[1] if cpu else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "unknown",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "file system": file_system(directory),
    }


def file_system(directory: Path) -> str:
    """Return the type of the file system that a directory is on."""
    path, best = str(directory.resolve()), ("", "unknown")
    for line in _read("/proc/self/mounts").splitlines():
        _, mount, kind, *_ = line.split()
        inside = path == mount or path.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best[0]):
            best = (mount, kind)
    return best[1]


class Fsync(NamedTuple):
    """How long the disk takes to make 4 KiB durable, in milliseconds."""

    p50_ms: float
    p99_ms: float


def fsync(directory: Path) -> Fsync:
    """Probe the disk that a directory is on."""
    times = []
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        for _ in range(_PROBES):
            start = time.perf_counter()
            file.write(b"\0" * 4096)
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - start) * 1e3)
    return Fsync(round(statistics.median(times), 4), round(sorted(times)[_PROBES * 99 // 100], 4))


def family(pid: int) -> list[int]:
    """List a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def cpu_s(pids: list[int]) -> float:
    """Return the processor time that processes, and children that they waited for, have used."""
    ticks = sum(int(ticks) for pid in pids for ticks in _stat(pid)[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_mib(pids: list[int]) -> float:
    """Return the memory that processes hold now."""
    pages = 0
    for pid in pids:
        fields = _stat(pid)
        pages += int(fields[21]) if fields else 0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on; none if the process is gone."""
    try:
        return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")
