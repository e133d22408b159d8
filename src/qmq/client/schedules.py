"""Schedules, from the values of the client to the messages of the wire, and back."""

from typing import TypeVar

from qmq.client.codecs import Codec
from qmq.client.decode import moment_ns
from qmq.client.encode import message_of, options_of
from qmq.client.options import Duration, must_be
from qmq.client.schedule_values import Missed, MissedName, Schedule
from qmq.client.values import NewMessage, member, span
from qmq.wire import q_pb2 as pb

T = TypeVar("T")


def schedule_message(  # noqa: PLR0913 - What `Queue.put_schedule` is told, each by name.
    message: T | NewMessage[T],
    codec: Codec[T],
    *,
    cron: str,
    interval: Duration | None,
    time_zone: str,
    missed: MissedName,
    paused: bool,
) -> pb.Schedule:
    """Encode what `Queue.put_schedule` is told.

    Raises:
        ValueError: a duration is negative, or there is no such policy.
    """
    if not isinstance(message, NewMessage):
        message = NewMessage(message)
    must_be(str, cron=cron, time_zone=time_zone)
    policy = member(Missed, missed, "missed")
    schedule = pb.Schedule(
        cron=cron,
        time_zone=time_zone,
        message=pb.NewMessage(
            payload=codec.encode(message.payload),
            tags=[pb.Tag(key=key, value=value) for key, value in message.tags],
            options=options_of(message),
        ),
        missed=pb.Schedule.Missed.Name(policy),
        paused=paused,
    )
    if (lasts := span(interval, "interval")) is not None:
        schedule.interval.FromTimedelta(lasts)
    return schedule


def schedule_of(wire: pb.Schedule, codec: Codec[T]) -> Schedule[T]:
    """Convert a schedule."""
    return Schedule(
        queue_id=wire.queue_id,
        name=wire.name,
        cron=wire.cron,
        interval=wire.interval.ToTimedelta() if wire.HasField("interval") else None,
        time_zone=wire.time_zone,
        message=message_of(wire.message),
        codec=codec,
        missed=_missed(wire.missed),
        paused=wire.paused,
        created_ns=moment_ns(wire.created),
        next_ns=moment_ns(wire.next) if wire.HasField("next") else None,
        last_ns=moment_ns(wire.last) if wire.HasField("last") else None,
        added=wire.added,
        missed_ticks=wire.missed_ticks,
        refused=wire.refused,
        deduplicated=wire.deduplicated,
        obstacle=wire.obstacle,
    )


def _missed(number: int) -> Missed:
    try:
        return Missed(number)
    except ValueError:
        return Missed.UNKNOWN
