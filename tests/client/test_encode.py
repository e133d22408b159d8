"""Requests with many messages are what the protobuf library makes of them."""

from hypothesis import given
from hypothesis import strategies as st

from qmq.client.encode import add_batch, new_message, read_new_message
from qmq.wire import q_pb2 as pb

#: Payload sizes on both sides of where the length of a length changes.
EDGES = [0, 1, 123, 124, 125, 126, 127, 128, 129, 16_379, 16_380, 16_381, 16_384, 2_097_152]

payloads = st.one_of(st.binary(max_size=300), st.sampled_from(EDGES).map(bytes))
tags = st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3).map(tuple)


@given(st.lists(st.tuples(payloads, tags), max_size=4), st.text(max_size=5), st.booleans())
def test_a_batch_is_encoded_as_by_the_library(
    messages: list[tuple[bytes, tuple[tuple[str, str], ...]]],
    queue_id: str,
    partial: bool,  # noqa: FBT001 - A field.
) -> None:
    """Whatever payloads and tags it has; the order of fields may differ."""
    expected = pb.AddBatchRequest(
        queue_id=queue_id,
        partial=partial,
        messages=[
            pb.NewMessage(
                payload=payload, tags=[pb.Tag(key=key, value=value) for key, value in tags]
            )
            for payload, tags in messages
        ],
    )

    records = [new_message(payload, tags) for payload, tags in messages]
    encoded = add_batch(queue_id, records, partial=partial)

    assert pb.AddBatchRequest.FromString(encoded) == expected
    assert len(encoded) == expected.ByteSize()
    assert [read_new_message(record) for record in records] == messages
