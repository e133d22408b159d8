"""Consume, as a stock client uses it: messages come as there is room, and none stays behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from qmq.limits import MESSAGE_BYTES_MAX
from qmq.wire import q_pb2 as pb
from tests.acceptance.http2 import Http2Client, frame
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import UNKNOWN_ID, Refusal, StockClient, connected, refused

Code = grpc.StatusCode

STORES = pytest.mark.parametrize("store", [pb.Queue.MEMORY, pb.Queue.DISK], ids=["memory", "disk"])

#: Longer than any test takes: what comes again before that was given back.
LONG = Duration(seconds=3600)

#: Seconds that anything here may take, on a slow machine.
PATIENCE_S = 60.0

#: Seconds within which what is to happen at once happens, on a slow machine.
AT_ONCE_S = 20.0

#: Opens a stream, holds what comes, and tells how many messages that are.
HOLDING_CLIENT = """
import sys
import grpc
from queue import SimpleQueue
from qmq.wire import q_pb2 as pb

address, queue_id, credit = sys.argv[1:]
requests = SimpleQueue()
requests.put(pb.ConsumeRequest(
    open=pb.ConsumeRequest.Open(queue_id=queue_id, credit=int(credit), consumer="doomed")
))
with grpc.insecure_channel(address) as channel:
    consume = channel.stream_stream(
        "/proto.Q/Consume", pb.ConsumeRequest.SerializeToString, pb.ConsumeResponse.FromString
    )
    for response in consume(iter(requests.get, None)):
        print(len(response.messages.messages), flush=True)
"""


class Stream:
    """One stream of a stock client."""

    def __init__(
        self,
        client: StockClient,
        queue_id: str,
        *,
        timeout: float = PATIENCE_S,
        compression: grpc.Compression | None = None,
        **fields: Any,  # noqa: ANN401 - As the message has them.
    ) -> None:
        """Open it, with a credit of 10 unless another is given."""
        self._requests: SimpleQueue[pb.ConsumeRequest | None] = SimpleQueue()
        opening = pb.ConsumeRequest.Open(**{"credit": 10, "queue_id": queue_id, **fields})
        self.send(pb.ConsumeRequest(open=opening))
        method = client.channel.stream_stream(
            "/proto.Q/Consume",
            request_serializer=pb.ConsumeRequest.SerializeToString,
            response_deserializer=pb.ConsumeResponse.FromString,
        )
        self.call = method(iter(self._requests.get, None), timeout=timeout, compression=compression)

    def send(self, request: pb.ConsumeRequest) -> None:
        """Send a request."""
        self._requests.put(request)

    def finish(self) -> None:
        """Send nothing more."""
        self._requests.put(None)

    def ack(self, *messages: pb.LeasedMessage) -> None:
        """Ask for messages to be acked."""
        lease_ids = [message.lease_id for message in messages]
        self.send(pb.ConsumeRequest(ack=pb.AckRequest(lease_ids=lease_ids)))

    def next(self) -> pb.ConsumeResponse:
        """Wait for the next response."""
        response: pb.ConsumeResponse = next(self.call)
        return response

    def messages(self, count: int) -> list[pb.LeasedMessage]:
        """Wait until so many messages have come, and nothing else."""
        found: list[pb.LeasedMessage] = []
        while len(found) < count:
            response = self.next()
            assert response.WhichOneof("response") == "messages"
            found += response.messages.messages
        return found

    def end(self) -> Code:
        """End this side, and wait for the end of the other, which sends nothing more."""
        self.finish()
        assert list(self.call) == []
        code: Code = self.call.code()
        return code

    def refusal(self) -> Refusal:
        """Wait until the stream is ended with an error."""
        return refused(self.next)


@contextmanager
def consuming(client: StockClient, queue_id: str, **fields: Any) -> Iterator[Stream]:  # noqa: ANN401
    """A stream that is cancelled in the end, if it has not ended."""
    stream = Stream(client, queue_id, **fields)
    try:
        yield stream
    finally:
        stream.call.cancel()


def payloads(messages: list[pb.LeasedMessage]) -> list[bytes]:
    """What is in messages."""
    return [leased.message.payload for leased in messages]


def eventually(holds: Callable[[], bool]) -> None:
    """Look again and again until something holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def stats(client: StockClient, queue_id: str) -> pb.QueueStats:
    """What a queue holds."""
    return client.stats(queue_id=queue_id).queues[0]


@STORES
def test_messages_come_as_there_is_room(client: StockClient, store: int) -> None:
    """Acks on the stream make room, and are answered; nothing comes beyond the credit."""
    queue_id = client.made(store)
    client.put(queue_id, *(b"%d" % n for n in range(5)))

    with consuming(client, queue_id, credit=2, consumer="mill") as stream:
        first, second = stream.messages(2)
        assert payloads([first, second]) == [b"0", b"1"]
        assert (first.delivery_count, second.delivery_count) == (1, 1)
        found = stats(client, queue_id)
        assert (found.ready, found.leased) == (3, 2)
        assert [(each.consumer, each.leased) for each in found.consumers] == [("mill", 2)]

        stream.ack(second)
        responses = [stream.next(), stream.next()]
        [answer] = [each.ack for each in responses if each.WhichOneof("response") == "ack"]
        [batch] = [each.messages for each in responses if each.WhichOneof("response") != "ack"]
        assert [result.code for result in answer.results] == [0]
        assert payloads(list(batch.messages)) == [b"2"]
        assert stats(client, queue_id).acked_total == 1


@STORES
def test_message_comes_when_it_is_added(client: StockClient, store: int) -> None:
    """The stream waits for it, and asks for nothing."""
    queue_id = client.made(store)
    with consuming(client, queue_id) as stream:
        eventually(lambda: stats(client, queue_id).waiting == 1)
        start = time.monotonic()
        client.put(queue_id, b"known")

        assert payloads(stream.messages(1)) == [b"known"]
        assert time.monotonic() - start < AT_ONCE_S


def test_nack_and_extend_on_the_stream(client: StockClient) -> None:
    """A failed message comes again after its delay, counted."""
    queue_id = client.made()
    client.put(queue_id, b"known")
    with consuming(client, queue_id, lease_duration=Duration(seconds=5)) as stream:
        [message] = stream.messages(1)
        extend = pb.ExtendRequest(lease_ids=[message.lease_id], lease_duration=LONG)
        stream.send(pb.ConsumeRequest(extend=extend))
        [extended] = stream.next().extend.results
        gained = extended.lease_expires_at.seconds - message.lease_expires_at.seconds
        assert gained > LONG.seconds - 10

        nack = pb.NackRequest(
            lease_ids=[message.lease_id],
            kind=pb.NackRequest.FAIL,
            delay=Duration(nanos=200_000_000),
            reason="no grain",
        )
        stream.send(pb.ConsumeRequest(nack=nack))
        assert [result.code for result in stream.next().nack.results] == [0]
        [again] = stream.messages(1)

    assert (again.delivery_count, again.message.payload) == (2, b"known")
    assert [attempt.reason for attempt in again.message.attempts] == ["no grain"]


def test_expired_lease_gives_its_credit_back(client: StockClient) -> None:
    """Of a consumer that has forgotten it."""
    queue_id = client.made()
    client.put(queue_id, b"0", b"1")
    duration = Duration(nanos=200_000_000)
    with consuming(client, queue_id, credit=1, lease_duration=duration) as stream:
        [message] = stream.messages(1)
        [again] = stream.messages(1)

    assert payloads([message, again]) == [b"0", b"0"]
    assert again.delivery_count == 2


@STORES
def test_half_close_ends_the_stream(client: StockClient, store: int) -> None:
    """What was asked for is done; what is still on lease is ready for others when it has ended."""
    queue_id = client.made(store)
    client.put(queue_id, b"0", b"1", b"2")
    stream = Stream(client, queue_id, lease_duration=LONG)
    messages = stream.messages(3)
    stream.ack(messages[1])
    assert stream.next().WhichOneof("response") == "ack"

    assert stream.end() == Code.OK

    found = stats(client, queue_id)
    assert (found.ready, found.leased, found.waiting) == (2, 0, 0)
    with consuming(client, queue_id) as other:
        again = other.messages(2)
    assert payloads(again) == [b"0", b"2"]
    assert [message.delivery_count for message in again] == [1, 1]
    assert again[0].message.attempts[0].outcome == pb.Attempt.RELEASED
    assert again[0].message.attempts[0].reason == "the consumer's stream ended"


@STORES
def test_cancelled_stream_gives_its_messages_back(client: StockClient, store: int) -> None:
    """At once, to one who waits."""
    queue_id = client.made(store)
    client.put(queue_id, b"0", b"1")
    with consuming(client, queue_id, lease_duration=LONG) as stream:
        stream.messages(2)
        with consuming(client, queue_id) as other:
            eventually(lambda: stats(client, queue_id).waiting == 2)
            stream.call.cancel()

            assert payloads(other.messages(2)) == [b"0", b"1"]
    eventually(lambda: stats(client, queue_id).waiting == 0)


@STORES
def test_killed_client_gives_its_messages_back(
    shared_q: RunningQ, client: StockClient, store: int
) -> None:
    """Within a moment, whatever the time of its leases: another gets them, and what it had not."""
    settings = pb.QueueSettings(lease_duration=LONG)
    queue_id = client.made(store, settings=settings)
    client.put(queue_id, *(b"%d" % n for n in range(100)))
    command = [sys.executable, "-c", HOLDING_CLIENT, shared_q.address, queue_id, "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as doomed:
        assert doomed.stdout is not None
        assert doomed.stdout.readline() == "60\n"
        with consuming(client, queue_id, credit=1_000) as other:
            rest = other.messages(40)
            eventually(lambda: stats(client, queue_id).waiting == 1)
            start = time.monotonic()
            os.kill(doomed.pid, signal.SIGKILL)
            taken_over = other.messages(60)
            assert time.monotonic() - start < AT_ONCE_S

    assert payloads(taken_over + rest) == [b"%d" % n for n in range(100)]
    assert {message.delivery_count for message in taken_over} == {1}
    assert {message.message.attempts[0].consumer for message in taken_over} == {"doomed"}


def test_deadline_ends_the_stream(client: StockClient) -> None:
    """As that of any call."""
    queue_id = client.made()
    client.put(queue_id, b"known")
    stream = Stream(client, queue_id, timeout=3, lease_duration=LONG)
    stream.messages(1)

    assert stream.refusal().code == Code.DEADLINE_EXCEEDED
    eventually(lambda: stats(client, queue_id).ready == 1)


def test_consumers_share_a_queue(client: StockClient) -> None:
    """Each gets as many as it has room for."""
    queue_id = client.made()
    with consuming(client, queue_id, credit=3) as one, consuming(client, queue_id, credit=4) as two:
        eventually(lambda: stats(client, queue_id).waiting == 2)
        messages = [pb.NewMessage(payload=b"%d" % n) for n in range(9)]
        client.add_batch(queue_id=queue_id, messages=messages)
        found = payloads(one.messages(3)) + payloads(two.messages(4))

        assert sorted(found) == [b"%d" % n for n in range(7)]
        assert stats(client, queue_id).ready == 2


@STORES
def test_consumers_lose_nothing_under_load(shared_q: RunningQ, store: int) -> None:
    """Producers, and consumers that ack one by one or together: each message comes once."""
    sent = 4_000
    with connected(shared_q.address) as client, ThreadPoolExecutor(8) as threads:
        queue_id = client.made(store)

        def produce(first: int) -> None:
            for at in range(first, sent, 80):
                batch = [pb.NewMessage(payload=b"%d" % n) for n in range(at, at + 20)]
                client.add_batch(queue_id=queue_id, messages=batch)

        def consume(stream: Stream, *, one_by_one: bool) -> list[bytes]:
            found: list[bytes] = []
            for response in stream.call:
                messages = list(response.messages.messages)
                found += payloads(messages)
                for batch in [[each] for each in messages] if one_by_one else [messages]:
                    if batch:
                        stream.ack(*batch)
            return found

        streams = [
            Stream(client, queue_id, credit=10 + 30 * n, lease_duration=LONG) for n in range(4)
        ]
        working = [
            threads.submit(consume, stream, one_by_one=bool(n % 2))
            for n, stream in enumerate(streams)
        ]
        for producing in [threads.submit(produce, 20 * n) for n in range(4)]:
            producing.result()
        eventually(lambda: stats(client, queue_id).acked_total == sent)
        for stream in streams:
            stream.finish()
        found = [payload for work in working for payload in work.result()]

    assert sorted(found, key=int) == [b"%d" % n for n in range(sent)]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"credit": 0}, "open.credit"),
        ({"credit": 10_001}, "open.credit"),
        ({"queue_id": "no such"}, "open.queue_id"),
        ({"lease_duration": Duration(seconds=-1)}, "open.lease_duration"),
        ({"consumer": "x" * 201}, "open.consumer"),
    ],
)
def test_wrong_beginning_is_refused(
    client: StockClient, fields: dict[str, object], field: str
) -> None:
    """By the name of the field."""
    queue_id = client.made()

    refusal = Stream(client, **{"queue_id": queue_id, **fields}).refusal()  # type: ignore[arg-type]

    assert refusal.code == Code.INVALID_ARGUMENT
    assert list(refusal.violations) == [field]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ConsumeRequest(open=pb.ConsumeRequest.Open(credit=1)), "open"),
        (pb.ConsumeRequest(credit=pb.ConsumeRequest.Credit(credit=-1)), "credit.credit"),
        (pb.ConsumeRequest(ack=pb.AckRequest()), "ack.lease_ids"),
        (pb.ConsumeRequest(), "request"),
        (pb.ConsumeRequest.FromString(b"\xfa\x01\x00"), "request"),
    ],
    ids=["open", "credit", "ack", "nothing", "what only a later q knows"],
)
def test_wrong_request_ends_the_stream(
    client: StockClient, request_: pb.ConsumeRequest, field: str
) -> None:
    """By the name of the field; nothing stays on lease."""
    queue_id = client.made()
    client.put(queue_id, b"known")
    stream = Stream(client, queue_id, lease_duration=LONG)
    stream.messages(1)

    stream.send(request_)
    refusal = stream.refusal()

    assert refusal.code == Code.INVALID_ARGUMENT
    assert list(refusal.violations) == [field]
    assert stats(client, queue_id).ready == 1


def test_ack_before_the_opening_is_refused(shared_q: RunningQ) -> None:
    """The first request says what the stream is about."""
    request = pb.ConsumeRequest(ack=pb.AckRequest(lease_ids=["x"]))
    with Http2Client(shared_q.address) as raw:
        reply = raw.call("/proto.Q/Consume", frame(request.SerializeToString()))
        nothing = raw.call("/proto.Q/Consume", b"")

    assert (reply.code, nothing.code) == (Code.INVALID_ARGUMENT.value[0],) * 2
    assert reply.message == "ack: must not be the first request; that one is open"


def test_unknown_queue_is_not_found(client: StockClient) -> None:
    """As for any call."""
    refusal = Stream(client, UNKNOWN_ID).refusal()

    assert (refusal.code, refusal.info.reason) == (Code.NOT_FOUND, "QUEUE_NOT_FOUND")


@STORES
def test_deleted_queue_ends_its_streams(client: StockClient, store: int) -> None:
    """Those that wait, and those that have no room."""
    queue_id = client.made(store)
    client.put(queue_id, b"known")
    full = Stream(client, queue_id, credit=1)
    full.messages(1)
    waiting = Stream(client, queue_id)
    eventually(lambda: stats(client, queue_id).waiting == 1)

    client.delete_queue(queue_id=queue_id)

    for refusal in (full.refusal(), waiting.refusal()):
        assert (refusal.code, refusal.info.reason) == (Code.NOT_FOUND, "QUEUE_NOT_FOUND")


def test_end_of_q_ends_the_streams(q_server: RunningQ) -> None:
    """At once; what they held is ready for the next when q is there again, and not counted."""
    with connected(q_server.address) as client:
        queue_id = client.made(pb.Queue.DISK)
        client.put(queue_id, b"0", b"1")
        full = Stream(client, queue_id, credit=1, lease_duration=LONG)
        waiting = Stream(client, queue_id, credit=5, lease_duration=LONG)
        full.messages(1)
        waiting.messages(1)
        start = time.monotonic()

        q_server.stop()

        assert time.monotonic() - start < AT_ONCE_S
        for refusal in (full.refusal(), waiting.refusal()):
            assert (refusal.code, refusal.info.reason) == (Code.UNAVAILABLE, "SHUTTING_DOWN")
    assert q_server.errors == ""

    q_server.start()
    with connected(q_server.address) as client, consuming(client, queue_id) as stream:
        messages = stream.messages(2)
    assert payloads(messages) == [b"0", b"1"]
    assert [message.delivery_count for message in messages] == [1, 1]


def test_messages_fit_into_what_a_client_takes(client: StockClient) -> None:
    """The largest message, and batches of large ones; a stock client refuses more than 4 MiB."""
    queue_id = client.made()
    large = MESSAGE_BYTES_MAX - 300
    sizes = [large, *[1_000_000] * 9, large, 1]
    client.put(queue_id, *map(bytes, sizes))

    with consuming(client, queue_id, credit=100) as stream:
        assert [len(payload) for payload in payloads(stream.messages(12))] == sizes


def test_stream_may_be_compressed(client: StockClient) -> None:
    """Both ways."""
    queue_id = client.made()
    client.put(queue_id, b"x" * 100_000)

    with consuming(client, queue_id, compression=grpc.Compression.Gzip) as stream:
        assert payloads(stream.messages(1)) == [b"x" * 100_000]


def opened(raw: Http2Client, queue_id: str, credit: int) -> int:
    """A stream opened on a raw connection: its number."""
    stream = raw.open("/proto.Q/Consume")
    opening = pb.ConsumeRequest.Open(queue_id=queue_id, credit=credit, lease_duration=LONG)
    raw.send(stream, frame(pb.ConsumeRequest(open=opening).SerializeToString()))
    return stream


def test_five_hundred_streams_wait_side_by_side(shared_q: RunningQ, client: StockClient) -> None:
    """Each gets the one message that it has room for; the end of all gives all back."""
    queue_id = client.made()
    with ExitStack() as stack:
        raws = [stack.enter_context(Http2Client(shared_q.address)) for _ in range(5)]
        line = [(raw, opened(raw, queue_id, credit=1)) for raw in raws for _ in range(100)]
        eventually(lambda: stats(client, queue_id).waiting == 500)

        messages = [pb.NewMessage(payload=b"%d" % n) for n in range(500)]
        client.add_batch(queue_id=queue_id, messages=messages)
        found = []
        for raw, stream in line:
            [reply] = raw.messages(stream, 1)
            found += payloads(list(pb.ConsumeResponse.FromString(reply).messages.messages))

        assert sorted(found, key=int) == [message.payload for message in messages]
        assert stats(client, queue_id).leased == 500
    eventually(lambda: stats(client, queue_id).ready == 500)


def test_client_that_does_not_read_holds_up_only_itself(
    shared_q: RunningQ, client: StockClient
) -> None:
    """After some megabytes it gets no further messages, whatever its credit; others do."""
    count, size = 900, 60_000
    queue_id = client.made()
    for _ in range(0, count, 50):
        client.add_batch(queue_id=queue_id, messages=[pb.NewMessage(payload=bytes(size))] * 50)

    with ExitStack() as stack:
        opened(stack.enter_context(Http2Client(shared_q.address)), queue_id, credit=10_000)
        held = 0

        def holds_still() -> bool:
            nonlocal held
            time.sleep(0.5)
            before, held = held, stats(client, queue_id).leased
            return 0 < held == before

        eventually(holds_still)
        assert held < count * 2 // 3
        with consuming(client, queue_id, credit=10_000) as other:
            other.messages(count - held)
            stack.close()
            other.messages(held)
