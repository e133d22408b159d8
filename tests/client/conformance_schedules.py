"""What the client does for those who make schedules, whatever its calls go over.

As in `tests.client.conformance`.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import qmq
from tests.client.conformance import PassTime, Queue, a_name

#: Far enough ahead for no message to come.
YEARLY = "0 0 1 1 *"


class SchedulesConformance:
    """Schedules that are made, changed, looked at and deleted, and that add messages."""

    @pytest.fixture(params=["MEMORY", "DISK"])
    async def queue(self, client: qmq.AsyncClient, request: pytest.FixtureRequest) -> Queue:
        """A new queue."""
        return await client.new_queue(a_name(), store=request.param)

    async def test_message_comes_by_itself(self, queue: Queue, pass_time: PassTime) -> None:
        """Again and again; the schedule tells how often it did."""
        made = await queue.put_schedule("tick", "hello", interval=1)
        messages = []
        for _ in range(2):
            waiting = asyncio.create_task(queue.pop(wait=30))
            await pass_time(1)
            messages.append(await waiting)
        now = await queue.schedule("tick")
        await queue.delete_schedule("tick")

        assert [each.text for each in messages] == ["hello", "hello"]
        assert (made.added, now.added) == (0, 2)
        assert made.next
        assert now.last
        assert made.next == made.created + timedelta(seconds=1)
        assert now.last == made.created + timedelta(seconds=2)

    async def test_schedule_is_as_it_was_put(self, client: qmq.AsyncClient, queue: Queue) -> None:
        """With all that it was told, and what reads its message."""
        typed = client.queue(queue.queue_id, codec=qmq.JsonCodec())
        message = qmq.NewMessage(
            {"kind": "report"},
            tags=[("a", "1"), ("a", "2")],
            delay=timedelta(seconds=1.5),
            ttl=60,
            priority=9,
            dedup_id="report",
            group_id="reports",
            fair_key="acme",
        )

        made = await typed.put_schedule(
            "report",
            message,
            cron="30 6 * * MON-FRI",
            time_zone="Europe/Berlin",
            missed="SKIP",
            paused=True,
        )

        encoded = qmq.JsonCodec().encode({"kind": "report"})
        assert made.queue_id == (await queue.info()).id
        assert (made.name, made.cron, made.time_zone) == (
            "report",
            "30 6 * * MON-FRI",
            "Europe/Berlin",
        )
        assert (made.interval, made.missed, made.paused) == (None, qmq.Missed.SKIP, True)
        assert (made.next, made.last, made.obstacle) == (None, None, "")
        assert (made.added, made.missed_ticks, made.refused, made.deduplicated) == (0, 0, 0, 0)
        assert made.value == {"kind": "report"}
        assert made.message == qmq.NewMessage(
            encoded,
            tags=message.tags,
            delay=1.5,
            ttl=60,
            priority=9,
            dedup_id="report",
            group_id="reports",
            fair_key="acme",
        )
        assert await typed.schedule("report") == made
        assert await typed.schedules() == [made]

    async def test_expression_is_meant_in_its_zone(self, queue: Queue) -> None:
        """In UTC, unless it is told otherwise."""
        utc = await queue.put_schedule("utc", "", cron=YEARLY)
        tokyo = await queue.put_schedule("tokyo", "", cron=YEARLY, time_zone="Asia/Tokyo")

        assert utc.next
        assert tokyo.next
        assert utc.next == datetime(utc.next.year, 1, 1, tzinfo=UTC)
        assert utc.next - tokyo.next == timedelta(hours=9)
        assert (utc.time_zone, utc.missed) == ("UTC", qmq.Missed.ONE)

    async def test_schedule_is_put_again(self, queue: Queue) -> None:
        """What it was can be put with a change, and goes on where it is."""
        made = await queue.put_schedule("daily", "old", interval=timedelta(days=1))

        again = await queue.put_schedule(
            made.name, replace_payload(made.message, b"new"), interval=made.interval, missed="ALL"
        )

        assert again == replace(
            made, message=qmq.NewMessage(b"new"), missed=qmq.Missed.ALL, codec=made.codec
        )

    async def test_schedules_are_those_of_a_queue_or_of_all(
        self, client: qmq.AsyncClient, queue: Queue
    ) -> None:
        """In order of their names."""
        other = await client.new_queue(a_name())
        for name in ("b", "a"):
            await queue.put_schedule(name, name, cron=YEARLY)
            await other.put_schedule(name, name, cron=YEARLY)

        everything = await client.schedules()

        assert [each.name for each in await queue.schedules()] == ["a", "b"]
        ours = (await queue.info()).id, (await other.info()).id
        assert [(each.queue_id, each.value) for each in everything if each.queue_id in ours] == [
            (ours[0], b"a"),
            (ours[0], b"b"),
            (ours[1], b"a"),
            (ours[1], b"b"),
        ]

    async def test_deleted_schedule_is_gone(self, queue: Queue) -> None:
        """To delete it once more is no error."""
        await queue.put_schedule("tick", "", cron=YEARLY)

        await queue.delete_schedule("tick")
        await queue.delete_schedule("tick")

        assert await queue.schedules() == []
        with pytest.raises(qmq.ScheduleNotFound, match="has no schedule named 'tick'"):
            await queue.schedule("tick")

    async def test_what_breaks_a_rule_is_refused(self, queue: Queue) -> None:
        """By the server, which names the field, or before it is asked."""
        with pytest.raises(qmq.InvalidArgument) as refusal:
            await queue.put_schedule("tick", "", cron="every day")
        with pytest.raises(qmq.InvalidArgument, match="either cron or interval"):
            await queue.put_schedule("tick", "")
        with pytest.raises(qmq.InvalidArgument, match="interval"):
            await queue.put_schedule("tick", "", interval=0)
        with pytest.raises(qmq.MessageTooLarge) as too_large:
            await queue.put_schedule("tick", bytes(65_537), interval=1)
        with pytest.raises(ValueError, match="interval"):
            await queue.put_schedule("tick", "", interval=-1)
        with pytest.raises(ValueError, match="must be one of"):
            await queue.put_schedule("tick", "", interval=1, missed="NEVER")  # type: ignore[arg-type]

        assert refusal.value.field == "schedule.cron"
        assert too_large.value.limit == "schedule_message_bytes_max"
        assert await queue.schedules() == []


def replace_payload(message: qmq.NewMessage[bytes], payload: bytes) -> qmq.NewMessage[bytes]:
    """Return a message with another payload."""
    assert message.payload
    return qmq.NewMessage(payload, tags=message.tags, priority=message.priority)
