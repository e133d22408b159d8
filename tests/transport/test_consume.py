"""The Consume stream: what requests mean, which end it, and the bytes of replies."""

import asyncio
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.duration_pb2 import Duration

from qmq.engine.broker import Broker
from qmq.errors import InvalidArgument, QueueNotFound, ShuttingDown
from qmq.limits import BATCH_MESSAGES_MAX, CONSUMER_BYTES_MAX, CREDIT_MAX
from qmq.testing import ManualClock, seeded_ids
from qmq.transport.asgi import Event
from qmq.transport.consume_service import ConsumeService
from qmq.transport.framing import frame
from qmq.transport.grpc import GrpcApp
from qmq.transport.status import Code
from qmq.values import Store
from qmq.wire import q_pb2 as pb
from tests.engine.callers import turns
from tests.store.disk import Commits, Disks
from tests.transport.streams import Client, Replies, World, ack, credit, opening

PATH: Final = "/proto.Q/Consume"


@pytest.fixture
async def world() -> World:
    """Return a broker with the empty queue "jobs", and another."""
    world = World()
    for name in ("jobs", "others"):
        await world.broker.new_queue(Store.MEMORY, name=name)
    return world


async def test_messages_come_as_a_batch(world: World) -> None:
    """With what the stream was opened with: duration, consumer, and no more than its credit."""
    await world.add(b"0", b"", b"2", b"3")

    async with world.stream(credit=3, consumer="mill", lease_duration=Duration(seconds=5)) as (
        _,
        replies,
    ):
        [reply] = await replies.take()

        messages = reply.messages.messages
        assert [leased.message.payload for leased in messages] == [b"0", b"", b"2"]
        until_ns = {leased.lease_expires_at.ToNanoseconds() for leased in messages}
        assert until_ns == {world.clock.now_ns() + 5_000_000_000}
        ([stats], _) = await world.broker.stats("jobs", 0, "")
        assert stats.consumers == (("mill", 3),)


async def test_requests_are_answered_in_their_order(world: World) -> None:
    """Each with its results; acked messages make room for others."""
    await world.add(b"0", b"1", b"2", b"3")
    async with world.stream(credit=3) as (client, replies):
        [reply] = await replies.take()
        first, second, third = (leased.lease_id for leased in reply.messages.messages)

        client.send(
            pb.ConsumeRequest(
                extend=pb.ExtendRequest(lease_ids=[third], lease_duration=Duration(seconds=9))
            ),
            ack([first, "soup"], queue_id="jobs"),
            pb.ConsumeRequest(
                nack=pb.NackRequest(
                    lease_ids=[second], kind=pb.NackRequest.RELEASE, delay=Duration(seconds=60)
                )
            ),
            ack([first, second]),
        )
        found: list[pb.ConsumeResponse] = []
        while len(found) < 5:
            found += await replies.take()

    answers = [reply for reply in found if reply.WhichOneof("response") != "messages"]
    assert [reply.WhichOneof("response") for reply in answers] == ["extend", "ack", "nack", "ack"]
    expires_at = answers[0].extend.results[0].lease_expires_at
    assert expires_at.ToNanoseconds() == world.clock.now_ns() + 9_000_000_000
    assert [result.code for result in answers[1].ack.results] == [0, Code.INVALID_ARGUMENT]
    assert [result.code for result in answers[2].nack.results] == [0]
    assert [result.code for result in answers[3].ack.results] == [0, Code.FAILED_PRECONDITION]
    [message] = [reply for reply in found if reply.WhichOneof("response") == "messages"]
    assert [leased.message.payload for leased in message.messages.messages] == [b"3"]


async def test_credit_changes(world: World) -> None:
    """To more, and to none, from the next message on."""
    await world.add(b"0", b"1", b"2")
    async with world.stream(credit=1) as (client, replies):
        assert await replies.payloads() == [b"0"]

        client.send(credit(2))
        assert await replies.payloads() == [b"1"]
        client.send(credit(0))
        await turns()
        client.send(credit(CREDIT_MAX))
        assert await replies.payloads() == [b"2"]


@pytest.mark.parametrize(
    ("request_", "field", "words"),
    [
        (opening(credit=0), "open.credit", "must be 1 to 10000; got 0"),
        (opening(credit=CREDIT_MAX + 1), "open.credit", "must be 1 to 10000; got 10001"),
        (opening(credit=-1), "open.credit", "must be 1 to 10000; got -1"),
        (
            opening(queue_id=""),
            "open.queue_id",
            "must be the id or name of a queue, unless there is a selector",
        ),
        (opening(selector="a"), "open.selector", "must be left out where there is a queue_id"),
        (
            opening(queue_id="", selector="a b"),
            "open.selector",
            "at character 3: expected =, !=, in, notin, a comma or the end, got 'b'",
        ),
        (
            opening(lease_duration=Duration()),
            "open.lease_duration",
            "must be 1 millisecond to 12 hours; got 0 seconds",
        ),
        (
            opening(consumer="é" * CONSUMER_BYTES_MAX),
            "open.consumer",
            "takes 400 bytes, more than 200",
        ),
        (ack(["x"]), "ack", "must not be the first request; that one is open"),
        (credit(1), "credit", "must not be the first request; that one is open"),
        (
            pb.ConsumeRequest(),
            "request",
            "must be one of open, credit, ack, nack and extend",
        ),
    ],
)
async def test_wrong_beginning_is_refused(
    world: World, request_: pb.ConsumeRequest, field: str, words: str
) -> None:
    """The refusal names the field."""
    client = Client()
    client.send(request_)
    replies = Replies(world.broker, client)

    error = await replies.end()

    assert isinstance(error, InvalidArgument)
    assert (error.field, error.rule) == (field, words)
    await replies.close()


async def test_stream_without_a_request_is_refused(world: World) -> None:
    """It says what is missing."""
    client = Client()
    client.end()
    replies = Replies(world.broker, client)

    error = await replies.end()

    assert isinstance(error, InvalidArgument)
    assert error.field == "request"
    await replies.close()


async def test_unknown_queue_is_not_found(world: World) -> None:
    """At once, and not when the first message would come."""
    client = Client()
    client.send(opening(queue_id="00000000-0000-0000-0000-000000000000"))
    replies = Replies(world.broker, client)

    assert isinstance(await replies.end(), QueueNotFound)
    await replies.close()


@pytest.mark.parametrize(
    ("request_", "field", "words"),
    [
        (opening(), "open", "must be the first request only"),
        (credit(-1), "credit.credit", "must be 0 to 10000; got -1"),
        (credit(CREDIT_MAX + 1), "credit.credit", "must be 0 to 10000; got 10001"),
        (ack([]), "ack.lease_ids", "must be 1 to 1000 lease ids; got 0"),
        (
            pb.ConsumeRequest(nack=pb.NackRequest(lease_ids=["x"] * (BATCH_MESSAGES_MAX + 1))),
            "nack.lease_ids",
            "must be 1 to 1000 lease ids; got 1001",
        ),
        (
            pb.ConsumeRequest(
                extend=pb.ExtendRequest(lease_ids=["x"], lease_duration=Duration(seconds=-1))
            ),
            "extend.lease_duration",
            "must be 1 millisecond to 12 hours; got -1 seconds",
        ),
        (pb.ConsumeRequest(), "request", "must be one of open, credit, ack, nack and extend"),
    ],
)
async def test_wrong_request_ends_the_stream(
    world: World, request_: pb.ConsumeRequest, field: str, words: str
) -> None:
    """After the answers to those before it; nothing after it is done, nothing stays on lease."""
    await world.add(b"0", b"1")
    async with world.stream() as (client, replies):
        [reply] = await replies.take()
        first, second = (leased.lease_id for leased in reply.messages.messages)

        client.send(ack([first]), request_, ack([second]))
        [answer] = await replies.take()
        error = await replies.end()

    assert [result.code for result in answer.ack.results] == [0]
    assert isinstance(error, InvalidArgument)
    assert (error.field, error.rule) == (field, words)
    assert await world.counts() == (1, 0)


@pytest.mark.parametrize("queue_id", ["others", "nobody", "00000000-0000-0000-0000-000000000000"])
async def test_request_about_another_queue_ends_the_stream(world: World, queue_id: str) -> None:
    """Its leases would be none of that queue."""
    async with world.stream(ack(["x"], queue_id=queue_id)) as (_, replies):
        error = await replies.end()

    assert isinstance(error, InvalidArgument)
    assert error.field == "ack.queue_id"
    assert error.rule.endswith(f"or be left out; got '{queue_id}'")


async def test_what_is_no_message_ends_the_stream(world: World) -> None:
    """With what is wrong with it."""
    await world.add(b"0")
    async with world.stream() as (client, replies):
        assert await replies.payloads() == [b"0"]

        client.send_bytes(frame(b"\xff"))
        error = await replies.end()

    assert isinstance(error, InvalidArgument)
    assert await world.counts() == (1, 0)


async def test_end_of_requests_ends_the_stream(world: World) -> None:
    """After the last answer; what is still on lease is given back."""
    await world.add(b"0", b"1", b"2")
    async with world.stream() as (client, replies):
        [reply] = await replies.take()
        lease_ids = [leased.lease_id for leased in reply.messages.messages]

        client.send(ack(lease_ids[:1]))
        client.end()
        [answer] = await replies.take()

        assert [result.code for result in answer.ack.results] == [0]
        assert await replies.end() is None
        assert await world.counts() == (2, 0)


async def test_last_request_may_be_wrong(world: World) -> None:
    """Which is told, although the client has ended its side with it."""
    await world.add(b"0", b"1")
    async with world.stream() as (client, replies):
        [reply] = await replies.take()
        requests = [ack([reply.messages.messages[0].lease_id]), ack([])]

        body = b"".join(frame(request.SerializeToString()) for request in requests)
        client.send_bytes(body, more_body=False)
        [answer] = await replies.take()
        error = await replies.end()

    assert [result.code for result in answer.ack.results] == [0]
    assert isinstance(error, InvalidArgument)
    assert error.field == "ack.lease_ids"
    assert await world.counts() == (1, 0)


async def test_what_was_begun_is_answered_before_the_end(tmp_path: Path) -> None:
    """Also when the client ends its side while the disk works."""
    disks, commits = Disks(), Commits()
    broker = Broker(
        {Store.DISK: disks.open(tmp_path, commits)}, clock=ManualClock(), new_id=seeded_ids()
    )
    await broker.new_queue(Store.DISK, name="jobs")
    await broker.add_batch("jobs", [(b"", b"0"), (b"", b"1")])
    client = Client()
    client.send(opening())
    replies = Replies(broker, client)
    try:
        [reply] = await replies.take()
        commits.hold()
        client.send(ack([reply.messages.messages[0].lease_id]))
        client.end()
        await commits.reach(commits.count + 1)
        commits.release_all()

        [answer] = await replies.take()
        assert [result.code for result in answer.ack.results] == [0]
        assert await replies.end() is None
        ([stats], _) = await broker.stats("jobs", 0, "")
        assert (stats.ready, stats.leased) == (1, 0)
    finally:
        await replies.close()
        await disks.close()


async def test_closed_stream_gives_back_what_was_never_sent(world: World) -> None:
    """As when the client has left: messages that it did not even get are ready again."""
    await world.add(b"0", b"1")
    async with world.stream(credit=1) as (client, replies):
        assert await replies.payloads() == [b"0"]
        client.send(credit(2))
        await turns()
        assert await world.counts() == (0, 2)

    assert await world.counts() == (2, 0)


async def test_deleted_queue_ends_the_stream(world: World) -> None:
    """Whether or not it has room."""
    await world.add(b"0")
    async with world.stream(credit=1) as (_, full), world.stream() as (_, waiting):
        assert await full.payloads() == [b"0"]
        end = asyncio.ensure_future(waiting.end())
        await turns()

        await world.broker.delete_queue("jobs")

        assert isinstance(await full.end(), QueueNotFound)
        assert isinstance(await end, QueueNotFound)


async def test_consumer_that_does_not_read_gets_no_further_leases(world: World) -> None:
    """One batch waits to be sent; the others are for those who read."""
    for _ in range(4):
        await world.add(*[b"x"] * BATCH_MESSAGES_MAX)

    async with world.stream(credit=CREDIT_MAX) as (_, slow):
        await slow.take()
        await turns(100)
        assert await world.counts() == (2 * BATCH_MESSAGES_MAX, 2 * BATCH_MESSAGES_MAX)

        async with world.stream(credit=CREDIT_MAX) as (_, quick):
            assert len(await quick.payloads()) == BATCH_MESSAGES_MAX
            assert len(await quick.payloads()) == BATCH_MESSAGES_MAX

    assert await world.counts() == (4 * BATCH_MESSAGES_MAX, 0)


async def test_client_that_reads_no_answers_has_to_wait(world: World) -> None:
    """Its requests are not read any more; once it reads, all are answered."""
    await world.add(b"0")
    async with world.stream() as (client, replies):
        assert await replies.payloads() == [b"0"]
        client.send(*[ack(["x"])] * 500)
        client.end()
        await turns(1_000)
        found = await replies.take()
        assert len(found) < 100

        while len(found) < 500:
            found += await replies.take()

        assert await replies.end() is None


async def test_end_of_q_gives_back_what_a_client_holds_that_does_not_read(world: World) -> None:
    """The leases do not wait for the client, who is told when it reads."""
    await world.add(b"0")
    async with world.stream(*[ack(["x"])] * 500) as (_, replies):
        await replies.take()
        await turns(100)
        assert await world.counts() == (0, 1)

        replies.requests.end(ShuttingDown("over"))
        await turns()

        assert await world.counts() == (1, 0)
        await replies.take()
        assert isinstance(await replies.end(), ShuttingDown)


class Call:
    """One call of the app, by a client that may not read."""

    def __init__(self, app: GrpcApp, client: Client, *headers: tuple[bytes, bytes]) -> None:
        self.sent: list[Event] = []
        #: Set while the client reads.
        self.reads = asyncio.Event()
        self._client = client
        scope = {
            "type": "http",
            "path": PATH,
            "headers": [(b"content-type", b"application/grpc"), *headers],
        }
        self.task = asyncio.ensure_future(app(scope, client.receive, self._send))

    async def _send(self, event: Event) -> None:
        if event.get("more_body"):
            await self.reads.wait()
            if self._client.has_left:
                raise ConnectionError
        self.sent.append(event)

    @property
    def code(self) -> Code:
        """How the call ended."""
        [code] = [
            int(value)
            for event in self.sent
            for name, value in event.get("headers", ())
            if name == b"grpc-status"
        ]
        return Code(code)


@pytest.fixture
def app(world: World) -> GrpcApp:
    """Return the stream as the server serves it."""

    async def no_fallback(*_: object) -> None:
        raise AssertionError

    methods = ConsumeService(world.broker).methods()
    return GrpcApp(methods, request_bytes_max=1_000_000, fallback=no_fallback)


@pytest.mark.parametrize("reads", [True, False])
async def test_deadline_ends_the_stream(world: World, app: GrpcApp, *, reads: bool) -> None:
    """Also while the client does not read; nothing stays on lease."""
    await world.add(b"0")
    client = Client()
    client.send(opening())
    call = Call(app, client, (b"grpc-timeout", b"50m"))
    if reads:
        call.reads.set()

    await call.task

    assert call.code is Code.DEADLINE_EXCEEDED
    assert await world.counts() == (1, 0)
    assert app.active == 0


@pytest.mark.parametrize("reads", [True, False])
async def test_client_that_leaves_holds_nothing(world: World, app: GrpcApp, *, reads: bool) -> None:
    """Whether or not something was on its way to it."""
    await world.add(b"0")
    client = Client()
    client.send(opening())
    call = Call(app, client)
    if reads:
        call.reads.set()
    await turns()
    assert await world.counts() == (0, 1)

    client.leave()
    await call.task

    assert await world.counts() == (1, 0)
    assert app.active == 0


async def test_end_of_q_ends_the_streams(world: World, app: GrpcApp) -> None:
    """Those that are open, and those that begin after that."""
    await world.add(b"0")
    before, after = Client(), Client()
    for client in (before, after):
        client.send(opening())
    open_call = Call(app, before)
    open_call.reads.set()
    await turns()
    assert await world.counts() == (0, 1)

    app.end_streams(ShuttingDown("over"))
    await open_call.task
    late_call = Call(app, after)
    await late_call.task

    assert (open_call.code, late_call.code) == (Code.UNAVAILABLE, Code.UNAVAILABLE)
    assert await world.counts() == (1, 0)
