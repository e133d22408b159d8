"""Requests with many messages, encoded without an object for each.

Only the little of the protobuf encoding that a NewMessage takes is written here; a test
holds it against the protobuf library, byte for byte.
See https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from qmq.envelope import varint
from qmq.wire import q_pb2 as pb

#: Field 2, length-delimited: `messages` of AddBatchRequest, `payload` of NewMessage.
_FIELD_2: Final = b"\x12"


@lru_cache(maxsize=4096)
def _head(payload_bytes: int) -> bytes:
    """Encode what stands before a payload of that length in a message without tags."""
    if not payload_bytes:
        return _FIELD_2 + varint(0)
    payload_head = _FIELD_2 + varint(payload_bytes)
    return _FIELD_2 + varint(len(payload_head) + payload_bytes) + payload_head


def new_message(payload: bytes, tags: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Encode a message as it stands in an AddBatchRequest."""
    if not tags:
        return _head(len(payload)) + payload
    message = pb.NewMessage(payload=payload, tags=[pb.Tag(key=k, value=v) for k, v in tags])
    body = message.SerializeToString()
    return _FIELD_2 + varint(len(body)) + body


def add_batch(queue_id: str, messages: Iterable[bytes], *, partial: bool) -> bytes:
    """Encode an AddBatchRequest from what `new_message` returned."""
    rest = pb.AddBatchRequest(queue_id=queue_id, partial=partial).SerializeToString()
    return b"".join((rest, *messages))


def read_new_message(record: bytes) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    """Return payload and tags of what `new_message` returned."""
    (message,) = pb.AddBatchRequest.FromString(record).messages
    return message.payload, tuple((tag.key, tag.value) for tag in message.tags)
