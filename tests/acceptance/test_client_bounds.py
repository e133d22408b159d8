"""What clients may have q hold for them: calls, requests that do not come in."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.rpc import error_details_pb2

from qmq.wire import q_pb2 as pb
from tests.acceptance.http2 import GRPC, Http2Client, frame
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import connected

INVALID, DEADLINE_EXCEEDED, EXHAUSTED = 3, 4, 8
POP, ADD = "/proto.Q/Pop", "/proto.Q/Add"
LARGE = 1_000_000

#: How many calls these q may have in hand.
CALLS_MAX = 5


def _small(directory: Path, *arguments: str) -> Iterator[RunningQ]:
    q = RunningQ(directory)
    q.start(f"--calls-max={CALLS_MAX}", f"--transfer-bytes-max={2 * LARGE}", *arguments)
    with connected(q.address) as client:
        client.new_queue(store=pb.Queue.MEMORY, name="jobs", limit=-1)
    yield q
    q.stop()


@pytest.fixture(scope="module")
def any_small_q(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningQ]:
    """A q that takes little of everything, with the empty queue "jobs", for all tests here."""
    yield from _small(tmp_path_factory.mktemp("small_q"))


@pytest.fixture(scope="module")
def any_hasty_q(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningQ]:
    """One that takes only what comes in within a second."""
    yield from _small(tmp_path_factory.mktemp("hasty_q"), "--transfer-timeout=1")


def has_room(q: RunningQ) -> bool:
    """Whether it takes as many calls as it may have in hand: so nothing else is."""
    with Http2Client(q.address) as raw:
        streams = [raw.open("/proto.Q/ListQueues", GRPC) for _ in range(CALLS_MAX)]
        for stream in streams:
            raw.send(stream, frame(b"")[:1])
        raw.ping()
        for stream in streams:
            raw.send(stream, frame(b"")[1:], end=True)
        took_all = all(raw.reply(stream).code == 0 for stream in streams)
        # A call is in hand until a moment after its reply: it is over when a later one is answered.
        return raw.call("/proto.Q/ListQueues").code == 0 and took_all


def with_room(q: RunningQ) -> RunningQ:
    """Return a q when it knows that those are gone who called it before."""
    deadline = time.monotonic() + 60
    while not has_room(q):
        assert time.monotonic() < deadline
    return q


@pytest.fixture
def small_q(any_small_q: RunningQ) -> RunningQ:
    """A q that takes little of everything, and has nothing to do."""
    return with_room(any_small_q)


@pytest.fixture
def hasty_q(any_hasty_q: RunningQ) -> RunningQ:
    """One that takes only what comes in within a second."""
    return with_room(any_hasty_q)


def limit_of(details: error_details_pb2.ErrorInfo) -> tuple[str, str]:
    """Return why a call was refused, and by which limit."""
    return details.reason, details.metadata["limit"]


@pytest.mark.parametrize("path", [POP, "/proto.Q/Consume"])
@pytest.mark.parametrize("part", [b"", b"\0\0\0", frame(b"abc", size=LARGE)])
def test_a_request_that_does_not_come_in_is_ended(
    hasty_q: RunningQ, path: str, part: bytes
) -> None:
    """Whether its client has sent nothing of it or a part."""
    if path != POP and len(part) > 3:
        part = frame(b"abc", size=1_000)
    with Http2Client(hasty_q.address) as raw:
        stream = raw.open(path, GRPC)
        raw.send(stream, part)
        reply = raw.reply(stream)

    assert reply.code == DEADLINE_EXCEEDED
    found = limit_of(reply.detail(error_details_pb2.ErrorInfo()))
    assert found == ("REQUEST_TIMEOUT", "transfer_timeout")


def test_who_waits_and_who_consumes_may_be_silent(hasty_q: RunningQ) -> None:
    """Longer than a request may take, twice over."""
    request = pb.PopRequest(queue_id="jobs")
    request.wait.FromMilliseconds(2_500)
    opening = pb.ConsumeRequest(open=pb.ConsumeRequest.Open(queue_id="jobs", credit=1))
    with Http2Client(hasty_q.address) as raw:
        consuming = raw.open("/proto.Q/Consume", GRPC)
        raw.send(consuming, frame(opening.SerializeToString()))
        reply = raw.call(POP, frame(request.SerializeToString()))
        raw.end(consuming)

        assert reply.detail(error_details_pb2.ErrorInfo()).reason == "QUEUE_EMPTY"
        assert raw.reply(consuming).code == 0


def test_a_call_too_many_is_refused(small_q: RunningQ) -> None:
    """At once, with the limit and a time to wait; there is room again when others are over."""
    request = pb.PopRequest(queue_id="jobs")
    request.wait.FromSeconds(30)
    with Http2Client(small_q.address) as raw:
        waiting = [raw.open(POP, GRPC) for _ in range(CALLS_MAX)]
        for stream in waiting:
            raw.send(stream, frame(request.SerializeToString()), end=True)
        raw.ping()
        reply = raw.call(POP, frame(request.SerializeToString()))
        stream = raw.open("/proto.Q/Consume", GRPC)
        consume = raw.reply(stream)

        for each in (reply, consume):
            assert each.code == EXHAUSTED
            found = limit_of(each.detail(error_details_pb2.ErrorInfo()))
            assert found == ("OVERLOADED", "calls_max")
            assert each.detail(error_details_pb2.RetryInfo()).retry_delay.seconds == 1


def test_calls_that_wait_for_nobody_make_room(small_q: RunningQ) -> None:
    """When their clients have left, whether by a cancelled call or with their connection."""
    request = pb.PopRequest(queue_id="jobs")
    request.wait.FromSeconds(60)
    with Http2Client(small_q.address) as raw:
        for number in range(CALLS_MAX):
            stream = raw.open(POP, GRPC)
            raw.send(stream, frame(request.SerializeToString()), end=True)
            if number % 2:
                raw.reset(stream)
        raw.ping()

    with_room(small_q)


def test_large_requests_too_many_are_refused_by_their_heads(small_q: RunningQ) -> None:
    """Before their bodies have come."""
    with Http2Client(small_q.address) as raw:
        for _ in range(2):
            raw.send(raw.open(ADD, GRPC), frame(b"abc", size=LARGE))
        raw.ping()
        stream = raw.open(ADD, GRPC)
        raw.send(stream, frame(b"abc", size=LARGE))
        reply = raw.reply(stream)

    assert reply.code == EXHAUSTED
    found = limit_of(reply.detail(error_details_pb2.ErrorInfo()))
    assert found == ("OVERLOADED", "transfer_bytes_max")


def test_messages_without_end_are_refused_at_the_second(small_q: RunningQ) -> None:
    """A call of one request message is not read on when it has sent two."""
    with Http2Client(small_q.address) as raw:
        stream = raw.open(POP, GRPC)
        raw.send(stream, frame(b"") * 2)
        reply = raw.reply(stream)

    assert (reply.code, reply.message) == (
        INVALID,
        "request: has 2 gRPC messages, must have one",
    )
