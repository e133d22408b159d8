"""Messages that are added with options: when each is handed out, and for how long it is of use.

On MEMORY and on DISK. In which order is in
`test_options_order`, what happens when a server starts again in `test_options_restart`.
"""

import asyncio
from typing import Any

import pytest

from qmq.errors import InvalidArgument, QueueEmpty, QueueFull
from qmq.testing import START_NS
from qmq.values import NS_PER_S, NackKind
from qmq.wire import q_pb2 as pb
from tests.engine.consumers import (
    FINE,
    Held,
    ack,
    add,
    lease,
    nack,
    pop_all,
    release,
    states,
    stats,
)
from tests.engine.looking import browsed
from tests.engine.pairs import dead_letter, redriven
from tests.engine.servers import Server, options


def at(seconds: float) -> int:
    """Return the moment so many seconds after the start."""
    return START_NS + round(seconds * NS_PER_S)


@pytest.mark.parametrize("given", [{"delay": 5}, {"available_at": 5}], ids=["delay", "available"])
async def test_message_is_kept_back_and_not_a_nanosecond_longer(
    server: Server, given: dict[str, Any]
) -> None:
    """Nor a nanosecond less; it does not hold up the others, and stands before them then."""
    await server.put(b"late", **given)
    await add(server.broker, b"1", b"2")

    assert await states(server.broker) == (2, 0, 1)
    assert (await lease(server.broker))[0].payload == b"1"
    await server.pass_time(5 - 1e-9)
    assert await states(server.broker) == (1, 1, 1)
    await server.pass_time(1e-9)

    assert await states(server.broker) == (2, 1, 0)
    assert await pop_all(server.broker) == [b"late", b"2"]


async def test_delay_is_told_as_a_moment(server: Server) -> None:
    """Whichever of the two it was given as; there is none if there was none."""
    first = await server.put(b"1", delay=5)
    second = await server.put(b"2", available_at=7)
    not_delayed: list[dict[str, Any]] = [{}, {"delay": 0}, {"available_at": -9}]
    none = [await server.put(b"3", **given) for given in not_delayed]

    assert first.options.available_at.ToNanoseconds() == at(5)
    assert second.options.available_at.ToNanoseconds() == at(7)
    assert not first.options.HasField("delay")
    assert [each.HasField("options") for each in none] == [False] * 3
    assert await pop_all(server.broker) == [b"3"] * 3


async def test_moment_is_one_of_the_clock_that_people_set(server: Server) -> None:
    """What passes until then is measured by the one that nobody sets."""
    server.clock.advance(3_600)
    await server.put(b"1", available_at=3_605)
    server.clock.advance(-7_200)
    await server.put(b"2", available_at=-3_592)

    await server.pass_time(4)
    assert await states(server.broker) == (0, 0, 2)
    await server.pass_time(1)
    assert await pop_all(server.broker) == [b"1"]
    await server.pass_time(3)
    assert await pop_all(server.broker) == [b"2"]


async def test_delay_wakes_who_waits(server: Server) -> None:
    """The moment it is over."""
    await server.put(b"late", delay=5)
    waiting = lease_in_background(server)

    await server.pass_time(4)
    assert not waiting.done()
    await server.pass_time(1)

    assert [each.payload for each in await waiting] == [b"late"]


async def test_queue_keeps_back_what_says_nothing(server: Server) -> None:
    """One by one and in batches; a message's own word counts, also if that is not at all."""
    await server.change("jobs", delay=5)

    await add(server.broker, b"1")
    await server.broker.add_batch("jobs", [(b"", b"2")])
    await server.put(b"3", priority=1)
    await server.put(b"now", delay=0)
    await server.put(b"past", available_at=-1)
    await server.put(b"later", delay=9)

    assert await pop_all(server.broker) == [b"now", b"past"]
    await server.pass_time(5)
    assert await pop_all(server.broker) == [b"3", b"1", b"2"]
    assert await states(server.broker) == (0, 0, 1)


async def test_delay_of_a_queue_is_for_those_that_come(server: Server) -> None:
    """Those that are there are not kept back, nor let go."""
    await add(server.broker, b"1")
    await server.change("jobs", delay=5)
    await add(server.broker, b"2")
    await server.change("jobs", delay=0)
    await add(server.broker, b"3")

    assert await pop_all(server.broker) == [b"1", b"3"]
    await server.pass_time(5)
    assert await pop_all(server.broker) == [b"2"]


async def test_delayed_message_counts_in_the_limit(server: Server) -> None:
    """It takes room."""
    await server.change("jobs", limit=2)
    await server.put(b"1", delay=5)
    await add(server.broker, b"2")

    with pytest.raises(QueueFull):
        await server.put(b"3", delay=5)
    with pytest.raises(QueueFull):
        await add(server.broker, b"3")


async def test_paused_queue_lets_delays_pass(server: Server) -> None:
    """The message is ready, and handed out when the queue is resumed."""
    await server.put(b"late", delay=5)
    await server.broker.pause("jobs", adds=False)
    waiting = lease_in_background(server)

    await server.pass_time(5)
    assert await states(server.broker) == (1, 0, 0)
    assert not waiting.done()
    await server.broker.resume("jobs")

    assert [each.payload for each in await waiting] == [b"late"]


@pytest.mark.parametrize("given", [{"ttl": 5}, {"expires_at": 5}], ids=["ttl", "expires"])
async def test_message_is_of_use_and_not_a_nanosecond_longer(
    server: Server, given: dict[str, Any]
) -> None:
    """Then it is gone, and counted."""
    await server.put(b"brief", **given)
    await add(server.broker, b"1")

    await server.pass_time(5 - 1e-9)
    assert await states(server.broker) == (2, 0, 0)
    await server.pass_time(1e-9)

    assert await states(server.broker) == (1, 0, 0)
    assert (await stats(server.broker)).expired_total == 1
    assert await pop_all(server.broker) == [b"1"]


@pytest.mark.parametrize("verb", ["pop", "pop_batch", "lease", "peek", "browse", "stats"])
async def test_message_is_never_shown_late(server: Server, verb: str) -> None:
    """Also if nothing has happened by itself since its time was over."""
    await server.put(b"brief", ttl=5)
    server.timer.advance(5)
    broker = server.broker

    match verb:
        case "pop":
            with pytest.raises(QueueEmpty):
                await broker.pop("jobs")
        case "pop_batch":
            assert await broker.pop_batch("jobs", 9) == []
        case "lease":
            assert await lease(broker, 9) == []
        case "peek":
            with pytest.raises(QueueEmpty):
                await broker.peek("jobs")
        case "browse":
            assert await browsed(broker) == []
        case _:
            assert await states(broker) == (0, 0, 0)


async def test_time_of_use_is_told_as_a_moment(server: Server) -> None:
    """Its own, not that of its queue."""
    await server.change("jobs", ttl=2)
    first = await server.put(b"1", ttl=5)
    second = await server.put(b"2", expires_at=7)
    third = await server.put(b"3")

    assert first.options.expires_at.ToNanoseconds() == at(5)
    assert second.options.expires_at.ToNanoseconds() == at(7)
    assert not first.options.HasField("ttl")
    assert not third.HasField("options")


async def test_the_shorter_time_of_use_counts(server: Server) -> None:
    """The message's or the queue's."""
    await server.change("jobs", ttl=10)
    await server.put(b"own", ttl=5)
    await server.put(b"queue's", ttl=20)
    await add(server.broker, b"plain")

    await server.pass_time(5)
    assert await states(server.broker) == (2, 0, 0)
    await server.pass_time(5 - 1e-9)
    assert await states(server.broker) == (2, 0, 0)
    # Messages that come at the same moment are numbered as if they came a nanosecond apart.
    await server.pass_time(3e-9)
    assert await states(server.broker) == (0, 0, 0)


async def test_time_of_use_of_a_queue_counts_from_arrival(server: Server) -> None:
    """Also for messages that are there when the setting changes, whatever their state."""
    await add(server.broker, b"leased", b"released", b"plain")
    await server.put(b"delayed", delay=60)
    held, given_back = await lease(server.broker, 2)
    await release(server.broker, given_back)
    await server.pass_time(8)

    await server.change("jobs", ttl=10)
    assert await states(server.broker) == (2, 1, 1)
    await server.pass_time(2.001)
    assert await states(server.broker) == (0, 1, 0)

    assert await ack(server.broker, held) == [FINE]
    assert (await stats(server.broker)).expired_total == 3


async def test_shorter_time_of_use_ends_what_is_too_old_at_once(server: Server) -> None:
    """A longer one saves what is there."""
    await server.change("jobs", ttl=10)
    await add(server.broker, b"1")
    await server.pass_time(5)
    await server.change("jobs", ttl=100)
    await server.pass_time(50)
    assert await states(server.broker) == (1, 0, 0)
    await server.change("jobs", ttl=55)

    assert await states(server.broker) == (0, 0, 0)


async def test_time_of_use_is_measured_by_the_clock_that_nobody_sets(server: Server) -> None:
    """Setting the other one forwards or back neither takes a message away nor keeps it."""
    await server.change("jobs", ttl=10)
    await add(server.broker, b"1")
    await server.put(b"2", ttl=10)
    server.clock.advance(3_600)
    assert await states(server.broker) == (2, 0, 0)
    server.clock.advance(-7_200)
    assert await states(server.broker) == (2, 0, 0)

    await server.pass_time(9)
    assert await states(server.broker) == (2, 0, 0)
    await server.pass_time(1)
    assert await states(server.broker) == (0, 0, 0)


@pytest.mark.parametrize("step_s", [-3_600, 3_600])
async def test_message_that_comes_after_the_clock_was_set_is_of_use(
    server: Server, step_s: int
) -> None:
    """For as long as any other, by its own ttl or the queue's, with options or without."""
    await server.change("jobs", ttl=10)
    await add(server.broker, b"0")
    server.clock.advance(step_s)
    await server.pass_time(60)

    await add(server.broker, b"1")
    await server.broker.add_batch("jobs", [(b"", b"2")])
    await server.put(b"3", priority=1)
    await server.put(b"4", ttl=20)
    await server.pass_time(9)
    assert await states(server.broker) == (4, 0, 0)
    await server.pass_time(1.001)
    assert await states(server.broker) == (0, 0, 0)


@pytest.mark.parametrize("step_s", [-3_600, 3_600])
async def test_setting_the_clock_makes_no_message_older_or_younger(
    server: Server, step_s: int
) -> None:
    """Nor one that comes later; and it is found by the moment that its metadata tells."""
    first = await server.put(b"0")
    server.clock.advance(step_s)
    second = await server.put(b"1")
    await server.pass_time(5)

    assert (await stats(server.broker)).oldest_age_ns == 5 * NS_PER_S
    found, _ = await server.broker.browsing.browse("jobs", age_min_ns=5 * NS_PER_S - 9)
    assert len(found) == 2
    assert not (await server.broker.browsing.browse("jobs", age_min_ns=5 * NS_PER_S + 9))[0]
    for message in (first, second):
        created_ns = message.meta.created.ToNanoseconds()
        told = await server.broker.browsing.explain("jobs", message.meta.id, created_ns)
        assert message.payload in told.message


@pytest.mark.parametrize("step_s", [-3_600, 3_600])
async def test_plain_message_keeps_its_arrival_when_the_clock_was_set(
    server: Server, step_s: int
) -> None:
    """It has not come when the clock says, if the queue is to have a ttl later."""
    await add(server.broker, b"0")
    server.clock.advance(step_s)
    await server.pass_time(60)
    await add(server.broker, b"1")
    await server.broker.add_batch("jobs", [(b"", b"2")])

    await server.change("jobs", ttl=10)

    assert await pop_all(server.broker) == [b"1", b"2"]


async def test_leased_message_may_be_acked_after_its_time(server: Server) -> None:
    """Who has it goes on, and may extend the lease."""
    await server.put(b"brief", ttl=5)
    (mine,) = await lease(server.broker, duration_s=20)
    await server.pass_time(19)
    await server.broker.leasing.extend("jobs", [mine.lease_id], 20 * NS_PER_S)
    await server.pass_time(19)

    assert await states(server.broker) == (0, 1, 0)
    assert await ack(server.broker, mine) == [FINE]
    assert (await stats(server.broker)).expired_total == 0


@pytest.mark.parametrize("delay_s", [None, 0, 30])
@pytest.mark.parametrize("kind", [NackKind.FAIL, NackKind.RELEASE])
async def test_leased_message_that_comes_back_too_late_is_gone(
    server: Server, kind: NackKind, delay_s: float | None
) -> None:
    """The moment it is given back."""
    await server.put(b"brief", ttl=5)
    (mine,) = await lease(server.broker, duration_s=20)
    await server.pass_time(6)

    assert await nack(server.broker, kind, mine, delay_s=delay_s) == [FINE]

    assert await states(server.broker) == (0, 0, 0)
    assert (await stats(server.broker)).expired_total == 1


@pytest.mark.parametrize("duration_s", [5, 20])
async def test_lease_that_ends_too_late_ends_the_message(server: Server, duration_s: float) -> None:
    """Also if both come at the same moment."""
    await server.put(b"brief", ttl=5)
    (mine,) = await lease(server.broker, duration_s=duration_s)

    await server.pass_time(duration_s)

    assert await states(server.broker) == (0, 0, 0)
    assert "does not hold its message any more" in (await ack(server.broker, mine))[0]


async def test_message_that_was_released_expires_once(server: Server) -> None:
    """However often that was."""
    await server.put(b"brief", ttl=5)
    for _ in range(3):
        await release(server.broker, *await lease(server.broker))

    await server.pass_time(100)

    assert (await stats(server.broker)).expired_total == 1


async def test_expired_messages_are_dead_letters_if_the_queue_says_so(server: Server) -> None:
    """Whether they were handed out before or not, with what is known of them."""
    await server.change("jobs", ttl=10, dead_letter_expired=True)
    await server.put(b"own", ttl=5, priority=3)
    await add(server.broker, b"plain", b"released")
    held = await lease(server.broker, 3, consumer="w")
    await nack(server.broker, NackKind.RELEASE, *held[1:], reason="busy")
    await ack(server.broker, held[0])
    await server.put(b"own", ttl=5, priority=3)

    await server.pass_time(10.001)
    popped = map(pb.Message.FromString, await server.broker.pop_batch("dead", 9))
    messages = {each.payload: each for each in popped}

    assert set(messages) == {b"own", b"plain", b"released"}
    for each in messages.values():
        assert each.dead_letter.reason == pb.DeadLetter.EXPIRED
        assert each.dead_letter.text == ""
    assert [each.reason for each in messages[b"released"].attempts] == ["busy"]
    assert messages[b"own"].options.priority == 3
    counts = await stats(server.broker)
    assert (counts.expired_total, counts.dead_lettered_total) == (3, 3)


async def test_dead_letter_does_not_expire_by_the_word_of_its_former_queue(
    server: Server,
) -> None:
    """What it was of use for is over already; its new queue may say something else."""
    await server.change("jobs", dead_letter_expired=True)
    await server.change("dead", ttl=20)
    dead = server.broker.catalog.find("dead")
    await server.put(b"brief", ttl=5)
    await server.pass_time(5)

    await server.pass_time(19)
    assert dead.message_count == 1
    # By itself, without anybody who looks.
    await server.pass_time(1)
    assert (dead.message_count, dead.expired_total) == (0, 1)


async def test_message_that_is_moved_back_expires_by_itself(server: Server) -> None:
    """Without anybody who looks at its queue."""
    jobs = server.broker.catalog.find("jobs")
    await dead_letter(server, b"1")
    await server.change("jobs", ttl=20)
    await redriven(server)

    await server.pass_time(19)
    assert jobs.message_count == 1
    await server.pass_time(1.001)

    assert (jobs.message_count, jobs.expired_total) == (0, 1)


async def test_waiting_consumer_is_not_given_what_expires_as_it_comes(server: Server) -> None:
    """It waits for the next one."""
    waiting = lease_in_background(server)
    await server.pass_time(0)
    await server.put(b"delayed too long", delay=5, ttl=5)
    await server.pass_time(5)
    assert not waiting.done()

    await add(server.broker, b"1")

    assert [each.payload for each in await waiting] == [b"1"]


@pytest.mark.parametrize(
    ("given", "field", "rule"),
    [
        (
            {"expires_at": 0},
            "options.expires_at",
            "must be later than now; 2023-11-14T22:13:20.000Z has passed",
        ),
        ({"expires_at": -5}, "options.expires_at", "must be later than now"),
        ({"expires_at": 4e8}, "options.expires_at", "must be within 10 years from now"),
        ({"available_at": 4e8}, "options.available_at", "must be within 10 years from now"),
    ],
)
async def test_moment_that_makes_no_sense_is_refused(
    server: Server, given: dict[str, Any], field: str, rule: str
) -> None:
    """By the name of the field, wherever the message stands in the call; nothing is added."""
    broker = server.broker
    with pytest.raises(InvalidArgument) as alone:
        await server.put(b"x", **given)
    with pytest.raises(InvalidArgument) as in_batch:
        await server.put_many([(b"x", {}), (b"x", {}), (b"x", given)], partial=True)
    with pytest.raises(InvalidArgument) as in_step:
        await broker.leasing.complete(
            [],
            [("jobs", [(b"", b"x")]), ("jobs", [(b"", b"x"), (b"", b"x")])],
            [{}, {1: options(**given)}],
        )

    assert alone.value.field == f"message.{field}"
    assert in_batch.value.field == f"messages[2].{field}"
    assert in_step.value.field == f"adds[1].messages[1].{field}"
    for refusal in (alone, in_batch, in_step):
        assert refusal.value.rule.startswith(rule)
    assert await states(broker) == (0, 0, 0)


async def test_step_adds_messages_with_options(server: Server) -> None:
    """Each has its own, in whatever queue."""
    await server.new_queue("done", delay=7)
    await add(server.broker, b"1")
    (mine,) = await lease(server.broker)

    await server.broker.leasing.complete(
        [("jobs", [mine.lease_id])],
        [
            ("jobs", [(b"", b"low"), (b"", b"high"), (b"", b"late")]),
            ("done", [(b"", b"default"), (b"", b"now")]),
        ],
        [{1: options(priority=3), 2: options(delay=5)}, {1: options(delay=0)}],
    )

    assert await pop_all(server.broker) == [b"high", b"low"]
    assert await pop_all(server.broker, "done") == [b"now"]
    await server.pass_time(7)
    assert await pop_all(server.broker) == [b"late"]
    assert await pop_all(server.broker, "done") == [b"default"]


async def test_everything_can_be_purged(server: Server) -> None:
    """Delayed messages, those that expire and those with a priority; nothing comes later."""
    await server.put(b"1", delay=5)
    await server.put(b"2", ttl=5, priority=3)
    await server.put(b"3", delay=5, ttl=9)
    await add(server.broker, b"4")
    await lease(server.broker)

    assert await server.broker.purge("jobs") == 4
    await server.pass_time(100)

    assert await states(server.broker) == (0, 0, 0)
    assert (await stats(server.broker)).expired_total == 0
    await server.put(b"5", priority=1)
    assert await pop_all(server.broker) == [b"5"]


async def test_queue_can_be_deleted_with_all_that_waits_in_it(server: Server) -> None:
    """Nothing happens to it any more, not even to one that gets its name."""
    await server.put(b"1", delay=5)
    await server.put(b"2", ttl=5)
    await server.change("jobs", dead_letter_expired=True)

    await server.broker.delete_queue("jobs")
    await server.new_queue("jobs")
    await server.pass_time(100)

    assert await states(server.broker) == (0, 0, 0)
    assert await states(server.broker, "dead") == (0, 0, 0)


def lease_in_background(server: Server) -> asyncio.Future[list[Held]]:
    """Wait for messages for a minute."""
    return asyncio.ensure_future(lease(server.broker, 9, wait_s=60))
