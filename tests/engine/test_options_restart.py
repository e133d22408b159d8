"""Messages with options in a server on DISK that ends and starts again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qmq.descriptions import QueueSettings, Rate
from qmq.values import NackKind, Overflow, Store
from qmq.wire import q_pb2 as pb
from tests.engine.callers import payload_of, turns
from tests.engine.consumers import FINE, ack, add, lease, nack, pop_all, release, states, stats
from tests.engine.looking import browsed
from tests.engine.servers import Server, settings
from tests.store.disk import rows, sweep


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """Return a server on DISK, with the queues "jobs" and "dead"."""
    server = Server(Store.DISK, tmp_path)
    await server.start()
    dead = await server.new_queue("dead")
    await server.new_queue("jobs", dead_letter_queue_id=dead)
    yield server
    await server.end()


async def test_settings_are_kept(server: Server) -> None:
    """All of them."""
    given = settings(
        delay=1,
        ttl=2,
        dead_letter_expired=True,
        dedup_window=3,
        priority_ageing=4,
        bytes_limit=5_000,
        overflow=Overflow.DEAD_LETTER_OLDEST,
        leased_max=6,
        rate=Rate(messages_per_second=7.5, burst=8),
        dead_letter_queue_id=server.broker.catalog.find("dead").info.id,
    )
    changed = [n for n in QueueSettings.__slots__ if getattr(given, n) != getattr(settings(), n)]
    assert len(changed) == 10
    await server.broker.update_queue("jobs", lambda _: given)

    await server.start_again()

    assert server.broker.catalog.find("jobs").info.settings == given


@pytest.mark.parametrize("after_s", [0, 3, 4.999])
async def test_delayed_message_is_never_early(server: Server, after_s: float) -> None:
    """Time passes also while there is no server."""
    await server.put(b"late", delay=5)

    await server.start_again(after_s=after_s)
    assert await states(server.broker) == (0, 0, 1)
    await server.pass_time(5 - after_s - 1e-9)
    assert await states(server.broker) == (0, 0, 1)
    await server.pass_time(1e-9)

    assert await pop_all(server.broker) == [b"late"]


async def test_clock_that_was_set_back_makes_a_delay_longer(server: Server) -> None:
    """It is as if no time had passed before that, rather than too much."""
    await server.put(b"late", delay=5)
    await server.pass_time(2)

    await server.start_again(after_s=-10)
    await server.pass_time(12)
    assert await states(server.broker) == (0, 0, 1)
    await server.pass_time(1)

    assert await pop_all(server.broker) == [b"late"]


@pytest.mark.parametrize("set_by_s", [3_600, -3_600])
async def test_clock_that_is_set_while_a_server_runs_changes_no_moment(
    server: Server, set_by_s: float
) -> None:
    """Not in that server, nor in the next ones: neither earlier nor later."""
    await server.put(b"late", delay=10, ttl=20)
    await server.put(b"leased", priority=9, dedup_id="a")
    await lease(server.broker, duration_s=10)
    await server.put(b"brief", ttl=10)
    server.clock.advance(set_by_s)

    for _ in range(2):
        await server.start_again(after_s=2)
        assert await states(server.broker) == (1, 1, 1)
    await server.pass_time(5.999)
    assert await states(server.broker) == (1, 1, 1)
    await server.pass_time(0.001)
    assert await states(server.broker) == (2, 0, 0)
    assert (await server.put(b"again", dedup_id="a")).payload == b""
    await server.pass_time(9.999)
    assert await states(server.broker) == (2, 0, 0)
    await server.pass_time(0.001)

    assert await pop_all(server.broker) == [b"leased"]


async def test_ttl_of_a_queue_is_no_longer_after_the_clock_was_set_back(server: Server) -> None:
    """It counts from when a message came by the clock that nobody sets."""
    await server.change("jobs", ttl=10)
    server.clock.advance(-3_600)
    await add(server.broker, b"brief")

    await server.start_again(after_s=2)
    await server.pass_time(7.999)
    assert await states(server.broker) == (1, 0, 0)
    await server.pass_time(0.002)

    assert await states(server.broker) == (0, 0, 0)


async def test_moments_are_shown_by_the_clock_of_the_machine_again(server: Server) -> None:
    """As soon as a server starts that has no older ones to keep apart from them."""
    await server.put(b"late", delay=5)
    server.clock.advance(3_600)
    await server.start_again(after_s=5)
    assert await pop_all(server.broker) == [b"late"]

    await server.start_again()

    assert server.timer.now_ns() == server.clock.now_ns()


@pytest.mark.parametrize("is_late", [False, True])
async def test_delay_that_has_passed_is_over_after_a_start(
    server: Server, *, is_late: bool
) -> None:
    """Whether that was before the end, or after it."""
    await server.put(b"late", delay=5, priority=1)
    await add(server.broker, b"1")
    await server.pass_time(5 if not is_late else 0)

    await server.start_again(after_s=5)

    assert await pop_all(server.broker) == [b"late", b"1"]


async def test_waiting_consumer_of_a_new_server_is_woken_by_an_old_delay(server: Server) -> None:
    """The new server knows of it."""
    await server.put(b"late", delay=5)
    await server.start_again()
    task = asyncio.ensure_future(server.broker.pop("jobs", 60))
    await turns()
    await server.pass_time(5)

    assert payload_of(await task) == b"late"


@pytest.mark.parametrize(("after_s", "left"), [(0, 3), (3, 3), (4.5, 2), (100, 0)])
async def test_message_expires_when_it_would_have(
    server: Server, after_s: float, left: int
) -> None:
    """By its own word or its queue's, whether it was handed out before or not."""
    await server.change("jobs", ttl=5)
    await server.put(b"own", ttl=4)
    await add(server.broker, b"plain", b"released")
    await release(server.broker, *await lease(server.broker, 3))

    await server.start_again(after_s=after_s)

    assert await states(server.broker) == (left, 0, 0)
    await server.pass_time(max(0, 5.001 - after_s))
    assert await states(server.broker) == (0, 0, 0)


async def test_expired_messages_are_dead_letters_after_a_start(server: Server) -> None:
    """They expired while there was no server."""
    await server.change("jobs", dead_letter_expired=True, ttl=9)
    await server.put(b"own", ttl=5)
    await add(server.broker, b"plain")

    await server.start_again(after_s=60)

    assert sorted(payload for payload, _ in await server.dead()) == [b"own", b"plain"]
    await server.start_again()
    assert await states(server.broker) == await states(server.broker, "dead") == (0, 0, 0)


async def test_expired_message_does_not_come_back(server: Server) -> None:
    """That it is gone is on disk."""
    await server.put(b"brief", ttl=5)
    await server.pass_time(5)
    assert await states(server.broker) == (0, 0, 0)

    await server.start_again(after_s=-60)

    assert await states(server.broker) == (0, 0, 0)
    await server.broker.close()
    await sweep(server.data)
    assert rows(server.data, "message") == rows(server.data, "delivery") == 0
    await server.start()


async def test_order_is_kept(server: Server) -> None:
    """By priority, and by arrival within one; also of messages that came back."""
    for payload, priority in ((b"a", 0), (b"b", 5), (b"c", 255), (b"d", 5)):
        await server.put(payload, priority=priority)
    await add(server.broker, b"e")
    await release(server.broker, *await lease(server.broker, 2))

    await server.start_again()

    assert await pop_all(server.broker) == [b"c", b"b", b"d", b"a", b"e"]


async def test_order_by_ageing_is_kept(server: Server) -> None:
    """It is a setting, and the order follows from it."""
    await server.change("jobs", priority_ageing=5)
    await server.put(b"old")
    await server.pass_time(8)
    await server.put(b"one", priority=1)
    await server.put(b"two", priority=2)

    await server.start_again()

    assert await pop_all(server.broker) == [b"two", b"old", b"one"]


async def test_options_are_kept(server: Server) -> None:
    """As they were told."""
    before = await server.put(b"x", delay=5, ttl=9, priority=3, dedup_id="\u4e16")

    await server.start_again(after_s=5)

    assert pb.Message.FromString(await server.broker.pop("jobs")) == before


@pytest.mark.parametrize("count", [1, 2, 5])
async def test_lease_on_messages_with_options_goes_on(server: Server, count: int) -> None:
    """Each has a row from its beginning; that it is on lease is known all the same."""
    for n in range(count):
        await server.put(b"%d" % n, priority=1, ttl=60, delay=n % 2)
    await server.pass_time(1)
    held = await lease(server.broker, count, consumer="w")
    assert len(held) == count

    await server.start_again(after_s=1)

    assert await states(server.broker) == (0, count, 0)
    assert (await stats(server.broker)).consumers == (("w", count),)
    assert await ack(server.broker, *held[1:]) == [FINE] * (count - 1)
    await server.pass_time(30)
    (again,) = await lease(server.broker)
    assert (again.payload, again.delivery_count) == (b"0", 2)
    assert again.lease_id > held[0].lease_id


async def test_message_with_options_is_as_well_known_after_each_start(server: Server) -> None:
    """Leased with others, given back, leased alone: each time by the latest of it."""
    for n in range(4):
        await server.put(b"%d" % n, priority=9 - n)
    first = await lease(server.broker, 4, consumer="a")
    await server.start_again()
    await nack(server.broker, NackKind.FAIL, first[0], first[1], delay_s=5, reason="busy")
    await server.start_again()
    await server.pass_time(5)
    (second,) = await lease(server.broker, consumer="b")
    await server.start_again()

    assert await states(server.broker) == (1, 3, 0)
    seen = {each.message.payload: each for each in await browsed(server.broker)}
    assert [seen[b"%d" % n].delivery_count for n in range(4)] == [2, 1, 1, 1]
    assert [seen[b"%d" % n].consumer for n in range(4)] == ["b", "", "a", "a"]
    assert [each.reason for each in seen[b"0"].message.attempts] == ["busy"]
    assert await ack(server.broker, second, *first[2:]) == [FINE] * 3
    assert await pop_all(server.broker) == [b"1"]
    await server.broker.close()
    await sweep(server.data)
    for table in ("message", "delivery", "lease"):
        assert rows(server.data, table) == 0
    await server.start()


@pytest.mark.parametrize("has_left", [False, True])
async def test_dedup_id_is_known_after_a_start(server: Server, *, has_left: bool) -> None:
    """With what its message was answered, also if that has left; until its time is over."""
    first = await server.put(b"1", dedup_id="a")
    if has_left:
        await server.broker.pop("jobs")

    await server.start_again(after_s=100)
    again = await server.put(b"2", dedup_id="a")
    assert (again, (await stats(server.broker)).deduplicated_total) == (
        pb.Message(meta=first.meta),
        1,
    )
    await server.pass_time(200)
    other = await server.put(b"3", dedup_id="a")

    assert other.meta.id != first.meta.id
    assert (await pop_all(server.broker))[-1] == b"3"


async def test_forgotten_ids_take_no_room_on_disk(server: Server) -> None:
    """Nor do those of a queue that is gone."""
    await server.change("jobs", dedup_window=10)
    for n in range(5):
        await server.put(b"x", dedup_id=f"{n}")
    await server.put(b"x", "dead", dedup_id="a")
    await server.pass_time(10)
    await server.put(b"x", dedup_id="new")
    await server.broker.close()
    kept = rows(server.data, "dedup")
    await server.start()
    await server.broker.delete_queue("jobs")
    await server.pass_time(1)
    await server.broker.get_queue("dead")
    await server.broker.close()
    await sweep(server.data)

    assert (kept, rows(server.data, "dedup")) == (2, 1)
    await server.start()
    assert await pop_all(server.broker, "dead") == [b"x"]


async def test_full_bucket_is_what_a_server_starts_with(server: Server) -> None:
    """What it handed out before is not written down."""
    await server.change("jobs", rate=Rate(messages_per_second=1.0, burst=2))
    await add(server.broker, b"1", b"2", b"3", b"4", b"5")
    await server.broker.pop_batch("jobs", 2)

    await server.start_again()

    assert await pop_all(server.broker) == [b"3", b"4"]
    assert await pop_all(server.broker) == []


async def test_purged_messages_stay_gone(server: Server) -> None:
    """Whatever they were added with; ids are known on."""
    await server.put(b"1", delay=5, dedup_id="a")
    await server.put(b"2", ttl=50, priority=3)
    await lease(server.broker)
    await server.broker.purge("jobs")
    await server.put(b"3", priority=1)

    await server.start_again(after_s=10)

    assert await pop_all(server.broker) == [b"3"]
    assert (await server.put(b"4", dedup_id="a")).payload == b""


async def test_displaced_messages_stay_gone(server: Server) -> None:
    """Or are where they went."""
    await server.change("jobs", limit=1, overflow=Overflow.DEAD_LETTER_OLDEST)
    await server.put(b"1", priority=9)
    await add(server.broker, b"2")
    await server.change("jobs", overflow=Overflow.DROP_OLDEST)
    await add(server.broker, b"3")

    await server.start_again()

    assert await pop_all(server.broker) == [b"3"]
    assert await pop_all(server.broker, "dead") == [b"1"]
