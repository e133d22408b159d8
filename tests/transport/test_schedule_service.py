"""The methods about schedules, as they are on the wire."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from qmq.errors import QueueNotFound, ScheduleNotFound
from qmq.testing import START_NS
from qmq.values import NS_PER_S
from qmq.wire import q_pb2 as pb
from tests.engine.callers import turns
from tests.transport.service import Service, refusal_of

EVERY_10_S = pb.Schedule(interval=Duration(seconds=10))


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """Return a server with the queue "jobs"."""
    service = Service()
    await service.call("NewQueue", name="jobs", store=pb.Queue.MEMORY)
    yield service
    await service.broker.close()


async def put(service: Service, schedule: pb.Schedule, name: str = "tick") -> pb.Schedule:
    """Make or change a schedule, and return what is told of it."""
    reply = await service.call("PutSchedule", queue_id="jobs", name=name, schedule=schedule)
    told = reply.schedule
    assert isinstance(told, pb.Schedule)
    return told


def at(seconds: float) -> Timestamp:
    """Return the moment so many seconds after the beginning."""
    moment = Timestamp()
    moment.FromNanoseconds(START_NS + round(seconds * NS_PER_S))
    return moment


async def test_schedule_is_told_back(service: Service) -> None:
    """All that was asked for, the queue's id, when it is due, and what became of its ticks."""
    queue_id = (await service.call("GetQueue", queue_id="jobs")).queue.meta.id
    asked = pb.Schedule(
        cron="*/5 * * * *",
        time_zone="Europe/Berlin",
        message=pb.NewMessage(
            payload=b"\0\xff",
            tags=[pb.Tag(key="a", value="1"), pb.Tag(key="a"), pb.Tag(key="\u4e16", value="")],
            options=pb.MessageOptions(
                delay=Duration(seconds=1),
                ttl=Duration(nanos=1_000_000),
                priority=200,
                dedup_id="x",
                group_id="g",
                fair_key="f",
            ),
        ),
        missed=pb.Schedule.ALL,
        paused=True,
    )

    told = await put(service, asked)
    got = (await service.call("GetSchedule", queue_id="jobs", name="tick")).schedule
    listed = (await service.call("ListSchedules", queue_id="jobs")).schedules

    wanted = pb.Schedule(queue_id=queue_id, name="tick", created=at(0))
    wanted.MergeFrom(asked)
    assert told == got == wanted
    assert list(listed) == [wanted]


async def test_what_is_left_out_is_told(service: Service) -> None:
    """An expression is meant in UTC, and one message makes up for all that were missed."""
    cron = await put(service, pb.Schedule(cron="* * * * *"))
    interval = await put(service, EVERY_10_S)

    assert (cron.time_zone, cron.missed, cron.next) == ("UTC", pb.Schedule.ONE, at(40))
    assert not cron.HasField("interval")
    assert (interval.time_zone, interval.cron, interval.next) == ("", "", at(10))
    assert interval.interval == EVERY_10_S.interval
    assert not interval.HasField("last")


async def test_what_is_in_replies_alone_is_ignored(service: Service) -> None:
    """So that what was got can be put again, with a change, or under another name."""
    told = await put(service, EVERY_10_S)
    service.clock.advance(10)
    await turns()
    told = (await service.call("GetSchedule", queue_id="jobs", name="tick")).schedule

    again = await put(service, told)
    copy = await put(service, told, "copy")

    assert again == told
    assert (told.added, told.last) == (1, at(10))
    assert (copy.name, copy.added, copy.next, copy.HasField("last")) == ("copy", 0, at(20), False)


async def test_what_became_of_ticks_is_told(service: Service) -> None:
    """Added, missed and refused ones, and why."""
    queue = (await service.call("UpdateQueue", queue_id="jobs", limit=3)).queue
    await put(service, EVERY_10_S)
    for seconds in (3_600, 10, 10, 10):
        service.clock.advance(seconds)
        await turns()

    told = (await service.call("GetSchedule", queue_id="jobs", name="tick")).schedule

    assert (told.added, told.missed_ticks, told.refused, told.deduplicated) == (3, 359, 1, 0)
    assert told.obstacle == f"queue {queue.meta.id} has reached limit of 3 messages"


async def test_messages_have_what_the_schedule_says(service: Service) -> None:
    """Payload, tags and options; each has an id and a moment of its own."""
    schedule = pb.Schedule(
        interval=Duration(seconds=10),
        message=pb.NewMessage(
            payload=b"{}",
            tags=[pb.Tag(key="kind", value="nightly")],
            options=pb.MessageOptions(priority=3, group_id="g", fair_key="f"),
        ),
    )
    await put(service, schedule)
    for _ in range(2):
        service.clock.advance(10)
        await turns()

    first, second = (await service.call("PopBatch", queue_id="jobs", messages_max=9)).messages

    assert (first.payload, list(first.meta.tags)) == (b"{}", list(schedule.message.tags))
    assert first.options == schedule.message.options
    assert first.meta.created == at(10)
    assert (second.meta.created, second.meta.id != first.meta.id) == (at(20), True)


async def test_schedules_are_listed_by_pages(service: Service) -> None:
    """Of all queues, if none is named."""
    await service.call("NewQueue", name="more", store=pb.Queue.MEMORY)
    for name in ("b", "a"):
        await put(service, EVERY_10_S, name)
        await service.call("PutSchedule", queue_id="more", name=name, schedule=EVERY_10_S)

    first = await service.call("ListSchedules", page_size=3)
    rest = await service.call("ListSchedules", page_size=3, page_token=first.next_page_token)

    assert [each.name for each in (*first.schedules, *rest.schedules)] == ["a", "b", "a", "b"]
    assert (len(first.schedules), rest.next_page_token) == (3, "")


async def test_schedule_is_deleted_once(service: Service) -> None:
    """What is not there is not found."""
    await put(service, EVERY_10_S)

    await service.call("DeleteSchedule", queue_id="jobs", name="tick")

    for name in ("GetSchedule", "DeleteSchedule"):
        with pytest.raises(ScheduleNotFound):
            await service.call(name, queue_id="jobs", name="tick")
        with pytest.raises(QueueNotFound):
            await service.call(name, queue_id="00000000-0000-0000-0000-000000000000", name="tick")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "schedule: must have either cron or interval, and not both"),
        (
            {"cron": "* * * * *", "interval": Duration(seconds=1)},
            "schedule: must have either cron or interval, and not both",
        ),
        (
            {"interval": Duration()},
            "schedule.interval: must be 1 second to 10 years; got 0 seconds",
        ),
        (
            {"interval": Duration(nanos=500_000_000)},
            "schedule.interval: must be 1 second to 10 years; got 0.5 seconds",
        ),
        (
            {"interval": Duration(seconds=2**62)},
            "schedule.interval: must be 1 second to 10 years; got 4.61169e+18 seconds",
        ),
        ({"cron": "99 * * * *"}, "schedule.cron: '99 * * * *': bad minute"),
        (
            {"cron": "* * * * *", "time_zone": "Mars"},
            (
                "schedule.time_zone: must be the name of a zone as IANA has it, for example"
                " Europe/Berlin; got 'Mars'"
            ),
        ),
        (
            {"cron": "* * * * *", "missed": 9},
            "schedule.missed: must be one of SKIP (1), ONE (2), ALL (3); got 9",
        ),
        (
            {
                "cron": "* * * * *",
                "message": pb.NewMessage(options=pb.MessageOptions(priority=256)),
            },
            "schedule.message.options.priority: must be 0 to 255; got 256",
        ),
        (
            {
                "cron": "* * * * *",
                "message": pb.NewMessage(options=pb.MessageOptions(expires_at=at(60))),
            },
            (
                "schedule.message.options.expires_at: must be left out, since each message comes"
                " at a moment of its own; use ttl"
            ),
        ),
        (
            {
                "cron": "* * * * *",
                "message": pb.NewMessage(tags=[pb.Tag(key="k" * 1_025)]),
            },
            "schedule.message.tags[0].key: takes 1025 bytes, more than 1024",
        ),
    ],
)
async def test_bad_schedule_is_refused(
    service: Service, fields: dict[str, Any], message: str
) -> None:
    """The error names field, rule and value, and nothing has changed."""
    refusal = await refusal_of(put(service, pb.Schedule(**fields)))

    assert refusal.message == message
    assert not (await service.call("ListSchedules")).schedules


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"queue_id": "none"}, "queue_id: 'none' is neither a UUID nor the name of a queue"),
        (
            {"name": "a b"},
            "name: must be 1 to 80 of A-Z a-z 0-9 . _ - starting with a letter or digit; got 'a b'",
        ),
        (
            {"name": ""},
            "name: must be 1 to 80 of A-Z a-z 0-9 . _ - starting with a letter or digit; got ''",
        ),
    ],
)
async def test_bad_name_is_refused(service: Service, fields: dict[str, Any], message: str) -> None:
    """That of the queue, and of the schedule."""
    request: dict[str, Any] = {"queue_id": "jobs", "name": "a", "schedule": EVERY_10_S} | fields

    assert (await refusal_of(service.call("PutSchedule", **request))).message == message
