"""Any bytes may be sent as a request; none makes q fail, and none makes a call last."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from qmq.wire import q_pb2 as pb
from tests.acceptance.http2 import GRPC, Http2Client, frame
from tests.acceptance.running import RunningQ
from tests.fuzz.conftest import EXAMPLES

METHODS: Final = list(pb.DESCRIPTOR.services_by_name["Q"].methods)
#: What no request may be answered with.
FAULTS: Final = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE}
#: Queues, some of which exist at times.
NAMES: Final = ("a", "b", "ann", "")
_DEPTH_MAX: Final = 4


def values_of(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    """Return values that a field may have, of which many make sense."""
    if field.message_type is not None:
        return messages_of(field.message_type, depth + 1)
    kinds: dict[int, st.SearchStrategy[Any]] = {
        FieldDescriptor.CPPTYPE_STRING: (
            st.binary(max_size=200)
            if field.type == FieldDescriptor.TYPE_BYTES
            else st.sampled_from(NAMES) | st.text(max_size=200)
        ),
        FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
        FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
        FieldDescriptor.CPPTYPE_INT64: st.integers(-2, 5) | st.integers(-(2**63), 2**63 - 1),
        FieldDescriptor.CPPTYPE_INT32: st.integers(-2, 5) | st.integers(-(2**31), 2**31 - 1),
        FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 5) | st.integers(0, 2**64 - 1),
        FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 5) | st.integers(0, 2**32 - 1),
        FieldDescriptor.CPPTYPE_ENUM: st.integers(-1, 5),
    }
    return kinds[field.cpp_type]


@st.composite
def messages_of(draw: st.DrawFn, descriptor: Descriptor, depth: int = 0) -> dict[str, Any]:
    """Return fields of a message, as its constructor takes them."""
    found: dict[str, Any] = {}
    if depth > _DEPTH_MAX:
        return found
    for field in descriptor.fields:
        # A request without a queue comes no further than that.
        if not (draw(st.booleans()) or field.name in {"queue_id", "name"}):
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        values = values_of(field, depth)
        found[field.name] = draw(st.lists(values, max_size=3) if field.is_repeated else values)
    return found


@st.composite
def requests_of(draw: st.DrawFn, method: MethodDescriptor) -> bytes:
    """Return bytes for a method: a request, one of which a part was changed, or anything."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    fields = draw(messages_of(method.input_type))
    data = bytearray(getattr(pb, method.input_type.name)(**fields).SerializeToString())
    if data and draw(st.integers(0, 2)) == 0:
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(data)


@pytest.fixture(scope="session")
def call(fuzzed_q: RunningQ) -> Iterator[Callable[[MethodDescriptor, bytes], grpc.StatusCode]]:
    """Call a method with any bytes, and return how that ended."""
    with grpc.insecure_channel(fuzzed_q.address) as channel:

        def code(method: MethodDescriptor, data: bytes) -> grpc.StatusCode:
            path = f"/{method.containing_service.full_name}/{method.name}"
            try:
                if method.client_streaming:
                    stream = channel.stream_stream(path, bytes, bytes)
                    list(stream(iter([data, data]), timeout=10))
                else:
                    # What waits for a message is not waited for.
                    channel.unary_unary(path, bytes, bytes)(data, timeout=0.3)
            except grpc.RpcError as error:
                return error.code()
            return grpc.StatusCode.OK

        yield code


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.name))
@settings(settings.get_profile("fuzz"), max_examples=max(10, EXAMPLES // 6))
@given(data=st.data())
def test_no_request_is_a_fault(
    call: Callable[[MethodDescriptor, bytes], grpc.StatusCode],
    method: MethodDescriptor,
    data: st.DataObject,
) -> None:
    """It is answered, or refused by a status that says what is wrong with it."""
    request = data.draw(requests_of(method))

    assert call(method, request) not in FAULTS


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Return frames of gRPC that lie about themselves, one after the other, or anything."""
    pieces = draw(
        st.lists(
            st.builds(
                lambda message, flag, size: frame(message, flag=flag, size=size),
                st.binary(max_size=50),
                st.sampled_from([0, 0, 0, 1, 2, 255]),
                st.none() | st.integers(0, 60) | st.integers(0, 2**32 - 1),
            )
            | st.binary(max_size=20),
            max_size=30,
        )
    )
    return b"".join(pieces)


@settings(settings.get_profile("fuzz"))
@given(
    body=bodies(),
    path=st.sampled_from(["/proto.Q/ListQueues", "/proto.Q/Add", "/proto.Q/Consume", "/proto.Q/X"]),
    encoding=st.sampled_from([None, "gzip", "identity", "snappy", "\t"]),
    cut=st.integers(0, 40),
)
def test_no_body_is_a_fault(
    fuzzed_q: RunningQ, body: bytes, path: str, encoding: str | None, cut: int
) -> None:
    """Frames with wrong lengths or flags, cut off, compressed or not, and many of them."""
    headers = [*GRPC, *([("grpc-encoding", encoding)] if encoding else [])]
    with Http2Client(fuzzed_q.address) as raw:
        stream = raw.open(path, headers)
        raw.send(stream, body[:cut])
        raw.send(stream, body[cut:], end=True)
        reply = raw.reply(stream)

    # A header that is none of HTTP ends the stream.
    assert reply.reset not in {None, 0} or reply.code not in {2, 13, 14}
