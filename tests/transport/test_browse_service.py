"""Browse and Explain: what requests mean, which are refused, and the bytes of replies."""

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from qmq.descriptions import MessageOptions
from qmq.errors import MessageNotFound, QueueNotFound
from qmq.testing import START_NS
from qmq.values import NS_PER_S, Store
from qmq.wire import q_pb2 as pb
from tests.transport.service import Service, refusal_of

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"

State = pb.BrowseRequest


@pytest.fixture
async def service() -> Service:
    """Return a service with the MEMORY queue "jobs": a message leased, one failed, one fresh."""
    service = Service()
    await service.broker.new_queue(Store.MEMORY, name="jobs")
    tags = [[], [pb.Tag(key="k", value="v"), pb.Tag(key="other")], []]
    messages = [pb.NewMessage(payload=b"%d" % n, tags=tags[n]) for n in range(3)]
    await service.call("AddBatch", queue_id="jobs", messages=messages)
    held = await service.call("Lease", queue_id="jobs", messages_max=2, consumer="worker")
    failed = [held.messages[1].lease_id]
    await service.call("Nack", queue_id="jobs", lease_ids=failed, reason="bad", kind="FAIL")
    service.clock.advance(0.5)
    return service


async def payloads(service: Service, **fields: Any) -> list[bytes]:  # noqa: ANN401
    """Browse a page of "jobs", and return what is in its messages."""
    reply = await service.call("Browse", queue_id="jobs", **fields)
    return [each.message.payload for each in reply.messages]


def after(seconds: float) -> Timestamp:
    """Return a moment after the start."""
    moment = Timestamp()
    moment.FromNanoseconds(START_NS + round(seconds * NS_PER_S))
    return moment


async def test_browse_shows_messages_with_what_is_known_of_them(service: Service) -> None:
    """All that a BrowsedMessage has, and no token after the last page."""
    reply = await service.call("Browse", queue_id="jobs")

    leased, delayed, fresh = reply.messages
    assert (leased.state, delayed.state, fresh.state) == (State.LEASED, State.DELAYED, State.READY)
    assert (leased.consumer, leased.until, leased.delivery_count) == ("worker", after(30), 1)
    assert (delayed.consumer, delayed.until, delayed.delivery_count) == ("", after(1), 1)
    assert (fresh.consumer, fresh.HasField("until"), fresh.delivery_count) == ("", False, 0)
    assert leased.age == Duration(nanos=500_000_000)
    (attempt,) = delayed.message.attempts
    assert (attempt.outcome, attempt.reason) == (pb.Attempt.FAILED, "bad")
    assert [tag.key for tag in delayed.message.meta.tags] == ["k", "other"]
    assert reply.next_page_token == ""


async def test_browse_goes_on_where_the_token_says(service: Service) -> None:
    """Page by page, as many on each as are asked for."""
    first = await service.call("Browse", queue_id="jobs", page_size=2)

    assert len(first.messages) == 2
    assert await payloads(service, page_token=first.next_page_token) == [b"2"]


async def test_browse_filters(service: Service) -> None:
    """By each of the fields of the request, and by all of them together."""
    old = Duration(seconds=1)

    assert await payloads(service, states=[State.READY]) == [b"2"]
    assert await payloads(service, states=[State.LEASED, State.DELAYED]) == [b"0", b"1"]
    assert await payloads(service, tags=[pb.Tag(key="other"), pb.Tag(key="k", value="v")]) == [b"1"]
    assert await payloads(service, age_max=Duration(nanos=400_000_000)) == []
    assert await payloads(service, age_min=old) == []
    assert await payloads(service, age_min=Duration(nanos=1), age_max=old) == [b"0", b"1", b"2"]
    assert await payloads(service, states=[State.READY], tags=[pb.Tag(key="other")]) == []
    assert await payloads(service, selector="k in (u, v), other") == [b"1"]
    assert await payloads(service, selector="!k", age_min=Duration()) == [b"0", b"2"]


async def test_browse_filters_by_group_and_fair_key(service: Service) -> None:
    """By what messages were added with."""
    for group_id, fair_key in (("g", ""), ("g", "k"), ("", "k")):
        options = MessageOptions(group_id=group_id, fair_key=fair_key)
        await service.broker.add_with("jobs", f"{group_id}{fair_key}".encode(), b"", options)

    assert await payloads(service, group_id="g") == [b"g", b"gk"]
    assert await payloads(service, fair_key="k") == [b"gk", b"k"]
    assert await payloads(service, group_id="g", fair_key="k") == [b"gk"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"page_size": -1}, "page_size: must be 0 (100) to 1000; got -1"),
        ({"page_size": 1_001}, "page_size: must be 0 (100) to 1000; got 1001"),
        ({"page_token": "?"}, "page_token: must be a next_page_token from an earlier reply"),
        (
            {"states": [State.READY, State.UNKNOWN]},
            "states[1]: must be one of READY (1), LEASED (2), DELAYED (3); got 0",
        ),
        (
            {"states": [77]},
            "states[0]: must be one of READY (1), LEASED (2), DELAYED (3); got 77",
        ),
        ({"age_min": Duration(seconds=-1)}, "age_min: must not be less than 0; got -1 seconds"),
        ({"age_max": Duration(seconds=-1)}, "age_max: must not be less than 0; got -1 seconds"),
        (
            {"age_min": Duration(seconds=2), "age_max": Duration(seconds=1)},
            "age_min: must not be more than age_max",
        ),
        ({"tags": [pb.Tag(key="k" * 1_025)]}, "tags[0].key: takes 1025 bytes, more than 1024"),
        ({"selector": "k=v,"}, "selector: at its end: expected a key"),
        ({"selector": "k" * 1_025}, "selector: must have up to 1024 bytes, got 1025 bytes"),
    ],
)
async def test_browse_that_breaks_a_rule_is_refused(
    service: Service, fields: dict[str, Any], message: str
) -> None:
    """The error names the field, the rule and the value."""
    refusal = await refusal_of(service.call("Browse", queue_id="jobs", **fields))

    assert refusal.message == message


@pytest.mark.parametrize("with_moment", [False, True])
async def test_explain_says_where_a_message_is_and_why(service: Service, with_moment: bool) -> None:  # noqa: FBT001
    """The message as Browse shows it, what is before it, and sentences."""
    await service.add(b"3")
    service.clock.advance(1)
    shown = (await service.call("Browse", queue_id="jobs")).messages[-1]
    meta = shown.message.meta
    fields = {"created": meta.created} if with_moment else {}

    reply = await service.call("Explain", queue_id="jobs", message_id=meta.id, **fields)

    assert reply.message == shown
    assert reply.ahead == 2
    assert reply.reasons[0] == "2 messages are handed out before it"


async def test_explain_of_a_message_with_nothing_before_it(service: Service) -> None:
    """What is 0 is not on the wire."""
    meta = (await service.call("Browse", queue_id="jobs")).messages[2].message.meta

    reply = await service.call("Explain", queue_id="jobs", message_id=meta.id)

    assert reply.ahead == 0
    assert len(reply.reasons) == 2


async def test_explain_of_what_is_not_there_is_an_error(service: Service) -> None:
    """No such queue, no such message, or no id of one."""
    with pytest.raises(QueueNotFound):
        await service.call("Explain", queue_id=UNKNOWN_ID, message_id=UNKNOWN_ID)
    with pytest.raises(MessageNotFound):
        await service.call("Explain", queue_id="jobs", message_id=UNKNOWN_ID)
    refusal = await refusal_of(service.call("Explain", queue_id="jobs", message_id="x"))
    assert refusal.message == "message_id: 'x' is no UUID"


async def test_browse_of_no_queue_is_an_error(service: Service) -> None:
    """As for every other call."""
    with pytest.raises(QueueNotFound):
        await service.call("Browse", queue_id=UNKNOWN_ID)


async def test_moment_that_is_none_is_refused(service: Service) -> None:
    """It is what the caller says that is wrong, and no fault of q."""
    call = service.call(
        "Explain", queue_id="jobs", message_id=UNKNOWN_ID, created=Timestamp(nanos=-1)
    )

    refusal = await refusal_of(call)

    assert refusal.field == "created"
