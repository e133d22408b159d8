"""Adds whose answers are lost are stored once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

import qmq
from qmq.client._async.client import AsyncClient
from qmq.testing import running_broker
from tests.client.scripted import FailingChannel, channel_of

Queue = qmq.AsyncQueue[bytes | str]

#: Repeats adds, at once and for long enough.
ADDS = qmq.Retry(duration=60, pause=0, adds=True)


@pytest.fixture
async def line() -> AsyncIterator[FailingChannel]:
    """A way to a broker with a queue, on which every second answer to an add is lost."""
    async with running_broker() as (client, _):
        await client.new_queue("mail", store="DISK", limit=700)
        line = FailingChannel(channel_of(client))
        line.loses_answers_of = {"Add", "AddBatch"}
        yield line


async def stored(line: FailingChannel) -> list[str]:
    """Take everything out of the queue."""
    return [message.text for message in await AsyncClient.over(line).queue("mail").pop_batch(1_000)]


async def test_each_add_is_stored_once(line: FailingChannel) -> None:
    """Alone, in a batch, and by a producer."""
    queue = AsyncClient.over(line, retry=ADDS).queue("mail")
    for method in line.loses_answers_of:
        line.errors[method] = [qmq.ConnectionLost("no answer")]

    added = [await queue.add("a")]
    line.errors["AddBatch"] = [qmq.ConnectionLost("no answer"), qmq.ConnectionLost("no answer")]
    added += await queue.add_batch(["b", "c"])
    line.errors["AddBatch"] = [qmq.ConnectionLost("no answer")]
    async with queue.producer() as producer:
        added += await asyncio.gather(*(producer.add(text) for text in "def"))

    assert [each.deduplicated for each in added] == [False] * 6
    assert await stored(line) == [*"abcdef"]
    assert line.calls.count("Add") == 2
    assert line.calls.count("AddBatch") >= 5


async def test_what_does_not_fit_is_told_apart_after_a_lost_answer(line: FailingChannel) -> None:
    """What was stored by the first attempt is not refused by the second."""
    queue = AsyncClient.over(line, retry=ADDS).queue("mail")
    line.errors["AddBatch"] = [qmq.ConnectionLost("no answer")]

    async with queue.producer(linger=60) as producer:
        pending = [await producer.submit(str(n)) for n in range(1_000)]
        answers = await asyncio.gather(
            producer.flush(), *(each.result() for each in pending), return_exceptions=True
        )

    assert [type(answer) for answer in answers[1:]] == [qmq.Metadata] * 700 + [qmq.QueueFull] * 300
    assert await stored(line) == [str(n) for n in range(700)]


async def test_what_failed_may_be_added_again_under_its_id(line: FailingChannel) -> None:
    """Also when it was stored after all."""
    once = qmq.Retry(duration=0.001, pause=1, adds=True)
    queue = AsyncClient.over(line, retry=once).queue("mail")
    line.errors["AddBatch"] = [qmq.ConnectionLost("no answer")]

    producer = queue.producer()
    with pytest.raises(qmq.AddsFailed) as failure:
        async with producer:
            await producer.submit("a", priority=3)
    again = [failed.message for failed in failure.value.failed]
    (added,) = await queue.add_batch(again)

    assert (again[0].payload, again[0].priority) == (b"a", 3)
    (message,) = await AsyncClient.over(line).queue("mail").pop_batch(9)
    assert (message.id, message.text) == (added.id, "a")
