"""The rules of leases."""

import pytest

from qmq.envelope import HANDED_OUT_OVERHEAD_BYTES
from qmq.errors import LeaseLost
from qmq.model.delivery import Delivery, State
from qmq.model.index import entries, seq_of
from qmq.model.leases import Leases
from qmq.model.ready import Ready
from qmq.model.reply_sizes import attempts_bytes
from qmq.values import NackKind, Outcome
from tests.model.queues import EVERYTHING, SIZE, one_by_one, together

#: What a message takes in a reply that hands it out for the first time.
COST = SIZE + HANDED_OUT_OVERHEAD_BYTES


class Held:
    """One who holds leases, as many as it gets, and takes note of them."""

    room = 1_000

    def __init__(self) -> None:
        self.lease_ids: dict[int, str] = {}

    def lease_began(self, seq: int, lease_id: str) -> None:
        """Hold a lease."""
        self.lease_ids[seq] = lease_id

    def lease_ended(self, seq: int) -> None:
        """Hold it no more."""
        del self.lease_ids[seq]


def leases_over(count: int) -> tuple[Leases, Ready]:
    """Make leases over a line of so many messages, numbered from 1."""
    ready = Ready()
    ready.extend(entries(1, [SIZE] * count), SIZE * count)
    return Leases(ready), ready


def hand_out(
    leases: Leases, count: int = 1, *, now_ns: int = 100, until_ns: int = 200, consumer: str = ""
) -> list[Delivery]:
    """Put messages at the head on lease."""
    return one_by_one(leases, leases.hand_out(now_ns, until_ns, count, EVERYTHING, consumer))


def seqs_in(ready: Ready) -> list[int]:
    """Return the numbers of the messages that are ready."""
    return [seq_of(each) for each in ready]


def give_back(leases: Leases, delivery: Delivery, *, delay_ns: int = 0) -> None:
    """Release a message."""
    leases.give_back(delivery, NackKind.RELEASE, 150, delay_ns, "")


def test_messages_are_handed_out_from_the_head() -> None:
    """As many as asked for; the others stay in the line."""
    leases, ready = leases_over(3)

    handed_out = hand_out(leases, 2, consumer="w1")

    assert [each.seq for each in handed_out] == [1, 2]
    assert seqs_in(ready) == [3]
    for each in handed_out:
        assert (each.state, each.until_ns, each.leased_ns) == (State.LEASED, 200, 100)
        assert (each.fence, each.count, each.consumer) == (1, 1, "w1")
    assert (leases.leased, leases.delayed, leases.held_by) == (2, 0, {"w1": 2})


def test_no_more_are_handed_out_than_there_are() -> None:
    """And none from an empty line."""
    leases, _ = leases_over(2)

    assert len(hand_out(leases, 9)) == 2
    assert hand_out(leases, 9) == []
    assert leases.held_by == {"": 2}


def test_no_more_are_handed_out_than_a_reply_carries() -> None:
    """To the byte; but one in any case."""
    for bytes_max, count in ((3 * COST, 3), (3 * COST - 1, 2), (COST, 1), (1, 1)):
        leases, _ = leases_over(5)
        assert len(leases.hand_out(100, 200, 9, bytes_max, "")) == count


def test_history_counts_for_what_a_reply_carries() -> None:
    """It is told together with the message, and is as long as its texts."""
    leases, _ = leases_over(2)
    for each in hand_out(leases, 2, consumer="w"):
        leases.give_back(each, NackKind.FAIL, 150, 0, "\u00e4" * 50)
    history = attempts_bytes(leases.by_seq[1])

    assert 101 < history < 101 + 50
    both = 2 * (COST + history)
    assert len(leases.hand_out(300, 400, 9, both - 1, "")) == 1
    give_back(leases, leases.by_seq[1])
    assert len(leases.hand_out(300, 400, 9, 3 * both, "")) == 2


def test_each_delivery_has_a_lease_of_its_own() -> None:
    """The fence grows with each, also with those that do not count."""
    leases, _ = leases_over(1)
    names = []
    for _ in range(3):
        (delivery,) = hand_out(leases)
        names.append(delivery.lease_id)
        give_back(leases, delivery)

    assert names == sorted(set(names))
    assert (leases.by_seq[1].fence, leases.by_seq[1].count) == (3, 0)


def test_lease_that_is_held_is_found() -> None:
    """By message and fence."""
    leases, _ = leases_over(1)
    (delivery,) = hand_out(leases)

    assert leases.find(1, 1) is delivery
    assert leases.find_for_ack(1, 1) is delivery


@pytest.mark.parametrize("seq", [1, 2])
def test_message_that_is_not_there_or_was_never_leased_is_not_found(seq: int) -> None:
    """Neither is an error here: the caller knows more."""
    leases, _ = leases_over(1)

    assert leases.find(seq, 1) is None
    assert leases.find_for_ack(seq, 1) is None


@pytest.mark.parametrize("fence", [0, 1, 3])
def test_lease_of_another_delivery_is_lost(fence: int) -> None:
    """Earlier or never given; who has the message now is told, and keeps it."""
    leases, _ = leases_over(1)
    give_back(leases, hand_out(leases)[0])
    (held,) = hand_out(leases, consumer="w2")

    for find in (leases.find, leases.find_for_ack):
        with pytest.raises(LeaseLost) as refusal:
            find(1, fence)
        assert "; its message is leased to 'w2' until " in refusal.value.message

    assert held.state is State.LEASED


@pytest.mark.parametrize("delay_ns", [0, 50])
def test_lease_that_was_given_back_is_lost(delay_ns: int) -> None:
    """To an ack as well: its holder has said that the work is not done."""
    leases, _ = leases_over(1)
    give_back(leases, hand_out(leases)[0], delay_ns=delay_ns)

    for find in (leases.find, leases.find_for_ack):
        with pytest.raises(LeaseLost, match="was released at"):
            find(1, 1)


def test_lease_that_ran_out_can_be_acked_until_the_message_is_handed_out_again() -> None:
    """But neither extended nor given back."""
    leases, _ = leases_over(1)
    (delivery,) = hand_out(leases)
    leases.pass_time(200, 0)

    with pytest.raises(LeaseLost, match=r"expired at .*; its message is ready to be handed out"):
        leases.find(1, 1)
    assert leases.find_for_ack(1, 1) is delivery

    hand_out(leases, until_ns=300)
    with pytest.raises(LeaseLost, match="expired at"):
        leases.find_for_ack(1, 1)


@pytest.mark.parametrize(
    "other",
    [(1, 1), (2, 0), (2, 2), (3, 1), (4, 1), (5, 1), (6, 1), (9, 1)],
    ids=["twice", "before", "after", "given-back", "delayed", "expired", "never", "nothing"],
)
def test_several_leases_are_found_if_all_of_them_are_held(other: tuple[int, int]) -> None:
    """In the order in which they are named; one that is not held, or twice there, spoils it."""
    leases, _ = leases_over(6)
    first, second, released, delayed = hand_out(leases, 4, until_ns=900)
    hand_out(leases)
    give_back(leases, released)
    give_back(leases, delayed, delay_ns=500)
    leases.pass_time(200, 0)

    assert leases.all_held([(2, 1), (1, 1)]) == [second, first]
    for at in range(3):
        named = [(2, 1), (1, 1)]
        named.insert(at, other)
        assert leases.all_held(named) is None


def test_released_message_is_ready_and_was_not_delivered() -> None:
    """At its old place; that it was out is written down."""
    leases, ready = leases_over(2)
    (delivery,) = hand_out(leases, consumer="w")

    leases.give_back(delivery, NackKind.RELEASE, 150, 0, "off home")

    assert seqs_in(ready) == [1, 2]
    assert (delivery.state, delivery.fence, delivery.count) == (State.RETURNED, 1, 0)
    assert delivery.attempts == ((1, "w", 100, 150, Outcome.RELEASED, "off home"),)
    assert (leases.leased, leases.held_by) == (0, {})


def test_failed_message_was_delivered() -> None:
    """It counts."""
    leases, _ = leases_over(1)
    (delivery,) = hand_out(leases)

    leases.give_back(delivery, NackKind.FAIL, 150, 0, "")

    assert delivery.count == 1
    assert delivery.attempts[-1].outcome is Outcome.FAILED


def test_message_is_kept_back_for_its_delay() -> None:
    """It is ready when that is over, not a nanosecond earlier, at its old place."""
    leases, ready = leases_over(2)
    (delivery,) = hand_out(leases)

    leases.give_back(delivery, NackKind.FAIL, 150, 70, "")

    assert (delivery.state, leases.delayed, seqs_in(ready)) == (State.DELAYED, 1, [2])
    assert leases.pass_time(219, 0) == ([], [])
    assert seqs_in(ready) == [2]
    assert leases.pass_time(220, 1) == ([], [])
    assert (delivery.state, leases.delayed, seqs_in(ready)) == (State.RETURNED, 0, [1, 2])
    assert len(delivery.attempts) == 1


def test_lease_ends_when_its_time_is_over() -> None:
    """Not a nanosecond earlier; that is written down with the moment at which it ended."""
    leases, ready = leases_over(2)
    (delivery,) = hand_out(leases, consumer="w")

    leases.pass_time(199, 0)
    assert (delivery.state, seqs_in(ready)) == (State.LEASED, [2])
    leases.pass_time(250, 0)

    assert (delivery.state, delivery.count, seqs_in(ready)) == (State.EXPIRED, 1, [1, 2])
    assert delivery.attempts == ((1, "w", 100, 200, Outcome.EXPIRED, ""),)
    assert (leases.leased, leases.held_by, leases.next_moment_ns()) == (0, {}, None)


def test_extended_lease_ends_later() -> None:
    """Its former end passes without anything happening."""
    leases, _ = leases_over(1)
    (delivery,) = hand_out(leases)

    leases.extend(delivery, 500)

    leases.pass_time(499, 0)
    assert delivery.state is State.LEASED
    leases.pass_time(500, 0)
    assert (delivery.state, delivery.attempts[0].ended_ns) == (State.EXPIRED, 500)


def test_lease_can_be_made_to_end_earlier() -> None:
    """An extension says when it ends, not how much longer it lasts."""
    leases, _ = leases_over(1)
    (delivery,) = hand_out(leases)

    leases.extend(delivery, 120)

    assert leases.next_moment_ns() == 120
    leases.pass_time(120, 0)
    assert delivery.state is State.EXPIRED


def test_lease_that_is_made_to_end_earlier_does_so_among_many() -> None:
    """Also when that is the moment at which useless reminders are dropped."""
    leases, _ = leases_over(1)
    (delivery,) = hand_out(leases, until_ns=10**6)

    for until_ns in range(10**6 - 1, 10**6 - 3_000, -1):
        leases.extend(delivery, until_ns)
        assert min(moment_ns for moment_ns, _ in leases.moments()) == until_ns


@pytest.mark.parametrize("at_once", [0, 1, 100])
def test_reminders_of_leases_that_are_over_do_not_gather(at_once: int) -> None:
    """However many leases are acked long before their end, one by one or many at once."""
    leases, ready = leases_over(0)
    for entry in entries(1, [SIZE] * 10_000):
        ready.append(entry)
        if not at_once:
            leases.forget(hand_out(leases)[0])
        elif len(ready) == at_once:
            leases.forget_all(hand_out(leases, at_once))

    assert len(list(leases.moments())) < 1_100 + at_once
    assert leases.by_seq == {}


def test_message_is_not_ended_by_the_reminder_of_an_earlier_lease() -> None:
    """Each lease lasts for its own time."""
    leases, _ = leases_over(1)
    give_back(leases, hand_out(leases, until_ns=200)[0])
    (delivery,) = hand_out(leases, now_ns=160, until_ns=900)

    leases.pass_time(300, 0)

    assert (delivery.state, leases.next_moment_ns()) == (State.LEASED, 900)


@pytest.mark.parametrize(("most", "is_worn_out"), [(0, False), (1, True), (2, True), (3, False)])
def test_message_whose_lease_runs_out_is_told_if_it_was_its_last(
    most: int, *, is_worn_out: bool
) -> None:
    """It was delivered as often as it may, or more often since that was lowered."""
    leases, _ = leases_over(1)
    leases.give_back(hand_out(leases)[0], NackKind.FAIL, 150, 0, "")
    (delivery,) = hand_out(leases, until_ns=300)

    assert leases.pass_time(300, most) == ([delivery] if is_worn_out else [], [])
    assert leases.pass_time(999, most) == ([], [])


def test_end_of_a_delay_wears_nothing_out() -> None:
    """What was given back in time may be delivered once more than the maximum of now."""
    leases, _ = leases_over(1)
    leases.give_back(hand_out(leases)[0], NackKind.FAIL, 150, 50, "")

    assert leases.pass_time(200, 1) == ([], [])


@pytest.mark.parametrize("state", list(State))
def test_message_can_be_forgotten_in_any_state(state: State) -> None:
    """It is gone from the line and from the counts; the others stay."""
    leases, ready = leases_over(3)
    first, second = hand_out(leases, 2, consumer="w")
    leases.extend(second, 900)
    match state:
        case State.RETURNED:
            give_back(leases, first)
        case State.DELAYED:
            give_back(leases, first, delay_ns=50)
        case State.EXPIRED:
            leases.pass_time(200, 0)
        case State.LEASED:
            pass
    assert first.state is state

    leases.forget(first)
    leases.pass_time(800, 0)

    assert list(leases.by_seq) == [2]
    assert seqs_in(ready) == [3]
    assert (leases.leased, leases.delayed, leases.held_by) == (1, 0, {"w": 1})


def test_several_messages_are_forgotten_at_once() -> None:
    """What is counted is right after that; the others go on."""
    leases, ready = leases_over(5)
    one, two = hand_out(leases, 2, consumer="a")
    three, four = hand_out(leases, 2, consumer="b")

    leases.forget_all([four, one, two])

    assert leases.by_seq == {3: three}
    assert seqs_in(ready) == [5]
    assert (leases.leased, leases.delayed, leases.held_by) == (1, 0, {"b": 1})
    leases.pass_time(200, 0)
    assert (three.state, seqs_in(ready)) == (State.EXPIRED, [3, 5])


def test_next_moment_is_the_earliest_end() -> None:
    """Of a lease or of a delay."""
    leases, _ = leases_over(3)
    assert leases.next_moment_ns() is None
    first, _, _ = hand_out(leases, 3, until_ns=200)
    assert leases.next_moment_ns() == 200

    give_back(leases, first, delay_ns=7)

    assert leases.next_moment_ns() == 157


@pytest.mark.parametrize("state", list(State))
def test_what_a_store_has_kept_is_taken_over(state: State) -> None:
    """A lease goes on, a delay too, and what was ready is so, at its place."""
    leases, ready = leases_over(2)
    (known,) = hand_out(leases, consumer="w")
    known.state = state
    again, line = leases_over(0)

    again.restore(known)
    line.append(ready.take())

    is_ready = state in (State.RETURNED, State.EXPIRED)
    assert seqs_in(line) == ([1, 2] if is_ready else [2])
    assert again.leased == (state is State.LEASED)
    assert again.held_by == ({"w": 1} if state is State.LEASED else {})
    assert again.delayed == (state is State.DELAYED)
    assert again.next_moment_ns() == (None if is_ready else 200)


def test_clear_tells_what_was_in_no_line() -> None:
    """Those on lease and those kept back; of the others, too, nothing is known any more."""
    leases, _ = leases_over(4)
    first, second, *_ = hand_out(leases, 3)
    give_back(leases, first)
    give_back(leases, second, delay_ns=50)

    assert leases.clear() == entries(2, [SIZE, SIZE])

    assert (len(leases.by_seq), leases.held_by, leases.next_moment_ns()) == (0, {}, None)
    assert (leases.leased, leases.delayed) == (0, 0)


def test_each_consumer_is_counted_by_name() -> None:
    """For as long as it holds something."""
    leases, _ = leases_over(5)
    first = hand_out(leases, 2, consumer="a")
    hand_out(leases, 1, consumer="b")
    hand_out(leases, 1)

    assert leases.held_by == {"a": 2, "b": 1, "": 1}
    for each in first:
        leases.forget(each)
    assert leases.held_by == {"b": 1, "": 1}


def test_holder_is_told_of_its_leases_until_they_end() -> None:
    """By an ack, a nack, or time; of those of others it hears nothing."""
    leases, _ = leases_over(5)
    hand_out(leases)
    acked, released, delayed, expiring = hand_out(leases, 4)
    mine = Held()
    leases.hold(together([acked, released, delayed, expiring]), mine)
    leases.extend(expiring, 500)
    counts = [len(mine.lease_ids)]

    leases.forget(acked)
    counts.append(len(mine.lease_ids))
    give_back(leases, released)
    counts.append(len(mine.lease_ids))
    give_back(leases, delayed, delay_ns=10)
    counts.append(len(mine.lease_ids))
    leases.pass_time(400, 0)
    assert mine.lease_ids == {expiring.seq: expiring.lease_id}
    leases.pass_time(500, 0)

    assert counts == [4, 3, 2, 1]
    assert mine.lease_ids == {}


def test_holder_is_told_of_ends_that_come_together() -> None:
    """Of its own, whoever else has acked with it."""
    leases, _ = leases_over(4)
    mine, others = Held(), Held()
    first, second, third = hand_out(leases, 3)
    (nobodys,) = hand_out(leases)
    leases.hold(together([first, second]), mine)
    leases.hold(together([third]), others)

    leases.forget_all([second, nobodys, third])

    assert mine.lease_ids == {1: first.lease_id}
    assert others.lease_ids == {}


def test_holder_is_told_when_everything_is_forgotten() -> None:
    """As when the queue is purged or deleted."""
    leases, _ = leases_over(2)
    mine = Held()
    leases.hold(leases.hand_out(100, 200, 2, EVERYTHING, ""), mine)

    leases.clear()

    assert mine.lease_ids == {}


def test_holder_hears_nothing_of_the_next_lease() -> None:
    """It is another one's, also if the message is the same."""
    leases, _ = leases_over(1)
    mine = Held()
    leases.hold(together(hand_out(leases)), mine)
    give_back(leases, leases.by_seq[1])

    give_back(leases, hand_out(leases)[0])

    assert mine.lease_ids == {}
