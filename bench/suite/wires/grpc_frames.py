"""q: gRPC in frames of HTTP/2 made by hand, as far as unary calls need them.

Header tables of both sides have no room, so a header block means the same wherever it comes: each
kind of trailers is decoded once.
"""

import re
import socket
import struct
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Final

import hpack

from qmq.wire import q_pb2 as pb
from suite.wires.wire import Load, WireError, receive_exactly

_FRAME_BYTES_MAX: Final = 16_384
_WINDOW: Final = 2**31 - 1
_WINDOW_AT_FIRST: Final = 65_535
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_METHODS: Final = {"add": "Add", "put": "Add", "pop": "Pop", "lease": "Lease", "ack": "Ack"}
#: The lease id of a LeasedMessage, as it stands in a LeaseResponse, and in an AckRequest as well.
_LEASE_ID: Final = re.compile(rb"\x12\x19[0-9a-f]{16}-[0-9a-f]{8}(?=\x1a)")
_LEASED: Final = b"\n\0"


def head(length: int, kind: int, flags: int, stream: int) -> bytes:
    """Encode what stands before the payload of a frame."""
    return struct.pack(">IBI", (length << 8) | kind, flags, stream)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Encode a frame."""
    return head(len(payload), kind, flags, stream) + payload


def prepare(address: tuple[str, int], names: Sequence[str], store: pb.Queue.Store) -> list[str]:
    """Make queues and return their ids."""
    import grpc  # noqa: PLC0415 - Generators do without.

    with grpc.insecure_channel("{}:{}".format(*address)) as channel:
        new_queue: grpc.UnaryUnaryMultiCallable[pb.NewQueueRequest, pb.NewQueueResponse]
        new_queue = channel.unary_unary(
            "/proto.Q/NewQueue",
            pb.NewQueueRequest.SerializeToString,
            pb.NewQueueResponse.FromString,
        )
        calls = [new_queue.future(pb.NewQueueRequest(store=store, name=name)) for name in names]
        return [call.result().queue.meta.id for call in calls]


def _header_block(method: str) -> bytes:
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", f"/proto.Q/{method}"),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]
    return bytes(encoder.encode(headers))


class Grpc:
    """A connection to q."""

    def __init__(self, connection: socket.socket, load: Load) -> None:
        self.out = bytearray()
        self._buffer = b""
        self._batch = load.batch
        self._next_stream = 1
        #: By stream: the number of the operation, and what kind of call it is.
        self._calls: dict[int, tuple[int, str, int]] = {}
        #: By stream: what has come of a reply that is read.
        self._replies: defaultdict[int, bytearray] = defaultdict(bytearray)
        #: What does not fit a window yet: the stream and the rest of its body.
        self._held: deque[tuple[int, memoryview]] = deque()
        self._good_trailers: set[bytes] = set()
        self._room = _WINDOW_AT_FIRST
        self._stream_room_at_first = _WINDOW_AT_FIRST
        self._stream_room: dict[int, int] = {}
        self._received = 0
        self._encode(load)
        self._greet(connection)

    def _encode(self, load: Load) -> None:
        one = load.batch == 1
        message = pb.NewMessage(payload=load.payload)
        added = (
            pb.AddRequest(message=message)
            if one
            else pb.AddBatchRequest(messages=[message] * load.batch)
        )
        asked = b"" if one else pb.PopBatchRequest(messages_max=load.batch).SerializeToString()
        leased = pb.LeaseRequest(messages_max=load.batch).SerializeToString()
        self._ids = [pb.PopRequest(queue_id=each).SerializeToString() for each in load.queues]
        self._rest = {
            "add": added.SerializeToString(),
            "put": added.SerializeToString(),
            "pop": asked,
            "lease": leased,
        }
        many = "" if one else "Batch"
        self._blocks = {
            kind: _header_block(name + (many if name in {"Add", "Pop"} else ""))
            for kind, name in _METHODS.items()
        }

    def _greet(self, connection: socket.socket) -> None:
        settings = struct.pack(">HIHIHI", 1, 0, 2, 0, 4, _WINDOW)
        connection.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + frame(_SETTINGS, 0, 0, settings)
            + frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _WINDOW - _WINDOW_AT_FIRST))
        )
        # The first frame tells the windows of streams; nothing is sent before that is known.
        head = receive_exactly(connection, 9)
        length = int.from_bytes(head[:3], "big")
        self.feed(head + receive_exactly(connection, length))

    def start(self, kind: str, number: int, queue: int) -> None:
        """Write an operation."""
        self._call(kind, number, queue, self._rest[kind])

    def _call(self, kind: str, number: int, queue: int, rest: bytes) -> None:
        stream = self._next_stream
        self._next_stream += 2
        self._calls[stream] = (number, kind, queue)
        block, queue_id = self._blocks[kind], self._ids[queue]
        size = len(queue_id) + len(rest)
        self.out += frame(_HEADERS, _END_HEADERS, stream, block)
        body = b"\0" + size.to_bytes(4, "big") + queue_id + rest
        if len(body) <= min(self._room, self._stream_room_at_first, _FRAME_BYTES_MAX):
            self._room -= len(body)
            self.out += frame(_DATA, _END_STREAM, stream, body)
            return
        self._stream_room[stream] = self._stream_room_at_first
        self._held.append((stream, memoryview(body)))
        self._send_held()

    def _send_held(self) -> None:
        """Send as much of what is held back as the windows have room for."""
        for _ in range(len(self._held)):
            stream, body = self._held.popleft()
            while body and (room := min(self._room, self._stream_room[stream])) > 0:
                part = body[: min(room, _FRAME_BYTES_MAX)]
                body = body[len(part) :]
                self._room -= len(part)
                self._stream_room[stream] -= len(part)
                self.out += head(len(part), _DATA, 0 if body else _END_STREAM, stream)
                self.out += part
            if body:
                self._held.append((stream, body))
            else:
                del self._stream_room[stream]

    def feed(self, data: bytes) -> list[int]:
        """Read frames."""
        buffer = self._buffer + data if self._buffer else data
        position, done = 0, []
        while position + 9 <= len(buffer):
            length = int.from_bytes(buffer[position : position + 3], "big")
            end = position + 9 + length
            if end > len(buffer):
                break
            kind, flags = buffer[position + 3], buffer[position + 4]
            stream = int.from_bytes(buffer[position + 5 : position + 9], "big")
            payload = buffer[position + 9 : end]
            position = end
            if kind == _DATA:
                self._received += length
                if self._calls[stream][1] in {"lease", "ack"}:
                    self._replies[stream] += payload
            elif kind == _HEADERS:
                if flags & _END_STREAM and (number := self._end(stream, payload)) >= 0:
                    done.append(number)
            else:
                self._control(kind, flags, stream, payload)
        self._buffer = buffer[position:]
        if self._received > _WINDOW // 2:
            self.out += frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", self._received))
            self._received = 0
        return done

    def _end(self, stream: int, trailers: bytes) -> int:
        """Take the end of a call; return the number of its operation if that is done, else -1."""
        number, kind, queue = self._calls.pop(stream)
        if trailers not in self._good_trailers:
            self._check(trailers, kind)
        if kind == "lease":
            leases = _LEASE_ID.findall(self._replies.pop(stream, bytearray()))
            if len(leases) != self._batch:
                raise WireError(f"q has {len(leases)} messages left of {self._batch}")
            self._call("ack", number, queue, b"".join(leases))
            return -1
        if kind == "ack":
            reply = self._replies.pop(stream, bytearray())
            if not reply.startswith(_LEASED * self._batch, 5):
                raise WireError(f"q says {reply!r} to an ack")
        return number

    def _check(self, trailers: bytes, kind: str) -> None:
        decoder = hpack.Decoder()
        decoder.max_allowed_table_size = 0
        decoder.header_table_size = 0
        found = {
            bytes(name).decode(): bytes(value).decode()
            for name, value in decoder.decode(trailers, raw=True)
        }
        if found.get("grpc-status") != "0":
            raise WireError(f"q says {found} to {kind}")
        self._good_trailers.add(trailers)

    def _control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _SETTINGS and not flags & _ACK:
            for name, value in struct.iter_unpack(">HI", payload):
                if name == 4:  # noqa: PLR2004 - SETTINGS_INITIAL_WINDOW_SIZE.
                    self._stream_room_at_first = value
            self.out += frame(_SETTINGS, _ACK, 0, b"")
        elif kind == _WINDOW_UPDATE:
            (more,) = struct.unpack(">I", payload)
            if stream == 0:
                self._room += more
            elif stream in self._stream_room:
                self._stream_room[stream] += more
            self._send_held()
        elif kind == _PING and not flags & _ACK:
            self.out += frame(_PING, _ACK, 0, payload)
        elif kind in {_RESET, _GOAWAY}:
            raise WireError(f"q ends stream {stream} by frame {kind}: {payload!r}")
