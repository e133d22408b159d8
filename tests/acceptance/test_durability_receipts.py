"""A call says how durable it has to be, and its reply tells how durable it is: of a real q."""

from functools import partial
from typing import Any

import grpc
import pytest

from qmq.wire import q_pb2 as pb
from tests.acceptance.load import Load
from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import StockClient, connected, refused
from tests.acceptance.test_consume import consuming
from tests.acceptance.test_crash import drained, kill_under_load, numbers_by_writer

Code = grpc.StatusCode
Level = pb.Durability

#: Writers of each level that add at the same time.
WRITERS = 12

#: The store, what is asked for, and what the reply tells.
TOLD = pytest.mark.parametrize(
    ("store", "asked", "told"),
    [
        ("DISK", "UNKNOWN", "FSYNC"),
        ("DISK", "MEMORY", "MEMORY"),
        ("DISK", "OS", "OS"),
        ("DISK", "FSYNC", "FSYNC"),
        ("MEMORY", "UNKNOWN", "MEMORY"),
        ("MEMORY", "MEMORY", "MEMORY"),
    ],
)


def made(client: StockClient, store: str, **settings: Any) -> str:  # noqa: ANN401
    """Make a queue, and return its id."""
    return client.made(pb.Queue.Store.Value(store), settings=pb.QueueSettings(**settings))


@TOLD
def test_add_tells_how_durable_it_is(
    client: StockClient, store: str, asked: str, told: str
) -> None:
    """As was asked for or, if nothing was, the most that the store has."""
    queue_id = made(client, store)

    reply = client.add(queue_id=queue_id, message=pb.NewMessage(payload=b"x"), durability=asked)

    assert Level.Level.Name(reply.durability) == told
    assert [popped.payload for popped in client.drain(queue_id)] == [b"x"]


@TOLD
def test_add_by_rest_tells_how_durable_it_is(
    client: StockClient, shared_q: RunningQ, store: str, asked: str, told: str
) -> None:
    """The level stands in the query, since the body is the message; by name or by number."""
    path = f"/v1/queues/{made(client, store)}"

    for level in (asked, Level.Level.Value(asked)):
        reply = rest(shared_q.address, "POST", f"{path}?durability={level}", {"payload": "eA=="})
        assert (reply.status, reply.json["durability"]) == (200, told)
    if asked == "UNKNOWN":
        assert rest(shared_q.address, "POST", path, {}).json["durability"] == told


def test_every_change_by_rest_tells_how_durable_it_is(
    client: StockClient, shared_q: RunningQ
) -> None:
    """Asked for in the body, but for Pop, which has none; Peek changes nothing."""
    queue_id = made(client, "DISK")
    level: dict[str, Any] = {"durability": "OS"}

    def answer(method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON.
        reply = rest(shared_q.address, method, f"/v1/{path}", body)
        assert reply.status == 200, reply
        return reply.json

    def of_queue(path: str, **fields: object) -> Any:  # noqa: ANN401 - JSON.
        return answer("POST", f"queues/{queue_id}/{path}", {**fields, **level})

    added = of_queue("messages:batch", messages=[{}] * 9)
    popped = [of_queue("messages:pop", messages_max=2)]
    popped.append(answer("GET", f"queues/{queue_id}/pop?durability=OS"))
    leased = of_queue("messages:lease", messages_max=4)
    first, second, third, fourth = (each["lease_id"] for each in leased["messages"])
    answers = [
        of_queue("leases:extend", lease_ids=[first]),
        of_queue("leases:ack", lease_ids=[second]),
        of_queue("leases:nack", lease_ids=[third]),
        answer(
            "POST", "complete", {"acks": [{"queue_id": queue_id, "lease_ids": [fourth]}], **level}
        ),
    ]

    told = [each["durability"] for each in (added, *popped, leased, *answers)]
    assert told == ["OS"] * len(told)
    assert "durability" not in answer("GET", f"queues/{queue_id}/peek")


def test_stream_tells_how_durable_its_answers_are(client: StockClient) -> None:
    """Messages are handed out as durably as the store can; an ack is what it asks to be."""
    queue_id = made(client, "DISK")
    client.put(queue_id, b"1")

    with consuming(client, queue_id) as stream:
        handed_out = stream.next().messages
        lease_ids = [each.lease_id for each in handed_out.messages]
        stream.send(pb.ConsumeRequest(ack={"lease_ids": lease_ids, "durability": "OS"}))
        acked = stream.next().ack

    assert handed_out.durability == Level.FSYNC
    assert acked == pb.AckResponse(results=[pb.LeaseResult()], durability=Level.OS)


@pytest.mark.parametrize(
    ("store", "asked", "most"),
    [
        ("MEMORY", "OS", "MEMORY"),
        ("MEMORY", "FSYNC", "MEMORY"),
        ("MEMORY", "REPLICATED", "MEMORY"),
        ("DISK", "REPLICATED", "FSYNC"),
    ],
)
def test_more_than_the_store_can_is_refused(
    client: StockClient, shared_q: RunningQ, store: str, asked: str, most: str
) -> None:
    """With a reason of its own, by gRPC and by REST; nothing is added."""
    queue_id = made(client, store)

    refusal = refused(client.add, queue_id=queue_id, message=pb.NewMessage(), durability=asked)
    by_rest = rest(
        shared_q.address, "POST", f"/v1/queues/{queue_id}?durability={asked}", {"payload": "eA=="}
    )

    text = (
        f"durability: queue {queue_id} lives in {store}, which cannot be as durable as {asked}, but"
        f" {most} at most; ask for no more than that, or for nothing, which means as durable as the"
        " queue can"
    )
    assert (refusal.code, refusal.message) == (Code.FAILED_PRECONDITION, text)
    assert refusal.info.reason == "DURABILITY_NOT_REACHED"
    assert dict(refusal.info.metadata) == {
        "queue_id": queue_id,
        "store": store,
        "asked": asked,
        "durability_max": most,
    }
    assert by_rest.refusal == (400, 9, text)
    assert client.drain(queue_id) == []


def test_level_that_there_is_not_is_refused(client: StockClient, shared_q: RunningQ) -> None:
    """By the name of the field; nothing is added."""
    queue_id = made(client, "DISK")
    rule = "must be MEMORY (1), OS (2), FSYNC (3) or REPLICATED (4), or left out; got 7"

    def by_rest(path: str, body: object) -> tuple[int, int, str]:
        return rest(shared_q.address, "POST", f"/v1/queues/{queue_id}{path}", body).refusal

    refusal = refused(client.add, queue_id=queue_id, message=pb.NewMessage(), durability=7)
    number = by_rest("/messages:batch", {"messages": [{}], "durability": 7})
    others = [
        by_rest("?durability=7", {}),
        by_rest("?durability=SOON", {}),
        by_rest("/messages:batch", {"messages": [{}], "durability": "SOON"}),
    ]

    assert (refusal.code, refusal.violations) == (Code.INVALID_ARGUMENT, {"durability": rule})
    assert number == (400, 3, f"durability: {rule}")
    for (status, code, message), value in zip(others, ("7", "SOON", "SOON"), strict=True):
        assert (status, code) == (400, 3)
        assert "durability" in message
        assert f'"{value}"' in message
    assert client.drain(queue_id) == []


@pytest.mark.parametrize(
    ("asked", "told"),
    [("MEMORY", "OS"), ("OS", "OS"), ("FSYNC", "FSYNC"), ("UNKNOWN", "FSYNC")],
)
def test_queue_demands_a_least_level(client: StockClient, asked: str, told: str) -> None:
    """Who asks for less is told that it got more."""
    queue_id = made(client, "DISK", durability_min="OS")

    added = client.add(queue_id=queue_id, message=pb.NewMessage(), durability=asked)
    popped = client.pop(queue_id=queue_id, durability=asked)

    assert [Level.Level.Name(reply.durability) for reply in (added, popped)] == [told, told]


def test_what_the_system_has_survives_kill_9(q_server: RunningQ) -> None:
    """Of each writer: with OS all that was answered; with MEMORY none but the newest is missing."""
    levels = (Level.MEMORY, Level.OS, Level.FSYNC)
    with connected(q_server.address) as client:
        queue_ids = [made(client, "DISK") for _ in levels]

    def tasks(load: Load) -> list[Any]:
        return [
            partial(load.write, queue_id, writer, level)
            for queue_id, level in zip(queue_ids, levels, strict=True)
            for writer in range(WRITERS * level, WRITERS * (level + 1))
        ]

    load = kill_under_load(q_server, tasks)
    found = drained(q_server, queue_ids)

    assert len(load.added) == WRITERS * len(levels)
    for level, messages in zip(levels, found, strict=True):
        numbers = numbers_by_writer(messages)
        by_id = {message.meta.id: message for message in messages}
        for writer in range(WRITERS * level, WRITERS * (level + 1)):
            answered = load.added[writer]
            assert numbers[writer] == list(range(len(numbers[writer])))
            # The last one may have been stored without its answer getting out.
            assert len(numbers[writer]) <= len(answered) + 1
            if level != Level.MEMORY:
                assert [by_id.get(message.meta.id) for message in answered] == answered


def test_everything_before_an_answer_that_lasts_lasts_too(q_server: RunningQ) -> None:
    """Changes that were answered with MEMORY, of every kind: the next one with OS covers them."""
    with connected(q_server.address) as client:
        queue_id = made(client, "DISK")
        fields: dict[str, Any] = {"queue_id": queue_id, "durability": Level.MEMORY}
        client.add_batch(messages=[pb.NewMessage(payload=b"%d" % n) for n in range(6)], **fields)
        client.pop(**fields)
        client.pop_batch(messages_max=1, **fields)
        leased = client.lease(messages_max=3, **fields).messages
        client.ack(lease_ids=[leased[0].lease_id], **fields)
        client.nack(lease_ids=[leased[1].lease_id], kind="RELEASE", **fields)
        others = made(client, "DISK")
        client.add(queue_id=others, message=pb.NewMessage(), durability=Level.OS)
        q_server.kill()
    q_server.start()

    with connected(q_server.address) as client:
        (stats,) = client.stats(queue_id=queue_id).queues
        again = client.lease(queue_id=queue_id, messages_max=9).messages
        held = client.ack(queue_id=queue_id, lease_ids=[leased[2].lease_id])

    # The first two were popped, the third acked, the fifth is on lease.
    assert (stats.ready, stats.leased) == (2, 1)
    assert [each.message.payload for each in again] == [b"3", b"5"]
    assert list(held.results) == [pb.LeaseResult()]
