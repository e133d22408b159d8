"""A server's processes, all of which are killed or stopped together, as those of a machine are.

PostgreSQL's are each in a session of their own, so that no process group holds them. What
tells which they are is a function, since a server starts new ones at any time.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

#: Returns the processes of one server, those that start others first.
Find = Callable[[], Sequence[int]]

#: Seconds that Linux may take to end what was killed.
_PATIENCE_S: Final = 30.0

_LOG_BYTES_SHOWN: Final = 6_000


class Program:
    """A program that is killed, or stopped and let go on, with all that it has started."""

    def __init__(self, log_path: Path) -> None:
        """Describe one that does not run; what it writes goes to the end of a file."""
        self._log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None
        self.is_paused = False

    @property
    def log(self) -> str:
        """The end of what it has written."""
        return self._log_path.read_bytes()[-_LOG_BYTES_SHOWN:].decode(errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether it runs, be it paused."""
        return self._process is not None and self._process.poll() is None

    def launch(self, command: Sequence[str], *, env: Mapping[str, str], cwd: str = ".") -> None:
        """Start it, out of reach of a Ctrl-C, which is for whoever ends it then."""
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End all of it by kill -9, as if the machine were gone."""
        kill(self._pids)
        if self._process is not None:
            self._process.wait(_PATIENCE_S)
        self._process, self.is_paused = None, False

    def pause(self) -> None:
        """Stop all of it (SIGSTOP), as if the machine were hung."""
        self.is_paused = True
        pause(self._pids)

    def resume(self) -> None:
        """Let it go on; it does not know yet that time has passed."""
        resume(self._pids)
        self.is_paused = False

    def _pids(self) -> list[int]:
        return family(self._process.pid) if self._process else []


def pause(find: Find) -> None:
    """Stop them (SIGSTOP): connections stay, and nothing answers."""
    stopped: set[int] = set()
    # A process may be starting another one; with the first of them stopped, none begins.
    while new := [pid for pid in find() if pid not in stopped]:
        for pid in new:
            _send(pid, signal.SIGSTOP)
        stopped.update(new)


def resume(find: Find) -> None:
    """Let them go on where they stopped."""
    for pid in reversed(find()):
        _send(pid, signal.SIGCONT)


def kill(find: Find) -> None:
    """End them at once, by kill -9.

    Raises:
        TimeoutError: one is still there after half a minute.
    """
    # So that none is started meanwhile.
    pause(find)
    pids = find()
    for pid in pids:
        _send(pid, signal.SIGKILL)
    deadline = time.monotonic() + _PATIENCE_S
    while left := [pid for pid in pids if is_alive(pid)]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{left} outlive kill -9")
        time.sleep(0.01)


def family(first: int) -> list[int]:
    """Return a process and all that it and those have started; empty if it is gone."""
    parents = dict(_parents())
    found = [first] if first in parents else []
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def is_alive(pid: int) -> bool:
    """Tell whether a process is there that can still do something."""
    stat = _stat(pid)
    return stat is not None and stat[0] not in "ZX"


def _send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _parents() -> Iterator[tuple[int, int]]:
    """Each process of the machine, and which one started it."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (stat := _stat(int(entry.name))):
            yield int(entry.name), int(stat[1])


def _stat(pid: int) -> list[str] | None:
    """What Linux tells of a process, from its state and its parent on; None without it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Its name, in parentheses before that, may hold anything.
    return stat.rpartition(")")[2].split()
