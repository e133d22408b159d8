"""A copy of the repository in which documented commands are run as they are pasted."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.acceptance.running import environment, free_ports
from tests.documents import ROOT

_PASTE_TIMEOUT_S = 90.0
_START_TIMEOUT_S = 80.0
_STOP_TIMEOUT_S = 60.0

#: Seconds in which a fresh clone has to serve: it installs everything first.
_FRESH_START_TIMEOUT_S = 280.0

#: A command that works until Ctrl-C, which is pressed after five seconds.
_ENDLESS = re.compile(r"^(.*?) +#.*Ctrl-C ends it$", re.MULTILINE)
_ENDED = r"timeout -s INT 5 \1 || test $? -eq 124"

#: The ports that the documents speak of: the API's and the metrics'.
API_PORT, METRICS_PORT = 10002, 10003


class Clone:
    """A clone of the repository with its `.venv`, and a q that `make run` starts in it.

    Two things differ from what a reader has. The ports are free ones, since others may use
    those of the documents: the programs are told by the environment, and the text is
    changed where it says `localhost:10002`. And the programs are those of this test run,
    so that nothing is installed anew; unless the clone is to be fresh: then it is what git has,
    and `make run` installs.
    """

    def __init__(self, directory: Path, *, is_fresh: bool = False) -> None:
        self.directory = directory
        self._bin = directory / ".venv" / "bin" if is_fresh else Path(sys.executable).parent
        self._start_timeout_s = _FRESH_START_TIMEOUT_S if is_fresh else _START_TIMEOUT_S
        self._ports = free_ports(2)
        self._make: subprocess.Popen[bytes] | None = None
        self._environment = environment(
            Q_LISTEN=f":{self._ports[0]}",
            Q_METRICS=f":{self._ports[1]}",
            QCLI_SERVER=f":{self._ports[0]}",
            PATH=f"{self._bin}{os.pathsep}{os.environ['PATH']}",
        )
        # Else `make run` would take the arguments of a `make test` around this test.
        for name in ("ARGS", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"):
            self._environment.pop(name, None)
        if is_fresh:
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(directory)], check=True)
        else:
            _copy_repository(directory)
            self.paste("make --question .venv/.installed")

    def adapt(self, text: str) -> str:
        """Return a documented text with the ports of this clone."""
        for documented, port in zip((API_PORT, METRICS_PORT), self._ports, strict=True):
            text = re.sub(rf"localhost:{documented}\b", f"localhost:{port}", text)
        return text

    def paste(self, text: str) -> str:
        """Run a block of commands in bash; each must succeed. Returns what they print."""
        text = _ENDLESS.sub(_ENDED, self.adapt(text))
        command = ["bash", "-euo", "pipefail", "-c", text]
        return self._run(command)

    def run_python(self, text: str) -> str:
        """Run a block of Python and return what it prints."""
        return self._run([str(self._bin / "python"), "-c", self.adapt(text)])

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PASTE_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{command[-1]}\n{done.stdout}{done.stderr}"
        return done.stdout

    def make_run(self) -> str:
        """Start q as the documents say, in a terminal of its own; return its log when it serves."""
        log = self.directory / "make-run.log"
        with log.open("wb") as output:
            self._make = subprocess.Popen(
                ["make", "run"],
                cwd=self.directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + self._start_timeout_s
        while '"serving"' not in (printed := log.read_text()):
            assert self._make.poll() is None, f"make run has ended:\n{printed}"
            assert time.monotonic() < deadline, f"q does not serve:\n{printed}"
            time.sleep(0.02)
        return printed

    def is_stopped(self) -> bool:
        """Tell whether no q holds the data directory, waiting some seconds for that."""
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        with (self.directory / "data" / "q.lock").open() as lock:
            while time.monotonic() < deadline:
                with suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return True
                time.sleep(0.05)
        return False

    def close(self) -> None:
        """End what a failed test may have left running."""
        if self._make is not None:
            self._make.kill()
            self._make.wait()
        with suppress(FileNotFoundError), (self.directory / "data" / "q.lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.kill(int(lock.read()), signal.SIGKILL)


def _copy_repository(directory: Path) -> None:
    """Copy what git tracks or would track, and link the virtual environment."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, directory / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    # Not the directory itself: the mark that says it is set up must be newer than the copies.
    venv = directory / ".venv"
    venv.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if entry.name != ".installed":
            (venv / entry.name).symlink_to(entry)
    (venv / ".installed").touch()
