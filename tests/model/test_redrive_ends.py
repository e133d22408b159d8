"""What stands in the way of a redrive, what ends it, and what it cannot be asked for."""

import pytest

from qmq.descriptions import Pause, QueueInfo
from qmq.errors import InvalidArgument, StoresDiffer
from qmq.limits import REASON_BYTES_MAX
from qmq.model.index import entry
from qmq.model.queue import Queue
from qmq.model.redrive import (
    FAILED_AGAIN_LOOKED_AT_FROM,
    Redrive,
    RedriveRequest,
    RedriveState,
    check_request,
    check_target,
    count_failed_again,
    end,
    redrive_of,
    text_of,
)
from qmq.testing import START_NS
from qmq.values import Store
from tests.model.queues import leased, queue, queue_id, seqs_in
from tests.model.redrives import (
    A1,
    B1,
    DEAD,
    ELSEWHERE,
    JOBS,
    REJECTED,
    WORN_OUT,
    World,
    letter,
    wanting,
)


def test_full_queue_is_waited_for() -> None:
    """What fits is moved, what stands in the way is told, and then it goes on."""
    world = World([letter(b"%d" % n) for n in range(4)], wanting(), limit=2)

    world.step()

    full = f"queue {queue_id(JOBS)} has reached limit of 2 messages"
    assert (world.redrive.state, world.redrive.message) == (RedriveState.RUNNING, full)
    assert world.counts == (4, 2, 2, 2)
    before = world.redrive
    world.step()
    assert world.redrive == before
    world.jobs.pop()
    world.step()
    assert (world.redrive.message, world.redrive.moved) == (full, 3)
    world.jobs.pop()
    world.step()
    assert (world.redrive.message, world.redrive.state) == ("", RedriveState.DONE)
    # To look whether there is room is no refusal of an Add.
    assert world.jobs.full_total == 0


def test_what_is_leased_and_delayed_fills_a_queue_too() -> None:
    """The limit counts all messages."""
    world = World([letter(), letter()], wanting(), limit=1)
    world.jobs.add(entry(5_000, 100))
    leased(world.jobs)

    world.step()

    assert (world.redrive.moved, world.redrive.is_running) == (0, True)


def test_queue_that_takes_no_messages_is_waited_for() -> None:
    """A pause of adds holds a redrive up; one of deliveries does not."""
    world = World([letter(), letter()], wanting())
    world.jobs.set_info(_paused(world.jobs, adds=True))
    world.step()
    moved, message = world.redrive.moved, world.redrive.message

    world.jobs.set_info(_paused(world.jobs, adds=False))
    world.dead.set_info(_paused(world.dead, adds=True))
    world.step()

    assert moved == 0
    assert message == (
        f"queue {queue_id(JOBS)} is paused and takes no messages; it does after Resume"
    )
    assert (world.redrive.moved, world.redrive.message) == (2, "")


def _paused(q: Queue, *, adds: bool) -> QueueInfo:
    info = q.info
    return QueueInfo(
        id=info.id,
        created_ns=info.created_ns,
        store=info.store,
        pause=Pause(since_ns=START_NS, adds=adds),
    )


def test_redrive_gives_up_when_its_target_is_gone() -> None:
    """And says so; nothing is moved."""
    world = World([letter()], wanting(target=ELSEWHERE))

    step = world.step()

    assert step.changes.added == []
    assert (world.redrive.state, world.redrive.message) == (
        RedriveState.GAVE_UP,
        f"queue {queue_id(ELSEWHERE)}, which messages were to go to, is gone",
    )


@pytest.mark.parametrize("dry_run", [False, True])
def test_dead_letters_of_a_queue_that_is_gone_stay(*, dry_run: bool) -> None:
    """The others are moved, and what stays is told."""
    letters = [letter(source=ELSEWHERE), letter(), letter(source=ELSEWHERE)]
    world = World(letters, wanting(dry_run=dry_run))

    world.step()

    assert world.redrive.state is RedriveState.DONE
    assert world.counts == (3, 3, 3, 0 if dry_run else 1)
    assert seqs_in(world.dead) == ([1, 2, 3] if dry_run else [1, 3])
    assert world.redrive.message == (
        f"2 of the messages that matched stay where they are, since queue {queue_id(ELSEWHERE)},"
        " which they came from, is gone; a redrive with a target_queue_id moves them"
    )


def redrive_that_moved(moved: int, failed_again_max: float) -> Redrive:
    """Return a redrive that is under way and has moved so many."""
    world = World([letter()] * (moved + 1), wanting(failed_again_max=failed_again_max))
    return world.step(moved_max=moved).redrive


@pytest.mark.parametrize(
    ("moved", "most", "harmful"),
    [(40, 0.5, 20), (21, 0.5, 11), (20, 0.0, 1), (100, 0.01, 1), (30, 0.99, 30)],
)
def test_redrive_gives_up_when_too_many_fail_again(moved: int, most: float, harmful: int) -> None:
    """As soon as the share is as great as it may be."""
    redrive = redrive_that_moved(moved, most)

    for _ in range(harmful - 1):
        redrive = count_failed_again(redrive, START_NS)
        assert redrive.is_running
    redrive = count_failed_again(redrive, START_NS + 5)

    assert (redrive.state, redrive.ended_ns) == (RedriveState.GAVE_UP, START_NS + 5)
    assert redrive.failed_again == harmful
    assert redrive.message == (
        f"{harmful} of {moved} moved messages are dead letters again: failed_again_max is {most:g}"
    )


def test_redrive_never_gives_up_where_all_may_fail() -> None:
    """A share of 1 is no bound."""
    redrive = redrive_that_moved(30, 1.0)

    for _ in range(30):
        redrive = count_failed_again(redrive, START_NS)

    assert (redrive.is_running, redrive.failed_again) == (True, 30)


def test_share_is_looked_at_from_the_twentieth_message_on() -> None:
    """However many of fewer fail again; at the twentieth it is looked at at once."""
    world = World([letter()] * 30, wanting())
    world.step(moved_max=FAILED_AGAIN_LOOKED_AT_FROM - 1)
    for _ in range(FAILED_AGAIN_LOOKED_AT_FROM - 1):
        world.redrive = count_failed_again(world.redrive, START_NS)
    was_running = world.redrive.is_running

    world.step(moved_max=1)

    assert was_running
    assert (world.redrive.moved, world.redrive.state) == (20, RedriveState.GAVE_UP)
    assert len(world.dead.ready) == 10


def test_what_fails_after_the_end_is_counted() -> None:
    """A redrive that is done stays so."""
    redrive = end(redrive_that_moved(20, 0.1), RedriveState.DONE, START_NS)

    for _ in range(5):
        redrive = count_failed_again(redrive, START_NS + 9)

    assert (redrive.state, redrive.failed_again) == (RedriveState.DONE, 5)
    assert (redrive.message, redrive.ended_ns) == ("", START_NS)


@pytest.mark.parametrize(
    "request_",
    [
        RedriveRequest(queue_id=queue_id(DEAD)),
        RedriveRequest(
            queue_id=queue_id(DEAD),
            target_queue_id=queue_id(JOBS),
            tags=(A1, B1),
            reasons=(REJECTED, WORN_OUT),
            text="Grüße",
            age_min_ns=5,
            age_max_ns=7,
            dry_run=True,
            messages_per_second=0.5,
            messages_max=9,
            failed_again_max=1.0,
            sources=("a", "b"),
        ),
    ],
)
def test_redrive_can_be_written_down(request_: RedriveRequest) -> None:
    """What is read is what was written."""
    redrive = Redrive(
        id="id",
        request=request_,
        store=Store.DISK,
        started_ns=1,
        first_seq=2,
        last_seq=2**62,
        total=3,
        seen=4,
        matched=5,
        moved=6,
        stayed=7,
        failed_again=8,
        state=RedriveState.GAVE_UP,
        ended_ns=9,
        obstacle="queue x is full",
        gone_queue_id="y",
    )

    assert redrive_of(text_of(redrive)) == redrive


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": "x" * (REASON_BYTES_MAX + 1)}, "text: is longer than any: those have 1024 bytes"),
        ({"age_min_ns": 2, "age_max_ns": 1}, "age_min: must not be more than age_max"),
        (
            {"messages_per_second": -1.0},
            "messages_per_second: must be 0 (as many as possible), or 0.001 or more; got -1.0",
        ),
        (
            {"messages_per_second": 1e-300},
            "messages_per_second: must be 0 (as many as possible), or 0.001 or more; got 1e-300",
        ),
        (
            {"messages_per_second": float("nan")},
            "messages_per_second: must be 0 (as many as possible), or 0.001 or more; got nan",
        ),
        (
            {"messages_per_second": float("inf")},
            "messages_per_second: must be 0 (as many as possible), or 0.001 or more; got inf",
        ),
        ({"messages_max": -1}, "messages_max: must be 0 (all) or more; got -1"),
        ({"failed_again_max": 1.5}, "failed_again_max: must be 0 to 1; got 1.5"),
        ({"failed_again_max": float("nan")}, "failed_again_max: must be 0 to 1; got nan"),
    ],
)
def test_request_that_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    """The error names field, rule and value."""
    request = RedriveRequest(queue_id=queue_id(DEAD), **change)  # type: ignore[arg-type]

    with pytest.raises(InvalidArgument) as refusal:
        check_request(request)

    assert refusal.value.message == message


def test_request_at_its_bounds_is_fine() -> None:
    """The longest text there is, the slowest rate, the ages the same."""
    check_request(
        RedriveRequest(
            queue_id=queue_id(DEAD),
            text="x" * REASON_BYTES_MAX,
            age_min_ns=1,
            age_max_ns=1,
            messages_per_second=0.001,
            failed_again_max=0.0,
        )
    )


def test_target_is_another_queue_of_the_same_store() -> None:
    """Messages move within one transaction."""
    dead, jobs = queue(DEAD).info, queue(JOBS).info
    on_disk = queue(ELSEWHERE, store=Store.DISK).info

    check_target(dead, jobs)
    with pytest.raises(InvalidArgument, match=r"^target_queue_id: .* is where the messages are$"):
        check_target(dead, dead)
    with pytest.raises(StoresDiffer, match=r"lives in MEMORY and queue .* in DISK"):
        check_target(dead, on_disk)
