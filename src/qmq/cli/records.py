"""Queues and messages as flat JSON objects, one a line: what `jsonl` prints and reads."""

import base64
import binascii
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from qmq.client.values import Message, QueueInfo, QueueStats
from qmq.values import NS_PER_S, Tag

Record = dict[str, Any]

#: What a line may hold; q gives a message an id and a moment of its own.
_FIELDS: Final = ("payload", "payload_base64", "tags", "id", "created")

TagPairs = tuple[tuple[str, str], ...]


class BadLine(ValueError):
    """A line that is no message, and why."""


def queue_record(info: QueueInfo) -> Record:
    """Return what a queue is."""
    return {
        "id": info.id,
        "name": info.name,
        "store": info.store.name,
        "created": _moment(info.created_ns),
        "tags": _tags_record(info.tags),
    }


def stats_record(stats: QueueStats) -> Record:
    """Return what a queue holds and what went through it."""
    age = stats.oldest_age
    return {
        "id": stats.info.id,
        "name": stats.info.name,
        "store": stats.info.store.name,
        "ready": stats.ready,
        "ready_bytes": stats.ready_bytes,
        "oldest_age_s": None if age is None else age.total_seconds(),
        "waiting": stats.waiting,
        "enqueued_total": stats.enqueued_total,
        "consumed_total": stats.consumed_total,
        "limit": stats.limit,
    }


def message_record(message: Message[Any]) -> Record:
    """Return a message; a payload that is no text is in base64."""
    record = {
        "id": message.id,
        "created": _moment(message.created_ns),
        "tags": _tags_record(message.tags),
    }
    try:
        record["payload"] = message.payload.decode()
    except UnicodeDecodeError:
        record["payload_base64"] = base64.b64encode(message.payload).decode()
    return record


def line_of(record: Record) -> str:
    """Return a record as a line, without its end."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def read_message(line: bytes) -> tuple[bytes, TagPairs]:
    """Return the payload and tags of a message that `message_record` wrote, or a person.

    Raises BadLine.
    """
    try:
        record = json.loads(line, object_pairs_hook=_object_of)
    except BadLine:
        raise
    except json.JSONDecodeError as error:
        raise BadLine(f"no JSON: {error.msg} at character {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise BadLine(f"no JSON: {error}") from error
    if not isinstance(record, dict):
        raise BadLine('no JSON object; write {"payload": "text"}')
    for name in record:
        if name not in _FIELDS:
            raise BadLine(f"unknown field {name!r}; the fields are {', '.join(_FIELDS)}")
    return _payload(record), _tag_pairs(record.get("tags", {}))


def _payload(record: Record) -> bytes:
    if ("payload" in record) == ("payload_base64" in record):
        raise BadLine("must have one of payload and payload_base64")
    name = "payload" if "payload" in record else "payload_base64"
    value = record[name]
    if not isinstance(value, str):
        raise BadLine(f"{name} must be a text, not {_kind(value)}")
    if name == "payload":
        return _utf8(value, name)
    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error) as error:
        raise BadLine(f"payload_base64 is no base64: {error}") from error


def _tag_pairs(tags: object) -> TagPairs:
    """Read tags: a value for each key, or a list of them."""
    if not isinstance(tags, dict):
        raise BadLine(f'tags must be an object, {{"key": "value"}}, not {_kind(tags)}')
    pairs = []
    for key, values in tags.items():
        for value in values if isinstance(values, list) else [values]:
            if not isinstance(value, str):
                raise BadLine(f"tags: the value of {key!r} must be a text, not {_kind(value)}")
            for text in (key, value):
                _utf8(text, "tags")
            pairs.append((key, value))
    return tuple(pairs)


def _utf8(text: str, name: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise BadLine(f"{name} holds half of a surrogate pair, which is no text") from error


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object; of a repeated key all values but one would be lost."""
    made = dict(pairs)
    if len(made) != len(pairs):
        repeated = next(key for key in made if sum(key == each for each, _ in pairs) > 1)
        raise BadLine(f"the key {repeated!r} stands there twice; several values are a list")
    return made


def _kind(value: object) -> str:
    """Say what kind of JSON a value is."""
    kinds = {
        type(None): "null",
        bool: "a boolean",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return kinds.get(type(value), "a number")


def _tags_record(tags: Iterable[Tag]) -> dict[str, str | list[str]]:
    """Return the value of each key, or a list of them where there are several."""
    values: dict[str, list[str]] = {}
    for tag in tags:
        values.setdefault(tag.key, []).append(tag.value)
    return {key: each[0] if len(each) == 1 else each for key, each in values.items()}


def _moment(ns: int) -> str:
    """Return a moment, given in nanoseconds since the Unix epoch, as RFC 3339 writes it."""
    return f"{_second(ns // NS_PER_S)}.{ns % NS_PER_S:09d}Z"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
