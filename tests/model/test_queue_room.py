"""Room in a queue: for how many messages, for how many bytes, and who makes some."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq.descriptions import Pause, QueueSettings
from qmq.errors import AddsPaused, QueueFull
from qmq.model.check import problems_of
from qmq.model.delivery import Delivery, State
from qmq.model.displacing import displace
from qmq.model.index import entry, seq_of, size_of
from qmq.model.nacking import end_undone
from qmq.model.queue import Queue
from qmq.model.stats import stats_of
from qmq.testing import START_NS
from qmq.values import UNBOUNDED, NackKind, Overflow
from tests.model.queues import SIZE, leased, queue, queue_id, seqs_in

DROP = Overflow.DROP_OLDEST
OVERFLOWS = pytest.mark.parametrize("overflow", list(Overflow))
MAKING_ROOM = pytest.mark.parametrize("overflow", [DROP, Overflow.DEAD_LETTER_OLDEST])


def limited(
    count: int,
    *,
    limit: int = UNBOUNDED,
    bytes_limit: int = 0,
    overflow: Overflow = Overflow.REJECT,
) -> Queue:
    """Make a queue of so many messages, numbered from 1, whatever its limits."""
    q = queue()
    q.add_batch(1, [SIZE] * count)
    settings = QueueSettings(bytes_limit=bytes_limit, overflow=overflow)
    q.set_info(replace(q.info, limit=limit, settings=settings))
    return q


def known(q: Queue, seq: int, *, priority: int = 0, until_ns: int = 0) -> Delivery:
    """Put a message that has options into a queue."""
    delivery = Delivery(entry(seq, SIZE, priority))
    if until_ns:
        delivery.state, delivery.until_ns = State.DELAYED, until_ns
    q.add_known(delivery)
    return delivery


def in_every_state(q: Queue) -> list[Delivery]:
    """Lease the first four of a queue's messages, and let all but two come back, one later."""
    deliveries = leased(q, 4)
    for delivery, delay_ns in zip(deliveries[:2], (0, 10**9), strict=True):
        kind = NackKind.FAIL
        end_undone(q, delivery, kind, now_ns=START_NS, delay_ns=delay_ns, reason="", chance=0.0)
    return deliveries


def give_back(q: Queue, delivery: Delivery) -> None:
    """Release a message that is on lease."""
    end_undone(q, delivery, NackKind.RELEASE, now_ns=START_NS, delay_ns=None, reason="", chance=0.0)


def displaced(q: Queue, *sizes: int) -> list[int]:
    """Let messages make room for others, and return their numbers."""
    return [each.seq for each in displace(q, sizes)]


def test_bytes_are_those_of_all_messages_in_whatever_state() -> None:
    """Ready, on lease, kept back; and of none that has left."""
    q = limited(6)
    returned, delayed, held, other = in_every_state(q)
    known(q, 10, priority=1)
    known(q, 11, until_ns=START_NS + 5)
    assert (q.bytes, q.message_count) == (8 * SIZE, 8)

    q.ack(held)
    assert q.bytes == 7 * SIZE
    q.leases.forget(delayed)
    q.leases.forget(returned)
    assert q.bytes == 5 * SIZE
    q.ack_all([(other.seq, other.fence)])
    q.pop()
    assert (q.bytes, stats_of(q, START_NS).bytes) == (3 * SIZE, 3 * SIZE)
    q.drop_all()
    assert (q.bytes, q.message_count) == (0, 0)


@pytest.mark.parametrize(("bytes_limit", "fits"), [(5 * SIZE, True), (5 * SIZE - 1, False)])
def test_bytes_are_counted_to_the_last_one(bytes_limit: int, *, fits: bool) -> None:
    """Of one message or of several."""
    q = limited(3, bytes_limit=bytes_limit)

    if fits:
        assert q.room_for([SIZE, SIZE], partial=False) == 2
    else:
        with pytest.raises(QueueFull):
            q.room_for([SIZE, SIZE], partial=False)
    assert q.room_for([SIZE, SIZE], partial=True) == 1 + fits


def test_refusal_says_which_limit_was_reached_and_what_there_is() -> None:
    """In words and for programs; it is counted."""
    q = limited(3, bytes_limit=350)

    with pytest.raises(QueueFull) as refusal:
        q.add(entry(9, SIZE))

    assert refusal.value.message == (
        f"queue {queue_id(1)} has reached bytes_limit of 350; its messages take 300"
    )
    assert refusal.value.metadata == {"limit": "bytes_limit", "value": "350", "current": "300"}
    assert (q.full_total, len(q.ready)) == (1, 3)


@pytest.mark.parametrize(
    ("limit", "bytes_limit", "told"), [(4, 900, "limit"), (9, 410, "bytes_limit")]
)
def test_smaller_of_two_limits_counts(limit: int, bytes_limit: int, told: str) -> None:
    """And is the one that is told."""
    q = limited(3, limit=limit, bytes_limit=bytes_limit)

    assert q.room_for([SIZE] * 5, partial=True) == 1
    with pytest.raises(QueueFull) as refusal:
        q.room_for([SIZE] * 5, partial=False)
    assert refusal.value.metadata["limit"] == told


def test_no_small_message_passes_a_large_one() -> None:
    """A partial batch is its first messages, not those that happen to fit."""
    q = limited(0, bytes_limit=1_000)

    assert q.room_for([500, 600, 10], partial=True) == 1


@OVERFLOWS
def test_queue_without_limits_has_room_for_everything(overflow: Overflow) -> None:
    """None makes room in it."""
    q = limited(3, overflow=overflow)

    assert q.room_for([10**9] * 1_000, partial=False) == 1_000
    assert displaced(q, *[10**9] * 1_000) == []


@OVERFLOWS
def test_queue_that_is_paused_for_adds_has_no_room(overflow: Overflow) -> None:
    """Nobody makes some, either."""
    q = limited(1, limit=1, overflow=overflow)
    q.set_info(replace(q.info, pause=Pause(since_ns=START_NS, adds=True)))

    with pytest.raises(AddsPaused):
        q.room_for([SIZE], partial=False)
    assert (seqs_in(q), q.full_total) == ([1], 0)


@MAKING_ROOM
def test_oldest_messages_make_room(overflow: Overflow) -> None:
    """As many as must, and no more; they are counted."""
    q = limited(5, limit=6, overflow=overflow)

    assert q.room_for([SIZE] * 3, partial=False) == 3
    assert displaced(q, *[SIZE] * 3) == [1, 2]
    assert (seqs_in(q), q.overflowed_total, q.full_total) == ([3, 4, 5], 2, 0)


@MAKING_ROOM
def test_large_message_displaces_several(overflow: Overflow) -> None:
    """By bytes."""
    q = limited(5, bytes_limit=500, overflow=overflow)

    assert displaced(q, 1) == [1]
    assert displaced(q, 250) == [2, 3]
    assert displaced(q, 500 - 2 * SIZE) == []


@MAKING_ROOM
def test_both_limits_are_kept(overflow: Overflow) -> None:
    """By whichever takes more."""
    q = limited(5, limit=4, bytes_limit=460, overflow=overflow)

    assert displaced(q, 40, 40) == [1, 2, 3]
    q.add_batch(9, [40, 40])
    assert displaced(q, 350) == [4, 5]


@MAKING_ROOM
def test_only_messages_that_are_ready_make_room(overflow: Overflow) -> None:
    """Somebody has the one that is leased, and the other one is not to be seen yet."""
    q = limited(6, limit=6, overflow=overflow)
    in_every_state(q)

    assert q.room_for([SIZE] * 3, partial=False) == 3
    with pytest.raises(QueueFull) as refusal:
        q.room_for([SIZE] * 4, partial=False)
    assert refusal.value.metadata == {"limit": "limit", "value": "6", "current": "3"}
    assert q.room_for([SIZE] * 4, partial=True) == 3
    assert displaced(q, *[SIZE] * 3) == [1, 5, 6]
    assert (q.message_count, q.leases.leased, q.leases.delayed) == (3, 2, 1)


@MAKING_ROOM
def test_message_larger_than_the_queue_is_refused(overflow: Overflow) -> None:
    """Without a sacrifice."""
    q = limited(3, bytes_limit=500, overflow=overflow)

    with pytest.raises(QueueFull) as refusal:
        q.room_for([501], partial=False)

    assert refusal.value.metadata == {"limit": "bytes_limit", "value": "500", "current": "0"}
    assert (seqs_in(q), q.full_total) == ([1, 2, 3], 1)


def test_oldest_is_who_came_first_whatever_its_priority() -> None:
    """And whether it was handed out before or not."""
    q = limited(0, limit=5, overflow=DROP)
    known(q, 1, priority=9)
    q.add_batch(2, [SIZE] * 2)
    known(q, 4, priority=1)
    (delivery,) = leased(q)
    end_undone(q, delivery, NackKind.RELEASE, now_ns=START_NS, delay_ns=0, reason="", chance=0.0)
    known(q, 5, priority=200)

    assert [displaced(q, SIZE, *[SIZE] * at) for at in range(3)] == [[1], [2], [3]]
    assert problems_of(q) == []


def test_displaced_message_takes_what_is_known_of_it_along() -> None:
    """For its flight recorder; of one that just stood in the line, there is nothing."""
    q = limited(2, limit=2, overflow=DROP)
    (delivery,) = leased(q)
    end_undone(q, delivery, NackKind.RELEASE, now_ns=START_NS, delay_ns=0, reason="no", chance=0.0)

    first, second = displace(q, [SIZE, SIZE])

    assert first is delivery
    assert [each.reason for each in first.attempts] == ["no"]
    assert (second.seq, second.attempts, len(q.leases.by_seq)) == (2, (), 0)


def test_lowered_limit_is_kept_from_the_next_message_on() -> None:
    """All that are too many go with the first one that comes."""
    q = limited(5, limit=2, overflow=DROP)

    assert displaced(q) == [1, 2, 3]
    assert seqs_in(q) == [4, 5]


@OVERFLOWS
def test_who_leaves_makes_room(overflow: Overflow) -> None:
    """For as many messages and bytes, also where the limits are lower by now."""
    q = limited(3, limit=2, bytes_limit=150, overflow=overflow)
    held = leased(q, 2)

    with pytest.raises(QueueFull):
        q.room_for([1], partial=False)
    assert q.room_for([SIZE, SIZE], partial=False, leaving=held) == 2
    with pytest.raises(QueueFull):
        q.room_for([SIZE, SIZE + 1], partial=False, leaving=held)
    with pytest.raises(QueueFull):
        q.room_for([1, 1, 1], partial=False, leaving=held)


@MAKING_ROOM
def test_late_ack_makes_no_more_room_than_its_message_takes(overflow: Overflow) -> None:
    """It is in the line again, and could be displaced as well."""
    q = limited(3, limit=3, overflow=overflow)
    held = leased(q, 2)
    q.pass_time(held[0].until_ns)
    assert {each.state for each in held} == {State.EXPIRED}

    assert q.room_for([SIZE] * 3, partial=False, leaving=held) == 3
    with pytest.raises(QueueFull):
        q.room_for([SIZE] * 4, partial=False, leaving=held)
    for each in held:
        q.ack(each)
    assert displaced(q, *[SIZE] * 3) == [3]


@given(
    states=st.lists(st.sampled_from("frld"), max_size=8),
    sizes=st.lists(st.integers(1, 3 * SIZE), max_size=5),
    limit=st.sampled_from([UNBOUNDED, 1, 3, 6, 9]),
    bytes_limit=st.sampled_from([0, 50, 3 * SIZE, 7 * SIZE]),
    overflow=st.sampled_from(Overflow),
)
def test_room_is_what_the_limits_leave(
    states: Sequence[str],
    sizes: list[int],
    limit: int,
    bytes_limit: int,
    overflow: Overflow,
) -> None:
    """Counted by hand, with fresh, returned, leased and delayed messages in any order."""
    q = queue()
    for seq, state in enumerate(states, 1):
        if state == "f":
            q.add(entry(seq, SIZE))
        else:
            delivery = known(q, seq, until_ns=START_NS if state == "d" else 0)
            if state == "l":
                q.ready.withdraw(delivery.entry)
                delivery.state, delivery.fence, delivery.count = State.LEASED, 1, 1
                q.leases.leased += 1
                q.leases.bytes += SIZE
                q.leases.held_by[""] = q.leases.leased
                q.leases.extend(delivery, -1)
    settings = QueueSettings(bytes_limit=bytes_limit, overflow=overflow)
    q.set_info(replace(q.info, limit=limit, settings=settings))
    assert problems_of(q) == []
    ready = [seq for seq, state in enumerate(states, 1) if state in "fr"]
    others = len(states) - len(ready)
    stay = len(states) if overflow is Overflow.REJECT else others

    def fits(count: int) -> bool:
        """Tell whether the first ones fit."""
        is_count = limit == UNBOUNDED or stay + count <= limit
        return not count or (
            is_count and (not bytes_limit or stay * SIZE + sum(sizes[:count]) <= bytes_limit)
        )

    room = max(count for count in range(len(sizes) + 1) if fits(count))
    for partial in (False, True):
        if room < (min(1, len(sizes)) if partial else len(sizes)):
            with pytest.raises(QueueFull):
                q.room_for(sizes, partial=partial)
        else:
            assert q.room_for(sizes, partial=partial) == (room if partial else len(sizes))
    if overflow is not Overflow.REJECT:
        gone = displaced(q, *sizes[:room])
        assert gone == ready[: len(gone)]
        too_many = limit != UNBOUNDED and q.message_count + room > limit
        too_large = bytes_limit and q.bytes + sum(sizes[:room]) > bytes_limit
        assert not q.ready or not (too_many or too_large)
        assert problems_of(q) == []


def test_sizes_of_what_is_displaced_are_those_of_the_messages() -> None:
    """Whatever they are."""
    q = limited(0, bytes_limit=100, overflow=DROP)
    q.add_batch(1, [10, 20, 30, 40])

    gone = displace(q, [35])

    assert [(each.seq, size_of(each.entry)) for each in gone] == [(1, 10), (2, 20), (3, 30)]
    assert [seq_of(each) for each in q.ready] == [4]


def test_oldest_is_taken_whatever_its_place() -> None:
    """With a priority or without, fresh or not, back from a lease or not."""
    q = limited(0, limit=6, overflow=DROP)
    for seq, priority in enumerate((0, 9, 0, 5, 9, 0), 1):
        if priority:
            known(q, seq, priority=priority)
        else:
            q.add_plain(entry(seq, SIZE))
    [first] = leased(q)
    give_back(q, first)

    assert displaced(q, *[SIZE] * 5) == [1, 2, 3, 4, 5]


def test_knowing_the_oldest_takes_no_memory_for_long() -> None:
    """Once nobody asks for it any more."""
    q = limited(0, limit=2, overflow=DROP)
    known(q, 1, priority=1)
    known(q, 2, priority=1)
    assert displaced(q, SIZE) == [1]

    for _ in range(5_000):
        [delivery] = leased(q)
        give_back(q, delivery)

    assert len(q.leases._by_age or ()) < 2_000  # noqa: SLF001 - What it takes.
    assert displaced(q, SIZE, SIZE) == [2]
