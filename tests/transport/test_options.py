"""Options of messages: what requests mean, which are refused, and what replies say."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from qmq.errors import DedupFull, QueueFull
from qmq.limits import AHEAD_S_MAX, DEDUP_IDS_MAX
from qmq.model.dedup import Known
from qmq.testing import START_NS
from qmq.values import NS_PER_S, Store, utc
from qmq.wire import q_pb2 as pb
from qmq.wire.times import moment_message
from tests.transport.service import Service, refusal_of

#: What refuses a priority.
PRIORITY = "must be 0 to 255; got 256"


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """Return a service with the empty queue "jobs"."""
    service = Service()
    await service.broker.new_queue(Store.MEMORY, name="jobs")
    yield service
    await service.broker.close()


async def add(
    service: Service, payload: bytes = b"x", queue_id: str = "jobs", **options: object
) -> pb.AddResponse:
    """Add a message with options."""
    message = {"payload": payload, "options": options}
    reply: pb.AddResponse = await service.call("Add", queue_id=queue_id, message=message)
    return reply


async def test_reply_has_moments_for_durations(service: Service) -> None:
    """In the reply to the Add, and wherever the message is shown or handed out."""
    times = {"delay": Duration(seconds=5), "ttl": Duration(seconds=60)}
    options = {**times, "priority": 7, "dedup_id": "a"}

    reply = await service.call(
        "Add", queue_id="jobs", message={"payload": b"x", "options": options}
    )
    added = reply.message
    (browsed,) = (await service.call("Browse", queue_id="jobs")).messages
    service.clock.advance(5)
    popped = (await service.call("Pop", queue_id="jobs")).message

    assert added.options == pb.MessageOptions(
        available_at=moment_message(START_NS + 5 * NS_PER_S),
        expires_at=moment_message(START_NS + 60 * NS_PER_S),
        priority=7,
        dedup_id="a",
    )
    assert (browsed.state, browsed.until) == (pb.BrowseRequest.DELAYED, added.options.available_at)
    assert added == browsed.message == popped


async def test_message_without_options_has_none(service: Service) -> None:
    """Also if they were sent empty."""
    plain = await service.call("Add", queue_id="jobs", message=pb.NewMessage())
    empty = await add(service)

    assert not plain.message.HasField("options")
    assert not empty.message.HasField("options")
    assert not plain.deduplicated


async def test_delay_of_the_queue_is_that_of_its_messages(service: Service) -> None:
    """Unless they say something else; the reply tells until when."""
    settings = pb.QueueSettings(delay=Duration(seconds=9))
    await service.call("NewQueue", store=pb.Queue.MEMORY, name="later", settings=settings)

    plain = await service.call("Add", queue_id="later", message=pb.NewMessage(payload=b"1"))
    await add(service, b"2", "later", delay=Duration())
    await add(service, b"3", "later", available_at=Timestamp(seconds=1))
    now = await service.payloads("later")
    service.clock.advance(9)

    assert plain.message.options.available_at == moment_message(START_NS + 9 * NS_PER_S)
    assert now == [b"2", b"3"]
    assert await service.payloads("later") == [b"1"]


async def test_priority_goes_before_arrival(service: Service) -> None:
    """In a batch too."""
    priorities = [0, 200, 7, 200, 0]
    messages = [
        pb.NewMessage(payload=b"%d" % at, options=pb.MessageOptions(priority=priority))
        for at, priority in enumerate(priorities)
    ]
    await service.call("AddBatch", queue_id="jobs", messages=messages)

    assert await service.payloads() == [b"1", b"3", b"2", b"0", b"4"]


async def test_message_is_of_no_use_after_its_ttl(service: Service) -> None:
    """By its own word, or by that of its queue if that is shorter."""
    settings = pb.QueueSettings(ttl=Duration(seconds=10))
    await service.call("NewQueue", store=pb.Queue.MEMORY, name="short", settings=settings)
    moment = moment_message(START_NS + 5 * NS_PER_S)
    await add(service, b"1", ttl=Duration(seconds=5))
    await add(service, b"2", expires_at=moment)
    await add(service, b"3", ttl=Duration(seconds=6))
    await add(service, b"4", "short", ttl=Duration(seconds=20))

    service.clock.advance(5)
    after_five = await service.payloads()
    # That of the queue counts from the sequence number, which may be some nanoseconds later.
    service.clock.advance(5.001)

    assert after_five == [b"3"]
    assert await service.payloads("short") == []
    counts = (await service.call("Stats")).queues
    assert [each.expired_total for each in counts] == [2, 1]


async def test_repeat_is_answered_with_the_first_ones_metadata(service: Service) -> None:
    """Whatever else is in it, and also when the first one has left."""
    tags = [pb.Tag(key="k", value="v")]
    message = pb.NewMessage(payload=b"1", tags=tags, options=pb.MessageOptions(dedup_id="order 7"))

    first = await service.call("Add", queue_id="jobs", message=message)
    popped = await service.payloads()
    repeat = await add(service, b"2", dedup_id="order 7")
    other = await add(service, b"3", dedup_id="order 8")

    assert (first.deduplicated, first.message.payload) == (False, b"1")
    assert repeat == pb.AddResponse(
        message=pb.Message(meta=first.message.meta),
        durability=pb.Durability.MEMORY,
        deduplicated=True,
    )
    assert not other.deduplicated
    assert (popped, await service.payloads()) == ([b"1"], [b"3"])


async def test_repeat_is_known_for_as_long_as_the_window_lasts(service: Service) -> None:
    """From its Add on; a repeat does not make that longer."""
    settings = pb.QueueSettings(dedup_window=Duration(seconds=10))
    await service.call("UpdateQueue", queue_id="jobs", settings=settings)
    replies = [await add(service, dedup_id="a")]
    for seconds in (6, 3, 1):
        service.clock.advance(seconds)
        replies.append(await add(service, dedup_id="a"))

    assert [reply.deduplicated for reply in replies] == [False, True, True, False]
    (stats,) = (await service.call("Stats")).queues
    assert (stats.deduplicated_total, stats.dedup_ids, stats.enqueued_total) == (2, 1, 2)


async def test_repeats_of_a_batch_are_named_by_their_places(service: Service) -> None:
    """Those of messages before it, and of one in the same batch."""
    first = await add(service, b"0", dedup_id="a")
    messages = [
        pb.NewMessage(payload=b"%d" % at, options=pb.MessageOptions(dedup_id=dedup_id))
        for at, dedup_id in enumerate(["b", "a", "", "b", ""], 1)
    ]

    reply = await service.call("AddBatch", queue_id="jobs", messages=messages)

    assert list(reply.deduplicated) == [1, 3]
    assert (len(reply.messages), reply.refused) == (5, 0)
    assert reply.messages[1] == first.message.meta
    assert reply.messages[3] == reply.messages[0]
    assert len({meta.id for meta in reply.messages}) == 4
    assert await service.payloads() == [b"0", b"1", b"3", b"5"]


async def test_partial_batch_ends_with_the_first_message_without_room(service: Service) -> None:
    """A repeat needs none."""
    await service.call("UpdateQueue", queue_id="jobs", limit=2)
    await add(service, b"0", dedup_id="a")
    messages = [
        pb.NewMessage(payload=payload, options=pb.MessageOptions(dedup_id=dedup_id))
        for payload, dedup_id in ((b"1", "b"), (b"2", "a"), (b"3", "c"), (b"4", "a"))
    ]

    reply = await service.call("AddBatch", queue_id="jobs", messages=messages, partial=True)

    assert (len(reply.messages), reply.refused, list(reply.deduplicated)) == (2, 2, [1])
    assert await service.payloads() == [b"0", b"1"]


async def test_complete_takes_options(service: Service) -> None:
    """Of each message, where it stands."""
    adds = [
        {"queue_id": "jobs", "messages": [{"payload": b"1"}, {"payload": b"2", "options": high}]}
        for high in ({"priority": 5}, {"priority": 6})
    ]
    await service.call("Complete", adds=adds)

    assert await service.payloads() == [b"2", b"2", b"1", b"1"]


@pytest.mark.parametrize(
    ("options", "field", "rule"),
    [
        ({"priority": 256}, "priority", PRIORITY),
        ({"delay": Duration(seconds=-1)}, "delay", "must be 0 to 10 years; got -1 seconds"),
        (
            {"delay": Duration(), "available_at": Timestamp()},
            "delay",
            "cannot be given together with available_at",
        ),
        (
            {"ttl": Duration(seconds=1), "expires_at": Timestamp()},
            "ttl",
            "cannot be given together with expires_at",
        ),
        (
            {"expires_at": moment_message(START_NS)},
            "expires_at",
            f"must be later than now; {utc(START_NS)} has passed",
        ),
        (
            {"expires_at": Timestamp(seconds=1)},
            "expires_at",
            "must be later than now; 1970-01-01T00:00:01.000Z has passed",
        ),
        (
            {"available_at": Timestamp(seconds=START_NS // NS_PER_S + AHEAD_S_MAX + 1)},
            "available_at",
            "must be within 10 years from now; got 2033-11-14T22:13:21.000Z",
        ),
        (
            {"expires_at": Timestamp(seconds=253_402_300_799)},
            "expires_at",
            "must be within 10 years from now; got 9999-12-31T23:59:59.000Z",
        ),
    ],
)
async def test_options_are_refused_where_they_stand(
    service: Service, options: Mapping[str, Any], field: str, rule: str
) -> None:
    """In an Add, a batch and a Complete, of which nothing is there then."""
    bad = pb.NewMessage(options=pb.MessageOptions(**options))
    good = pb.NewMessage(options=pb.MessageOptions(dedup_id="a"))

    refusals = [
        await refusal_of(service.call("Add", queue_id="jobs", message=bad)),
        await refusal_of(service.call("AddBatch", queue_id="jobs", messages=[good, bad])),
        await refusal_of(
            service.call("Complete", adds=[{"queue_id": "jobs", "messages": [good, bad]}])
        ),
    ]

    places = ("message", "messages[1]", "adds[0].messages[1]")
    assert [each.field for each in refusals] == [f"{place}.options.{field}" for place in places]
    assert {each.rule for each in refusals} == {rule}
    (stats,) = (await service.call("Stats")).queues
    assert (stats.enqueued_total, stats.dedup_ids) == (0, 0)


async def test_moment_may_be_ten_years_ahead(service: Service) -> None:
    """As a delay and a ttl may."""
    last = moment_message(START_NS + AHEAD_S_MAX * NS_PER_S)

    by_moment = (await add(service, available_at=last, expires_at=last)).message.options
    ten_years = Duration(seconds=AHEAD_S_MAX)
    by_duration = (await add(service, delay=ten_years, ttl=ten_years)).message.options

    assert by_moment == by_duration == pb.MessageOptions(available_at=last, expires_at=last)


async def test_queue_that_remembers_no_more_refuses_by_name(service: Service) -> None:
    """A message without a dedup_id goes on, and so does a repeat."""
    await add(service, dedup_id="a")
    queue = service.broker.catalog.find("jobs")
    known = Known(1, "b", b"", START_NS + 30 * NS_PER_S)
    # As if one message had been added a million times, which takes a second rather than minutes.
    for _ in range(DEDUP_IDS_MAX - 1):
        queue.dedup.add(known)

    refusals = []
    for name, fields in (
        ("Add", {"message": {"options": {"dedup_id": "c"}}, "queue_id": "jobs"}),
        ("AddBatch", {"messages": [{"options": {"dedup_id": "c"}}], "queue_id": "jobs"}),
        (
            "Complete",
            {"adds": [{"queue_id": "jobs", "messages": [{"options": {"dedup_id": "c"}}]}]},
        ),
    ):
        with pytest.raises(DedupFull) as refusal:
            await service.call(name, **fields)
        refusals.append(refusal.value)
    repeat = await add(service, dedup_id="a")
    await service.add(b"plain")

    assert {(each.reason, each.metadata["limit"]) for each in refusals} == {
        ("DEDUP_FULL", "dedup_ids_max")
    }
    assert refusals[0].metadata == {
        "limit": "dedup_ids_max",
        "value": "1000000",
        "current": "1000000",
    }
    assert repeat.deduplicated
    assert await service.payloads() == [b"x", b"plain"]


async def test_bytes_are_a_limit_too(service: Service) -> None:
    """It is named, with what there may be and what there is."""
    await service.add(b"x" * 100)
    (stats,) = (await service.call("Stats")).queues
    limit = 2 * stats.bytes
    await service.call("UpdateQueue", queue_id="jobs", settings={"bytes_limit": limit})
    await service.add(b"x" * 100)

    with pytest.raises(QueueFull) as refusal:
        await service.add(b"")

    assert refusal.value.metadata == {
        "limit": "bytes_limit",
        "value": str(limit),
        "current": str(limit),
    }
    assert refusal.value.retry_after_s
