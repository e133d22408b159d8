"""Between the durations and moments of the wire and nanoseconds."""

from typing import Final, NamedTuple

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from qmq.errors import InvalidArgument
from qmq.limits import AHEAD_S_MAX, DELAY_S_MAX, LEASE_S_MAX, LEASE_S_MIN, TTL_S_MIN
from qmq.values import NS_PER_S


class Span(NamedTuple):
    """How long something may last."""

    min_ns: int
    max_ns: int
    #: The same for people to read.
    text: str


LEASE: Final = Span(
    round(LEASE_S_MIN * NS_PER_S), LEASE_S_MAX * NS_PER_S, "1 millisecond to 12 hours"
)
DELAY: Final = Span(0, DELAY_S_MAX * NS_PER_S, "0 to 7 days")
AHEAD: Final = Span(0, AHEAD_S_MAX * NS_PER_S, "0 to 10 years")
TTL: Final = Span(round(TTL_S_MIN * NS_PER_S), AHEAD.max_ns, "1 millisecond to 10 years")


def duration_ns(duration: Duration, field: str, span: Span) -> int:
    """Convert a duration to nanoseconds.

    Raises:
        InvalidArgument: it is shorter or longer than it may be; `field` names it.
    """
    ns = duration.ToNanoseconds()
    if not span.min_ns <= ns <= span.max_ns:
        raise InvalidArgument(field, f"must be {span.text}; got {ns / NS_PER_S:g} seconds")
    return ns


def optional_duration_ns(message: Message, field: str, span: Span) -> int | None:
    """Convert a field that holds a duration to nanoseconds; None if it is left out.

    Raises:
        InvalidArgument: it is shorter or longer than it may be.
    """
    return duration_ns(getattr(message, field), field, span) if message.HasField(field) else None


def moment_ns(moment: Timestamp, field: str) -> int:
    """Convert a moment to nanoseconds since the Unix epoch; those before that are the epoch.

    Raises:
        InvalidArgument: it is none of the years 1 to 9999; `field` names it.
    """
    try:
        return max(0, moment.ToNanoseconds())
    except ValueError:
        raise InvalidArgument(
            field,
            "must be a moment from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z;"
            f" got {moment.seconds} seconds and {moment.nanos} nanoseconds since 1970",
        ) from None


def moment_message(ns: int) -> Timestamp:
    """Convert nanoseconds since the Unix epoch."""
    seconds, nanos = divmod(ns, NS_PER_S)
    return Timestamp(seconds=seconds, nanos=nanos)


def duration_message(ns: int) -> Duration:
    """Convert nanoseconds, of which there are none less than 0."""
    seconds, nanos = divmod(ns, NS_PER_S)
    return Duration(seconds=seconds, nanos=nanos)
