"""How durable each call asks to be."""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import qmq
from qmq.client._async.client import AsyncClient
from qmq.client.on_asyncio.channel import AsyncChannel
from qmq.client.values import DurabilityName
from qmq.testing import running_broker
from qmq.wire import q_pb2 as pb
from tests.client.scripted import channel_of

Queue = qmq.AsyncQueue[bytes | str]
LeasedMessage = qmq.AsyncLeasedMessage[bytes | str]
Level = DurabilityName | None

#: Does something with a queue that has messages.
Use = Callable[[Queue, Level], Awaitable[object]]


class NotingChannel:
    """A way to another channel that notes how durable each call asks to be, by method."""

    address = "a note taker"

    def __init__(self, inner: AsyncChannel) -> None:
        self._inner = inner
        self.asked: defaultdict[str, set[str]] = defaultdict(set)

    async def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Note it, and go on."""
        kind = getattr(pb, f"{method}Request")
        if "durability" in kind.DESCRIPTOR.fields_by_name:
            level = kind.FromString(request).durability
            self.asked[method].add(pb.Durability.Level.Name(level))
        return await self._inner.call(method, request, timeout_s)

    async def close(self) -> None:
        """Close what is behind."""
        await self._inner.close()


@pytest.fixture
async def channel() -> AsyncIterator[NotingChannel]:
    """A way to a broker with a DISK queue that has messages."""
    async with running_broker() as (client, _):
        dead = await client.new_queue("dead", store="DISK")
        settings = qmq.QueueSettings(
            dead_letter_queue_id=dead.queue_id, back_off=qmq.BackOff(base=0)
        )
        queue = await client.new_queue("mail", store="DISK", settings=settings)
        await queue.add_batch(["a", "b", "c"])
        yield NotingChannel(channel_of(client))


@pytest.fixture
def client(channel: NotingChannel) -> qmq.AsyncClient:
    """A client of it."""
    return AsyncClient.over(channel)


@pytest.fixture
def queue(client: qmq.AsyncClient) -> Queue:
    """The queue."""
    return client.queue("mail")


def with_message(use: Callable[[LeasedMessage, Level], Awaitable[object]]) -> Use:
    """Use a message that was leased without asking for anything."""

    async def use_queue(queue: Queue, level: Level) -> object:
        (message,) = await queue.lease()
        return await use(message, level)

    return use_queue


def with_messages(use: Callable[[Queue, list[LeasedMessage], Level], Awaitable[object]]) -> Use:
    """Use messages of a queue that were leased without asking for anything."""

    async def use_queue(queue: Queue, level: Level) -> object:
        return await use(queue, await queue.lease(2), level)

    return use_queue


async def produce(queue: Queue, level: Level) -> None:
    """Add by a producer."""
    async with queue.producer(durability=level) as producer:
        await producer.submit("x")


async def pop_ahead(queue: Queue, level: Level) -> None:
    """Pop with some fetched ahead."""
    async with queue.popping(prefetch=2, wait=0, durability=level) as messages:
        assert [message.text async for message in messages] == ["a", "b", "c"]


#: The calls, each with the method that it asks.
USES: dict[str, tuple[str, Use]] = {
    "add": ("Add", lambda queue, level: queue.add("x", durability=level)),
    "add_batch": ("AddBatch", lambda queue, level: queue.add_batch(["x"], durability=level)),
    "producer": ("AddBatch", produce),
    "pop": ("Pop", lambda queue, level: queue.pop(durability=level)),
    "pop waiting": ("Pop", lambda queue, level: queue.pop(wait=1, durability=level)),
    "pop_batch": ("PopBatch", lambda queue, level: queue.pop_batch(9, wait=1, durability=level)),
    "drain": ("PopBatch", lambda queue, level: anext(queue.drain(durability=level))),
    "popping": ("PopBatch", pop_ahead),
    "lease": ("Lease", lambda queue, level: queue.lease(wait=1, durability=level)),
    "ack many": (
        "Ack",
        with_messages(lambda queue, them, level: queue.ack(them, durability=level)),
    ),
    "nack many": (
        "Nack",
        with_messages(lambda queue, them, level: queue.nack(them, durability=level)),
    ),
    "extend many": (
        "Extend",
        with_messages(lambda queue, them, level: queue.extend(them, durability=level)),
    ),
    "ack": ("Ack", with_message(lambda message, level: message.ack(durability=level))),
    "extend": ("Extend", with_message(lambda message, level: message.extend(durability=level))),
    "release": ("Nack", with_message(lambda message, level: message.release(durability=level))),
    "fail": ("Nack", with_message(lambda message, level: message.fail(durability=level))),
    "reject": ("Nack", with_message(lambda message, level: message.reject(durability=level))),
}


@pytest.mark.parametrize("level", [None, "MEMORY", "OS", qmq.Durability.FSYNC], ids=repr)
@pytest.mark.parametrize(("method", "use"), USES.values(), ids=USES)
async def test_a_call_asks_for_what_it_is_told(
    channel: NotingChannel, queue: Queue, method: str, use: Use, level: Level
) -> None:
    """It goes into that call alone, and without it nothing is asked for."""
    await use(queue, level)

    name = level if isinstance(level, str) else (level or qmq.Durability.UNKNOWN).name
    others = {other: asked for other, asked in channel.asked.items() if other != method}
    assert channel.asked[method] == {name}
    assert others in ({}, {"Lease": {"UNKNOWN"}})


@pytest.mark.parametrize("level", [None, "OS"])
async def test_a_step_asks_for_what_it_is_told(
    client: qmq.AsyncClient, channel: NotingChannel, queue: Queue, level: Level
) -> None:
    """All of it."""
    leased = await queue.lease()

    await client.complete(acks=leased, adds=[(queue, ["x"])], durability=level)

    assert channel.asked["Complete"] == {level or "UNKNOWN"}


async def test_a_consumer_asks_for_what_it_is_told(channel: NotingChannel, queue: Queue) -> None:
    """In all of its calls, unless a message says otherwise."""
    async with queue.consume(durability="OS") as messages:
        message = await anext(messages)
        await message.extend(60)
        await message.fail("why")
        message = await anext(messages)
        await message.fail("why", durability="MEMORY")
        await anext(messages)

    assert channel.asked == {
        "Lease": {"OS"},
        "Extend": {"OS"},
        "Nack": {"OS", "MEMORY"},
        "Ack": {"OS"},
    }


async def test_a_worker_asks_for_what_it_is_told(channel: NotingChannel, queue: Queue) -> None:
    """As a consumer does."""

    @queue.worker(durability="OS")
    async def work(message: qmq.AsyncLeasedMessage[Any]) -> None:
        if message.text == "a":
            raise qmq.Reject("why")
        work.stop()

    await work.run(handle_signals=False)

    assert channel.asked == {"Lease": {"OS"}, "Nack": {"OS"}, "Ack": {"OS"}}
    assert (await queue.stats()).ready == 1
