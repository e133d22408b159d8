"""Request messages from bytes."""

from typing import TypeVar, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message

from qmq.errors import InvalidArgument
from qmq.wire.diagnose import find_fault

_M = TypeVar("_M", bound=Message)


def decode(kind: type[_M], data: bytes) -> _M:
    """Decode a request message.

    Raises:
        InvalidArgument: the bytes are no such message; it says what is wrong with them.
    """
    try:
        return kind.FromString(data)
    except DecodeError:
        raise InvalidArgument(*find_fault(cast("Descriptor", kind.DESCRIPTOR), data)) from None
