"""What a redrive moves, and how."""

import pytest

from qmq.envelope import encode_dead_letter
from qmq.errors import LeaseLost
from qmq.limits import ATTEMPTS_MAX
from qmq.model.index import entry
from qmq.model.nacking import end_undone
from qmq.model.redrive import (
    Match,
    RedriveRequest,
    RedriveState,
    begin,
    match,
)
from qmq.testing import START_NS
from qmq.values import NS_PER_S, DeadLetter, NackKind
from qmq.wire import q_pb2 as pb
from tests.model.queues import leased, queue, queue_id, seqs_in
from tests.model.redrives import (
    A1,
    A2,
    B1,
    DEAD,
    ELSEWHERE,
    ID,
    JOBS,
    NEW,
    REJECTED,
    WORN_OUT,
    World,
    added,
    attempt,
    letter,
    wanting,
)


def test_dead_letter_goes_back_as_it_was_added() -> None:
    """To the queue that it came from, without what made it a dead letter; its history beside."""
    found = match(wanting(), letter(b"payload", tags=[A1], text="broken", attempts=2))

    assert found == Match(queue_id(JOBS), added(b"payload", [A1]), [attempt(1), attempt(2)])


def test_dead_letter_goes_where_it_is_told_to() -> None:
    """A target comes before where it came from."""
    found = match(wanting(target=ELSEWHERE), letter())

    assert found == Match(queue_id(ELSEWHERE), added(), [attempt(1)])


@pytest.mark.parametrize(
    ("request_", "is_wanted"),
    [
        (wanting(tags=(A1,)), True),
        (wanting(tags=(B1, A1)), True),
        (wanting(tags=(A2,)), False),
        (wanting(tags=(A1, A2)), False),
        (wanting(reasons=(REJECTED,)), True),
        (wanting(reasons=(WORN_OUT, REJECTED)), True),
        (wanting(reasons=(WORN_OUT,)), False),
        (wanting(text="host db"), True),
        (wanting(text="Host"), False),
        (wanting(text="host", reasons=(WORN_OUT,)), False),
    ],
)
def test_filters_all_have_to_hold(request_: RedriveRequest, *, is_wanted: bool) -> None:
    """All tags, one of the reasons, a part of the text."""
    found = match(request_, letter(tags=[A1, B1], reason=REJECTED, text="no route to host db-1"))

    assert bool(found) is is_wanted


@pytest.mark.parametrize(
    ("request_", "is_wanted"),
    [
        (wanting(), False),
        (wanting(target=ELSEWHERE), True),
        (wanting(target=ELSEWHERE, tags=(A1,)), True),
        (wanting(target=ELSEWHERE, tags=(A2,)), False),
        (wanting(target=ELSEWHERE, reasons=(REJECTED,)), False),
        (wanting(target=ELSEWHERE, text="x"), False),
    ],
)
def test_message_that_is_no_dead_letter_needs_a_target(
    request_: RedriveRequest, *, is_wanted: bool
) -> None:
    """It came from nowhere, and has neither reason nor text."""
    found = match(request_, added(tags=[A1]))

    assert found == (Match(queue_id(ELSEWHERE), added(tags=[A1]), ()) if is_wanted else None)


def test_dead_letter_of_a_dead_letter_goes_back_as_a_dead_letter() -> None:
    """It is in its former queue what it was there; elsewhere it is as it was added."""
    first = letter(b"x", source=JOBS, text="first")
    dead = DeadLetter(WORN_OUT, "second", queue_id(ELSEWHERE), START_NS, 1)
    second = first + encode_dead_letter(dead, [attempt(1, "again")], 100_000)

    assert match(wanting(), second) == Match(queue_id(ELSEWHERE), first, [attempt(1, "again")])
    assert match(wanting(target=JOBS), second) == Match(
        queue_id(JOBS), added(b"x"), [attempt(1, "again")]
    )
    assert match(wanting(reasons=(REJECTED,)), second) is None


def test_redrive_is_for_what_is_there_when_it_starts() -> None:
    """What is ready and not newer than its own number."""
    source = queue(DEAD)
    for seq in range(1, 8):
        source.add(entry(seq, 100))
    leased(source)

    redrive = begin("id", wanting(), source, now_ns=START_NS, steady_ns=START_NS, seq=5)

    assert (redrive.first_seq, redrive.last_seq, redrive.total) == (0, 5, 4)
    assert (redrive.state, redrive.message) == (RedriveState.RUNNING, "")


@pytest.mark.parametrize(
    ("age_min_s", "age_max_s", "expected"),
    [(0, None, 3), (10, None, 2), (11, None, 1), (0, 10, 2), (10, 10, 1), (0, 0, 0)],
)
def test_age_is_that_when_the_redrive_starts(
    age_min_s: int, age_max_s: int | None, expected: int
) -> None:
    """Its ends are included. However long the redrive takes, the same messages are meant.

    The clock that people set was set forward: that makes no message older.
    """
    source = queue(DEAD)
    for age_s in (20, 10, 5):
        source.add(entry(START_NS - age_s * NS_PER_S, 100))
    request = RedriveRequest(
        queue_id=queue_id(DEAD),
        age_min_ns=age_min_s * NS_PER_S,
        age_max_ns=None if age_max_s is None else age_max_s * NS_PER_S,
    )

    redrive = begin(
        "id",
        request,
        source,
        now_ns=START_NS + 3_600 * NS_PER_S,
        steady_ns=START_NS,
        seq=START_NS,
    )

    assert redrive.total == expected


def test_moved_messages_are_at_the_end_of_their_new_queue() -> None:
    """In the order in which they were; and it is done when nothing is left to look at."""
    world = World([letter(b"1"), letter(b"2"), letter(b"3")], wanting())
    world.jobs.add(entry(5_000, 100))

    step = world.step()

    assert seqs_in(world.dead) == []
    assert seqs_in(world.jobs) == [5_000, NEW, NEW + 1, NEW + 2]
    assert world.jobs.ready.bytes == 100 + 3 * len(added(b"1"))
    assert step.targets == [world.jobs]
    assert step.changes.removed == world.entries
    envelopes = [added(payload) for payload in (b"1", b"2", b"3")]
    assert step.changes.added == [
        (entry(seq, len(envelope)), JOBS, envelope) for seq, envelope in enumerate(envelopes, NEW)
    ]
    assert [delivery.seq for delivery in step.changes.saved] == [NEW, NEW + 1, NEW + 2]
    assert world.counts == (3, 3, 3, 3)
    assert (step.redrive.state, step.redrive.ended_ns) == (
        RedriveState.DONE,
        START_NS + NS_PER_S,
    )


def test_what_was_not_asked_for_stays() -> None:
    """At its place, and the redrive goes past it."""
    world = World([letter(text="a"), letter(text="b"), letter(text="a")], wanting(text="a"))

    world.step()

    assert seqs_in(world.dead) == [2]
    assert world.counts == (3, 3, 2, 2)
    assert world.redrive.state is RedriveState.DONE


def test_history_goes_along() -> None:
    """How it was handed out before and how that ended, and which redrive has moved it."""
    world = World([letter(attempts=2)], wanting())
    world.step()

    (delivery,) = leased(world.jobs)

    assert [each.reason for each in delivery.attempts] == ["", ""]
    assert [each.fence for each in delivery.attempts] == [1, 2]
    assert (delivery.count, delivery.redrive_id) == (1, "id")
    assert delivery.fence > 2


def test_history_of_the_dead_letter_queue_is_part_of_it() -> None:
    """A dead letter that was handed out there has these attempts too, the last ones of all."""
    world = World([letter(attempts=ATTEMPTS_MAX)], wanting())
    (delivery,) = leased(world.dead, consumer="repair")
    end_undone(
        world.dead,
        delivery,
        NackKind.RELEASE,
        now_ns=START_NS,
        delay_ns=0,
        reason="later",
        chance=0,
    )

    world.step()

    assert (seqs_in(world.dead), len(world.dead.leases.by_seq)) == ([], 0)
    (moved,) = world.jobs.leases.by_seq.values()
    assert len(moved.attempts) == ATTEMPTS_MAX
    assert [each.fence for each in moved.attempts] == list(range(1, ATTEMPTS_MAX + 1))
    assert (moved.attempts[-1].reason, moved.attempts[-1].consumer) == ("later", "repair")


def test_leases_of_before_are_nobody_s() -> None:
    """Neither the old queue nor the new one knows a lease that a message had before."""
    world = World([letter(attempts=3)], wanting())
    (before,) = leased(world.dead)
    old_seq, old_fence = before.seq, before.fence
    end_undone(
        world.dead, before, NackKind.RELEASE, now_ns=START_NS, delay_ns=0, reason="", chance=0
    )
    world.step()
    (after,) = leased(world.jobs)

    assert world.dead.leases.find(old_seq, old_fence) is None
    assert world.jobs.leases.find(old_seq, old_fence) is None
    assert after.lease_id > before.lease_id
    for fence in range(1, after.fence):
        with pytest.raises(LeaseLost):
            world.jobs.leases.find(after.seq, fence)


@pytest.mark.parametrize("taken", [1, 2, 3])
def test_what_others_have_taken_meanwhile_is_theirs(taken: int) -> None:
    """Between the look and the move, messages are popped, leased and put back."""
    world = World([letter(b"1"), letter(b"2"), letter(b"3")], wanting())
    looked = world.look()
    for _ in range(taken):
        world.dead.pop()

    step = world.step(looked)

    assert step.changes.removed == world.entries[taken:]
    assert len(seqs_in(world.jobs)) == 3 - taken
    assert world.counts == (3, 3, 3 - taken, 3 - taken)
    assert world.redrive.state is RedriveState.DONE


def test_message_that_came_back_meanwhile_is_moved() -> None:
    """It was looked at and is ready, however often it was handed out between."""
    world = World([letter(b"1"), letter(b"2")], wanting())
    looked = world.look()
    (delivery,) = leased(world.dead)
    end_undone(
        world.dead, delivery, NackKind.RELEASE, now_ns=START_NS, delay_ns=0, reason="", chance=0
    )

    step = world.step(looked)

    assert step.changes.removed == world.entries
    assert (seqs_in(world.dead), world.dead.message_count) == ([], 0)


def test_step_moves_no_more_than_it_may() -> None:
    """And goes on from there."""
    world = World([letter(b"%d" % n) for n in range(5)], wanting())

    steps = [len(world.step(moved_max=2).changes.added) for _ in range(3)]

    assert steps == [2, 2, 1]
    assert world.counts == (5, 5, 5, 5)


def test_redrive_moves_no_more_than_it_was_asked_for() -> None:
    """It is done then, and has not looked at the others."""
    letters = [letter(text="b"), *(letter(text="a") for _ in range(5))]
    world = World(letters, wanting(text="a", messages_max=3))

    world.step(moved_max=2)
    world.step(moved_max=2)

    assert world.counts == (6, 4, 3, 3)
    assert (world.redrive.state, len(world.dead.ready)) == (RedriveState.DONE, 3)


def test_dry_run_counts_and_moves_nothing() -> None:
    """Whatever room there is."""
    world = World([letter(text="a"), letter(text="b")], wanting(text="a", dry_run=True), limit=1)
    world.jobs.add(entry(5_000, 100))

    step = world.step()

    assert (step.changes.added, step.changes.removed, step.changes.saved) == ([], [], [])
    assert seqs_in(world.dead) == [1, 2]
    assert world.counts == (2, 2, 1, 0)
    assert world.redrive.state is RedriveState.DONE


def test_dry_run_counts_no_more_than_would_be_moved() -> None:
    """As many as the request says."""
    world = World([letter() for _ in range(5)], wanting(messages_max=3, dry_run=True))

    world.step(moved_max=2)
    world.step(moved_max=2)

    assert world.counts == (5, 3, 3, 0)
    assert world.redrive.state is RedriveState.DONE


def test_moved_message_is_what_a_client_added() -> None:
    """It reads as one that was never a dead letter."""
    world = World([letter(b"payload", tags=[A1])], wanting())

    [(_, _, envelope)] = world.step().changes.added

    message = pb.Message.FromString(envelope)
    assert (message.payload, message.meta.id) == (b"payload", ID)
    assert not message.HasField("dead_letter")
    assert not message.attempts
    assert entry(NEW, len(envelope)) in world.jobs.ready.between(NEW, NEW)
