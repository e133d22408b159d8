"""How popping fetches ahead, and what it does when it cannot."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

import qmq
from qmq.client._async.client import AsyncClient
from qmq.testing import running_broker
from qmq.wire import q_pb2 as pb
from tests.client.scripted import Answer, GatedChannel, ScriptedChannel, channel_of

Queue = qmq.AsyncQueue[bytes | str]


@pytest.fixture
async def gate() -> AsyncIterator[GatedChannel]:
    """A way to a broker on which PopBatch waits for the test."""
    async with running_broker() as (client, _):
        yield GatedChannel(channel_of(client), "PopBatch")


@pytest.fixture
async def queue(gate: GatedChannel) -> Queue:
    """A queue of that broker, with ten messages."""
    queue = await AsyncClient.over(gate).new_queue("mail")
    await queue.add_batch([str(n) for n in range(10)])
    return queue


async def steps() -> None:
    """Let other tasks do what they can."""
    for _ in range(20):
        await asyncio.sleep(0)


def batch(*texts: str) -> bytes:
    """A reply of the server with so many messages."""
    messages = [pb.Message(payload=text.encode()) for text in texts]
    return pb.PopBatchResponse(messages=messages).SerializeToString()


def popping(answers: list[Answer], *, wait: float | None) -> qmq.AsyncPopping[bytes | str]:
    """Popping two ahead, whose calls are answered from a list."""
    retry = qmq.Retry(duration=0, pause=0)
    return (
        AsyncClient.over(ScriptedChannel(answers), retry=retry)
        .queue("m")
        .popping(prefetch=2, wait=wait)
    )


async def test_more_is_fetched_while_there_is_something_left(
    gate: GatedChannel, queue: Queue
) -> None:
    """When half of what was fetched has been handed out, and not before."""
    async with queue.popping(prefetch=4) as messages:
        gate.open(1)
        got = [(await anext(messages)).text]
        await steps()
        assert gate.come == 1
        got.append((await anext(messages)).text)
        await steps()
        assert gate.come == 2
        got += [(await anext(messages)).text for _ in range(2)]
        step = asyncio.create_task(anext(messages))
        await steps()
        assert not step.done()
        gate.open(1)
        got.append((await step).text)
        gate.open()

    left = [message.text for message in messages.leftover]
    assert got + left == [str(n) for n in range(len(got) + len(left))]
    assert len(left) <= 4


async def test_one_at_a_time_is_taken_when_it_is_asked_for(
    gate: GatedChannel, queue: Queue
) -> None:
    """As long as nothing is to be fetched ahead."""
    gate.open()

    async with queue.popping() as messages:
        got = [(await anext(messages)).text for _ in range(3)]
        await steps()

    assert got == ["0", "1", "2"]
    assert gate.come == 3
    assert (await queue.stats()).ready == 7


async def test_what_is_on_its_way_at_the_end_is_waited_for(
    gate: GatedChannel, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    """It is out of the queue, so it is left over, and the log says so."""
    messages = queue.popping(prefetch=2)

    async def take_one() -> None:
        async with messages:
            await anext(messages)

    gate.open(1)
    task = asyncio.create_task(take_one())
    await gate.until_come(2)
    await steps()
    assert not task.done()
    gate.open()
    await task

    assert [message.text for message in messages.leftover] == ["1", "2"]
    assert repr(messages) == "<AsyncPopping of 'mail': 1 messages handed out, 2 fetched ahead>"
    assert caplog.record_tuples == [
        (
            "qmq.client",
            logging.WARNING,
            "2 messages of queue mail were fetched ahead and not handed out",
        )
    ]


async def test_who_waits_for_ever_is_not_told_of_a_fetch_that_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log is, and the next one waits until the server is back."""
    answers: list[Answer] = [
        batch("a", "b"),
        qmq.ConnectionLost("no answer"),
        qmq.ServerNotReached("no server"),
        batch("c"),
        b"",
        batch("d"),
        b"",
    ]

    async with popping(answers, wait=None) as messages:
        got = [(await anext(messages)).text for _ in range(4)]

    assert got == ["a", "b", "c", "d"]
    assert [record.getMessage() for record in caplog.records] == [
        "fetching ahead from queue m: no answer",
        "waiting for queue m: no server; trying again",
    ]


async def test_who_does_not_is_told() -> None:
    """After what was fetched before has been handed out; and may go on."""
    answers: list[Answer] = [
        batch("a", "b"),
        qmq.ConnectionLost("no answer"),
        batch("c"),
        b"",
        b"",
    ]

    async with popping(answers, wait=5) as messages:
        got = [(await anext(messages)).text for _ in range(2)]
        with pytest.raises(qmq.ConnectionLost):
            await anext(messages)
        got += [message.text async for message in messages]

    assert got == ["a", "b", "c"]


async def test_other_errors_end_it() -> None:
    """Whoever waits, and for how long."""
    for wait in (None, 5.0):
        answers: list[Answer] = [batch("a", "b"), qmq.QueueNotFound("gone"), qmq.QueueNotFound("!")]
        async with popping(answers, wait=wait) as messages:
            assert [(await anext(messages)).text for _ in range(2)] == ["a", "b"]
            with pytest.raises(qmq.QueueNotFound):
                await anext(messages)
            with pytest.raises(qmq.QueueNotFound):
                await anext(messages)


async def test_a_fetch_that_fails_at_the_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It does not hide how the block ended."""
    async with popping([batch("a", "b"), qmq.ConnectionLost("no answer")], wait=5) as messages:
        await anext(messages)

    assert [message.text for message in messages.leftover] == ["b"]
    assert caplog.records[0].getMessage() == "the last fetch from queue m failed: no answer"


async def test_the_end_is_the_end() -> None:
    """But messages that come later are there for who asks again."""
    async with popping([b"", batch("late"), b"", b""], wait=5) as messages:
        first = [message.text async for message in messages]
        second = [message.text async for message in messages]

    assert (first, second) == ([], ["late"])
