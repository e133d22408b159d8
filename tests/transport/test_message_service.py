"""Adding and popping: what requests mean, which are refused, and the bytes of replies."""

import asyncio
from collections.abc import Iterable

import pytest
from google.protobuf.duration_pb2 import Duration

from qmq.engine.waiting import Gone
from qmq.errors import DeadlineExceeded, QError, QueueEmpty, QueueFull
from qmq.limits import BATCH_MESSAGES_MAX, TAG_KEY_BYTES_MAX, WAIT_S_MAX
from qmq.transport.message_service import MessageService
from qmq.values import Store
from qmq.wire import q_pb2 as pb
from tests.transport.service import Service, refusal_of


@pytest.fixture
async def service() -> Service:
    """Return a service with the empty queue "jobs", for three messages at most."""
    service = Service()
    await service.broker.new_queue(Store.MEMORY, name="jobs", limit=3)
    return service


async def add_batch(
    service: Service,
    messages: Iterable[pb.NewMessage],
    *,
    partial: bool = False,
    queue_id: str = "jobs",
) -> pb.AddBatchResponse:
    """Call AddBatch."""
    reply: pb.AddBatchResponse = await service.call(
        "AddBatch", queue_id=queue_id, messages=messages, partial=partial
    )
    return reply


async def pop_batch(
    service: Service,
    messages_max: int,
    *,
    wait: Duration | None = None,
    limit_s: float | None = None,
    queue_id: str = "jobs",
) -> list[pb.Message]:
    """Call PopBatch, with a deadline if one is given."""
    fields = {"queue_id": queue_id, "messages_max": messages_max, "wait": wait}
    return list((await service.call("PopBatch", limit_s=limit_s, **fields)).messages)


async def pop(
    service: Service,
    *,
    wait: Duration | None = None,
    limit_s: float | None = None,
    queue_id: str = "jobs",
) -> pb.Message:
    """Call Pop, with a deadline if one is given."""
    reply: pb.PopResponse = await service.call("Pop", limit_s=limit_s, queue_id=queue_id, wait=wait)
    return reply.message


def messages(*payloads: bytes) -> list[pb.NewMessage]:
    """Make messages to add."""
    return [pb.NewMessage(payload=payload) for payload in payloads]


async def test_batch_is_answered_with_metadata_and_handed_out_with_all(service: Service) -> None:
    """In order, tags included; the payloads are not sent back."""
    tags = [pb.Tag(key="b"), pb.Tag(key="a", value="1")]
    given = [pb.NewMessage(payload=b"1", tags=tags), pb.NewMessage(), pb.NewMessage(payload=b"\0")]

    reply = await add_batch(service, given)
    popped = await pop_batch(service, 9)

    assert [message.meta for message in popped] == list(reply.messages)
    assert [message.payload for message in popped] == [b"1", b"", b"\0"]
    assert [list(meta.tags) for meta in reply.messages] == [tags, [], []]
    assert reply.refused == 0


@pytest.mark.parametrize("payload", [b"2", b"2" * 20_000], ids=["short", "long"])
async def test_messages_of_a_batch_may_be_anywhere_in_the_request(
    service: Service, payload: bytes
) -> None:
    """Protobuf lets other fields stand between them."""
    parts = [
        pb.AddBatchRequest(queue_id="jobs", messages=messages(b"1")),
        pb.AddBatchRequest(partial=True, messages=messages(payload)),
        pb.AddBatchRequest(messages=messages(b"3", b"4")),
    ]

    add_batch = MessageService(service.broker).add_batch
    encoded = await add_batch(b"".join(map(pb.AddBatchRequest.SerializeToString, parts)))
    reply = pb.AddBatchResponse.FromString(encoded)

    assert (len(reply.messages), reply.refused) == (3, 1)
    assert [message.payload for message in await pop_batch(service, 9)] == [b"1", payload, b"3"]


async def test_batch_without_room_for_all_is_refused(service: Service) -> None:
    """Nothing is there of it."""
    with pytest.raises(QueueFull):
        await add_batch(service, messages(b"1", b"2", b"3", b"4"))

    assert await pop_batch(service, 9) == []


async def test_partial_batch_says_how_many_were_refused(service: Service) -> None:
    """The last ones; who was taken has metadata."""
    reply = await add_batch(service, messages(b"1", b"2", b"3", b"4", b"5"), partial=True)

    assert (len(reply.messages), reply.refused) == (3, 2)
    assert [message.payload for message in await pop_batch(service, 9)] == [b"1", b"2", b"3"]


async def test_empty_batch_is_answered_with_nothing(service: Service) -> None:
    """Which is no error, whether or not the queue is full."""
    await add_batch(service, messages(b"1", b"2", b"3"))

    assert not (await add_batch(service, [])).messages
    reply = await add_batch(service, [], partial=True)
    assert (list(reply.messages), reply.refused) == ([], 0)


async def test_batch_of_too_many_is_refused(service: Service) -> None:
    """By field, number and bound; a thousand are fine."""
    info = await service.broker.new_queue(Store.MEMORY)
    most = [pb.NewMessage()] * BATCH_MESSAGES_MAX

    refusal = await refusal_of(add_batch(service, [*most, pb.NewMessage()], queue_id=info.id))
    reply = await add_batch(service, most, queue_id=info.id)

    assert refusal.message == "messages: has 1001 messages, more than batch_messages_max of 1000"
    assert len(reply.messages) == BATCH_MESSAGES_MAX


async def test_wrong_tag_of_a_batch_is_named(service: Service) -> None:
    """By the places of the message and of the tag; nothing of the batch is there."""
    wrong = pb.NewMessage(tags=[pb.Tag(key="k"), pb.Tag(key="k" * (TAG_KEY_BYTES_MAX + 1))])

    refusal = await refusal_of(add_batch(service, [pb.NewMessage(), wrong]))

    assert refusal.field == "messages[1].tags[1].key"
    assert await pop_batch(service, 9) == []


@pytest.mark.parametrize("messages_max", [0, -1, BATCH_MESSAGES_MAX + 1, 2**31 - 1])
async def test_number_of_messages_to_pop_is_bounded(service: Service, messages_max: int) -> None:
    """It has to be given, too; nothing is taken."""
    await add_batch(service, messages(b"1"))

    refusal = await refusal_of(pop_batch(service, messages_max))

    assert refusal.message == f"messages_max: must be 1 to 1000; got {messages_max}"
    assert len(await pop_batch(service, BATCH_MESSAGES_MAX)) == 1


@pytest.mark.parametrize(
    ("wait", "shown"),
    [
        (Duration(seconds=WAIT_S_MAX, nanos=1), "60"),
        (Duration(seconds=61), "61"),
        (Duration(seconds=-1), "-1"),
        (Duration(nanos=-1), "-1e-09"),
        (Duration(seconds=315_576_000_000), "3.15576e+11"),
    ],
)
async def test_time_to_wait_is_bounded(service: Service, wait: Duration, shown: str) -> None:
    """By field and bound, also when there is a message; nothing is taken."""
    await add_batch(service, messages(b"1"))

    refusals = [
        await refusal_of(pop(service, wait=wait)),
        await refusal_of(pop_batch(service, 9, wait=wait)),
    ]

    assert {refusal.message for refusal in refusals} == {
        f"wait: must be 0 to 60 seconds; got {shown}"
    }
    assert len(await pop_batch(service, 9)) == 1


@pytest.mark.parametrize("wait", [None, Duration()])
async def test_who_does_not_say_how_long_does_not_wait(
    service: Service, wait: Duration | None
) -> None:
    """An empty queue is an error for Pop, and none for PopBatch."""
    with pytest.raises(QueueEmpty):
        await pop(service, wait=wait)

    assert await pop_batch(service, 9, wait=wait) == []


async def test_call_waits_for_as_long_as_it_says(service: Service) -> None:
    """To the nanosecond, a minute at most."""
    line = [
        asyncio.ensure_future(pop(service, wait=Duration(seconds=WAIT_S_MAX))),
        asyncio.ensure_future(pop_batch(service, 9, wait=Duration(seconds=WAIT_S_MAX))),
    ]
    await service.clock.until_waiting(2)

    service.clock.advance(WAIT_S_MAX - 1e-9)
    await service.clock.until_waiting(2)
    were_waiting = [not call.done() for call in line]
    service.clock.advance(1e-9)
    await asyncio.wait(line)

    assert were_waiting == [True, True]
    assert isinstance(line[0].exception(), QueueEmpty)
    assert line[1].result() == []


async def test_message_ends_the_waiting(service: Service) -> None:
    """Of a Pop as of a PopBatch."""
    one = asyncio.ensure_future(pop(service, wait=Duration(seconds=9)))
    many = asyncio.ensure_future(pop_batch(service, 9, wait=Duration(seconds=9)))
    await service.clock.until_waiting(2)

    reply = await add_batch(service, messages(b"1", b"2"))
    popped = [await one, *(await many)]

    assert [message.meta for message in popped] == list(reply.messages)


@pytest.mark.parametrize("limit_s", [0.7, 5.0, 59.999])
async def test_deadline_ends_the_waiting(service: Service, limit_s: float) -> None:
    """A little before, so that a message handed out can still arrive; that is told."""
    line: list[asyncio.Future[object]] = [
        asyncio.ensure_future(pop(service, wait=Duration(seconds=60), limit_s=limit_s)),
        asyncio.ensure_future(pop_batch(service, 9, wait=Duration(seconds=60), limit_s=limit_s)),
    ]
    await service.clock.until_waiting(2)

    service.clock.advance(limit_s - 0.05)
    await service.clock.until_waiting(2)
    were_waiting = [not call.done() for call in line]
    service.clock.advance(0.05 - 1e-6)
    await asyncio.wait(line)

    assert were_waiting == [True, True]
    for call in line:
        error = call.exception()
        assert isinstance(error, DeadlineExceeded)
        assert error.message == "no message came before the call's deadline; none was taken"


async def test_deadline_after_the_waiting_has_no_say(service: Service) -> None:
    """The queue is empty then, as it was said to be."""
    line: list[asyncio.Future[object]] = [
        asyncio.ensure_future(pop(service, wait=Duration(seconds=5), limit_s=6)),
        asyncio.ensure_future(pop_batch(service, 9, wait=Duration(seconds=5), limit_s=6)),
    ]
    await service.clock.until_waiting(2)
    service.clock.advance(5)
    await asyncio.wait(line)

    assert isinstance(line[0].exception(), QueueEmpty)
    assert line[1].result() == []


async def test_message_that_is_there_is_handed_out_whatever_the_deadline(service: Service) -> None:
    """It needs no waiting."""
    await add_batch(service, messages(b"1", b"2"))

    one = await pop(service, wait=Duration(seconds=60), limit_s=0.001)
    others = await pop_batch(service, 9, wait=Duration(seconds=60), limit_s=0.001)

    assert [one.payload, *(message.payload for message in others)] == [b"1", b"2"]


async def test_deadline_that_is_near_leaves_no_time_to_wait(service: Service) -> None:
    """A message that came now could not be told in time."""
    with pytest.raises(DeadlineExceeded):
        await pop(service, wait=Duration(seconds=60), limit_s=0.001)
    with pytest.raises(DeadlineExceeded):
        await pop_batch(service, 9, wait=Duration(seconds=60), limit_s=0.001)

    await add_batch(service, messages(b"1"))
    assert len(await pop_batch(service, 9)) == 1


async def test_caller_who_left_is_asked_for(service: Service) -> None:
    """Its message stays."""
    line = [
        asyncio.ensure_future(pop(service, wait=Duration(seconds=9))),
        asyncio.ensure_future(pop_batch(service, 9, wait=Duration(seconds=9))),
    ]
    await service.clock.until_waiting(2)

    service.is_gone = True
    await add_batch(service, messages(b"1"))
    results = await asyncio.gather(*line, return_exceptions=True)

    assert [type(result) for result in results] == [Gone, Gone]
    assert len(await pop_batch(service, 9)) == 1


@pytest.mark.parametrize("reference", ["nobody", "00000000-0000-0000-0000-000000000000"])
async def test_batch_for_no_queue_is_refused(service: Service, reference: str) -> None:
    """As all calls are."""
    for call in (
        add_batch(service, [], queue_id=reference),
        pop_batch(service, 1, queue_id=reference),
        pop(service, queue_id=reference, wait=Duration(seconds=9)),
    ):
        with pytest.raises(QError) as refusal:
            await call
        assert refusal.value.reason in {"INVALID_ARGUMENT", "QUEUE_NOT_FOUND"}
