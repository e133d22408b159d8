"""Between the values of a program and the payloads of messages."""

import json
from collections.abc import Callable
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

T = TypeVar("T")


class Codec(Protocol[T]):
    """Turns values into payloads and back. Any object with these two methods is one."""

    def encode(self, value: T, /) -> bytes:
        """Return the payload that stands for the value."""
        ...

    def decode(self, payload: bytes, /) -> T:
        """Return the value that the payload stands for.

        It raises what it likes, if possible a ValueError, when the payload stands for none.
        """
        ...


class BytesCodec:
    """Payloads as they are; a str becomes UTF-8. What a queue has unless told otherwise."""

    def encode(self, value: bytes | str, /) -> bytes:
        """Return bytes as they are.

        Raises:
            TypeError: the value is neither bytes nor a str.
        """
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            return value.encode()
        message = (  # type: ignore[unreachable]  # For those who check no types.
            f"a payload is bytes or str, not {type(value).__name__}: for other values give the"
            " queue a codec, for example client.queue(name, codec=qmq.JsonCodec())"
        )
        raise TypeError(message)

    def decode(self, payload: bytes, /) -> bytes | str:
        """Return the payload."""
        return payload


class TextCodec:
    """Texts, as UTF-8."""

    def encode(self, value: str, /) -> bytes:
        """Return the text in UTF-8."""
        return value.encode()

    def decode(self, payload: bytes, /) -> str:
        """Read UTF-8. Raises UnicodeDecodeError, a ValueError."""
        return payload.decode()


class JsonCodec:
    """Whatever the standard library's `json` writes and reads, compact and in UTF-8."""

    def encode(self, value: Any, /) -> bytes:  # noqa: ANN401 - JSON has no better type.
        """Write JSON. Raises TypeError for what JSON does not have, ValueError for cycles."""
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    def decode(self, payload: bytes, /) -> Any:  # noqa: ANN401 - As above.
        """Read JSON. Raises json.JSONDecodeError, a ValueError."""
        return json.loads(payload)


class PydanticCodec(Generic[T]):
    """Values of any type that pydantic knows, in JSON. Needs pydantic 2."""

    def __init__(self, kind: type[T]) -> None:
        """Make a codec.

        Args:
            kind: a model, a dataclass, a TypedDict, list[Model] ...
        """
        from pydantic import TypeAdapter  # noqa: PLC0415 - Only who uses it needs it.

        self._adapter: TypeAdapter[T] = TypeAdapter(kind)

    def encode(self, value: T, /) -> bytes:
        """Write JSON. Raises pydantic_core.PydanticSerializationError, a ValueError."""
        return self._adapter.dump_json(value)

    def decode(self, payload: bytes, /) -> T:
        """Read JSON and validate it. Raises pydantic.ValidationError, a ValueError."""
        return self._adapter.validate_json(payload)


class MsgspecCodec(Generic[T]):
    """Values of any type that msgspec knows, in JSON or MessagePack. Needs msgspec."""

    def __init__(self, kind: type[T], *, form: Literal["json", "msgpack"] = "json") -> None:
        """Make a codec.

        Args:
            kind: a Struct, a dataclass, a TypedDict, list[Struct] ...
            form: how values are written.
        """
        import msgspec  # noqa: PLC0415 - Only who uses it needs it.

        module = msgspec.json if form == "json" else msgspec.msgpack
        self._encode: Callable[[T], bytes] = module.Encoder().encode
        self._decode: Callable[[bytes], T] = module.Decoder(kind).decode

    def encode(self, value: T, /) -> bytes:
        """Write the value. Raises TypeError or OverflowError for what the form does not have."""
        return self._encode(value)

    def decode(self, payload: bytes, /) -> T:
        """Read and validate. Raises msgspec.DecodeError or msgspec.ValidationError."""
        return self._decode(payload)


AS_IS: Final = BytesCodec()
