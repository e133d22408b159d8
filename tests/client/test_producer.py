"""How a producer gathers, waits, and accounts for each message."""

import asyncio
import contextlib
import logging
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

import qmq
from qmq.client._async.backlog import BACKLOG_BATCHES_MAX
from qmq.client._async.client import AsyncClient
from qmq.client._async.failures import FAILED_MAX
from qmq.limits import BATCH_MESSAGES_MAX
from qmq.testing import running_broker
from tests.client.scripted import GatedChannel, channel_of

Queue = qmq.AsyncQueue[bytes | str]
Producer = qmq.AsyncProducer[bytes | str]

#: What a producer holds when nothing gets through: a batch on its way, those that wait for
#: it, and the one that gathers.
HELD_MAX = (1 + BACKLOG_BATCHES_MAX + 1) * BATCH_MESSAGES_MAX


@pytest.fixture
async def gate() -> AsyncIterator[GatedChannel]:
    """A way to a broker on which AddBatch waits for the test."""
    async with running_broker() as (client, _):
        yield GatedChannel(channel_of(client), "AddBatch")


@pytest.fixture
async def queue(gate: GatedChannel) -> Queue:
    """A queue of that broker."""
    return await AsyncClient.over(gate, retry=qmq.Retry(duration=0)).new_queue("mail")


async def stored(queue: Queue) -> list[str]:
    """Take everything out of a queue."""
    texts: list[str] = []
    while messages := await queue.pop_batch(1_000):
        texts += [message.text for message in messages]
    return texts


async def steps() -> None:
    """Let other tasks do what they can."""
    for _ in range(20):
        await asyncio.sleep(0)


def texts(count: int) -> list[str]:
    """So many payloads."""
    return [str(n) for n in range(count)]


async def test_what_comes_while_a_batch_is_on_its_way_goes_with_the_next(
    gate: GatedChannel, queue: Queue
) -> None:
    """So batches form without anybody waiting for them."""
    async with queue.producer() as producer:
        first = asyncio.create_task(producer.add("0"))
        await gate.until_come(1)
        others = [asyncio.create_task(producer.add(text)) for text in texts(500)[1:]]
        await steps()
        gate.open()
        await asyncio.gather(first, *others)

    assert gate.come == 2
    assert await stored(queue) == texts(500)


async def test_a_message_lingers_for_others(gate: GatedChannel, queue: Queue) -> None:
    """Unless the batch is full, or nobody is to be waited for."""
    gate.open()

    async with queue.producer(linger=3600) as producer:
        await asyncio.gather(*map(producer.add, texts(BATCH_MESSAGES_MAX)))
        alone = await producer.submit("alone")
        await steps()
        assert not alone.is_done()
        await producer.flush()
        assert alone.is_done()
        last = await producer.submit("last")

    assert last.is_done()
    assert gate.come == 3


async def test_lingering_is_over_in_time(gate: GatedChannel, queue: Queue) -> None:
    """However few messages came."""
    gate.open()

    async with queue.producer(linger=0.01) as producer:
        await asyncio.gather(*map(producer.add, texts(10)))

    assert gate.come == 1


async def test_a_slow_server_slows_the_producer_down(gate: GatedChannel, queue: Queue) -> None:
    """A bounded number of messages is held; who brings more waits until there is room."""
    taken: list[str] = []

    async def submit(producer: Producer) -> None:
        for text in texts(2 * HELD_MAX):
            await producer.submit(text)
            taken.append(text)

    async with queue.producer() as producer:
        task = asyncio.create_task(submit(producer))
        await gate.until_come(1)
        await steps()
        held = len(taken)
        gate.open(1)
        await gate.until_come(2)
        await steps()
        held_later = len(taken)
        gate.open()
        await task

    # The first batch left with what was there in the first moment, so it may be small.
    assert HELD_MAX - BATCH_MESSAGES_MAX < held <= HELD_MAX
    assert held_later - held == BATCH_MESSAGES_MAX
    assert await stored(queue) == texts(2 * HELD_MAX)


async def test_large_messages_are_bounded_by_their_size(gate: GatedChannel, queue: Queue) -> None:
    """A request stays under the server's limit, and the backlog is bounded by bytes too."""
    taken = 0

    async def submit(producer: Producer) -> None:
        nonlocal taken
        for _ in range(30):
            await producer.submit(bytes(1_500_000))
            taken += 1

    async with queue.producer() as producer:
        task = asyncio.create_task(submit(producer))
        await gate.until_come(1)
        await steps()
        held = taken
        gate.open()
        await task

    # Two in a batch.
    assert 2 * (1 + BACKLOG_BATCHES_MAX) < held <= 2 * (2 + BACKLOG_BATCHES_MAX)
    assert (await queue.stats()).ready == 30


async def test_those_who_wait_in_line_are_served_in_order(gate: GatedChannel, queue: Queue) -> None:
    """First come, first served, with thousands of callers."""
    gate.open()

    async with queue.producer() as producer:
        await asyncio.gather(*map(producer.add, texts(3 * HELD_MAX)))

    assert await stored(queue) == texts(3 * HELD_MAX)


async def test_who_leaves_the_line_holds_up_nobody(gate: GatedChannel, queue: Queue) -> None:
    """Its message is not sent, and those of the others are."""
    async with queue.producer() as producer:
        await producer.submit("first")
        await gate.until_come(1)
        for text in texts(HELD_MAX - BATCH_MESSAGES_MAX):
            await producer.submit(text)
        waiting = [asyncio.create_task(producer.submit(text)) for text in texts(10)]
        await steps()
        assert not any(task.done() for task in waiting)

        for task in waiting[:3]:
            task.cancel()
        gate.open()
        await asyncio.wait(waiting)

    assert [task.cancelled() for task in waiting] == [True] * 3 + [False] * 7
    sent = await stored(queue)
    assert len(sent) == 1 + HELD_MAX - BATCH_MESSAGES_MAX + 7
    assert sent[-7:] == texts(10)[3:]


async def test_cancelling_an_add_does_not_undo_it(gate: GatedChannel, queue: Queue) -> None:
    """Once the producer has the message, it sends it."""
    async with queue.producer() as producer:
        add = asyncio.create_task(producer.add("x"))
        await gate.until_come(1)
        add.cancel()
        gate.open()

    assert add.cancelled()
    assert await stored(queue) == ["x"]


async def test_flush_waits_for_what_was_given_before(gate: GatedChannel, queue: Queue) -> None:
    """And for no more than that; with nothing to wait for it returns at once."""
    async with queue.producer() as producer:
        await producer.flush()
        pending = [await producer.submit(text) for text in texts(BATCH_MESSAGES_MAX + 5)]
        flush = asyncio.create_task(producer.flush())
        await gate.until_come(1)
        assert not flush.done()
        gate.open(2)
        await flush
        assert all(each.is_done() for each in pending)
        late = await producer.submit("late")
        gate.open()

    assert late.is_done()


async def test_flush_raises_what_nobody_has_asked_about(gate: GatedChannel) -> None:
    """Once: those whose own add raises it, and those it was raised for, are left out."""
    queue = await AsyncClient.over(gate).new_queue(limit=1)
    gate.open()

    async with queue.producer() as producer:
        adds = [asyncio.create_task(producer.add(text)) for text in texts(2)]
        await steps()
        submitted = [await producer.submit(text, tags={"n": text}) for text in ("2", "3", "4")]
        with pytest.raises(qmq.QueueFull):
            await submitted[1].result()
        with pytest.raises(qmq.AddsFailed) as failure:
            await producer.flush()
        with pytest.raises(qmq.QueueFull):
            await submitted[0].result()
        await producer.flush()
        await asyncio.wait(adds)

    assert [each.payload for each in failure.value.failed] == [b"2", b"4"]
    assert [each.tags for each in failure.value.failed] == [(("n", "2"),), (("n", "4"),)]
    assert str(failure.value) == (
        f"2 messages were not added to queue {queue.queue_id};"
        f" the first: queue {queue.queue_id} has reached limit of 1 messages"
    )
    assert producer.failed == ()
    assert isinstance(adds[1].exception(), qmq.QueueFull)


async def test_each_who_asks_gets_an_error_of_its_own(gate: GatedChannel) -> None:
    """With a traceback that leads to where it asked."""
    queue = await AsyncClient.over(gate).new_queue(limit=1)
    gate.open()

    async with queue.producer() as producer:
        answers = await asyncio.gather(*map(producer.add, texts(4)), return_exceptions=True)

    errors = [answer for answer in answers if isinstance(answer, qmq.QueueFull)]
    assert len({id(error) for error in errors}) == 3
    assert len({str(error) for error in errors}) == 1


async def test_too_many_failures_are_raised_early(gate: GatedChannel) -> None:
    """What nobody asks about is kept, but not without bound."""
    queue = await AsyncClient.over(gate).new_queue(limit=1)
    gate.open()
    taken = 0

    async def submit(producer: Producer) -> None:
        nonlocal taken
        while True:
            await producer.submit("x")
            taken += 1

    async with queue.producer() as producer:
        with pytest.raises(qmq.AddsFailed) as failure:
            await submit(producer)
        after = await producer.submit("taken again")
        with pytest.raises(qmq.QueueFull):
            await after.result()
        reported = len(failure.value.failed)
        rest = 0
        try:
            await producer.flush()
        except qmq.AddsFailed as more:
            rest = len(more.failed)

    assert reported >= FAILED_MAX
    assert reported + rest + 1 == taken


async def test_an_error_in_the_block_is_not_hidden(
    gate: GatedChannel, caplog: pytest.LogCaptureFixture
) -> None:
    """What was given is sent all the same, and what failed is told beside it."""
    queue = await AsyncClient.over(gate).new_queue(limit=1)
    gate.open()

    producer = queue.producer()

    async def fail() -> None:
        async with producer:
            await producer.submit("stored")
            await producer.submit("not stored")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as error:
        await fail()

    notes = error.value.__notes__
    assert len(notes) == 1
    assert notes[0].startswith("1 messages were not added to queue")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert [each.payload for each in producer.failed] == [b"not stored"]
    assert await stored(queue) == ["stored"]


async def test_a_cancelled_end_tells_what_was_not_sent(
    gate: GatedChannel, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    """Of what was on its way it is not known whether it is stored."""
    producer = queue.producer()

    async def produce() -> None:
        async with producer:
            for text in texts(BATCH_MESSAGES_MAX + 2):
                await producer.submit(text)

    task = asyncio.create_task(produce())
    await gate.until_come(1)
    await steps()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    errors = [type(each.error) for each in producer.failed]
    assert errors == [qmq.ConnectionLost] * BATCH_MESSAGES_MAX + [qmq.NotSent] * 2
    assert [each.payload.decode() for each in producer.failed] == texts(BATCH_MESSAGES_MAX + 2)
    assert re.match(r"1002 messages were not added", caplog.records[-1].getMessage())
    assert await stored(queue) == []


async def test_those_who_wait_at_a_cancelled_end_are_told(gate: GatedChannel, queue: Queue) -> None:
    """Whether in line, or for an answer."""
    leave = asyncio.Event()

    async def produce() -> None:
        async with queue.producer() as producer:
            adds.extend(asyncio.create_task(producer.add(text)) for text in texts(HELD_MAX + 10))
            await leave.wait()

    adds: list[asyncio.Task[qmq.Metadata]] = []
    task = asyncio.create_task(produce())
    await gate.until_come(1)
    await steps()
    leave.set()
    await steps()
    task.cancel()
    await asyncio.wait([task, *adds])

    assert task.cancelled()
    counts = Counter(type(add.exception()) for add in adds)
    assert counts.keys() == {qmq.ConnectionLost, qmq.NotSent, qmq.ClientUnusable}
    assert counts[qmq.ClientUnusable] == 10


async def test_a_lost_answer_is_told_to_those_whom_it_is_about(
    gate: GatedChannel, queue: Queue
) -> None:
    """And to nobody else: the next batch goes out as usual."""
    failures = iter([qmq.ConnectionLost("no answer")])

    async def lose() -> None:
        for failure in failures:
            raise failure

    gate.before = lose

    async with queue.producer() as producer:
        first = [asyncio.create_task(producer.add(text)) for text in ("a", "b")]
        await gate.until_come(1)
        second = asyncio.create_task(producer.add("c"))
        gate.open()
        answers = await asyncio.gather(*first, second, return_exceptions=True)

    assert [type(answer) for answer in answers] == [
        qmq.ConnectionLost,
        qmq.ConnectionLost,
        qmq.Metadata,
    ]
    assert await stored(queue) == ["c"]


async def test_a_server_with_smaller_requests_gets_smaller_ones() -> None:
    """A batch that is too large as a whole is sent in halves."""
    async with running_broker(message_bytes_max=100_000) as (client, _):
        queue = await client.new_queue()

        async with queue.producer() as producer:
            await asyncio.gather(*(producer.add(text * 10_000) for text in "abcdefghijklmnopqrst"))

        letters = [message.text[0] async for message in queue.drain()]
    assert "".join(letters) == "abcdefghijklmnopqrst"


async def test_asking_may_have_an_end(gate: GatedChannel, queue: Queue) -> None:
    """The message is on its way all the same."""
    async with queue.producer() as producer:
        pending = await producer.submit("x")
        with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
            await pending.result(timeout=0.01)
        gate.open()
        metadata = await pending.result(timeout=60)

    assert (await queue.pop()).id == metadata.id


@pytest.mark.parametrize("when", ["before", "after"])
async def test_messages_are_taken_inside_the_block_only(queue: Queue, when: str) -> None:
    """Nobody would send them otherwise."""
    producer = queue.producer()
    if when == "after":
        async with producer:
            pass

    with pytest.raises(qmq.ClientUnusable, match="`async with`"):
        await producer.submit("x")


async def test_facts_are_shown(gate: GatedChannel) -> None:
    """In what a debugger prints."""
    queue = await AsyncClient.over(gate).new_queue("mail", limit=2)

    async with queue.producer() as producer:
        pending = [await producer.submit(text) for text in ("a", "b", "c")]
        shown = [repr(producer), repr(pending[0])]
        gate.open()
        await asyncio.wait([asyncio.ensure_future(each.result()) for each in pending[:2]])
        await asyncio.gather(pending[2].result(), return_exceptions=True)
        shown += [repr(producer), repr(pending[0])]

    assert shown == [
        "<AsyncProducer of 'mail': 0 messages stored, 3 not yet, 0 failed>",
        "<AsyncPendingAdd pending>",
        "<AsyncProducer of 'mail': 2 messages stored, 0 not yet, 0 failed>",
        "<AsyncPendingAdd done>",
    ]


class StuckChannel:
    """For threads: takes a call and does not answer it until the test says so."""

    address = "a server that hangs"

    def __init__(self) -> None:
        self.has_come = threading.Event()
        self.answer = threading.Event()

    def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Wait."""
        del method, request, timeout_s
        self.has_come.set()
        self.answer.wait(timeout=60)
        raise qmq.ConnectionLost("no answer")

    def close(self) -> None:
        """Nothing to end."""


def test_ctrl_c_ends_the_wait_for_the_end() -> None:
    """What was not sent is told, and of what is on its way that it may be stored."""
    channel = StuckChannel()
    producer = qmq.Client.over(channel).queue("mail").producer()

    def interrupt() -> None:
        with contextlib.suppress(qmq.ClientUnusable):
            while True:  # Until the block is being left.
                producer.submit("late").is_done()
                time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    def produce() -> None:
        with producer:
            producer.submit("on its way")
            channel.has_come.wait(timeout=60)
            producer.submit("not sent")
            interrupter.start()

    interrupter = threading.Thread(target=interrupt)
    with pytest.raises(KeyboardInterrupt) as interruption:
        produce()
    failed = producer.failed
    channel.answer.set()
    interrupter.join()

    assert [(each.payload, type(each.error)) for each in failed[:2]] == [
        (b"on its way", qmq.ConnectionLost),
        (b"not sent", qmq.NotSent),
    ]
    assert {type(each.error) for each in failed[2:]} <= {qmq.NotSent}
    assert interruption.value.__notes__[0].startswith(f"{len(failed)} messages were not added")


def test_a_producer_that_nobody_leaves_tells_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """What it still holds when the event loop ends is lost, and nobody else would say so."""

    async def forget() -> None:
        async with running_broker() as (client, _):
            queue = await client.new_queue("mail")
            producer = await queue.producer(linger=3600).__aenter__()
            await producer.submit("a")

    asyncio.run(forget())

    (told,) = caplog.messages
    assert told == (
        "1 messages were not added to queue mail; the first: the producer was stopped before it"
        " sent the message"
    )
