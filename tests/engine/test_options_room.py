"""Queues that are full, by messages or by bytes, and what makes room in them."""

import asyncio
from typing import Any

import pytest

from qmq.errors import InvalidArgument, QueueFull
from qmq.model.redrive import RedriveRequest
from qmq.values import NackKind, Overflow
from qmq.wire import q_pb2 as pb
from tests.engine.callers import turns
from tests.engine.consumers import (
    Held,
    ack,
    add,
    lease,
    nack,
    pop_all,
    reject,
    release,
    states,
    stats,
)
from tests.engine.servers import Server, options

DROP, DEAD_LETTER = Overflow.DROP_OLDEST, Overflow.DEAD_LETTER_OLDEST


async def size(server: Server) -> int:
    """Return what the messages of the queue "jobs" take."""
    return (await stats(server.broker)).bytes


async def test_bytes_of_all_messages_are_limited(server: Server) -> None:
    """Tags and metadata included, in whatever state they are."""
    await add(server.broker, b"x" * 100)
    one = await size(server)
    await server.put(b"x" * 100, delay=5)
    await lease(server.broker)
    await server.change("jobs", bytes_limit=await size(server) + one)

    await add(server.broker, b"x" * 100)
    with pytest.raises(QueueFull) as refusal:
        await add(server.broker, b"")

    told = refusal.value.metadata
    assert told == {
        "limit": "bytes_limit",
        "value": told["current"],
        "current": f"{await size(server)}",
    }
    assert "has reached bytes_limit of" in refusal.value.message
    assert await states(server.broker) == (1, 1, 1)


async def test_room_is_there_as_soon_as_a_message_leaves(server: Server) -> None:
    """By an ack, a Pop, a dead letter, a purge, or by itself."""
    broker = server.broker
    await add(broker, b"12345")
    await server.change("jobs", bytes_limit=await size(server))

    await ack(broker, *await lease(broker))
    await add(broker, b"12345")
    await broker.pop("jobs")
    await add(broker, b"12345")
    await reject(broker, *await lease(broker))
    await add(broker, b"12345")
    await broker.purge("jobs")
    await server.change("jobs", ttl=5)
    await add(broker, b"12345")
    await server.pass_time(6)
    await add(broker, b"12345")

    with pytest.raises(QueueFull):
        await add(broker, b"")


async def test_batch_gets_the_room_that_there_is(server: Server) -> None:
    """The first messages, up to one that is too large."""
    await add(server.broker, b"x" * 1_000)
    await server.change("jobs", bytes_limit=await size(server) + 300)
    batch = [(b"", b"1" * 100), (b"", b"2" * 500), (b"", b"3")]

    with pytest.raises(QueueFull):
        await server.broker.add_batch("jobs", batch)
    assert len(await server.broker.add_batch("jobs", batch, partial=True)) == 1


@pytest.mark.parametrize("way", ["add", "add_with", "add_batch", "add_batch_with", "complete"])
async def test_oldest_messages_make_room(server: Server, way: str) -> None:
    """Whatever the way in which others come."""
    broker = server.broker
    await server.change("jobs", limit=3, overflow=DROP)
    await add(broker, b"1", b"2", b"3")
    pair = [(b"", b"4"), (b"", b"5")]

    match way:
        case "add":
            await add(broker, b"4", b"5")
        case "add_with":
            await server.put(b"4", dedup_id="a")
            await server.put(b"5", priority=0)
        case "add_batch":
            await broker.add_batch("jobs", pair)
        case "add_batch_with":
            await broker.add_batch_with("jobs", pair, {0: options(dedup_id="a")})
        case _:
            await broker.leasing.complete([], [("jobs", pair)])

    counts = await stats(broker)
    assert (counts.overflowed_total, counts.dead_lettered_total) == (2, 0)
    assert await pop_all(broker) == [b"3", b"4", b"5"]


async def test_as_many_bytes_make_room_as_must(server: Server) -> None:
    """However many messages that are."""
    await server.change("jobs", overflow=DROP)
    await add(server.broker, *[b"%d" % n * 100 for n in range(5)])
    await server.change("jobs", bytes_limit=await size(server))

    await add(server.broker, b"x" * 110)
    assert (await stats(server.broker)).overflowed_total == 2
    await add(server.broker, b"y" * 300)

    assert await pop_all(server.broker) == [b"4" * 100, b"x" * 110, b"y" * 300]


async def test_oldest_messages_are_dead_letters_if_the_queue_says_so(server: Server) -> None:
    """With their flight recorders and what they were added with."""
    await server.put(b"1", priority=7)
    await add(server.broker, b"2")
    await nack(server.broker, NackKind.RELEASE, *await lease(server.broker), reason="busy")
    await server.change("jobs", limit=2, overflow=DEAD_LETTER)

    await add(server.broker, b"3", b"4")

    popped = await server.broker.pop_batch("dead", 9)
    first, second = map(pb.Message.FromString, popped)
    assert (first.payload, second.payload) == (b"1", b"2")
    for each in (first, second):
        assert each.dead_letter.reason == pb.DeadLetter.OVERFLOW
        assert (each.dead_letter.text, each.dead_letter.delivery_count) == ("", 0)
    assert [each.reason for each in first.attempts] == ["busy"]
    assert (first.options.priority, list(second.attempts)) == (7, [])
    counts = await stats(server.broker)
    assert (counts.overflowed_total, counts.dead_lettered_total) == (2, 2)


async def test_dead_letters_of_a_full_queue_are_for_who_waits_for_them(server: Server) -> None:
    """As soon as they are there."""
    await server.change("jobs", limit=1, overflow=DEAD_LETTER)
    waiting = server.broker.pop("dead", 60)
    await add(server.broker, b"1")
    await add(server.broker, b"2")

    assert pb.Message.FromString(await waiting).payload == b"1"


async def test_oldest_is_who_came_first(server: Server) -> None:
    """Whatever its priority, whether it has come back, and whether it was kept back."""
    await server.change("jobs", limit=5, overflow=DEAD_LETTER)
    await server.put(b"important", priority=9)
    await server.put(b"late", delay=1)
    await add(server.broker, b"back", b"plain", b"last")
    held = {each.payload: each for each in await lease(server.broker, 2)}
    await release(server.broker, held[b"important"], held[b"back"])
    await server.pass_time(1)

    await add(server.broker, *[b"%d" % n for n in range(5)])

    assert [payload for payload, _ in await server.dead()] == [
        *(b"important", b"late", b"back", b"plain", b"last")
    ]


async def test_what_is_not_ready_makes_no_room(server: Server) -> None:
    """A queue that is full of it refuses, and nothing is lost by that."""
    await server.change("jobs", limit=3, overflow=DROP)
    await server.put(b"late", delay=5)
    await add(server.broker, b"leased", b"ready")
    await lease(server.broker)

    with pytest.raises(QueueFull) as refusal:
        await server.put_many([(b"1", {}), (b"2", {})])

    assert refusal.value.metadata == {"limit": "limit", "value": "3", "current": "2"}
    assert await states(server.broker) == (1, 1, 1)
    await add(server.broker, b"1")
    assert await pop_all(server.broker) == [b"1"]


async def test_message_that_never_fits_is_refused(server: Server) -> None:
    """Without a sacrifice."""
    await add(server.broker, b"1", b"2")
    await server.change("jobs", bytes_limit=500, overflow=DROP)

    with pytest.raises(QueueFull):
        await add(server.broker, bytes(500))

    assert await pop_all(server.broker) == [b"1", b"2"]


async def test_partial_batch_displaces_for_what_fits(server: Server) -> None:
    """For the first messages, as many as there could be."""
    await server.change("jobs", limit=2, overflow=DROP)
    await add(server.broker, b"1", b"2")
    batch = [(b"", b"3"), (b"", b"4"), (b"", b"5")]

    with pytest.raises(QueueFull):
        await server.broker.add_batch("jobs", batch)
    assert len(await server.broker.add_batch("jobs", batch, partial=True)) == 2

    assert await pop_all(server.broker) == [b"3", b"4"]


async def test_promised_message_may_make_room(server: Server) -> None:
    """Who was promised it gets the next one."""
    await server.change("jobs", limit=1, overflow=DROP)
    waiting = asyncio.ensure_future(lease(server.broker, wait_s=60))
    await turns()

    # Both are there before who waits has its turn.
    await asyncio.gather(*(server.broker.add("jobs", payload) for payload in (b"1", b"2")))

    assert [each.payload for each in await waiting] == [b"2"]
    assert (await stats(server.broker)).overflowed_total == 1


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"overflow": DEAD_LETTER}, "overflow"),
        ({"dead_letter_expired": True}, "dead_letter_expired"),
    ],
)
async def test_dead_letters_need_a_queue_to_go_to(
    server: Server, given: dict[str, Any], field: str
) -> None:
    """When the queue is made, when that is set, and when the other one is taken away."""
    broker = server.broker
    with pytest.raises(InvalidArgument) as first:
        await server.new_queue("other", **given)
    await server.new_queue("other")
    with pytest.raises(InvalidArgument) as second:
        await server.change("other", **given)
    await server.change("jobs", **given)
    with pytest.raises(InvalidArgument) as third:
        await server.change("jobs", dead_letter_queue_id="")

    for refusal in (first, second, third):
        assert refusal.value.field == f"settings.{field}"
        assert refusal.value.rule.startswith("needs a dead_letter_queue_id: ")
    assert broker.catalog.find("jobs").info.settings.dead_letter_queue_id


async def step(server: Server, held: list[Held], *payloads: bytes, queue: str = "jobs") -> None:
    """Ack leases of the queue "jobs", and add messages."""
    await server.broker.leasing.complete(
        [("jobs", [each.lease_id for each in held])],
        [(queue, [(b"", payload) for payload in payloads])],
    )


@pytest.mark.parametrize("overflow", list(Overflow))
async def test_step_may_replace_what_it_acks(server: Server, overflow: Overflow) -> None:
    """Beyond a limit that was lowered, by messages and by bytes."""
    await add(server.broker, b"1", b"2", b"3")
    held = await lease(server.broker, 2)
    await server.change("jobs", limit=1, bytes_limit=10, overflow=overflow)

    with pytest.raises(QueueFull):
        await step(server, held, b"a", b"b", b"c")
    with pytest.raises(QueueFull):
        await step(server, held, b"a", b"bb")
    assert await states(server.broker) == (1, 2, 0)
    await step(server, held, b"a", b"b")

    left = await pop_all(server.broker)
    assert left[-2:] == [b"a", b"b"]
    assert left[:-2] == ([b"3"] if overflow is Overflow.REJECT else [])


async def test_step_after_the_end_of_its_leases_makes_room_once(server: Server) -> None:
    """Their messages are in the line again, and are taken out of it by the acks."""
    await server.change("jobs", limit=3, overflow=DROP)
    await add(server.broker, b"1", b"2", b"3")
    held = await lease(server.broker, 2, duration_s=5)
    await server.pass_time(5)

    with pytest.raises(QueueFull):
        await step(server, held, b"a", b"b", b"c", b"d")
    assert await states(server.broker) == (3, 0, 0)
    await step(server, held, b"a", b"b", b"c")

    assert await pop_all(server.broker) == [b"a", b"b", b"c"]
    counts = await stats(server.broker)
    assert (counts.acked_total, counts.overflowed_total) == (2, 1)


async def test_step_may_fill_a_queue_with_what_makes_room_in_another(server: Server) -> None:
    """Dead letters go where they must; what the step adds there had room."""
    await server.change("dead", limit=2)
    await server.change("jobs", limit=2, overflow=DEAD_LETTER)
    await add(server.broker, b"1", b"2")

    await server.broker.leasing.complete(
        [], [("jobs", [(b"", b"3"), (b"", b"4")]), ("dead", [(b"", b"a"), (b"", b"b")])]
    )

    assert await pop_all(server.broker) == [b"3", b"4"]
    assert sorted(await pop_all(server.broker, "dead")) == [b"1", b"2", b"a", b"b"]


async def test_refused_step_changes_nothing(server: Server) -> None:
    """Not even where there would have been room."""
    await server.new_queue("small", limit=1)
    await server.change("jobs", limit=2, overflow=DEAD_LETTER)
    await add(server.broker, b"1", b"2")
    held = await lease(server.broker)

    with pytest.raises(QueueFull):
        await server.broker.leasing.complete(
            [("jobs", [held[0].lease_id])],
            [("jobs", [(b"", b"3")]), ("small", [(b"", b"a"), (b"", b"b")])],
        )

    assert await states(server.broker) == (1, 1, 0)
    assert await states(server.broker, "dead") == (0, 0, 0)
    assert await states(server.broker, "small") == (0, 0, 0)
    assert (await stats(server.broker)).overflowed_total == 0
    await step(server, held, b"3")
    assert await pop_all(server.broker) == [b"2", b"3"]


async def test_redrive_waits_for_room_by_bytes(server: Server) -> None:
    """It displaces nothing, whatever the queue says of Adds."""
    await add(server.broker, b"x" * 100)
    await reject(server.broker, *await lease(server.broker))
    await add(server.broker, b"y" * 100)
    await server.change("jobs", bytes_limit=await size(server) + 50, overflow=DROP)
    redrive = await server.broker.redriving.start(RedriveRequest(queue_id="dead"))
    await turns(200)

    waiting = await server.broker.redriving.get(redrive.id)
    assert "has reached bytes_limit of" in waiting.obstacle
    assert await pop_all(server.broker) == [b"y" * 100]
    # It looks again after a second.
    await server.pass_time(1)
    await turns(200)
    while (await server.broker.redriving.get(redrive.id)).is_running:
        await turns()

    assert await pop_all(server.broker) == [b"x" * 100]
