"""Values become payloads, and payloads values."""

import json
from dataclasses import dataclass

import msgspec
import pydantic
import pytest

import qmq


class Order(pydantic.BaseModel):
    """What pydantic makes of a payload."""

    number: int
    items: list[str] = []


class Fruit(msgspec.Struct):
    """What msgspec makes of a payload."""

    name: str
    grams: int = 0


@dataclass
class Point:
    """What both know."""

    x: float
    y: float


def test_bytes_are_taken_as_they_are() -> None:
    """Text becomes UTF-8, and everything else is refused."""
    codec = qmq.BytesCodec()

    assert codec.encode(b"\x00\xff") == codec.decode(b"\x00\xff") == b"\x00\xff"
    assert codec.encode("hällo") == "hällo".encode()
    for value in (1, None, {"a": 1}, bytearray(b"x")):
        with pytest.raises(TypeError, match=f"not {type(value).__name__}: for other values give"):
            codec.encode(value)  # type: ignore[arg-type]


def test_texts() -> None:
    """In UTF-8, both ways."""
    codec = qmq.TextCodec()

    assert codec.decode(codec.encode("hällo")) == "hällo"
    with pytest.raises(ValueError, match="utf-8"):
        codec.decode(b"\xff")


def test_json() -> None:
    """Compact, and readable in any language."""
    codec = qmq.JsonCodec()

    payload = codec.encode({"name": "Zoë", "tags": [1, 2.5, None, True]})

    assert payload == '{"name":"Zoë","tags":[1,2.5,null,true]}'.encode()
    assert codec.decode(payload) == json.loads(payload)
    with pytest.raises(TypeError):
        codec.encode(object())
    with pytest.raises(ValueError, match="Expecting"):
        codec.decode(b"{")


def test_pydantic() -> None:
    """Models and everything else that it knows, validated."""
    orders = qmq.PydanticCodec(Order)
    points = qmq.PydanticCodec(list[Point])

    payload = orders.encode(Order(number=7, items=["a"]))

    assert payload == b'{"number":7,"items":["a"]}'
    assert orders.decode(payload) == Order(number=7, items=["a"])
    assert points.decode(points.encode([Point(1, 2)])) == [Point(1, 2)]
    with pytest.raises(ValueError, match="number"):
        orders.decode(b"{}")


@pytest.mark.parametrize("form", ["json", "msgpack"])
def test_msgspec(form: str) -> None:
    """Structs and everything else that it knows, in two forms, validated."""
    fruits = qmq.MsgspecCodec(Fruit, form=form)  # type: ignore[arg-type]
    points = qmq.MsgspecCodec(Point)

    assert fruits.decode(fruits.encode(Fruit("apple", 150))) == Fruit("apple", 150)
    assert points.decode(points.encode(Point(1, 2))) == Point(1, 2)
    assert qmq.MsgspecCodec(Fruit).encode(Fruit("apple")) == b'{"name":"apple","grams":0}'
    with pytest.raises(msgspec.ValidationError, match="name"):
        fruits.decode({"json": b"{}", "msgpack": b"\x80"}[form])
