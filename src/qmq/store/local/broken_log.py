"""Telling a damaged log from one that ends in an unfinished write.

SQLite takes a log up to the first frame (a page, and a head) with a wrong checksum: so a log looks
after a power failure in the middle of a write. Damage looks the same to SQLite, and it would drop
all that was committed from there on. But after a commit, SQLite writes nothing more before a sync
has returned, which covers all before it. So if something follows on a whole commit that was synced,
and the broken frame follows on that, the frame was right once. A commit that was not synced, since
nobody asked for that, says so by its `Mark`.

The commit with the broken frame itself is known to be whole if changing one byte makes the frame
right: the checksum tells which change of which word would. What the last commit was cannot be told.

The log's format: https://sqlite.org/fileformat2.html#walformat.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

_HEADER_BYTES: Final = 32
_HEAD_BYTES: Final = 24
#: The lowest bit says that checksums go by words of big-endian bytes.
_MAGIC: Final = 0x377F0682
_VERSION: Final = 3_007_000
_PAGE_BYTES_MIN: Final = 512
_PAGE_BYTES_MAX: Final = 65_536
_MASK: Final = 0xFFFFFFFF
_WORD_BYTES: Final = 4
_FIRST_PAGE: Final = (1).to_bytes(4, "big")
#: Where the mark stands in a frame of the first page, of which eight bytes of the head come first.
_MARK_AT: Final = 8 + 68

_Sum = tuple[int, int]


class Mark(IntEnum):
    """The application id of a database (https://sqlite.org/pragma.html#pragma_application_id).

    It marks a SQLite file as q's. A commit that is not synced writes it into the first page.
    """

    #: "qmq1".
    SYNCED = 0x716D7131
    #: "QMQ!".
    UNSYNCED = 0x514D5121


class _Frame(NamedTuple):
    #: The head up to the salts, and the page: what the checksum is of.
    summed: bytes
    salts: bytes
    #: The checksum that is written there.
    sum: _Sum

    def ends_commit(self) -> bool:
        """Whether it is the last one of a commit."""
        return self.summed[4:8] != bytes(4)

    def is_unsynced(self) -> bool:
        """Whether it says that its commit was not synced."""
        page_number, mark = self.summed[:4], self.summed[_MARK_AT : _MARK_AT + _WORD_BYTES]
        return page_number == _FIRST_PAGE and mark != Mark.SYNCED.to_bytes(_WORD_BYTES, "big")


class _Log:
    """A log, frame by frame: they count from 1."""

    def __init__(self, content: memoryview) -> None:
        self._content = content
        magic: int
        magic, version, page_bytes = struct.unpack(">III", content[:12])
        self.page_bytes = int(page_bytes)
        self._order = ">" if magic & 1 else "<"
        self.salts = bytes(content[16:24])
        self.sum: _Sum = struct.unpack(">II", content[24:_HEADER_BYTES])
        self.is_right = (
            magic & ~1 == _MAGIC
            and version == _VERSION
            and _PAGE_BYTES_MIN <= self.page_bytes <= _PAGE_BYTES_MAX
            and self.page_bytes.bit_count() == 1
            and self.sum_of(bytes(content[:24]), (0, 0)) == self.sum
        )

    def __len__(self) -> int:
        return (len(self._content) - _HEADER_BYTES) // (_HEAD_BYTES + self.page_bytes)

    def start_of(self, number: int) -> int:
        return _HEADER_BYTES + (number - 1) * (_HEAD_BYTES + self.page_bytes)

    def frame(self, number: int) -> _Frame:
        start = self.start_of(number)
        head = bytes(self._content[start : start + _HEAD_BYTES])
        page = self._content[start + _HEAD_BYTES : start + _HEAD_BYTES + self.page_bytes]
        return _Frame(
            summed=head[:8] + page,
            salts=head[8:16],
            sum=struct.unpack(">II", head[16:]),
        )

    def salts_of(self, number: int) -> bytes:
        start = self.start_of(number) + 8
        return bytes(self._content[start : start + 8])

    def sum_of(self, content: bytes, before: _Sum) -> _Sum:
        """Return SQLite's checksum of bytes that stand behind others."""
        first, second = before
        for one, other in struct.iter_unpack(f"{self._order}II", content):
            first = (first + one + second) & _MASK
            second = (second + other + first) & _MASK
        return first, second

    def mended(self, frame: _Frame, found: _Sum) -> Iterator[_Frame]:
        """Return what a frame may have been, if exactly one byte of it was changed.

        Sums of 32 bits tell the place of nearly any change. But a change in the highest bits of a
        word may have been in one of several: all of these are returned, a change in the head last.

        Args:
            frame: one that is not right.
            found: the checksum of what is in it.
        """
        wrong_salts = sum(a != b for a, b in zip(frame.salts, self.salts, strict=True))
        if wrong_salts:
            if wrong_salts == 1 and found == frame.sum:
                yield frame
            return
        if _differ_by_a_byte(found, frame.sum):
            yield frame
        wanted = tuple((told - got) & _MASK for told, got in zip(frame.sum, found, strict=True))
        count = len(frame.summed) // _WORD_BYTES
        words = struct.unpack(f"{self._order}{count}I", frame.summed)
        # The sums are linear: what one more in a word adds to them depends on where it stands.
        for at, (first, second) in zip(range(count - 1, -1, -1), _weights(), strict=False):
            odd, told = (first, wanted[0]) if first & 1 else (second, wanted[1])
            change = told * pow(odd, -1, 1 << 32) & _MASK
            word = words[at] + change & _MASK
            if (first * change & _MASK, second * change & _MASK) == wanted and _is_a_byte(
                word ^ words[at]
            ):
                summed = bytearray(frame.summed)
                struct.pack_into(f"{self._order}I", summed, at * _WORD_BYTES, word)
                yield _Frame(bytes(summed), frame.salts, frame.sum)


def problem_of(path: Path, taken: int) -> str:
    """Return what is wrong with a log, as a sentence without a stop; empty if nothing is.

    Args:
        path: the log's file, which nobody writes; there may be none.
        taken: how many frames SQLite has found in it that count.
    """
    try:
        content = memoryview(path.read_bytes())
    except FileNotFoundError:
        return ""
    if len(content) < _HEADER_BYTES + _HEAD_BYTES + _PAGE_BYTES_MIN or not any(
        content[:_HEADER_BYTES]
    ):
        # No more than its beginning was written.
        return ""
    log = _Log(content)
    if not log.is_right:
        return f"the header of {path} is damaged, without which nothing in it counts"
    before = log.frame(taken).sum if taken else log.sum
    if not (number := _lost(log, taken + 1, before)):
        return ""
    return (
        f"{path} is damaged in frame {number} of {len(log)}, and what was committed there and after"
        f" it cannot be read (`truncate -s {log.start_of(taken + 1)} {path}` has q go on without)"
    )


def _lost(log: _Log, begin: int, before: _Sum) -> int:
    """Return the number of the first frame that was damaged, if it is known to be; otherwise 0.

    Args:
        log: one whose header is right.
        begin: the number of the first frame of the commit that is not whole.
        before: the checksum of the frame before that.
    """
    broken, is_whole, is_proven = 0, True, False
    #: What the checksum of the frame before may have been; none if that is not known.
    sums = [before]
    for number in range(begin, len(log) + 1):
        # What the log held before it began anew has other salts.
        if broken and log.salts_of(number) != log.salts:
            sums, is_whole = [], False
            continue
        frame = log.frame(number)
        found = [log.sum_of(frame.summed, each) for each in sums]
        sums, may_have_been = [frame.sum], [frame]
        if frame.salts != log.salts or frame.sum not in found:
            may_have_been = list(log.mended(frame, found[0])) if found and not broken else []
            if may_have_been:
                # A byte of the checksum itself may be the one.
                sums.append(found[0])
            broken = broken or number
        elif is_proven:
            return broken
        is_whole = is_whole and any(not each.is_unsynced() for each in may_have_been)
        # Where it is not known where the byte was, it was not in the head: in a commit that was
        # never finished, a frame of the middle must not count as its end.
        if may_have_been and may_have_been[0].ends_commit():
            is_proven, is_whole = is_proven or (is_whole and broken > 0), True
    return 0


def _weights() -> Iterator[_Sum]:
    """Return what one more adds to the two sums: in the last word, and in those before it."""
    # What is in the second word of a pair goes into the second sum alone, and from there on both
    # are as those of the pair behind it.
    first, second = 0, 1
    while True:
        yield first, second
        first, second = second, (first + second) & _MASK


def _differ_by_a_byte(found: _Sum, told: _Sum) -> bool:
    differences = [one ^ other for one, other in zip(found, told, strict=True)]
    return 0 in differences and any(map(_is_a_byte, differences))


def _is_a_byte(difference: int) -> bool:
    """Whether exactly one of the four bytes of a word differs."""
    return sum(bool(difference >> shift & 0xFF) for shift in (0, 8, 16, 24)) == 1
