"""The rules of one queue for messages on lease: what counts, what waits, what is a dead letter."""

from dataclasses import replace

import pytest

from qmq.descriptions import BackOff, Pause, QueueSettings
from qmq.errors import AddsPaused, NoDeadLetterQueue, QueueEmpty, QueueFull, QueuePaused
from qmq.model.check import problems_of
from qmq.model.delivery import Delivery, State
from qmq.model.index import entries, entry
from qmq.model.nacking import end_undone
from qmq.model.queue import Queue
from qmq.model.stats import stats_of
from qmq.testing import START_NS
from qmq.values import NS_PER_S, DeadLetterReason, NackKind, Outcome
from tests.model.queues import EVERYTHING, LEASE_NS, SIZE, filled, leased, queue, queue_id, seqs_in

#: Three deliveries, then the dead-letter queue; no chance in the back-off.
SETTINGS = QueueSettings(
    delivery_count_max=3, dead_letter_queue_id=queue_id(2), back_off=BackOff(jitter=0)
)


def pause(q: Queue, *, adds: bool = False) -> None:
    """Pause a queue."""
    q.set_info(replace(q.info, pause=Pause(since_ns=START_NS, adds=adds)))


def nack(
    q: Queue,
    delivery: Delivery,
    kind: NackKind,
    *,
    delay_ns: int | None = None,
    chance: float = 0.0,
) -> DeadLetterReason | None:
    """Give a message back."""
    return end_undone(
        q, delivery, kind, now_ns=START_NS, delay_ns=delay_ns, reason="why", chance=chance
    )


def test_acked_message_is_gone() -> None:
    """It leaves the queue, and counts as acked rather than as consumed."""
    q = filled(queue(), [1, 2])
    (delivery,) = leased(q)

    q.ack(delivery)

    assert (q.message_count, len(q.leases.by_seq), seqs_in(q)) == (1, 0, [2])
    assert (q.acked_total, q.consumed_total) == (1, 0)


def test_several_messages_are_acked_at_once() -> None:
    """They are told in the order in which they were named."""
    q = filled(queue(), [1, 2, 3, 4])
    leased(q, 3)

    assert q.ack_all([(3, 1), (1, 1)]) == [entry(3, SIZE), entry(1, SIZE)]

    assert (q.message_count, list(q.leases.by_seq), seqs_in(q)) == (2, [2], [4])
    assert (q.acked_total, q.consumed_total) == (2, 0)
    assert problems_of(q) == []


@pytest.mark.parametrize("other", [(1, 1), (2, 2), (3, 1)], ids=["twice", "lost", "ready"])
def test_acks_at_once_are_all_or_nothing(other: tuple[int, int]) -> None:
    """If there is something to say about one of them, the queue stays as it is."""
    q = filled(queue(), [1, 2, 3])
    deliveries = leased(q, 2)

    assert q.ack_all([(1, 1), other]) is None

    assert list(q.leases.by_seq.values()) == deliveries
    assert (q.message_count, q.acked_total, seqs_in(q)) == (3, 0, [3])
    assert problems_of(q) == []


def test_limit_counts_ready_leased_and_delayed_messages() -> None:
    """Room is made by an ack, and by nothing less."""
    q = filled(queue(limit=3), [1, 2, 3])
    first, second = leased(q, 2)
    nack(q, second, NackKind.FAIL, delay_ns=NS_PER_S)
    assert (len(q.ready), q.leases.leased, q.leases.delayed) == (1, 1, 1)

    with pytest.raises(QueueFull) as refusal:
        q.add(entry(4, SIZE))
    q.ack(first)
    q.add(entry(4, SIZE))

    assert refusal.value.metadata["current"] == "3"
    assert q.message_count == 3


@pytest.mark.parametrize("partial", [False, True])
def test_batch_finds_no_room_beside_leased_messages(*, partial: bool) -> None:
    """The limit is the same for many messages at once."""
    q = filled(queue(limit=2), [1, 2])
    leased(q, 2)

    with pytest.raises(QueueFull):
        q.room_for([SIZE], partial=partial)


def test_pop_tells_whether_a_message_was_on_lease() -> None:
    """A store that has written something down about it forgets that too."""
    q = filled(queue(), [1, 2])
    nack(q, leased(q)[0], NackKind.RELEASE)

    assert [q.pop(), q.pop()] == [(entry(1, SIZE), True), (entry(2, SIZE), False)]
    assert q.leases.by_seq == {}


def test_pop_batch_tells_which_messages_were_on_lease() -> None:
    """Those that were given back, and those whose lease ran out."""
    q = filled(queue(), [1, 2, 3, 4])
    first, *_ = leased(q, 2)
    nack(q, first, NackKind.RELEASE)
    q.pass_time(START_NS + LEASE_NS)

    assert q.pop_batch(3, EVERYTHING) == (entries(1, [SIZE] * 3), [1, 2])
    assert q.leases.by_seq == {}


def test_leased_message_is_neither_popped_nor_peeked_nor_leased_again() -> None:
    """Somebody has it."""
    q = filled(queue(), [1])
    leased(q)

    for call in (q.pop, q.peek):
        with pytest.raises(QueueEmpty):
            call()
    assert q.pop_batch(9, EVERYTHING) == ([], [])
    assert leased(q) == []


def test_redeliveries_are_counted() -> None:
    """Whether the message was given back or its lease ran out, and not a first delivery."""
    q = filled(queue(), [1, 2])
    nack(q, leased(q)[0], NackKind.RELEASE)
    leased(q, 2)
    q.pass_time(START_NS + LEASE_NS)
    leased(q)

    assert q.redelivered_total == 2


def test_paused_queue_hands_out_nothing() -> None:
    """Pop says why; what takes many just takes none; a Peek and an Add go on."""
    q = filled(queue(7), [1])
    pause(q)

    with pytest.raises(QueuePaused) as refusal:
        q.pop()
    q.add(entry(2, SIZE))

    assert (
        refusal.value.message
        == f"queue {queue_id(7)} is paused; it hands out messages after Resume"
    )
    assert (q.pop_batch(9, EVERYTHING), leased(q)) == (([], []), [])
    assert (q.available, q.peek(), q.message_count) == (0, entry(1, SIZE), 2)


def test_queue_that_is_paused_for_adds_takes_none() -> None:
    """One or many, limited or not, and it does not count as full."""
    q = queue(7)
    pause(q, adds=True)

    with pytest.raises(AddsPaused) as refusal:
        q.add(entry(1, SIZE))
    with pytest.raises(AddsPaused):
        q.room_for([SIZE], partial=True)

    assert refusal.value.message == (
        f"queue {queue_id(7)} is paused and takes no messages; it does after Resume"
    )
    assert (q.message_count, q.full_total) == (0, 0)


def test_paused_queue_takes_back_what_it_had_handed_out() -> None:
    """Leases end as ever: by acks, by nacks, and by time."""
    q = filled(queue(), [1, 2, 3])
    first, second, _ = leased(q, 3)
    pause(q)

    q.ack(first)
    nack(q, second, NackKind.RELEASE)
    q.pass_time(START_NS + LEASE_NS)

    assert (seqs_in(q), q.available) == ([2, 3], 0)


def test_failed_message_is_kept_back_for_the_back_off_of_its_queue() -> None:
    """Longer after each delivery."""
    q = filled(queue(settings=replace(SETTINGS, delivery_count_max=0)), [1])
    delays_s = []
    for _ in range(4):
        (delivery,) = leased(q)
        nack(q, delivery, NackKind.FAIL)
        delays_s.append((delivery.until_ns - START_NS) / NS_PER_S)
        q.pass_time(delivery.until_ns)

    assert delays_s == [1, 2, 4, 8]


def test_releases_do_not_make_the_back_off_longer() -> None:
    """It goes by how often the message was delivered."""
    q = filled(queue(settings=SETTINGS), [1])
    for _ in range(5):
        nack(q, leased(q)[0], NackKind.RELEASE)
    (delivery,) = leased(q)

    nack(q, delivery, NackKind.FAIL)

    assert delivery.until_ns == START_NS + NS_PER_S


def test_chance_makes_the_back_off_shorter() -> None:
    """By up to the jitter, which is a fifth unless the queue says otherwise."""
    q = filled(queue(), [1, 2])
    first, second = leased(q, 2)

    nack(q, first, NackKind.FAIL, chance=1.0)
    nack(q, second, NackKind.FAIL, chance=0.5)

    assert [first.until_ns - START_NS, second.until_ns - START_NS] == [
        8 * NS_PER_S // 10,
        9 * NS_PER_S // 10,
    ]


@pytest.mark.parametrize("kind", [NackKind.FAIL, NackKind.RELEASE])
def test_consumer_may_say_how_long_a_message_is_kept_back(kind: NackKind) -> None:
    """Then the queue's back-off has no say in it; 0 is at once."""
    q = filled(queue(settings=SETTINGS), [1, 2])
    first, second = leased(q, 2)

    nack(q, first, kind, delay_ns=5)
    nack(q, second, kind, delay_ns=0)

    assert (first.state, first.until_ns) == (State.DELAYED, START_NS + 5)
    assert (second.state, seqs_in(q)) == (State.RETURNED, [2])


def test_released_message_is_ready_at_once() -> None:
    """The back-off is for those that failed."""
    q = filled(queue(settings=SETTINGS), [1])

    assert nack(q, leased(q)[0], NackKind.RELEASE) is None

    assert seqs_in(q) == [1]


def test_message_that_has_failed_as_often_as_it_may_is_to_be_moved() -> None:
    """Not before that; how its last lease ended is written down, and a delay is no use."""
    q = filled(queue(settings=SETTINGS), [1])
    for _ in range(2):
        (delivery,) = leased(q)
        assert nack(q, delivery, NackKind.FAIL, delay_ns=0) is None
    (delivery,) = leased(q)

    reason = nack(q, delivery, NackKind.FAIL, delay_ns=0)

    assert reason is DeadLetterReason.DELIVERY_COUNT_MAX
    assert [each.outcome for each in delivery.attempts] == [Outcome.FAILED] * 3
    assert q.message_count == 1


def test_released_message_is_never_worn_out() -> None:
    """However often it is delivered."""
    q = filled(queue(settings=SETTINGS), [1])

    for _ in range(9):
        assert nack(q, leased(q)[0], NackKind.RELEASE) is None


def test_message_whose_last_lease_runs_out_is_to_be_moved() -> None:
    """Expiries count like failures, in whatever order they come."""
    q = filled(queue(settings=SETTINGS), [1])
    nack(q, leased(q)[0], NackKind.FAIL, delay_ns=0)
    now_ns = START_NS
    told = []
    for _ in range(2):
        leased(q, now_ns=now_ns)
        now_ns += LEASE_NS
        told.append([each.seq for each in q.pass_time(now_ns).worn_out])

    assert told == [[], [1]]


def test_count_means_nothing_without_a_dead_letter_queue() -> None:
    """As after that was taken away while a message was out for the last time."""
    q = filled(queue(settings=replace(SETTINGS, dead_letter_queue_id="")), [1])
    now_ns = START_NS
    for _ in range(5):
        leased(q, now_ns=now_ns)
        now_ns += LEASE_NS
        assert q.pass_time(now_ns) == ([], [], [])


def test_rejected_message_is_to_be_moved() -> None:
    """At its first delivery, whatever the maximum."""
    q = filled(queue(settings=SETTINGS), [1])
    (delivery,) = leased(q)

    assert nack(q, delivery, NackKind.REJECT) is DeadLetterReason.REJECTED

    assert delivery.attempts[-1].outcome is Outcome.REJECTED
    assert delivery.attempts[-1].reason == "why"


def test_message_cannot_be_rejected_without_a_dead_letter_queue() -> None:
    """Q throws no message away; the lease goes on, and the error says what to do."""
    q = filled(queue(7), [1])
    (delivery,) = leased(q)

    with pytest.raises(NoDeadLetterQueue) as refusal:
        nack(q, delivery, NackKind.REJECT)

    assert refusal.value.message == (
        f"queue {queue_id(7)} has no dead-letter queue, so that none of its messages can be"
        " rejected; set dead_letter_queue_id by UpdateQueue, or ack the message"
    )
    assert (delivery.state, delivery.attempts) == (State.LEASED, ())


def test_everything_can_be_dropped() -> None:
    """Ready, given back, leased and delayed messages; each is told once."""
    q = filled(queue(), range(1, 7))
    first, second, *_ = leased(q, 4)
    nack(q, first, NackKind.RELEASE)
    nack(q, second, NackKind.FAIL, delay_ns=5)

    assert sorted(q.drop_all()) == entries(1, [SIZE] * 6)

    assert (q.message_count, len(q.ready), q.ready.bytes) == (0, 0, 0)
    assert q.pass_time(START_NS + LEASE_NS) == ([], [], [])


def test_stats_tell_what_is_where() -> None:
    """By state, with who holds how much; bytes and age are those of the ready ones."""
    q = filled(queue(), [START_NS + n for n in range(6)])
    first, second, *_ = leased(q, 3, consumer="b")
    leased(q, consumer="a")
    q.ack(first)
    nack(q, second, NackKind.FAIL, delay_ns=5)

    stats = stats_of(q, START_NS + 1_000, waiting=0)

    assert (stats.ready, stats.leased, stats.delayed) == (2, 2, 1)
    assert (stats.ready_bytes, stats.oldest_age_ns) == (2 * SIZE, 996)
    assert stats.consumers == (("a", 1), ("b", 1))
    assert (stats.enqueued_total, stats.consumed_total, stats.acked_total) == (6, 0, 1)


def test_message_that_comes_back_is_as_old_as_ever() -> None:
    """Its age is counted from when it was added."""
    q = filled(queue(), [START_NS, START_NS + 500])
    (delivery,) = leased(q)
    without = q.oldest_age_ns(START_NS + 1_000)

    nack(q, delivery, NackKind.RELEASE)

    assert (without, q.oldest_age_ns(START_NS + 1_000)) == (500, 1_000)
