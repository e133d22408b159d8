"""Abuse of HTTP/2 costs the connection that it comes on, and nobody else anything."""

import random
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from frames import Connection
from tests.acceptance.http2 import Http2Client
from tests.acceptance.running import RunningQ

POP = "/proto.Q/Pop"
#: Frames of each flood, and seconds after which it has hung.
COUNT = 30_000


def resets(connection: Connection) -> Iterator[bytes]:
    """Open streams, and cancel each at once."""
    while True:
        stream, head = connection.head(POP)
        yield head + connection.cancel(stream)


def continuations(_: Connection) -> Iterator[bytes]:
    """Begin headers that never end."""
    yield HeadersFrame(1, Encoder().encode([(":method", "POST")])).serialize()
    while True:
        yield ContinuationFrame(1, b"\x00\x01a\x01b" * 100).serialize()


def huge_headers(connection: Connection) -> Iterator[bytes]:
    """Send headers of a megabyte, each in a stream of its own."""
    field = Encoder().encode([(f"x-{number}", "y" * 1_000) for number in range(15)])
    while True:
        stream, head = connection.head(POP)
        yield HeadersFrame(stream, head[9:]).serialize()
        yield ContinuationFrame(stream, field).serialize() * 70
        yield ContinuationFrame(stream, b"", flags=["END_HEADERS"]).serialize()


def settings_frames(_: Connection) -> Iterator[bytes]:
    """Change the settings all the time."""
    while True:
        yield SettingsFrame(settings={4: 1_000, 1: 0}).serialize()


def pings(_: Connection) -> Iterator[bytes]:
    """Ping."""
    while True:
        yield PingFrame(0, b"12345678").serialize()


def priorities(_: Connection) -> Iterator[bytes]:
    """Rearrange streams that there are not."""
    while True:
        yield PriorityFrame(random.randrange(1, 99, 2), depends_on=0, stream_weight=1).serialize()


def empty_data(connection: Connection) -> Iterator[bytes]:
    """Send a body of nothing, in pieces."""
    stream, head = connection.head(POP)
    yield head
    while True:
        yield DataFrame(stream, b"").serialize()


def window_updates(_: Connection) -> Iterator[bytes]:
    """Make room for a byte more."""
    while True:
        yield WindowUpdateFrame(0, window_increment=1).serialize()


def zero_windows(connection: Connection) -> Iterator[bytes]:
    """Call again and again with a window that lets no reply through."""
    while True:
        yield connection.call("/proto.Q/ListQueues", b"")


def answers(q: RunningQ) -> bool:
    """Whether q serves a call on a connection of its own."""
    with Http2Client(q.address) as raw:
        return raw.call("/proto.Q/ListQueues").code == 0


FLOODS = [
    resets,
    continuations,
    huge_headers,
    settings_frames,
    pings,
    priorities,
    empty_data,
    window_updates,
    zero_windows,
]


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: str(flood.__name__))
def test_flood_leaves_others_alone(fuzzed_q: RunningQ, flood: object) -> None:
    """It is hung up on, or let be; others are answered, and the memory stays as it is."""
    before = resident_mib(fuzzed_q)
    connection = Connection(fuzzed_q.address, window=0 if flood is zero_windows else 65_535)
    assert callable(flood)

    # Nobody reads what comes back, so that q may in the end take no more.
    connection.socket.settimeout(2)
    for piece, _ in zip(flood(connection), range(COUNT), strict=False):
        if not connection.send(piece):
            break

    assert answers(fuzzed_q)
    connection.close()
    assert resident_mib(fuzzed_q) < before + 100


def resident_mib(q: RunningQ) -> int:
    """MiB of memory that q has."""
    with open(f"/proc/{q.pid}/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * 4 // 1024


@settings(settings.get_profile("fuzz"))
@given(
    frames=st.lists(
        st.tuples(
            st.integers(0, 12),
            st.integers(0, 255),
            st.sampled_from([0, 1, 1, 3, 2, 2**31 - 1]),
            st.binary(max_size=60),
        ),
        max_size=20,
    ),
    is_greeted=st.booleans(),
)
def test_no_frames_harm_others(
    fuzzed_q: RunningQ, frames: list[tuple[int, int, int, bytes]], *, is_greeted: bool
) -> None:
    """Frames of any kind, with any flags, in any order."""
    host, _, port = fuzzed_q.address.rpartition(":")
    data = b"".join(
        len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body
        for kind, flags, stream, body in frames
    )
    with socket.create_connection((host, int(port)), timeout=5) as connection, suppress(OSError):
        hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame().serialize()
        connection.sendall((hello if is_greeted else b"") + data)

    assert answers(fuzzed_q)
