"""Messages are deleted and moved by their ids; how that goes with each feature is in the pairs."""

import asyncio
from typing import Final

import pytest

from qmq.errors import InvalidArgument, QueueNotFound, StoresDiffer
from qmq.limits import BROWSED_MESSAGES_MAX
from qmq.testing import START_NS, ManualClock
from qmq.values import NS_PER_S, NackKind, Store
from qmq.wire import q_pb2 as pb
from tests.engine import consumers
from tests.engine.consumers import ack, add, lease, pop_all, states, stats
from tests.engine.looking import CountingStore, browsed, payloads
from tests.engine.picks import DONE, MOVED, WAS_THERE, delete, move, said
from tests.engine.redrives import memory_broker
from tests.engine.servers import Server

NOBODY: Final = "00000000-0000-0000-0000-000000000000"
NOT_FOUND: Final = "MESSAGE_NOT_FOUND"

on_disk = pytest.mark.parametrize("server", [Store.DISK], indirect=True)


async def ids(server: Server, queue: str = "jobs") -> list[str]:
    """Return the ids of all messages of a queue, in its order."""
    return [each.message.meta.id for each in await browsed(server.broker, queue=queue)]


async def test_each_id_is_answered_in_its_order(server: Server) -> None:
    """Those that are there, are not, are there twice, or are no ids at all."""
    await add(server.broker, b"1", b"2", b"3")
    one, _, three = await ids(server)

    told = await delete(server.broker, three, NOBODY, "x", one.upper(), three)

    assert told == [DONE, NOT_FOUND, "INVALID_ARGUMENT", DONE, DONE]
    assert await delete(server.broker, one) == [NOT_FOUND]
    assert await pop_all(server.broker) == [b"2"]
    assert (await stats(server.broker)).deleted_total == 2


async def test_moved_messages_keep_their_order_and_what_they_are(server: Server) -> None:
    """In whatever order they were named; their deliveries count anew, and say what happened."""
    await server.new_queue("other")
    await add(server.broker, b"1", b"2", b"3", b"4")
    before = [each.message for each in await browsed(server.broker)]
    await server.pass_time(1)

    told = await move(server.broker, *(each.meta.id for each in reversed(before[1:])))

    assert told == [MOVED] * 3
    held = await lease(server.broker, 9, queue="other")
    assert [each.message.meta for each in held] == [each.meta for each in before[1:]]
    assert [each.payload for each in held] == [b"2", b"3", b"4"]
    assert {each.delivery_count for each in held} == {1}
    [note] = held[0].attempts
    assert (note.outcome, note.consumer) == (pb.Attempt.RELEASED, "")
    assert note.reason == "moved here from queue jobs"
    assert note.ended.ToNanoseconds() == START_NS + NS_PER_S
    assert await states(server.broker) == (1, 0, 0)
    counts = [await stats(server.broker, name) for name in ("jobs", "other")]
    assert [(each.moved_out_total, each.moved_in_total) for each in counts] == [(3, 0), (0, 3)]


async def test_repeated_move_says_where_messages_are(server: Server) -> None:
    """As long as they are there; what has left since is not found."""
    await server.new_queue("other")
    await add(server.broker, b"1", b"2")
    one, two = await ids(server)
    await move(server.broker, one, two)
    assert await move(server.broker, two, one) == [WAS_THERE, WAS_THERE]

    await server.broker.pop("other")

    assert await move(server.broker, one, two) == [NOT_FOUND, WAS_THERE]
    assert (await stats(server.broker, "other")).moved_in_total == 2


async def test_two_who_move_the_same_are_both_told_where_it_is(server: Server) -> None:
    """It is moved once."""
    await server.new_queue("other")
    await add(server.broker, b"1")
    [one] = await ids(server)

    told = await asyncio.gather(move(server.broker, one), move(server.broker, one))

    assert sorted(map(tuple, told)) == [(MOVED,), (WAS_THERE,)]
    assert await pop_all(server.broker, "other") == [b"1"]


async def test_dead_letters_go_back_each_to_its_own_queue(server: Server) -> None:
    """What is none has come from nowhere, and what came from a queue that is gone stays."""
    await server.new_queue("more", dead_letter_queue_id="dead")
    for queue in ("jobs", "more"):
        await add(server.broker, queue.encode(), queue=queue)
        await consumers.nack(
            server.broker,
            NackKind.REJECT,
            *await lease(server.broker, queue=queue),
            queue=queue,
        )
    await add(server.broker, b"plain", queue="dead")
    of_jobs, of_more, plain = await ids(server, "dead")
    await server.change("more", dead_letter_queue_id="")
    await server.broker.delete_queue("more")

    told = await move(server.broker, plain, of_more, of_jobs, queue="dead", to="")

    assert told == ["NO_DEAD_LETTER", "QUEUE_NOT_FOUND", MOVED]
    assert await pop_all(server.broker) == [b"jobs"]
    assert payloads(await browsed(server.broker, queue="dead")) == [b"more", b"plain"]


async def test_dead_letter_that_is_moved_elsewhere_is_none_any_more(server: Server) -> None:
    """Its history stays with it."""
    await server.new_queue("other")
    await add(server.broker, b"1")
    await consumers.reject(server.broker, *await lease(server.broker), reason="no")
    [one] = await ids(server, "dead")

    assert await move(server.broker, one, queue="dead") == [MOVED]

    [held] = await lease(server.broker, queue="other")
    assert not held.message.HasField("dead_letter")
    assert [each.reason for each in held.attempts] == ["no", "moved here from queue dead"]


async def test_who_waits_gets_what_is_moved(server: Server) -> None:
    """It is as if it had been added."""
    await server.new_queue("other")
    await add(server.broker, b"1")
    waiting = asyncio.ensure_future(lease(server.broker, queue="other", wait_s=5))
    await asyncio.sleep(0)

    await move(server.broker, *await ids(server))

    assert [each.payload for each in await waiting] == [b"1"]


async def test_many_large_messages_are_moved_in_steps(server: Server) -> None:
    """More than a reply could carry; those behind a full queue's limit stay, in their order."""
    await server.new_queue("other", limit=7)
    await add(server.broker, *(bytes([number]) * 30_000 for number in range(9)))
    named = await ids(server)

    told = await move(server.broker, *named)

    assert told == [MOVED] * 7 + ["QUEUE_FULL"] * 2
    assert await ids(server) == named[7:]
    assert await ids(server, "other") == named[:7]


@on_disk
async def test_restart_changes_nothing_about_it(server: Server) -> None:
    """What is gone stays gone, and what was moved is where it was, with its history."""
    await server.new_queue("other")
    for payload in (b"gone", b"fresh", b"held", b"stays"):
        await server.put(payload)
    late = (await server.put(b"late", delay=60, ttl=90, priority=3, group_id="g")).meta.id
    gone, fresh, held, stays, _ = await ids(server)
    await lease(server.broker, 3, consumer="w")
    assert await delete(server.broker, gone, leased=True) == [DONE]
    assert await move(server.broker, fresh, held, late, leased=True) == [MOVED] * 3

    await server.start_again()

    assert await ids(server) == [stays]
    assert await ids(server, "other") == [fresh, held, late]
    assert await states(server.broker, "other") == (2, 0, 1)
    again = await lease(server.broker, 9, queue="other")
    assert [each.attempts[-1].consumer for each in again] == ["w", "w"]
    await server.pass_time(60)
    [due] = await lease(server.broker, queue="other")
    assert (due.payload, due.message.options.group_id) == (b"late", "g")
    assert await ack(server.broker, due, *again, queue="other") == [""] * 3


async def test_moment_of_creation_spares_a_search(clock: ManualClock) -> None:
    """Without one, the queue is read until all are found; of what is not there, to its end."""
    store = CountingStore()
    broker = memory_broker(clock, store)
    await broker.new_queue(Store.MEMORY, name="jobs")
    for _ in range(3):
        await broker.add_batch("jobs", [(b"", b"")] * BROWSED_MESSAGES_MAX)
        clock.advance(1)
    [last] = [
        pb.Metadata.FromString(meta[2:]) for meta in await broker.add_batch("jobs", [(b"", b"x")])
    ]
    created_ns = last.created.ToNanoseconds()
    store.reads.clear()

    near = await broker.picking.delete("jobs", [last.id], created_ns=created_ns)
    assert (said(near), sum(store.reads)) == ([DONE], 1)
    missing = await broker.picking.delete("jobs", [last.id], created_ns=created_ns)

    assert (said(missing), sum(store.reads)) == ([NOT_FOUND], 3 * BROWSED_MESSAGES_MAX + 1)


async def test_queues_that_cannot_be_a_target_are_refused_as_a_whole(clock: ManualClock) -> None:
    """Messages stay in their store, and in their queue where that is the target."""
    broker = consumers.memory_broker(clock)
    await broker.new_queue(Store.MEMORY, name="jobs")
    await broker.new_queue(Store.DISK, name="far")
    await add(broker, b"1")

    for target, error in (
        ("far", StoresDiffer),
        ("jobs", InvalidArgument),
        ("nobody", InvalidArgument),
        (NOBODY, QueueNotFound),
    ):
        with pytest.raises(error):
            await move(broker, NOBODY, to=target)

    assert await states(broker) == (1, 0, 0)
