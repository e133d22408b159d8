"""The rules of one queue for many messages at once, and for what they take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from qmq.envelope import REPLY_OVERHEAD_BYTES
from qmq.errors import QueueFull
from qmq.model.check import problems_of
from qmq.model.index import entries, entry
from qmq.model.queue import Queue
from qmq.model.stats import stats_of
from qmq.testing import START_NS
from tests.model.queues import queue, queue_id, seqs_in

#: More than any messages of a test take.
EVERYTHING = 2**40


def queue_of(*sizes: int, limit: int = -1) -> Queue:
    """Make a queue that holds messages of these sizes, numbered from 1."""
    q = queue(limit=limit)
    q.add_batch(1, sizes)
    return q


def popped(q: Queue, count_max: int, bytes_max: int) -> list[int]:
    """Take messages from the head, none of which was ever on lease, and return their entries."""
    taken, leased = q.pop_batch(count_max, bytes_max)
    assert leased == []
    return taken


def reply_bytes(*sizes: int) -> int:
    """Return what a reply with messages of these sizes may take."""
    return sum(sizes) + len(sizes) * REPLY_OVERHEAD_BYTES


def test_batch_stands_at_the_end_in_order() -> None:
    """Its messages are numbered from the first, without a gap."""
    q = queue()
    q.add(entry(3, 10))

    added = q.add_batch(7, [1, 2, 3])

    assert added == entries(7, [1, 2, 3])
    assert [q.pop()[0] for _ in range(4)] == [entry(3, 10), *added]


@pytest.mark.parametrize("count", [0, 1, 3, 1_000])
def test_queue_without_limit_has_room_for_all(count: int) -> None:
    """However many there are."""
    assert queue().room_for([1] * count, partial=False) == count
    assert queue().room_for([1] * count, partial=True) == count


@pytest.mark.parametrize(("held", "count"), [(0, 5), (2, 3), (4, 1), (5, 0), (2, 1)])
def test_what_fits_has_room(held: int, count: int) -> None:
    """Up to the limit, and nothing always fits."""
    q = queue_of(*[1] * held, limit=5)

    assert q.room_for([1] * count, partial=False) == count
    assert q.room_for([1] * count, partial=True) == count
    assert q.full_total == 0


@pytest.mark.parametrize(("held", "count"), [(0, 6), (2, 4), (5, 1), (5, 1_000)])
def test_batch_that_does_not_fit_whole_is_refused(held: int, count: int) -> None:
    """All or nothing; the refusal says what an Add's does, and counts once."""
    q = queue_of(*[1] * held, limit=5)

    with pytest.raises(QueueFull) as refusal:
        q.room_for([1] * count, partial=False)

    assert refusal.value.message == f"queue {queue_id(1)} has reached limit of 5 messages"
    assert refusal.value.metadata == {"limit": "limit", "value": "5", "current": f"{held}"}
    assert (q.full_total, len(q.ready)) == (1, held)


@pytest.mark.parametrize(("held", "count", "room"), [(0, 6, 5), (2, 4, 3), (4, 1_000, 1)])
def test_partial_batch_gets_the_room_that_there_is(held: int, count: int, room: int) -> None:
    """Fewer than asked for is no refusal."""
    q = queue_of(*[1] * held, limit=5)

    assert q.room_for([1] * count, partial=True) == room
    assert q.full_total == 0


def test_partial_batch_without_any_room_is_refused() -> None:
    """A full queue takes no first message either."""
    q = queue_of(1, 1, limit=2)

    with pytest.raises(QueueFull):
        q.room_for([1] * 3, partial=True)

    assert q.full_total == 1


def test_pop_batch_takes_from_the_head_as_many_as_asked_for() -> None:
    """Oldest first; the others stay."""
    q = queue_of(1, 1, 1, 1, 1)

    assert q.pop_batch(3, EVERYTHING) == (entries(1, [1, 1, 1]), [])
    assert seqs_in(q) == [4, 5]


@pytest.mark.parametrize("held", [0, 1, 3])
def test_pop_batch_takes_what_there_is(held: int) -> None:
    """Fewer than asked for, or none, is no error."""
    q = queue_of(*[1] * held)

    assert q.pop_batch(4, EVERYTHING) == (entries(1, [1] * held), [])
    assert (len(q.ready), q.empty_total) == (0, 0)


def test_pop_batch_takes_what_a_reply_can_carry() -> None:
    """To the byte, with what the reply adds to each message."""
    sizes = [100, 0, 250, 7]

    for count in range(1, 5):
        exactly = reply_bytes(*sizes[:count])
        assert len(popped(queue_of(*sizes), 10, exactly)) == count
        assert len(popped(queue_of(*sizes), 10, exactly - 1)) == max(1, count - 1)


def test_message_larger_than_any_reply_is_taken_alone() -> None:
    """It would block the queue for ever; the bound may have been higher when it came."""
    q = queue_of(1_000, 1)

    assert popped(q, 10, 100) == [entry(1, 1_000)]
    assert popped(q, 10, 100) == [entry(2, 1)]


def test_large_message_waits_for_a_reply_of_its_own() -> None:
    """None that stands behind it overtakes it."""
    q = queue_of(10, 1_000, 10)

    batches = [popped(q, 10, 500) for _ in range(3)]

    assert batches == [[entry(1, 10)], [entry(2, 1_000)], [entry(3, 10)]]


def test_counts_tell_of_messages_not_of_calls() -> None:
    """A batch of three is three messages enqueued, and three consumed."""
    q = queue_of(1, 1, 1)
    q.pop_batch(2, EVERYTHING)

    assert (q.enqueued_total, q.consumed_total) == (3, 2)


def test_restored_messages_are_there_but_not_counted() -> None:
    """Counts are since the start; depth and size are what there is."""
    q = queue()
    q.take_in(entry(5, 30))
    q.take_in(entry(9, 12))

    assert seqs_in(q) == [5, 9]
    assert (q.ready.bytes, q.enqueued_total) == (42, 0)


def test_stats_tell_what_is_there_and_what_went_through() -> None:
    """Of one queue, at one moment."""
    q = queue(7, limit=9)
    q.add(entry(START_NS, 100))
    q.add_batch(START_NS + 1_000, [10, 20])
    q.pop()

    stats = stats_of(q, START_NS + 5_000, waiting=4)

    assert stats.info is q.info
    assert (stats.ready, stats.ready_bytes, stats.oldest_age_ns) == (2, 30, 4_000)
    assert (stats.enqueued_total, stats.consumed_total, stats.waiting) == (3, 1, 4)


def test_stats_of_an_empty_queue_have_no_age() -> None:
    """Which is not the same as an age of 0, that of a message that has just come."""
    q = queue_of(5)

    assert stats_of(q, 1, waiting=0).oldest_age_ns == 0
    q.pop()
    assert stats_of(q, 1, waiting=0).oldest_age_ns is None


sizes = st.integers(0, 5_000)


class Accounts(RuleBasedStateMachine):
    """A queue beside the plain list of its messages: number and size."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = queue(limit=20)
        self.messages: list[tuple[int, int]] = []
        self.next_seq = 1

    @rule(size=sizes)
    def add(self, size: int) -> None:
        """Add one, unless there is no room."""
        try:
            self.queue.add(entry(self.next_seq, size))
        except QueueFull:
            assert len(self.messages) == 20
        else:
            self.messages.append((self.next_seq, size))
            self.next_seq += 1

    @rule(given=st.lists(sizes, max_size=25), partial=st.booleans())
    def add_batch(self, given: list[int], partial: bool) -> None:  # noqa: FBT001
        """Add those that there is room for."""
        left = 20 - len(self.messages)
        try:
            room = self.queue.room_for(given, partial=partial)
        except QueueFull:
            assert left < len(given)
            assert not partial or left == 0
            return
        assert room == min(left, len(given))
        added = self.queue.add_batch(self.next_seq, given[:room])
        messages = list(enumerate(given[:room], self.next_seq))
        assert added == [entry(*each) for each in messages]
        self.messages += messages
        self.next_seq += room

    @rule(size=sizes)
    def take_in(self, size: int) -> None:
        """Put one back, as a store does when it is opened."""
        if len(self.messages) < 20:
            self.queue.take_in(entry(self.next_seq, size))
            self.messages.append((self.next_seq, size))
            self.next_seq += 1

    @rule()
    def pop(self) -> None:
        """Take one."""
        if self.messages:
            assert self.queue.pop() == (entry(*self.messages.pop(0)), False)

    @rule(count_max=st.integers(1, 25), bytes_max=st.integers(0, 20_000))
    def pop_batch(self, count_max: int, bytes_max: int) -> None:
        """Take as many as fit."""
        taken = popped(self.queue, count_max, bytes_max)

        expected, self.messages = self.messages[: len(taken)], self.messages[len(taken) :]
        assert taken == [entry(*each) for each in expected]
        assert len(taken) <= count_max
        assert len(taken) <= 1 or reply_bytes(*(size for _, size in expected)) <= bytes_max
        if self.messages and len(taken) < count_max:
            assert taken
            more = [size for _, size in (*expected, self.messages[0])]
            assert reply_bytes(*more) > bytes_max

    @rule()
    def drop_all(self) -> None:
        """Take all, as the deletion of a queue does."""
        assert self.queue.drop_all() == [entry(*each) for each in self.messages]
        self.messages.clear()

    @invariant()
    def accounts_are_right(self) -> None:
        """What is counted is what is there."""
        assert seqs_in(self.queue) == [seq for seq, _ in self.messages]
        assert self.queue.ready.bytes == sum(size for _, size in self.messages)
        assert problems_of(self.queue) == []


def test_bytes_are_always_the_sum_of_the_messages() -> None:
    """Whatever comes and goes in whatever way."""
    run_state_machine_as_test(Accounts)


@given(st.lists(sizes, max_size=50))
def test_batch_is_its_messages_one_by_one(given_sizes: list[int]) -> None:
    """The index does not tell how a message came."""
    one_by_one = queue()
    for seq, size in enumerate(given_sizes, 1):
        one_by_one.add(entry(seq, size))

    at_once = queue_of(*given_sizes)

    assert list(at_once.ready) == list(one_by_one.ready)
    assert at_once.ready.bytes == one_by_one.ready.bytes
    assert at_once.enqueued_total == one_by_one.enqueued_total
