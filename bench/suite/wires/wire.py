"""What a load generator needs of a protocol."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class WireError(Exception):
    """A server said something that a run cannot go on with."""


@dataclass(frozen=True, slots=True)
class Load:
    """What all connections of a run send."""

    #: Names or ids of queues: operation n goes to queue n modulo their number.
    queues: Sequence[str]
    batch: int
    payload_bytes: int
    #: Operations in flight on a connection, at most.
    streams: int
    #: The operations, in turn: add, put, pop, lease.
    kinds: Sequence[str]

    @property
    def payload(self) -> bytes:
        """What a message holds."""
        return b"x" * self.payload_bytes

    def kind(self, number: int) -> str:
        """Return what an operation is."""
        return self.kinds[number % len(self.kinds)]

    def queue(self, number: int) -> int:
        """Return the index of the queue that an operation goes to."""
        return number // len(self.kinds) % len(self.queues)


class Wire(Protocol):
    """A connection: turns operations into bytes, and bytes into operations that are done.

    It does not block once it is made: what is to be sent is in `out`, which the caller empties.
    """

    out: bytearray

    def __init__(self, connection: socket.socket, load: Load) -> None:
        """Greet the server, blocking, and get ready for the load."""

    def start(self, kind: str, number: int, queue: int) -> None:
        """Write an operation, add, put (an add of what will be leased), pop or lease.

        Args:
            kind: one of these.
            number: tells the operation from others; `feed` returns it.
            queue: the index of its queue.
        """

    def feed(self, data: bytes) -> list[int]:
        """Read what has come; return the numbers of the operations that are done.

        Raises:
            WireError: an operation failed.
        """


def connect(address: tuple[str, int]) -> socket.socket:
    """Connect, without delays by Nagle's algorithm."""
    connection = socket.create_connection(address, timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def receive_exactly(connection: socket.socket, count: int) -> bytes:
    """Return so many bytes, blocking."""
    parts = bytearray()
    while len(parts) < count:
        if not (data := connection.recv(count - len(parts))):
            raise WireError("the server closed the connection")
        parts += data
    return bytes(parts)
