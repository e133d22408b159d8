"""What has left is removed once, in order, a bounded part at a time, and not before it pays."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq.model.index import entry
from qmq.store.local.sweeping import Patience, Piece, Sweeper

#: Nothing is left for later.
IMPATIENT = Patience(messages_min=1, messages_max=1)

MIB = 1024 * 1024


def entries(seqs: Sequence[int], size: int = 100) -> list[int]:
    """Return messages as the index has them."""
    return [entry(seq, size) for seq in seqs]


def shuffled(count: int) -> list[int]:
    """Return so many sequence numbers from 1, in an order that is always the same."""
    seqs = list(range(1, count + 1))
    Random(count).shuffle(seqs)
    return seqs


def pieces(sweeper: Sweeper) -> list[Piece]:
    """Take all that there is to remove, as nobody waits for anything."""
    found: list[Piece] = []
    while piece := sweeper.alone(sweeper.number):
        found.append(piece)
    return found


def beside(sweeper: Sweeper, count: int = 0, size: int = 0) -> Piece | None:
    """Take what a transaction removes that adds so many messages."""
    return sweeper.beside(count, size, sweeper.number)


@pytest.mark.parametrize("count", [1, 1_999, 2_000, 4_001, 30_000])
def test_all_is_removed_once_and_in_order(count: int) -> None:
    """Whatever order it has left in: no two transactions need the same pages."""
    sweeper = Sweeper()
    seqs = shuffled(count)
    for at in range(0, count, 90):
        sweeper.leave(entries(seqs[at : at + 90]))
    assert not sweeper.is_empty()

    found = [list(piece.messages) for piece in pieces(sweeper)]

    assert [seq for part in found for seq in sorted(part)] == list(range(1, count + 1))
    assert max(map(len, found)) <= 2_000
    assert len(found) <= 1 + count / 1_900
    assert sweeper.is_empty()


def test_nothing_is_removed_beside_others_before_it_pays() -> None:
    """Not before there is enough of it, and not before it is half of what is there."""
    sweeper = Sweeper(Patience(messages_min=100))
    sweeper.live = 1_000

    asked = []
    for n in range(6):
        sweeper.leave(entries(range(100 * n, 100 * n + 99)))
        asked.append(beside(sweeper) is not None)

    assert asked == [False, False, False, False, False, True]


def test_a_few_stay_although_nothing_else_is_there() -> None:
    """They take no room to speak of."""
    sweeper = Sweeper(Patience(messages_min=100))
    sweeper.leave(entries(range(99)))

    assert beside(sweeper) is None


@pytest.mark.parametrize(
    ("patience", "count", "size"),
    [
        (Patience(messages_min=1, messages_max=50), 50, 100),
        (Patience(bytes_min=MIB, bytes_max=50 * MIB), 50, MIB),
    ],
    ids=["many", "large"],
)
def test_there_is_a_limit_however_many_are_there(patience: Patience, count: int, size: int) -> None:
    """To what they take in memory, and on disk."""
    sweeper = Sweeper(patience)
    sweeper.live = 1_000_000

    sweeper.leave(entries(range(count - 1), size))
    before = beside(sweeper)
    sweeper.leave(entries([count - 1], size))

    assert before is None
    assert beside(sweeper) is not None


def test_large_ones_do_not_wait_for_many() -> None:
    """Where little else is there, no more stays than `bytes_min`."""
    sweeper = Sweeper()
    sweeper.leave(entries(range(7), MIB))
    before = beside(sweeper)
    sweeper.leave(entries([7], MIB))

    assert before is None
    assert beside(sweeper) is not None


def test_small_transaction_is_held_up_by_little() -> None:
    """One that takes a single message removes some hundreds besides."""
    sweeper = Sweeper()
    sweeper.add(entries(shuffled(20_000)))
    sweeper.leave(entries([20_001]))

    piece = beside(sweeper)

    assert piece is not None
    assert len(piece.messages) == 200


@pytest.mark.parametrize("count", [100, 5_000])
def test_no_load_is_too_heavy(count: int) -> None:
    """Each transaction removes more than leaves by it, so that there is never much more."""
    sweeper = Sweeper()
    kept, most = 0, 0
    for n in range(200):
        sweeper.leave(entries(range(n * count, (n + 1) * count)))
        kept += count
        piece = beside(sweeper)
        kept -= len(piece.messages) if piece else 0
        most = max(most, kept)

    assert most <= 10_000 + 2 * count


def test_room_is_made_for_what_comes() -> None:
    """After a purge, who adds much has much removed."""
    sweeper = Sweeper()
    sweeper.add(entries(range(20_000)))

    piece = beside(sweeper, count=1_000, size=100_000)

    assert piece is not None
    assert len(piece.messages) == 4_000


def test_purge_is_no_load() -> None:
    """What it has dropped is not removed by the next transaction."""
    sweeper = Sweeper()
    sweeper.add(entries(range(100_000)))

    piece = beside(sweeper)

    assert piece is not None
    assert len(piece.messages) == 200


@pytest.mark.parametrize("size", [MIB, 3 * MIB])
def test_few_large_ones_go_at_once(size: int) -> None:
    """Each has hundreds of pages."""
    sweeper = Sweeper()
    sweeper.add(entries(range(1_000)))
    sweeper.add(entries(range(1_000, 11_000), size))

    found = pieces(sweeper)

    assert sum(len(piece.messages) for piece in found) == 11_000
    large = [piece for piece in found if piece.messages[-1:] and piece.messages[-1] > 3_000]
    assert max(len(piece.messages) for piece in large) * size <= 4 * MIB


def test_rows_of_leases_and_dedup_ids_go_along() -> None:
    """Some at a time, too."""
    sweeper = Sweeper()
    sweeper.add_leases(shuffled(3_000))
    sweeper.add_known(range(5_000))

    found = pieces(sweeper)

    assert [key for piece in found for key in piece.leases] == list(range(1, 3_001))
    assert [seq for piece in found for seq in piece.known] == list(range(5_000))
    assert max(len(piece.leases) for piece in found) == 500
    assert sweeper.is_empty()


def test_what_says_that_they_are_gone_goes_last() -> None:
    """Some at a time, from the oldest, and not beyond what nothing is added to any more."""
    sweeper = Sweeper()
    sweeper.begin(live=0, first=90_001, last=100_000)
    sweeper.add(entries(range(3_000)))
    sweeper.next_number()

    found: list[Piece] = []
    while piece := sweeper.alone(100_000):
        found.append(piece)

    through = [piece.through for piece in found]
    assert through[:2] == [0, 0]
    assert [each for each in through if each] == [98_000, 100_000]
    assert [len(piece.messages) for piece in found] == [2_000, 1_000, 0, 0]
    assert not sweeper.is_empty()


@given(
    steps=st.lists(
        st.tuples(
            st.lists(st.integers(0, 3_000), max_size=300),
            st.booleans(),
            st.booleans(),
        ),
        max_size=12,
    ),
    patience=st.sampled_from([IMPATIENT, Patience(messages_min=200, messages_max=200)]),
)
def test_what_says_that_a_message_is_gone_outlives_its_row(
    steps: list[tuple[list[int], bool, bool]], patience: Patience
) -> None:
    """In whatever order things leave and are removed, also by a transaction that others join."""
    sweeper = Sweeper(patience)
    rows = set(range(10_000))
    #: What each row of the table gone says.
    gone: dict[int, set[int]] = {}
    left: set[int] = set()

    def remove(piece: Piece | None) -> None:
        if piece:
            assert rows.issuperset(piece.messages)
            rows.difference_update(piece.messages)
            for number in [number for number in gone if number <= piece.through]:
                assert not gone.pop(number) & rows

    for seqs, is_joined, is_idle in steps:
        first = [seq for seq in dict.fromkeys(seqs) if seq not in left]
        left.update(first)
        number = 0
        if first:
            sweeper.leave(entries(first))
            number = sweeper.next_number()
            gone[number] = set(first)
        piece = sweeper.beside(0, 0, number - 1 if number else sweeper.number)
        if is_joined and number:
            more = [seq + 5_000 for seq in first]
            left.update(more)
            sweeper.leave(entries(more))
            gone[number].update(more)
        remove(piece)
        if is_idle:
            remove(sweeper.alone(sweeper.number))
    for piece in pieces(sweeper):
        remove(piece)

    assert (rows & left, gone, sweeper.is_empty()) == (set(), {}, True)
