"""qcli against a q, as tests run it."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import BinaryIO

from qmq.limits import BATCH_MESSAGES_MAX
from qmq.wire import q_pb2 as pb
from tests.acceptance.running import environment
from tests.acceptance.stock import StockClient, connected
from tests.acceptance.warm import Done, Forked, pipe, run_warm

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
    """A qcli that runs."""

    def __init__(
        self, process: Forked, stdin: BinaryIO, stdout: BinaryIO, stderr: BinaryIO
    ) -> None:
        """Name what it reads, what it prints, and what it says about that."""
        self.process = process
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr

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
    address: str,
    *arguments: str,
    stdout: BinaryIO | None = None,
    stderr: BinaryIO | None = None,
) -> Iterator[Running]:
    """Run qcli beside the test, and kill it if the test has not ended it.

    Args:
        address: of its server.
        arguments: those of its command line.
        stdout: what it prints to; by default, what the test can read.
        stderr: what it says something about that to; by default, what the test can read.
    """
    variables = environment(QCLI_SERVER=address)
    (its_in, stdin), (out, its_out), (err, its_err) = (pipe() for _ in range(3))
    with out, err:
        with its_in, its_out, its_err:
            streams = its_in, stdout or its_out, stderr or its_err
            process = Forked("qcli", arguments, variables, *streams)
        try:
            yield Running(process, stdin, out, err)
        finally:
            process.kill()
            process.wait()
            with suppress(BrokenPipeError):
                stdin.close()
