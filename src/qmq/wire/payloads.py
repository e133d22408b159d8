"""Payloads taken out of requests, where that is cheaper than to decode them.

The protobuf library copies a payload twice before one can look at it. With 4 MB that takes the
event loop a millisecond, and several where the memory for it is new. And it makes three objects to
say that a message has neither tags nor options: this takes as long as everything else that q does
with a message of a batch until it is stored.
"""

from typing import Final

from qmq.envelope import varint

#: AddRequest.message, AddBatchRequest.messages and NewMessage.payload, each as its tag: field 2,
#: length-delimited.
_FIELD_2: Final = 0x12
#: The queue_id of requests, likewise.
_FIELD_1: Final = 0x0A
_LENGTH_DELIMITED: Final = 2
_VARINT: Final = 0
#: Bytes of the varints that are read here: lengths below 2 GiB take no more.
_VARINT_BYTES_MAX: Final = 5
#: The longest length that takes one byte, and that takes two.
_SHORT_MAX: Final = 127
_LENGTH_MAX: Final = 16_383


def split_payload(request: bytes) -> tuple[bytes, memoryview] | None:
    """Take the payload out of an encoded AddRequest.

    Returns:
        The request without it, encoded; and the payload. None if the request is not as it is
        usually encoded, or is none: then it has to be decoded as a whole.
    """
    message = _only(request, 0, len(request))
    payload = _only(request, *message[1:]) if message else None
    if not message or not payload:
        return None
    tag, start, end = message
    before, first, last = payload
    size = before - start + end - last
    rest = b"".join(
        (
            request[: tag + 1],
            varint(size),
            request[start:before],
            request[last:end],
            request[end:],
        )
    )
    return rest, memoryview(request)[first:last]


def split_plain(request: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]] | None:
    """Take the messages out of an encoded AddBatchRequest that have a payload alone.

    Returns:
        The request without them, encoded; and of each what `encoded_messages` returns, no tags and
        its payload. None if the request is not as it is usually encoded, or one of them has
        more, or is longer than 16 KB: then it has to be decoded as a whole. So it has as well if
        what is returned of it has messages.
    """
    if len(request) < 2 or request[0] != _FIELD_1 or request[1] > _SHORT_MAX:  # noqa: PLR2004 - A tag and a length.
        return None
    messages: list[tuple[bytes, bytes]] = []
    first = at = 2 + request[1]
    end = len(request)
    try:
        while at < end and request[at] == _FIELD_2:
            size = request[at + 1]
            at += 2
            if size > _SHORT_MAX:
                size = size & _SHORT_MAX | request[at] << 7
                at += 1
            stop = at + size
            if size:
                length = request[at + 1]
                if request[at] != _FIELD_2:
                    return None
                at += 2
                if length > _SHORT_MAX:
                    length = length & _SHORT_MAX | request[at] << 7
                    at += 1
                if at + length != stop or size > _LENGTH_MAX:
                    return None
            messages.append((b"", request[at:stop]))
            at = stop
    except IndexError:
        return None
    return (request[:first] + request[at:], messages) if at <= end else None


def _only(data: bytes, at: int, end: int) -> tuple[int, int, int] | None:
    """Find the one field 2 of a message that stands somewhere.

    Returns:
        Where its tag is, where its value begins, and where it ends; None if there is none, or more
        than one, or something that is not read here.
    """
    found = None
    while at < end:
        start, tag = at, data[at]
        value, at = _read_varint(data, at + 1, end)
        if at < 0 or tag & 7 not in {_VARINT, _LENGTH_DELIMITED} or tag > 127:  # noqa: PLR2004 - More bytes follow.
            return None
        if tag & 7 == _LENGTH_DELIMITED:
            if tag == _FIELD_2:
                if found:
                    return None
                found = start, at, at + value
            at += value
    return found if at == end else None


def _read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a varint; return it, and where what follows it begins, or -1 if it is none."""
    value = 0
    for shift in range(0, 7 * _VARINT_BYTES_MAX, 7):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004 - The highest bit says that more follows.
            return value, at
    return 0, -1
