"""Waiting for messages: first come, first served, and who leaves takes nothing along."""

import asyncio
import gc
import time
from collections.abc import Callable
from types import NoneType
from typing import Any

import pytest

from qmq.engine.broker import Broker
from qmq.engine.waiting import Gone, SteadyTimer, Waiting
from qmq.errors import QueueEmpty, QueueFull, QueueNotFound, ShuttingDown
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import NS_PER_S, Store
from tests.engine.callers import LONG_S, Caller, broker_with_jobs, payload_of, turns, waiting


@pytest.fixture
async def broker(clock: ManualClock) -> Broker:
    """Return a broker with the empty queue "jobs"."""
    return await broker_with_jobs(clock)


async def callers(broker: Broker, count: int, *, messages_max: int = 0) -> list[Caller]:
    """Let so many callers come, one after the other."""
    found = []
    for _ in range(count):
        found.append(Caller(broker, messages_max=messages_max))
        await turns()
    return found


async def left_in(broker: Broker) -> list[bytes]:
    """Take all messages that are left in the queue."""
    return list(map(payload_of, await broker.pop_batch("jobs", 1_000)))


async def test_message_that_is_there_needs_no_waiting(broker: Broker, clock: ManualClock) -> None:
    """It is handed out at once, and time has no say in it."""
    added = await broker.add("jobs", b"x")

    assert await broker.pop("jobs", LONG_S) == added
    assert clock.waiting == 0


async def test_message_that_comes_is_for_who_waits(broker: Broker) -> None:
    """As soon as it is there."""
    (caller,) = await callers(broker, 1)
    was_waiting = caller.is_waiting

    await broker.add("jobs", b"x")
    await turns()

    assert was_waiting
    assert caller.payloads == [b"x"]


async def test_who_came_first_is_served_first(broker: Broker) -> None:
    """In order of arrival, one message each."""
    line = await callers(broker, 4)

    for n in range(3):
        await broker.add("jobs", b"%d" % n)
        await turns()
        assert [caller.is_waiting for caller in line] == [False] * (n + 1) + [True] * (3 - n)

    assert [caller.payloads for caller in line[:3]] == [[b"0"], [b"1"], [b"2"]]


async def test_messages_that_come_at_once_are_served_in_order(broker: Broker) -> None:
    """One batch for many who wait: the first gets the first."""
    line = await callers(broker, 4)

    await broker.add_batch("jobs", [(b"", b"%d" % n) for n in range(3)])
    await turns()

    assert [caller.payloads for caller in line[:3]] == [[b"0"], [b"1"], [b"2"]]
    assert line[3].is_waiting


async def test_messages_are_taken_in_the_order_of_the_line(broker: Broker) -> None:
    """However long it takes to find out that each of the callers is still there."""
    line = [Caller(broker, slowness=slowness) for slowness in (9, 3, 0, 7, 0, 1)]
    await turns()

    for n in range(3):
        await broker.add("jobs", b"%d" % n)
    await broker.add_batch("jobs", [(b"", b"%d" % n) for n in range(3, 6)])
    await turns(100)

    assert [caller.payloads for caller in line] == [[b"%d" % n] for n in range(6)]


async def test_who_leaves_at_the_last_moment_holds_up_nobody(broker: Broker) -> None:
    """Those behind it, who were quicker, go on in order."""
    line = [Caller(broker, slowness=slowness) for slowness in (9, 5, 0, 0)]
    await turns()
    await broker.add_batch("jobs", [(b"", b"%d" % n) for n in range(3)])
    await turns(5)

    line[0].is_gone = True
    line[1].cancel()
    await turns(100)

    assert isinstance(line[0].error, Gone)
    assert [caller.payloads for caller in line[2:]] == [[b"0"], [b"1"]]
    assert await left_in(broker) == [b"2"]


async def test_who_leaves_passes_on_whom_to_wait_for(broker: Broker) -> None:
    """The one behind it still comes after the one before it."""
    line = [Caller(broker, slowness=slowness) for slowness in (20, 10, 0)]
    await turns()
    await broker.add_batch("jobs", [(b"", b"%d" % n) for n in range(3)])
    await turns(5)

    line[1].cancel()
    await turns(100)

    assert [line[0].payloads, line[2].payloads] == [[b"0"], [b"1"]]
    assert await left_in(broker) == [b"2"]


async def test_caller_of_whom_nothing_is_heard_holds_up_nobody_for_long(
    broker: Broker, clock: ManualClock
) -> None:
    """After half a second those behind it are served before it."""
    silent, other = Caller(broker, slowness=10_000), Caller(broker)
    await turns()
    await broker.add_batch("jobs", [(b"", b"1"), (b"", b"2")])
    await turns(50)
    was_waiting = other.is_waiting

    clock.advance(0.5)
    await turns(50)

    assert was_waiting
    assert other.payloads == [b"1"]
    assert silent.is_waiting
    silent.cancel()
    await turns()
    assert await left_in(broker) == [b"2"]


@pytest.mark.parametrize("messages_max", [0, 9])
async def test_newcomer_does_not_overtake(broker: Broker, messages_max: int) -> None:
    """A message that has come for one who waits is not for one who comes before it is taken."""
    (first,) = await callers(broker, 1)
    await broker.add("jobs", b"x")

    # Nobody has had a turn since: the first has not taken it yet.
    if messages_max:
        assert await broker.pop_batch("jobs", messages_max) == []
    else:
        with pytest.raises(QueueEmpty):
            await broker.pop("jobs")
    newcomer = Caller(broker, messages_max=messages_max)
    await turns()

    assert first.payloads == [b"x"]
    assert newcomer.is_waiting


async def test_newcomer_gets_what_is_left_over(broker: Broker) -> None:
    """What is promised to nobody is for who asks."""
    (first,) = await callers(broker, 1)
    await broker.add_batch("jobs", [(b"", b"1"), (b"", b"2"), (b"", b"3")])

    newcomer = await broker.pop_batch("jobs", 9)
    await turns()

    assert len(newcomer) == 2
    assert len(first.payloads) == 1


async def test_promised_message_is_still_in_its_queue(clock: ManualClock) -> None:
    """It is seen, counted, and takes its place, until it is taken."""
    broker = await broker_with_jobs(clock, limit=1)
    (caller,) = await callers(broker, 1)
    added = await broker.add("jobs", b"1")

    with pytest.raises(QueueFull):
        await broker.add("jobs", b"2")
    assert await broker.peek("jobs") == added
    ([stats], _) = await broker.stats("jobs", 0, "")
    assert (stats.ready, stats.waiting) == (1, 1)
    await turns()
    await broker.add("jobs", b"3")

    assert caller.payloads == [b"1"]
    assert await left_in(broker) == [b"3"]


@pytest.mark.parametrize("wait_s", [0.001, 0.5, 0.7, 60.0])
async def test_waiting_ends_when_its_time_is_over(
    broker: Broker, clock: ManualClock, wait_s: float
) -> None:
    """Then, not before, the queue is empty; for a batch that is no error."""
    one, batch = Caller(broker, wait_s=wait_s), Caller(broker, wait_s=wait_s, messages_max=9)
    await turns()

    clock.advance(wait_s * 0.99)
    await turns()
    were_waiting = one.is_waiting, batch.is_waiting
    clock.advance(wait_s * 0.01 + 1e-9)
    await turns()

    assert were_waiting == (True, True)
    assert isinstance(one.error, QueueEmpty)
    assert batch.payloads == []
    queue = broker.catalog.find("jobs")
    assert (queue.empty_total, await waiting(broker)) == (1, 0)


@pytest.mark.parametrize("wait_s", [0.0, -1.0])
async def test_who_does_not_wait_is_told_at_once(broker: Broker, wait_s: float) -> None:
    """Also while others wait, whose line it does not join."""
    await callers(broker, 1)

    with pytest.raises(QueueEmpty):
        await broker.pop("jobs", wait_s)

    assert await waiting(broker) == 1


async def test_message_after_the_end_of_the_waiting_stays(
    broker: Broker, clock: ManualClock
) -> None:
    """Nobody waits for it any more."""
    caller = Caller(broker, wait_s=1)
    await turns()
    clock.advance(1)
    await turns()

    await broker.add("jobs", b"x")

    assert not caller.is_waiting
    assert await left_in(broker) == [b"x"]


async def test_message_at_the_last_moment_is_handed_out(broker: Broker, clock: ManualClock) -> None:
    """What has come by the end of the waiting counts, whichever is noticed first."""
    caller = Caller(broker, wait_s=1)
    await turns()

    clock.advance(1)
    await broker.add("jobs", b"x")
    await turns()

    assert caller.payloads == [b"x"]


def end(caller: Caller) -> None:
    """End the call from outside."""
    caller.cancel()


def disappear(caller: Caller) -> None:
    """Leave, which shows when the broker asks."""
    caller.is_gone = True


LEAVING = pytest.mark.parametrize("leave", [end, disappear])
Leave = Callable[[Caller], None]


@LEAVING
async def test_who_left_before_a_message_came_is_not_served(broker: Broker, leave: Leave) -> None:
    """The next one is."""
    line = await callers(broker, 3)

    leave(line[0])
    await broker.add("jobs", b"x")
    await turns()

    assert line[1].payloads == [b"x"]
    assert line[2].is_waiting
    assert line[0].is_cancelled or isinstance(line[0].error, Gone)


@LEAVING
async def test_who_leaves_with_a_promise_passes_it_on(broker: Broker, leave: Leave) -> None:
    """To the next in line, who would else wait beside a message."""
    line = await callers(broker, 3)

    await broker.add("jobs", b"x")
    leave(line[0])
    await turns()

    assert line[1].payloads == [b"x"]
    assert line[2].is_waiting
    assert line[0].is_cancelled or isinstance(line[0].error, Gone)


@LEAVING
async def test_promise_goes_down_the_line_to_who_is_still_there(
    broker: Broker, leave: Leave
) -> None:
    """However many have left at the same time."""
    line = await callers(broker, 6)

    await broker.add_batch("jobs", [(b"", b"1"), (b"", b"2")])
    for caller in (line[0], line[1], line[3], line[4]):
        leave(caller)
    await turns(60)

    assert [line[2].payloads, line[5].payloads] == [[b"1"], [b"2"]]
    assert await waiting(broker) == 0


@LEAVING
async def test_message_stays_if_all_have_left(broker: Broker, leave: Leave) -> None:
    """In its place, for who comes next."""
    line = await callers(broker, 2)

    await broker.add("jobs", b"1")
    for caller in line:
        leave(caller)
    await turns()
    await broker.add("jobs", b"2")

    assert await left_in(broker) == [b"1", b"2"]
    assert await waiting(broker) == 0


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_who_leaves_when_everybody_is_let_go_leaves_nothing_unheard(
    broker: Broker, *, is_cancelled: bool
) -> None:
    """It does not ask why it was let go, and nobody else has to."""
    unheard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    (caller,) = await callers(broker, 1)

    caller.is_gone = True
    broker.stop_waiting()
    if is_cancelled:
        caller.cancel()
    await turns()

    assert not caller.is_waiting
    del caller
    gc.collect()
    assert unheard == []


async def test_who_is_gone_is_noticed_while_nothing_happens(
    broker: Broker, clock: ManualClock
) -> None:
    """Within half a second; nobody is told anything any more."""
    (caller,) = await callers(broker, 1)

    caller.is_gone = True
    clock.advance(0.5)
    await turns()

    assert isinstance(caller.error, Gone)
    assert await waiting(broker) == 0
    assert broker.catalog.find("jobs").empty_total == 0


async def test_queue_that_is_deleted_has_nobody_waiting(broker: Broker) -> None:
    """They are told that it is not there any more, at once."""
    line = [*await callers(broker, 2), *await callers(broker, 1, messages_max=9)]
    queue_id = (await broker.get_queue("jobs")).id

    await broker.delete_queue("jobs")
    await turns()

    assert [type(caller.error) for caller in line] == [QueueNotFound] * 3
    assert str(line[0].error) == f"cannot find queue with id {queue_id}"


async def test_promise_of_a_deleted_queue_is_void(broker: Broker) -> None:
    """The message went with its queue; that is what is told, not that the queue is empty."""
    line = await callers(broker, 2)
    await broker.add("jobs", b"x")

    await broker.delete_queue("jobs")
    await turns()

    assert [type(caller.error) for caller in line] == [QueueNotFound] * 2


async def test_heir_of_a_name_has_a_line_of_its_own(broker: Broker) -> None:
    """Who waits for a deleted queue gets nothing of the one that has its name now."""
    (first,) = await callers(broker, 1)
    await broker.add("jobs", b"gone")

    await broker.delete_queue("jobs")
    await broker.new_queue(Store.MEMORY, name="jobs")
    await broker.add("jobs", b"of the heir")
    await turns()

    assert isinstance(first.error, QueueNotFound)
    assert await left_in(broker) == [b"of the heir"]


async def test_end_of_the_server_ends_the_waiting(broker: Broker) -> None:
    """At once, and each is told to try the successor; who would wait from now on is, too."""
    line = [*await callers(broker, 2), *await callers(broker, 1, messages_max=9)]

    broker.stop_waiting()
    await turns()

    assert [type(caller.error) for caller in line] == [ShuttingDown] * 3
    with pytest.raises(ShuttingDown):
        await broker.pop("jobs", LONG_S)
    with pytest.raises(ShuttingDown):
        await broker.pop_batch("jobs", 9, LONG_S)
    assert broker.catalog.find("jobs").failed_total == 5


async def test_who_leaves_as_the_waiting_ends_leaves_no_error_behind(broker: Broker) -> None:
    """Nobody is told of it any more, and that is no fault of the server."""
    unheard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    line = await callers(broker, 3)
    line[0].is_gone = True

    broker.stop_waiting()
    line[1].cancel()
    await turns()
    told = [type(each.error) for each in line]
    del line
    gc.collect()

    assert told == [Gone, NoneType, ShuttingDown]
    assert unheard == []


async def test_who_does_not_wait_is_served_until_the_end(broker: Broker) -> None:
    """The calls that are in flight when the server begins to end are answered."""
    broker.stop_waiting()

    with pytest.raises(QueueEmpty):
        await broker.pop("jobs")
    added = await broker.add("jobs", b"x")

    assert await broker.pop("jobs", LONG_S) == added


async def test_message_that_is_promised_when_the_server_begins_to_end_is_handed_out(
    broker: Broker,
) -> None:
    """It was there in time."""
    line = await callers(broker, 2)
    await broker.add("jobs", b"x")

    broker.stop_waiting()
    await turns()

    assert line[0].payloads == [b"x"]
    assert isinstance(line[1].error, ShuttingDown)


async def test_message_that_is_promised_when_the_server_ends_stays(broker: Broker) -> None:
    """A closed broker hands out nothing, and everyone in line is told."""
    line = await callers(broker, 3)
    await broker.add_batch("jobs", [(b"", b"1"), (b"", b"2")])

    await broker.close()
    await turns()

    assert [type(caller.error) for caller in line] == [ShuttingDown] * 3
    assert len(broker.catalog.find("jobs").ready) == 2


async def test_waiting_for_a_batch_ends_with_the_first_message(broker: Broker) -> None:
    """It does not wait until the batch is full."""
    line = await callers(broker, 2, messages_max=9)

    await broker.add("jobs", b"1")
    await turns()
    await broker.add_batch("jobs", [(b"", b"2"), (b"", b"3")])
    await turns()

    assert [caller.payloads for caller in line] == [[b"1"], [b"2", b"3"]]


async def test_batch_leaves_to_others_what_is_promised_to_them(broker: Broker) -> None:
    """Who waits longest takes all that is over, but each of the others gets one."""
    line = await callers(broker, 3, messages_max=9)

    await broker.add_batch("jobs", [(b"", b"%d" % n) for n in range(5)])
    await turns()

    assert [caller.payloads for caller in line] == [[b"0", b"1", b"2"], [b"3"], [b"4"]]


async def test_batch_that_a_reply_cannot_carry_leaves_the_rest_to_the_next(
    clock: ManualClock,
) -> None:
    """Nobody waits beside a message that was left over."""
    broker = await broker_with_jobs(clock, message_bytes_max=1_000)
    line = await callers(broker, 2, messages_max=9)

    await broker.add("jobs", bytes(600))
    await broker.add("jobs", bytes(601))
    await turns()

    assert [list(map(len, caller.payloads)) for caller in line] == [[600], [601]]


async def test_queues_do_not_mix(broker: Broker) -> None:
    """A message of one queue is not for who waits for another."""
    (caller,) = await callers(broker, 1)
    await broker.new_queue(Store.MEMORY, name="other")

    await broker.add("other", b"x")
    await turns()

    assert caller.is_waiting
    assert (await broker.stats("other", 0, ""))[0][0].waiting == 0


async def test_who_waits_is_counted(broker: Broker) -> None:
    """Until it is served or leaves."""
    counts = [await waiting(broker)]
    line = await callers(broker, 3)
    counts.append(await waiting(broker))
    await broker.add("jobs", b"x")
    await turns()
    counts.append(await waiting(broker))
    line[1].cancel()
    await turns()
    counts.append(await waiting(broker))

    assert counts == [0, 3, 2, 1]


async def test_time_that_really_passes_ends_the_waiting() -> None:
    """As long as no test says otherwise, it is the machine's."""
    broker = Broker({Store.MEMORY: MemoryStore()}, clock=ManualClock(), new_id=seeded_ids())
    await broker.new_queue(Store.MEMORY, name="jobs")

    with pytest.raises(QueueEmpty):
        await broker.pop("jobs", 0.001)


async def test_message_that_was_there_before_is_promised_on_arrival(broker: Broker) -> None:
    """Whoever looks after the lines need not look after the messages first."""
    await broker.add("jobs", b"x")
    queue = broker.catalog.find("jobs")
    lines = Waiting(SteadyTimer(), lambda queue, _: queue.available > 0)

    async def is_gone() -> bool:
        raise AssertionError("nobody asks who is served at once")

    await lines.turn(queue, LONG_S, is_gone)

    assert (lines.count(queue), lines.free(queue)) == (0, 1)


def test_steady_timer_starts_where_it_is_told() -> None:
    """Beside the machine's clock by so much, or with it."""
    for offset_ns in (0, -3_600 * NS_PER_S):
        before_ns = time.time_ns()
        told_ns = SteadyTimer(offset_ns).now_ns() - offset_ns

        assert before_ns - NS_PER_S < told_ns < time.time_ns() + NS_PER_S
