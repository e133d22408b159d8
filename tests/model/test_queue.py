"""The rules of one queue."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq.errors import QueueEmpty, QueueFull
from qmq.model.index import entry
from qmq.model.queue import Queue
from qmq.testing import ManualClock
from tests.model.queues import queue, queue_id, seqs_in

#: What a message takes, where that does not matter.
SIZE = 100


def popped(q: Queue) -> int:
    """Take the message at the head."""
    return q.pop()[0]


def counts(q: Queue) -> dict[str, int]:
    """Return the counts that are not 0."""
    names = ("enqueued", "consumed", "full", "empty", "failed")
    return {name: count for name in names if (count := getattr(q, f"{name}_total"))}


@given(st.lists(st.integers(0, 10**19), unique=True).map(sorted))
def test_messages_come_out_in_the_order_in_which_they_went_in(seqs: list[int]) -> None:
    """First in, first out."""
    q = queue()

    for seq in seqs:
        q.add(entry(seq, SIZE))

    assert [q.pop() for _ in seqs] == [(entry(seq, SIZE), False) for seq in seqs]


def test_peek_leaves_the_message_where_it_is() -> None:
    """Peek shows the head as often as it is asked, and Pop still gets it."""
    q = queue()
    first, second = entry(1, SIZE), entry(2, SIZE)
    q.add(first)
    q.add(second)

    seen = [q.peek(), q.peek(), popped(q), q.peek(), popped(q)]

    assert seen == [first, first, first, second, second]


@pytest.mark.parametrize("call", [Queue.pop, Queue.peek])
def test_empty_queue_has_nothing_to_hand_out(call: Callable[[Queue], object]) -> None:
    """Pop and Peek of an empty queue fail and name it."""
    q = queue(7)

    with pytest.raises(QueueEmpty) as refusal:
        call(q)

    assert refusal.value.message == f"queue {queue_id(7)} is empty"
    assert refusal.value.metadata == {"queue_id": queue_id(7)}
    assert counts(q) == {"empty": 1}


def test_full_queue_takes_no_more() -> None:
    """A queue that holds as many messages as its limit refuses the next one, and says why."""
    q = queue(7, limit=2)
    q.add(entry(1, SIZE))
    q.add(entry(2, SIZE))

    with pytest.raises(QueueFull) as refusal:
        q.add(entry(3, SIZE))

    assert refusal.value.message == f"queue {queue_id(7)} has reached limit of 2 messages"
    assert refusal.value.metadata == {"limit": "limit", "value": "2", "current": "2"}
    assert seqs_in(q) == [1, 2]


def test_pop_makes_room_in_a_full_queue() -> None:
    """The limit counts what is waiting, not what ever came."""
    q = queue(limit=1)

    for seq in range(5):
        q.add(entry(seq, SIZE))
        q.pop()

    assert counts(q) == {"enqueued": 5, "consumed": 5}


def test_queue_without_limit_is_never_full() -> None:
    """-1 is no limit."""
    q = queue(limit=-1)

    for seq in range(10_000):
        q.add(entry(seq, SIZE))

    assert len(q.ready) == 10_000


def test_counts_tell_what_happened() -> None:
    """Each call counts once, under how it ended; peeks of a message count as nothing."""
    q = queue(limit=2)
    q.add(entry(1, SIZE))
    q.add(entry(2, SIZE))
    with pytest.raises(QueueFull):
        q.add(entry(3, SIZE))
    q.peek()
    q.pop()
    q.pop()
    with pytest.raises(QueueEmpty):
        q.pop()
    with pytest.raises(QueueEmpty):
        q.peek()

    assert counts(q) == {"enqueued": 2, "consumed": 2, "full": 1, "empty": 2}


def test_age_is_that_of_the_message_at_the_head() -> None:
    """The age is the time since the oldest message came; there is none without one."""
    clock = ManualClock()
    q = queue()
    q.add(entry(clock.now_ns(), SIZE))
    clock.advance(2)
    q.add(entry(clock.now_ns(), SIZE))
    clock.advance(3)

    of_first = q.oldest_age_ns(clock.now_ns())
    q.pop()
    of_second = q.oldest_age_ns(clock.now_ns())
    q.pop()
    of_none = q.oldest_age_ns(clock.now_ns())

    assert (of_first, of_second, of_none) == (5_000_000_000, 3_000_000_000, None)


def test_age_is_never_negative() -> None:
    """A clock that is set back makes a message young, not of negative age."""
    clock = ManualClock()
    q = queue()
    q.add(entry(clock.now_ns(), SIZE))

    clock.advance(-60)

    assert q.oldest_age_ns(clock.now_ns()) == 0


def test_repr_says_which_queue_and_how_full() -> None:
    """The name, or else the id, the store and the counts."""
    named, unnamed = queue(name="jobs"), queue(7)
    named.add(entry(1, SIZE))

    assert repr(named) == "<Queue jobs MEMORY ready=1 leased=0 delayed=0>"
    assert repr(unnamed) == f"<Queue {queue_id(7)} MEMORY ready=0 leased=0 delayed=0>"
