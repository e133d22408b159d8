"""Queues and messages as flat JSON objects, one a line: what `jsonl` prints and reads."""

import base64
import binascii
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple

from google.protobuf.json_format import ParseDict, ParseError

from qmq.client.codecs import AS_IS
from qmq.client.decode import moment_ns, popped
from qmq.client.queue_values import (
    BackOff,
    Fairness,
    GroupInfo,
    QueueInfo,
    QueueStats,
    Rate,
    Redrive,
)
from qmq.client.values import BrowsedMessage, Explanation, Message, TagPairs
from qmq.values import NS_PER_S, Tag
from qmq.wire import q_pb2 as pb

Record = dict[str, Any]

#: What a line says about a message that is added.
_FIELDS: Final = ("payload", "payload_base64", "tags", "options")

#: What else `lease` and `browse` print, and what means nothing then: q gives a message an id
#: and a moment of its own, and the rest is of its past. So is its dedup_id: the queue it was
#: taken from may know that still, and would not add the message.
_IGNORED_FIELDS: Final = frozenset(
    {
        "id",
        "created",
        "dedup_id",
        "lease_id",
        "lease_expires_at",
        "delivery_count",
        "state",
        "age_s",
        "consumer",
        "until",
        "dead_letter",
        "attempts",
    }
)

#: What may be said in `options`.
_OPTIONS: Final = tuple(pb.MessageOptions.DESCRIPTOR.fields_by_name)


class BadLine(ValueError):
    """A line that is no message, and why."""


def queue_record(info: QueueInfo) -> Record:
    """Return what a queue is."""
    settings, paused = info.settings, info.paused
    back_off, rate = settings.back_off or BackOff(), settings.rate or Rate()
    fairness = settings.fairness or Fairness()
    fair_rate = fairness.rate or Rate()
    return {
        "id": info.id,
        "name": info.name,
        "store": info.store.name,
        "created": moment_text(info.created_ns),
        "tags": _tags_record(info.tags),
        "limit": info.limit,
        "lease_duration_s": _seconds(settings.lease_duration),
        "delivery_count_max": settings.delivery_count_max,
        "dead_letter_queue_id": settings.dead_letter_queue_id,
        "back_off_base_s": _seconds(back_off.base),
        "back_off_factor": back_off.factor,
        "back_off_max_s": _seconds(back_off.max),
        "back_off_jitter": back_off.jitter,
        "durability_min": _name(settings.durability_min),
        "delay_s": _seconds(settings.delay),
        "ttl_s": _seconds(settings.ttl),
        "dead_letter_expired": settings.dead_letter_expired,
        "dedup_window_s": _seconds(settings.dedup_window),
        "priority_ageing_s": _seconds(settings.priority_ageing),
        "bytes_limit": settings.bytes_limit,
        "overflow": _name(settings.overflow),
        "leased_max": settings.leased_max,
        "messages_per_second": rate.messages_per_second,
        "burst": rate.burst,
        "park_after": settings.park_after,
        "fair_leased_max": fairness.leased_max,
        "fair_messages_per_second": fair_rate.messages_per_second,
        "fair_burst": fair_rate.burst,
        "fair_weights": {**(fairness.weights or {})},
        "weight": settings.weight,
        "paused": None if paused is None else moment_text(paused.since_ns),
        "adds_paused": paused is not None and paused.adds,
    }


def stats_record(stats: QueueStats) -> Record:
    """Return the counts of a queue."""
    return {
        "id": stats.info.id,
        "name": stats.info.name,
        "store": stats.info.store.name,
        "ready": stats.ready,
        "leased": stats.leased,
        "delayed": stats.delayed,
        "ready_bytes": stats.ready_bytes,
        "bytes": stats.bytes,
        "oldest_age_s": _seconds(stats.oldest_age),
        "waiting": stats.waiting,
        "enqueued_total": stats.enqueued_total,
        "consumed_total": stats.consumed_total,
        "acked_total": stats.acked_total,
        "redelivered_total": stats.redelivered_total,
        "dead_lettered_total": stats.dead_lettered_total,
        "expired_total": stats.expired_total,
        "overflowed_total": stats.overflowed_total,
        "deduplicated_total": stats.deduplicated_total,
        "deleted_total": stats.deleted_total,
        "moved_in_total": stats.moved_in_total,
        "moved_out_total": stats.moved_out_total,
        "dedup_ids": stats.dedup_ids,
        "added_per_second": stats.added_per_second,
        "done_per_second": stats.done_per_second,
        "limit": stats.limit,
        "consumers": {each.consumer: each.leased for each in stats.consumers},
        "blocked": stats.blocked,
        "groups": stats.groups,
        "groups_paused": stats.groups_paused,
        "groups_parked": stats.groups_parked,
        "fair_keys": stats.fair_keys,
        "top_fair_keys": [each._asdict() for each in stats.top_fair_keys],
    }


def group_record(group: GroupInfo) -> Record:
    """Return what a group is and holds."""
    return {
        "group_id": group.id,
        "state": _name(group.state),
        "waiting": group.waiting,
        "leased": group.leased,
        "since": None if group.since_ns is None else moment_text(group.since_ns),
    }


def message_record(message: Message[Any]) -> Record:
    """Return a message, and its history if it has one; a payload that is no text is in base64."""
    record: Record = {
        "id": message.id,
        "created": moment_text(message.created_ns),
        **content_record(message.tags, message.payload),
    }
    if options := _options_record(message):
        record["options"] = options
    if message.dedup_id:
        record["dedup_id"] = message.dedup_id
    if dead := message.dead_letter:
        record["dead_letter"] = {
            "reason": _name(dead.reason),
            "text": dead.text,
            "source_queue_id": dead.source_queue_id,
            "moved": moment_text(dead.moved_ns),
            "delivery_count": dead.delivery_count,
        }
    if message.attempts:
        record["attempts"] = [
            {
                "outcome": _name(attempt.outcome),
                "consumer": attempt.consumer,
                "leased": moment_text(attempt.leased_ns),
                "ended": moment_text(attempt.ended_ns),
                "reason": attempt.reason,
            }
            for attempt in message.attempts
        ]
    return record


def content_record(tags: Iterable[Tag], payload: bytes) -> Record:
    """Return what a message was added with: a payload that is no text is in base64."""
    record: Record = {"tags": _tags_record(tags)}
    try:
        record["payload"] = payload.decode()
    except UnicodeDecodeError:
        record["payload_base64"] = base64.b64encode(payload).decode()
    return record


def _options_record(message: Message[Any]) -> Record:
    """Return what a message was added with, as the wire's JSON has it."""
    record: Record = {}
    if message.available_ns is not None:
        record["available_at"] = moment_text(message.available_ns)
    if message.expires_ns is not None:
        record["expires_at"] = moment_text(message.expires_ns)
    if message.priority:
        record["priority"] = message.priority
    if message.group_id:
        record["group_id"] = message.group_id
    if message.fair_key:
        record["fair_key"] = message.fair_key
    return record


def leased_record(leased: pb.LeasedMessage) -> Record:
    """Return a message and its lease, with its queue if that is one of many."""
    return {
        **({"queue_id": leased.queue_id} if leased.queue_id else {}),
        "lease_id": leased.lease_id,
        "lease_expires_at": moment_text(moment_ns(leased.lease_expires_at)),
        "delivery_count": leased.delivery_count,
        **message_record(popped(leased.message, AS_IS)),
    }


def browsed_record(message: BrowsedMessage[Any]) -> Record:
    """Return a message of a queue, and where it is; what says nothing is left out."""
    record: Record = {
        "id": message.id,
        "state": _name(message.state),
        "age_s": message.age.total_seconds(),
        "delivery_count": message.delivery_count,
    }
    if message.consumer:
        record["consumer"] = message.consumer
    if message.until_ns is not None:
        record["until"] = moment_text(message.until_ns)
    return {**record, **message_record(message)}


def explained_record(explained: Explanation[Any]) -> Record:
    """Return a message, and why it is not being handed out."""
    record = browsed_record(explained.message)
    return {**record, "ahead": explained.ahead, "reasons": [*explained.reasons]}


def redrive_record(redrive: Redrive) -> Record:
    """Return a redrive, and how far it is."""
    return {
        "id": redrive.id,
        "state": redrive.state.name,
        "queue_id": redrive.queue_id,
        "target_queue_id": redrive.target_queue_id,
        "dry_run": redrive.dry_run,
        "started": moment_text(redrive.started_ns),
        "ended": None if redrive.ended_ns is None else moment_text(redrive.ended_ns),
        "total": redrive.total,
        "seen": redrive.seen,
        "matched": redrive.matched,
        "moved": redrive.moved,
        "failed_again": redrive.failed_again,
        "message": redrive.message,
    }


def line_of(record: Record) -> str:
    """Return a record as a line, without its end."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


class Line(NamedTuple):
    """What a line says about a message that is added."""

    payload: bytes
    tags: TagPairs
    options: pb.MessageOptions


def read_message(line: bytes) -> Line:
    """Return what a line says that `message_record` wrote, or a person.

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
        if name not in _FIELDS and name not in _IGNORED_FIELDS:
            raise BadLine(f"unknown field {name!r}; the fields are {', '.join(_FIELDS)}")
    return Line(
        _payload(record), _tag_pairs(record.get("tags", {})), _options(record.get("options", {}))
    )


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


def _options(options: object) -> pb.MessageOptions:
    """Read options, as the wire's JSON has them."""
    if not isinstance(options, dict):
        raise BadLine(f'options must be an object, {{"priority": 9}}, not {_kind(options)}')
    for name in options:
        if name not in _OPTIONS:
            raise BadLine(f"unknown option {name!r}; the options are {', '.join(_OPTIONS)}")
    try:
        return ParseDict(options, pb.MessageOptions())
    except ParseError as error:
        raise BadLine(f"options: {error}") from error


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


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _name(member: IntEnum | None) -> str:
    """What the wire calls it; UNKNOWN if this program is older than the server."""
    return "UNKNOWN" if member is None else member.name


def moment_text(ns: int) -> str:
    """Return a moment, given in nanoseconds since the Unix epoch, as RFC 3339 writes it."""
    return f"{_second(ns // NS_PER_S)}.{ns % NS_PER_S:09d}Z"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
