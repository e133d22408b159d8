"""How many messages a queue hands out: at a time, and in a time, and to whom."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from qmq.descriptions import Rate
from qmq.engine.consuming import Consumer
from qmq.errors import QueueEmpty, ShuttingDown
from qmq.values import NackKind
from tests.engine.callers import Caller, payload_of, turns
from tests.engine.consumers import (
    FINE,
    Held,
    ack,
    add,
    lease,
    nack,
    never_gone,
    pop_all,
    reject,
    release,
    states,
    stats,
)
from tests.engine.servers import Server
from tests.leased import leased_messages


def waiting(server: Server, count: int = 1) -> list[asyncio.Future[list[Held]]]:
    """Let consumers wait for a message each, the first one first."""
    return [asyncio.ensure_future(lease(server.broker, wait_s=60)) for _ in range(count)]


async def served(line: Sequence[asyncio.Future[list[Held]]], count: int) -> list[bytes]:
    """Wait until so many of those in a line have messages; return those, none more has one."""
    async with asyncio.timeout(10):
        payloads = [held.payload for each in line[:count] for held in await each]
    await turns()
    assert not any(each.done() for each in line[count:])
    return payloads


async def left(line: Sequence[asyncio.Future[list[Held]]]) -> None:
    """Let those go who still wait."""
    for each in line:
        each.cancel()
    await asyncio.gather(*line, return_exceptions=True)


# Leases at a time.


async def test_no_more_are_on_lease_than_may_be(server: Server) -> None:
    """Whoever asks, and for however many; the others wait."""
    await server.change("jobs", leased_max=3)
    await add(server.broker, *[b"%d" % n for n in range(6)])

    counts = [len(await lease(server.broker, count)) for count in (2, 5, 1)]

    assert counts == [2, 1, 0]
    with pytest.raises(QueueEmpty, match="as many as its leased_max of 3 allows") as refusal:
        await server.broker.pop("jobs")
    assert refusal.value.retry_after_s == 1.0
    assert await server.broker.pop_batch("jobs", 9) == []
    assert await states(server.broker) == (3, 3, 0)


async def acked(server: Server, held: Held) -> None:
    """End a lease with an ack."""
    assert await ack(server.broker, held) == [FINE]


async def released(server: Server, held: Held) -> None:
    """Give a message back for later."""
    assert await release(server.broker, held, delay_s=60) == [FINE]


async def failed(server: Server, held: Held) -> None:
    """Give a message back."""
    assert await nack(server.broker, NackKind.FAIL, held, delay_s=60) == [FINE]


async def rejected(server: Server, held: Held) -> None:
    """Make a message a dead letter."""
    assert await reject(server.broker, held) == [FINE]


async def completed(server: Server, held: Held) -> None:
    """End a lease in a step."""
    await server.broker.leasing.complete([("jobs", [held.lease_id])], [])


async def unlimited(server: Server, _: Held) -> None:
    """Allow any number."""
    await server.change("jobs", leased_max=0)


async def made_two(server: Server, _: Held) -> None:
    """Allow one more."""
    await server.change("jobs", leased_max=2)


@pytest.mark.parametrize(
    "end",
    [acked, released, failed, rejected, completed, unlimited, made_two],
    ids=lambda f: f.__name__,
)
async def test_end_of_a_lease_wakes_who_waits(
    server: Server, end: Callable[[Server, Held], Awaitable[None]]
) -> None:
    """Whatever ends it, or allows more; the first in line gets the next message."""
    await server.change("jobs", leased_max=1)
    await add(server.broker, b"1", b"2")
    (held,) = await lease(server.broker)
    line = waiting(server, 2)
    await turns()
    assert (await stats(server.broker)).waiting == 2

    await end(server, held)

    assert await served(line, 1) == [b"2"]
    await left(line)


async def test_lease_that_runs_out_wakes_who_waits(server: Server) -> None:
    """By the clock alone."""
    await server.change("jobs", leased_max=1)
    await add(server.broker, b"1", b"2")
    await lease(server.broker, duration_s=5)
    line = waiting(server, 2)
    await server.pass_time(5)

    assert await served(line, 1) == [b"1"]
    await left(line)


async def test_who_waits_for_a_pop_is_served_when_there_is_a_place(server: Server) -> None:
    """Though a Pop takes no place itself: then all others are served as well."""
    await server.change("jobs", leased_max=1)
    await add(server.broker, b"1", b"2", b"3")
    (held,) = await lease(server.broker)
    callers = [Caller(server.broker), Caller(server.broker)]
    await turns()
    assert [each.is_waiting for each in callers] == [True, True]

    await ack(server.broker, held)
    async with asyncio.timeout(10):
        while any(each.is_waiting for each in callers):
            await turns()

    assert [each.payloads for each in callers] == [[b"2"], [b"3"]]


async def test_consumers_share_what_may_be_on_lease(server: Server) -> None:
    """One who has room for all leaves nothing to the others, until it acks."""
    await server.change("jobs", leased_max=2)
    await add(server.broker, b"1", b"2", b"3")
    queue_id = server.broker.catalog.find("jobs").info.id
    greedy, other = (Consumer(server.broker, queue_id=queue_id, credit=9) for _ in range(2))
    assert len(leased_messages((await greedy.next_batch())[0])) == 2
    task = asyncio.ensure_future(other.next_batch())
    await turns()
    assert not task.done()

    await ack(server.broker, greedy.holding.lease_ids[0])

    assert len(leased_messages((await task)[0])) == 1
    assert (greedy.holding.room, other.holding.room) == (8, 8)


# Messages in a time.


async def test_no_more_are_handed_out_than_the_rate_allows(server: Server) -> None:
    """A burst first, and then one by one."""
    await server.change("jobs", rate=Rate(messages_per_second=2.0, burst=3))
    await add(server.broker, *[b"%d" % n for n in range(9)])

    counts = [len(await lease(server.broker, 2)), len(await server.broker.pop_batch("jobs", 9))]
    with pytest.raises(QueueEmpty):
        await server.broker.pop("jobs")
    for seconds in (0.4, 0.1, 0.5, 1.0, 100.0):
        await server.pass_time(seconds)
        counts.append(len(await server.broker.pop_batch("jobs", 9)))

    # Those that were leased have come back by then.
    assert counts == [2, 1, 0, 1, 1, 2, 3]


async def test_clock_wakes_who_waits(server: Server) -> None:
    """One after the other, in order, as their messages come due."""
    await server.change("jobs", rate=Rate(messages_per_second=1.0))
    await add(server.broker, b"0", b"1", b"2", b"3")
    await server.broker.pop("jobs")
    line = waiting(server, 3)
    await turns()

    await server.pass_time(0.999)
    assert await served(line, 0) == []
    await server.pass_time(0.001)
    assert await served(line, 1) == [b"1"]
    await server.pass_time(1)
    assert await served(line, 2) == [b"1", b"2"]
    await server.pass_time(1)
    assert await served(line, 3) == [b"1", b"2", b"3"]


async def test_who_waits_in_an_empty_queue_is_served_when_that_is_due(server: Server) -> None:
    """The message comes before it may be handed out, and nobody calls after that."""
    await server.change("jobs", rate=Rate(messages_per_second=1.0))
    await add(server.broker, b"0")
    await server.broker.pop("jobs")
    line = waiting(server)
    await server.pass_time(0.5)

    await add(server.broker, b"1")
    assert await served(line, 0) == []
    await server.pass_time(0.5)

    assert await served(line, 1) == [b"1"]


async def test_all_who_wait_are_served_that_may_be(server: Server) -> None:
    """Also by what came due since anybody looked last."""
    await server.change("jobs", rate=Rate(messages_per_second=1.0, burst=5))
    await add(server.broker, b"0", b"1", b"2")
    await pop_all(server.broker)
    line = waiting(server, 5)
    await server.pass_time(100)

    await server.broker.add_batch("jobs", [(b"", b"%d" % n) for n in range(6)])

    assert await served(line, 5) == [b"0", b"1", b"2", b"3", b"4"]


async def test_who_comes_later_does_not_pass_who_waits(server: Server) -> None:
    """Though more is due than when those were promised theirs."""
    await server.change("jobs", rate=Rate(messages_per_second=1.0, burst=3))
    await add(server.broker, b"0", b"1", b"2", b"3", b"4")
    await server.broker.pop_batch("jobs", 3)
    first = waiting(server, 2)
    await turns()
    server.timer.advance(1.5)

    late = await lease(server.broker)

    assert late == []
    await turns()
    assert await served(first, 1) == [b"3"]
    await left(first)


async def test_new_rate_wakes_who_waits(server: Server) -> None:
    """A faster one, or none."""
    await server.change("jobs", rate=Rate(messages_per_second=0.001))
    await add(server.broker, b"0", b"1", b"2")
    await server.broker.pop("jobs")
    line = waiting(server, 2)
    await turns()
    assert await served(line, 0) == []

    await server.change("jobs", rate=Rate(messages_per_second=1.0))
    assert await served(line, 1) == [b"1"]
    await server.change("jobs", rate=Rate())
    assert await served(line, 2) == [b"1", b"2"]


async def test_rate_and_leases_at_a_time_are_both_kept(server: Server) -> None:
    """Whichever is less."""
    await server.change("jobs", leased_max=2, rate=Rate(messages_per_second=1.0, burst=3))
    await add(server.broker, *[b"%d" % n for n in range(9)])

    first = await lease(server.broker, 9)
    await ack(server.broker, *first)
    second = await lease(server.broker, 9)
    await ack(server.broker, *second)
    third = await lease(server.broker, 9)

    assert [len(each) for each in (first, second, third)] == [2, 1, 0]


async def test_what_is_given_back_is_counted_when_it_goes_out_again(server: Server) -> None:
    """The rate is for deliveries."""
    await server.change("jobs", rate=Rate(messages_per_second=1.0, burst=2))
    await add(server.broker, b"1")

    for _ in range(2):
        await release(server.broker, *await lease(server.broker))
    assert await lease(server.broker) == []
    await server.pass_time(1)
    assert len(await lease(server.broker)) == 1


async def test_explain_tells_what_a_message_waits_for(server: Server) -> None:
    """A place among those on lease, or its turn."""
    await server.change("jobs", leased_max=1)
    await add(server.broker, b"1")
    await lease(server.broker)
    id_ = (await server.put(b"2")).meta.id

    by_leases = await server.broker.browsing.explain("jobs", id_)
    await server.change("jobs", leased_max=0, rate=Rate(messages_per_second=0.5))
    await add(server.broker, b"3")
    await server.put(b"first", priority=1)
    await server.broker.pop("jobs")
    by_rate = await server.broker.browsing.explain("jobs", id_)

    assert by_leases.reasons == ["the queue has 1 on lease, as many as its leased_max of 1 allows"]
    assert by_rate.reasons == ["the queue hands out no more than 0.5 messages a second"]


# What becomes of promises.


@pytest.mark.parametrize("verb", ["pop", "pop_batch", "lease"])
async def test_promised_message_that_expires_is_not_handed_out(server: Server, verb: str) -> None:
    """Also if that happens while q finds out that who was promised it is still there."""
    broker = server.broker
    looks = 0

    async def is_gone() -> bool:
        nonlocal looks
        looks += 1
        if looks == 1:
            # From here on nothing comes between, not even an alarm.
            server.timer.advance(5)
        return False

    call: Awaitable[bytes | list[bytes]]
    match verb:
        case "pop":
            call = broker.pop("jobs", 60, is_gone)
        case "pop_batch":
            call = broker.pop_batch("jobs", 9, 60, is_gone)
        case _:
            call = broker.leasing.lease("jobs", 9, wait_s=60, is_gone=is_gone)
    waits = asyncio.ensure_future(call)
    await turns()
    await server.put(b"brief", ttl=5)
    await turns()
    assert looks > 0
    await add(broker, b"1")

    found = await waits
    [envelope] = found if isinstance(found, list) else [found]
    assert envelope.count(b"brief") == 0
    assert (await stats(broker)).expired_total == 1


@pytest.mark.parametrize("slowness", [0, 10])
@pytest.mark.parametrize("count", [1, 2, 3])
async def test_who_was_promised_what_is_gone_keeps_the_place_in_line(
    server: Server, count: int, slowness: int
) -> None:
    """Those whose messages are gone come before all others, in the order in which they came.

    Nobody waits for one whose message is gone to take it.
    """
    broker = server.broker
    is_over = False

    async def first_is_gone() -> bool:
        nonlocal is_over
        if broker.catalog.find("jobs").message_count and not is_over:
            await turns(slowness)
            is_over = True
            await broker.purge("jobs")
        return False

    asks = [first_is_gone, *[never_gone] * 4]
    line = [asyncio.ensure_future(broker.pop("jobs", 60, is_gone)) for is_gone in asks]
    await turns()
    await broker.add_batch("jobs", [(b"", b"purged")] * count)
    async with asyncio.timeout(10):
        while not is_over or broker.catalog.find("jobs").message_count:
            await turns()
    await broker.get_queue("jobs")
    await turns(40)
    assert not any(each.done() for each in line)
    for n, each in enumerate(line):
        await add(broker, b"%d" % n)
        async with asyncio.timeout(10):
            assert payload_of(await each) == b"%d" % n


async def test_end_of_the_server_is_told_to_who_was_promised_what_is_gone(server: Server) -> None:
    """Rather than that nothing has come in time."""
    broker = server.broker

    async def is_gone() -> bool:
        if broker.catalog.find("jobs").message_count:
            server.timer.advance(5)
            broker.stop_waiting()
        return False

    waits = asyncio.ensure_future(broker.pop("jobs", 60, is_gone))
    await turns()
    await server.put(b"brief", ttl=5)

    with pytest.raises(ShuttingDown):
        await waits


async def test_promise_of_a_place_can_be_lost_to_a_smaller_number(server: Server) -> None:
    """Who was promised one waits for the next."""
    await add(server.broker, b"1")
    await server.change("jobs", leased_max=2)
    held = await lease(server.broker)
    line = waiting(server)
    await turns()

    adding = asyncio.ensure_future(server.broker.add("jobs", b"2"))
    changing = asyncio.ensure_future(server.change("jobs", leased_max=1))
    await asyncio.gather(adding, changing)
    assert await served(line, 0) == []
    await ack(server.broker, *held)

    assert await served(line, 1) == [b"2"]


async def test_gates_do_not_hold_up_a_purge_or_a_look(server: Server) -> None:
    """Peek and Browse show what is there; a purge takes it."""
    await server.change("jobs", leased_max=1, rate=Rate(messages_per_second=0.001))
    await add(server.broker, b"1", b"2")
    await lease(server.broker)

    assert payload_of(await server.broker.peek("jobs")) == b"2"
    assert await never_gone() is False
    assert await server.broker.purge("jobs") == 2
