"""Lease, PopBatch and Consume by selectors, called with messages instead of bytes."""

import asyncio
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from qmq.errors import DeadlineExceeded, DurabilityNotReached, InvalidArgument
from qmq.transport.status import Code
from qmq.values import Store, Tag
from qmq.wire import q_pb2 as pb
from tests.engine.callers import turns
from tests.transport.service import Service, refusal_of
from tests.transport.streams import Replies, World, ack, credit


async def make(service: Service, *names: str, store: int = pb.Queue.MEMORY) -> list[str]:
    """Make queues of the team mail, with a message each: their names."""
    ids = []
    for name in names:
        tags = [pb.Tag(key="team", value="mail")]
        reply = await service.call("NewQueue", name=name, store=store, tags=tags)
        ids.append(reply.queue.meta.id)
        await service.add(name.encode(), queue_id=name)
    return ids


async def test_lease_tells_the_queues() -> None:
    """With a selector only; they are leased from in turns."""
    service = Service()
    ids = await make(service, "a", "b")

    reply = await service.call("Lease", selector="team = mail", messages_max=9, consumer="me")
    acked = await service.call("Ack", queue_id=ids[0], lease_ids=[reply.messages[0].lease_id])
    released = await service.call(
        "Nack", queue_id=ids[1], lease_ids=[reply.messages[1].lease_id], kind=pb.NackRequest.RELEASE
    )
    by_id = await service.call("Lease", queue_id="b")

    assert [each.message.payload for each in reply.messages] == [b"a", b"b"]
    assert [each.queue_id for each in reply.messages] == ids
    assert reply.durability == pb.Durability.MEMORY
    assert [each.code for each in (*acked.results, *released.results)] == [0, 0]
    assert [(each.message.payload, each.queue_id) for each in by_id.messages] == [(b"b", "")]


async def test_pop_batch_tells_the_queues() -> None:
    """One for each message, with a selector only."""
    service = Service()
    ids = await make(service, "a", "b", store=pb.Queue.DISK)

    reply = await service.call("PopBatch", selector="team", messages_max=9)
    await service.add(b"1", queue_id="a")
    by_id = await service.call("PopBatch", queue_id="a", messages_max=9)

    assert [each.payload for each in reply.messages] == [b"a", b"b"]
    assert list(reply.queue_ids) == ids
    assert reply.durability == pb.Durability.FSYNC
    assert (len(by_id.messages), list(by_id.queue_ids)) == (1, [])


async def test_nothing_to_hand_out_is_no_error() -> None:
    """And nothing is said of how durable that is."""
    service = Service()

    leased = await service.call("Lease", selector="team=mail")
    popped = await service.call("PopBatch", selector="team=mail", messages_max=1)

    assert leased == pb.LeaseResponse()
    assert popped == pb.PopBatchResponse()


async def test_waiting_ends_in_time() -> None:
    """After as long as was asked for; who has a deadline before that is told so."""
    service = Service()
    asking = [
        asyncio.ensure_future(service.call("Lease", selector="a", wait=Duration(seconds=9))),
        asyncio.ensure_future(
            service.call("PopBatch", selector="a", wait=Duration(seconds=9), messages_max=1)
        ),
        asyncio.ensure_future(
            service.call("Lease", selector="a", wait=Duration(seconds=60), limit_s=5.0)
        ),
    ]
    await service.clock.until_waiting(4)
    service.clock.advance(9)

    assert await asking[0] == pb.LeaseResponse()
    assert await asking[1] == pb.PopBatchResponse()
    with pytest.raises(DeadlineExceeded):
        await asking[2]


@pytest.mark.parametrize("method", ["Lease", "PopBatch"])
@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        (
            {"queue_id": "", "selector": ""},
            "queue_id",
            "must be the id or name of a queue, unless there is a selector",
        ),
        (
            {"queue_id": "a", "selector": "team=mail"},
            "selector",
            "must be left out where there is a queue_id",
        ),
        (
            {"selector": "team=mail,"},
            "selector",
            "at its end: expected a key",
        ),
        (
            {"selector": "team", "messages_max": 1_001},
            "messages_max",
            "must be 1 to 1000",
        ),
        ({"selector": "team", "durability": 9}, "durability", "must be MEMORY (1), OS (2)"),
    ],
)
async def test_wrong_request_is_refused(
    method: str, fields: dict[str, Any], field: str, rule: str
) -> None:
    """It names the field and the rule."""
    service = Service()
    await make(service, "a")

    refusal = await refusal_of(service.call(method, **{"messages_max": 1, **fields}))

    assert refusal.field == field
    assert refusal.rule.startswith(rule)
    assert (await service.payloads("a")) == [b"a"]


async def test_durability_is_that_of_the_store() -> None:
    """Less may be asked for; more than a queue can do is refused."""
    service = Service()
    await make(service, "a", store=pb.Queue.DISK)
    await make(service, "b")

    reply = await service.call("Lease", selector="team", durability=pb.Durability.OS)
    with pytest.raises(DurabilityNotReached):
        await service.call("Lease", selector="team", durability=pb.Durability.OS)

    assert reply.durability == pb.Durability.OS
    assert [each.message.payload for each in reply.messages] == [b"a"]
    assert (await service.payloads("b")) == [b"b"]


# Consume.


@pytest.fixture
async def world() -> World:
    """A broker with the queues a and b, with a message each."""
    world = World()
    for name in "ab":
        await new_queue(world, name)
        await world.broker.add(name, name.encode())
    return world


async def new_queue(world: World, name: str) -> str:
    """Make a queue that the selector matches; return its id."""
    info = await world.broker.new_queue(Store.MEMORY, name=name, tags=[Tag("team", "mail")])
    return info.id


async def messages_of(replies: Replies) -> list[pb.LeasedMessage]:
    """Wait for messages and nothing else, and take them."""
    [reply] = await replies.take()
    return list(reply.messages.messages)


async def test_messages_of_all_queues_come(world: World) -> None:
    """As there is room: leases of all queues together count."""
    async with world.stream(queue_id="", selector="team=mail", credit=1) as (client, replies):
        [first] = await messages_of(replies)
        client.send(ack([first.lease_id], first.queue_id))
        answers: list[pb.ConsumeResponse] = []
        while len(answers) < 2:
            answers += await replies.take()
        answer, second_reply = sorted(answers, key=lambda each: each.WhichOneof("response") or "")
        [second] = second_reply.messages.messages
        client.send(credit(9))
        later = await new_queue(world, "c")
        await world.broker.add("c", b"c")
        [third] = await messages_of(replies)

        assert [result.code for result in answer.ack.results] == [0]
        assert [each.message.payload for each in (first, second, third)] == [b"a", b"b", b"c"]
        assert third.queue_id == later

    # What it held is released, wherever it is.
    stats, _ = await world.broker.stats("", 0, "")
    assert [(each.info.name, each.ready, each.leased) for each in stats] == [
        ("a", 0, 0),
        ("b", 1, 0),
        ("c", 1, 0),
    ]


async def test_leases_with_the_same_number_in_two_stores(world: World) -> None:
    """Stores number messages for themselves: the end of one lease is not that of another."""
    tags = [Tag("team", "twins")]
    for name, store in (("m", Store.MEMORY), ("d", Store.DISK)):
        await world.broker.new_queue(store, name=name, tags=tags)
    world.clock.advance(1)
    for name in "md":
        await world.broker.add(name, name.encode())
    async with world.stream(queue_id="", selector="team=twins", credit=2) as (client, replies):
        found: list[pb.LeasedMessage] = []
        while len(found) < 2:
            found += await messages_of(replies)
        assert found[0].lease_id == found[1].lease_id
        client.send(ack([found[0].lease_id], found[0].queue_id))
        await replies.take()

    held = [queue for queue in world.broker.catalog if queue.info.name in "md"]
    assert sorted((queue.message_count, queue.leases.leased) for queue in held) == [(0, 0), (1, 0)]


@pytest.mark.parametrize("kind", ["ack", "nack", "extend"])
async def test_requests_have_to_name_the_queue(world: World, kind: str) -> None:
    """Any other ends the stream."""
    async with world.stream(queue_id="", selector="team=mail", credit=1) as (client, replies):
        [message] = await messages_of(replies)
        requests: dict[str, Any] = {
            "ack": pb.AckRequest(lease_ids=[message.lease_id]),
            "nack": pb.NackRequest(lease_ids=[message.lease_id]),
            "extend": pb.ExtendRequest(lease_ids=[message.lease_id]),
        }
        client.send(pb.ConsumeRequest(**{kind: requests[kind]}))

        error = await replies.end()

    assert isinstance(error, InvalidArgument)
    assert error.field == f"{kind}.queue_id"


async def test_stream_outlives_a_queue(world: World) -> None:
    """A lease that has ended with its queue is lost; the messages of others come."""
    async with world.stream(queue_id="", selector="team=mail", credit=1) as (client, replies):
        [first] = await messages_of(replies)
        await world.broker.delete_queue(first.queue_id)
        await turns()
        client.send(ack([first.lease_id], first.queue_id))
        found: list[pb.ConsumeResponse] = []
        while len(found) < 2:
            found += await replies.take()

    kinds = {each.WhichOneof("response"): each for each in found}
    [result] = kinds["ack"].ack.results
    assert (result.code, result.reason) == (Code.FAILED_PRECONDITION, "LEASE_LOST")
    assert result.message == (
        f"lease {first.lease_id} has ended, since queue {first.queue_id} was deleted"
    )
    assert [each.message.payload for each in kinds["messages"].messages.messages] == [b"b"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"queue_id": "a", "selector": "team"}, "open.selector"),
        ({"queue_id": "", "selector": ""}, "open.queue_id"),
        ({"queue_id": "", "selector": "team=,"}, "open.selector"),
    ],
)
async def test_wrong_opening_is_refused(world: World, fields: dict[str, Any], field: str) -> None:
    """It names the field."""
    async with world.stream(**fields) as (_, replies):
        error = await replies.end()

    assert isinstance(error, InvalidArgument)
    assert error.field == field
