"""What the client does with the options of messages, and of queues, whatever its calls go over.

As in `tests.client.conformance`.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

import qmq
from tests.client.conformance import PassTime, Queue, a_name, texts
from tests.client.conformance_leases import lease_one

#: How many seconds it takes until something is due, or of no use any more.
SOON_S = 0.4

HOUR = timedelta(hours=1)

#: Settings of which none is as by default, but for the dead-letter queue.
SETTINGS = qmq.QueueSettings(
    delay=1.5,
    ttl=timedelta(days=1),
    dedup_window=60,
    priority_ageing=0.001,
    bytes_limit=2**40,
    overflow="DROP_OLDEST",
    leased_max=7,
    rate=qmq.Rate(messages_per_second=0.5, burst=3),
    park_after=4,
    fairness=qmq.Fairness(
        leased_max=5, rate=qmq.Rate(messages_per_second=0.25, burst=6), weights={"a": 7, "b": 8}
    ),
    weight=9,
)


async def the_time(queue: Queue) -> datetime:
    """What the server's clock says."""
    now = (await queue.add("what time is it?")).created
    await queue.purge()
    return now


def is_about(moment: datetime | None, other: datetime) -> bool:
    """Tell whether two moments are the same but for what lies between two clocks."""
    return moment is not None and abs(moment - other) < timedelta(seconds=1)


class OptionsConformance:
    """When a message is handed out, and how often it is added."""

    @pytest.fixture(params=["MEMORY", "DISK"])
    async def queue(self, client: qmq.AsyncClient, request: pytest.FixtureRequest) -> Queue:
        """A new queue, with a dead-letter queue."""
        dead = await client.new_queue(a_name(), store=request.param)
        settings = qmq.QueueSettings(dead_letter_queue_id=dead.queue_id)
        return await client.new_queue(a_name(), store=request.param, settings=settings)

    @pytest.fixture
    async def dead(self, client: qmq.AsyncClient, queue: Queue) -> Queue:
        """The dead-letter queue."""
        settings = (await queue.info()).settings
        assert settings.dead_letter_queue_id
        return client.queue(settings.dead_letter_queue_id)

    async def test_a_message_is_kept_back(self, queue: Queue, pass_time: PassTime) -> None:
        """Until it is due; then it stands where it came."""
        first = await queue.add("first", delay=SOON_S)
        await queue.add_batch([qmq.NewMessage("second", delay=SOON_S), "now"])

        stats = await queue.stats()
        now = await queue.pop_batch(9)
        waiting = asyncio.create_task(queue.pop(wait=50))
        await pass_time(SOON_S)
        popped = await waiting

        assert (stats.ready, stats.delayed) == (1, 2)
        assert [message.text for message in now] == ["now"]
        assert now[0].available_at is None
        assert (popped.id, popped.available_at) == (
            first.id,
            first.created + timedelta(seconds=SOON_S),
        )
        assert (await queue.pop(wait=50)).text == "second"

    async def test_moments_are_the_same_as_durations(self, queue: Queue) -> None:
        """One that has passed is no delay, and what is of no use already is refused."""
        now = await the_time(queue)

        await queue.add("long due", available_at=now - HOUR, expires_at=now + HOUR)
        await queue.add("not yet", available_at=now + HOUR)
        (popped,) = await queue.pop_batch(9)
        (kept,) = [message async for message in queue.browse()]
        with pytest.raises(qmq.InvalidArgument, match="must be later than now") as refusal:
            await queue.add("of no use", expires_at=now - HOUR)

        assert (popped.text, popped.expires_at) == ("long due", now + HOUR)
        assert (kept.state, kept.available_at) == (qmq.MessageState.DELAYED, now + HOUR)
        assert is_about(kept.until, now + HOUR)
        assert refusal.value.field == "message.options.expires_at"

    @pytest.mark.parametrize(
        ("options", "name"),
        [
            ({"delay": 1, "available_at": True}, "delay"),
            ({"ttl": 1, "expires_at": True}, "ttl"),
            ({"priority": 256}, "priority"),
            ({"priority": -1}, "priority"),
            ({"dedup_id": "x" * 129}, "dedup_id"),
            ({"group_id": "x\n"}, "group_id"),
            ({"fair_key": "x" * 129}, "fair_key"),
            ({"delay": timedelta(days=4_000)}, "delay"),
        ],
    )
    async def test_an_option_that_breaks_a_rule_is_named(
        self, queue: Queue, options: dict[str, Any], name: str
    ) -> None:
        """Of one message as of one of several, of which nothing is added then."""
        now = await the_time(queue)
        told: dict[str, Any] = {
            key: now + HOUR if value is True else value for key, value in options.items()
        }

        with pytest.raises(qmq.InvalidArgument) as alone:
            await queue.add("x", **told)
        with pytest.raises(qmq.InvalidArgument) as in_batch:
            await queue.add_batch(["fine", qmq.NewMessage("x", **told)])
        async with queue.producer() as producer:
            answers = await asyncio.gather(
                producer.add("fine"), producer.add("x", **told), return_exceptions=True
            )

        assert alone.value.field == f"message.options.{name}"
        assert in_batch.value.field == f"messages[1].options.{name}"
        assert isinstance(answers[0], qmq.Metadata)
        assert isinstance(answers[1], qmq.InvalidArgument)
        assert answers[1].field == f"message.options.{name}"
        assert await texts(queue.drain()) == ["fine"]

    @pytest.mark.parametrize("is_kept", [False, True])
    async def test_a_message_of_no_use_is_not_handed_out(
        self,
        queue: Queue,
        dead: Queue,
        pass_time: PassTime,
        is_kept: bool,  # noqa: FBT001 - A setting.
    ) -> None:
        """It is gone, or a dead letter if its queue says so."""
        await queue.update(qmq.QueueSettings(dead_letter_expired=is_kept))
        added = await queue.add("soon stale", ttl=SOON_S)
        await queue.add("fresh", ttl=3600)

        wait = asyncio.create_task(dead.pop_batch(1, wait=2 * SOON_S))
        await pass_time(2 * SOON_S)
        letters = await wait

        assert [message.text for message in await queue.pop_batch(9)] == ["fresh"]
        assert [letter.id for letter in letters] == ([added.id] if is_kept else [])
        for letter in letters:
            assert letter.dead_letter is not None
            assert letter.dead_letter.reason is qmq.DeadLetterReason.EXPIRED
        stats = await queue.stats()
        assert (stats.expired_total, stats.dead_lettered_total) == (1, int(is_kept))

    async def test_a_high_priority_goes_first(self, queue: Queue) -> None:
        """Whichever way they are added and taken; those of one priority stay in order."""
        await queue.add("low 1")
        await queue.add("high 1", priority=255)
        await queue.add_batch(
            [
                "low 2",
                qmq.NewMessage("high 2", priority=255),
                qmq.NewMessage("middle", priority=7),
            ]
        )
        async with queue.producer() as producer:
            await producer.submit("low 3")
            await producer.submit("high 3", priority=255)

        (leased,) = await queue.lease()
        popped = await queue.pop()
        rest = await queue.pop_batch(9)

        assert (leased.text, leased.priority) == ("high 1", 255)
        assert (popped.text, popped.priority) == ("high 2", 255)
        assert [(message.text, message.priority) for message in rest] == [
            ("high 3", 255),
            ("middle", 7),
            ("low 1", 0),
            ("low 2", 0),
            ("low 3", 0),
        ]

    async def test_a_message_is_added_once(self, queue: Queue) -> None:
        """A repeat is told of the first one, also when that has left the queue."""
        first = await queue.add("a", tags={"n": "1"}, dedup_id="invoice 17")
        again = await queue.add("b", dedup_id="invoice 17")
        popped = await queue.pop()
        late = await queue.add("c", dedup_id="invoice 17")
        other = await queue.add("d", dedup_id="invoice 18")

        assert not first.deduplicated
        for repeat in (again, late):
            assert repeat.deduplicated
            assert (repeat.id, repeat.created_ns, repeat.tags) == (
                first.id,
                first.created_ns,
                first.tags,
            )
        assert (popped.id, popped.text, popped.dedup_id) == (first.id, "a", "invoice 17")
        assert not other.deduplicated
        stats = await queue.stats()
        assert (stats.ready, stats.enqueued_total) == (1, 2)
        assert (stats.deduplicated_total, stats.dedup_ids) == (2, 2)

    async def test_each_message_of_a_batch_is_added_once(self, queue: Queue) -> None:
        """Of two with one id in one batch, too."""
        known = await queue.add("1", dedup_id="1")

        added = await queue.add_batch(
            [
                "plain",
                qmq.NewMessage("1 again", dedup_id="1"),
                qmq.NewMessage("2", dedup_id="2", tags={"own": "x"}),
                qmq.NewMessage("2 again", dedup_id="2"),
                "plain",
            ],
            tags={"of": "all"},
        )

        assert [each.deduplicated for each in added] == [False, True, False, True, False]
        assert (added[1].id, added[3].id) == (known.id, added[2].id)
        messages = await queue.pop_batch(9)
        assert [message.text for message in messages] == ["1", "plain", "2", "plain"]
        assert messages[2].tags == (qmq.Tag("own", "x"), qmq.Tag("of", "all"))

    async def test_each_add_of_a_producer_is_told_of_its_own(self, queue: Queue) -> None:
        """Though they go together, those with options and those without."""
        async with queue.producer() as producer:
            added = await asyncio.gather(
                *(
                    producer.add(str(n), dedup_id=str(n // 2) if n % 4 < 2 else "")
                    for n in range(200)
                )
            )

        assert [each.deduplicated for each in added] == [n % 4 == 1 for n in range(200)]
        stored = [each.id for each in added if not each.deduplicated]
        assert [message.id for message in await queue.pop_batch(1_000)] == stored

    async def test_a_step_adds_messages_with_options(
        self, client: qmq.AsyncClient, queue: Queue, dead: Queue
    ) -> None:
        """Beside those without."""
        await queue.add("in")
        message = await lease_one(queue)

        await client.complete(
            acks=[message],
            adds=[
                (
                    dead,
                    ["low", qmq.NewMessage("high", priority=9, tags={"own": "x"})],
                    {"of": "all"},
                ),
                (queue, [qmq.NewMessage("later", delay=3600)]),
            ],
        )

        high, low = await dead.pop_batch(9)
        assert (high.text, high.priority, low.text) == ("high", 9, "low")
        assert high.tags == (qmq.Tag("own", "x"), qmq.Tag("of", "all"))
        stats = await queue.stats()
        assert (stats.ready, stats.leased, stats.delayed) == (0, 0, 1)


class QueueOptionsConformance:
    """What a queue does with all of its messages."""

    @pytest.fixture(params=["MEMORY", "DISK"])
    async def queue(self, client: qmq.AsyncClient, request: pytest.FixtureRequest) -> Queue:
        """A new queue."""
        return await client.new_queue(a_name(), store=request.param)

    async def test_each_setting_is_kept(self, client: qmq.AsyncClient) -> None:
        """And may be put back to what it is by default."""
        queue = await client.new_queue(settings=SETTINGS)
        plain = (await (await client.new_queue()).info()).settings

        made = (await queue.info()).settings
        updated = await queue.update(
            qmq.QueueSettings(
                delay=0,
                overflow="REJECT",
                rate=qmq.Rate(burst=4),
                fairness=qmq.Fairness(weights={"a": 0, "c": 10}),
            )
        )
        back = await queue.update(
            qmq.QueueSettings(
                ttl=0,
                dedup_window=300,
                priority_ageing=0,
                bytes_limit=0,
                leased_max=0,
                rate=qmq.Rate(messages_per_second=0, burst=0),
                park_after=0,
                fairness=qmq.Fairness(
                    leased_max=0,
                    rate=qmq.Rate(messages_per_second=0, burst=0),
                    weights={"b": 0, "c": 0},
                ),
                weight=1,
            )
        )

        assert (made.delay, made.ttl) == (timedelta(seconds=1.5), timedelta(days=1))
        assert (made.dedup_window, made.priority_ageing) == (
            timedelta(minutes=1),
            timedelta(milliseconds=1),
        )
        assert (made.bytes_limit, made.leased_max) == (2**40, 7)
        assert (made.overflow, made.rate) == (qmq.Overflow.DROP_OLDEST, SETTINGS.rate)
        assert (made.park_after, made.fairness, made.weight) == (4, SETTINGS.fairness, 9)
        assert updated.settings.rate == qmq.Rate(messages_per_second=0.5, burst=4)
        assert updated.settings.fairness == qmq.Fairness(
            leased_max=5,
            rate=qmq.Rate(messages_per_second=0.25, burst=6),
            weights={"b": 8, "c": 10},
        )
        assert (updated.settings.overflow, updated.settings.ttl) == (
            qmq.Overflow.REJECT,
            made.ttl,
        )
        assert back.settings == plain

    async def test_what_needs_a_dead_letter_queue_is_refused_without(self, queue: Queue) -> None:
        """By name."""
        for settings, name in (
            (qmq.QueueSettings(dead_letter_expired=True), "dead_letter_expired"),
            (qmq.QueueSettings(overflow="DEAD_LETTER_OLDEST"), "overflow"),
        ):
            with pytest.raises(
                qmq.InvalidArgument, match="needs a dead_letter_queue_id"
            ) as refusal:
                await queue.update(settings)
            assert refusal.value.field == f"settings.{name}"

    async def test_a_queue_keeps_messages_back_and_lets_them_expire(self, queue: Queue) -> None:
        """But what a message says of its delay goes before that."""
        await queue.update(qmq.QueueSettings(delay=3600, ttl=7200))

        kept = await queue.add("kept back")
        await queue.add("at once", delay=0)

        at_once = await queue.pop()
        (message,) = [message async for message in queue.browse()]
        assert at_once.text == "at once"
        assert (message.text, message.state) == ("kept back", qmq.MessageState.DELAYED)
        assert message.available_at == kept.created + HOUR
        assert is_about(message.until, kept.created + HOUR)

    async def test_bytes_have_a_limit(self, queue: Queue) -> None:
        """The error names it."""
        await queue.update(qmq.QueueSettings(bytes_limit=1_000))
        await queue.add(bytes(600))

        with pytest.raises(qmq.QueueFull, match="bytes_limit of 1000") as refusal:
            await queue.add(bytes(600))

        error, stats = refusal.value, await queue.stats()
        assert (error.limit, error.value, error.current) == ("bytes_limit", 1_000, stats.bytes)
        assert error.retry_after_s
        assert 600 < stats.bytes < 1_000

    async def test_the_oldest_messages_make_room(self, queue: Queue) -> None:
        """They are gone, or dead letters."""
        await queue.update(qmq.QueueSettings(overflow="DROP_OLDEST"), limit=2)

        await queue.add_batch(["a", "b"])
        await queue.add("c")

        assert await texts(queue.drain()) == ["b", "c"]
        assert (await queue.stats()).overflowed_total == 1

    async def test_the_oldest_messages_become_dead_letters(
        self, client: qmq.AsyncClient, queue: Queue
    ) -> None:
        """With the reason."""
        dead = await client.new_queue(a_name(), store=(await queue.info()).store)
        await queue.update(
            qmq.QueueSettings(overflow="DEAD_LETTER_OLDEST", dead_letter_queue_id=dead.queue_id),
            limit=2,
        )

        await queue.add_batch(["a", "b"])
        await queue.add("c")

        letter = await dead.pop()
        assert letter.text == "a"
        assert letter.dead_letter is not None
        assert letter.dead_letter.reason is qmq.DeadLetterReason.OVERFLOW
        assert await texts(queue.drain()) == ["b", "c"]

    async def test_no_more_messages_are_on_lease_than_may_be(self, queue: Queue) -> None:
        """Nor is one popped, until one of them is done."""
        await queue.update(qmq.QueueSettings(leased_max=2))
        await queue.add_batch(["a", "b", "c"])

        leased = await queue.lease(9)
        assert await queue.lease(9) == await queue.pop_batch(9) == []
        with pytest.raises(qmq.QueueEmpty, match="2 on lease, as many as its") as refusal:
            await queue.pop()
        await leased[0].ack()

        assert refusal.value.retry_after_s == 1
        assert [message.text for message in leased] == ["a", "b"]
        assert (await queue.pop()).text == "c"

    async def test_a_queue_hands_out_at_a_rate(self, queue: Queue) -> None:
        """After a pause, a burst; and then next to nothing at this one."""
        await queue.update(qmq.QueueSettings(rate=qmq.Rate(messages_per_second=0.001, burst=2)))
        await queue.add_batch(["a", "b", "c"])

        messages = await queue.pop_batch(9)

        assert [message.text for message in messages] == ["a", "b"]
        assert await queue.lease(9) == await queue.pop_batch(9) == []
        await queue.update(qmq.QueueSettings(rate=qmq.Rate(messages_per_second=0)))
        assert (await queue.pop()).text == "c"
