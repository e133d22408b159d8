"""The payload of a large AddRequest, taken out of it without a copy.

The protobuf library copies a payload twice before one can look at it. Of 4 MB that takes the event
loop a millisecond, and several where the memory for it is new.
"""

from typing import Final

from qmq.envelope import varint

#: AddRequest.message and NewMessage.payload, each as its tag: field 2, length-delimited.
_FIELD_2: Final = 0x12
_LENGTH_DELIMITED: Final = 2
_VARINT: Final = 0
#: Bytes of the varints that are read here: lengths below 2 GiB take no more.
_VARINT_BYTES_MAX: Final = 5


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
