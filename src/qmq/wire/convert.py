"""Between the messages of the wire and the values of q: checks come with the conversion."""

from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Final
from weakref import WeakKeyDictionary

from qmq.descriptions import GroupInfo, Pause, QueueInfo, QueueSettings, QueueStats
from qmq.envelope import encode_tags, field_1
from qmq.errors import InvalidArgument
from qmq.limits import (
    CONSUMER_BYTES_MAX,
    REASON_BYTES_MAX,
    TAG_KEY_BYTES_MAX,
    TAG_VALUE_BYTES_MAX,
    TAGS_BYTES_MAX,
    TAGS_MAX,
)
from qmq.values import Durability, FairKeyStats, Tag
from qmq.wire import q_pb2 as pb
from qmq.wire.settings import settings_message
from qmq.wire.times import duration_message, moment_message

#: How durable a change is, as field 2 of a reply, by the number of the level.
LEVEL_2: Final = tuple(b"\x10" + bytes((level,)) if level else b"" for level in Durability)


def tag_value(tag: pb.Tag, field: str) -> Tag:
    """Convert a tag. An empty key is accepted, as the original did.

    Raises:
        InvalidArgument: key or value is too long; `field` names the tag.
    """
    for part, text, most in (
        ("key", tag.key, TAG_KEY_BYTES_MAX),
        ("value", tag.value, TAG_VALUE_BYTES_MAX),
    ):
        # A character takes one byte or more, so short texts need no encoding to count.
        if len(text) > most // 4 and (size := len(text.encode())) > most:
            raise InvalidArgument.over(
                f"{field}.{part}",
                f"takes {size} bytes, more than {most}",
                f"tag_{part}_bytes_max",
                most,
                size,
            )
    return Tag(tag.key, tag.value)


def tag_values(tags: Sequence[pb.Tag]) -> tuple[Tag, ...]:
    """Convert the field `tags` of a request about a queue.

    Raises:
        InvalidArgument: there are too many, or they are too long.
    """
    values = _tag_values(tags, "tags")
    _encode(values, "tags")
    return values


def encoded_tags(tags: Sequence[pb.Tag], field: str) -> bytes:
    """Convert and encode the tags of a message, for its envelope.

    Raises:
        InvalidArgument: there are too many, or they are too long; `field` names them.
    """
    return _encode(_tag_values(tags, field), field)


def _tag_values(tags: Sequence[pb.Tag], field: str) -> tuple[Tag, ...]:
    count = len(tags)
    if count > TAGS_MAX:
        raise InvalidArgument.over(
            field,
            f"has {count} tags, more than tags_max of {TAGS_MAX}",
            "tags_max",
            TAGS_MAX,
            count,
        )
    return tuple(tag_value(tag, f"{field}[{at}]") for at, tag in enumerate(tags))


def _encode(tags: tuple[Tag, ...], field: str) -> bytes:
    encoded = encode_tags(tags)
    if len(encoded) > TAGS_BYTES_MAX:
        raise InvalidArgument.over(
            field,
            f"take {len(encoded)} bytes, more than tags_bytes_max of {TAGS_BYTES_MAX}",
            "tags_bytes_max",
            TAGS_BYTES_MAX,
            len(encoded),
        )
    return encoded


def consumer_name(text: str) -> str:
    """Return the field `consumer` of a request: what a consumer calls itself.

    Raises:
        InvalidArgument: it is too long, or has a character that not every store keeps.
    """
    if not text:
        return text
    if (size := len(text.encode())) > CONSUMER_BYTES_MAX:
        raise InvalidArgument.over(
            "consumer",
            f"takes {size} bytes, more than {CONSUMER_BYTES_MAX}",
            "consumer_bytes_max",
            CONSUMER_BYTES_MAX,
            size,
        )
    if (at := text.find("\0")) >= 0:
        # PostgreSQL would refuse the commit, and with it the changes of all who wait for it.
        raise InvalidArgument("consumer", f"must not have the character U+0000; it is at {at}")
    return text


def kept_reason(text: str) -> str:
    """Return as much of a reason as is kept: whole characters."""
    return text.encode()[:REASON_BYTES_MAX].decode(errors="ignore")


#: Most queues of a server have one of a few settings, and a list of queues describes them all. What
#: is kept is copied into each message, and never changed.
_settings_message: Final = lru_cache(maxsize=256)(settings_message)


@lru_cache(maxsize=256)
def _changed_settings_message(settings: QueueSettings) -> pb.QueueSettings:
    """Describe on the wire what settings have that is not as by default."""
    message, default = settings_message(settings), settings_message(QueueSettings())
    for field in message.DESCRIPTOR.fields:
        if getattr(message, field.name) == getattr(default, field.name):
            message.ClearField(field.name)
    return message


def queue_message(info: QueueInfo, *, brief: bool = False) -> pb.Queue:
    """Describe a queue on the wire; with `brief` without the settings that are as by default."""
    settings = _changed_settings_message if brief else _settings_message
    return pb.Queue(
        meta=pb.Metadata(
            id=info.id,
            created=moment_message(info.created_ns),
            tags=[pb.Tag(key=tag.key, value=tag.value) for tag in info.tags],
        ),
        store=pb.Queue.Store.Name(info.store),
        name=info.name,
        settings=settings(info.settings),
        limit=info.limit,
        paused=_paused_message(info.pause) if info.pause else None,
    )


def _paused_message(pause: Pause) -> pb.PausedQueue:
    return pb.PausedQueue(since=moment_message(pause.since_ns), adds=pause.adds)


#: What describes queues on the wire, encoded, as long as they stay so; and the same in brief.
_encoded_queues: Final = WeakKeyDictionary[QueueInfo, bytes]()
_encoded_queues_in_brief: Final = WeakKeyDictionary[QueueInfo, bytes]()


def queue_bytes(info: QueueInfo, *, brief: bool = False) -> bytes:
    """Return what `queue_message` does, encoded."""
    encoded = _encoded_queues_in_brief if brief else _encoded_queues
    found = encoded.get(info)
    if found is None:
        found = encoded[info] = queue_message(info, brief=brief).SerializeToString()
    return found


#: What of a queue's stats is a number, and called as on the wire.
_NUMBERS: Final = tuple(
    name
    for name in QueueStats._fields
    if name not in {"info", "oldest_age_ns", "consumers", "top_fair_keys"}
)
_numbers: Final = attrgetter(*_NUMBERS)


def stats_bytes(stats: QueueStats, *, brief: bool = False) -> bytes:
    """Describe on the wire what a queue holds, encoded; `brief` as in `queue_message`.

    People who watch ask for all queues again and again, though hardly any has changed. So the
    queue's description is encoded only once, and counts of 0 take no time.
    """
    age_ns = stats.oldest_age_ns
    numbers = {name: value for name, value in zip(_NUMBERS, _numbers(stats), strict=True) if value}
    message = pb.QueueStats(limit=stats.info.limit, **numbers)
    if age_ns is not None:
        message.oldest_age.CopyFrom(duration_message(age_ns))
    if stats.consumers:
        message.consumers.extend(
            pb.ConsumerStats(consumer=consumer, leased=leased)
            for consumer, leased in stats.consumers
        )
    if stats.top_fair_keys:
        message.top_fair_keys.extend(map(_fair_key_message, stats.top_fair_keys))
    return field_1(queue_bytes(stats.info, brief=brief)) + message.SerializeToString()


def _fair_key_message(stats: FairKeyStats) -> pb.FairKeyStats:
    return pb.FairKeyStats(
        fair_key=stats.fair_key, weight=stats.weight, waiting=stats.waiting, leased=stats.leased
    )


def group_message(group: GroupInfo) -> pb.Group:
    """Describe a group on the wire."""
    return pb.Group(
        group_id=group.id,
        state=pb.Group.State.Name(group.state),
        waiting=group.waiting,
        leased=group.leased,
        since=moment_message(group.since_ns) if group.since_ns else None,
    )
