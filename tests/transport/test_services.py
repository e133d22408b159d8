"""The methods of the service: what requests mean, which are refused, and the bytes of replies."""

import asyncio
from collections.abc import Iterable

import pytest
from google.protobuf.duration_pb2 import Duration

from qmq.engine.broker import Broker
from qmq.engine.waiting import Gone
from qmq.errors import DeadlineExceeded, InvalidArgument, QError, QueueEmpty, QueueFull
from qmq.limits import BATCH_MESSAGES_MAX, TAG_KEY_BYTES_MAX, WAIT_S_MAX
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.transport.services import QService
from qmq.values import Store
from qmq.wire import q_pb2 as pb


class Service:
    """The service on a broker in memory, called with messages instead of bytes."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.broker = Broker(
            {Store.MEMORY: MemoryStore()},
            clock=self.clock,
            timer=self.clock,
            new_id=seeded_ids(),
        )
        self._service = QService(self.broker)
        #: Whether the caller of every call has left.
        self.is_gone = False

    async def _is_gone(self) -> bool:
        return self.is_gone

    async def add_batch(
        self, messages: Iterable[pb.NewMessage], *, partial: bool = False, queue_id: str = "jobs"
    ) -> pb.AddBatchResponse:
        """Call AddBatch."""
        request = pb.AddBatchRequest(queue_id=queue_id, messages=messages, partial=partial)
        reply = await self._service.add_batch(request.SerializeToString())
        found = pb.AddBatchResponse.FromString(reply)
        # Another encoding of the same would be read by all, but not be what protobuf writes.
        assert found.SerializeToString() == reply
        return found

    async def pop_batch(
        self,
        messages_max: int,
        *,
        wait: Duration | None = None,
        limit_s: float | None = None,
        queue_id: str = "jobs",
    ) -> list[pb.Message]:
        """Call PopBatch, with a deadline if one is given."""
        request = pb.PopBatchRequest(queue_id=queue_id, messages_max=messages_max, wait=wait)
        method = self._service.waiting_methods()["/proto.Q/PopBatch"]
        reply = await method(request.SerializeToString(), self._is_gone, limit_s)
        found = pb.PopBatchResponse.FromString(reply)
        assert found.SerializeToString() == reply
        return list(found.messages)

    async def pop(
        self, *, wait: Duration | None = None, limit_s: float | None = None, queue_id: str = "jobs"
    ) -> pb.Message:
        """Call Pop, with a deadline if one is given."""
        request = pb.PopRequest(queue_id=queue_id, wait=wait)
        method = self._service.waiting_methods()["/proto.Q/Pop"]
        reply = await method(request.SerializeToString(), self._is_gone, limit_s)
        return pb.PopResponse.FromString(reply).message

    async def stats(
        self, queue_id: str = "", page_size: int = 0, page_token: str = ""
    ) -> pb.StatsResponse:
        """Call Stats."""
        request = pb.StatsRequest(queue_id=queue_id, page_size=page_size, page_token=page_token)
        return pb.StatsResponse.FromString(await self._service.stats(request.SerializeToString()))


@pytest.fixture
async def service() -> Service:
    """Return a service with the empty queue "jobs", for three messages at most."""
    service = Service()
    await service.broker.new_queue(Store.MEMORY, name="jobs", limit=3)
    return service


def messages(*payloads: bytes) -> list[pb.NewMessage]:
    """Make messages to add."""
    return [pb.NewMessage(payload=payload) for payload in payloads]


async def test_batch_is_answered_with_metadata_and_handed_out_with_all(service: Service) -> None:
    """In order, tags included; the payloads are not sent back."""
    tags = [pb.Tag(key="b"), pb.Tag(key="a", value="1")]
    given = [pb.NewMessage(payload=b"1", tags=tags), pb.NewMessage(), pb.NewMessage(payload=b"\0")]

    reply = await service.add_batch(given)
    popped = await service.pop_batch(9)

    assert [message.meta for message in popped] == list(reply.messages)
    assert [message.payload for message in popped] == [b"1", b"", b"\0"]
    assert [list(meta.tags) for meta in reply.messages] == [tags, [], []]
    assert reply.refused == 0


async def test_batch_without_room_for_all_is_refused(service: Service) -> None:
    """Nothing is there of it."""
    with pytest.raises(QueueFull):
        await service.add_batch(messages(b"1", b"2", b"3", b"4"))

    assert await service.pop_batch(9) == []


async def test_partial_batch_says_how_many_were_refused(service: Service) -> None:
    """The last ones; who was taken has metadata."""
    reply = await service.add_batch(messages(b"1", b"2", b"3", b"4", b"5"), partial=True)

    assert (len(reply.messages), reply.refused) == (3, 2)
    assert [message.payload for message in await service.pop_batch(9)] == [b"1", b"2", b"3"]


async def test_empty_batch_is_answered_with_nothing(service: Service) -> None:
    """Which is no error, whether or not the queue is full."""
    await service.add_batch(messages(b"1", b"2", b"3"))

    assert await service.add_batch([]) == pb.AddBatchResponse()
    assert await service.add_batch([], partial=True) == pb.AddBatchResponse()


async def refusal_of(call: object) -> InvalidArgument:
    """Return the refusal of a call that breaks a rule."""
    assert asyncio.iscoroutine(call)
    with pytest.raises(InvalidArgument) as refusal:
        await call
    return refusal.value


async def test_batch_of_too_many_is_refused(service: Service) -> None:
    """By field, number and bound; a thousand are fine."""
    info = await service.broker.new_queue(Store.MEMORY)
    most = [pb.NewMessage()] * BATCH_MESSAGES_MAX

    refusal = await refusal_of(service.add_batch([*most, pb.NewMessage()], queue_id=info.id))
    reply = await service.add_batch(most, queue_id=info.id)

    assert refusal.message == "messages: has 1001 messages, more than batch_messages_max of 1000"
    assert len(reply.messages) == BATCH_MESSAGES_MAX


async def test_wrong_tag_of_a_batch_is_named(service: Service) -> None:
    """By the places of the message and of the tag; nothing of the batch is there."""
    wrong = pb.NewMessage(tags=[pb.Tag(key="k"), pb.Tag(key="k" * (TAG_KEY_BYTES_MAX + 1))])

    refusal = await refusal_of(service.add_batch([pb.NewMessage(), wrong]))

    assert refusal.field == "messages[1].tags[1].key"
    assert await service.pop_batch(9) == []


@pytest.mark.parametrize("messages_max", [0, -1, BATCH_MESSAGES_MAX + 1, 2**31 - 1])
async def test_number_of_messages_to_pop_is_bounded(service: Service, messages_max: int) -> None:
    """It has to be given, too; nothing is taken."""
    await service.add_batch(messages(b"1"))

    refusal = await refusal_of(service.pop_batch(messages_max))

    assert refusal.message == f"messages_max: must be 1 to 1000; got {messages_max}"
    assert len(await service.pop_batch(BATCH_MESSAGES_MAX)) == 1


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
    await service.add_batch(messages(b"1"))

    refusals = [
        await refusal_of(service.pop(wait=wait)),
        await refusal_of(service.pop_batch(9, wait=wait)),
    ]

    assert {refusal.message for refusal in refusals} == {
        f"wait: must be 0 to 60 seconds; got {shown}"
    }
    assert len(await service.pop_batch(9)) == 1


@pytest.mark.parametrize("wait", [None, Duration()])
async def test_who_does_not_say_how_long_does_not_wait(
    service: Service, wait: Duration | None
) -> None:
    """An empty queue is an error for Pop, and none for PopBatch."""
    with pytest.raises(QueueEmpty):
        await service.pop(wait=wait)

    assert await service.pop_batch(9, wait=wait) == []


async def test_call_waits_for_as_long_as_it_says(service: Service) -> None:
    """To the nanosecond, a minute at most."""
    line = [
        asyncio.ensure_future(service.pop(wait=Duration(seconds=WAIT_S_MAX))),
        asyncio.ensure_future(service.pop_batch(9, wait=Duration(seconds=WAIT_S_MAX))),
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
    one = asyncio.ensure_future(service.pop(wait=Duration(seconds=9)))
    many = asyncio.ensure_future(service.pop_batch(9, wait=Duration(seconds=9)))
    await service.clock.until_waiting(2)

    reply = await service.add_batch(messages(b"1", b"2"))
    popped = [await one, *(await many)]

    assert [message.meta for message in popped] == list(reply.messages)


@pytest.mark.parametrize("limit_s", [0.7, 5.0, 59.999])
async def test_deadline_ends_the_waiting(service: Service, limit_s: float) -> None:
    """A little before, so that a message handed out can still arrive; that is told."""
    line: list[asyncio.Future[object]] = [
        asyncio.ensure_future(service.pop(wait=Duration(seconds=60), limit_s=limit_s)),
        asyncio.ensure_future(service.pop_batch(9, wait=Duration(seconds=60), limit_s=limit_s)),
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
        asyncio.ensure_future(service.pop(wait=Duration(seconds=5), limit_s=6)),
        asyncio.ensure_future(service.pop_batch(9, wait=Duration(seconds=5), limit_s=6)),
    ]
    await service.clock.until_waiting(2)
    service.clock.advance(5)
    await asyncio.wait(line)

    assert isinstance(line[0].exception(), QueueEmpty)
    assert line[1].result() == []


async def test_message_that_is_there_is_handed_out_whatever_the_deadline(service: Service) -> None:
    """It needs no waiting."""
    await service.add_batch(messages(b"1", b"2"))

    one = await service.pop(wait=Duration(seconds=60), limit_s=0.001)
    others = await service.pop_batch(9, wait=Duration(seconds=60), limit_s=0.001)

    assert [one.payload, *(message.payload for message in others)] == [b"1", b"2"]


async def test_deadline_that_is_near_leaves_no_time_to_wait(service: Service) -> None:
    """A message that came now could not be told in time."""
    with pytest.raises(DeadlineExceeded):
        await service.pop(wait=Duration(seconds=60), limit_s=0.001)
    with pytest.raises(DeadlineExceeded):
        await service.pop_batch(9, wait=Duration(seconds=60), limit_s=0.001)

    await service.add_batch(messages(b"1"))
    assert len(await service.pop_batch(9)) == 1


async def test_caller_who_left_is_asked_for(service: Service) -> None:
    """Its message stays."""
    line = [
        asyncio.ensure_future(service.pop(wait=Duration(seconds=9))),
        asyncio.ensure_future(service.pop_batch(9, wait=Duration(seconds=9))),
    ]
    await service.clock.until_waiting(2)

    service.is_gone = True
    await service.add_batch(messages(b"1"))
    results = await asyncio.gather(*line, return_exceptions=True)

    assert [type(result) for result in results] == [Gone, Gone]
    assert len(await service.pop_batch(9)) == 1


async def test_stats_tell_of_one_queue_or_of_all(service: Service) -> None:
    """With what each is, what it holds and what went through it."""
    other = await service.broker.new_queue(Store.MEMORY)
    await service.add_batch(messages(b"1", b"22"))
    await service.pop()
    service.clock.advance(61.5)

    one = (await service.stats(queue_id="jobs")).queues
    everything = (await service.stats()).queues
    first_page = await service.stats(page_size=1)

    (jobs,) = one
    assert (jobs.queue.name, jobs.limit, jobs.ready, jobs.waiting) == ("jobs", 3, 1, 0)
    assert (jobs.enqueued_total, jobs.consumed_total) == (2, 1)
    assert jobs.ready_bytes == service.broker.catalog.find("jobs").ready_bytes > 0
    assert jobs.oldest_age == Duration(seconds=61, nanos=499_999_999)
    assert (len(everything), everything[0]) == (2, jobs)
    assert everything[1].queue.meta.id == other.id
    assert (everything[1].limit, everything[1].HasField("oldest_age")) == (-1, False)
    assert list(first_page.queues) == [jobs]
    assert list((await service.stats(page_token=first_page.next_page_token)).queues) == [
        everything[1]
    ]


async def test_stats_count_who_waits(service: Service) -> None:
    """Now, not since the start."""
    call = asyncio.ensure_future(service.pop(wait=Duration(seconds=9)))
    await service.clock.until_waiting()

    during = (await service.stats(queue_id="jobs")).queues[0].waiting
    await service.add_batch(messages(b"1"))
    await call
    after = (await service.stats(queue_id="jobs")).queues[0].waiting

    assert (during, after) == (1, 0)


@pytest.mark.parametrize("reference", ["nobody", "00000000-0000-0000-0000-000000000000"])
async def test_batch_for_no_queue_is_refused(service: Service, reference: str) -> None:
    """As all calls are."""
    for call in (
        service.add_batch([], queue_id=reference),
        service.pop_batch(1, queue_id=reference),
        service.pop(queue_id=reference, wait=Duration(seconds=9)),
        service.stats(queue_id=reference),
    ):
        with pytest.raises(QError) as refusal:
            await call
        assert refusal.value.reason in {"INVALID_ARGUMENT", "QUEUE_NOT_FOUND"}
