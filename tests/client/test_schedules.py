"""Schedules, between the values of the client and the messages of the wire."""

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

import qmq
from qmq.client.codecs import AS_IS
from qmq.client.schedules import schedule_message, schedule_of
from qmq.wire import q_pb2 as pb


def test_what_a_newer_server_knows_is_unknown() -> None:
    """A policy that this client has never heard of is no error."""
    wire = pb.Schedule(name="tick")
    wire.MergeFromString(b"\x38\x63")

    assert schedule_of(wire, AS_IS).missed is qmq.Missed.UNKNOWN
    assert schedule_of(pb.Schedule(), AS_IS).missed is qmq.Missed.UNKNOWN


def test_moments_are_told_to_the_microsecond() -> None:
    """Or not at all, if there are none."""
    moment = Timestamp(seconds=1_795_528_607, nanos=264_656_630)

    told = schedule_of(pb.Schedule(created=moment, next=moment, last=moment), AS_IS)
    none = schedule_of(pb.Schedule(created=moment), AS_IS)

    shown = datetime(2026, 11, 24, 13, 56, 47, 264_656, tzinfo=UTC)
    assert (told.created, told.next, told.last) == (shown, shown, shown)
    assert (none.created, none.next, none.last) == (shown, None, None)
    assert told.next_ns == 1_795_528_607_264_656_630


def test_interval_is_encoded_to_the_microsecond() -> None:
    """In seconds, or as a timedelta; what is left out is not there."""

    def asked(interval: float | timedelta | None) -> pb.Schedule:
        return schedule_message(
            "hello",
            AS_IS,
            cron="",
            interval=interval,
            time_zone="",
            missed="ALL",
            paused=False,
        )

    assert asked(1.25).interval.ToNanoseconds() == 1_250_000_000
    assert asked(timedelta(days=400, microseconds=1)).interval.ToMicroseconds() == (
        400 * 86_400 * 10**6 + 1
    )
    assert asked(0).HasField("interval")
    assert not asked(None).HasField("interval")
    assert asked(None).message == pb.NewMessage(payload=b"hello")
    assert asked(None).missed == pb.Schedule.ALL
