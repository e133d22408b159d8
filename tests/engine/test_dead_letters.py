"""Messages that cannot be worked on: when they become dead letters, and where they go."""

from dataclasses import replace

import pytest

from qmq.descriptions import BackOff, QueueSettings
from qmq.engine.broker import Broker
from qmq.errors import InvalidArgument, NoDeadLetterQueue, QueueInUse, QueueNotFound
from qmq.testing import START_NS, ManualClock
from qmq.values import UNBOUNDED, NackKind, Store
from qmq.wire import q_pb2 as pb
from tests.engine.callers import turns
from tests.engine.consumers import (
    FINE,
    ack,
    add,
    fail,
    lease,
    leased_again,
    memory_broker,
    new_queue,
    pop_all,
    reject,
    release,
    states,
    stats,
)

#: At most two deliveries, and none is kept back.
TWICE = QueueSettings(
    delivery_count_max=2, dead_letter_queue_id="dead", back_off=BackOff(base_ns=0)
)


@pytest.fixture
async def broker(clock: ManualClock) -> Broker:
    """Return a broker with the empty queues "dead", and "jobs" with that for dead letters."""
    broker = memory_broker(clock)
    await new_queue(broker, "dead")
    await new_queue(broker, "jobs", settings=TWICE)
    return broker


async def test_rejected_message_is_a_dead_letter_at_once(broker: Broker) -> None:
    """With everything it had, why, by whom, and where it comes from."""
    added = pb.Message.FromString(await broker.add("jobs", b"x", b"\x1a\x06\n\x01k\x12\x01v"))
    (mine,) = await lease(broker, consumer="w1")

    assert await reject(broker, mine, reason="not JSON") == [FINE]

    assert await states(broker) == (0, 0, 0)
    dead = pb.Message.FromString(await broker.peek("dead"))
    assert (dead.meta, dead.payload) == (added.meta, b"x")
    assert dead.dead_letter.reason == pb.DeadLetter.REJECTED
    assert dead.dead_letter.text == "not JSON"
    assert dead.dead_letter.source_queue_id == broker.catalog.find("jobs").info.id
    assert dead.dead_letter.moved.ToNanoseconds() == START_NS
    assert dead.dead_letter.delivery_count == 1
    assert [(each.consumer, each.outcome, each.reason) for each in dead.attempts] == [
        ("w1", pb.Attempt.REJECTED, "not JSON")
    ]


async def test_message_cannot_be_rejected_without_a_dead_letter_queue(broker: Broker) -> None:
    """That is said of the lease, which goes on; the others of the call are answered as well."""
    await add(broker, b"1", queue="dead")
    (mine,) = await lease(broker, queue="dead")

    refusal, nonsense = await broker.leasing.nack(
        "dead", [mine.lease_id, "nonsense"], NackKind.REJECT
    )

    assert isinstance(refusal, NoDeadLetterQueue)
    assert isinstance(nonsense, InvalidArgument)
    assert await states(broker, "dead") == (0, 1, 0)
    assert await ack(broker, mine, queue="dead") == [FINE]


async def test_message_that_fails_as_often_as_it_may_is_a_dead_letter(broker: Broker) -> None:
    """Whatever the delay that its consumer asked for."""
    await add(broker, b"1")
    for _ in range(2):
        (mine,) = await lease(broker)
        assert await fail(broker, mine, delay_s=0) == [FINE]

    assert await states(broker) == (0, 0, 0)
    dead = pb.Message.FromString(await broker.pop("dead"))
    assert dead.dead_letter.reason == pb.DeadLetter.DELIVERY_COUNT_MAX
    assert dead.dead_letter.delivery_count == 2
    assert [each.outcome for each in dead.attempts] == [pb.Attempt.FAILED] * 2


async def test_message_whose_last_lease_runs_out_is_a_dead_letter(
    broker: Broker, clock: ManualClock
) -> None:
    """By itself, when its time is over: nobody has to ask for it."""
    await add(broker, b"1")
    (mine,) = await lease(broker)
    await fail(broker, mine)
    await lease(broker)

    clock.advance(30)
    await turns()

    dead = pb.Message.FromString(await broker.pop("dead"))
    assert dead.dead_letter.reason == pb.DeadLetter.DELIVERY_COUNT_MAX
    assert dead.dead_letter.moved.ToNanoseconds() == clock.now_ns()
    assert [each.outcome for each in dead.attempts] == [pb.Attempt.FAILED, pb.Attempt.EXPIRED]
    assert await states(broker) == (0, 0, 0)


async def test_released_message_is_no_dead_letter(broker: Broker) -> None:
    """However often it was out."""
    await add(broker, b"1")
    for _ in range(9):
        (mine,) = await lease(broker)
        assert mine.delivery_count == 1
        await release(broker, mine)

    assert await states(broker) == (1, 0, 0)


async def test_lease_on_a_dead_letter_is_refused_by_its_old_queue(
    broker: Broker, clock: ManualClock
) -> None:
    """An ack of it takes nothing from the dead-letter queue, whichever is asked."""
    await add(broker, b"1", b"2")
    rejected, expired = await lease(broker, 2)
    await fail(broker, expired)
    (_,) = await lease(broker)
    await reject(broker, rejected)
    clock.advance(30)
    await turns()

    for queue in ("jobs", "dead"):
        for each in await ack(broker, rejected, expired, queue=queue):
            assert "does not hold its message any more" in each

    assert await states(broker, "dead") == (2, 0, 0)


async def test_dead_letter_is_a_message_of_its_new_queue(
    broker: Broker, clock: ManualClock
) -> None:
    """At its end, as young as its move, with deliveries of its own; what it was told stays."""
    await add(broker, b"1")
    clock.advance(7)
    await add(broker, b"of the queue itself", queue="dead")
    (mine,) = await lease(broker)
    await reject(broker, mine, reason="first")
    clock.advance(3)
    counts = await stats(broker, "dead")

    _, dead = await lease(broker, 2, queue="dead")

    assert (counts.ready, counts.oldest_age_ns, counts.enqueued_total) == (2, 3 * 10**9, 1)
    assert (dead.payload, dead.delivery_count) == (b"1", 1)
    assert dead.message.dead_letter.text == "first"
    assert dead.lease_id.partition("-")[0] > mine.lease_id.partition("-")[0]
    assert await ack(broker, dead, queue="dead") == [FINE]


async def test_dead_letter_queue_may_have_one_too(broker: Broker) -> None:
    """Its dead letters tell about the last time, and of all attempts."""
    await new_queue(broker, "last")
    await broker.update_queue("dead", lambda known: replace(known, dead_letter_queue_id="last"))
    await add(broker, b"1")
    (mine,) = await lease(broker, consumer="w1")
    await reject(broker, mine, reason="first")
    (mine,) = await lease(broker, queue="dead", consumer="w2")
    assert [each.consumer for each in mine.attempts] == ["w1"]

    results = await broker.leasing.nack("dead", [mine.lease_id], NackKind.REJECT)

    assert results == [None]
    dead = pb.Message.FromString(await broker.pop("last"))
    assert dead.dead_letter.source_queue_id == broker.catalog.find("dead").info.id
    assert dead.dead_letter.text == ""
    assert [each.consumer for each in dead.attempts] == ["w1", "w2"]


async def test_dead_letters_have_room_in_a_full_queue(broker: Broker) -> None:
    """Its limit is for those who add."""
    await broker.update_queue("dead", lambda known: known, limit=1)
    await add(broker, b"of the queue itself", queue="dead")
    await add(broker, b"1", b"2")

    for each in await lease(broker, 2):
        assert await reject(broker, each) == [FINE]

    assert await states(broker, "dead") == (3, 0, 0)


async def test_several_queues_may_share_a_dead_letter_queue(broker: Broker) -> None:
    """Each dead letter knows where it comes from."""
    await new_queue(broker, "mail", settings=replace(TWICE, delivery_count_max=1))
    await add(broker, b"1")
    await add(broker, b"2", queue="mail")
    (mail,) = await lease(broker, queue="mail")
    (job,) = await lease(broker)
    await broker.leasing.nack("mail", [mail.lease_id], NackKind.FAIL)
    await reject(broker, job)

    told = [pb.Message.FromString(each) for each in await broker.pop_batch("dead", 9)]

    assert [(each.payload, each.dead_letter.source_queue_id) for each in told] == [
        (b"2", broker.catalog.find("mail").info.id),
        (b"1", broker.catalog.find("jobs").info.id),
    ]


async def test_maximum_that_was_lowered_counts_from_now_on(broker: Broker) -> None:
    """At the next failure; what waits in the line is delivered once more."""
    await broker.update_queue("jobs", lambda known: replace(known, delivery_count_max=0))
    await add(broker, b"1")
    for _ in range(5):
        (mine,) = await lease(broker)
        await fail(broker, mine)
    await broker.update_queue("jobs", lambda known: replace(known, delivery_count_max=3))
    assert await states(broker) == (1, 0, 0)

    (mine,) = await lease(broker)
    await fail(broker, mine)

    assert mine.delivery_count == 6
    assert await pop_all(broker, "dead") == [b"1"]


async def test_dead_letter_queue_is_kept_by_its_id(broker: Broker) -> None:
    """It may be given by name."""
    jobs = await broker.get_queue("jobs")

    assert jobs.settings.dead_letter_queue_id == (await broker.get_queue("dead")).id


async def test_maximum_needs_a_dead_letter_queue(broker: Broker) -> None:
    """Q throws no message away: neither a new queue may be so, nor one become so."""
    refusal = "^settings.delivery_count_max: needs a dead_letter_queue_id: "
    settings = QueueSettings(delivery_count_max=3)

    with pytest.raises(InvalidArgument, match=refusal):
        await broker.new_queue(Store.MEMORY, settings=settings)
    with pytest.raises(InvalidArgument, match=refusal):
        await broker.update_queue("dead", lambda _: settings)
    with pytest.raises(InvalidArgument, match=refusal):
        await broker.update_queue("jobs", lambda known: replace(known, dead_letter_queue_id=""))

    assert len(broker.catalog) == 2
    assert (await broker.get_queue("jobs")).settings.delivery_count_max == 2


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("nobody", InvalidArgument),
        ("00000000-0000-0000-0000-000000000000", QueueNotFound),
        ("durable", InvalidArgument),
        ("jobs", InvalidArgument),
        ("above", InvalidArgument),
    ],
)
async def test_queue_that_cannot_have_dead_letters_of_another_is_refused(
    broker: Broker, target: str, error: type[Exception]
) -> None:
    """One that is not there, one in another store, the queue itself, one that leads back to it."""
    await new_queue(broker, "durable", store=Store.DISK)
    await new_queue(broker, "above", settings=QueueSettings(dead_letter_queue_id="jobs"))
    before = await broker.get_queue("jobs")

    with pytest.raises(error):
        await broker.update_queue("jobs", lambda known: replace(known, dead_letter_queue_id=target))

    assert await broker.get_queue("jobs") == before


async def test_dead_letter_queue_cannot_be_deleted_while_it_is_one(broker: Broker) -> None:
    """The error says whose it is; it can be once that has another, or none, or is gone."""
    jobs, dead = [await broker.get_queue(name) for name in ("jobs", "dead")]

    with pytest.raises(QueueInUse) as refusal:
        await broker.delete_queue("dead")

    assert refusal.value.message == (
        f"queue {dead.id} is the dead-letter queue of queue {jobs.id};"
        " give that one another by UpdateQueue first"
    )
    await broker.delete_queue("jobs")
    await broker.delete_queue("dead")
    assert len(broker.catalog) == 0


async def test_dead_letter_queue_can_be_deleted_after_an_update(broker: Broker) -> None:
    """Its messages go with it, those of the other queue stay."""
    await add(broker, b"1")
    await broker.update_queue(
        "jobs",
        lambda known: replace(known, dead_letter_queue_id="", delivery_count_max=0),
    )

    await broker.delete_queue("dead")

    assert await states(broker) == (1, 0, 0)


async def test_update_that_is_refused_changes_nothing(broker: Broker) -> None:
    """Neither limit nor settings."""
    before = await broker.get_queue("jobs")

    with pytest.raises(InvalidArgument, match=r"^limit: "):
        await broker.update_queue(
            "jobs", lambda known: replace(known, lease_duration_ns=1), limit=-2
        )
    with pytest.raises(InvalidArgument):
        await broker.update_queue(
            "jobs", lambda known: replace(known, dead_letter_queue_id="jobs"), limit=5
        )

    assert await broker.get_queue("jobs") == before


async def test_update_changes_what_it_says_and_leaves_the_rest(broker: Broker) -> None:
    """It answers with the whole; a limit of 0 is none."""
    await broker.update_queue("jobs", lambda known: known, limit=5)
    with_limit = await broker.update_queue(
        "jobs", lambda known: replace(known, lease_duration_ns=7)
    )
    without = await broker.update_queue("jobs", lambda known: known, limit=0)

    assert (with_limit.limit, with_limit.settings.delivery_count_max) == (5, 2)
    assert (without.limit, without.settings) == (UNBOUNDED, with_limit.settings)
    assert await broker.get_queue("jobs") == without


async def test_limit_that_was_lowered_throws_nothing_away(broker: Broker) -> None:
    """There is just no room until enough has gone."""
    await add(broker, b"1", b"2", b"3")
    await lease(broker)

    await broker.update_queue("jobs", lambda known: known, limit=1)

    assert await states(broker) == (2, 1, 0)
    assert await leased_again(broker) == [b"2", b"3"]
