"""How much the messages of all queues may take: what would be more is refused, the rest goes on."""

import pytest

from qmq.descriptions import QueueSettings
from qmq.envelope import encode_tags
from qmq.errors import MemoryFull
from qmq.model.footprint import KNOWN_BYTES, MESSAGE_BYTES
from qmq.model.schedule import SchedulePlan
from qmq.values import NS_PER_S, Overflow, Store
from tests.engine.consumers import FINE, ack, add, lease, pop_all, reject, states
from tests.engine.servers import Server, settings

#: Bytes of payload: more than all else that a message takes.
PAYLOAD = b"x" * 5_000


async def limited(server: Server, count: int) -> None:
    """Put so many plain messages into a server, and then let it take nothing more."""
    await add(server.broker, *[PAYLOAD] * count)
    full(server)


def full(server: Server) -> None:
    """Let a server take no messages more than it has."""
    footprint = server.footprint
    footprint.limit, footprint.left = footprint.used, 0


async def refused(server: Server, queue: str = "jobs") -> None:
    """Every way to add a message is refused, and has changed nothing."""
    broker, before = server.broker, await states(server.broker)
    used = server.footprint.used
    for call in (
        broker.add(queue, b"x"),
        broker.add_batch(queue, [(b"", b"x"), (b"", b"y")]),
        broker.add_batch(queue, [(b"", b"x")], partial=True),
        server.put(b"x", queue, priority=1),
        server.put_many([(b"x", {}), (b"y", {"delay": 5})], queue),
        broker.leasing.complete([], [(queue, [(b"", b"x")])]),
    ):
        with pytest.raises(MemoryFull) as refusal:
            await call
        assert refusal.value.metadata["limit"] == "memory_max"
        assert refusal.value.metadata["current"] == str(used)
    assert await states(broker) == before


async def test_nothing_is_added_that_would_be_too_much(server: Server) -> None:
    """To whichever queue; there is room again as soon as a message has left."""
    await limited(server, 3)

    await refused(server)
    await refused(server, "dead")
    await server.broker.pop("jobs")
    await add(server.broker, b"fits")

    assert [len(payload) for payload in await pop_all(server.broker)] == [5_000, 5_000, 4]


async def test_whatever_takes_messages_out_goes_on(server: Server) -> None:
    """Leases too, although they take memory, and dead letters."""
    await limited(server, 6)

    held = [*await lease(server.broker, 2), *await lease(server.broker)]
    assert server.footprint.left < 0
    assert await ack(server.broker, held[0]) == [FINE]
    assert await reject(server.broker, held[1]) == [FINE]
    assert len(await server.broker.pop_batch("jobs", 2)) == 2
    await server.broker.peek("jobs")
    await server.broker.purge("jobs")
    assert len(await server.dead()) == 1

    await server.broker.add_batch("jobs", [(b"", PAYLOAD[:4_000])] * 2)


async def test_a_step_that_takes_no_more_than_it_leaves_goes_on(server: Server) -> None:
    """A consumer that hands its work on can empty its queue; one that makes more of it cannot."""
    await limited(server, 3)
    first, second, _ = await lease(server.broker, 3)

    await server.broker.leasing.complete([("jobs", [first.lease_id])], [("dead", [(b"", PAYLOAD)])])
    full(server)
    with pytest.raises(MemoryFull):
        await server.broker.leasing.complete(
            [("jobs", [second.lease_id])], [("dead", [(b"", b"")] * 40)]
        )

    assert await states(server.broker) == (0, 2, 0)


async def test_a_repeat_takes_no_memory(server: Server) -> None:
    """It is answered as at any time; also before those of a batch that there is no room for."""
    first = await server.put(PAYLOAD, dedup_id="a")
    full(server)

    again = await server.put(PAYLOAD, dedup_id="a")
    batch = await server.put_many([(b"", {"dedup_id": "a"}), (b"x", {})], partial=True)

    assert (again.meta, batch.known, batch.envelopes) == (first.meta, [0], [])


async def test_schedule_is_refused_and_says_why(server: Server) -> None:
    """Its tick is over, as that of a full queue is."""
    await limited(server, 3)
    plan = SchedulePlan(payload=b"x", tags=encode_tags(()), interval_ns=NS_PER_S)
    await server.broker.scheduling.put("jobs", "ticks", plan)

    await server.pass_time(1)

    schedule, _ = await server.broker.scheduling.get("jobs", "ticks")
    assert (schedule.added, schedule.refused) == (0, 1)
    assert "would pass memory_max of " in schedule.obstacle


async def test_a_queue_that_drops_its_oldest_is_no_way_round(server: Server) -> None:
    """It is refused what is new as well."""
    await server.change("jobs", limit=3, overflow=Overflow.DROP_OLDEST)
    await limited(server, 3)

    await refused(server)


async def test_what_a_server_finds_is_counted(server: Server) -> None:
    """It may be more than it may take: then it hands out, and takes nothing."""
    await server.broker.new_queue(
        server.kind.value, name="own", settings=QueueSettings(priority_ageing_ns=1)
    )
    await add(server.broker, *[PAYLOAD] * 3)
    await server.put(b"x", "own", priority=1, ttl=60, dedup_id="a")
    server.memory_max = 200

    await server.start_again()

    if server.kind is Store.MEMORY:
        return
    assert server.footprint.used == 4 * MESSAGE_BYTES[Store.DISK] + 2 * KNOWN_BYTES
    await refused(server)
    assert await pop_all(server.broker) == [PAYLOAD] * 3
    assert server.footprint.left < 0
    await server.broker.delete_queue("own")
    assert server.footprint.used == 0


async def test_deleted_queue_takes_nothing(server: Server) -> None:
    """Whatever was known of its messages."""
    before = server.footprint.used
    await server.new_queue("gone")
    await server.broker.update_queue("gone", lambda _: settings(dedup_window=9))
    await server.put(PAYLOAD, "gone", delay=5, dedup_id="a")
    await add(server.broker, PAYLOAD, queue="gone")
    await lease(server.broker, queue="gone")
    assert server.footprint.used > before

    await server.broker.delete_queue("gone")

    assert server.footprint.used == before


async def test_many_messages_are_popped_that_something_was_known_of(server: Server) -> None:
    """Nothing is counted of them any more, although no time passes for their queue."""
    await server.put_many([(b"x", {"ttl": 60})] * 5)
    assert server.footprint.used >= 5 * KNOWN_BYTES

    await server.broker.pop("jobs")
    await server.broker.pop_batch("jobs", 9)

    assert server.footprint.used == 0


async def test_message_with_a_priority_takes_no_more_than_one_without(server: Server) -> None:
    """It stands in a line, of which only its envelope is longer; also when it is read anew."""
    await server.put_many([(b"x", {"priority": 7})] * 5)

    await server.start_again()

    assert server.footprint.known.get(1, 0) == 0
    assert server.footprint.used < 5 * KNOWN_BYTES
    if server.kind is Store.DISK:
        assert server.footprint.used == 5 * MESSAGE_BYTES[Store.DISK]
        assert len(await pop_all(server.broker)) == 5
