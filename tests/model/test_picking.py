"""The rules of messages that are picked by their ids, without a server."""

from dataclasses import replace

import pytest

from qmq.descriptions import Pause
from qmq.envelope import as_added, encode_dead_letter
from qmq.errors import (
    AddsPaused,
    InvalidArgument,
    MessageLeased,
    NoDeadLetter,
    QueueFull,
    QueueNotFound,
    StoresDiffer,
)
from qmq.limits import ATTEMPTS_MAX
from qmq.model.check import problems_of
from qmq.model.delivery import Delivery, State
from qmq.model.index import entry, seq_of
from qmq.model.moving import Moves
from qmq.model.picking import Picked, check_free, delete, destination_of, move
from qmq.model.queue import Queue
from qmq.testing import START_NS
from qmq.values import DeadLetter, Outcome, Store
from tests.model.queues import leased, queue, queue_id
from tests.model.redrives import ELSEWHERE, ID, JOBS, NEW, REJECTED, added, attempt, letter

SEQ = START_NS
TARGET = queue_id(ELSEWHERE)


def picked(envelope: bytes = added(), seq: int = SEQ) -> Picked:
    """Return a message as it is picked."""
    return Picked(ID, entry(seq, len(envelope)))


def with_leased(attempts: int = 0) -> Queue:
    """Return a queue whose only message is on lease, for so many times more than the first."""
    jobs = queue(JOBS)
    jobs.take_in(picked().entry)
    (held,) = leased(jobs, consumer="ann")
    held.attempts = tuple(map(attempt, range(1, attempts + 1)))
    held.fence = attempts + 1
    return jobs


def moved(source: Queue, target: Queue, envelope: bytes = added()) -> Delivery:
    """Move the only message of a queue, and return what the other one knows of it."""
    moves = Moves(source, lambda: NEW, keeps_time=True)
    destination = destination_of(picked(envelope), envelope, target.info.id)
    found = move(moves, picked(envelope), destination, find={target.info.id: target}.get, now_ns=7)
    moves.finish()
    assert found is target
    assert (source.message_count, problems_of(source), problems_of(target)) == (0, [], [])
    assert moves.changes.removed == [picked(envelope).entry]
    return target.leases.by_seq[NEW]


def test_leased_message_is_free_if_that_is_asked_for() -> None:
    """Who has it is told otherwise; nothing has changed by then."""
    jobs = with_leased()

    with pytest.raises(MessageLeased, match=f"{ID} is leased to 'ann' until"):
        check_free(jobs, picked(), leased=False)
    check_free(jobs, picked(), leased=True)

    assert jobs.leases.leased == 1
    assert delete(jobs, [picked()]) == [picked().entry]
    assert (jobs.message_count, jobs.deleted_total, problems_of(jobs)) == (0, 1, [])


def test_deleted_messages_leave_the_others_in_their_order() -> None:
    """Wherever they stood, in whatever order they were picked."""
    jobs = queue(JOBS)
    entries = jobs.add_batch(SEQ, [10] * 6)

    gone = delete(jobs, [Picked(ID, entries[at]) for at in (4, 0, 3)])

    assert gone == [entries[4], entries[0], entries[3]]
    assert list(jobs.ready) == [entries[1], entries[2], entries[5]]
    assert problems_of(jobs) == []


def test_lease_ends_with_the_move_and_says_so() -> None:
    """Beside what it says there is no further note; deliveries count anew."""
    delivery = moved(with_leased(attempts=1), queue(ELSEWHERE))

    before, last = delivery.attempts
    assert before.outcome is Outcome.FAILED
    assert last == (
        2,
        "ann",
        START_NS,
        7,
        Outcome.RELEASED,
        f"moved here from queue {queue_id(JOBS)}",
    )
    assert (delivery.fence, delivery.count, delivery.state) == (2, 0, State.RETURNED)


def test_history_holds_no_more_than_it_may() -> None:
    """The oldest attempts make room for the note."""
    jobs = with_leased(attempts=ATTEMPTS_MAX)

    delivery = moved(jobs, queue(ELSEWHERE))

    assert len(delivery.attempts) == ATTEMPTS_MAX
    assert [each.fence for each in delivery.attempts] == list(range(1, ATTEMPTS_MAX + 1))
    assert delivery.attempts[-1].consumer == "ann"


def test_letter_of_two_queues_goes_back_one_of_them() -> None:
    """There it is the dead letter that it was; to another queue it goes as it was added."""
    once = letter(source=ELSEWHERE, attempts=2)
    twice = once + encode_dead_letter(
        DeadLetter(REJECTED, "", queue_id(JOBS), START_NS, 1), [attempt(1)], 100_000
    )

    back = destination_of(picked(twice), twice, "")
    away = destination_of(picked(twice), twice, TARGET)

    assert (back.queue_id, back.envelope, len(back.attempts)) == (queue_id(JOBS), once, 1)
    assert (away.queue_id, away.envelope, len(away.attempts)) == (TARGET, as_added(twice), 3)
    with pytest.raises(NoDeadLetter, match=ID):
        destination_of(picked(), added(), "")


def test_message_stays_where_the_other_queue_takes_none() -> None:
    """It is told why, and nothing has changed."""
    full, paused, far = queue(ELSEWHERE, limit=0), queue(ELSEWHERE), queue(ELSEWHERE)
    full.set_info(replace(full.info, limit=1))
    full.take_in(entry(1, 10))
    paused.set_info(replace(paused.info, pause=Pause(since_ns=1, adds=True)))
    far.info = replace(far.info, store=Store.MEMORY if far.info.store is Store.DISK else Store.DISK)
    jobs = with_leased()
    moves = Moves(jobs, lambda: NEW)
    destination = destination_of(picked(), added(), TARGET)

    for target, error in (
        (full, QueueFull),
        (paused, AddsPaused),
        (far, StoresDiffer),
        (None, QueueNotFound),
    ):
        with pytest.raises(error):
            move(moves, picked(), destination, find=lambda _, found=target: found, now_ns=7)  # type: ignore[misc]
    with pytest.raises(InvalidArgument, match="is where the messages are"):
        move(moves, picked(), destination, find=lambda _: jobs, now_ns=7)

    assert (moves.count, jobs.leases.leased, jobs.moved_out_total) == (0, 1, 0)
    assert seq_of(picked().entry) in jobs.leases.by_seq
