"""What the index holds of a message: one int, its number, its priority and its size.

The sequence number is in the high bits, so that entries are ordered as their messages
are; the priority and the size are in the low ones. An int of that length takes as much memory
as the sequence number alone would.
"""

from collections.abc import Iterable
from typing import Final

_SIZE_BITS: Final = 32
_SIZE_MASK: Final = (1 << _SIZE_BITS) - 1
_PRIORITY_MASK: Final = 0xFF

#: Bits below the sequence number, for those in a hurry: without a priority, these are the size.
SEQ_SHIFT: Final = 40


def entry(seq: int, size: int, priority: int = 0) -> int:
    """Return the entry of a message.

    Args:
        seq: its sequence number.
        size: what it takes, in bytes.
        priority: 0 to 255.
    """
    return seq << SEQ_SHIFT | priority << _SIZE_BITS | size


def entries(first_seq: int, sizes: Iterable[int]) -> list[int]:
    """Return the entries of messages without priority whose numbers follow each other."""
    return [seq << SEQ_SHIFT | size for seq, size in enumerate(sizes, first_seq)]


def entries_of(seqs: Iterable[int], sizes: Iterable[int], priority: int = 0) -> list[int]:
    """Return the entries of messages of one priority, given their numbers and sizes in bytes."""
    if priority:
        low = priority << _SIZE_BITS
        return [seq << SEQ_SHIFT | low | size for seq, size in zip(seqs, sizes, strict=True)]
    return [seq << SEQ_SHIFT | size for seq, size in zip(seqs, sizes, strict=True)]


def seq_of(entry: int) -> int:
    """Return the sequence number."""
    return entry >> SEQ_SHIFT


def size_of(entry: int) -> int:
    """Return the size in bytes."""
    return entry & _SIZE_MASK


def priority_of(entry: int) -> int:
    """Return the priority."""
    return entry >> _SIZE_BITS & _PRIORITY_MASK


def seqs_of(entries: Iterable[int]) -> list[int]:
    """Return the sequence numbers of several, faster than one by one."""
    return [entry >> SEQ_SHIFT for entry in entries]


def sizes_of(entries: Iterable[int]) -> int:
    """Return what several take together, in bytes."""
    return sum([entry & _SIZE_MASK for entry in entries])


def sizes_each(entries: Iterable[int]) -> list[int]:
    """Return the sizes of several in bytes, one by one."""
    return [entry & _SIZE_MASK for entry in entries]
