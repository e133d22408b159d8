"""Frozen values that all rooms share."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

#: Nanoseconds in a second.
NS_PER_S: Final = 1_000_000_000

#: The limit of a queue that has none.
UNBOUNDED = -1


class Store(IntEnum):
    """Where a queue's messages live; the numbers are those of the wire."""

    UNKNOWN = 0
    MEMORY = 1
    DISK = 2


@dataclass(frozen=True, slots=True)
class Tag:
    """A label. Queues and messages have a set of them, kept in order of arrival."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueInfo:
    """What a queue is, apart from the messages in it."""

    #: UUID in its canonical lower-case form.
    id: str
    #: Nanoseconds since the Unix epoch.
    created_ns: int
    #: Never UNKNOWN.
    store: Store
    #: Most messages it holds; UNBOUNDED or at least 1.
    limit: int = UNBOUNDED
    #: Unique, or empty.
    name: str = ""
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """What a queue holds, and what went through it since the server started."""

    info: QueueInfo
    #: Messages that can be handed out.
    ready: int
    #: What those take, in bytes.
    ready_bytes: int
    #: Age of the message at the head in nanoseconds; None if there is none.
    oldest_age_ns: int | None
    #: Calls that wait for a message.
    waiting: int
    enqueued_total: int
    consumed_total: int
