"""What a trace is told of calls, from their bytes."""

import pytest

from qmq.wire import q_pb2 as pb
from qmq.wire.tracing import (
    MESSAGES_TOLD_MAX,
    Asked,
    Origin,
    Told,
    asked,
    operation_name,
    origin_of,
    span_name,
    told,
)

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ORIGIN = Origin(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, 1)
TAG = pb.Tag(key="traceparent", value=TRACEPARENT)


def test_spans_are_called_by_method_and_queue() -> None:
    """An id would make a name of its own for each queue."""
    assert span_name("Lease", "orders") == "lease orders"
    assert span_name("AddBatch", "") == "add_batch"
    assert span_name("Pop", "15950bbd-0939-4da4-8dbe-cfc61d3d8608") == "pop"
    assert len(span_name("Pop", "x" * 1_000)) == 204
    assert operation_name("ListQueues") == "list_queues"


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", TRACEPARENT.upper(), TRACEPARENT + "0", "01" + TRACEPARENT[2:]),
        "00-" + 32 * "0" + TRACEPARENT[35:],
        TRACEPARENT[:36] + 16 * "0" + "-01",
    ],
)
def test_what_is_no_traceparent_names_nothing(text: str) -> None:
    """Whatever else it may be."""
    assert origin_of(TRACEPARENT) == ORIGIN
    assert origin_of(text) is None


def test_requests_tell_their_queue_and_messages() -> None:
    """What cannot be read tells nothing, and is the server's to refuse."""
    message = pb.NewMessage(payload=b"x", tags=[TAG])
    batch = pb.AddBatchRequest(queue_id="a", messages=[message] * 3)
    ack = pb.AckRequest(queue_id="a", lease_ids=["1", "2"])
    lease = pb.LeaseRequest(selector="team=b")

    assert asked("AddBatch", batch.SerializeToString()) == Asked("a", "", Told(3, (), (ORIGIN,)))
    assert asked("Ack", ack.SerializeToString()) == Asked("a", "", Told(2))
    assert asked("Lease", lease.SerializeToString()) == Asked("", "team=b")
    assert asked("Lease", b"\xff") == asked("NoMethod", b"") == Asked()


def test_replies_tell_their_messages_as_far_as_there_are_few() -> None:
    """Of many, how many there are."""
    messages = [
        pb.LeasedMessage(message=pb.Message(meta=pb.Metadata(id=str(at), tags=[TAG])))
        for at in range(100)
    ]
    lease = pb.LeaseResponse(messages=messages).SerializeToString()
    pop = pb.PopResponse(message=messages[0].message).SerializeToString()
    consume = pb.ConsumeResponse(messages=pb.LeaseResponse(messages=messages[:1]))

    leased = told("Lease", lease)
    assert (leased.number, leased.origins) == (100, (ORIGIN,))
    assert leased.message_ids == tuple(map(str, range(MESSAGES_TOLD_MAX)))
    assert (
        told("Pop", pop)
        == told("Consume", consume.SerializeToString())
        == Told(1, ("0",), (ORIGIN,))
    )
    assert told("Stats", b"") == told("Pop", b"\xff") == Told()
