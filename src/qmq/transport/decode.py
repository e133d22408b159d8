"""Reading request messages from bytes."""

from collections.abc import Sequence
from typing import TypeVar, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message

from qmq.errors import InvalidArgument
from qmq.limits import BATCH_MESSAGES_MAX
from qmq.wire.diagnose import find_fault

_M = TypeVar("_M", bound=Message)


def ids_in(ids: Sequence[str], field: str) -> list[str]:
    """Return the ids of a request about several things at once.

    Args:
        ids: a repeated field.
        field: its name: `lease_ids`.

    Raises:
        InvalidArgument: there are too many or none.
    """
    if not 1 <= len(ids) <= BATCH_MESSAGES_MAX:
        nouns = field.replace("_", " ")
        raise InvalidArgument(field, f"must be 1 to {BATCH_MESSAGES_MAX} {nouns}; got {len(ids)}")
    return list(ids)


def decode(kind: type[_M], data: bytes) -> _M:
    """Decode a request message.

    Raises:
        InvalidArgument: the bytes are no such message; it says what is wrong with them.
    """
    try:
        return kind.FromString(data)
    except DecodeError:
        raise InvalidArgument(*find_fault(cast("Descriptor", kind.DESCRIPTOR), data)) from None
