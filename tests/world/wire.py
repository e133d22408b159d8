"""PostgreSQL's protocol, as little of it as a world needs: frames, and questions that block.

A world asks PostgreSQL something and waits for the answer in the midst of a callback, so that no
time of the world passes meanwhile, and the same happens again with the same seed.
"""

import select
import socket
import struct
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

#: Seconds of real time in which PostgreSQL has to answer what waits for nobody's lock.
PATIENCE_S: Final = 30.0

#: What a connection begins with instead of a first packet, to cancel what another one asks.
CANCEL_REQUEST: Final = 80_877_102

_VERSION: Final = 196_608
_HEAD: Final = struct.Struct("!ci")
_LENGTH: Final = struct.Struct("!i")


class Closed(Exception):
    """PostgreSQL has closed the connection."""


class Refused(Exception):
    """PostgreSQL answers with an error."""


class Frame(NamedTuple):
    """A message of the protocol."""

    kind: bytes
    body: bytes

    @property
    def data(self) -> bytes:
        """As it is sent."""
        return _HEAD.pack(self.kind, len(self.body) + _LENGTH.size) + self.body


class Frames:
    """Takes apart what comes in."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take in bytes, and yield the messages that are complete by now."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(buffer)
            if len(buffer) <= length:
                return
            body = bytes(buffer[_HEAD.size : 1 + length])
            del buffer[: 1 + length]
            yield Frame(kind, body)


def first_packet(parameters: dict[str, str]) -> bytes:
    """Return what a connection begins with."""
    text = "".join(f"{name}\0{value}\0" for name, value in parameters.items()) + "\0"
    body = _LENGTH.pack(_VERSION) + text.encode()
    return _LENGTH.pack(len(body) + _LENGTH.size) + body


def parameters_of(packet: bytes) -> dict[str, str]:
    """Return what a connection begins with, taken apart."""
    words = packet[2 * _LENGTH.size : -2].decode().split("\0")
    return dict(zip(words[::2], words[1::2], strict=False))


class Backend:
    """A real connection, that blocks."""

    def __init__(self, port: int, packet: bytes) -> None:
        """Connect to the server at a port of this machine, and begin; `startup` is the answer."""
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._frames = Frames()
        self._came: list[Frame] = []
        self._socket.sendall(packet)
        #: The process that serves it; 0 if it was not let in.
        self.pid = 0
        #: Whether it is in no transaction (I), in one (T), or in one that has failed (E).
        self.status = b"I"
        #: Whether it waits for what comes next, and is in the middle of nothing.
        self.is_idle = False
        self.is_closed = False
        #: What the server has said to the first packet; an error if it was not let in.
        self.startup = self.answer()

    @classmethod
    def to(cls, port: int, *, user: str, database: str) -> "Backend":
        """Return one that is to ask questions of its own.

        Raises:
            Refused: the server does not let it in.
        """
        backend = cls(port, first_packet({"user": user, "database": database}))
        if backend.is_closed:
            backend.close()
            raise Refused(str(backend.startup))
        return backend

    def ask(self, sql: str) -> list[list[str]]:
        """Run statements in one transaction, and return rows as texts.

        Raises:
            Refused: they failed.
            Closed: the connection has ended.
        """
        self.send(Frame(b"Q", sql.encode() + b"\0").data)
        answer = self.answer()
        for frame in answer:
            if frame.kind == b"E":
                raise Refused(frame.body.replace(b"\0", b" ").decode())
        if self.is_closed:
            raise Closed
        return [_row(frame.body) for frame in answer if frame.kind == b"D"]

    def send(self, data: bytes) -> None:
        """Send something; that the server has closed the connection shows in the answer."""
        self.is_idle = False
        try:
            self._socket.sendall(data)
        except OSError:
            self.is_closed = True

    def has_answered(self, seconds: float) -> bool:
        """Wait for the beginning of an answer, for so many seconds of real time."""
        return bool(self._came or select.select([self._socket], [], [], seconds)[0])

    def answer(self) -> list[Frame]:
        """Wait for a whole answer, or for the end of the connection, and return it."""
        return self.until(b"Z")

    def until(self, kinds: bytes, seconds: float = PATIENCE_S) -> list[Frame]:
        """Wait for a message of some kinds, and return all up to it, or what came before the end.

        Raises:
            TimeoutError: it has not come in time.
        """
        found: list[Frame] = []
        deadline_s = time.monotonic() + seconds
        while not self.is_closed or self._came:
            while self._came:
                frame = self._came.pop(0)
                found.append(frame)
                self._note(frame)
                if frame.kind in kinds:
                    return found
            if not self.has_answered(max(0.0, deadline_s - time.monotonic())):
                raise TimeoutError(f"PostgreSQL has not answered within {seconds:g} s")
            self._receive()
        return found

    def close(self) -> None:
        """End the connection: what is under way in it is done, or rolled back."""
        self.is_closed = True
        self._socket.close()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            self.is_closed = True
        self._came += self._frames.feed(data)

    def _note(self, frame: Frame) -> None:
        if frame.kind == b"Z":
            self.status = frame.body
            self.is_idle = True
        elif frame.kind == b"K":
            (self.pid,) = _LENGTH.unpack_from(frame.body)


def _row(body: bytes) -> list[str]:
    (count,) = struct.unpack_from("!h", body)
    at, values = 2, []
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        values.append("" if length < 0 else body[at : at + length].decode())
        at += max(0, length)
    return values
