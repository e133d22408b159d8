"""Length-prefixed messages, their compression, and timeouts as gRPC writes them."""

import re
import zlib
from typing import Final

from qmq.errors import InvalidArgument, TooLarge, Unimplemented

#: A flag byte and a length of four.
FRAME_HEAD_BYTES: Final = 5
COMPRESSED: Final = 1

_GZIP_WINDOW_BITS: Final = 16 + zlib.MAX_WBITS
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNIT_S: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


def parse_timeout(value: bytes) -> float:
    """Return the seconds that a grpc-timeout header allows.

    Raises:
        InvalidArgument: it is not 1 to 8 digits and a unit.
    """
    match = _TIMEOUT.fullmatch(value)
    if not match:
        text = value[:40].decode(errors="backslashreplace")
        raise InvalidArgument(
            "grpc-timeout", f"must be 1 to 8 digits and one of HMSmun; got {text!r}"
        )
    return int(match[1]) * _UNIT_S[match[2]]


def too_large(size: int, most: int) -> TooLarge:
    """Make the error for a request message over the limit; `size` may be a lower bound."""
    return TooLarge(
        f"the request message takes {size} bytes or more, more than request_bytes_max of {most};"
        " send less in one call, or start q with a higher --message-bytes-max",
        "request_bytes_max",
        most,
        size,
    )


def frame_head(size: int) -> bytes:
    """Return what stands before a message of so many bytes that is not compressed."""
    return b"\0" + size.to_bytes(4, "big")


def frame(message: bytes, *, gzip: bool = False) -> bytes:
    """Put a message into a frame."""
    if gzip:
        message = compress(message)
    return b"%c%b%b" % (COMPRESSED if gzip else 0, len(message).to_bytes(4, "big"), message)


def compress(message: bytes) -> bytes:
    """Compress with gzip."""
    compressor = zlib.compressobj(wbits=_GZIP_WINDOW_BITS)
    return compressor.compress(message) + compressor.flush()


def decompress(message: bytes, bytes_max: int) -> bytes:
    """Undo gzip, to at most `bytes_max` bytes.

    Raises:
        TooLarge: it would be larger.
        InvalidArgument: it is no gzip.
    """
    decompressor = zlib.decompressobj(wbits=_GZIP_WINDOW_BITS)
    try:
        plain = decompressor.decompress(message, bytes_max + 1)
    except zlib.error as error:
        raise InvalidArgument("request", f"is not valid gzip: {error}") from None
    if len(plain) > bytes_max:
        raise too_large(len(plain), bytes_max)
    if not decompressor.eof:
        raise InvalidArgument("request", "is not valid gzip: it ends too early")
    if decompressor.unused_data:
        raise InvalidArgument("request", "is not valid gzip: bytes follow its end")
    return plain


class Deframer:
    """Takes bytes as they arrive and gives back the messages in them."""

    def __init__(self, bytes_max: int, encoding: bytes) -> None:
        """Make a deframer.

        Args:
            bytes_max: most bytes of one message, decompressed as well.
            encoding: the call's grpc-encoding; b"identity" where it named none.
        """
        self._bytes_max = bytes_max
        self._encoding = encoding
        #: What there is of a frame's head that is not whole.
        self._head = b""
        self._flag = 0
        #: The message whose frame has begun: its size, what is still to come of it, and what came.
        #: The pieces are put together once, since a buffer that grows is copied again and again.
        self._size = self._missing = 0
        self._pieces: list[bytes] = []

    @property
    def announced(self) -> int:
        """Bytes of the message that has begun and is not whole, as its frame's head says."""
        return self._size if self._missing else 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes, and return the messages that are whole now.

        Raises:
            TooLarge: a message is over the limit.
            InvalidArgument: the bytes are no frames.
            Unimplemented: a message is compressed in a way q does not know.
        """
        messages = []
        at = 0
        while at < len(data):
            if not self._missing:
                part = data[at : at + FRAME_HEAD_BYTES - len(self._head)]
                self._head += part
                at += len(part)
                if len(self._head) < FRAME_HEAD_BYTES:
                    break
                self._begin()
            piece = data[at : at + self._missing]
            at += len(piece)
            self._pieces.append(piece)
            self._missing -= len(piece)
            if not self._missing:
                message = b"".join(self._pieces)
                self._pieces.clear()
                messages.append(self._plain(message) if self._flag else message)
        return messages

    def finish(self) -> None:
        """Check that nothing is left over.

        Raises:
            InvalidArgument: the bytes ended inside a frame.
        """
        if self._head or self._missing:
            raise InvalidArgument("request", "ends inside a gRPC frame")

    def _begin(self) -> None:
        """Read the head of a frame."""
        self._flag, size = self._head[0], int.from_bytes(self._head[1:], "big")
        self._head = b""
        if self._flag > COMPRESSED:
            raise InvalidArgument(
                "request", f"has a frame with the flag byte {self._flag}, not 0 or 1"
            )
        if size > self._bytes_max:
            raise too_large(size, self._bytes_max)
        self._size = self._missing = size

    def _plain(self, message: bytes) -> bytes:
        if self._encoding == b"gzip":
            return decompress(message, self._bytes_max)
        if self._encoding == b"identity":
            raise InvalidArgument("request", "has a compressed frame but names no grpc-encoding")
        name = self._encoding[:40].decode(errors="backslashreplace")
        raise Unimplemented(f"grpc-encoding {name!r} is not supported; use gzip or identity")
