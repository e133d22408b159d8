"""Messages that were leased together are one object, until more is to be said of one of them."""

from qmq.model.check import problems_of
from qmq.model.deliveries import Lot
from qmq.model.delivery import State
from qmq.model.index import entries, entry, seq_of
from qmq.model.leases import Gone
from qmq.model.queue import Queue
from qmq.testing import START_NS
from qmq.values import NackKind
from tests.model.queues import EVERYTHING, LEASE_NS, SIZE, filled, leased, queue

END_NS = START_NS + LEASE_NS


def lease(q: Queue, count: int, now_ns: int = START_NS, consumer: str = "w") -> Lot:
    """Lease messages that make a lot, of which nobody needs to know more."""
    handed_out = q.lease(now_ns, LEASE_NS, count, EVERYTHING, consumer)
    assert handed_out.lot
    assert handed_out.deliveries == []
    return handed_out.lot


def entries_of(*seqs: int) -> list[int]:
    """Return the entries of messages."""
    return [entry(seq, SIZE) for seq in seqs]


def lots(q: Queue) -> list[int]:
    """Return the lots of a queue, each by the number of its first message; it must be sound."""
    assert problems_of(q) == []
    return [lot.first_seq for lot in q.leases.by_seq.lots]


def test_several_messages_make_a_lot() -> None:
    """Of which there is one moment to be reminded of."""
    q = filled(queue(), range(1, 10))

    lot = lease(q, 5)

    assert (list(lot.seqs), list(lot.entries)) == ([1, 2, 3, 4, 5], entries(1, [SIZE] * 5))
    assert (lot.until_ns, lot.leased_ns, lot.consumer) == (END_NS, START_NS, "w")
    assert (q.leases.leased, q.leases.bytes, q.leases.held_by) == (5, 5 * SIZE, {"w": 5})
    assert list(q.leases.moments()) == [(END_NS, 1)]
    assert lots(q) == [1]


def test_one_message_alone_makes_none() -> None:
    """Which would be no cheaper."""
    q = filled(queue(), range(1, 3))

    assert q.lease(START_NS, LEASE_NS, 1, EVERYTHING, "w").lot is None
    assert lots(q) == []


def test_all_of_a_lot_are_acked_at_once() -> None:
    """In their order, or in another one."""
    for seqs in ([1, 2, 3], [3, 1, 2]):
        q = filled(queue(), range(1, 4))
        lease(q, 3)

        assert q.ack_first(seqs) == Gone(entries_of(*seqs), [1])

        assert (q.acked_total, q.message_count, q.leases.held_by) == (3, 0, {})
        assert (lots(q), len(q.leases.by_seq)) == ([], 0)


def test_some_of_a_lot_are_acked() -> None:
    """The others stay one: also if the first has left, of which it has its name."""
    q = filled(queue(), range(1, 6))
    lease(q, 5)

    assert q.ack_first([1, 3]) == Gone(entries_of(1, 3), [])

    assert (lots(q), list(q.leases.by_seq), q.leases.held_by) == ([1], [2, 4, 5], {"w": 3})
    assert q.ack_first([5, 4, 2]) == Gone(entries_of(5, 4, 2), [1])
    assert lots(q) == []


def test_messages_of_several_lots_are_acked_at_once() -> None:
    """Each consumer holds as many fewer as it had of them."""
    q = filled(queue(), range(1, 10))
    lease(q, 3, consumer="a")
    lease(q, 3, consumer="b")

    gone = q.ack_first([5, 1, 2, 6, 3])

    assert gone
    assert (sorted(gone.entries), gone.lots) == (entries_of(1, 2, 3, 5, 6), [1])
    assert (lots(q), q.leases.held_by) == ([4], {"b": 1})


def test_nothing_is_acked_where_one_is_in_no_lot() -> None:
    """Or twice there: then each has to be looked at."""
    q = filled(queue(), range(1, 10))
    lease(q, 3)
    leased(q, 1)

    for seqs in ([1, 2, 4], [1, 1], [4], [9], [1, 99], [1, 2, 3, 3], [1, 2, 2]):
        assert q.ack_first(seqs) is None

    assert (lots(q), list(q.leases.by_seq), q.acked_total) == ([1], [1, 2, 3, 4], 0)


def test_whoever_asks_for_a_message_breaks_its_lot_up() -> None:
    """What it gets can be changed, and each of the others has an object of its own as well."""
    q = filled(queue(), range(1, 7))
    lot, other = lease(q, 3), lease(q, 3)
    told: list[tuple[int, list[int]]] = []
    lot.on_break_up = lambda lot: told.append((lot.first_seq, list(lot.seqs)))
    q.ack_first([1])

    delivery = q.leases.find(2, 1)

    assert delivery
    assert (delivery.seq, delivery.entry, delivery.state) == (2, entry(2, SIZE), State.LEASED)
    assert (delivery.fence, delivery.count, delivery.consumer) == (1, 1, "w")
    assert (delivery.leased_ns, delivery.until_ns) == (START_NS, END_NS)
    assert q.leases.find(2, 1) is delivery
    assert told == [(1, [2, 3])]
    assert lots(q) == [other.first_seq]
    assert list(q.leases.by_seq) == [2, 3, 4, 5, 6]
    assert q.ack_all([(3, 1), (2, 1)]) == entries_of(3, 2)


def test_lot_of_which_the_first_has_left_ends_in_time() -> None:
    """Each of its messages by itself, as if there had been no lot; not a nanosecond earlier."""
    q = filled(queue(), range(1, 6))
    lease(q, 4)
    q.ack_first([1])

    assert q.pass_time(END_NS - 1) == ([], [], [])
    assert (lots(q), q.leases.leased) == ([1], 3)
    assert q.pass_time(END_NS) == ([], [], [])

    assert lots(q) == []
    assert [seq_of(each) for each in q.ready] == [2, 3, 4, 5]
    assert {each.state for each in q.leases.by_seq.values()} == {State.EXPIRED}
    assert q.leases.find_for_ack(3, 1)


def test_whoever_only_looks_breaks_nothing_up() -> None:
    """What it gets is a copy."""
    q = filled(queue(), range(1, 4))
    lease(q, 3)

    [copy, *_] = q.leases.by_seq.values()
    copy.state = State.DELAYED

    assert [each.state for each in q.leases.by_seq.values()] == [State.LEASED] * 3
    assert lots(q) == [1]


def test_messages_that_come_back_are_handed_out_beside_a_lot() -> None:
    """In order; those that come for the first time are a lot all the same."""
    q = filled(queue(), range(1, 6))
    back, staying = leased(q, 2, consumer="a")
    q.leases.give_back(back, NackKind.FAIL, START_NS, 0, "")

    handed_out = q.lease(START_NS + 1, LEASE_NS, 9, EVERYTHING, "b")

    assert handed_out.seqs == [1, 3, 4, 5]
    assert handed_out.lot
    assert list(handed_out.lot.seqs) == [3, 4, 5]
    assert handed_out.deliveries == [back]
    assert back.fence == 2
    assert (q.redelivered_total, q.leases.held_by) == (1, {"a": 1, "b": 4})
    assert lots(q) == [3]
    q.ack(staying)


def test_lot_goes_on_where_groups_come_later() -> None:
    """It is one of messages without any."""
    q = filled(queue(), range(1, 4))
    lease(q, 3)
    q.pause_group("a", START_NS)

    assert lots(q) == [1]
    assert q.ack_first([1, 2])
    assert lots(q) == [1]
    q.pass_time(END_NS)
    assert [seq_of(each) for each in q.ready] == [3]
    assert lots(q) == []


def test_useless_moments_of_lots_do_not_gather() -> None:
    """However many are acked long before their end."""
    q = queue()
    for start in range(1, 100_000, 20):
        filled(q, range(start, start + 20))
        lease(q, 20)
        q.ack_first(list(range(start, start + 20)))

    assert len(list(q.leases.moments())) < 1_100
    assert lots(q) == []


def test_clear_takes_lots_too() -> None:
    """With what is left of them."""
    q = filled(queue(), range(1, 5))
    lease(q, 3)
    q.ack_first([2])

    assert sorted(q.drop_all()) == entries_of(1, 3, 4)
    assert (lots(q), len(q.leases.by_seq), q.next_moment_ns()) == ([], 0, None)
