"""qcli that has loaded what it needs before it is asked to run.

Loading is most of what a short command does. So one process, `warm_qcli.py`, loads all of qcli
and forks for each run. What runs is the program, with arguments, an environment, streams and an
end of its own; how it starts is tested with the program as it is installed.
"""

import atexit
import json
import os
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

_SERVER: Final = Path(__file__).with_name("warm_qcli.py")


def run_warm(arguments: Sequence[str], payload: bytes, environment: Mapping[str, str]) -> Done:
    """Run qcli, as `subprocess.run` does that captures its output.

    Args:
        arguments: those of its command line.
        payload: what it may read on standard input.
        environment: all of it.
    """
    (its_in, feed), (out, its_out), (err, its_err), (told, its_end) = (_pipe() for _ in range(4))
    with feed, out, err, told:
        with its_in, its_out, its_err, its_end:
            _ask([*arguments], {**environment}, [its_in, its_out, its_err, its_end])
        pid = int(told.readline())
        said: list[bytes] = []
        threads = [
            threading.Thread(target=_write, args=(feed, payload)),
            threading.Thread(target=lambda: said.append(err.read())),
        ]
        for thread in threads:
            thread.start()
        try:
            printed = out.read()
            status = int(told.readline())
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            raise
        finally:
            for thread in threads:
                thread.join()
    return subprocess.CompletedProcess(["qcli", *arguments], status, printed, said[0])


def _pipe() -> tuple[BinaryIO, BinaryIO]:
    read, write = os.pipe()
    return os.fdopen(read, "rb"), os.fdopen(write, "wb")


def _write(feed: BinaryIO, payload: bytes) -> None:
    """Write all of it, unless it is not read."""
    with suppress(BrokenPipeError), feed:
        feed.write(payload)


def _ask(arguments: list[str], environment: dict[str, str], streams: list[BinaryIO]) -> None:
    request = json.dumps([arguments, environment]).encode()
    files = [each.fileno() for each in streams]
    # One message each, whoever sends at the same time.
    assert socket.send_fds(_warm(), [request], files) == len(request)


@cache
def _warm() -> socket.socket:
    """Start what forks, and return how to ask it; it ends with this process."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        # It has nothing of the directory of that file on its path; and its standard streams are
        # pipes, so that Python makes of them what it makes of those of qcli.
        process = subprocess.Popen(
            [sys.executable, "-P", str(_SERVER), f"{its.fileno()}"],
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
