"""Messages, as the client takes them and hands them out: frozen values, of no connection."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from qmq.client.codecs import Codec
from qmq.client.options import Duration, aware, seconds
from qmq.values import DeadLetterReason, Durability, MessageState, NackKind, Outcome, Tag

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
E = TypeVar("E", bound=Enum)

#: Tags as a program writes them: {"kind": "greeting"}, or pairs where a key repeats.
Tags: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str] | Tag]

#: The same, as pairs of key and value.
TagPairs: TypeAlias = tuple[tuple[str, str], ...]

#: What a nack means, where a message is, why it is a dead letter: or the names of these.
NackKindName: TypeAlias = NackKind | Literal["RELEASE", "FAIL", "REJECT"]
MessageStateName: TypeAlias = MessageState | Literal["READY", "LEASED", "DELAYED"]
DeadLetterReasonName: TypeAlias = (
    DeadLetterReason | Literal["REJECTED", "DELIVERY_COUNT_MAX", "EXPIRED", "OVERFLOW", "SKIPPED"]
)

#: A level of durability, or its name.
DurabilityName: TypeAlias = Durability | Literal["MEMORY", "OS", "FSYNC", "REPLICATED"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def member(kind: type[E], value: E | str, name: str) -> E:
    """Return what a name stands for, such as the store called `"DISK"`.

    Args:
        kind: what is named, such as Store.
        value: a member of it, or the name of one.
        name: what that was given as, for the error.

    Raises:
        ValueError: there is none of that name.
    """
    if not isinstance(value, str):
        return value
    try:
        return kind[value]
    except KeyError:
        names = ", ".join(each for each in kind.__members__ if each != "UNKNOWN")
        raise ValueError(f"{name} must be one of {names}; got {value!r}") from None


def durability_level(durability: DurabilityName | None) -> Durability:
    """Return a level of durability, however it was written; None is UNKNOWN, which asks for none.

    Raises:
        ValueError: there is no such level.
    """
    if durability is None:
        return Durability.UNKNOWN
    return member(Durability, durability, "durability")


def tag_pairs(tags: Tags) -> TagPairs:
    """Return tags, however they were written, as pairs of key and value.

    Raises:
        TypeError: they are something else, or a key or a value is no str.
    """
    if not tags:
        return ()
    pairs = tags.items() if isinstance(tags, Mapping) else tags
    found = tuple((tag.key, tag.value) if isinstance(tag, Tag) else tag for tag in pairs)
    for pair in found:
        match pair:
            case [str(), str()]:
                pass
            case _:
                raise TypeError(
                    "tags are str to str, such as {'kind': 'greeting'}, or pairs of them;"
                    f" got {pair!r}"
                )
    return found


@dataclass(frozen=True, slots=True)
class Metadata:
    """What q knows about a message besides its payload."""

    #: A UUID that q gave it.
    id: str
    #: When q accepted it: nanoseconds since the Unix epoch.
    created_ns: int
    #: In the order in which they were given.
    tags: tuple[Tag, ...] = ()
    #: How durable it was, at least, when the call that added it was answered; UNKNOWN if the
    #: server does not say, or is newer than the client.
    durability: Durability = Durability.UNKNOWN
    #: Whether the queue knew the dedup_id that the caller gave, so that nothing was added: the
    #: rest is about the message that was added then.
    deduplicated: bool = False

    @property
    def created(self) -> datetime:
        """When q accepted it, in UTC, to the microsecond."""
        return moment(self.created_ns)

    def tag(self, key: str, default: str = "") -> str:
        """Return the value of the first tag that has the key, or the default."""
        return first_value(self.tags, key, default)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that a message was leased, and how that ended."""

    #: What the consumer called itself; may be empty.
    consumer: str
    #: Nanoseconds since the Unix epoch, as is the end.
    leased_ns: int
    ended_ns: int
    #: None if the server is newer than the client, and knows more of them.
    outcome: Outcome | None
    #: What the consumer said why; may be empty.
    reason: str = ""

    @property
    def leased(self) -> datetime:
        """When it was leased, in UTC, to the microsecond."""
        return moment(self.leased_ns)

    @property
    def ended(self) -> datetime:
        """When that ended, in UTC, to the microsecond."""
        return moment(self.ended_ns)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a message was put into a dead-letter queue."""

    #: None if the server is newer than the client, and knows more of them.
    reason: DeadLetterReason | None
    #: What the last consumer said why; may be empty.
    text: str
    #: The id of the queue that it came from.
    source_queue_id: str
    #: When it was moved: nanoseconds since the Unix epoch.
    moved_ns: int
    #: How often it was delivered.
    delivery_count: int

    @property
    def moved(self) -> datetime:
        """When it was moved, in UTC, to the microsecond."""
        return moment(self.moved_ns)


@dataclass(frozen=True, slots=True)
class MovedMessage:
    """What became of a message that is where it was to go."""

    #: The id of the queue that it is in now.
    queue_id: str
    #: Whether it was there before the call: one before it has moved it.
    was_there: bool


@dataclass(frozen=True, slots=True)
class Message(Generic[T]):
    """A message, as the server hands it out."""

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
    #: Why it is in a dead-letter queue; None of a message that is no dead letter.
    dead_letter: DeadLetter | None = field(default=None, repr=False)
    #: How it was leased before, and how that ended: the last 16 times, oldest first. A
    #: message that is leased has it, one that is browsed, and a dead letter.
    attempts: tuple[Attempt, ...] = field(default=(), repr=False)
    #: 0 to 255: the higher, the sooner it is handed out.
    priority: int = field(default=0, repr=False)
    #: Until when it was kept back, and when it is of no use any more: nanoseconds since the
    #: Unix epoch. None if it was not, and if it is of use for ever.
    available_ns: int | None = field(default=None, repr=False)
    expires_ns: int | None = field(default=None, repr=False)
    #: What it was added under, so that it is added once; empty for nothing.
    dedup_id: str = field(default="", repr=False)
    #: The group in which it is handed out one after the other; empty for none.
    group_id: str = field(default="", repr=False)
    #: Whose turn it is handed out at; empty for none.
    fair_key: str = field(default="", repr=False)
    #: The queue that it was leased of: its id, or its name if the caller went by that. Also of
    #: one that was popped by a selector; empty otherwise.
    queue_id: str = field(default="", repr=False)

    @property
    def created(self) -> datetime:
        """When q accepted it, in UTC, to the microsecond."""
        return moment(self.created_ns)

    @property
    def available_at(self) -> datetime | None:
        """Until when it was kept back, in UTC, to the microsecond; None if it was not."""
        return None if self.available_ns is None else moment(self.available_ns)

    @property
    def expires_at(self) -> datetime | None:
        """When it is of no use any more, in UTC, to the microsecond; None if it is for ever."""
        return None if self.expires_ns is None else moment(self.expires_ns)

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
        return first_value(self.tags, key, default)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowsedMessage(Message[T]):
    """A message that somebody looks at, where it is and for how long."""

    #: None if the server is newer than the client, and knows more of them.
    state: MessageState | None
    #: How often it has been delivered; what was released does not count.
    delivery_count: int
    #: Of a leased message: what the one calls itself who has it. Otherwise empty.
    consumer: str = ""
    #: When its lease ends, or it is kept back until: nanoseconds since the Unix epoch.
    #: None of a message that is ready.
    until_ns: int | None = None
    #: How long it has been in the queue.
    age: timedelta = timedelta()

    @property
    def until(self) -> datetime | None:
        """When its lease ends, or it is kept back until, in UTC, to the microsecond."""
        return None if self.until_ns is None else moment(self.until_ns)


@dataclass(frozen=True, slots=True)
class Explanation(Generic[T]):
    """Where a message is, and why it is not being handed out now."""

    message: BrowsedMessage[T]
    #: How many messages of the queue are handed out before it, if it is ready.
    ahead: int
    #: A sentence each, the most important first.
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, init=False)
class NewMessage(Generic[T_co]):
    """A message that is to be added, with tags and options of its own.

    It stands in place of a payload in `Queue.add_batch` and `Client.complete`.
    """

    #: bytes or a str, or what the queue's codec takes.
    payload: T_co
    #: Pairs of key and value.
    tags: TagPairs
    #: How long it is kept back before it is handed out; None leaves that to the queue.
    delay: timedelta | None
    #: The same as a moment.
    available_at: datetime | None
    #: How long it is of use; None leaves that to the queue.
    ttl: timedelta | None
    #: The same as a moment.
    expires_at: datetime | None
    #: 0 to 255: the higher, the sooner it is handed out.
    priority: int
    #: Stands for what it is about, so that it is added once; empty for nothing.
    dedup_id: str
    #: Messages of one group are handed out one after the other; empty for none.
    group_id: str
    #: Messages with different ones are handed out in turns; empty is one like the others.
    fair_key: str

    def __init__(  # noqa: PLR0913 - All that a message may have, each by name.
        self,
        payload: T_co,
        *,
        tags: Tags = (),
        delay: Duration | None = None,
        available_at: datetime | None = None,
        ttl: Duration | None = None,
        expires_at: datetime | None = None,
        priority: int = 0,
        dedup_id: str = "",
        group_id: str = "",
        fair_key: str = "",
    ) -> None:
        """Say what is to be added. The arguments are those of `Queue.add`.

        Raises:
            ValueError: a duration is negative or no number, or a moment has no time zone.
        """
        set_fields(
            self,
            payload=payload,
            tags=tag_pairs(tags),
            delay=span(delay, "delay"),
            available_at=None if available_at is None else aware(available_at, "available_at"),
            ttl=span(ttl, "ttl"),
            expires_at=None if expires_at is None else aware(expires_at, "expires_at"),
            priority=priority,
            dedup_id=dedup_id,
            group_id=group_id,
            fair_key=fair_key,
        )


def set_fields(value: object, **fields: object) -> None:
    """Set the fields of a frozen value."""
    for name, content in fields.items():
        object.__setattr__(value, name, content)


def span(duration: Duration | None, name: str) -> timedelta | None:
    """Return a duration, however it was written; None stays None.

    Raises:
        ValueError: it is negative or no number; `name` says which one.
    """
    return None if duration is None else timedelta(seconds=seconds(duration, name))


def moment(ns: int) -> datetime:
    """Return a moment, given in nanoseconds since the Unix epoch, in UTC."""
    # Whole numbers all the way: a float would be wrong in the last digits.
    return EPOCH + timedelta(microseconds=ns // 1_000)


def first_value(tags: tuple[Tag, ...], key: str, default: str) -> str:
    """Return the value of the first tag that has the key, or the default."""
    return next((tag.value for tag in tags if tag.key == key), default)
