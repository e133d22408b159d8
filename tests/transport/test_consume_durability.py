"""How durable what a Consume stream does is: what it tells, and what it refuses."""

import pytest

from qmq.descriptions import QueueSettings
from qmq.errors import DurabilityNotReached, InvalidArgument, QError
from qmq.values import Durability, Store
from qmq.wire import q_pb2 as pb
from tests.transport.streams import World

UNKNOWN, MEMORY, OS, FSYNC = list(Durability)[:4]

KINDS = ("ack", "nack", "extend")


def about(kind: str, lease_id: str, level: int) -> pb.ConsumeRequest:
    """Make a request about a lease."""
    return pb.ConsumeRequest(**{kind: {"lease_ids": [lease_id], "durability": level}})


async def make_jobs(world: World, store: Store, durability_min: Durability = MEMORY) -> None:
    """Make the queue "jobs" with a message."""
    settings = QueueSettings(durability_min=durability_min)
    await world.broker.new_queue(store, name="jobs", settings=settings)
    await world.add(b"0")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("store", "least", "asked", "told"),
    [
        (Store.MEMORY, MEMORY, UNKNOWN, MEMORY),
        (Store.MEMORY, MEMORY, MEMORY, MEMORY),
        (Store.DISK, MEMORY, UNKNOWN, FSYNC),
        (Store.DISK, MEMORY, MEMORY, MEMORY),
        (Store.DISK, MEMORY, OS, OS),
        (Store.DISK, OS, MEMORY, OS),
        (Store.DISK, OS, FSYNC, FSYNC),
    ],
    ids=lambda value: value.name,
)
async def test_stream_tells_how_durable_each_change_is(
    kind: str, store: Store, least: Durability, asked: Durability, told: Durability
) -> None:
    """Messages are handed out as durably as the store can; an answer tells what was asked for."""
    world = World()
    await make_jobs(world, store, least)

    async with world.stream() as (client, replies):
        [handed_out] = await replies.take()
        [leased] = handed_out.messages.messages
        client.send(about(kind, leased.lease_id, asked))
        # A message that was given back comes once more.
        answer = (await replies.take())[0]

    assert Durability(handed_out.messages.durability) is (FSYNC if store is Store.DISK else MEMORY)
    assert answer.WhichOneof("response") == kind
    assert Durability(getattr(answer, kind).durability) is told
    assert [result.code for result in getattr(answer, kind).results] == [0]


async def ended_by(world: World, request: pb.ConsumeRequest) -> QError | None:
    """Send a request after the first message has come; return what it ended the stream with."""
    async with world.stream() as (client, replies):
        assert await replies.payloads() == [b"0"]
        client.send(request)
        return await replies.end()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("store", "most"), [(Store.MEMORY, MEMORY), (Store.DISK, FSYNC)], ids=lambda value: value.name
)
async def test_more_than_the_store_can_ends_the_stream(
    kind: str, store: Store, most: Durability
) -> None:
    """The message is given back, for nothing was done."""
    world = World()
    await make_jobs(world, store)

    for asked in Durability:
        if asked > most:
            error = await ended_by(world, about(kind, "x", asked))

            assert isinstance(error, DurabilityNotReached)
            assert error.metadata["asked"] == asked.name
    assert await world.counts() == (1, 0)


@pytest.mark.parametrize("kind", KINDS)
async def test_level_that_there_is_not_ends_the_stream(kind: str) -> None:
    """By the field's name within the request."""
    world = World()
    await make_jobs(world, Store.DISK)

    error = await ended_by(world, about(kind, "x", 5))

    assert isinstance(error, InvalidArgument)
    assert (error.field, error.rule) == (
        f"{kind}.durability",
        "must be MEMORY (1), OS (2), FSYNC (3) or REPLICATED (4), or left out; got 5",
    )
    assert await world.counts() == (1, 0)
