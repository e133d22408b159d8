"""Many messages at once, and counts: by grpcio's stock client and by REST."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from qmq.limits import MESSAGE_BYTES_MAX
from qmq.wire import q_pb2 as pb
from tests.acceptance.rest import RestReply, rest
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import UNKNOWN_ID, StockClient, refused

Code = grpc.StatusCode

STORES = pytest.mark.parametrize("store", [pb.Queue.MEMORY, pb.Queue.DISK], ids=["memory", "disk"])

#: Calls that take a queue, with their other fields.
BY_QUEUE: dict[str, dict[str, Any]] = {
    "add_batch": {"messages": [pb.NewMessage(payload=b"x")]},
    "pop_batch": {"messages_max": 1},
    "stats": {},
    "pop": {"wait": Duration(seconds=30)},
}
FOR_EACH_CALL = pytest.mark.parametrize(("rpc", "fields"), BY_QUEUE.items(), ids=list(BY_QUEUE))


def messages(*payloads: bytes) -> list[pb.NewMessage]:
    """Messages to add."""
    return [pb.NewMessage(payload=payload) for payload in payloads]


def payloads(reply: pb.PopBatchResponse) -> list[bytes]:
    """What was popped."""
    return [message.payload for message in reply.messages]


@STORES
def test_batch_is_answered_as_it_is_stored(client: StockClient, store: int) -> None:
    """The metadata of each message, in order, is that with which Peek, Pop and PopBatch show it."""
    queue_id = client.made(store)
    tags = [pb.Tag(key="b", value="1"), pb.Tag(key="a", value="1"), pb.Tag(key="b", value="1")]
    given = [pb.NewMessage(payload=b"\x00%d" % n, tags=tags[:n]) for n in range(4)]

    added = client.add_batch(queue_id=queue_id, messages=given)
    peeked = client.peek(queue_id=queue_id).message
    popped = [client.pop(queue_id=queue_id).message]
    popped += client.pop_batch(queue_id=queue_id, messages_max=1_000).messages

    assert peeked == popped[0]
    assert [message.meta for message in popped] == list(added.messages)
    assert [message.payload for message in popped] == [message.payload for message in given]
    assert [len(message.meta.tags) for message in popped] == [0, 1, 2, 2]
    assert len({message.meta.id for message in popped}) == 4
    assert added.refused == 0


@STORES
def test_batches_and_single_messages_keep_their_order(client: StockClient, store: int) -> None:
    """First in, first out, whatever came how."""
    queue_id = client.made(store)
    client.put(queue_id, b"1")
    client.add_batch(queue_id=queue_id, messages=messages(b"2", b"3", b"4"))
    client.put(queue_id, b"5")
    client.add_batch(queue_id=queue_id, messages=messages(b"6"))

    found = [client.pop(queue_id=queue_id).message.payload]
    found += payloads(client.pop_batch(queue_id=queue_id, messages_max=3))
    found += payloads(client.pop_batch(queue_id=queue_id, messages_max=9))

    assert found == [b"1", b"2", b"3", b"4", b"5", b"6"]
    assert payloads(client.pop_batch(queue_id=queue_id, messages_max=9)) == []


@STORES
def test_a_thousand_messages_are_a_batch(client: StockClient, store: int) -> None:
    """One more is not; nothing is stored of it."""
    queue_id = client.made(store)
    sent = [b"%d" % n for n in range(1_000)]

    refusal = refused(client.add_batch, queue_id=queue_id, messages=messages(*sent, b"x"))
    client.add_batch(queue_id=queue_id, messages=messages(*sent))

    assert (refusal.code, list(refusal.violations)) == (Code.INVALID_ARGUMENT, ["messages"])
    assert payloads(client.pop_batch(queue_id=queue_id, messages_max=1_000)) == sent


@pytest.mark.parametrize("messages_max", [0, -1, 1_001])
def test_number_to_pop_is_bounded(client: StockClient, messages_max: int) -> None:
    """It has to be said; nothing is taken."""
    queue_id = client.made()
    client.put(queue_id, b"known")

    refusal = refused(client.pop_batch, queue_id=queue_id, messages_max=messages_max)

    assert refusal.code == Code.INVALID_ARGUMENT
    assert refusal.violations == {"messages_max": f"must be 1 to 1000; got {messages_max}"}
    assert [popped.payload for popped in client.drain(queue_id)] == [b"known"]


@STORES
def test_batch_without_room_for_all_is_refused(client: StockClient, store: int) -> None:
    """All or nothing, and the refusal says what an Add's does."""
    queue_id = client.made(store, limit=3)
    client.put(queue_id, b"1")

    refusal = refused(
        client.add_batch, queue_id=queue_id, messages=messages(b"2", b"3", b"refused")
    )
    client.add_batch(queue_id=queue_id, messages=messages(b"4", b"5"))

    assert (refusal.code, refusal.info.reason) == (Code.RESOURCE_EXHAUSTED, "QUEUE_FULL")
    assert refusal.message == f"queue {queue_id} has reached limit of 3 messages"
    assert dict(refusal.info.metadata) == {"limit": "limit", "value": "3", "current": "1"}
    assert [popped.payload for popped in client.drain(queue_id)] == [b"1", b"4", b"5"]


@STORES
def test_partial_batch_is_taken_as_far_as_it_fits(client: StockClient, store: int) -> None:
    """It is told which: the first ones, and how many of the last were refused."""
    queue_id = client.made(store, limit=3)
    client.put(queue_id, b"1")
    batch = messages(b"2", b"3", b"4", b"5")

    added = client.add_batch(queue_id=queue_id, messages=batch, partial=True)
    refusal = refused(client.add_batch, queue_id=queue_id, messages=batch, partial=True)

    assert (len(added.messages), added.refused) == (2, 2)
    assert refusal.info.reason == "QUEUE_FULL"
    assert [popped.payload for popped in client.drain(queue_id)] == [b"1", b"2", b"3"]


def test_message_of_a_batch_that_is_too_large_is_named(client: StockClient) -> None:
    """By its place; the others are not stored either."""
    queue_id = client.made()

    refusal = refused(
        client.add_batch,
        queue_id=queue_id,
        messages=messages(b"1", bytes(MESSAGE_BYTES_MAX), b"3"),
        partial=True,
    )

    assert (refusal.code, refusal.info.reason) == (Code.RESOURCE_EXHAUSTED, "TOO_LARGE")
    assert refusal.message.startswith("messages[1]: payload, tags and metadata take ")
    assert client.drain(queue_id) == []


@STORES
def test_no_reply_is_too_large_for_a_stock_client(client: StockClient, store: int) -> None:
    """It takes 4 MiB; what is more comes with the next PopBatch."""
    queue_id = client.made(store)
    sizes = [1_000_000] * 3 + [10] * 500 + [MESSAGE_BYTES_MAX - 400, 2_000_000, 2_000_000, 400_000]
    for at in range(0, len(sizes), 3):
        for size in sizes[at : at + 3] if sizes[at] > 1_000 else ():
            client.put(queue_id, bytes(size))
        if sizes[at] <= 1_000:
            client.add_batch(queue_id=queue_id, messages=messages(*map(bytes, sizes[at : at + 3])))

    replies = []
    while (reply := client.pop_batch(queue_id=queue_id, messages_max=1_000)).messages:
        replies.append(reply)

    assert [len(payload) for reply in replies for payload in payloads(reply)] == sizes
    assert max(reply.ByteSize() for reply in replies) <= MESSAGE_BYTES_MAX
    assert len(replies) == 4


def test_answer_that_no_stock_client_would_take_is_not_made(client: StockClient) -> None:
    """The metadata of a batch can be more than 4 MiB; it is refused before it is stored."""
    queue_id = client.made()
    # A tag is taken back, so the answer is as large as the request, and has ids besides.
    tags = [pb.Tag(key="k", value="v" * 4_180)]
    batch = [pb.NewMessage(tags=tags)] * 1_000

    refusal = refused(client.add_batch, queue_id=queue_id, messages=batch)
    fewer = client.add_batch(queue_id=queue_id, messages=batch[:900])

    assert (refusal.code, refusal.info.reason) == (Code.RESOURCE_EXHAUSTED, "TOO_LARGE")
    assert refusal.message.startswith("messages: the reply, tags and metadata of all, takes ")
    assert len(fewer.messages) == len(client.drain(queue_id)) == 900


@FOR_EACH_CALL
@pytest.mark.parametrize(
    ("reference", "code"), [(UNKNOWN_ID, Code.NOT_FOUND), ("nobody", Code.INVALID_ARGUMENT)]
)
def test_call_on_no_queue_is_refused(
    client: StockClient, rpc: str, fields: dict[str, Any], reference: str, code: grpc.StatusCode
) -> None:
    """As every call is, at once."""
    call: Callable[..., object] = getattr(client, rpc)

    assert refused(call, queue_id=reference, **fields).code == code


@FOR_EACH_CALL
def test_name_stands_for_the_id(client: StockClient, rpc: str, fields: dict[str, Any]) -> None:
    """As everywhere."""
    name = f"batches.{rpc}"
    client.made(name=name)
    client.put(name, b"x")

    getattr(client, rpc)(queue_id=name, **fields)

    assert len(client.drain(name)) == {"add_batch": 2, "stats": 1}.get(rpc, 0)


@STORES
def test_stats_tell_what_a_queue_holds(client: StockClient, store: int) -> None:
    """And what went through it; of one queue, or of all in order of creation."""
    queue_id = client.made(store, limit=9)
    added = client.add_batch(queue_id=queue_id, messages=messages(b"1", b"2", b"3"))
    client.pop_batch(queue_id=queue_id, messages_max=2)

    (stats,) = client.stats(queue_id=queue_id).queues
    everything = client.stats().queues
    listed = client.list_queues().queues

    message = pb.Message(meta=added.messages[2], payload=b"3")
    assert stats.queue == client.get_queue(queue_id=queue_id).queue
    assert (stats.ready, stats.ready_bytes, stats.limit) == (1, message.ByteSize(), 9)
    assert (stats.enqueued_total, stats.consumed_total, stats.waiting) == (3, 2, 0)
    assert 0 < stats.oldest_age.ToNanoseconds() < 20_000_000_000
    assert [each.queue for each in everything] == list(listed)


def test_stats_survive_a_restart_as_far_as_they_tell_what_is_there(q_server: RunningQ) -> None:
    """What a queue holds; what went through it is counted since the start."""
    path = "/v1/queues/jobs"
    rest(q_server.address, "POST", "/v1/queues", {"store": "DISK", "name": "jobs"})
    batch = {"messages": [{"payload": b64encode(bytes(n)).decode()} for n in range(5)]}
    rest(q_server.address, "POST", f"{path}/messages:batch", batch)
    rest(q_server.address, "POST", f"{path}/messages:pop", {"messages_max": 2})
    before = rest(q_server.address, "GET", f"{path}/stats").json["queues"][0]

    q_server.kill()
    q_server.start()
    after = rest(q_server.address, "GET", f"{path}/stats").json["queues"][0]

    assert (before["ready"], before["enqueued_total"], before["consumed_total"]) == ("3", "5", "2")
    assert (after["ready"], after["ready_bytes"]) == ("3", before["ready_bytes"])
    assert "enqueued_total" not in after
    assert after["queue"] == before["queue"]


@pytest.fixture
def call(shared_q: RunningQ) -> Callable[..., RestReply]:
    """Send requests to the q that tests share."""

    def send(method: str, path: str, body: object = None) -> RestReply:
        return rest(shared_q.address, method, path, body)

    return send


Call = Callable[..., RestReply]


def test_batch_goes_in_and_out_by_rest(call: Call, client: StockClient) -> None:
    """With the routes that the proto has; what is empty is left out."""
    path = f"/v1/queues/{client.made(pb.Queue.DISK, limit=2)}"
    batch = [{"payload": "MQ==", "tags": [{"key": "k", "value": "v"}]}, {}, {"payload": "Mw=="}]

    refusal = call("POST", f"{path}/messages:batch", {"messages": batch}).refusal
    added = call("POST", f"{path}/messages:batch", {"messages": batch, "partial": True})
    popped = call("POST", f"{path}/messages:pop", {"messages_max": 9})
    nothing = call("POST", f"{path}/messages:pop", {"messagesMax": 1, "wait": "0.01s"})

    assert refusal[:2] == (429, 8)
    assert added.text == (
        '{"messages":[{"id":"<id>","created":"<time>","tags":[{"key":"k","value":"v"}]},'
        '{"id":"<id>","created":"<time>"}],"refused":1,"durability":"FSYNC"}'
    )
    assert [message["meta"] for message in popped.json["messages"]] == added.json["messages"]
    assert [message.get("payload") for message in popped.json["messages"]] == ["MQ==", None]
    assert (nothing.status, nothing.text) == (200, '{"durability":"FSYNC"}')


def test_thousand_messages_go_in_and_out_by_rest(call: Call, client: StockClient) -> None:
    """In one request each."""
    path = f"/v1/queues/{client.made()}"
    batch = [{"payload": b64encode(b"%d" % n).decode()} for n in range(1_000)]

    added = call("POST", f"{path}/messages:batch", {"messages": batch})
    popped = call("POST", f"{path}/messages:pop", {"messages_max": "1000"})

    assert len(added.json["messages"]) == 1_000
    assert [message["payload"] for message in popped.json["messages"]] == [
        message["payload"] for message in batch
    ]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("messages:batch", {"message": []}, ['unknown field "message"']),
        ("messages:batch", {"messages": [{"paylod": ""}]}, ['unknown field "paylod"']),
        ("messages:batch", {"messages": [{"payload": "!!"}]}, ["payload", "!!"]),
        ("messages:batch", {"messages": [{}] * 1_001}, ["messages: has 1001 messages"]),
        ("messages:batch", {"queue_id": "other"}, ["queue_id"]),
        ("messages:batch", b"", ["empty"]),
        ("messages:pop", {}, ["messages_max: must be 1 to 1000; got 0"]),
        ("messages:pop", {"messages_max": 1_001}, ["messages_max", "1001"]),
        ("messages:pop", {"messages_max": "x"}, ["messages_max"]),
        ("messages:pop", {"messages_max": 1, "wait": 5}, ["wait"]),
        ("messages:pop", {"messages_max": 1, "wait": "61s"}, ["wait: must be 0 to 60 seconds"]),
        ("messages:pop", {"count": 1}, ['unknown field "count"']),
        ("messages:pop", b"", ["empty"]),
    ],
)
def test_wrong_body_is_refused_by_name(
    call: Call, client: StockClient, path: str, body: object, words: list[str]
) -> None:
    """Nothing is stored, and nothing taken."""
    queue_id = client.made()
    client.put(queue_id, b"known")

    status, code, message = call("POST", f"/v1/queues/{queue_id}/{path}", body).refusal

    assert (status, code) == (400, 3)
    assert [word for word in words if word not in message] == []
    assert [popped.payload for popped in client.drain(queue_id)] == [b"known"]


def test_stats_are_shown_by_rest(call: Call, client: StockClient) -> None:
    """Numbers of 64 bits are texts, in JSON; all queues can be paged."""
    queue_id = client.made(limit=7)
    client.put(queue_id, b"1")

    (stats,) = call("GET", f"/v1/queues/{queue_id}/stats").json["queues"]
    first = call("GET", "/v1/stats?page_size=1").json
    token = first["next_page_token"]
    others = call("GET", f"/v1/stats?page_token={token}").json["queues"]

    age = stats.pop("oldest_age")
    assert age.endswith("s")
    assert 0 < float(age[:-1]) < 20
    assert int(stats["bytes"]) > 50
    assert stats.pop("ready_bytes") == stats.pop("bytes")
    assert stats.pop("added_per_second", 0) >= 0
    assert stats == {
        "queue": call("GET", f"/v1/queues/{queue_id}").json["queue"],
        "ready": "1",
        "enqueued_total": "1",
        "limit": "7",
    }
    assert [each["queue"] for each in (*first["queues"], *others)] == call(
        "GET", "/v1/queues"
    ).json["queues"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/queues/x/messages:pop", "POST"),
        ("PUT", "/v1/queues/x/messages:batch", "POST"),
        ("POST", "/v1/queues/x/stats", "GET"),
        ("DELETE", "/v1/stats", "GET"),
    ],
)
def test_wrong_method_is_refused(call: Call, method: str, path: str, allow: str) -> None:
    """405 says which one is right."""
    reply = call(method, path, {} if method in {"POST", "PUT"} else None)

    assert reply.refusal == (405, 12, f"{method} is not supported at {path}; use {allow}")
    assert reply.headers["allow"] == allow
