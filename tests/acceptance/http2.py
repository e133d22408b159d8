"""An HTTP/2 client that sends whatever a test wants: also what no gRPC library would."""

import socket
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import unquote

from google.protobuf.message import Message
from google.rpc import status_pb2
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    Event,
    PingAckReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

_M = TypeVar("_M", bound=Message)

#: Seconds of silence after which a test has failed.
_TIMEOUT_S = 60.0

Headers = Iterable[tuple[str, str]]

_FRAME_HEAD_BYTES = 9
_GOAWAY = 7

GRPC = (("content-type", "application/grpc"), ("te", "trailers"))


def frame(message: bytes, *, flag: int = 0, size: int | None = None) -> bytes:
    """A gRPC frame, which may lie about its `size`."""
    length = len(message) if size is None else size
    return bytes([flag]) + length.to_bytes(4, "big") + message


@dataclass
class Reply:
    """What came back on one stream so far."""

    #: Headers and trailers.
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_ended: bool = False
    #: The HTTP/2 error code of a reset, or None.
    reset: int | None = None

    @property
    def http_status(self) -> int:
        """The HTTP status."""
        return int(self.headers[":status"])

    @property
    def code(self) -> int:
        """The gRPC status code."""
        assert "grpc-status" in self.headers, self
        return int(self.headers["grpc-status"])

    @property
    def message(self) -> str:
        """The gRPC status message."""
        return unquote(self.headers.get("grpc-message", ""))

    def detail(self, message: _M) -> _M:
        """Fill a message of one of the types that error details have."""
        encoded = self.headers["grpc-status-details-bin"]
        status = status_pb2.Status.FromString(b64decode(encoded + "=" * (-len(encoded) % 4)))
        assert any(detail.Unpack(message) for detail in status.details), status
        return message

    @property
    def messages(self) -> list[bytes]:
        """The uncompressed gRPC messages of the body."""
        found, rest = [], self.body
        while rest:
            assert rest[0] == 0, "compressed"
            end = 5 + int.from_bytes(rest[1:5], "big")
            found.append(rest[5:end])
            rest = rest[end:]
        return found


class Http2Client:
    """One connection in plain text; streams are numbered as HTTP/2 numbers them."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._address = address
        self._socket = socket.create_connection((host, int(port)), timeout=_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Checks would keep the tests from sending what is not allowed.
        self._h2 = H2Connection(
            H2Configuration(
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                header_encoding="utf-8",
            )
        )
        self._h2.initiate_connection()
        self._received = b""
        self._pings = self._pongs = 0
        #: By the number of the stream.
        self.replies: dict[int, Reply] = {}
        self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def open(
        self, path: str, headers: Headers = GRPC, *, method: str = "POST", end: bool = False
    ) -> int:
        """Send the headers of a request and return the number of its stream."""
        stream = self._h2.get_next_available_stream_id()
        pseudo = (
            (":method", method),
            (":path", path),
            (":scheme", "http"),
            (":authority", self._address),
        )
        self._h2.send_headers(stream, [*pseudo, *headers], end_stream=end)
        self.replies[stream] = Reply()
        self._flush()
        return stream

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Send a piece of a request's body, as the server's window allows."""
        while data:
            reply = self.replies[stream]
            if reply.is_ended:
                return
            room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            if room == 0:
                self.receive()
                continue
            piece, data = data[:room], data[room:]
            self._h2.send_data(stream, piece, end_stream=end and not data)
            self._flush()
            if end and not data:
                return
        self._h2.send_data(stream, b"", end_stream=end)
        self._flush()

    def end(self, stream: int, trailers: Headers = ()) -> None:
        """End a request, by trailers if there are any."""
        if trailers := list(trailers):
            self._h2.send_headers(stream, trailers, end_stream=True)
        else:
            self._h2.end_stream(stream)
        self._flush()

    def reset(self, stream: int) -> None:
        """Cancel a request."""
        self._h2.reset_stream(stream, 8)
        self._flush()

    def ping(self) -> None:
        """Wait until the server has seen everything that was sent."""
        self._pings += 1
        self._h2.ping(self._pings.to_bytes(8, "big"))
        self._flush()
        while self._pongs < self._pings:
            self.receive()

    def reply(self, stream: int) -> Reply:
        """Wait until a reply has ended."""
        reply = self.replies[stream]
        while not reply.is_ended:
            self.receive()
        return reply

    def messages(self, stream: int, count: int) -> list[bytes]:
        """Wait until a reply has `count` messages, and return all it has."""
        reply = self.replies[stream]
        while len(reply.messages) < count:
            assert not reply.is_ended, reply
            self.receive()
        return reply.messages

    def call(
        self, path: str, body: bytes = frame(b""), headers: Headers = GRPC, *, method: str = "POST"
    ) -> Reply:
        """Send a whole request and wait for its reply."""
        stream = self.open(path, headers, method=method)
        self.send(stream, body, end=True)
        return self.reply(stream)

    def _flush(self) -> None:
        self._socket.sendall(self._h2.data_to_send())

    def receive(self) -> None:
        """Wait for something to come in, and take it."""
        data = self._socket.recv(65_536)
        assert data, "the server has closed the connection"
        self._received += data
        while len(self._received) >= _FRAME_HEAD_BYTES:
            end = _FRAME_HEAD_BYTES + int.from_bytes(self._received[:3], "big")
            if len(self._received) < end:
                break
            whole, self._received = self._received[:end], self._received[end:]
            # After a GOAWAY the library takes nothing more, although streams go on.
            if whole[3] != _GOAWAY:
                for event in self._h2.receive_data(whole):
                    self._take(event)
        self._flush()

    def _take(self, event: Event) -> None:
        match event:
            case ResponseReceived() | TrailersReceived():
                fields = {_text(name): _text(value) for name, value in event.headers}
                self.replies[_id(event.stream_id)].headers.update(fields)
            case DataReceived():
                self.replies[_id(event.stream_id)].body += event.data
                self._h2.acknowledge_received_data(
                    event.flow_controlled_length, _id(event.stream_id)
                )
            case PingAckReceived():
                self._pongs += 1
            case StreamEnded():
                self.replies[_id(event.stream_id)].is_ended = True
            case StreamReset():
                reply = self.replies[_id(event.stream_id)]
                reply.is_ended, reply.reset = True, int(event.error_code)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _id(stream: int | None) -> int:
    assert stream is not None
    return stream
