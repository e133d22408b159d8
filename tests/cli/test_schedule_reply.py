"""Schedules as qcli prints them."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from qmq.cli.schedule_reply import schedule_records, schedule_table
from qmq.wire import q_pb2 as pb

CRON = pb.Schedule(
    queue_id="an id",
    name="nightly",
    cron="30 3 * * *",
    time_zone="Europe/Berlin",
    message=pb.NewMessage(
        payload=b"hello",
        tags=[pb.Tag(key="k", value="v")],
        options=pb.MessageOptions(priority=3, delay=Duration(nanos=500_000_000)),
    ),
    missed=pb.Schedule.ALL,
    created=Timestamp(seconds=1_795_528_607, nanos=264_656_630),
    next=Timestamp(seconds=1_795_573_800),
    last=Timestamp(seconds=1_795_487_400),
    added=7,
    missed_ticks=2,
    refused=1,
    obstacle="queue an id is\nfull",
)
INTERVAL = pb.Schedule(
    queue_id="other id",
    name="check",
    interval=Duration(seconds=90, nanos=500_000_000),
    message=pb.NewMessage(payload=b"\xff"),
    missed=pb.Schedule.SKIP,
    paused=True,
    created=Timestamp(seconds=1_795_528_607),
)
BOTH = pb.ListSchedulesResponse(schedules=[CRON, INTERVAL])


def test_a_schedule_is_one_flat_object() -> None:
    """All that there is to say of it; what its messages have as `qcli pop` prints it."""
    assert schedule_records(pb.GetScheduleResponse(schedule=CRON)) == [
        {
            "queue_id": "an id",
            "name": "nightly",
            "cron": "30 3 * * *",
            "interval_s": None,
            "time_zone": "Europe/Berlin",
            "missed": "ALL",
            "paused": False,
            "created": "2026-11-24T13:56:47.264656630Z",
            "next": "2026-11-25T02:30:00.000000000Z",
            "last": "2026-11-24T02:30:00.000000000Z",
            "added": 7,
            "missed_ticks": 2,
            "refused": 1,
            "deduplicated": 0,
            "obstacle": "queue an id is\nfull",
            "tags": {"k": "v"},
            "payload": "hello",
            "options": {"delay": "0.500s", "priority": 3},
        }
    ]


def test_what_a_schedule_has_not_is_none() -> None:
    """A payload that is no text is in base64."""
    [_, record] = schedule_records(BOTH)

    assert record == {
        "queue_id": "other id",
        "name": "check",
        "cron": "",
        "interval_s": 90.5,
        "time_zone": "",
        "missed": "SKIP",
        "paused": True,
        "created": "2026-11-24T13:56:47.000000000Z",
        "next": None,
        "last": None,
        "added": 0,
        "missed_ticks": 0,
        "refused": 0,
        "deduplicated": 0,
        "obstacle": "",
        "tags": {},
        "payload_base64": "/w==",
    }


def test_schedules_are_a_table() -> None:
    """Queues go by their names, and what stands in the way of one is said below."""
    title, first, second, obstacle = schedule_table(BOTH, {"an id": "reports"})

    assert title.split() == [
        *("QUEUE", "NAME", "WHEN", "NEXT", "LAST", "ADDED", "MISSED", "REFUSED", "PAYLOAD"),
    ]
    assert first.split("  ")[0] == "reports"
    assert "30 3 * * * Europe/Berlin  2026-11-25 02:30:00Z  2026-11-24 02:30:00Z" in first
    assert first.split()[-4:] == ["7", "2", "1", "hello"]
    assert [each.strip() for each in second.split("  ") if each] == [
        *("other id", "check", "every 1m30s", "paused", "-", "0", "-", "-", "\\xff"),
    ]
    assert obstacle == "reports/nightly: queue an id is\\nfull"


def test_a_reply_of_put_is_a_table_too() -> None:
    """And one of no schedules is the titles alone."""
    put = schedule_table(pb.PutScheduleResponse(schedule=INTERVAL), {})

    assert len(put) == 2
    assert len(schedule_table(pb.ListSchedulesResponse(), {})) == 1
