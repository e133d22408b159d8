"""Between the durations and moments of the wire and nanoseconds."""

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from qmq.errors import InvalidArgument
from qmq.values import NS_PER_S
from qmq.wire import q_pb2 as pb
from qmq.wire.times import (
    AHEAD,
    DELAY,
    LEASE,
    TTL,
    Span,
    duration_message,
    duration_ns,
    moment_message,
    moment_ns,
    optional_duration_ns,
)

#: Seconds of the first and the last moment that a Timestamp can be.
FIRST_S, LAST_S = -62_135_596_800, 253_402_300_799

spans = pytest.mark.parametrize(
    "span", [LEASE, DELAY, AHEAD, TTL], ids=["lease", "delay", "ahead", "ttl"]
)


def duration(ns: int) -> Duration:
    """Return a duration of so many nanoseconds, which may be less than none."""
    found = Duration()
    found.FromNanoseconds(ns)
    return found


@spans
def test_duration_is_bounded_to_the_nanosecond(span: Span) -> None:
    """The shortest and the longest are fine; beyond them is an error that names the field."""
    for ns in (span.min_ns, span.max_ns):
        assert duration_ns(duration(ns), "delay", span) == ns
    for ns in (span.min_ns - 1, span.max_ns + 1):
        with pytest.raises(InvalidArgument, match=f"^some.field: must be {span.text}; got "):
            duration_ns(duration(ns), "some.field", span)


@spans
@given(ns=st.integers(-(10**19), 10**19))
def test_duration_is_taken_if_it_is_within_its_span(span: Span, ns: int) -> None:
    """And is the same one then; no other is."""
    if span.min_ns <= ns <= span.max_ns:
        assert duration_ns(duration(ns), "delay", span) == ns
    else:
        with pytest.raises(InvalidArgument):
            duration_ns(duration(ns), "delay", span)


def test_spans_say_in_words_what_they_are_in_numbers() -> None:
    """As the comments of the proto do."""
    hour_ns = 3600 * NS_PER_S
    day_ns = 24 * hour_ns

    assert Span(NS_PER_S // 1_000, 12 * hour_ns, "1 millisecond to 12 hours") == LEASE
    assert Span(0, 7 * day_ns, "0 to 7 days") == DELAY
    # Ten years have two leap days, or three.
    assert Span(0, (10 * 365 + 3) * day_ns, "0 to 10 years") == AHEAD
    assert Span(NS_PER_S // 1_000, AHEAD.max_ns, "1 millisecond to 10 years") == TTL


def test_duration_that_is_left_out_is_none() -> None:
    """Which is another thing than one of 0."""
    assert optional_duration_ns(pb.NackRequest(), "delay", DELAY) is None
    assert optional_duration_ns(pb.NackRequest(delay=Duration()), "delay", DELAY) == 0


@given(seconds=st.integers(-(2**63), 2**63 - 1), nanos=st.integers(-(2**31), 2**31 - 1))
def test_moment_is_taken_if_it_is_one(seconds: int, nanos: int) -> None:
    """A Timestamp can be of the years 1 to 9999, and has a whole second's nanoseconds at most."""
    moment = Timestamp(seconds=seconds, nanos=nanos)

    if FIRST_S <= seconds <= LAST_S and 0 <= nanos < NS_PER_S:
        assert moment_ns(moment, "at") == max(0, seconds * NS_PER_S + nanos)
    else:
        with pytest.raises(InvalidArgument, match=r"^at: must be a moment from "):
            moment_ns(moment, "at")


@pytest.mark.parametrize(
    ("moment", "ns"),
    [
        (Timestamp(seconds=FIRST_S), 0),
        (Timestamp(seconds=-1, nanos=1), 0),
        (Timestamp(nanos=1), 1),
        (Timestamp(seconds=LAST_S, nanos=NS_PER_S - 1), (LAST_S + 1) * NS_PER_S - 1),
    ],
    ids=["first", "before", "after", "last"],
)
def test_moment_is_counted_from_1970(moment: Timestamp, ns: int) -> None:
    """What was before that has passed, and how long ago is nobody's concern."""
    assert moment_ns(moment, "at") == ns


def test_wrong_moment_is_told() -> None:
    """With what came, since it is no date that could be written."""
    with pytest.raises(InvalidArgument) as refusal:
        moment_ns(Timestamp(seconds=1, nanos=-5), "message.options.expires_at")

    assert refusal.value.message == (
        "message.options.expires_at: must be a moment from 0001-01-01T00:00:00Z to"
        " 9999-12-31T23:59:59.999999999Z; got 1 seconds and -5 nanoseconds since 1970"
    )


@given(ns=st.integers(0, AHEAD.max_ns))
def test_what_is_written_is_read_as_the_same(ns: int) -> None:
    """To the nanosecond."""
    assert duration_ns(duration_message(ns), "delay", AHEAD) == ns
    assert moment_ns(moment_message(ns), "at") == ns
