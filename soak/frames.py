"""HTTP/2 and gRPC by hand: what a client sends that does not mind what comes back.

Nothing here looks at windows or waits for an answer, as a client that is broken or means harm
would not.
"""

import socket
from contextlib import suppress
from typing import Final

from hpack import Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_INITIAL_WINDOW: Final = 4
_FRAME_BYTES_MAX: Final = 16_384
_CANCEL: Final = 8
_TIMEOUT_S: Final = 10.0

#: Bytes that a server may send on a connection whatever its streams allow, if nothing is said.
_CONNECTION_WINDOW: Final = 65_535


def grpc_message(message: bytes) -> bytes:
    """Put a message into a gRPC frame."""
    return b"\0" + len(message).to_bytes(4, "big") + message


class Connection:
    """An HTTP/2 connection on which streams are begun, and nothing is read unless asked for."""

    def __init__(self, address: str, *, window: int = _CONNECTION_WINDOW) -> None:
        """Connect, and say how many bytes of each reply may come before any is read."""
        host, _, port = address.rpartition(":")
        self._address = address
        self.socket = socket.create_connection((host, int(port)), timeout=_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._next = 1
        #: What begins a request, by its path. Repeated, it means the same to an HPACK decoder.
        self._heads: dict[str, bytes] = {}
        self._encoder = Encoder()
        # The table of what was sent before stays empty, so that all heads are independent.
        self._encoder.header_table_size = 0
        hello = _PREFACE + SettingsFrame(settings={_INITIAL_WINDOW: window}).serialize()
        if window > _CONNECTION_WINDOW:
            grow = WindowUpdateFrame(0, window_increment=window - _CONNECTION_WINDOW)
            hello += grow.serialize()
        self.socket.sendall(hello)
        # The server's windows hold from the moment that its settings are acknowledged.
        received = b""
        while not any(isinstance(each, SettingsFrame) for each in frames_in(received)):
            received += self.socket.recv(65_536)
        self.socket.sendall(SettingsFrame(flags=["ACK"]).serialize())

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self.socket.close()

    def send(self, data: bytes) -> bool:
        """Send bytes; tell whether the server still takes them."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def head(self, path: str) -> tuple[int, bytes]:
        """Return the number of a new stream, and the bytes that begin a gRPC call on it."""
        stream, self._next = self._next, self._next + 2
        if path not in self._heads:
            self._heads[path] = self._encoder.encode(
                [
                    (":method", "POST"),
                    (":scheme", "http"),
                    (":path", path),
                    (":authority", self._address),
                    ("content-type", "application/grpc"),
                    ("te", "trailers"),
                ]
            )
        return stream, HeadersFrame(stream, self._heads[path], flags=["END_HEADERS"]).serialize()

    @staticmethod
    def body(stream: int, data: bytes, *, end: bool = True) -> bytes:
        """Return the frames of a body, or of a piece of one."""
        pieces = [
            data[at : at + _FRAME_BYTES_MAX] for at in range(0, len(data), _FRAME_BYTES_MAX)
        ] or [b""]
        frames = [DataFrame(stream, piece) for piece in pieces]
        if end:
            frames[-1].flags.add("END_STREAM")
        return b"".join(frame.serialize() for frame in frames)

    def call(self, path: str, message: bytes) -> bytes:
        """Return the bytes of a whole call on a new stream."""
        stream, head = self.head(path)
        return head + self.body(stream, grpc_message(message))

    @staticmethod
    def cancel(stream: int) -> bytes:
        """Return the frame that cancels a stream."""
        return RstStreamFrame(stream, error_code=_CANCEL).serialize()

    def answered(self, wait_s: float) -> list[Frame]:
        """Read for so many seconds at most, and return the frames that came whole."""
        self.socket.settimeout(wait_s)
        data = b""
        with suppress(OSError):
            while piece := self.socket.recv(1 << 20):
                data += piece
        return frames_in(data)


def frames_in(data: bytes) -> list[Frame]:
    """Return the frames that bytes hold, without one that is cut off at the end."""
    found = []
    while len(data) >= 9:  # noqa: PLR2004 - The bytes of a frame's head.
        frame, length = Frame.parse_frame_header(memoryview(data[:9]))
        if len(data) < 9 + length:
            break
        frame.parse_body(memoryview(data[9 : 9 + length]))
        found.append(frame)
        data = data[9 + length :]
    return found
