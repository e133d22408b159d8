"""Schedules, as the client describes them: frozen values, of no connection."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Generic, Literal, TypeAlias, TypeVar

from qmq.client.codecs import Codec
from qmq.client.values import NewMessage, moment

T = TypeVar("T")


class Missed(IntEnum):
    """What becomes of ticks at which the server was down; the numbers are those of the wire."""

    #: The server is newer than the client.
    UNKNOWN = 0
    #: Nothing is added for them.
    SKIP = 1
    #: One message is added for all of them.
    ONE = 2
    #: One message is added for each, up to 1,000 at a time.
    ALL = 3


#: What becomes of missed ticks, or the name of that.
MissedName: TypeAlias = Missed | Literal["SKIP", "ONE", "ALL"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule(Generic[T]):
    """What adds a message to a queue again and again, and how far it is.

    Each moment at which it does so is a tick.
    """

    #: The id of the queue.
    queue_id: str
    #: Unique among the schedules of the queue.
    name: str
    #: A cron expression; empty if there is an interval.
    cron: str
    #: From one tick to the next; None if there is an expression.
    interval: timedelta | None
    #: The zone in which the expression is meant; empty if there is none.
    time_zone: str
    #: What is added: the payload as it is, tags, and options.
    message: NewMessage[bytes]
    #: What reads the payload: that of the queue it came from.
    codec: Codec[T] = field(repr=False, compare=False)
    #: What becomes of ticks at which the server was down.
    missed: Missed
    #: Whether it stands still.
    paused: bool
    #: When it was made: nanoseconds since the Unix epoch.
    created_ns: int
    #: When the next message is added; None while it is paused.
    next_ns: int | None
    #: The last tick that has passed; None if none has.
    last_ns: int | None
    #: How many ticks have come to what: a message was added; none, since the tick was missed;
    #: none, since the queue refused it; none, since the queue knew its dedup_id.
    added: int
    missed_ticks: int
    refused: int
    deduplicated: int
    #: Why the queue refused the last message; empty if it did not.
    obstacle: str

    @property
    def value(self) -> T:
        """The payload of the message as the queue's codec reads it, anew each time.

        Raises:
            ValueError: the codec cannot read it; some codecs raise another error.
        """
        return self.codec.decode(self.message.payload)

    @property
    def created(self) -> datetime:
        """When it was made, in UTC, to the microsecond."""
        return moment(self.created_ns)

    @property
    def next(self) -> datetime | None:
        """When the next message is added, in UTC, to the microsecond; None while it is paused."""
        return None if self.next_ns is None else moment(self.next_ns)

    @property
    def last(self) -> datetime | None:
        """The last tick that has passed, in UTC, to the microsecond; None if none has."""
        return None if self.last_ns is None else moment(self.last_ns)
