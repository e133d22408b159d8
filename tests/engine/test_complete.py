"""Complete: acks and adds as one step, all of it or nothing."""

from collections.abc import Sequence

import pytest

from qmq.engine.broker import Broker
from qmq.errors import (
    AddsPaused,
    InvalidArgument,
    LeaseLost,
    QError,
    QueueFull,
    StoresDiffer,
    TooLarge,
)
from qmq.testing import ManualClock
from qmq.values import Store
from qmq.wire import q_pb2 as pb
from tests.engine.callers import Caller, turns
from tests.engine.consumers import (
    FINE,
    Held,
    ack,
    add,
    lease,
    memory_broker,
    new_queue,
    pop_all,
    release,
    states,
    stats,
)


@pytest.fixture
async def broker(clock: ManualClock) -> Broker:
    """Return a broker with the empty queues "jobs" and "done"."""
    broker = memory_broker(clock)
    await new_queue(broker, "jobs")
    await new_queue(broker, "done")
    return broker


async def complete(
    broker: Broker,
    acks: Sequence[tuple[str, Sequence[Held | str]]],
    adds: Sequence[tuple[str, Sequence[bytes]]],
) -> list[bytes]:
    """Make one step."""
    return await broker.leasing.complete(
        [
            (queue, [each if isinstance(each, str) else each.lease_id for each in held])
            for queue, held in acks
        ],
        [(queue, [(b"", payload) for payload in payloads]) for queue, payloads in adds],
    )


async def test_step_takes_its_input_and_leaves_its_output(broker: Broker) -> None:
    """In any queues, in order; what was stored is told, as AddBatch does."""
    await new_queue(broker, "log")
    await add(broker, b"1", b"2")
    await add(broker, b"3", queue="log")
    jobs, logged = await lease(broker, 2), await lease(broker, queue="log")

    metas = await complete(
        broker, [("jobs", jobs), ("log", logged)], [("done", [b"a", b"b"]), ("log", [b"c"])]
    )

    told = pb.AddBatchResponse.FromString(b"".join(metas)).messages
    stored = [
        pb.Message.FromString(envelope)
        for queue in ("done", "log")
        for envelope in await broker.pop_batch(queue, 9)
    ]
    assert [each.payload for each in stored] == [b"a", b"b", b"c"]
    assert [each.meta for each in stored] == list(told)
    assert await states(broker) == (0, 0, 0)
    assert ((await stats(broker)).acked_total, (await stats(broker, "done")).enqueued_total) == (
        2,
        2,
    )


async def test_step_may_only_add_or_only_ack(broker: Broker) -> None:
    """Messages to several queues at once, or acks of several, are a step too."""
    await complete(broker, [], [("jobs", [b"1"]), ("done", [b"2"])])
    leases = [("jobs", await lease(broker)), ("done", await lease(broker, queue="done"))]

    assert await complete(broker, leases, []) == []

    assert [await states(broker, queue) for queue in ("jobs", "done")] == [(0, 0, 0)] * 2


async def test_step_of_nothing_is_refused(broker: Broker) -> None:
    """It would say that something was done."""
    with pytest.raises(InvalidArgument, match=r"^acks: must not be empty"):
        await complete(broker, [], [])


async def fails(
    broker: Broker,
    error: type[QError],
    acks: Sequence[tuple[str, Sequence[Held | str]]],
    adds: Sequence[tuple[str, Sequence[bytes]]],
) -> str:
    """Make a step that is refused and changes nothing; return the message."""
    queues = [queue.info.id for queue in broker.catalog]
    before = [await states(broker, queue) for queue in queues]
    totals = [queue.enqueued_total for queue in broker.catalog]

    with pytest.raises(error) as refusal:
        await complete(broker, acks, adds)

    assert [await states(broker, queue) for queue in queues] == before
    assert [queue.enqueued_total for queue in broker.catalog] == totals
    return refusal.value.message


@pytest.mark.parametrize("how", ["released", "acked", "leased to another", "purged"])
async def test_step_with_a_lease_that_has_ended_is_refused(
    broker: Broker, clock: ManualClock, how: str
) -> None:
    """Its output would be there twice; the leases that are fine go on."""
    await add(broker, b"1")
    (lost,) = await lease(broker)
    match how:
        case "released":
            await release(broker, lost)
        case "acked":
            await ack(broker, lost)
        case "leased to another":
            clock.advance(30)
            await lease(broker)
        case _:
            await broker.purge("jobs")
    await add(broker, b"2")
    (*_, fine) = await lease(broker, 9)

    told = await fails(broker, LeaseLost, [("jobs", [fine, lost])], [("done", [b"a"])])

    assert told.startswith(f"lease {lost.lease_id} ")
    assert await ack(broker, fine) == [FINE]


async def test_step_whose_lease_ran_out_is_fine_as_long_as_nobody_has_the_message(
    broker: Broker, clock: ManualClock
) -> None:
    """As an ack is."""
    await add(broker, b"1")
    mine = await lease(broker)
    clock.advance(100)
    assert await states(broker) == (1, 0, 0)

    await complete(broker, [("jobs", mine)], [("done", [b"a"])])

    assert (await states(broker), await states(broker, "done")) == ((0, 0, 0), (1, 0, 0))


async def test_step_names_what_is_no_lease(broker: Broker) -> None:
    """By its place."""
    await add(broker, b"1")
    (mine,) = await lease(broker)

    twice = await fails(broker, InvalidArgument, [("done", []), ("jobs", [mine, mine])], [])
    await fails(broker, InvalidArgument, [("jobs", [mine, "nonsense"])], [("done", [b"a"])])

    assert twice == f"acks[1].lease_ids[1]: {mine.lease_id} is there twice"


async def test_step_across_stores_is_refused(broker: Broker) -> None:
    """It says which, and why."""
    await new_queue(broker, "durable", store=Store.DISK)
    await add(broker, b"1")
    await add(broker, b"2", queue="durable")
    jobs, durable = await lease(broker), await lease(broker, queue="durable")

    messages = [
        await fails(broker, StoresDiffer, [("jobs", jobs)], [("durable", [b"a"])]),
        await fails(broker, StoresDiffer, [("jobs", jobs), ("durable", durable)], []),
        await fails(broker, StoresDiffer, [], [("jobs", [b"a"]), ("durable", [b"b"])]),
    ]

    assert set(messages) == {
        (
            "the queues of one Complete must live in the same store, and these live in DISK and"
            " MEMORY: no step is atomic across stores"
        )
    }
    await complete(broker, [("durable", durable)], [("durable", [b"a"])])


async def test_acks_of_a_step_make_room_for_its_adds(broker: Broker) -> None:
    """In a queue that is full of what is acked, so many and no more."""
    await broker.update_queue("jobs", lambda known: known, limit=3)
    await add(broker, b"1", b"2", b"3")
    jobs = await lease(broker, 2)

    told = await fails(broker, QueueFull, [("jobs", jobs)], [("jobs", [b"a", b"b", b"c"])])
    await complete(broker, [("jobs", jobs)], [("jobs", [b"a", b"b"])])

    assert told.endswith("has reached limit of 3 messages")
    assert await pop_all(broker) == [b"3", b"a", b"b"]


async def test_room_of_one_queue_is_none_in_another(broker: Broker) -> None:
    """What is acked makes room where it was; parts for one queue are counted together."""
    await broker.update_queue("done", lambda known: known, limit=2)
    await add(broker, b"1", b"2", b"3")
    jobs = await lease(broker, 3)

    await fails(broker, QueueFull, [("jobs", jobs)], [("done", [b"a", b"b", b"c"])])
    await fails(broker, QueueFull, [("jobs", jobs)], [("done", [b"a"])] * 3)
    await complete(broker, [("jobs", jobs)], [("done", [b"a"])] * 2)

    assert await states(broker, "done") == (2, 0, 0)


async def test_step_that_fills_no_queue_further_is_fine_beyond_its_limit(broker: Broker) -> None:
    """As after the limit was lowered."""
    await add(broker, b"1", b"2", b"3")
    jobs = await lease(broker, 2)
    await broker.update_queue("jobs", lambda known: known, limit=1)

    await complete(broker, [("jobs", jobs)], [("jobs", [b"a", b"b"])])

    assert await states(broker) == (3, 0, 0)


async def test_step_adds_nothing_to_a_queue_that_is_paused_for_adds(broker: Broker) -> None:
    """Acks are fine there, and so is one that is paused and takes messages."""
    await add(broker, b"1")
    jobs = await lease(broker)
    await broker.pause("done", adds=True)
    await broker.pause("jobs", adds=True)

    await fails(broker, AddsPaused, [("jobs", jobs)], [("done", [b"a"])])
    await broker.pause("done", adds=False)
    await complete(broker, [("jobs", jobs)], [("done", [b"a"])])

    assert await states(broker, "done") == (1, 0, 0)


async def test_message_of_a_step_that_is_too_large_is_named(clock: ManualClock) -> None:
    """By its place, and nothing is done."""
    broker = memory_broker(clock, message_bytes_max=500)
    await new_queue(broker, "jobs")
    await add(broker, b"1")
    jobs = await lease(broker)

    told = await fails(
        broker, TooLarge, [("jobs", jobs)], [("jobs", [b"a"]), ("jobs", [b"b", bytes(500)])]
    )
    answer = await fails(broker, TooLarge, [("jobs", jobs)], [("jobs", [b""] * 20)])

    assert told.startswith("adds[1].messages[1]: ")
    assert "the reply, tags and metadata of all, takes" in answer


async def test_output_is_for_who_waits_for_it(broker: Broker) -> None:
    """As soon as it is there."""
    await add(broker, b"1")
    mine = await lease(broker)
    waiting = Caller(broker)
    await turns()

    await complete(broker, [("jobs", mine)], [("jobs", [b"a"])])
    await turns()

    assert waiting.payloads == [b"a"]


async def test_completed_lease_is_acked(broker: Broker) -> None:
    """An ack of it is a repeated one."""
    await add(broker, b"1")
    (mine,) = await lease(broker)
    await complete(broker, [("jobs", [mine])], [])

    assert await ack(broker, mine) == [FINE]
    assert (await stats(broker)).acked_total == 1
