"""What q says of bytes that are no message."""

from typing import cast

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as st

from qmq.wire import q_pb2 as pb
from qmq.wire.diagnose import Fault, find_fault

REQUESTS: list[type[Message]] = [
    pb.ListQueuesRequest,
    pb.NewQueueRequest,
    pb.GetQueueRequest,
    pb.DeleteQueueRequest,
    pb.AddQueueTagRequest,
    pb.DeleteQueueTagRequest,
    pb.AddRequest,
    pb.PopRequest,
    pb.PeekRequest,
]


def fault_in(kind: type[Message], data: bytes) -> Fault:
    """Find the fault in a message that should be of the kind."""
    return find_fault(cast("Descriptor", kind.DESCRIPTOR), data)


def is_refused(kind: type[Message], data: bytes) -> bool:
    """Whether the protobuf library refuses the bytes."""
    try:
        kind.FromString(data)
    except DecodeError:
        return True
    return False


@pytest.mark.parametrize(
    ("kind", "encoded", "field", "rule"),
    [
        (pb.GetQueueRequest, "0a02 fffe", "queue_id", "is not valid UTF-8"),
        (pb.NewQueueRequest, "2202 c3 28", "name", "is not valid UTF-8"),
        (
            pb.NewQueueRequest,
            "0801 1a03 0a0161 1a00 1a06 0a0161 120180",
            "tags[2].value",
            "is not valid UTF-8",
        ),
        (
            pb.AddRequest,
            "0a0161 120a 0a03 0a0161 0a03 0a01ff",
            "message.tags[1].key",
            "is not valid UTF-8",
        ),
        (
            pb.AddQueueTagRequest,
            "0a0161 1205 0a05 616263",
            "tag",
            "is not a valid protobuf proto.Tag: it ends inside field 1",
        ),
        (
            pb.AddRequest,
            "0a0161 1203 120561",
            "message",
            "is not a valid protobuf proto.NewMessage: it ends inside field 2",
        ),
        (
            pb.GetQueueRequest,
            "0a05 6162",
            "request",
            "is not a valid protobuf proto.GetQueueRequest: it ends inside field 1",
        ),
        (
            pb.NewQueueRequest,
            "0801 10",
            "request",
            "is not a valid protobuf proto.NewQueueRequest: the number at byte 3 has no end",
        ),
        (
            pb.NewQueueRequest,
            "10 ffffffffffffffffffff01",
            "request",
            "is not a valid protobuf proto.NewQueueRequest: the number at byte 1 has no end",
        ),
        (
            pb.GetQueueRequest,
            "0e",
            "request",
            "is not a valid protobuf proto.GetQueueRequest: wire type 6 of field 1 does not exist",
        ),
        (
            pb.GetQueueRequest,
            "0001",
            "request",
            "is not a valid protobuf proto.GetQueueRequest: field number 0 before byte 1",
        ),
        (
            pb.GetQueueRequest,
            "8080808010 00",
            "request",
            "is not a valid protobuf proto.GetQueueRequest: field number 536870912 before byte 5",
        ),
        (
            pb.GetQueueRequest,
            "51 01020304",
            "request",
            "is not a valid protobuf proto.GetQueueRequest: it ends inside field 10",
        ),
        (
            pb.GetQueueRequest,
            "0b",
            "request",
            "is not a valid protobuf proto.GetQueueRequest",
        ),
    ],
)
def test_fault_is_named_with_its_field(
    kind: type[Message], encoded: str, field: str, rule: str
) -> None:
    """The field as a path, with the place in a list, and what is wrong there."""
    data = bytes.fromhex(encoded)

    assert is_refused(kind, data)
    assert fault_in(kind, data) == Fault(field, rule)


@pytest.mark.parametrize("encoded", ["0801", "0d01020304", "09 0102030405060708", "0b0c"])
def test_known_field_of_another_wire_type_is_taken_for_an_unknown_one(encoded: str) -> None:
    """The library skips it, so that the rule for a field that was left out speaks."""
    request = pb.GetQueueRequest.FromString(bytes.fromhex(encoded))

    assert not request.queue_id


@given(st.sampled_from(REQUESTS), st.binary(max_size=60))
def test_random_bytes_are_never_too_much(kind: type[Message], data: bytes) -> None:
    """Whatever the bytes, there is an answer, and it names a field or the request."""
    fault = fault_in(kind, data)

    root = fault.field.partition(".")[0].partition("[")[0]
    assert root == "request" or root in kind.DESCRIPTOR.fields_by_name
    assert fault.rule.startswith("is not ")


@given(
    st.sampled_from(REQUESTS),
    st.lists(
        st.sampled_from([0x0A, 0x12, 0x1A, 1, 2, 3, 0x61, 0xFF, 0x0B, 0x0C, 0x80]), max_size=24
    ).map(bytes),
)
def test_every_refusal_has_a_reason(kind: type[Message], data: bytes) -> None:
    """What the library refuses, it refuses for a reason that is found, group marks aside."""
    if not is_refused(kind, data):
        return

    fault = fault_in(kind, data)

    has_groups = any(byte & 7 in (3, 4) for byte in data)
    assert has_groups or fault != Fault(
        "request", f"is not a valid protobuf {kind.DESCRIPTOR.full_name}"
    )
