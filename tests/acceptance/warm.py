"""Programs that have loaded what they need before they are asked to run.

Loading is most of what a short command does, and a third of what q does until it serves. So one
process of each, `warm_programs.py`, loads all of it and forks for each run. What runs is the
program, with arguments, an environment, streams and an end of its own; how it starts is tested
with the program as it is installed.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

Done: TypeAlias = subprocess.CompletedProcess[bytes]

_SERVER: Final = Path(__file__).with_name("warm_programs.py")


def run_warm(
    arguments: Sequence[str],
    payload: bytes,
    environment: Mapping[str, str],
    program: str = "qcli",
) -> Done:
    """Run a program, as `subprocess.run` does that captures its output.

    Args:
        arguments: those of its command line.
        payload: what it may read on standard input.
        environment: all of it.
        program: qcli or q.
    """
    (its_in, feed), (out, its_out), (err, its_err) = (pipe() for _ in range(3))
    with feed, out, err:
        with its_in, its_out, its_err:
            forked = Forked(program, arguments, environment, its_in, its_out, its_err)
        said: list[bytes] = []
        threads = [
            threading.Thread(target=_write, args=(feed, payload)),
            threading.Thread(target=lambda: said.append(err.read())),
        ]
        for thread in threads:
            thread.start()
        try:
            printed = out.read()
            status = forked.wait()
        except BaseException:
            forked.kill()
            raise
        finally:
            for thread in threads:
                thread.join()
    return subprocess.CompletedProcess([program, *arguments], status, printed, said[0])


class Forked:
    """A program that runs, of which its caller may ask what it asks of a `subprocess.Popen`."""

    def __init__(
        self,
        program: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *streams: BinaryIO,
    ) -> None:
        """Start it.

        Args:
            program: q or qcli.
            arguments: those of its command line.
            environment: all of it.
            streams: what are its standard input, standard output and standard error.
        """
        self._program = program
        self._told, its_end = pipe()
        self._status: int | None = None
        with its_end:
            _ask(program, arguments, environment, [*streams, its_end])
        #: The process id.
        self.pid = int(self._told.readline())

    def poll(self) -> int | None:
        """Return the exit status, or the signal that ended it, negated; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for the end, and return how it ended, as `poll` does.

        Raises:
            subprocess.TimeoutExpired: it runs still, after so many seconds.
        """
        if self._status is None:
            if not select.select([self._told], [], [], timeout_s)[0]:
                raise subprocess.TimeoutExpired(self._program, timeout_s or 0)
            self._status = int(self._told.readline())
            self._told.close()
        return self._status

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it by kill -9, if it still runs."""
        self.send_signal(signal.SIGKILL)


def pipe() -> tuple[BinaryIO, BinaryIO]:
    """Return the ends of a new pipe: what is read from, and what is written to."""
    read, write = os.pipe()
    return os.fdopen(read, "rb"), os.fdopen(write, "wb")


def _write(feed: BinaryIO, payload: bytes) -> None:
    """Write all of it, unless it is not read."""
    with suppress(BrokenPipeError), feed:
        feed.write(payload)


def _ask(
    program: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    streams: Sequence[BinaryIO],
) -> None:
    request = json.dumps([[*arguments], {**environment}]).encode()
    files = [each.fileno() for each in streams]
    # One message each, whoever sends at the same time.
    assert socket.send_fds(_warm(program), [request], files) == len(request)


@cache
def _warm(program: str) -> socket.socket:
    """Start what forks, and return how to ask it; it ends with this process."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        # It has nothing of the directory of that file on its path; and its standard streams are
        # pipes, so that Python makes of them what it makes of those of the program.
        process = subprocess.Popen(
            [sys.executable, "-P", str(_SERVER), program, f"{its.fileno()}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[its.fileno()],
        )

    def end() -> None:
        ours.close()
        process.communicate()

    atexit.register(end)
    return ours
