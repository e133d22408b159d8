"""What the client hands out: frozen values, apart from any connection."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeAlias, TypeVar

from qmq.client.codecs import Codec
from qmq.values import Store, Tag

T = TypeVar("T")

#: Tags as a program writes them: {"kind": "greeting"}, or pairs where a key repeats.
Tags: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str] | Tag]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def tag_pairs(tags: Tags) -> tuple[tuple[str, str], ...]:
    """Return tags, however they were written, as pairs of key and value."""
    if not tags:
        return ()
    pairs = tags.items() if isinstance(tags, Mapping) else tags
    return tuple((tag.key, tag.value) if isinstance(tag, Tag) else tag for tag in pairs)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What q knows about a message besides its payload."""

    #: A UUID that q gave it.
    id: str
    #: When q accepted it: nanoseconds since the Unix epoch.
    created_ns: int
    #: In the order in which they were given.
    tags: tuple[Tag, ...] = ()

    @property
    def created(self) -> datetime:
        """When q accepted it, in UTC, to the microsecond."""
        return _moment(self.created_ns)

    def tag(self, key: str, default: str = "") -> str:
        """Return the value of the first tag that has the key, or the default."""
        return _first_value(self.tags, key, default)


@dataclass(frozen=True, slots=True)
class Message(Generic[T]):
    """A message that was popped or peeked at."""

    #: A UUID that q gave it.
    id: str
    #: When q accepted it: nanoseconds since the Unix epoch.
    created_ns: int
    #: In the order in which they were given.
    tags: tuple[Tag, ...]
    #: The bytes as they were added.
    payload: bytes
    #: What reads the payload: that of the queue it came from.
    codec: Codec[T] = field(repr=False, compare=False)

    @property
    def created(self) -> datetime:
        """When q accepted it, in UTC, to the microsecond."""
        return _moment(self.created_ns)

    @property
    def value(self) -> T:
        """The payload as the queue's codec reads it, anew each time.

        Raises:
            ValueError: the codec cannot read it; some codecs raise another error.
        """
        return self.codec.decode(self.payload)

    @property
    def text(self) -> str:
        """The payload as UTF-8 text. Raises UnicodeDecodeError, a ValueError."""
        return self.payload.decode()

    def json(self) -> Any:  # noqa: ANN401 - JSON has no better type.
        """Return the payload read as JSON. Raises json.JSONDecodeError, a ValueError."""
        return json.loads(self.payload)

    def tag(self, key: str, default: str = "") -> str:
        """Return the value of the first tag that has the key, or the default."""
        return _first_value(self.tags, key, default)


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """What a queue is, apart from the messages in it."""

    #: A UUID that q gave it.
    id: str
    #: Unique on the server; empty if it has none.
    name: str
    #: Where its messages live; UNKNOWN if the server is newer than the client.
    store: Store
    #: When it was made: nanoseconds since the Unix epoch.
    created_ns: int
    #: In the order in which they were added.
    tags: tuple[Tag, ...] = ()

    @property
    def created(self) -> datetime:
        """When it was made, in UTC, to the microsecond."""
        return _moment(self.created_ns)

    def tag(self, key: str, default: str = "") -> str:
        """Return the value of the first tag that has the key, or the default."""
        return _first_value(self.tags, key, default)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """What a queue holds now, and what went through it since the server started."""

    info: QueueInfo
    #: Messages that can be handed out.
    ready: int
    #: What those take, tags and metadata included, in bytes.
    ready_bytes: int
    #: How long the message at the head has been waiting; None if there is none.
    oldest_age: timedelta | None
    #: Calls that wait for a message.
    waiting: int
    #: Messages added and popped since the server started.
    enqueued_total: int
    consumed_total: int
    #: Most messages it holds; -1 is no limit.
    limit: int


def _moment(ns: int) -> datetime:
    # Whole numbers all the way: a float would be wrong in the last digits.
    return _EPOCH + timedelta(microseconds=ns // 1_000)


def _first_value(tags: tuple[Tag, ...], key: str, default: str) -> str:
    return next((tag.value for tag in tags if tag.key == key), default)
