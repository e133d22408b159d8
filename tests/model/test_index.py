"""What the index holds of a message."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from qmq.model.index import entries, entry, seq_of, seqs_of, size_of, sizes_of

#: Moments in nanoseconds since 1970, up to the year 2554.
seqs = st.integers(0, 2**64 - 1)
#: Up to 4 GiB, a thousand times what q carries.
sizes = st.integers(0, 2**32 - 1)


@given(seqs, sizes)
def test_entry_gives_back_what_was_put_in(seq: int, size: int) -> None:
    """Number and size, whatever they are."""
    made = entry(seq, size)

    assert (seq_of(made), size_of(made)) == (seq, size)


@given(st.lists(st.tuples(seqs, sizes), max_size=20, unique_by=lambda message: message[0]))
def test_entries_are_in_the_order_of_their_messages(messages: list[tuple[int, int]]) -> None:
    """Sizes have no say in it."""
    in_order = sorted(entry(seq, size) for seq, size in messages)

    assert [seq_of(each) for each in in_order] == sorted(seq for seq, _ in messages)


@given(seqs, st.lists(sizes, max_size=20))
def test_entries_of_a_batch_are_those_of_its_messages(first: int, sizes: list[int]) -> None:
    """The numbers follow each other without a gap."""
    one_by_one = [entry(first + at, size) for at, size in enumerate(sizes)]

    assert entries(first, sizes) == one_by_one


@given(st.lists(st.builds(entry, seqs, sizes), max_size=20))
def test_entries_are_read_at_once_as_one_by_one(entries: list[int]) -> None:
    """The numbers in order, and the sum of the sizes."""
    assert seqs_of(entries) == [seq_of(each) for each in entries]
    assert sizes_of(entries) == sum(size_of(each) for each in entries)


def test_entry_takes_no_more_memory_than_the_number_alone() -> None:
    """Python's ints grow by four bytes, and memory is given out in pieces of sixteen."""
    seq = 1_700_000_000_000_000_000

    def piece(n: int) -> int:
        return -(-sys.getsizeof(n) // 16)

    assert piece(entry(seq, 4 * 1024 * 1024)) == piece(seq)
