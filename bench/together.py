"""Client processes that begin together, once all of them are ready."""

import subprocess
import time
from collections.abc import Sequence


def run_together(command: Sequence[str], count: int) -> float:
    """Run a program so many times at once, as `Together` does; return how many seconds they took.

    Raises:
        RuntimeError: one has failed.
    """
    together = Together([command] * count)
    together.begin()
    return together.end()


class Together:
    """Programs that run at once.

    Each prints a line when it is ready, and begins when it reads one.
    """

    def __init__(self, commands: Sequence[Sequence[str]]) -> None:
        """Start them, and wait until all are ready."""
        self._clients = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for command in commands
        ]
        for client in self._clients:
            assert client.stdout is not None
            client.stdout.readline()
        self._started = 0.0
        #: What they printed, once they have ended, but for the first line.
        self.outputs: list[bytes] = []

    def begin(self) -> None:
        """Let them begin."""
        self._started = time.perf_counter()
        for client in self._clients:
            assert client.stdin is not None
            client.stdin.write(b"\n")
            client.stdin.flush()

    def end(self) -> float:
        """Wait until all have ended, and return how many seconds they took.

        Raises:
            RuntimeError: one has failed.
        """
        for client in self._clients:
            output, _ = client.communicate()
            self.outputs.append(output)
            if client.returncode:
                raise RuntimeError("a client failed")
        return time.perf_counter() - self._started
