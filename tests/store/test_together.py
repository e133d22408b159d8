"""Messages that were leased together share a row, until one of them has more to tell."""

from qmq.model.deliveries import HandedOut, Lot
from qmq.model.delivery import Delivery, State
from qmq.model.index import entries_of, entry
from qmq.store.together import Together, packed
from tests.model.queues import together as handed_out


def leased(seq: int, *, fence: int = 1) -> Delivery:
    """Make a message of ten bytes that "w" has on lease."""
    delivery = Delivery(entry(seq, 10))
    delivery.fence = delivery.count = fence
    delivery.state = State.LEASED
    delivery.until_ns, delivery.leased_ns, delivery.consumer = 90, 60, "w"
    return delivery


def test_first_leases_of_one_call_are_one_row() -> None:
    """And nobody needs a row of his own."""
    together = Together()

    rows, others = together.begin(handed_out([leased(1), leased(3)]))

    assert rows == [(1, 90, 60, "w", b"\1\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0")]
    assert others == []
    assert len(together) == 2


def test_who_has_a_history_has_a_row_of_his_own() -> None:
    """A shared one would not tell of the lease before."""
    again = leased(2, fence=2)

    [row], others = Together().begin(handed_out([leased(1), again, leased(3)]))

    assert row[0] == 1
    assert others == [again]


def test_shared_row_counts_where_his_own_tells_of_no_lease() -> None:
    """Any later one is in his own, which counts then."""
    [row], _ = Together().begin(handed_out([leased(1), leased(3), leased(4)]))
    loading = (together := Together()).load([row])
    waiting, again = Delivery(entry(1, 10, 7)), leased(3, fence=2)
    waiting.expires_ns = 99

    for known in (waiting, again):
        loading.take_own(known)

    assert (waiting.state, waiting.fence, waiting.count) == (State.LEASED, 1, 1)
    assert (waiting.until_ns, waiting.leased_ns, waiting.consumer) == (90, 60, "w")
    assert (waiting.priority, waiting.expires_ns) == (7, 99)
    assert (again.fence, len(together)) == (2, 1)
    assert together.leave([1]) == [row[0]]


def test_one_alone_has_a_row_of_his_own() -> None:
    """Which is as good, and simpler."""
    alone = leased(1)
    together = Together()

    assert together.begin(handed_out([alone])) == ([], [alone])
    assert len(together) == 0


def test_row_is_done_when_the_last_has_left_it() -> None:
    """Whoever is in none makes no difference."""
    together = Together()
    together.begin(handed_out([leased(1), leased(3), leased(5)]))

    assert together.leave([3, 7]) == []
    assert together.leave([3, 1]) == []
    assert together.leave([5]) == [1]
    assert len(together) == 0


def test_row_is_read_for_those_that_are_there() -> None:
    """With all that it says; a row about nobody is left over."""
    [row], _ = Together().begin(handed_out([leased(1), leased(3)]))
    [gone], _ = Together().begin(handed_out([leased(5), leased(7)]))
    together = Together()

    loading = together.load([row, gone])
    found = [loading.take(seq, 10) for seq in (1, 2)]

    assert found[1] is None
    assert found[0] is not None
    one, expected = found[0], leased(1)
    assert [getattr(one, name) for name in Delivery.__slots__] == [
        getattr(expected, name) for name in Delivery.__slots__
    ]
    assert loading.left_over() == [5]
    assert together.leave([1]) == [1]


def test_lot_is_kept_by_one_row_of_which_its_queue_knows_more() -> None:
    """Until it is broken up: then each that is left has to leave the row."""
    together = Together()
    lot = Lot([1, 3, 5], entries_of([1, 3, 5], [10] * 3), until_ns=90, leased_ns=60, consumer="w")
    of_call = HandedOut(list(lot.entries), 90)
    of_call.lot = lot

    rows, others = together.begin(of_call)

    assert rows == [(1, 90, 60, "w", packed([1, 3, 5]))]
    assert (others, len(together)) == ([], 0)
    lot.leave([1])
    assert lot.on_break_up
    lot.on_break_up(lot)
    assert len(together) == 2
    assert together.leave([5]) == []
    assert together.leave([3]) == [1]
