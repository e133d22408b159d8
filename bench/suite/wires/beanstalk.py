"""beanstalkd: a tube is a queue, a job a message, a reserve a lease, a delete its ack."""

import re
import socket
from collections import deque
from collections.abc import Sequence
from typing import Final

from suite.wires.wire import Load, WireError, receive_exactly

_RESERVED: Final = re.compile(rb"RESERVED (\d+) (\d+)\r\n")


def prepare(address: tuple[str, int], names: Sequence[str]) -> list[str]:
    """Make nothing: tubes make themselves."""
    del address
    return list(names)


class Beanstalk:
    """A connection to beanstalkd."""

    def __init__(self, connection: socket.socket, load: Load) -> None:
        self.out = bytearray()
        self._buffer = b""
        #: What is to be answered, in order: a number, what it is, how many answers are to come.
        self._waiting: deque[tuple[int, str, int]] = deque()
        self._batch = load.batch
        self._tubes = [name.encode() for name in load.queues]
        self._used = -1
        #: What has been reserved of a batch that is still on its way.
        self._jobs: list[bytes] = []
        # Priority 0, no delay, leases of an hour.
        self._put = b"put 0 0 3600 %d\r\n%b\r\n" % (load.payload_bytes, load.payload)
        if "lease" in load.kinds:
            self._watch(connection)

    def _watch(self, connection: socket.socket) -> None:
        """Take jobs from all tubes of the load, and from no other."""
        for count, tube in enumerate(self._tubes, 2):
            connection.sendall(b"watch %b\r\n" % tube)
            receive_exactly(connection, len(b"WATCHING %d\r\n" % count))
        connection.sendall(b"ignore default\r\n")
        receive_exactly(connection, len(b"WATCHING %d\r\n" % len(self._tubes)))

    def start(self, kind: str, number: int, queue: int) -> None:
        """Write an operation."""
        if kind == "lease":
            self.out += b"reserve-with-timeout 1\r\n" * self._batch
            self._waiting.append((number, "lease", self._batch))
            return
        if queue != self._used:
            self.out += b"use %b\r\n" % self._tubes[queue]
            self._waiting.append((-1, "use", 1))
            self._used = queue
        self.out += self._put * self._batch
        self._waiting.append((number, "add", self._batch))

    def feed(self, data: bytes) -> list[int]:
        """Read answers, which come in order."""
        buffer = self._buffer + data if self._buffer else data
        position, done = 0, []
        while self._waiting and (end := buffer.find(b"\r\n", position) + 2) >= 2:  # noqa: PLR2004
            number, kind, left = self._waiting[0]
            if kind == "lease":
                job = _RESERVED.match(buffer, position)
                if job is None:
                    raise WireError(f"beanstalkd says {buffer[position:end]!r} to reserve")
                end = job.end() + int(job[2]) + 2
                if end > len(buffer):
                    break
                self._jobs.append(job[1])
            elif not buffer.startswith((b"INSERTED", b"DELETED", b"USING"), position):
                raise WireError(f"beanstalkd says {buffer[position:end]!r} to {kind}")
            position = end
            if left > 1:
                self._waiting[0] = (number, kind, left - 1)
                continue
            self._waiting.popleft()
            if kind == "lease":
                self._delete(number)
            elif kind != "use":
                done.append(number)
        self._buffer = buffer[position:]
        return done

    def _delete(self, number: int) -> None:
        self.out += b"".join(b"delete %b\r\n" % job for job in self._jobs)
        self._jobs.clear()
        self._waiting.append((number, "delete", self._batch))
