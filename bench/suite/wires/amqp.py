"""RabbitMQ: AMQP 0-9-1, one channel on each connection, quorum queues, publisher confirms."""

import socket
import struct
from collections import deque
from collections.abc import Sequence
from typing import Final

from suite.wires.wire import Load, WireError, connect, receive_exactly

_METHOD, _HEADER, _BODY = 1, 2, 3
_FRAME_BYTES_MAX: Final = 131_072
#: Frames around a body take 8 bytes.
_BODY_BYTES_MAX: Final = _FRAME_BYTES_MAX - 8
_START_OK, _TUNE_OK, _OPEN, _CHANNEL_OPEN = (10, 11), (10, 31), (10, 40), (20, 10)
_DECLARE, _QOS, _CONSUME, _SELECT = (50, 10), (60, 10), (60, 20), (85, 10)
_PUBLISH, _DELIVER, _GET, _GET_OK = (60, 40), (60, 60), (60, 70), (60, 71)
_ACK, _NACK, _CANCEL = (60, 80), (60, 120), (60, 30)
_CLOSINGS: Final = {(10, 50), (20, 40), _NACK, (60, 72), _CANCEL}
#: A content header: class 60, its weight; the size; that delivery_mode is there, and is 2.
_PERSISTENT: Final = 0x1000
#: Batches of so many and more are consumed by subscription, as those who want speed do.
_SUBSCRIBED_MIN: Final = 10


def _short(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _long(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


def _frame(kind: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def _method(channel: int, name: tuple[int, int], arguments: bytes) -> bytes:
    return _frame(_METHOD, channel, struct.pack(">HH", *name) + arguments)


def _answer(connection: socket.socket) -> tuple[int, int]:
    """Wait for a method and return its name."""
    kind, _, size = struct.unpack(">BHI", receive_exactly(connection, 7))
    payload = receive_exactly(connection, size + 1)
    name = struct.unpack(">HH", payload[:4])
    if kind != _METHOD or name in _CLOSINGS:
        raise WireError(f"RabbitMQ says {payload!r}")
    return name[0], name[1]


def _open(connection: socket.socket) -> None:
    """Log in and open channel 1."""
    connection.sendall(b"AMQP\0\0\x09\x01")
    _answer(connection)
    start = _long(b"") + _short("PLAIN") + _long(b"\0guest\0guest") + _short("en_US")
    connection.sendall(_method(0, _START_OK, start))
    _answer(connection)
    connection.sendall(_method(0, _TUNE_OK, struct.pack(">HIH", 1, _FRAME_BYTES_MAX, 0)))
    connection.sendall(_method(0, _OPEN, _short("/") + _short("") + b"\0"))
    _answer(connection)
    connection.sendall(_method(1, _CHANNEL_OPEN, _short("")))
    _answer(connection)


def prepare(address: tuple[str, int], names: Sequence[str]) -> list[str]:
    """Declare durable quorum queues."""
    table = _long(_short("x-queue-type") + b"S" + _long(b"quorum"))
    with connect(address) as connection:
        _open(connection)
        for name in names:
            arguments = struct.pack(">H", 0) + _short(name) + bytes([0b00010]) + table
            connection.sendall(_method(1, _DECLARE, arguments))
            _answer(connection)
    return list(names)


class Amqp:
    """A connection to RabbitMQ."""

    def __init__(self, connection: socket.socket, load: Load) -> None:
        self.out = bytearray()
        self._buffer = b""
        self._batch = load.batch
        self._published: dict[int, int] = {}
        #: Tags of what was published: the next one, and the first that is not confirmed.
        self._next_tag = self._unconfirmed = 1
        self._confirmed: set[int] = set()
        #: The operations whose messages were published, or got, in order; messages to come.
        self._gets: deque[list[int]] = deque()
        self._is_acking = True
        #: Of the message that is coming: its tag, and what is still to come of its body.
        self._tag = 0
        self._body_left = 0
        self._encode(load)
        _open(connection)
        connection.sendall(_method(1, _SELECT, b"\0"))
        _answer(connection)
        # Where adds take turns with leases, messages would come before anybody asks for them.
        self._is_subscribed = load.kinds == ["lease"] and load.batch >= _SUBSCRIBED_MIN
        #: Sent with the first lease.
        self._subscription = b""
        if self._is_subscribed:
            prefetch = min(load.batch * load.streams, 65_535)
            arguments = struct.pack(">H", 0) + _short(load.queues[0]) + _short("")
            self._subscription = _method(1, _QOS, struct.pack(">IHB", 0, prefetch, 0)) + _method(
                1, _CONSUME, arguments + b"\0" + _long(b"")
            )

    def _encode(self, load: Load) -> None:
        header = struct.pack(">HHQHB", 60, 0, load.payload_bytes, _PERSISTENT, 2)
        bodies = [
            load.payload[start : start + _BODY_BYTES_MAX]
            for start in range(0, load.payload_bytes, _BODY_BYTES_MAX)
        ]
        content = _frame(_HEADER, 1, header) + b"".join(_frame(_BODY, 1, each) for each in bodies)
        names = [struct.pack(">H", 0) + _short(name) for name in load.queues]
        self._publish = [
            _method(1, _PUBLISH, struct.pack(">H", 0) + _short("") + _short(name) + b"\0") + content
            for name in load.queues
        ]
        self._get = [_method(1, _GET, name + b"\0") for name in names]
        self._get_unacked = [_method(1, _GET, name + b"\x01") for name in names]

    def start(self, kind: str, number: int, queue: int) -> None:
        """Write an operation."""
        if kind in {"add", "put"}:
            self.out += self._publish[queue] * self._batch
            self._next_tag += self._batch
            # An operation is done when its last message is confirmed.
            self._published[self._next_tag - 1] = number
            return
        self._is_acking = kind == "lease"
        if self._is_subscribed:
            self.out += self._subscription
            self._subscription = b""
        else:
            self.out += (self._get if self._is_acking else self._get_unacked)[queue] * self._batch
        self._gets.append([number, self._batch])

    def feed(self, data: bytes) -> list[int]:
        """Read frames."""
        buffer = self._buffer + data if self._buffer else data
        position, done = 0, list[int]()
        while position + 8 <= len(buffer):
            kind, _, size = struct.unpack_from(">BHI", buffer, position)
            end = position + 8 + size
            if end > len(buffer):
                break
            start, position = position + 7, end
            if kind == _METHOD:
                self._method(buffer, start, done)
            elif kind == _HEADER:
                (self._body_left,) = struct.unpack_from(">Q", buffer, start + 4)
            elif kind == _BODY:
                self._body_left -= size
                if not self._body_left:
                    self._got(done)
        self._buffer = buffer[position:]
        return done

    def _method(self, buffer: bytes, start: int, done: list[int]) -> None:
        name = struct.unpack_from(">HH", buffer, start)
        if name == _ACK:
            tag, is_multiple = struct.unpack_from(">QB", buffer, start + 4)
            self._confirm(tag, is_multiple=bool(is_multiple), done=done)
        elif name == _GET_OK:
            (self._tag,) = struct.unpack_from(">Q", buffer, start + 4)
        elif name == _DELIVER:
            tag_at = start + 5 + buffer[start + 4]
            (self._tag,) = struct.unpack_from(">Q", buffer, tag_at)
        elif name in _CLOSINGS:
            raise WireError(f"RabbitMQ says {name}: {buffer[start : start + 200]!r}")

    def _confirm(self, tag: int, *, is_multiple: bool, done: list[int]) -> None:
        if not is_multiple and tag != self._unconfirmed:
            self._confirmed.add(tag)
            return
        self._unconfirmed, first = tag + 1, self._unconfirmed
        while self._unconfirmed in self._confirmed:
            self._confirmed.remove(self._unconfirmed)
            self._unconfirmed += 1
        for each in range(first, self._unconfirmed):
            self._confirmed.discard(each)
            if each in self._published:
                done.append(self._published.pop(each))

    def _got(self, done: list[int]) -> None:
        """A message is there as a whole."""
        if not self._gets:
            # Sent ahead to a subscriber that is about to leave; it goes back into the queue.
            return
        get = self._gets[0]
        get[1] -= 1
        if get[1]:
            return
        if self._is_acking:
            multiple = self._batch > 1
            self.out += _method(1, _ACK, struct.pack(">QB", self._tag, multiple))
        done.append(get[0])
        self._gets.popleft()
