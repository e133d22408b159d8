"""The payload of a large request, taken out of it."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from qmq.wire import q_pb2 as pb
from qmq.wire.payloads import split_payload

REQUESTS = st.builds(
    pb.AddRequest,
    queue_id=st.text(max_size=10),
    message=st.builds(
        pb.NewMessage,
        payload=st.binary(min_size=1, max_size=300),
        tags=st.lists(st.builds(pb.Tag, key=st.text(max_size=5)), max_size=3),
        options=st.none() | st.builds(pb.MessageOptions, priority=st.integers(0, 255)),
    ),
    durability=st.sampled_from(pb.Durability.Level.values()),
)


@given(REQUESTS)
def test_the_rest_and_the_payload_are_the_request(request: pb.AddRequest) -> None:
    """Nothing is lost, whatever else the request says."""
    split = split_payload(request.SerializeToString())

    assert split
    rest = pb.AddRequest.FromString(split[0])
    assert not rest.message.payload
    rest.message.payload = bytes(split[1])
    assert rest == request


@given(st.lists(REQUESTS.map(pb.AddRequest.SerializeToString) | st.binary(max_size=20)), st.data())
def test_what_is_not_encoded_as_usual_is_never_misread(
    pieces: list[bytes], data: st.DataObject
) -> None:
    """Repeated, cut off or no request at all: what is split means what the library would read."""
    encoded = b"".join(pieces)
    encoded = encoded[: data.draw(st.integers(0, len(encoded)))]

    split = split_payload(encoded)

    if split:
        try:
            whole = pb.AddRequest.FromString(encoded)
        except DecodeError:
            with pytest.raises(DecodeError):
                pb.AddRequest.FromString(split[0])
            return
        rest = pb.AddRequest.FromString(split[0])
        rest.message.payload = bytes(split[1])
        assert rest == whole


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(pb.AddRequest(), id="no message"),
        pytest.param(pb.AddRequest(message=pb.NewMessage()), id="no payload"),
    ],
)
def test_there_may_be_no_payload(request_: pb.AddRequest) -> None:
    """Then there is nothing to take out."""
    assert split_payload(request_.SerializeToString()) is None
