"""The payload of a large request, taken out of it."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from qmq.wire import q_pb2 as pb
from qmq.wire.payloads import split_payload, split_plain

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


PLAIN = st.binary(max_size=300).map(lambda payload: pb.NewMessage(payload=payload))
BATCHES = st.builds(
    pb.AddBatchRequest,
    queue_id=st.text(max_size=10),
    messages=st.lists(PLAIN, max_size=5),
    partial=st.booleans(),
    durability=st.sampled_from(pb.Durability.Level.values()),
)


@given(BATCHES)
def test_the_rest_and_the_plain_messages_are_the_request(request: pb.AddBatchRequest) -> None:
    """Nothing is lost, whatever else the request says."""
    split = split_plain(request.SerializeToString())

    assert (split is None) is (request.queue_id == "")
    if split:
        rest = pb.AddBatchRequest.FromString(split[0])
        assert not rest.messages
        assert split[1] == [(b"", each.payload) for each in request.messages]
        rest.messages.extend(request.messages)
        assert rest == request


@pytest.mark.parametrize("size", [0, 127, 128, 16_000, 16_378, 16_379, 16_384, 100_000, 3_000_000])
def test_plain_messages_of_any_size_are_taken_out_whole_or_left(size: int) -> None:
    """A length of three bytes is left to the library."""
    message = pb.NewMessage(payload=b"x" * size)
    request = pb.AddBatchRequest(queue_id="q", messages=[message, message])

    split = split_plain(request.SerializeToString())

    assert (split is None) is (message.ByteSize() > 16_383)
    if split:
        assert split[1] == [(b"", message.payload)] * 2


@given(
    st.lists(
        BATCHES.map(pb.AddBatchRequest.SerializeToString)
        | REQUESTS.map(pb.AddRequest.SerializeToString)
        | st.binary(max_size=20)
    ),
    st.data(),
)
def test_no_batch_is_ever_misread(pieces: list[bytes], data: st.DataObject) -> None:
    """With tags or options, repeated, cut off, no request at all, or of other lengths."""
    encoded = bytearray().join(pieces)
    encoded = encoded[: data.draw(st.integers(0, len(encoded)))]
    for at in data.draw(st.lists(st.integers(0, max(0, len(encoded) - 1)), max_size=2)):
        encoded[at : at + 1] = data.draw(st.binary(min_size=1, max_size=2))

    split = split_plain(bytes(encoded))

    if split:
        try:
            whole = pb.AddBatchRequest.FromString(bytes(encoded))
        except DecodeError:
            with pytest.raises(DecodeError):
                pb.AddBatchRequest.FromString(split[0])
            return
        rest = pb.AddBatchRequest.FromString(split[0])
        messages = [pb.NewMessage(payload=payload) for _, payload in split[1]]
        # Those that are not next to the others have to be seen to by whoever splits.
        if not rest.messages:
            rest.messages.extend(messages)
            assert rest == whole
