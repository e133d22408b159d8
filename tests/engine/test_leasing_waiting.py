"""Who waits for messages that come back, that are paused, purged, or promised to others."""

import asyncio
from collections.abc import Callable

import pytest

from qmq.descriptions import QueueSettings
from qmq.engine.broker import Broker
from qmq.errors import AddsPaused, QueueEmpty, QueueFull, QueueNotFound, QueuePaused
from qmq.testing import ManualClock
from qmq.values import NackKind
from tests.engine.callers import LONG_S, Caller, payload_of, turns
from tests.engine.consumers import (
    FINE,
    Held,
    ack,
    add,
    lease,
    leased_again,
    memory_broker,
    nack,
    new_queue,
    pop_all,
    release,
    states,
    stats,
)


@pytest.fixture
async def broker(clock: ManualClock) -> Broker:
    """Return a broker with the empty queues "dead", and "jobs" with that for dead letters."""
    broker = memory_broker(clock)
    await new_queue(broker, "dead")
    await new_queue(broker, "jobs", settings=QueueSettings(dead_letter_queue_id="dead"))
    return broker


class Waiter:
    """One who waits for messages to lease."""

    def __init__(self, broker: Broker, messages_max: int = 9, *, queue: str = "jobs") -> None:
        """Ask."""
        call = lease(broker, messages_max, queue=queue, wait_s=LONG_S)
        self._task = asyncio.ensure_future(call)

    @property
    def is_waiting(self) -> bool:
        """Whether it has no answer yet."""
        return not self._task.done()

    @property
    def payloads(self) -> list[bytes]:
        """What it was given."""
        return [each.payload for each in self._task.result()]


async def waiters(broker: Broker, count: int, messages_max: int = 9) -> list[Waiter]:
    """Let so many come, one after the other."""
    line = []
    for _ in range(count):
        line.append(Waiter(broker, messages_max))
        await turns()
    return line


async def test_message_that_comes_is_leased_to_who_waits(broker: Broker) -> None:
    """As soon as it is there, in order of arrival, whatever they wait for."""
    (first,) = await waiters(broker, 1)
    popping = Caller(broker)
    await turns()
    (last,) = await waiters(broker, 1)

    await add(broker, b"1", b"2")
    await turns()

    assert (first.payloads, popping.payloads) == ([b"1"], [b"2"])
    assert last.is_waiting


@pytest.mark.parametrize("kind", [NackKind.RELEASE, NackKind.FAIL])
async def test_message_that_is_given_back_is_for_who_waits(broker: Broker, kind: NackKind) -> None:
    """At once, unless it is kept back."""
    await add(broker, b"1")
    (mine,) = await lease(broker)
    (waiter,) = await waiters(broker, 1)

    await nack(broker, kind, mine, delay_s=0)
    await turns()

    assert waiter.payloads == [b"1"]


async def test_message_whose_lease_runs_out_is_for_who_waits(
    broker: Broker, clock: ManualClock
) -> None:
    """By itself, to the nanosecond: nobody has to ask again."""
    await add(broker, b"1")
    await lease(broker, duration_s=5)
    (waiter,) = await waiters(broker, 1)

    clock.advance(5 - 1e-9)
    await turns()
    assert waiter.is_waiting
    clock.advance(1e-9)
    await turns()

    assert waiter.payloads == [b"1"]


async def test_message_is_for_the_next_in_line_when_its_lease_runs_out(
    broker: Broker, clock: ManualClock
) -> None:
    """Also if nobody has called since the first in line got it."""
    first, second = await waiters(broker, 2)
    await add(broker, b"1")
    await turns()

    clock.advance(30)
    await turns()

    assert (first.payloads, second.payloads) == ([b"1"], [b"1"])


async def test_message_whose_delay_is_over_is_for_who_waits(
    broker: Broker, clock: ManualClock
) -> None:
    """By itself, and not before."""
    await add(broker, b"1")
    (mine,) = await lease(broker)
    await release(broker, mine, delay_s=40)
    (waiter,) = await waiters(broker, 1)

    clock.advance(39)
    await turns()
    assert waiter.is_waiting
    clock.advance(1)
    await turns()

    assert waiter.payloads == [b"1"]


async def test_dead_letter_is_for_who_waits_for_it(broker: Broker) -> None:
    """Who works on dead letters need not ask again and again."""
    await add(broker, b"1")
    (mine,) = await lease(broker)
    waiter = Waiter(broker, queue="dead")
    await turns()

    await nack(broker, NackKind.REJECT, mine)
    await turns()

    assert waiter.payloads == [b"1"]


async def test_who_waited_takes_what_is_promised_to_nobody_else(broker: Broker) -> None:
    """The first takes all that is over, but each of the others gets one."""
    line = await waiters(broker, 3)

    await broker.add_batch("jobs", [(b"", b"%d" % n) for n in range(5)])
    await turns()

    assert [waiter.payloads for waiter in line] == [[b"0", b"1", b"2"], [b"3"], [b"4"]]


async def test_who_comes_later_takes_nothing_that_is_promised(broker: Broker) -> None:
    """Neither by Lease, nor by Pop; they may wait as well."""
    line = await waiters(broker, 2)
    await broker.add_batch("jobs", [(b"", b"1"), (b"", b"2")])

    # The messages are promised, and were not taken yet.
    assert await leased_again(broker) == []
    assert await pop_all(broker) == []
    with pytest.raises(QueueEmpty):
        await broker.pop("jobs")
    await turns()

    assert [waiter.payloads for waiter in line] == [[b"1"], [b"2"]]


def waiter_by_lease(broker: Broker) -> Waiter:
    """Wait by Lease."""
    return Waiter(broker)


def caller_by_pop_batch(broker: Broker) -> Caller:
    """Wait by PopBatch."""
    return Caller(broker, messages_max=9)


def caller_by_pop(broker: Broker) -> Caller:
    """Wait by Pop."""
    return Caller(broker)


@pytest.mark.parametrize("new", [waiter_by_lease, caller_by_pop_batch, caller_by_pop])
async def test_who_is_first_gets_what_is_left_of_what_was_promised(
    broker: Broker, clock: ManualClock, new: Callable[[Broker], Waiter | Caller]
) -> None:
    """One of two promised messages is acked late: nobody is sent away before its time."""
    await add(broker, b"1", b"2")
    mine, _ = await lease(broker, 2)
    line: list[Waiter | Caller] = []
    for _ in range(2):
        line.append(new(broker))
        await turns()
    clock.advance(30)
    # Time passes, and both are promised to those in line, who have no turn before the ack.
    await stats(broker)
    assert await ack(broker, mine) == [FINE]
    await turns()

    assert line[0].payloads == [b"2"]
    assert line[1].is_waiting
    await add(broker, b"3")
    await turns()
    assert line[1].payloads == [b"3"]


async def test_message_that_is_purged_before_it_is_taken_is_waited_for_no_more(
    broker: Broker,
) -> None:
    """Those to whom it was promised wait on."""
    line = await waiters(broker, 2)
    await add(broker, b"1")
    await broker.purge("jobs")
    await turns()
    assert [waiter.is_waiting for waiter in line] == [True, True]

    await add(broker, b"2", b"3")
    await turns()

    assert sorted(payload for waiter in line for payload in waiter.payloads) == [b"2", b"3"]


async def test_who_waits_in_vain_gets_nothing_and_no_error(
    broker: Broker, clock: ManualClock
) -> None:
    """An empty answer, when its time is over."""
    (waiter,) = await waiters(broker, 1)

    clock.advance(LONG_S)
    await turns()

    assert waiter.payloads == []


async def test_paused_queue_hands_out_nothing_and_takes_messages(broker: Broker) -> None:
    """Pop says that it is paused; Peek shows what will be handed out."""
    await add(broker, b"1")
    info = await broker.pause("jobs", adds=False)
    await add(broker, b"2")

    assert info.pause
    assert (await broker.get_queue("jobs")).pause == info.pause
    with pytest.raises(QueuePaused):
        await broker.pop("jobs")
    assert (await leased_again(broker), await pop_all(broker)) == ([], [])
    assert payload_of(await broker.peek("jobs")) == b"1"
    assert await states(broker) == (2, 0, 0)


async def test_queue_that_is_paused_for_adds_takes_none(broker: Broker) -> None:
    """Neither one nor many nor some of them."""
    await broker.pause("jobs", adds=True)

    for call in (
        broker.add("jobs", b"1"),
        broker.add_batch("jobs", [(b"", b"1")]),
        broker.add_batch("jobs", [(b"", b"1")], partial=True),
        broker.leasing.complete([], [("jobs", [(b"", b"1")])]),
    ):
        with pytest.raises(AddsPaused):
            await call

    await broker.resume("jobs")
    await add(broker, b"1")
    assert await states(broker) == (1, 0, 0)


async def test_pause_that_is_repeated_lasts_since_the_first_time(
    broker: Broker, clock: ManualClock
) -> None:
    """Whether it takes messages is what was said last; a resume ends it, and may be repeated."""
    first = await broker.pause("jobs", adds=True)
    clock.advance(5)
    second = await broker.pause("jobs", adds=False)

    assert first.pause
    assert second.pause
    assert (second.pause.since_ns, second.pause.adds) == (first.pause.since_ns, False)
    assert (await broker.resume("jobs")).pause is None
    assert (await broker.resume("jobs")).pause is None


async def test_who_waits_waits_through_a_pause(broker: Broker, clock: ManualClock) -> None:
    """And gets what came meanwhile when it ends."""
    line = await waiters(broker, 2, messages_max=1)
    await broker.pause("jobs", adds=False)
    await add(broker, b"1", b"2")
    late = Waiter(broker)
    clock.advance(30)
    await turns()
    assert all(waiter.is_waiting for waiter in (*line, late))

    await broker.resume("jobs")
    await turns()

    assert [waiter.payloads for waiter in line] == [[b"1"], [b"2"]]
    assert late.is_waiting


async def test_pause_ends_the_time_of_nobody(broker: Broker, clock: ManualClock) -> None:
    """Who has waited for long enough is told, by Pop why."""
    popping, waiter = Caller(broker), Waiter(broker)
    await turns()
    await broker.pause("jobs", adds=False)
    await add(broker, b"1")

    clock.advance(LONG_S)
    await turns()

    assert isinstance(popping.error, QueuePaused)
    assert waiter.payloads == []


async def test_message_that_is_promised_when_a_queue_is_paused_stays(broker: Broker) -> None:
    """It was not handed out yet, and is not while the pause lasts."""
    line = await waiters(broker, 1)
    await add(broker, b"1")

    await broker.pause("jobs", adds=False)
    await turns()
    assert line[0].is_waiting
    await broker.resume("jobs")
    await turns()

    assert line[0].payloads == [b"1"]


async def test_leases_go_on_in_a_paused_queue(broker: Broker, clock: ManualClock) -> None:
    """They can be acked, extended and given back, and run out."""
    await add(broker, b"1", b"2", b"3")
    first, second, _ = await lease(broker, 3)
    await broker.pause("jobs", adds=True)

    assert await ack(broker, first) == [FINE]
    assert await release(broker, second) == [FINE]
    assert await states(broker) == (1, 1, 0)
    clock.advance(30)
    assert await states(broker) == (2, 0, 0)
    assert await leased_again(broker) == []


async def held_in_each_state(broker: Broker, clock: ManualClock) -> list[Held]:
    """Have a ready, an expired, a released, a delayed and a leased message; return four leases."""
    await add(broker, *[b"%d" % n for n in range(5)])
    (expired,) = await lease(broker, duration_s=1)
    released, delayed, leased = await lease(broker, 3)
    await release(broker, released)
    await release(broker, delayed, delay_s=100)
    clock.advance(1)
    assert await states(broker) == (3, 1, 1)
    return [expired, released, delayed, leased]


async def test_purge_removes_messages_in_whatever_state(broker: Broker, clock: ManualClock) -> None:
    """It tells how many there were; whoever had them is told, and nothing comes back."""
    held = await held_in_each_state(broker, clock)

    assert await broker.purge("jobs") == 5

    assert await states(broker) == (0, 0, 0)
    for refusal in await ack(broker, *held):
        assert "does not hold its message any more" in refusal
    clock.advance(1_000)
    await turns()
    assert await leased_again(broker) == []
    assert await broker.purge("jobs") == 0


async def test_purged_queue_goes_on(broker: Broker, clock: ManualClock) -> None:
    """What comes after is handed out, and those who waited get it."""
    await held_in_each_state(broker, clock)
    await broker.purge("jobs")
    (waiter,) = await waiters(broker, 1)

    await add(broker, b"x")
    await turns()

    assert waiter.payloads == [b"x"]
    assert await states(broker) == (0, 1, 0)


async def test_deleted_queue_takes_its_leases_along(broker: Broker, clock: ManualClock) -> None:
    """Whoever has one is told that the queue is gone, and so is who waits."""
    held = await held_in_each_state(broker, clock)
    await pop_all(broker)
    popping = Caller(broker)
    await turns()

    await broker.delete_queue("jobs")
    await turns()

    assert isinstance(popping.error, QueueNotFound)
    clock.advance(1_000)
    await turns()
    await new_queue(broker, "jobs")
    for refusal in await ack(broker, *held):
        assert "does not hold its message any more" in refusal
    assert await states(broker) == (0, 0, 0)


async def test_limit_counts_what_is_out(broker: Broker, clock: ManualClock) -> None:
    """Ready, leased and delayed messages; room is made by acks, pops, purges and dead letters."""
    await broker.update_queue("jobs", lambda known: known, limit=5)
    _, _, _, leased = await held_in_each_state(broker, clock)

    with pytest.raises(QueueFull, match="has reached limit of 5 messages"):
        await add(broker, b"x")
    await ack(broker, leased)
    await add(broker, b"x")
    with pytest.raises(QueueFull, match="has reached limit of 5 messages"):
        await broker.add_batch("jobs", [(b"", b"y")], partial=True)
    (first,) = await lease(broker)
    await nack(broker, NackKind.REJECT, first)
    await add(broker, b"z")

    assert sum(await states(broker)) == 5
