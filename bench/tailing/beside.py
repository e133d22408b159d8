"""What is watched and done beside a server while it is loaded, from outside of it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tailing.analysis import OfProbe, Used

_BENCH: Final = Path(__file__).parent.parent
#: Keeps a core from sleeping, and gives it up to whoever wants it.
_SPIN: Final = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while True:
    pass
"""
#: The variants that are made from outside.
OUTSIDE: Final = frozenset({"apart", "loop-apart", "batch", "awake"})


def threads_of(pid: int) -> dict[int, str]:
    """Return the names of a process's threads, by their ids."""
    return {
        int(task.name): (task / "comm").read_text(encoding="utf-8").strip()
        for task in Path(f"/proc/{pid}/task").iterdir()
    }


def used(threads: dict[int, str]) -> dict[int, Used]:
    """Tell what threads have had of the cores so far."""
    found = {}
    for thread, name in threads.items():
        ran, waited, times = Path(f"/proc/{thread}/schedstat").read_text(encoding="ascii").split()
        found[thread] = Used(name, int(ran) / 1e9, int(waited) / 1e9, int(times))
    return found


def used_between(before: dict[int, Used], after: dict[int, Used]) -> dict[int, Used]:
    """Tell what threads had of the cores between two moments."""
    return {
        thread: Used(
            now.name,
            now.ran_s - before[thread].ran_s,
            now.waited_s - before[thread].waited_s,
            now.times - before[thread].times,
        )
        for thread, now in after.items()
    }


def busy_s() -> float:
    """Return for how long all cores together have been busy, with whatever it was."""
    fields = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()[1:]
    user, nice, system, _, _, irq, softirq = (int(each) for each in fields[:7])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def bare_syncs(directory: Path, count: int, pause_s: float) -> list[float]:
    """Append a page to a file and sync it, so many times; return what that took, in seconds."""
    found = []
    with (directory / "bare").open("wb", buffering=0) as file:
        for _ in range(count):
            time.sleep(pause_s)
            file.write(b"\0" * 4096)
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            found.append(time.perf_counter() - start)
    return found


@contextlib.contextmanager
def varied(variant: str, pid: int) -> Iterator[None]:
    """Do to a server, and to what is started within, what a variant says.

    Args:
        variant: one of `OUTSIDE`; with another one nothing is done.
        pid: the server's.
    """
    cores = os.sched_getaffinity(0)
    first, *others = sorted(cores)
    threads = used(threads_of(pid))
    if variant in {"apart", "loop-apart"}:
        loop = max(threads, key=lambda thread: threads[thread].ran_s)
        for thread in threads:
            is_there = variant == "apart" or thread == loop
            os.sched_setaffinity(thread, others if is_there else {first})
        os.sched_setaffinity(0, {first})
    elif variant == "batch":
        for thread in threads:
            os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))
    spinning = [
        subprocess.Popen([sys.executable, "-c", _SPIN, str(core)])
        for core in (cores if variant == "awake" else ())
    ]
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
        for process in spinning:
            process.kill()
            process.wait()


@contextlib.contextmanager
def probes(scratch: Path, cores: Iterable[str]) -> Iterator[dict[str, OfProbe]]:
    """Run a probe on each core; what they found is there when the block has ended.

    One that may not go ahead of everything else on its core is left out.
    """
    found: dict[str, OfProbe] = {}
    running = []
    for core in cores:
        notes = scratch / f"core-{core}"
        command = [sys.executable, "-m", "tailing.probe", core, str(notes)]
        environment = {**os.environ, "PYTHONPATH": str(_BENCH)}
        running.append((core, notes, subprocess.Popen(command, env=environment)))
    try:
        yield found
    finally:
        for _, _, process in running:
            process.send_signal(signal.SIGTERM)
        for core, notes, process in running:
            if process.wait() == 0:
                found[core] = json.loads(notes.read_text(encoding="utf-8"))
