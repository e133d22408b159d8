"""qcli against a q, as tests run it."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO

from qmq.limits import BATCH_MESSAGES_MAX
from qmq.wire import q_pb2 as pb
from tests.acceptance.running import environment, program
from tests.acceptance.stock import StockClient, connected
from tests.acceptance.warm import Done, run_warm

#: Seconds that a command may take to end after it was asked to.
_END_TIMEOUT_S = 60.0

#: Seconds that anything else may take that is waited for.
_PATIENCE_S = 60.0


class Qcli:
    """Runs qcli against a q.

    What a test only needs to be there, or wants to know afterwards, it asks of the stock
    client: a process takes ten times as long as a call.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def __call__(self, *arguments: str, payload: bytes = b"") -> Done:
        """Run it with its arguments, and what it is to read as `payload`."""
        return run_warm(arguments, payload, environment(QCLI_SERVER=self._address))

    def stock(self) -> AbstractContextManager[StockClient]:
        """A stock client of the same q."""
        return connected(self._address)


def made(qcli: Qcli, store: str = "MEMORY", **fields: object) -> str:
    """The id of a new queue, with the fields of a NewQueueRequest."""
    with qcli.stock() as client:
        return client.made(pb.Queue.Store.Value(store), **fields)


def put(qcli: Qcli, queue: str, *payloads: bytes) -> None:
    """Add messages to a queue."""
    messages = [pb.NewMessage(payload=payload) for payload in payloads]
    with qcli.stock() as client:
        for first in range(0, len(messages), BATCH_MESSAGES_MAX):
            batch = messages[first : first + BATCH_MESSAGES_MAX]
            client.add_batch(queue_id=queue, messages=batch)


def fill(qcli: Qcli, queue: str, count: int) -> None:
    """Put the numbers from 0 into a queue."""
    put(qcli, queue, *(b"%d" % number for number in range(count)))


def stats(qcli: Qcli, queue: str) -> dict[str, int]:
    """What a queue holds and what went through it."""
    with qcli.stock() as client:
        [counts] = client.stats(queue_id=queue).queues
    return {
        field.name: getattr(counts, field.name)
        for field in counts.DESCRIPTOR.fields
        if field.cpp_type == field.CPPTYPE_INT64
    }


def until(holds: Callable[[], object]) -> None:
    """Look again and again until something holds."""
    deadline = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def until_waiting(qcli: Qcli, queue: str) -> None:
    """Return when a call waits for a message."""
    until(lambda: stats(qcli, queue)["waiting"])


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
