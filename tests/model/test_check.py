"""The check of a queue finds what must not be, and nothing else."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from qmq.descriptions import QueueSettings
from qmq.limits import ATTEMPTS_MAX
from qmq.model.check import problems_of
from qmq.model.dedup import Known
from qmq.model.delivery import Delivery, State
from qmq.model.index import entry, seq_of
from qmq.model.queue import Queue
from qmq.testing import START_NS
from qmq.values import Attempt, NackKind, Outcome
from tests.model.queues import LEASE_NS, SIZE, filled, leased, queue

FRESH, LEASED, RETURNED, DELAYED, EXPIRED = 15, 14, 12, 13, 11
#: Of use until a moment, in a queue with options; and kept back, but of use for a shorter time.
EXPIRING, KEPT_BACK = 21, 22


def queue_with_everything() -> Queue:
    """Make a queue with a message in each state, numbered as above."""
    q = filled(queue(), range(11, 17))
    leased(q, 1, consumer="a")
    returned, delayed = leased(q, 2, now_ns=START_NS + 1, consumer="a")
    leased(q, 1, now_ns=START_NS + 1, consumer="b")
    q.leases.give_back(returned, NackKind.RELEASE, START_NS + 2, 0, "")
    q.leases.give_back(delayed, NackKind.FAIL, START_NS + 2, 2 * LEASE_NS, "")
    assert q.pass_time(START_NS + LEASE_NS) == ([], [], [])
    return q


def queue_with_options() -> Queue:
    """Make a queue of messages with options, numbered from 20 and 30 on."""
    q = filled(queue(settings=QueueSettings(ttl_ns=10 * LEASE_NS)), range(31, 33))
    for seq, priority, expires_ns, until_ns in (
        (20, 7, 0, 0),
        (EXPIRING, 0, 1_005, 0),
        (KEPT_BACK, 1, 1_006, 1_009),
    ):
        delivery = Delivery(entry(seq, SIZE, priority))
        delivery.expires_ns = expires_ns
        if until_ns:
            delivery.state, delivery.until_ns = State.DELAYED, until_ns
        q.add_known(delivery)
    for seq, dedup_id in ((20, "a"), (31, "b"), (32, "a")):
        q.dedup.add(Known(seq, dedup_id, b"", START_NS + seq))
    return q


def known(q: Queue, seq: int) -> Delivery:
    """Return what is known of a message."""
    return q.leases.by_seq[seq]


def test_queue_in_order_has_no_problem() -> None:
    """With messages in every state, and with none."""
    q = queue_with_everything()
    assert {delivery.state for delivery in q.leases.by_seq.values()} == set(State)

    assert problems_of(q) == []
    q.drop_all()
    assert problems_of(q) == []


def test_queue_with_options_has_no_problem() -> None:
    """Priorities, whether they age or not, times of use, delays and dedup_ids."""
    q = queue_with_options()
    orders = []

    for ageing_ns in (0, 2, 10):
        ageing = replace(q.info.settings, priority_ageing_ns=ageing_ns)
        q.set_info(replace(q.info, settings=ageing))
        assert problems_of(q) == []
        orders.append([seq_of(each) for each in q.ready])

    assert orders == [[20, EXPIRING, 31, 32]] * 3
    leased(q, 2)
    assert problems_of(q) == []
    q.drop_all()
    assert problems_of(q) == []


def line_out_of_order(q: Queue) -> None:
    """Put an old message behind a younger one."""
    q.ready.append(entry(1, SIZE))


def bytes_off(q: Queue) -> None:
    """Count a byte too many."""
    q.ready.bytes += 1


def withdrawn_without_being_there(q: Queue) -> None:
    """Count a message less than there are."""
    q.ready.withdraw(entry(99, 0))


def head_withdrawn_unseen(q: Queue) -> None:
    """Leave a message at the head that is not to be handed out."""
    q.ready._returned._withdrawn.add(known(q, EXPIRED).entry)  # noqa: SLF001 - No other way.
    q.leases.by_seq.pop(EXPIRED)
    q.ready.bytes -= SIZE


def named_wrongly(q: Queue) -> None:
    """Know a message by another number."""
    delivery = q.leases.by_seq[5] = known(q, LEASED)
    q.leases.by_seq.pop(LEASED)
    delivery.entry, delivery.seq = entry(6, SIZE), 6
    q.leases.extend(delivery, START_NS)


def numbered_wrongly(q: Queue) -> None:
    """Take a message for another one than its entry says."""
    known(q, LEASED).seq = FRESH


def leased_in_line(q: Queue) -> None:
    """Hand out a message that stays in the line."""
    q.ready.put_back(known(q, LEASED).entry)


def returned_nowhere(q: Queue) -> None:
    """Take a message out of the line that should be in it."""
    q.ready.withdraw(known(q, RETURNED).entry)


def fresh_with_history(q: Queue) -> None:
    """Know something of a message that was never handed out."""
    delivery = Delivery(next(q.ready.fresh))
    q.leases.by_seq[FRESH] = delivery


def back_from_nowhere(q: Queue) -> None:
    """Put a message back of which nothing is known."""
    q.ready.put_back(entry(3, 0))


def purged_and_there(q: Queue) -> None:
    """Say of messages that they are gone."""
    q.purged_seq = RETURNED


def bytes_of_leases_off(q: Queue) -> None:
    """Count what one message takes that is not there."""
    q.leases.bytes += SIZE


def leased_off(q: Queue) -> None:
    """Count one too many."""
    q.leases.leased += 1


def delayed_off(q: Queue) -> None:
    """Count one too few."""
    q.leases.delayed -= 1


def held_off(q: Queue) -> None:
    """Count for one who holds something else."""
    q.leases.held_by["b"] = 2


def held_by_nobody(q: Queue) -> None:
    """Remember one who holds nothing any more."""
    q.leases.held_by["gone"] = 0


def no_reminder(q: Queue) -> None:
    """Let a lease end earlier than anybody looks."""
    known(q, LEASED).until_ns -= 1


def moments_out_of_order(q: Queue) -> None:
    """Let time pass at the wrong moment."""
    q.leases._moments.sort(reverse=True)  # noqa: SLF001 - No other way leads there.


def delivered_more_often_than_handed_out(q: Queue) -> None:
    """Count a delivery twice."""
    known(q, LEASED).count = 2


def counted_below_nothing(q: Queue) -> None:
    """Release one more often than it was handed out."""
    known(q, RETURNED).count = -1


def too_many_attempts(q: Queue) -> None:
    """Forget none."""
    delivery = known(q, RETURNED)
    delivery.fence = ATTEMPTS_MAX + 1
    delivery.attempts = tuple(
        Attempt(fence, "", 0, 0, Outcome.RELEASED, "") for fence in range(1, ATTEMPTS_MAX + 2)
    )


def attempts_out_of_order(q: Queue) -> None:
    """Write an attempt down twice."""
    known(q, RETURNED).attempts *= 2


def attempt_of_the_future(q: Queue) -> None:
    """Know how a lease ended that was never given."""
    known(q, RETURNED).fence = known(q, RETURNED).count = 0


def lease_has_ended(q: Queue) -> None:
    """Write down that a lease has ended, and let it go on."""
    known(q, LEASED).end(Outcome.FAILED, START_NS)


def end_is_unknown(q: Queue) -> None:
    """Take a message back without a word."""
    known(q, DELAYED).attempts = ()


def expired_by_another_name(q: Queue) -> None:
    """Take a message for expired that was given back."""
    known(q, RETURNED).state = State.EXPIRED


@pytest.mark.parametrize(
    ("break_it", "problem"),
    [
        (line_out_of_order, "message 16 stands in the line before message 1"),
        (bytes_off, "the ready messages count as 401 bytes, and take 400"),
        (withdrawn_without_being_there, "3 messages count as ready, and 4 are in the line"),
        (
            head_withdrawn_unseen,
            "the line begins with message 12, and message 11 is to be handed out next",
        ),
        (named_wrongly, "message 6 is known as message 5"),
        (numbered_wrongly, "message 14 takes itself for message 15"),
        (leased_in_line, "message 14 is LEASED, and in the line as well"),
        (returned_nowhere, "message 12 is RETURNED, and not in the line"),
        (fresh_with_history, "message 15 stands in the line as if it had never been handed out"),
        (back_from_nowhere, "message 3 has come back, and nothing is known of its deliveries"),
        (purged_and_there, "message 12 was purged, and is still there"),
        (
            bytes_of_leases_off,
            "the leased and delayed messages count as 300 bytes, and take 200",
        ),
        (leased_off, "2 messages count as leased, and 1 are"),
        (delayed_off, "0 messages count as delayed, and 1 are"),
        (held_off, "consumer 'b' counts as holding 2 messages, and holds 1"),
        (held_by_nobody, "consumer 'gone' counts as holding 0 messages, and holds 0"),
        (
            no_reminder,
            (
                f"message 14 is LEASED until {START_NS + LEASE_NS}, and is looked at when it is"
                f" {START_NS + LEASE_NS + 1}"
            ),
        ),
        (
            moments_out_of_order,
            (
                f"time is to pass at {START_NS + 2 * LEASE_NS + 2}, and is due at"
                f" {START_NS + LEASE_NS + 1}"
            ),
        ),
        (
            delivered_more_often_than_handed_out,
            "message 14 counts as delivered 2 times, and was handed out 1 times",
        ),
        (
            counted_below_nothing,
            "message 12 counts as delivered -1 times, and was handed out 1 times",
        ),
        (too_many_attempts, "message 12 has 17 attempts, more than 16"),
        (attempts_out_of_order, "message 12 has an attempt 1 after an attempt 1"),
        (attempt_of_the_future, "message 12 has an attempt 1, and was handed out 0 times"),
        (lease_has_ended, "message 14 is on lease, and that lease, 1, has ended"),
        (end_is_unknown, "message 13 is not on lease, and how its lease 1 ended is not known"),
        (expired_by_another_name, "message 12 is EXPIRED, and its last lease has not expired"),
    ],
)
def test_problem_is_found(break_it: Callable[[Queue], None], problem: str) -> None:
    """Each by a sentence of its own."""
    q = queue_with_everything()

    break_it(q)

    assert problem in problems_of(q)


def low_before_high(q: Queue) -> None:
    """Let a message have a higher priority than its place in the line says."""
    delivery = known(q, EXPIRING)
    q.ready.withdraw(delivery.entry)
    delivery.entry = entry(EXPIRING, SIZE, 9)
    q.ready._returned.put(delivery.entry)  # noqa: SLF001 - No other way.
    q.ready.bytes += SIZE


def of_use_for_a_shorter_time(q: Queue) -> None:
    """Let the use of a message end earlier than anybody looks."""
    known(q, EXPIRING).expires_ns -= 1


def of_use_for_a_shorter_time_than_it_is_kept_back(q: Queue) -> None:
    """Do the same with one that is kept back."""
    known(q, KEPT_BACK).expires_ns -= 1


def of_use_for_a_time_by_another_measure(q: Queue) -> None:
    """Let messages expire at another time than their queue says."""
    q.leases.ttl_ns += 1


def used_up_unseen(q: Queue) -> None:
    """Say that none expires."""
    q.leases.may_expire = False


def ids_out_of_order(q: Queue) -> None:
    """Remember an old message after a younger one."""
    q.dedup.add(Known(5, "c", b"", START_NS))


@pytest.mark.parametrize(
    ("break_it", "problem"),
    [
        (low_before_high, "message 20 stands in the line before message 21"),
        (
            of_use_for_a_shorter_time,
            "message 21 is RETURNED until 1004, and is looked at when it is 1005",
        ),
        (
            of_use_for_a_shorter_time_than_it_is_kept_back,
            "message 22 is DELAYED until 1005, and is looked at when it is 1006",
        ),
        (
            of_use_for_a_time_by_another_measure,
            f"messages expire after {10 * LEASE_NS + 1}, and the queue says after {10 * LEASE_NS}",
        ),
        (used_up_unseen, "message 21 expires, and none is said to do so"),
        (ids_out_of_order, "the dedup_id of message 32 came before that of message 5"),
    ],
)
def test_problem_with_options_is_found(break_it: Callable[[Queue], None], problem: str) -> None:
    """Each by a sentence of its own."""
    q = queue_with_options()

    break_it(q)

    assert problem in problems_of(q)


def test_check_changes_nothing() -> None:
    """It may be made at any time."""
    q = queue_with_everything()
    before = (list(q.ready), repr(q), repr(q.leases.by_seq), sorted(q.leases.moments()))

    problems_of(q)

    assert (list(q.ready), repr(q), repr(q.leases.by_seq), sorted(q.leases.moments())) == before
