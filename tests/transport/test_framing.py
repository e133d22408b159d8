"""Frames, their compression, and timeouts, as gRPC writes them."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq.errors import InvalidArgument, TooLarge, Unimplemented
from qmq.transport.framing import (
    FRAME_HEAD_BYTES,
    Deframer,
    compress,
    decompress,
    frame,
    parse_timeout,
)

MESSAGE_BYTES_MAX = 1_000
messages = st.lists(st.binary(max_size=50), max_size=8)


def deframer(encoding: bytes = b"identity") -> Deframer:
    """Make a deframer of small messages."""
    return Deframer(MESSAGE_BYTES_MAX, encoding)


def framed(sent: list[bytes], zipped: list[bool]) -> bytes:
    """Put messages into frames, compressed or not in turn."""
    return b"".join(
        frame(message, gzip=zipped[at % len(zipped)]) for at, message in enumerate(sent)
    )


def test_frame_is_a_flag_a_length_and_the_message() -> None:
    """The length is four bytes, the highest first."""
    assert frame(b"") == b"\0\0\0\0\0"
    assert frame(b"abc") == b"\0\0\0\0\3abc"
    assert frame(bytes(0x010203))[:FRAME_HEAD_BYTES] == b"\0\0\1\2\3"


def test_compressed_frame_is_flagged_and_any_gzip_reads_it() -> None:
    """The length is that of the compressed message."""
    framed = frame(b"a" * 1000, gzip=True)

    assert framed[0] == 1
    assert int.from_bytes(framed[1:5], "big") == len(framed) - FRAME_HEAD_BYTES < 100
    assert gzip.decompress(framed[FRAME_HEAD_BYTES:]) == b"a" * 1000


@given(messages, st.lists(st.booleans(), min_size=1, max_size=3), st.data())
def test_messages_are_the_same_however_their_bytes_arrive(
    sent: list[bytes], zipped: list[bool], data: st.DataObject
) -> None:
    """All at once, byte by byte or cut anywhere, what goes in comes out, in order."""
    stream = framed(sent, zipped)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    at_once, by_byte, by_piece = deframer(b"gzip"), deframer(b"gzip"), deframer(b"gzip")

    assert at_once.feed(stream) == sent
    assert [m for byte in stream for m in by_byte.feed(bytes([byte]))] == sent
    assert [m for piece in pieces for m in by_piece.feed(piece)] == sent
    for each in (at_once, by_byte, by_piece):
        each.finish()


@given(st.binary(max_size=20), st.integers(1, 24))
def test_end_inside_a_frame_is_an_error(message: bytes, cut: int) -> None:
    """A stream that ends before its last frame does is refused."""
    whole = frame(message)
    partial = whole[: -min(cut, len(whole) - 1)]
    unfinished = deframer()

    assert unfinished.feed(partial) == []
    with pytest.raises(InvalidArgument, match=r"^request: ends inside a gRPC frame$"):
        unfinished.finish()


def test_message_of_the_largest_size_is_accepted() -> None:
    """The bound is on the message, the frame's head not counted, compressed or not."""
    message = bytes(MESSAGE_BYTES_MAX)

    assert deframer().feed(frame(message)) == [message]
    assert deframer(b"gzip").feed(frame(message, gzip=True)) == [message]


def test_larger_message_is_refused_by_its_head_alone() -> None:
    """Nobody waits for the rest, and the error names size and limit."""
    head = frame(bytes(MESSAGE_BYTES_MAX + 1))[:FRAME_HEAD_BYTES]

    with pytest.raises(TooLarge) as refusal:
        deframer().feed(head)

    assert refusal.value.message == (
        "the request message takes 1001 bytes or more, more than request_bytes_max of 1000;"
        " send less in one call, or start q with a higher --message-bytes-max"
    )
    assert refusal.value.metadata == {
        "limit": "request_bytes_max",
        "value": "1000",
        "current": "1001",
    }


def test_compressed_message_is_bounded_by_what_it_holds() -> None:
    """A few bytes that unpack to very many are refused, and not unpacked any further."""
    bomb = compress(bytes(100 * 1024 * 1024))
    assert len(bomb) < 200_000

    with pytest.raises(TooLarge) as refusal:
        decompress(bomb, MESSAGE_BYTES_MAX)

    # One byte more than the limit was made: enough to know.
    assert refusal.value.metadata["current"] == str(MESSAGE_BYTES_MAX + 1)


@pytest.mark.parametrize("flag", [2, 3, 128, 255])
def test_unknown_flag_is_refused(flag: int) -> None:
    """The error names the byte: it is what stands there when bytes are no gRPC at all."""
    with pytest.raises(InvalidArgument) as refusal:
        deframer().feed(bytes([flag]) + frame(b"abc")[1:])

    assert refusal.value.message == f"request: has a frame with the flag byte {flag}, not 0 or 1"


def test_compressed_frame_needs_a_named_encoding() -> None:
    """A call that announced no compression may not send any."""
    with pytest.raises(InvalidArgument, match="has a compressed frame but names no grpc-encoding"):
        deframer().feed(frame(b"abc", gzip=True))


@pytest.mark.parametrize("encoding", [b"deflate", b"snappy", b"\xff", b"x" * 10_000])
def test_other_compression_is_unimplemented(encoding: bytes) -> None:
    """The error quotes the encoding, in part if it is long, and says what there is."""
    with pytest.raises(Unimplemented) as refusal:
        deframer(encoding).feed(frame(b"abc", gzip=True))

    assert refusal.value.message.endswith(" is not supported; use gzip or identity")
    assert len(refusal.value.message) < 200


def test_uncompressed_frame_passes_whatever_the_encoding() -> None:
    """A peer may leave single messages uncompressed."""
    assert deframer(b"gzip").feed(frame(b"abc")) == [b"abc"]
    assert deframer(b"snappy").feed(frame(b"abc")) == [b"abc"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"", "it ends too early"),
        (b"not gzip", "incorrect header check"),
        (compress(b"abc")[:-1], "it ends too early"),
        (compress(b"abc")[:5], "it ends too early"),
        (compress(b"abc") + b"\0", "bytes follow its end"),
        (compress(b"abc") * 2, "bytes follow its end"),
        (compress(b"abc")[:-8] + b"\0" * 8, "incorrect data check"),
        (zlib.compress(b"abc"), "incorrect header check"),
    ],
)
def test_bad_gzip_is_refused_with_its_fault(bad: bytes, reason: str) -> None:
    """Nothing is taken for a message but one whole gzip stream."""
    with pytest.raises(InvalidArgument) as refusal:
        decompress(bad, MESSAGE_BYTES_MAX)

    assert refusal.value.message.startswith("request: is not valid gzip: ")
    assert reason in refusal.value.message


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_frames_or_an_error_of_the_family(data: bytes) -> None:
    """Whatever arrives, nothing else is raised."""
    try:
        each = deframer(b"gzip")
        each.feed(data)
        each.finish()
    except (InvalidArgument, TooLarge):
        pass


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"1H", 3600),
        (b"2M", 120),
        (b"3S", 3),
        (b"250m", 0.25),
        (b"5u", 5e-6),
        (b"7n", 7e-9),
        (b"0S", 0),
        (b"00000001S", 1),
        (b"99999999H", 99_999_999 * 3600),
    ],
)
def test_timeout_is_digits_and_a_unit(value: bytes, seconds: float) -> None:
    """Each unit of the protocol is understood."""
    assert parse_timeout(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"S",
        b"1",
        b"1s",
        b"-1S",
        b"+1S",
        b"1.5S",
        b"1 S",
        b"123456789S",
        b"1S\n",
        b"bogus",
        b"\xff",
    ],
)
def test_other_timeout_is_refused(value: bytes) -> None:
    """The error quotes it and says what to write."""
    with pytest.raises(InvalidArgument) as refusal:
        parse_timeout(value)

    quoted = repr(value.decode(errors="backslashreplace"))
    assert refusal.value.message == (
        f"grpc-timeout: must be 1 to 8 digits and one of HMSmun; got {quoted}"
    )
