"""Calls that wait for a message, through the real Envoy: served in order, and lost by nobody."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from qmq.wire import q_pb2 as pb
from tests.acceptance.http2 import Http2Client, frame
from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import Options, StockClient, connected, refused

Code = grpc.StatusCode

STORES = pytest.mark.parametrize("store", [pb.Queue.MEMORY, pb.Queue.DISK], ids=["memory", "disk"])

#: Longer than any test takes.
LONG = Duration(seconds=60)

#: Seconds that anything here may take, on a slow machine.
PATIENCE_S = 60.0

#: By how much, in seconds, a call may end late, on a slow machine: less than those wait that
#: wait for long.
LATE_S = 20.0


def await_waiting(client: StockClient, queue_id: str, count: int) -> None:
    """Look again and again until so many calls wait for a queue."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := client.stats(queue_id=queue_id).queues[0].waiting) != count:
        assert time.monotonic() < deadline, found
        time.sleep(0.002)


@contextmanager
def threads(count: int = 1) -> Iterator[ThreadPoolExecutor]:
    """Threads for calls that wait."""
    with ThreadPoolExecutor(count) as executor:
        yield executor


def begun(client: StockClient, queue_id: str) -> "grpc.Future[pb.PopResponse]":
    """Begin a Pop that waits, and that can be cancelled."""
    method = client.channel.unary_unary(
        "/proto.Q/Pop",
        request_serializer=pb.PopRequest.SerializeToString,
        response_deserializer=pb.PopResponse.FromString,
    )
    return method.future(pb.PopRequest(queue_id=queue_id, wait=LONG), timeout=PATIENCE_S)


@STORES
def test_message_ends_the_waiting(client: StockClient, store: int) -> None:
    """Of a Pop and of a PopBatch, at once."""
    queue_id = client.made(store)
    with threads(2) as executor:
        one = executor.submit(client.pop, queue_id=queue_id, wait=LONG)
        await_waiting(client, queue_id, 1)
        many = executor.submit(client.pop_batch, queue_id=queue_id, messages_max=9, wait=LONG)
        await_waiting(client, queue_id, 2)
        start = time.monotonic()

        added = client.add_batch(
            queue_id=queue_id, messages=[pb.NewMessage(payload=b"%d" % n) for n in range(3)]
        )
        popped = [one.result().message, *many.result().messages]

    assert time.monotonic() - start < LATE_S
    assert [message.meta for message in popped] == list(added.messages)
    assert client.stats(queue_id=queue_id).queues[0].waiting == 0


@STORES
def test_waiting_ends_with_its_time(client: StockClient, store: int) -> None:
    """For Pop the queue is empty; for PopBatch there is nothing, which is no error."""
    queue_id = client.made(store)
    start = time.monotonic()

    refusal = refused(client.pop, queue_id=queue_id, wait=Duration(nanos=300_000_000))
    reply = client.pop_batch(queue_id=queue_id, messages_max=9, wait=Duration(nanos=300_000_000))

    assert 0.6 <= time.monotonic() - start < 0.6 + LATE_S
    assert (refusal.code, refusal.message) == (Code.NOT_FOUND, f"queue {queue_id} is empty")
    assert list(reply.messages) == []


@pytest.mark.parametrize(
    "wait",
    [Duration(seconds=60, nanos=1), Duration(seconds=-1)],
    ids=["longer than a minute", "negative"],
)
def test_time_to_wait_is_bounded(client: StockClient, wait: Duration) -> None:
    """A minute at most; the refusal names the field and takes nothing."""
    queue_id = client.made()
    client.put(queue_id, b"known")

    refusals = [
        refused(client.pop, queue_id=queue_id, wait=wait),
        refused(client.pop_batch, queue_id=queue_id, messages_max=1, wait=wait),
    ]

    for refusal in refusals:
        assert refusal.code == Code.INVALID_ARGUMENT
        assert refusal.violations["wait"].startswith("must be 0 to 60 seconds; got ")
    assert len(client.drain(queue_id)) == 1


def test_two_hundred_callers_are_served_in_the_order_in_which_they_came(
    shared_q: RunningQ, client: StockClient
) -> None:
    """One message each, whatever comes in one call and what one by one."""
    queue_id = client.made(pb.Queue.DISK)
    request = frame(pb.PopRequest(queue_id=queue_id, wait=LONG).SerializeToString())
    with Http2Client(shared_q.address) as one, Http2Client(shared_q.address) as two:
        line = []
        for connection in (one, two) * 100:
            stream = connection.open("/proto.Q/Pop")
            connection.send(stream, request, end=True)
            line.append((connection, stream))
            # Calls that are on their way at the same time may overtake each other.
            await_waiting(client, queue_id, len(line))

        for at in range(0, 150, 50):
            batch = [pb.NewMessage(payload=b"%d" % n) for n in range(at, at + 50)]
            client.add_batch(queue_id=queue_id, messages=batch)
        client.put(queue_id, *(b"%d" % n for n in range(150, 200)))
        replies = [connection.reply(stream) for connection, stream in line]

    assert [reply.code for reply in replies] == [0] * 200
    popped = [pb.PopResponse.FromString(reply.messages[0]).message.payload for reply in replies]
    assert popped == [b"%d" % n for n in range(200)]
    assert client.drain(queue_id) == []


@STORES
def test_caller_who_cancels_takes_nothing_along(client: StockClient, store: int) -> None:
    """The message that comes right after is there for the next, time and again."""
    queue_id = client.made(store)
    for n in range(30):
        call = begun(client, queue_id)
        await_waiting(client, queue_id, 1)

        call.cancel()
        client.put(queue_id, b"%d" % n)

        assert client.pop(queue_id=queue_id, wait=LONG).message.payload == b"%d" % n
        assert call.cancelled()
        await_waiting(client, queue_id, 0)


def test_callers_who_cancel_leave_their_place_to_others(client: StockClient) -> None:
    """Who stays in line is served in order."""
    queue_id = client.made()
    line = []
    for n in range(10):
        line.append(begun(client, queue_id))
        await_waiting(client, queue_id, n + 1)

    for call in line[::2]:
        call.cancel()
    client.put(queue_id, *(b"%d" % n for n in range(6)))

    assert [call.result().message.payload for call in line[1::2]] == [b"%d" % n for n in range(5)]
    assert [popped.payload for popped in client.drain(queue_id)] == [b"5"]


@STORES
def test_caller_whose_deadline_passes_takes_nothing_along(client: StockClient, store: int) -> None:
    """It is told so in time, and the message that comes then is there for the next."""
    queue_id = client.made(store)
    start = time.monotonic()

    refusals = [
        refused(client.pop, queue_id=queue_id, wait=LONG, options=Options(timeout=0.3)),
        refused(
            client.pop_batch,
            queue_id=queue_id,
            messages_max=9,
            wait=LONG,
            options=Options(timeout=0.3),
        ),
    ]
    client.put(queue_id, b"known")

    assert [refusal.code for refusal in refusals] == [Code.DEADLINE_EXCEEDED] * 2
    assert time.monotonic() - start < 0.6 + LATE_S
    assert client.pop(queue_id=queue_id).message.payload == b"known"


def test_caller_without_a_connection_takes_nothing_along(
    shared_q: RunningQ, client: StockClient
) -> None:
    """Whatever ended it: by gRPC as by REST."""
    queue_id = client.made()
    for n in range(5):
        with connected(shared_q.address) as other:
            call = begun(other, queue_id)
            with rest_waiting(shared_q, queue_id):
                await_waiting(client, queue_id, 2)
            assert not call.done()
        # What comes on another connection may overtake the end of this one.
        await_waiting(client, queue_id, 0)
        client.put(queue_id, b"%d" % n)

        assert client.pop(queue_id=queue_id).message.payload == b"%d" % n


@contextmanager
def rest_waiting(q: RunningQ, queue_id: str) -> Iterator[socket.socket]:
    """Wait for a message by REST, on a connection that is closed in the end."""
    host, _, port = q.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        path = f"/v1/queues/{queue_id}/pop?wait=60s"
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: {q.address}\r\n\r\n".encode())
        yield connection


def test_who_leaves_is_noticed_although_nothing_comes(client: StockClient) -> None:
    """So that the counts tell of those who are there."""
    queue_id = client.made()
    line = [begun(client, queue_id) for _ in range(5)]
    await_waiting(client, queue_id, 5)

    for call in line[:4]:
        call.cancel()
    await_waiting(client, queue_id, 1)
    line[4].cancel()
    await_waiting(client, queue_id, 0)


def test_message_ends_the_waiting_by_rest(shared_q: RunningQ, client: StockClient) -> None:
    """With a query parameter for Pop, and a field of the body for PopBatch."""
    queue_id = client.made()
    path = f"/v1/queues/{queue_id}"
    with threads(2) as executor:
        one = executor.submit(rest, shared_q.address, "GET", f"{path}/pop?wait=5s")
        await_waiting(client, queue_id, 1)
        body = {"messages_max": 9, "wait": "5.5s"}
        many = executor.submit(rest, shared_q.address, "POST", f"{path}/messages:pop", body)
        await_waiting(client, queue_id, 2)

        client.add_batch(queue_id=queue_id, messages=[pb.NewMessage(payload=b"x")] * 3)

    assert one.result().json["message"]["payload"] == "eA=="
    assert [message["payload"] for message in many.result().json["messages"]] == ["eA=="] * 2


@pytest.mark.parametrize(
    ("wait", "words"),
    [
        ("61s", "wait: must be 0 to 60 seconds; got 61"),
        ("-1s", "wait: must be 0 to 60 seconds; got -1"),
        ("5", "wait"),
        ("5m", "wait"),
        ("", "wait"),
        ("soup", "wait"),
    ],
)
def test_wrong_time_is_refused_by_rest(
    shared_q: RunningQ, client: StockClient, wait: str, words: str
) -> None:
    """By name; nothing is taken."""
    queue_id = client.made()
    client.put(queue_id, b"known")

    reply = rest(shared_q.address, "GET", f"/v1/queues/{queue_id}/pop?wait={wait}")

    assert reply.refusal[:2] == (400, 3)
    assert words in reply.refusal[2]
    assert len(client.drain(queue_id)) == 1


def test_waiting_in_vain_is_an_empty_queue_by_rest(shared_q: RunningQ, client: StockClient) -> None:
    """404 as without waiting; a deadline that comes first is 504."""
    path = f"/v1/queues/{client.made()}/pop?wait=0.2s"

    empty = rest(shared_q.address, "GET", path)
    late = rest(shared_q.address, "GET", path, headers={"grpc-timeout": "100m"})

    assert empty.refusal[:2] == (404, 5)
    assert late.refusal[:2] == (504, 4)


@STORES
def test_deleted_queue_has_nobody_waiting(client: StockClient, store: int) -> None:
    """They are told that it is not there any more, at once."""
    queue_id = client.made(store)
    with threads(2) as executor:
        line = [
            executor.submit(refused, client.pop, queue_id=queue_id, wait=LONG),
            executor.submit(
                refused, client.pop_batch, queue_id=queue_id, messages_max=9, wait=LONG
            ),
        ]
        await_waiting(client, queue_id, 2)
        client.delete_queue(queue_id=queue_id)
        refusals = [call.result() for call in line]

    assert [refusal.code for refusal in refusals] == [Code.NOT_FOUND] * 2
    assert [refusal.info.reason for refusal in refusals] == ["QUEUE_NOT_FOUND"] * 2


@STORES
def test_end_of_q_ends_the_waiting(q_server: RunningQ, store: int) -> None:
    """At once: who waits is told to try the successor, and q does not wait for them."""
    with connected(q_server.address) as client, threads(3) as executor:
        queue_id = client.made(store)
        line = [
            executor.submit(refused, client.pop, queue_id=queue_id, wait=LONG),
            executor.submit(
                refused, client.pop_batch, queue_id=queue_id, messages_max=9, wait=LONG
            ),
        ]
        path = f"/v1/queues/{queue_id}/pop?wait=60s"
        by_rest = executor.submit(rest, q_server.address, "GET", path)
        await_waiting(client, queue_id, 3)
        start = time.monotonic()

        os.kill(q_server.pid, signal.SIGTERM)

        assert q_server.wait() == 0
        assert time.monotonic() - start < LATE_S
        refusals = [call.result() for call in line]

    assert [refusal.code for refusal in refusals] == [Code.UNAVAILABLE] * 2
    assert [refusal.info.reason for refusal in refusals] == ["SHUTTING_DOWN"] * 2
    assert by_rest.result().refusal[:2] == (503, 14)


def test_waiting_callers_lose_nothing_under_load(shared_q: RunningQ) -> None:
    """Producers and consumers that wait: each message comes out once."""
    sent, consumers = 2_000, 8
    with connected(shared_q.address) as client, threads(2 * consumers) as executor:
        queue_id = client.made(pb.Queue.DISK)

        def produce(first: int) -> None:
            for at in range(first, sent, 40):
                batch = [pb.NewMessage(payload=b"%d" % n) for n in range(at, at + 10)]
                client.add_batch(queue_id=queue_id, messages=batch)

        def consume(_: int) -> list[bytes]:
            found: list[bytes] = []
            while batch := client.pop_batch(
                queue_id=queue_id, messages_max=7, wait=Duration(seconds=2)
            ).messages:
                found += [message.payload for message in batch]
            return found

        consuming = [executor.submit(consume, n) for n in range(consumers)]
        producing = [executor.submit(produce, 10 * n) for n in range(4)]
        for future in producing:
            future.result()
        found = [payload for future in consuming for payload in future.result()]

    assert sorted(found, key=int) == [b"%d" % n for n in range(sent)]
