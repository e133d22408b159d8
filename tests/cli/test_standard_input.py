"""How what comes on standard input is cut into lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq.cli.standard_input import lines_of

ALPHABET = st.sampled_from([b"a", b"\n", b"\0", b"\r"])


def cut(*pieces: bytes, end: bytes = b"\n", keeps_ends: bool = False) -> list[bytes]:
    """All lines of what comes in pieces."""
    return [line for lines in lines_of(pieces, end, keeps_ends=keeps_ends) for line in lines]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\nb", [b"a", b"b"]),
        (b"\n", [b""]),
        (b"\n\n", [b"", b""]),
        (b"a\r\n\x00\xff\n", [b"a\r", b"\x00\xff"]),
    ],
)
def test_a_line_break_ends_a_line(text: bytes, lines: list[bytes]) -> None:
    """Nothing else does, and the last one may be missing."""
    assert cut(text) == lines


def test_another_byte_may_end_lines() -> None:
    """As names of files end in what `find -print0` prints."""
    assert cut(b"a\nb\0c\0", end=b"\0") == [b"a\nb", b"c"]


def test_lines_are_given_as_soon_as_they_are_complete() -> None:
    """Each piece gives its own, if any: who follows a slow writer waits for no more."""
    pieces = iter([b"a\nb", b"c", b"\nd\n", b"e"])

    assert list(lines_of(pieces, b"\n", keeps_ends=False)) == [
        [b"a"],
        [],
        [b"bc", b"d"],
        [],
        [b"e"],
    ]


@given(pieces=st.lists(st.lists(ALPHABET).map(b"".join)), end=st.sampled_from([b"\n", b"\0"]))
def test_lines_with_their_ends_are_the_whole(pieces: list[bytes], end: bytes) -> None:
    """However it comes in pieces, no byte is lost or added."""
    whole = b"".join(pieces)

    kept = cut(*pieces, end=end, keeps_ends=True)
    stripped = cut(*pieces, end=end)

    assert b"".join(kept) == whole
    assert stripped == [line.removesuffix(end) for line in kept]
    assert stripped == cut(whole, end=end)
    assert not any(end in line for line in stripped)
