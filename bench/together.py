"""Client processes that begin together, once all of them are ready."""

import subprocess
import time
from collections.abc import Sequence


def run_together(command: Sequence[str], count: int) -> float:
    """Run a program so many times at once, and return how many seconds they took.

    Each prints a line when it is ready, and begins when it reads one.

    Raises:
        RuntimeError: one has failed.
    """
    clients = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(count)
    ]
    for client in clients:
        assert client.stdout is not None
        client.stdout.readline()
    started = time.perf_counter()
    for client in clients:
        assert client.stdin is not None
        client.stdin.write(b"\n")
        client.stdin.flush()
    for client in clients:
        client.communicate()
        if client.returncode:
            raise RuntimeError("a client failed")
    return time.perf_counter() - started
