"""Lease, Ack, Nack and Extend: who has which message, and what is said to those who have not."""

import pytest

from qmq.descriptions import BackOff, QueueSettings
from qmq.engine.broker import Broker
from qmq.errors import InvalidArgument, LeaseLost, QueueNotFound, ShuttingDown
from qmq.limits import ATTEMPTS_MAX, CONSUMER_BYTES_MAX, MESSAGE_BYTES_MAX, REASON_BYTES_MAX
from qmq.testing import START_NS, ManualClock
from qmq.values import NS_PER_S, NackKind
from qmq.wire import q_pb2 as pb
from tests.engine.consumers import (
    FINE,
    Held,
    ack,
    add,
    fail,
    lease,
    leased_again,
    memory_broker,
    nack,
    never_gone,
    new_queue,
    pop_all,
    release,
    states,
    stats,
)
from tests.leased import leased_messages

#: A lease that nobody has ever been given.
NOBODYS = "000000000000002a-00000001"


@pytest.fixture
async def broker(clock: ManualClock) -> Broker:
    """Return a broker with the empty queue "jobs", whose back-off is 10 s, 20 s, 40 s, ..."""
    broker = memory_broker(clock)
    back_off = BackOff(base_ns=10 * NS_PER_S, jitter=0.5)
    await new_queue(broker, "jobs", settings=QueueSettings(back_off=back_off))
    return broker


async def held(broker: Broker, *payloads: bytes, consumer: str = "") -> list[Held]:
    """Add messages, and lease them."""
    await add(broker, *payloads)
    return await lease(broker, len(payloads), consumer=consumer)


async def test_leased_message_is_told_with_its_lease(broker: Broker, clock: ManualClock) -> None:
    """What it is, until when, and that it is the first time."""
    added = await broker.add("jobs", b"x", b"\x1a\x06\n\x01k\x12\x01v")
    clock.advance(5)

    (mine,) = await lease(broker)

    assert mine.message == pb.Message.FromString(added)
    assert (mine.until_s, mine.delivery_count, list(mine.attempts)) == (35, 1, [])
    assert mine.lease_id == f"{START_NS:016x}-00000001"


async def test_lease_lasts_as_long_as_the_caller_or_else_the_queue_says(
    broker: Broker, clock: ManualClock
) -> None:
    """Half a minute unless anybody says anything."""
    ten_s = QueueSettings(lease_duration_ns=10 * NS_PER_S)
    await new_queue(broker, "short", settings=ten_s)
    await add(broker, b"1", b"2", queue="short")
    await add(broker, b"3")

    (of_queue,) = await lease(broker, queue="short")
    (of_caller,) = await lease(broker, queue="short", duration_s=0.001)
    (of_default,) = await lease(broker)

    assert [each.until_s for each in (of_queue, of_caller, of_default)] == [10, 0.001, 30]
    clock.advance(0.001)
    assert await states(broker, "short") == (1, 1, 0)


async def test_messages_are_leased_in_order_and_as_many_as_asked_for(broker: Broker) -> None:
    """Oldest first; who comes next gets the next ones, and then there are none."""
    await add(broker, b"1", b"2", b"3")

    first = await lease(broker, 2)
    second = await lease(broker, 2)

    assert [each.payload for each in first + second] == [b"1", b"2", b"3"]
    assert await lease(broker, 2) == []
    assert len({each.lease_id for each in first + second}) == 3


async def test_reply_carries_no_more_than_it_may(clock: ManualClock) -> None:
    """With the leases and the histories of all messages; each reply is as full as it can be."""
    broker = memory_broker(clock, message_bytes_max=2_000)
    await new_queue(broker, "jobs")
    await add(broker, *[bytes(300)] * 6)
    counts = []
    for _ in range(3):
        leased = await broker.leasing.lease("jobs", 9, wait_s=0, is_gone=never_gone)
        assert len(leased) <= 2_000
        ids = [each.lease_id for each in leased_messages(leased)]
        counts.append(len(ids))
        await nack(broker, NackKind.FAIL, *ids, delay_s=0, reason="r" * 200)

    # Each time they have one attempt more to tell of, and one message less fits.
    assert counts == [3, 2, 1]


async def test_message_on_lease_is_not_handed_out_to_anybody(broker: Broker) -> None:
    """Neither by Lease nor by Pop, nor shown by Peek."""
    await held(broker, b"1")
    await add(broker, b"2")

    assert pb.Message.FromString(await broker.peek("jobs")).payload == b"2"
    assert await pop_all(broker) == [b"2"]
    assert await leased_again(broker) == []


async def test_acked_message_is_gone_for_good(broker: Broker, clock: ManualClock) -> None:
    """It does not come back when its lease would have ended."""
    mine = await held(broker, b"1", b"2")

    assert await ack(broker, *mine) == [FINE, FINE]

    clock.advance(60)
    assert await states(broker) == (0, 0, 0)
    assert await pop_all(broker) == []
    assert (await stats(broker)).acked_total == 2


async def test_message_whose_lease_has_ended_is_handed_out_again_at_its_old_place(
    broker: Broker, clock: ManualClock
) -> None:
    """With what is known of the time before; it is not behind those that came later."""
    (first,) = await held(broker, b"1", consumer="w1")
    await add(broker, b"2")
    clock.advance(30)

    again, other = await lease(broker, 2, consumer="w2")

    assert (again.payload, other.payload) == (b"1", b"2")
    assert (again.delivery_count, other.delivery_count) == (2, 1)
    assert again.lease_id > first.lease_id
    (attempt,) = again.attempts
    assert (attempt.consumer, attempt.outcome, attempt.reason) == ("w1", pb.Attempt.EXPIRED, "")
    assert attempt.leased.ToNanoseconds() == START_NS
    assert attempt.ended.ToNanoseconds() == START_NS + 30 * NS_PER_S


async def test_ack_that_comes_late_is_fine_as_long_as_nobody_else_has_the_message(
    broker: Broker, clock: ManualClock
) -> None:
    """The work is done, and is not done again."""
    (mine,) = await held(broker, b"1")
    clock.advance(3_600)
    assert await states(broker) == (1, 0, 0)

    assert await ack(broker, mine) == [FINE]

    assert await states(broker) == (0, 0, 0)
    assert await leased_again(broker) == []


async def test_ack_that_comes_too_late_is_refused(broker: Broker, clock: ManualClock) -> None:
    """It says what became of the lease, and who has the message now, and takes it from nobody."""
    (mine,) = await held(broker, b"1", consumer="w1")
    clock.advance(40)
    (others,) = await lease(broker, consumer="w2")

    assert await ack(broker, mine) == [
        (
            f"lease {mine.lease_id} expired at 2023-11-14T22:13:50.000Z; its message is leased to"
            " 'w2' until 2023-11-14T22:14:30.000Z now"
        )
    ]

    assert await states(broker) == (0, 1, 0)
    assert await ack(broker, others) == [FINE]


async def test_ack_of_a_lease_that_is_not_the_latest_is_refused_after_that_ran_out_too(
    broker: Broker, clock: ManualClock
) -> None:
    """Late acks are for who had the message last."""
    (first,) = await held(broker, b"1")
    clock.advance(30)
    (second,) = await lease(broker)
    clock.advance(30)
    assert await states(broker) == (1, 0, 0)

    assert await ack(broker, first) == [
        (
            f"lease {first.lease_id} expired at 2023-11-14T22:13:50.000Z; its message is ready to"
            " be handed out again"
        )
    ]
    assert await ack(broker, second) == [FINE]


async def test_ack_may_be_repeated(broker: Broker, clock: ManualClock) -> None:
    """Whose answer was lost asks again, and is told the same; it counts once."""
    (mine,) = await held(broker, b"1")
    results = [await ack(broker, mine)]
    clock.advance(60)

    results.append(await ack(broker, mine))
    results.append(await ack(broker, mine, mine))

    assert results == [[FINE], [FINE], [FINE, FINE]]
    assert (await stats(broker)).acked_total == 1


@pytest.mark.parametrize("kind", [NackKind.FAIL, NackKind.RELEASE, NackKind.REJECT])
async def test_who_has_acked_cannot_take_that_back(broker: Broker, kind: NackKind) -> None:
    """That the message was acked is said."""
    (mine,) = await held(broker, b"1")
    await ack(broker, mine)
    refusal = [f"lease {mine.lease_id} has ended; its message was acked"]

    assert await nack(broker, kind, mine) == refusal
    results = await broker.leasing.extend("jobs", [mine.lease_id])
    assert [str(result) for result in results] == refusal


@pytest.mark.parametrize("how", ["popped", "popped in a batch", "purged"])
async def test_lease_on_a_message_that_has_left_otherwise_is_refused(
    broker: Broker, clock: ManualClock, how: str
) -> None:
    """It says that the message is not there; the ways in which that happens are named."""
    (mine,) = await held(broker, b"1")
    match how:
        case "popped":
            clock.advance(30)
            await broker.pop("jobs")
        case "popped in a batch":
            clock.advance(30)
            await broker.pop_batch("jobs", 9)
        case _:
            assert await broker.purge("jobs") == 1

    refusal = (
        f"lease {mine.lease_id} has ended, and queue {broker.catalog.find('jobs').info.id} does not"
        " hold its message any more: that was acked, popped, deleted, purged, or moved"
    )
    assert await ack(broker, mine) == [refusal]
    assert await release(broker, mine) == [refusal]
    assert (await stats(broker)).acked_total == 0


async def test_lease_is_one_on_a_message_of_one_queue(broker: Broker) -> None:
    """Another queue knows nothing of it, and leaves it alone."""
    await new_queue(broker, "other")
    (mine,) = await held(broker, b"1")

    (refusal,) = await ack(broker, mine, queue="other")
    assert await states(broker) == (0, 1, 0)
    await ack(broker, mine)
    (repeated,) = await ack(broker, mine, queue="other")

    assert "does not hold its message any more" in refusal
    assert repeated == refusal


async def test_each_lease_is_answered_by_itself_in_order(broker: Broker) -> None:
    """What is wrong with one is not the others' business; the last is a repeated ack."""
    first, second, third = await held(broker, b"1", b"2", b"3")
    await fail(broker, second, delay_s=0)

    results = await broker.leasing.ack(
        "jobs", [first.lease_id, second.lease_id, NOBODYS, "nonsense", third.lease_id] * 2
    )

    assert [type(result) for result in results[:5]] == [
        type(None),
        LeaseLost,
        LeaseLost,
        InvalidArgument,
        type(None),
    ]
    assert list(map(str, results[:5])) == list(map(str, results[5:]))
    assert await states(broker) == (1, 0, 0)


@pytest.mark.parametrize("lease_id", [NOBODYS, "nonsense", ""])
async def test_what_is_no_lease_of_the_queue_is_refused_by_every_command(
    broker: Broker, lease_id: str
) -> None:
    """One by one, and never as an error of the whole call."""
    (mine,) = await held(broker, b"1")

    for refusal in (
        *await ack(broker, lease_id),
        *await release(broker, lease_id),
        *await fail(broker, lease_id),
        *map(str, await broker.leasing.extend("jobs", [lease_id])),
    ):
        assert repr(lease_id)[1:-1] in refusal
        assert "has ended" in refusal or "is no lease_id" in refusal

    assert await ack(broker, mine) == [FINE]


async def test_released_message_is_ready_at_once_and_was_not_delivered(broker: Broker) -> None:
    """At its old place; the next lease has another name all the same."""
    (first,) = await held(broker, b"1", consumer="w1")
    await add(broker, b"2")

    assert await release(broker, first) == [FINE]

    again, _ = await lease(broker, 2)
    assert (again.payload, again.delivery_count) == (b"1", 1)
    assert again.lease_id > first.lease_id
    assert [each.outcome for each in again.attempts] == [pb.Attempt.RELEASED]


async def test_failed_message_is_kept_back_longer_each_time(
    broker: Broker, clock: ManualClock
) -> None:
    """By the queue's back-off, to the nanosecond; those behind it are handed out meanwhile."""
    await add(broker, b"1", b"2")
    for delay_s in (10, 20, 40):
        (mine,) = await lease(broker)
        assert mine.payload == b"1"
        assert await fail(broker, mine) == [FINE]

        assert await states(broker) == (1, 0, 1)
        clock.advance(delay_s - 1e-9)
        assert await states(broker) == (1, 0, 1)
        clock.advance(1e-9)
        assert await states(broker) == (2, 0, 0)


async def test_chance_decides_how_much_of_the_jitter_is_taken_off(clock: ManualClock) -> None:
    """So that what failed together does not come back together."""
    broker = memory_broker(clock, chance=0.5)
    back_off = BackOff(base_ns=10 * NS_PER_S, jitter=0.5)
    await new_queue(broker, "jobs", settings=QueueSettings(back_off=back_off))
    (mine,) = await held(broker, b"1")

    await fail(broker, mine)

    clock.advance(7.4)
    assert await states(broker) == (0, 0, 1)
    clock.advance(0.1)
    assert await states(broker) == (1, 0, 0)


@pytest.mark.parametrize("kind", [NackKind.FAIL, NackKind.RELEASE])
async def test_consumer_may_say_how_long_a_message_is_kept_back(
    broker: Broker, clock: ManualClock, kind: NackKind
) -> None:
    """Longer or shorter than the queue would, and not at all with 0."""
    first, second = await held(broker, b"1", b"2")

    await nack(broker, kind, first, delay_s=100)
    await nack(broker, kind, second, delay_s=0)

    assert await states(broker) == (1, 0, 1)
    clock.advance(100)
    assert [each.payload for each in await lease(broker, 2)] == [b"1", b"2"]


async def test_what_the_consumer_says_is_told_to_the_next(broker: Broker) -> None:
    """With who it was, when, and how the lease ended."""
    (mine,) = await held(broker, b"1", consumer="w1")
    await nack(broker, NackKind.FAIL, mine, delay_s=0, reason="no disk")

    (again,) = await lease(broker)

    assert [(each.consumer, each.outcome, each.reason) for each in again.attempts] == [
        ("w1", pb.Attempt.FAILED, "no disk")
    ]


async def test_late_nack_is_refused(broker: Broker, clock: ManualClock) -> None:
    """Also if nobody else has the message yet: it counts as expired, not as given back."""
    (mine,) = await held(broker, b"1")
    clock.advance(30)

    for refusal in (*await fail(broker, mine), *await release(broker, mine)):
        assert refusal == (
            f"lease {mine.lease_id} expired at 2023-11-14T22:13:50.000Z; its message is ready to"
            " be handed out again"
        )

    (again,) = await lease(broker)
    assert again.delivery_count == 2


async def test_nack_of_another_ones_message_is_refused(broker: Broker, clock: ManualClock) -> None:
    """Who has it now keeps it."""
    (mine,) = await held(broker, b"1")
    clock.advance(30)
    (others,) = await lease(broker)

    for refusal in (*await fail(broker, mine), *await release(broker, mine)):
        assert "expired at" in refusal
        assert "; its message is leased again until 2023-11-14T22:14:20.000Z now" in refusal

    assert await ack(broker, others) == [FINE]


async def test_nack_is_not_repeated(broker: Broker) -> None:
    """The second of two is told what the first has done."""
    (mine,) = await held(broker, b"1")

    first, second = await fail(broker, mine, mine)

    assert first == FINE
    assert second == (
        f"lease {mine.lease_id} was given back at 2023-11-14T22:13:20.000Z; its message is kept"
        " back until 2023-11-14T22:13:30.000Z now"
    )
    assert await states(broker) == (0, 0, 1)


async def test_message_that_was_given_back_cannot_be_acked(broker: Broker) -> None:
    """Its consumer has said that the work is not done; the message comes again."""
    (mine,) = await held(broker, b"1")
    await release(broker, mine)

    (refusal,) = await ack(broker, mine)

    assert "was released at" in refusal
    assert await leased_again(broker) == [b"1"]


async def test_extended_lease_goes_on(broker: Broker, clock: ManualClock) -> None:
    """For so long from now, as the caller says or else the queue; its end is told."""
    first, second = await held(broker, b"1", b"2")
    clock.advance(20)

    ends = [
        *await broker.leasing.extend("jobs", [first.lease_id], 100 * NS_PER_S),
        *await broker.leasing.extend("jobs", [second.lease_id]),
    ]

    assert ends == [START_NS + 120 * NS_PER_S, START_NS + 50 * NS_PER_S]
    clock.advance(29)
    assert await states(broker) == (0, 2, 0)
    clock.advance(1)
    assert await states(broker) == (1, 1, 0)
    clock.advance(70)
    assert await states(broker) == (2, 0, 0)


async def test_lease_may_be_made_shorter(broker: Broker, clock: ManualClock) -> None:
    """An Extend says when the lease ends, and nothing else."""
    (mine,) = await held(broker, b"1")

    await broker.leasing.extend("jobs", [mine.lease_id], NS_PER_S)

    clock.advance(1)
    assert await states(broker) == (1, 0, 0)


async def test_lease_that_was_extended_can_be_acked_by_its_name(
    broker: Broker, clock: ManualClock
) -> None:
    """It is the same lease: the fence is that of the delivery."""
    (mine,) = await held(broker, b"1")
    for _ in range(10):
        clock.advance(29)
        (end,) = await broker.leasing.extend("jobs", [mine.lease_id])
        assert end == clock.now_ns() + 30 * NS_PER_S

    assert await ack(broker, mine) == [FINE]


async def test_lease_that_has_ended_cannot_be_extended(broker: Broker, clock: ManualClock) -> None:
    """Its consumer has to know that another one may have the message at any time."""
    (mine,) = await held(broker, b"1")
    clock.advance(30)

    (refusal,) = await broker.leasing.extend("jobs", [mine.lease_id], LONG)

    assert isinstance(refusal, LeaseLost)
    assert await states(broker) == (1, 0, 0)


#: An hour, in nanoseconds.
LONG = 3600 * NS_PER_S


async def test_history_holds_the_last_attempts(broker: Broker) -> None:
    """So many, oldest first, while deliveries are counted on."""
    await add(broker, b"1")
    for n in range(ATTEMPTS_MAX + 3):
        (mine,) = await lease(broker)
        await nack(broker, NackKind.FAIL, mine, delay_s=0, reason=str(n))

    (mine,) = await lease(broker)

    assert mine.delivery_count == ATTEMPTS_MAX + 4
    assert [int(each.reason) for each in mine.attempts] == list(range(3, ATTEMPTS_MAX + 3))


async def test_largest_message_can_be_leased_whatever_its_history(clock: ManualClock) -> None:
    """Old attempts are left out if the reply would be more than clients take."""
    broker = memory_broker(clock, message_bytes_max=MESSAGE_BYTES_MAX)
    await new_queue(broker, "dead")
    settings = QueueSettings(dead_letter_queue_id="dead")
    await new_queue(broker, "jobs", settings=settings)
    # What 5,000 bytes of room are left for: the message itself, and a few attempts.
    for room, attempts in ((5_000, 3), (0, 0)):
        overhead = 192 + 54
        await broker.add("jobs", bytes(MESSAGE_BYTES_MAX - overhead - room))
        reason = "r" * REASON_BYTES_MAX
        for _ in range(ATTEMPTS_MAX):
            (mine,) = await lease(broker, consumer="c" * CONSUMER_BYTES_MAX)
            await nack(broker, NackKind.FAIL, mine, delay_s=0, reason=reason)

        leased = await broker.leasing.lease("jobs", 9, wait_s=0, is_gone=never_gone)
        assert len(leased) <= MESSAGE_BYTES_MAX
        (told,) = leased_messages(leased)
        assert len(told.message.attempts) == attempts
        assert told.delivery_count == ATTEMPTS_MAX + 1

        await nack(broker, NackKind.REJECT, told.lease_id, reason=reason)
        dead = await broker.leasing.lease("dead", 9, wait_s=0, is_gone=never_gone)
        assert len(dead) <= MESSAGE_BYTES_MAX
        (told,) = leased_messages(dead)
        assert told.message.dead_letter.reason == pb.DeadLetter.REJECTED
        assert (await broker.purge("dead")) == 1


async def test_commands_on_an_unknown_queue_are_refused(broker: Broker) -> None:
    """As a whole: there is nothing to say of single leases."""
    nobody = "00000000-0000-0000-0000-000000000000"
    leasing = broker.leasing

    for call in (
        leasing.lease(nobody, 1, wait_s=0, is_gone=never_gone),
        leasing.lease(nobody, 1, wait_s=60, is_gone=never_gone),
        leasing.ack(nobody, [NOBODYS]),
        leasing.nack(nobody, [NOBODYS], NackKind.FAIL),
        leasing.extend(nobody, [NOBODYS]),
        leasing.complete([(nobody, [NOBODYS])], []),
        leasing.complete([], [(nobody, [(b"", b"x")])]),
        broker.pause(nobody, adds=False),
        broker.resume(nobody),
        broker.purge(nobody),
        broker.update_queue(nobody, lambda settings: settings),
    ):
        with pytest.raises(QueueNotFound, match=f"^cannot find queue with id {nobody}$"):
            await call


async def test_closed_broker_takes_no_commands_on_leases(broker: Broker) -> None:
    """A caller is told to try the successor; what was leased stays so."""
    (mine,) = await held(broker, b"1")
    leasing = broker.leasing

    await broker.close()

    for call in (
        leasing.lease("jobs", 1, wait_s=0, is_gone=never_gone),
        leasing.lease("jobs", 1, wait_s=60, is_gone=never_gone),
        leasing.ack("jobs", [mine.lease_id]),
        leasing.nack("jobs", [mine.lease_id], NackKind.FAIL),
        leasing.extend("jobs", [mine.lease_id]),
        leasing.complete([("jobs", [mine.lease_id])], []),
        broker.pause("jobs", adds=False),
        broker.resume("jobs"),
        broker.purge("jobs"),
        broker.update_queue("jobs", lambda settings: settings),
    ):
        with pytest.raises(ShuttingDown):
            await call
    assert broker.catalog.find("jobs").leases.leased == 1
