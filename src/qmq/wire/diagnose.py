"""Says what is wrong with bytes that the protobuf library refused to decode.

The library itself only says that something is. This runs after it has refused, so
speed does not matter; see https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor

_VARINT, _I64, _LEN, _START_GROUP, _END_GROUP, _I32 = range(6)
_FIXED_BYTES = {_I64: 8, _I32: 4}
_VARINT_BYTES_MAX = 10
_FIELD_NUMBER_MAX = 2**29 - 1


class Fault(NamedTuple):
    """A fault, and the path of the field that has it; "request" if it is in none."""

    field: str
    rule: str


class _Malformed(ValueError):
    """The bytes are not protobuf."""


def find_fault(descriptor: Descriptor, data: bytes) -> Fault:
    """Return the first fault in bytes that are no valid message of the type."""
    try:
        fault = _fault_in(descriptor, data, "")
    except _Malformed as error:
        return Fault("request", f"is not a valid protobuf {descriptor.full_name}: {error}")
    return fault or Fault("request", f"is not a valid protobuf {descriptor.full_name}")


def _fault_in(descriptor: Descriptor, data: bytes, path: str) -> Fault | None:
    counts: dict[str, int] = {}
    for number, value in _records(data):
        field = descriptor.fields_by_number.get(number)
        if field is None or value is None:
            continue
        name = path + field.name
        if field.is_repeated:
            index = counts.get(name, 0)
            counts[name] = index + 1
            name += f"[{index}]"
        if field.type == FieldDescriptor.TYPE_STRING:
            try:
                value.decode()
            except UnicodeDecodeError:
                return Fault(name, "is not valid UTF-8")
        elif field.message_type is not None:
            try:
                fault = _fault_in(field.message_type, value, name + ".")
            except _Malformed as error:
                return Fault(
                    name, f"is not a valid protobuf {field.message_type.full_name}: {error}"
                )
            if fault:
                return fault
    return None


def _records(data: bytes) -> Iterator[tuple[int, bytes | None]]:
    """Go through the fields of a message: number, and content if length-delimited."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number <= _FIELD_NUMBER_MAX:
            message = f"field number {number} before byte {at}"
            raise _Malformed(message)
        content = None
        if wire_type == _VARINT:
            _, at = _varint(data, at)
        elif wire_type in _FIXED_BYTES:
            at += _FIXED_BYTES[wire_type]
        elif wire_type == _LEN:
            size, at = _varint(data, at)
            content = data[at : at + size]
            at += size
        elif wire_type not in (_START_GROUP, _END_GROUP):
            message = f"wire type {wire_type} of field {number} does not exist"
            raise _Malformed(message)
        if at > len(data):
            message = f"it ends inside field {number}"
            raise _Malformed(message)
        yield number, content


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[at : at + _VARINT_BYTES_MAX]):
        value |= (byte & 127) << (7 * index)
        if byte < 128:  # noqa: PLR2004 - The highest bit says that more follows.
            return value, at + index + 1
    message = f"the number at byte {at} has no end"
    raise _Malformed(message)
