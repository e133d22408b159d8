"""Schedules as flat JSON objects, and as a table for people."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from google.protobuf.json_format import MessageToDict

from qmq.cli.records import Record, content_record, moment_text
from qmq.cli.reply_tables import Names, called, preview
from qmq.cli.table import Column, age_text, numbers, printable, table, telling, when_text
from qmq.client.codecs import AS_IS
from qmq.client.schedule_values import Schedule
from qmq.client.schedules import schedule_of
from qmq.values import Tag
from qmq.wire import q_pb2 as pb

#: A reply with schedules.
ScheduleReply: TypeAlias = (
    pb.PutScheduleResponse | pb.GetScheduleResponse | pb.ListSchedulesResponse
)

#: Characters of a payload that are shown.
_PAYLOAD_CHARS = 32


def schedule_records(reply: ScheduleReply) -> list[Record]:
    """Return schedules as flat objects: their times, their message, and their counts."""
    return [_record(wire) for wire in _schedules(reply)]


def schedule_table(reply: ScheduleReply, names: Names) -> list[str]:
    """Return schedules, and below the table what stands in the way of one."""
    schedules = [schedule_of(wire, AS_IS) for wire in _schedules(reply)]
    queues = [called(each.queue_id, names) for each in schedules]
    lines = table(
        [
            Column("QUEUE", queues),
            Column("NAME", [each.name for each in schedules]),
            Column("WHEN", [_when(each) for each in schedules]),
            Column("NEXT", [when_text(each.next, "paused") for each in schedules]),
            Column("LAST", [when_text(each.last) for each in schedules]),
            numbers("ADDED", (each.added for each in schedules)),
            *telling(
                numbers("MISSED", (each.missed_ticks or "-" for each in schedules)),
                numbers("REFUSED", (each.refused or "-" for each in schedules)),
                numbers("DEDUPLICATED", (each.deduplicated or "-" for each in schedules)),
            ),
            Column(
                "PAYLOAD", [preview(each.message.payload, _PAYLOAD_CHARS) for each in schedules]
            ),
        ]
    )
    return [
        *lines,
        *(
            f"{queue}/{each.name}: {printable(each.obstacle)}"
            for queue, each in zip(queues, schedules, strict=True)
            if each.obstacle
        ),
    ]


def _schedules(reply: ScheduleReply) -> Sequence[pb.Schedule]:
    if isinstance(reply, pb.ListSchedulesResponse):
        return reply.schedules
    return [reply.schedule]


def _record(wire: pb.Schedule) -> Record:
    schedule = schedule_of(wire, AS_IS)
    options: dict[str, Any] = MessageToDict(wire.message.options, preserving_proto_field_name=True)
    return {
        "queue_id": schedule.queue_id,
        "name": schedule.name,
        "cron": schedule.cron,
        "interval_s": None if schedule.interval is None else schedule.interval.total_seconds(),
        "time_zone": schedule.time_zone,
        "missed": schedule.missed.name,
        "paused": schedule.paused,
        "created": moment_text(schedule.created_ns),
        "next": _text(schedule.next_ns),
        "last": _text(schedule.last_ns),
        "added": schedule.added,
        "missed_ticks": schedule.missed_ticks,
        "refused": schedule.refused,
        "deduplicated": schedule.deduplicated,
        "obstacle": schedule.obstacle,
        **content_record(
            [Tag(key, value) for key, value in schedule.message.tags], schedule.message.payload
        ),
        **({"options": options} if options else {}),
    }


def _text(moment_ns: int | None) -> str | None:
    return None if moment_ns is None else moment_text(moment_ns)


def _when(schedule: Schedule[Any]) -> str:
    if schedule.interval is not None:
        return f"every {age_text(schedule.interval)}"
    return printable(f"{schedule.cron} {schedule.time_zone}")
