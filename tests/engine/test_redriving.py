"""Redrives as jobs of the server, with time in the test's hand."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from qmq.engine.broker import Broker
from qmq.model.check import problems_of
from qmq.model.redrive import Redrive, RedriveRequest, RedriveState
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import DeadLetterReason, NackKind, Store, Tag
from qmq.wire import q_pb2 as pb
from tests.engine.callers import Caller, turns
from tests.engine.redrives import (
    add,
    bury,
    drain,
    ended,
    lease,
    make_queues,
    memory_broker,
    numbered,
    redriven,
    reject,
    standing,
)

DONE, GAVE_UP, RUNNING, STOPPED = (
    RedriveState.DONE,
    RedriveState.GAVE_UP,
    RedriveState.RUNNING,
    RedriveState.STOPPED,
)


@pytest.fixture
async def broker(clock: ManualClock) -> Broker:
    """Return a broker in memory, with the empty queues "jobs" and "dead"."""
    broker = memory_broker(clock)
    await make_queues(broker)
    return broker


def progress(redrive: Redrive) -> tuple[int, int, int, int]:
    """Return how far a redrive is: total, seen, matched, moved."""
    return redrive.total, redrive.seen, redrive.matched, redrive.moved


async def ready(broker: Broker, queue: str) -> int:
    """Return how many messages can be handed out."""
    ([stats], _) = await broker.stats(queue, 0, "")
    return stats.ready


async def test_all_dead_letters_go_back_in_their_order(broker: Broker) -> None:
    """However many steps that takes; what is in the queue already stays before them."""
    await bury(broker, numbered(1_050))
    await add(broker, [b"before"])

    redrive = await redriven(broker)

    assert (redrive.state, progress(redrive)) == (DONE, (1_050, 1_050, 1_050, 1_050))
    assert redrive.message == ""
    assert (broker.redriving.running, broker.redriving.moved_total) == (0, 1_050)
    assert await drain(broker, "jobs") == [b"before", *numbered(1_050)]
    assert await ready(broker, "dead") == 0


async def test_moved_message_is_new_again_and_has_its_history(broker: Broker) -> None:
    """Its deliveries count from 1, and it tells how it was handed out before."""
    await bury(broker, [b"x"], reason="no route")
    await redriven(broker)

    (leased,) = await lease(broker, 1)

    assert leased.delivery_count == 1
    assert leased.message.payload == b"x"
    assert not leased.message.HasField("dead_letter")
    [attempt] = leased.message.attempts
    assert (attempt.consumer, attempt.outcome, attempt.reason) == (
        "worker",
        pb.Attempt.REJECTED,
        "no route",
    )


async def test_lease_of_before_is_not_valid_again(broker: Broker) -> None:
    """Who had the message before it became a dead letter cannot ack it now."""
    await add(broker, [b"x"])
    [old] = await lease(broker, 1)
    await reject(broker, [old])
    await redriven(broker)
    [new] = await lease(broker, 1)

    refused = await broker.leasing.ack("jobs", [old.lease_id])
    accepted = await broker.leasing.ack("jobs", [new.lease_id])

    assert refused[0] is not None
    assert accepted == [None]
    assert new.lease_id > old.lease_id


async def test_waiting_callers_get_what_is_moved(broker: Broker) -> None:
    """A consumer that waits at the queue is served at once."""
    await bury(broker, [b"x"])
    caller = Caller(broker)
    await turns()

    await redriven(broker)
    await turns()

    assert caller.payloads == [b"x"]


async def test_filters_choose(broker: Broker) -> None:
    """By tag, by reason, by text: all that is asked for has to hold."""
    await bury(broker, [b"rejected"], reason="no route to host")
    await add(broker, [b"tagged"], tags=[Tag("kind", "mail")])
    await reject(broker, await lease(broker, 1), reason="no route to host")
    await add(broker, [b"worn out"])
    for _ in range(2):
        [leased] = await lease(broker, 1)
        await broker.leasing.nack("jobs", [leased.lease_id], NackKind.FAIL, reason="late")

    tagged = await redriven(broker, tags=(Tag("kind", "mail"),), text="host")
    worn_out = await redriven(broker, reasons=(DeadLetterReason.DELIVERY_COUNT_MAX,))

    assert progress(tagged) == (3, 3, 1, 1)
    assert progress(worn_out) == (2, 2, 1, 1)
    assert await drain(broker, "jobs") == [b"tagged", b"worn out"]
    assert await drain(broker, "dead") == [b"rejected"]


async def test_age_chooses(broker: Broker, clock: ManualClock) -> None:
    """How long a dead letter has been there when the redrive starts."""
    await bury(broker, [b"old"])
    clock.advance(3_600)
    await bury(broker, [b"young"])
    clock.advance(60)

    redrive = await redriven(broker, age_min_ns=3_600 * 10**9)

    assert progress(redrive) == (1, 1, 1, 1)
    assert await drain(broker, "jobs") == [b"old"]


async def test_target_may_be_any_queue_of_the_store(broker: Broker) -> None:
    """By name or id; messages that are no dead letters go along where a target is named."""
    info = await broker.new_queue(Store.MEMORY, name="repair")
    await bury(broker, [b"dead"])
    await add(broker, [b"added"], queue="dead")

    without = await redriven(broker, messages_max=5, dry_run=True)
    redrive = await redriven(broker, target_queue_id="repair")

    assert progress(without) == (2, 2, 1, 0)
    assert redrive.request.target_queue_id == info.id
    assert progress(redrive) == (2, 2, 2, 2)
    assert await drain(broker, "repair") == [b"dead", b"added"]


async def test_dry_run_moves_nothing(broker: Broker) -> None:
    """It counts, at once, whatever rate is asked for."""
    await bury(broker, numbered(450))

    redrive = await redriven(broker, dry_run=True, messages_per_second=1.0)

    assert (redrive.state, progress(redrive)) == (DONE, (450, 450, 450, 0))
    assert (await ready(broker, "dead"), await ready(broker, "jobs")) == (450, 0)


async def test_what_comes_later_is_not_for_this_redrive(broker: Broker) -> None:
    """A message that fails again is not moved again."""
    await bury(broker, numbered(30))
    started = await broker.redriving.start(
        RedriveRequest(queue_id="dead", messages_per_second=1_000.0, failed_again_max=1.0)
    )
    await turns()
    await reject(broker, await lease(broker, 30))

    redrive = await ended(broker, started)

    assert (progress(redrive), redrive.failed_again) == ((30, 30, 30, 30), 30)
    assert await ready(broker, "dead") == 30


async def test_rate_is_kept(broker: Broker, clock: ManualClock) -> None:
    """No second has more, and no time is wasted."""
    await bury(broker, numbered(100))
    started = await broker.redriving.start(
        RedriveRequest(queue_id="dead", messages_per_second=20.0)
    )
    moved = []

    for _ in range(8):
        moved.append((await standing(broker, started)).moved)
        clock.advance(0.05)

    # A step moves what a tenth of a second allows.
    assert moved == [2, 2, 4, 4, 6, 6, 8, 8]
    clock.advance(60)
    # A pause of the server is not made up for.
    assert (await standing(broker, started)).moved == 10


@pytest.mark.parametrize(("rate", "wait_s"), [(1.0, 1.0), (0.5, 2.0), (15.0, 1 / 15)])
async def test_slow_rate_moves_one_message_at_a_time(
    broker: Broker, clock: ManualClock, rate: float, wait_s: float
) -> None:
    """Each when its time has come."""
    await bury(broker, numbered(4))
    started = await broker.redriving.start(
        RedriveRequest(queue_id="dead", messages_per_second=rate)
    )
    moved = []

    for _ in range(4):
        moved.append((await standing(broker, started)).moved)
        clock.advance(wait_s * 0.99)
        moved.append((await standing(broker, started)).moved)
        clock.advance(wait_s * 0.011)

    assert moved == [1, 1, 2, 2, 3, 3, 4, 4]
    assert (await broker.redriving.get(started.id)).state is DONE


async def test_rate_is_that_of_moved_messages(broker: Broker) -> None:
    """What is not asked for is passed over as fast as can be."""
    await bury(broker, numbered(900), reason="a")
    await bury(broker, [b"x"], reason="b")

    redrive = await redriven(broker, text="b", messages_per_second=1.0)

    assert progress(redrive) == (901, 901, 1, 1)


async def test_stopped_redrive_moves_no_more(broker: Broker, clock: ManualClock) -> None:
    """What it has moved stays; to stop it again changes nothing."""
    await bury(broker, numbered(10))
    started = await broker.redriving.start(RedriveRequest(queue_id="dead", messages_per_second=1.0))
    await standing(broker, started)

    stopped = await broker.redriving.stop(started.id)
    clock.advance(3_600)
    await turns()

    assert (stopped.state, stopped.moved, stopped.message) == (STOPPED, 1, "")
    assert stopped.ended_ns == stopped.started_ns
    assert await broker.redriving.stop(started.id) == stopped
    assert (await ready(broker, "dead"), await ready(broker, "jobs")) == (9, 1)


async def test_redrive_stops_by_itself_when_messages_fail_again(
    broker: Broker, clock: ManualClock
) -> None:
    """Half of what was moved, from the twentieth message on; the others stay where they are."""
    await bury(broker, numbered(100))
    started = await broker.redriving.start(
        RedriveRequest(queue_id="dead", messages_per_second=10.0)
    )

    for _ in range(60):
        await standing(broker, started)
        # The twentieth message is moved when the first nineteen have failed.
        await reject(broker, await lease(broker, 1))
        clock.advance(0.1)
    redrive = await broker.redriving.get(started.id)

    assert (redrive.state, redrive.moved, redrive.failed_again) == (GAVE_UP, 20, 20)
    assert redrive.message == (
        "19 of 20 moved messages are dead letters again: failed_again_max is 0.5"
    )
    assert redrive.ended_ns > redrive.started_ns
    assert await ready(broker, "dead") == 100


async def test_failures_after_the_end_are_counted_too(broker: Broker) -> None:
    """Of a redrive that is done one can see later how it went."""
    await bury(broker, numbered(30))
    done = await redriven(broker)
    await reject(broker, await lease(broker, 10))
    # What leaves for good is forgotten, and what others move is not its own.
    await drain(broker, "jobs")
    await bury(broker, [b"other"])

    later = await broker.redriving.get(done.id)

    assert later == replace(done, failed_again=10)


async def test_full_queue_holds_a_redrive_up(broker: Broker, clock: ManualClock) -> None:
    """It says so, looks again each second, and goes on when there is room."""
    await bury(broker, numbered(5))
    info = await broker.update_queue("jobs", lambda settings: settings, limit=2)
    started = await broker.redriving.start(RedriveRequest(queue_id="dead"))

    full = await standing(broker, started)
    await broker.pop("jobs")
    clock.advance(1)
    more = await standing(broker, started)
    await broker.update_queue("jobs", lambda settings: settings, limit=0)
    clock.advance(1)
    redrive = await ended(broker, started)

    assert (full.state, full.moved) == (RUNNING, 2)
    assert full.message == f"queue {info.id} has reached limit of 2 messages"
    assert (more.moved, more.message) == (3, full.message)
    assert (redrive.state, redrive.moved, redrive.message) == (DONE, 5, "")


async def test_paused_queue_holds_a_redrive_up(broker: Broker, clock: ManualClock) -> None:
    """If it takes no messages; a redrive that stands still can be stopped."""
    await bury(broker, numbered(5))
    await broker.pause("jobs", adds=True)
    first = await broker.redriving.start(RedriveRequest(queue_id="dead"))
    second = await broker.redriving.start(RedriveRequest(queue_id="dead"))

    held_up = await standing(broker, first)
    stopped = await broker.redriving.stop(second.id)
    await broker.resume("jobs")
    clock.advance(1)
    redrive = await ended(broker, first)

    assert "is paused and takes no messages" in held_up.message
    assert (stopped.state, stopped.moved) == (STOPPED, 0)
    assert (redrive.state, redrive.moved) == (DONE, 5)


async def test_paused_dead_letter_queue_is_redriven(broker: Broker) -> None:
    """A pause is about consumers."""
    await bury(broker, numbered(5))
    await broker.pause("dead", adds=True)

    assert (await redriven(broker)).moved == 5


async def test_redrive_gives_up_when_its_target_is_deleted(
    broker: Broker, clock: ManualClock
) -> None:
    """It says which queue is gone, and what was not moved stays."""
    info = await broker.new_queue(Store.MEMORY, name="repair", limit=1)
    await bury(broker, numbered(3))
    started = await broker.redriving.start(
        RedriveRequest(queue_id="dead", target_queue_id="repair")
    )
    await standing(broker, started)

    await broker.delete_queue("repair")
    clock.advance(1)
    redrive = await ended(broker, started)

    assert (redrive.state, redrive.moved) == (GAVE_UP, 1)
    assert redrive.message == f"queue {info.id}, which messages were to go to, is gone"
    assert await ready(broker, "dead") == 2


async def test_redrive_gives_up_when_its_queue_is_deleted(
    broker: Broker, clock: ManualClock
) -> None:
    """There is nothing left to be moved."""
    info = await broker.new_queue(Store.MEMORY, name="stock")
    await add(broker, numbered(3), queue="stock")
    started = await broker.redriving.start(
        RedriveRequest(queue_id="stock", target_queue_id="jobs", messages_per_second=1.0)
    )
    await standing(broker, started)

    await broker.delete_queue("stock")
    clock.advance(1)
    redrive = await ended(broker, started)

    assert (redrive.state, redrive.moved) == (GAVE_UP, 1)
    assert redrive.message == f"queue {info.id}, which messages were in, is gone"


async def test_dead_letters_without_a_home_stay(broker: Broker) -> None:
    """Their queue was deleted; another redrive can take them elsewhere."""
    await bury(broker, numbered(3))
    await broker.delete_queue("jobs")
    await broker.new_queue(Store.MEMORY, name="repair")

    stuck = await redriven(broker)
    redrive = await redriven(broker, target_queue_id="repair")

    assert (stuck.state, progress(stuck)) == (DONE, (3, 3, 3, 0))
    assert stuck.message.startswith("3 of the messages that matched stay where they are")
    assert (redrive.moved, redrive.message) == (3, "")


async def test_purged_queue_has_nothing_to_move(broker: Broker, clock: ManualClock) -> None:
    """The redrive is done."""
    await bury(broker, numbered(5))
    started = await broker.redriving.start(RedriveRequest(queue_id="dead", messages_per_second=1.0))
    await standing(broker, started)

    await broker.purge("dead")
    clock.advance(1)
    redrive = await ended(broker, started)

    assert (redrive.state, redrive.moved) == (DONE, 1)


async def test_messages_that_others_take_meanwhile_are_theirs(broker: Broker) -> None:
    """Consumers of the dead-letter queue and two redrives at once: each message goes one way."""
    await bury(broker, numbered(1_000))
    first = await broker.redriving.start(RedriveRequest(queue_id="dead"))
    second = await broker.redriving.start(RedriveRequest(queue_id="dead"))
    taken: list[bytes] = []

    while await ready(broker, "dead"):
        envelopes = await broker.pop_batch("dead", 7)
        taken += [pb.Message.FromString(envelope).payload for envelope in envelopes]
        leased = [each.lease_id for each in await lease(broker, 1, "dead")]
        await asyncio.sleep(0)
        await broker.leasing.nack("dead", leased, NackKind.RELEASE)
    first, second = await ended(broker, first), await ended(broker, second)
    problems = [each for queue in broker.catalog for each in problems_of(queue)]
    back = await drain(broker, "jobs")
    left = await drain(broker, "dead")

    assert problems == []
    assert sorted(taken + back + left) == sorted(numbered(1_000))
    assert len(taken) > 7
    assert first.moved + second.moved == len(back)


async def test_others_have_their_turn(broker: Broker) -> None:
    """A redrive of thousands never holds up a call for long."""
    await bury(broker, numbered(3_000))
    started = await broker.redriving.start(RedriveRequest(queue_id="dead"))
    moved = [0]

    while (redrive := await broker.redriving.get(started.id)).is_running:
        moved.append(redrive.moved)
        await asyncio.sleep(0)

    assert len(moved) > 3_000 / 50
    assert max(after - before for before, after in pairwise(moved)) <= 200


async def test_large_messages_make_small_steps(clock: ManualClock) -> None:
    """A step holds no more in memory than a reply, or one message."""
    broker = Broker(
        {Store.MEMORY: MemoryStore()},
        clock=clock,
        timer=clock,
        new_id=seeded_ids(),
        message_bytes_max=3_000,
    )
    await broker.new_queue(Store.MEMORY, name="from")
    await broker.new_queue(Store.MEMORY, name="to")
    await add(broker, [bytes(1_000)] * 4 + [bytes(2_700)] * 2, queue="from")
    started = await broker.redriving.start(RedriveRequest(queue_id="from", target_queue_id="to"))
    moved = []

    while (redrive := await broker.redriving.get(started.id)).is_running:
        moved.append(redrive.moved)
        await asyncio.sleep(0)

    assert sorted({*moved, redrive.moved}) == [0, 2, 4, 5, 6]
