"""What stands between messages that are ready and those who want them: limits on handing out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq.descriptions import Pause, QueueSettings, Rate
from qmq.errors import QueueEmpty
from qmq.limits import MOMENTS_AT_ONCE_MAX
from qmq.model.check import problems_of
from qmq.model.delivery import Delivery
from qmq.model.index import entry
from qmq.model.nacking import end_undone
from qmq.model.queue import Queue
from qmq.testing import START_NS
from qmq.values import NS_PER_S, NackKind
from tests.model.queues import EVERYTHING, LEASE_NS, SIZE, filled, leased, queue, seqs_in


def limited(leased_max: int = 0, rate: float = 0.0, burst: int = 0) -> Queue:
    """Make a queue of nine messages that hands out so many."""
    settings = QueueSettings(
        leased_max=leased_max, rate=Rate(messages_per_second=rate, burst=burst)
    )
    return filled(queue(settings=settings), range(START_NS, START_NS + 9))


def changed(q: Queue, **settings: Any) -> None:  # noqa: ANN401 - As the settings are.
    """Change settings of a queue."""
    q.set_info(replace(q.info, settings=replace(q.info.settings, **settings)))


def release(q: Queue, delivery: Delivery) -> None:
    """Give a message back."""
    end_undone(q, delivery, NackKind.RELEASE, now_ns=START_NS, delay_ns=0, reason="", chance=0.0)


def test_no_more_are_leased_than_may_be() -> None:
    """However many are asked for."""
    q = limited(leased_max=3)

    assert [len(leased(q, count)) for count in (2, 9, 1)] == [2, 1, 0]
    assert (q.available, len(q.ready)) == (0, 6)


def test_nothing_is_popped_while_so_many_are_on_lease() -> None:
    """Nor are more popped at once than could be leased; those that were do not count."""
    q = limited(leased_max=2)

    assert len(q.pop_batch(9, EVERYTHING)[0]) == 2
    q.pop()
    leased(q, 2)
    with pytest.raises(QueueEmpty):
        q.pop()
    assert q.pop_batch(9, EVERYTHING) == ([], [])


def acked(q: Queue, delivery: Delivery) -> None:
    """End a lease with an ack."""
    q.ack(delivery)


def kept_back(q: Queue, delivery: Delivery) -> None:
    """End a lease with a delay."""
    end_undone(q, delivery, NackKind.FAIL, now_ns=START_NS, delay_ns=5, reason="", chance=0.0)


def run_out(q: Queue, delivery: Delivery) -> None:
    """Let a lease end by itself."""
    q.pass_time(delivery.until_ns)


def purged(q: Queue, _: Delivery) -> None:
    """Take everything out, and put something in."""
    q.drop_all()
    q.add(entry(START_NS + 100, SIZE))


@pytest.mark.parametrize("end", [acked, release, kept_back, run_out, purged])
def test_end_of_a_lease_lets_another_message_go(end: Callable[[Queue, Delivery], None]) -> None:
    """Whatever ends it."""
    q = limited(leased_max=1)
    (delivery,) = leased(q)
    assert q.available == 0

    end(q, delivery)

    assert q.available == 1
    assert len(leased(q, 9)) == 1
    assert problems_of(q) == []


def test_maximum_of_leases_may_change() -> None:
    """Those that go on do so; 0 is any number."""
    q = limited()
    leased(q, 4)

    available = []
    for leased_max in (6, 4, 1, 0):
        changed(q, leased_max=leased_max)
        available.append(q.available)

    assert available == [2, 0, 0, 5]


def test_rate_is_for_all_that_is_handed_out() -> None:
    """On lease or for good."""
    q = limited(rate=2.0, burst=4)

    q.pop()
    q.count_out(1, START_NS)
    leased(q, 2)
    assert q.available == 1
    taken, _ = q.pop_batch(9, EVERYTHING)
    q.count_out(len(taken), START_NS)

    assert (len(taken), q.available, len(leased(q, 9))) == (1, 0, 0)
    assert q.next_moment_ns() == START_NS + NS_PER_S // 2
    q.pass_time(START_NS + NS_PER_S // 2)
    assert q.available == 1


def test_time_that_brings_nothing_to_its_end_brings_more_messages() -> None:
    """That there are some to be handed out is no reason to forget how many more came due."""
    q = limited(rate=1.0, burst=5)
    leased(q, 3, now_ns=START_NS)
    assert q.available == 2

    assert q.nothing_ends(START_NS + 2 * NS_PER_S)
    assert q.available == 4
    assert not q.nothing_ends(START_NS + 2 * NS_PER_S)


def test_empty_queue_is_looked_at_when_it_may_hand_out_something() -> None:
    """A message may have come by then, and somebody may wait for it."""
    q = limited(rate=1.0)
    leased(q, 1)
    q.drop_all()

    assert q.next_moment_ns() == START_NS + NS_PER_S
    q.pass_time(START_NS + NS_PER_S)
    assert q.next_moment_ns() is None
    q.add(entry(START_NS + NS_PER_S, SIZE))
    assert q.available == 1


def test_new_rate_counts_from_now() -> None:
    """The same one goes on, and none is no limit."""
    q = limited(rate=1.0, burst=2)
    leased(q, 2)

    changed(q, lease_duration_ns=LEASE_NS)
    went_on = q.available
    changed(q, rate=Rate(messages_per_second=1.0, burst=3))
    anew = q.available
    changed(q, rate=Rate())

    assert (went_on, anew, q.available) == (0, 3, 7)
    assert not q.is_gated


def test_least_of_all_limits_counts() -> None:
    """And a pause is the least of all."""
    q = limited(leased_max=3, rate=5.0)
    assert q.available == 3
    leased(q, 1)
    changed(q, leased_max=9)
    assert q.available == 4
    q.set_info(replace(q.info, pause=Pause(since_ns=START_NS, adds=False)))
    assert q.available == 0


def test_gate_tells_what_stands_in_the_way() -> None:
    """For people to read; nothing if nothing does."""
    q = limited(leased_max=2, rate=3.0, burst=4)
    assert q.gate() == ""

    leased(q, 2)
    assert q.gate() == ("the queue has 2 on lease, as many as its leased_max of 2 allows")
    changed(q, leased_max=0)
    leased(q, 2)
    assert q.gate() == "the queue hands out no more than 3 messages a second"


@pytest.mark.parametrize(
    ("settings", "why", "retry_after_s"),
    [
        ({"leased_max": 2}, "the queue has 2 on lease, as many as its leased_max", 1.0),
        ({"rate": 4.0, "burst": 2}, "the queue hands out no more than 4 messages a second", 0.15),
        ({"leased_max": 2, "rate": 4.0, "burst": 2}, "the queue has 2 on lease", 0.15),
    ],
)
def test_pop_that_is_held_back_is_told_by_what(
    settings: dict[str, Any], why: str, retry_after_s: float
) -> None:
    """And when it is worth another try: not that the queue is empty."""
    q = limited(**settings)
    leased(q, 2)

    refusal = q.nothing_to_hand_out(START_NS + NS_PER_S // 10)

    about = f"queue {q.info.id} does not hand out any of the 7 messages that are ready now: "
    assert refusal.message.startswith(about + why)
    assert (refusal.reason, refusal.metadata) == ("QUEUE_EMPTY", {"queue_id": q.info.id})
    assert refusal.retry_after_s == pytest.approx(retry_after_s)


def test_queue_without_ready_messages_is_empty_whatever_its_limits() -> None:
    """They hold back nothing then; and of one message it is said that it is one."""
    q = limited(leased_max=8)
    leased(q, 8)
    assert "does not hand out the message that is ready now: " in q.nothing_to_hand_out().message
    changed(q, leased_max=9)
    leased(q)

    assert q.nothing_to_hand_out().message == f"queue {q.info.id} is empty"
    assert q.nothing_to_hand_out().retry_after_s is None


def crowd(count: int, *, ttl_ns: int = 0) -> Queue:
    """Make a queue of messages that all expire a second after the first one has come."""
    q = queue(settings=QueueSettings(ttl_ns=ttl_ns))
    for at in range(count):
        delivery = Delivery(entry(START_NS + at, SIZE))
        delivery.expires_ns = START_NS + NS_PER_S
        q.add_known(delivery)
    return q


def expire(q: Queue, now_ns: int) -> None:
    """Let time pass, and take out what is of no use any more."""
    for delivery in q.pass_time(now_ns).expired:
        q.leases.forget(delivery)


def test_nothing_is_handed_out_while_messages_wait_to_be_removed() -> None:
    """It might be one of them."""
    q = crowd(2 * MOMENTS_AT_ONCE_MAX + 1)
    q.add(entry(START_NS + 10**6, SIZE))

    available = []
    for _ in range(4):
        expire(q, START_NS + NS_PER_S)
        available.append(q.available)

    assert available == [0, 0, 1, 1]
    assert q.expired_total == 2 * MOMENTS_AT_ONCE_MAX + 1


def test_crowd_of_plain_messages_is_removed_step_by_step_too() -> None:
    """Nothing is known of them but when they came; each is told once."""
    q = queue(settings=QueueSettings(ttl_ns=NS_PER_S))
    q.add_batch(START_NS, [SIZE] * (MOMENTS_AT_ONCE_MAX + 1))
    last_ns = START_NS + MOMENTS_AT_ONCE_MAX

    first = q.pass_time(last_ns + NS_PER_S).expired_fresh
    assert (len(first), q.available) == (MOMENTS_AT_ONCE_MAX, 0)
    assert q.gate() == "messages that are of no use any more are being removed before it"
    second = q.pass_time(last_ns + NS_PER_S).expired_fresh

    assert len(set(first + second)) == MOMENTS_AT_ONCE_MAX + 1
    assert (q.available, len(q.ready), q.bytes) == (0, 0, 0)
    q.add(entry(last_ns + NS_PER_S + 1, SIZE))
    assert q.available == 1


def test_plain_message_expires_to_the_nanosecond() -> None:
    """It was not handed out, and is not any more."""
    q = queue(settings=QueueSettings(ttl_ns=NS_PER_S))
    q.add_batch(START_NS, [SIZE, SIZE])

    assert q.next_moment_ns() == START_NS + NS_PER_S
    q.pass_time(START_NS + NS_PER_S - 1)
    assert len(q.ready) == 2
    assert q.pass_time(START_NS + NS_PER_S).expired_fresh == [entry(START_NS, SIZE)]
    assert seqs_in(q) == [START_NS + 1]


@pytest.mark.parametrize("is_purged", [True, False])
def test_queue_that_was_behind_does_not_stay_so(*, is_purged: bool) -> None:
    """Whatever has become of the messages that it was to remove."""
    q = crowd(MOMENTS_AT_ONCE_MAX + 5)
    expire(q, START_NS + NS_PER_S)
    assert q.available == 0
    assert q.is_timed

    if is_purged:
        q.drop_all()
    else:
        for delivery in list(q.leases.by_seq.values()):
            q.leases.forget(delivery)
        assert q.nothing_ends(START_NS + NS_PER_S) is False
    q.add(entry(START_NS + 2 * NS_PER_S, SIZE))

    assert q.available == 1
    assert not q.is_timed


def test_longer_time_of_use_saves_what_is_left() -> None:
    """It was of no use a moment ago, and is again."""
    q = queue(settings=QueueSettings(ttl_ns=NS_PER_S))
    q.add_batch(START_NS, [SIZE] * (MOMENTS_AT_ONCE_MAX + 5))
    now_ns = START_NS + 2 * NS_PER_S
    q.pass_time(now_ns)
    assert q.available == 0

    changed(q, ttl_ns=0)
    assert q.next_moment_ns() is None
    assert q.nothing_ends(now_ns)

    assert (q.available, q.is_timed) == (5, False)


@given(
    leased_max=st.integers(0, 4),
    rate=st.sampled_from([Rate(), Rate(messages_per_second=1.0, burst=3)]),
    steps=st.lists(st.tuples(st.sampled_from("plnt"), st.integers(1, 4)), max_size=30),
)
def test_never_more_is_handed_out_than_may_be(
    leased_max: int, rate: Rate, steps: list[tuple[str, int]]
) -> None:
    """Whatever is popped, leased and given back, and whenever."""
    q = queue(settings=QueueSettings(leased_max=leased_max, rate=rate))
    filled(q, range(START_NS, START_NS + 50))
    held: list[Delivery] = []
    now_ns, out = START_NS, 0

    for what, count in steps:
        match what:
            case "p":
                taken, _ = q.pop_batch(count, EVERYTHING)
                q.count_out(len(taken), now_ns)
                out += len(taken)
            case "l":
                now = leased(q, count, now_ns=now_ns)
                out += len(now)
                held += now
            case "n":
                for delivery in held[:count]:
                    release(q, delivery)
                del held[:count]
            case _:
                now_ns += count * NS_PER_S // 2
                if (moment_ns := q.next_moment_ns()) is not None and moment_ns <= now_ns:
                    q.pass_time(now_ns)
                else:
                    q.nothing_ends(now_ns)
        assert q.leases.leased == len(held)
        assert not leased_max or len(held) <= leased_max
        assert not rate.burst or out <= 3 + (now_ns - START_NS) / NS_PER_S
        right = len(q.ready)
        right = min(right, leased_max - len(held)) if leased_max else right
        assert q.available <= right
        assert problems_of(q) == []


def test_pop_of_messages_whose_group_is_busy_is_not_told_that_there_are_none() -> None:
    """They are ready, and wait for another one of their group."""
    q = queue()
    for at in range(3):
        delivery = Delivery(entry(START_NS + at, SIZE))
        delivery.group_id = "g"
        q.add_known(delivery)
    leased(q)

    refusal = q.nothing_to_hand_out()

    assert refusal.message.startswith(
        f"queue {q.info.id} does not hand out any of the 2 messages that are ready now: others"
        " of their groups or fair_keys have to be done first"
    )
    assert refusal.retry_after_s == 1.0
