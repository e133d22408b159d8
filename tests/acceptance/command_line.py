"""qcli against a q, as tests run it."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TypeAlias

from tests.acceptance.running import environment, program

Done: TypeAlias = subprocess.CompletedProcess[bytes]

#: Runs qcli with its arguments, and what it is to read as `payload`.
Qcli: TypeAlias = Callable[..., Done]

#: Seconds that a command may take to end after it was asked to.
_END_TIMEOUT_S = 20.0


def qcli_of(address: str) -> Qcli:
    """A function that runs qcli against the q at `address`."""

    def run(*arguments: str, payload: bytes = b"") -> Done:
        return subprocess.run(
            [program("qcli"), *arguments],
            input=payload,
            capture_output=True,
            env=environment(QCLI_SERVER=address),
            check=False,
        )

    return run


def made(qcli: Qcli, *arguments: str) -> str:
    """The id of a queue made by `qcli new` with `arguments`."""
    done = qcli("new", *arguments)
    assert done.returncode == 0, done.stderr
    queue_id: str = json.loads(done.stdout)["queue"]["meta"]["id"]
    return queue_id


def stats(qcli: Qcli, queue: str) -> dict[str, int]:
    """What a queue holds and what went through it."""
    counts: dict[str, int] = json.loads(qcli("stats", queue).stdout)
    return counts


class Running:
    """A qcli that runs, whose streams are pipes unless said otherwise."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    @property
    def stdin(self) -> IO[bytes]:
        """What it reads."""
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """What it prints."""
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def stderr(self) -> IO[bytes]:
        """What it says about that."""
        assert self.process.stderr is not None
        return self.process.stderr

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal; return the exit status, and what is said on standard error."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        """Return the exit status, and what is said on standard error."""
        said = self.stderr.read().decode()
        return self.process.wait(_END_TIMEOUT_S), said


@contextmanager
def running_qcli(
    address: str, *arguments: str, stdout: int | IO[bytes] = subprocess.PIPE
) -> Iterator[Running]:
    """Run qcli beside the test, and kill it if the test has not ended it."""
    with subprocess.Popen(
        [program("qcli"), *arguments],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=environment(QCLI_SERVER=address),
    ) as process:
        try:
            yield Running(process)
        finally:
            process.kill()
