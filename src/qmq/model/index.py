"""What the index holds of a message: one int, its number and its size.

The sequence number is in the high bits, so that entries are ordered as their messages
are; the size is in the low ones. An int of that length takes as much memory as the
sequence number alone would.
"""

from collections.abc import Iterable
from typing import Final

#: Bits of the size, for those in a hurry.
SIZE_BITS: Final = 32
_SIZE_MASK: Final = (1 << SIZE_BITS) - 1


def entry(seq: int, size: int) -> int:
    """Return the entry of a message, given its sequence number and its size in bytes."""
    return seq << SIZE_BITS | size


def entries(first_seq: int, sizes: Iterable[int]) -> list[int]:
    """Return the entries of messages whose sequence numbers follow each other."""
    return [seq << SIZE_BITS | size for seq, size in enumerate(sizes, first_seq)]


def entries_of(seqs: Iterable[int], sizes: Iterable[int]) -> list[int]:
    """Return the entries of messages, given their sequence numbers and their sizes in bytes."""
    return [seq << SIZE_BITS | size for seq, size in zip(seqs, sizes, strict=True)]


def seq_of(entry: int) -> int:
    """Return the sequence number."""
    return entry >> SIZE_BITS


def size_of(entry: int) -> int:
    """Return the size in bytes."""
    return entry & _SIZE_MASK


def seqs_of(entries: Iterable[int]) -> list[int]:
    """Return the sequence numbers of several, faster than one by one."""
    return [entry >> SIZE_BITS for entry in entries]


def sizes_of(entries: Iterable[int]) -> int:
    """Return what several take together, in bytes."""
    return sum([entry & _SIZE_MASK for entry in entries])


def sizes_each(entries: Iterable[int]) -> list[int]:
    """Return the sizes of several in bytes, one by one."""
    return [entry & _SIZE_MASK for entry in entries]
