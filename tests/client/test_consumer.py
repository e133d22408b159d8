"""How a consumer keeps leases, ends them in batches, and outlives the server."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

import qmq
from qmq.client._async.client import AsyncClient
from qmq.testing import ManualClock, running_broker, running_broker_in_thread
from tests.client.conformance_consuming import raise_within
from tests.client.scripted import FailingChannel, GatedChannel, channel_of

Queue = qmq.AsyncQueue[bytes | str]

#: Seconds that leases last here: the client measures them by the time that really passes.
LEASE_S = 0.09

#: Goes on without pauses, and repeats no call by itself.
AT_ONCE = qmq.Retry(duration=0, pause=0)


@pytest.fixture
async def broker() -> AsyncIterator[tuple[qmq.AsyncClient, ManualClock]]:
    """A broker in this process, with a queue of ten messages."""
    async with running_broker() as (client, clock):
        settings = qmq.QueueSettings(lease_duration=LEASE_S, back_off=qmq.BackOff(base=0))
        queue = await client.new_queue("mail", settings=settings)
        await queue.add_batch([str(n) for n in range(10)])
        yield client, clock


@pytest.fixture
def clock(broker: tuple[qmq.AsyncClient, ManualClock]) -> ManualClock:
    """Its clock."""
    return broker[1]


@pytest.fixture
def line(broker: tuple[qmq.AsyncClient, ManualClock]) -> FailingChannel:
    """A way to it that fails when the test says so."""
    return FailingChannel(channel_of(broker[0]))


def over(channel: FailingChannel | GatedChannel, *, timeout: float = 30) -> Queue:
    """The queue, by that way."""
    return AsyncClient.over(channel, retry=AT_ONCE, timeout=timeout).queue("mail")


def messages_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged."""
    return [record.getMessage() for record in caplog.records]


async def test_leases_go_on_while_their_messages_are_worked_on(
    broker: tuple[qmq.AsyncClient, ManualClock], clock: ManualClock
) -> None:
    """Also those of messages that nobody has asked for yet."""
    gate = GatedChannel(channel_of(broker[0]), "Extend")
    gate.open()
    queue = over(gate)

    async with queue.consume(prefetch=2) as messages:
        message = await anext(messages)
        for n in range(1, 6):
            await gate.until_answered(n)
            clock.advance(LEASE_S * 0.9)
        stats = await queue.stats()

    assert stats.leased == 3
    assert not message.is_lost
    assert message.lease_expires_ns > message.created_ns + 4 * 0.9 * LEASE_S * 1e9
    assert (await queue.stats()).acked_total == 1


async def test_a_longer_extension_is_not_cut_short(
    broker: tuple[qmq.AsyncClient, ManualClock],
) -> None:
    """What the program asks for itself holds."""
    gate = GatedChannel(channel_of(broker[0]), "Extend")
    gate.open()
    queue = over(gate)

    async with queue.consume(concurrency=2) as messages:
        message = await anext(messages)
        await message.extend(60)
        until_ns = message.lease_expires_ns
        await gate.until_answered(3)

    assert message.lease_expires_ns == until_ns


async def test_a_lost_lease_is_told(
    broker: tuple[qmq.AsyncClient, ManualClock],
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And what was leased ahead and lost is not handed out."""
    gate = GatedChannel(channel_of(broker[0]), "Extend")
    gate.open()
    queue = over(gate)
    other = broker[0].queue("mail")

    async with queue.consume(prefetch=2) as messages:
        message = await anext(messages)
        clock.advance(LEASE_S)
        assert len(await other.lease(3, lease_duration=60)) == 3
        await gate.until_answered(gate.answered + 1)
        while not message.is_lost:  # noqa: ASYNC110 - Nothing tells, and it costs no time.
            await asyncio.sleep(0)
        after = await anext(messages)

    assert (after.text, after.is_lost) == ("3", False)
    lost, *_, refused = messages_of(caplog)
    assert lost.startswith(f"the lease on message {message.id} of queue mail is lost: lease ")
    assert refused.startswith(f"message {message.id} of queue mail was not acked: lease ")
    assert len(caplog.records) == 4


async def test_a_refused_ack_is_raised_where_it_is_asked_for(
    broker: tuple[qmq.AsyncClient, ManualClock], clock: ManualClock, line: FailingChannel
) -> None:
    """It says who has the message."""
    other = broker[0].queue("mail")

    async with over(line).consume(lease_duration=60) as messages:
        message = await anext(messages)
        clock.advance(60)
        await other.lease(consumer="ann", lease_duration=60)
        with pytest.raises(qmq.LeaseLost, match="leased to 'ann' until"):
            await message.ack()
        assert message.is_lost
        assert (await anext(messages)).text == "1"


async def test_a_fault_of_a_call_leaves_nobody_waiting(
    broker: tuple[qmq.AsyncClient, ManualClock], line: FailingChannel
) -> None:
    """Whoever asked for it is told, and other leases are ended as ever."""
    line.errors["Ack"] = [RuntimeError("out of order")]

    async with over(line).consume(lease_duration=60) as messages:
        message = await anext(messages)
        with pytest.raises(qmq.QmqError, match="RuntimeError: out of order"):
            await message.ack()
        assert (await anext(messages)).text == "1"

    assert (await broker[0].queue("mail").stats()).acked_total == 2


async def test_acks_are_sent_together(broker: tuple[qmq.AsyncClient, ManualClock]) -> None:
    """What comes while a call is under way goes with the next."""
    gate = GatedChannel(channel_of(broker[0]), "Ack")
    queue = over(gate)

    async with queue.consume(concurrency=5, prefetch=5) as messages, asyncio.TaskGroup() as tasks:

        async def take() -> None:
            message = await anext(messages)
            await message.ack()

        tasks.create_task(take())
        await gate.until_come(1)
        for _ in range(4):
            tasks.create_task(take())
        while (await queue.stats()).leased < 5:
            pass
        gate.open()

    assert (gate.come, gate.answered) == (2, 2)
    assert (await queue.stats()).acked_total == 5


async def test_more_is_leased_when_little_is_left(
    broker: tuple[qmq.AsyncClient, ManualClock],
) -> None:
    """As long as there was something the time before."""
    gate = GatedChannel(channel_of(broker[0]), "Lease")
    queue = over(gate)

    async with queue.consume(prefetch=4) as messages:
        gate.open(1)
        got = [(await anext(messages)).text]
        assert (await queue.stats()).leased == 5
        got.append((await anext(messages)).text)
        assert gate.come == 1
        got.append((await anext(messages)).text)
        await gate.until_come(2)
        got += [(await anext(messages)).text for _ in range(2)]
        gate.open()
        got += [(await anext(messages)).text for _ in range(5)]

    assert got == [str(n) for n in range(10)]
    assert (await queue.stats()).acked_total == 10


async def test_nothing_is_leased_ahead_unless_asked_for(
    broker: tuple[qmq.AsyncClient, ManualClock],
) -> None:
    """One at a time, when it is asked for."""
    gate = GatedChannel(channel_of(broker[0]), "Lease")
    gate.open()
    queue = over(gate)

    async with queue.consume() as messages:
        for _ in range(3):
            await anext(messages)
            assert (await queue.stats()).leased <= 2

    assert gate.come == 3
    assert (await queue.stats()).ready == 7


async def test_acks_are_tried_until_the_server_is_back(
    line: FailingChannel, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is told but the log, once."""
    caplog.set_level(logging.INFO, "qmq.client")
    line.errors["Ack"] = [qmq.ServerNotReached("no server")] * 3
    queue = over(line)

    async with queue.consume() as messages:
        await anext(messages)
        await anext(messages)

    assert (await queue.stats()).acked_total == 2
    assert messages_of(caplog) == [
        "ending leases of queue mail: no server; trying again",
        "ending leases of queue mail: the server is back",
    ]


async def test_an_ack_whose_answer_was_lost_is_no_error(
    line: FailingChannel, caplog: pytest.LogCaptureFixture
) -> None:
    """It is repeated, and done."""
    line.errors["Ack"] = [qmq.ConnectionLost("no answer")]
    line.loses_answers_of.add("Ack")
    queue = over(line)

    async with queue.consume() as messages:
        await anext(messages)

    assert line.calls.count("Ack") == 2
    assert (await queue.stats()).acked_total == 1
    assert messages_of(caplog) == ["ending leases of queue mail: no answer; trying again"]


async def test_a_nack_whose_answer_was_lost_is_no_worry(
    line: FailingChannel, caplog: pytest.LogCaptureFixture
) -> None:
    """That the message is nobody's any more is what was wanted."""
    line.errors["Nack"] = [qmq.ConnectionLost("no answer")]
    line.loses_answers_of.add("Nack")
    queue = over(line)

    with pytest.raises(ValueError, match="bad"):
        await raise_within(queue, ValueError("bad"))

    (message,) = await queue.lease()
    assert (message.text, message.delivery_count) == ("0", 2)
    assert messages_of(caplog) == ["ending leases of queue mail: no answer; trying again"]


async def test_an_ack_that_is_asked_for_is_told_of_the_server(line: FailingChannel) -> None:
    """The program decides; the message is acked in passing all the same."""
    line.errors["Ack"] = [qmq.ServerNotReached("no server")]
    queue = over(line)

    async with queue.consume() as messages:
        message = await anext(messages)
        with pytest.raises(qmq.ServerNotReached):
            await message.ack()
        assert not message.is_lost

    assert (await queue.stats()).acked_total == 1


async def test_the_end_waits_for_a_server_no_longer_than_a_call(
    line: FailingChannel, caplog: pytest.LogCaptureFixture
) -> None:
    """What could not be told is logged."""
    line.errors["Ack"] = [qmq.ServerNotReached("no server")] * 1_000_000
    queue = over(line, timeout=0.01)

    async with queue.consume() as messages:
        message = await anext(messages)

    assert messages_of(caplog)[-1] == f"message {message.id} of queue mail was not acked: no server"
    assert (await queue.stats()).leased == 1


async def test_who_waits_outlives_the_server(
    line: FailingChannel, caplog: pytest.LogCaptureFixture
) -> None:
    """From its first question on."""
    caplog.set_level(logging.INFO, "qmq.client")
    line.errors["GetQueue"] = [qmq.ServerNotReached("no server")] * 3
    line.errors["Lease"] = [qmq.ConnectionLost("no answer"), qmq.DeadlineExceeded("too late")]

    async with over(line).consume() as messages:
        message = await anext(messages)

    assert message.text == "0"
    assert messages_of(caplog) == [
        "waiting for queue mail: no server; trying again",
        "waiting for queue mail: the server is back",
        "waiting for queue mail: too late; trying again",
        "waiting for queue mail: the server is back",
    ]


async def test_leases_are_extended_when_the_server_is_back(line: FailingChannel) -> None:
    """If that is before they end."""
    async with over(line).consume() as messages:
        message = await anext(messages)
        line.errors["Extend"] = [qmq.ServerNotReached("no server")]
        while line.errors["Extend"]:  # noqa: ASYNC110 - Nothing tells.
            await asyncio.sleep(0)
        before = line.calls.count("Extend")
        while line.calls.count("Extend") == before:  # noqa: ASYNC110 - As above.
            await asyncio.sleep(0)
        assert not message.is_lost


async def test_leases_that_could_not_be_extended_are_lost(
    line: FailingChannel, caplog: pytest.LogCaptureFixture
) -> None:
    """By the time that has passed here."""
    line.errors["Extend"] = [qmq.ServerNotReached("no server")] * 1_000_000
    async with over(line).consume() as messages:
        message = await anext(messages)
        while not message.is_lost:  # noqa: ASYNC110 - Nothing tells.
            await asyncio.sleep(0)

    assert messages_of(caplog) == [
        f"the lease on message {message.id} of queue mail is lost: no server"
    ]


async def test_who_gives_up_waiting_loses_nothing(
    broker: tuple[qmq.AsyncClient, ManualClock],
) -> None:
    """The next one gets the message."""
    queue = await broker[0].new_queue("empty")

    async with queue.consume() as messages:
        wait = asyncio.create_task(anext(messages))
        while not (await queue.stats()).waiting:
            pass
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        await queue.add("a")
        message = await anext(messages)

    assert message.text == "a"
    assert (await queue.stats()).acked_total == 1


async def test_a_task_that_fails_fails_its_message(
    broker: tuple[qmq.AsyncClient, ManualClock], caplog: pytest.LogCaptureFixture
) -> None:
    """Others go on; one that is cancelled releases its message."""
    queue = await broker[0].new_queue(settings=qmq.QueueSettings(back_off=qmq.BackOff(base=0)))
    await queue.add("a")

    async def take(error: BaseException) -> None:
        await anext(messages)
        raise error

    async with queue.consume() as messages:
        for error in (ValueError("bad"), asyncio.CancelledError()):
            await asyncio.wait([asyncio.create_task(take(error))])
        again = await anext(messages)

    assert again.delivery_count == 2
    assert [attempt.reason for attempt in again.attempts] == ["ValueError: bad", ""]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("is_well", [True, False])
async def test_a_task_that_ends_well_leaves_its_message_to_the_block(
    broker: tuple[qmq.AsyncClient, ManualClock],
    is_well: bool,  # noqa: FBT001 - How the block ends.
) -> None:
    """It may have handed it on."""
    queue = broker[0].queue("mail")

    async def work() -> None:
        async with queue.consume(concurrency=2) as messages:
            await asyncio.create_task(anext(messages))
            await asyncio.create_task(anext(messages))
            with pytest.raises(qmq.ClientUnusable, match=r"use asyncio\.timeout"):
                await anext(messages)
            if not is_well:
                raise ValueError("bad")

    if is_well:
        await work()
    else:
        with pytest.raises(ValueError, match="bad"):
            await work()

    stats = await queue.stats()
    assert (stats.ready, stats.leased, stats.acked_total) == ((8, 0, 2) if is_well else (10, 0, 0))


async def test_who_still_works_when_the_block_ends_acks_afterwards(
    broker: tuple[qmq.AsyncClient, ManualClock],
) -> None:
    """And hears that there is no more."""
    queue = broker[0].queue("mail")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> int:
        count = 0
        async for _ in messages:
            count += 1
            begun.set()
            await go_on.wait()
        return count

    async with queue.consume(lease_duration=60) as messages:
        task = asyncio.create_task(work())
        await begun.wait()
    assert (await queue.stats()).leased == 1
    go_on.set()

    assert await task == 1
    assert (await queue.stats()).acked_total == 1


async def test_a_program_may_end_a_message_by_an_exception_and_go_on(
    broker: tuple[qmq.AsyncClient, ManualClock],
) -> None:
    """As if it had left the block."""
    queue = broker[0].queue("mail")

    async with queue.consume(lease_duration=60) as messages:
        await anext(messages)
        messages.end_under_way(ValueError("bad"))
        messages.end_under_way(ValueError("not its fault"))
        first = await anext(messages)
        messages.end_under_way(None)
        await anext(messages)

    assert first.text in {"0", "1"}
    assert (await queue.stats()).acked_total == 2


async def test_a_consumer_works_in_its_block_only() -> None:
    """And shows what it does."""
    async with running_broker() as (client, _):
        queue = await client.new_queue("mail")
        await queue.add_batch(["a", "b", "c"])
        consumer = queue.consume(prefetch=5)
        with pytest.raises(qmq.ClientUnusable, match="in `async with` only"):
            await anext(consumer)
        async with consumer as messages:
            await anext(messages)
            assert repr(messages) == (
                "<AsyncConsumer of 'mail': 1 messages handed out, 1 under way, 2 leased ahead>"
            )
        with pytest.raises(StopAsyncIteration):
            await anext(consumer)
        with pytest.raises(qmq.ClientUnusable, match="of use once"):
            await consumer.__aenter__()


def test_what_is_out_of_range_is_refused() -> None:
    """Before anything is asked of the server."""
    queue = qmq.Client().queue("mail")
    for options, text in (
        ({"concurrency": 0}, "concurrency must be 1 to 1000 messages; got 0"),
        ({"prefetch": 1_001}, "prefetch must be 0 to 1000 messages; got 1001"),
        ({"lease_duration": -1}, "lease_duration must be 0 seconds or more; got -1"),
    ):
        for make in (queue.consume, queue.worker):
            with pytest.raises(ValueError, match=text):
                make(**options)  # type: ignore[arg-type,call-overload]


def test_an_interrupted_thread_loses_nothing() -> None:
    """Ctrl-C while it waits: what it works on is released, and the block ends."""
    with running_broker_in_thread() as (client, _):
        queue = client.new_queue("mail")
        queue.add("a")

        def work() -> None:
            with queue.consume() as messages:
                for _ in messages:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            work()
        (message,) = queue.lease()

    assert [attempt.outcome for attempt in message.attempts] == [qmq.Outcome.RELEASED]
