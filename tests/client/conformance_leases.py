"""What the client does with leases, whatever its calls go over.

As in `tests.client.conformance`.
"""

import asyncio
import pickle
from datetime import timedelta

import pytest

import qmq
from tests.client.conformance import UNKNOWN_ID, PassTime, Queue

#: No lease, though it looks like one.
NO_LEASE = "0000000000000000-00000001"


async def lease_one(queue: Queue, **options: float) -> qmq.AsyncLeasedMessage[bytes | str]:
    """Lease the message at the head."""
    (message,) = await queue.lease(**options)  # type: ignore[arg-type]
    return message


class LeasesConformance:
    """Leasing, acking, giving back, extending: by hand."""

    @pytest.fixture(params=["MEMORY", "DISK"])
    async def queue(self, client: qmq.AsyncClient, request: pytest.FixtureRequest) -> Queue:
        """A new queue, with a dead-letter queue and no back-off."""
        dead = await client.new_queue(store=request.param)
        settings = qmq.QueueSettings(
            dead_letter_queue_id=dead.queue_id, back_off=qmq.BackOff(base=0)
        )
        return await client.new_queue(store=request.param, settings=settings)

    @pytest.fixture
    async def dead(self, client: qmq.AsyncClient, queue: Queue) -> Queue:
        """The dead-letter queue."""
        settings = (await queue.info()).settings
        assert settings.dead_letter_queue_id
        return client.queue(settings.dead_letter_queue_id)

    async def test_a_message_is_leased_as_it_was_added(self, queue: Queue) -> None:
        """With what there is to know of the lease."""
        added = await queue.add("a", tags={"n": "1"})
        await queue.add("b")

        (message,) = await queue.lease()

        assert (message.id, message.created_ns, message.tags) == (
            added.id,
            added.created_ns,
            added.tags,
        )
        assert message.payload == message.value == b"a"
        assert message.delivery_count == 1
        assert (message.attempts, message.dead_letter, message.is_lost) == ((), None, False)
        assert message.lease_expires_ns > message.created_ns
        assert abs(message.lease_expires_at.timestamp() - message.lease_expires_ns / 1e9) < 2e-6
        stats = await queue.stats()
        assert (stats.ready, stats.leased) == (1, 1)
        assert [message.text for message in await queue.lease(10)] == ["b"]
        assert await queue.lease() == []

    async def test_what_another_process_gets_is_a_message(self, queue: Queue) -> None:
        """The lease stays where it is."""
        await queue.add("a", tags={"n": "1"})
        await (await lease_one(queue)).fail("why")
        message = await lease_one(queue)

        copy = pickle.loads(pickle.dumps(message))  # noqa: S301 - Ours.

        assert type(copy) is qmq.Message
        assert (copy.id, copy.text, copy.tag("n")) == (message.id, "a", "1")
        assert copy.attempts == message.attempts != ()

    async def test_an_acked_message_is_gone(self, queue: Queue) -> None:
        """To ack it twice is no error; anything else is."""
        await queue.add("a")
        message = await lease_one(queue)

        await message.ack()
        await message.ack()
        with pytest.raises(qmq.LeaseLost, match=message.lease_id) as refusal:
            await message.fail()

        assert (refusal.value.code, refusal.value.reason) == ("FAILED_PRECONDITION", "LEASE_LOST")
        assert refusal.value.metadata == {"lease_id": message.lease_id}
        assert not message.is_lost
        stats = await queue.stats()
        assert (stats.ready, stats.leased, stats.acked_total) == (0, 0, 1)

    async def test_a_released_message_comes_back_uncounted(self, queue: Queue) -> None:
        """At its old place."""
        await queue.add_batch(["a", "b"])
        first = await lease_one(queue)

        await first.release()
        again = await lease_one(queue)

        assert (again.id, again.delivery_count) == (first.id, 1)
        assert again.lease_id > first.lease_id
        assert [attempt.outcome for attempt in again.attempts] == [qmq.Outcome.RELEASED]

    async def test_a_failed_message_comes_back_counted(self, queue: Queue) -> None:
        """With what its consumers were called and said."""
        await queue.add("a")
        (first,) = await queue.lease(consumer="ann")

        await first.fail("no paper")
        again = await lease_one(queue)

        assert (again.id, again.delivery_count) == (first.id, 2)
        (attempt,) = again.attempts
        assert (attempt.consumer, attempt.outcome, attempt.reason) == (
            "ann",
            qmq.Outcome.FAILED,
            "no paper",
        )
        assert attempt.leased <= attempt.ended

    async def test_a_delay_keeps_a_message_back(self, queue: Queue, pass_time: PassTime) -> None:
        """Whether it was released or failed."""
        await queue.add("a")
        for kind in ("release", "fail"):
            leased = await lease_one(queue)
            if kind == "release":
                await leased.release(delay=0.2)
            else:
                await leased.fail(delay=timedelta(milliseconds=200))
            assert (await queue.stats()).delayed == 1
            assert await queue.lease() == []
            lease = asyncio.create_task(queue.lease(wait=50))
            await pass_time(0.2)
            (message,) = await lease
            await message.release()

    async def test_a_rejected_message_is_a_dead_letter(self, queue: Queue, dead: Queue) -> None:
        """It says why, and where it came from."""
        added = await queue.add("a", tags={"n": "1"})
        await (await lease_one(queue)).release()

        await (await lease_one(queue)).reject("not for us")

        letter = await dead.peek()
        assert (letter.id, letter.text, letter.tag("n")) == (added.id, "a", "1")
        assert letter.dead_letter is not None
        assert letter.dead_letter.reason is qmq.DeadLetterReason.REJECTED
        assert letter.dead_letter.text == "not for us"
        assert letter.dead_letter.source_queue_id == (await queue.info()).id
        assert letter.dead_letter.delivery_count == 1
        assert letter.dead_letter.moved >= letter.created
        assert [attempt.outcome for attempt in letter.attempts] == [
            qmq.Outcome.RELEASED,
            qmq.Outcome.REJECTED,
        ]
        assert (await lease_one(dead)).dead_letter == letter.dead_letter
        assert (await queue.stats()).dead_lettered_total == 1

    async def test_without_a_dead_letter_queue_nothing_is_rejected(self, dead: Queue) -> None:
        """The lease goes on."""
        await dead.add("a")
        message = await lease_one(dead)

        with pytest.raises(qmq.NoDeadLetterQueue, match="has no dead-letter queue"):
            await message.reject()

        assert not message.is_lost
        await message.ack()

    async def test_a_lease_ends_by_itself(self, queue: Queue, pass_time: PassTime) -> None:
        """Who had it is told so, and touches nobody else's."""
        await queue.add("a")
        late = await lease_one(queue, lease_duration=0.2)

        lease = asyncio.create_task(queue.lease(wait=50))
        await pass_time(0.2)
        (message,) = await lease

        assert message.delivery_count == 2
        assert [attempt.outcome for attempt in message.attempts] == [qmq.Outcome.EXPIRED]
        for end in (late.extend, late.fail, late.release, late.reject, late.ack):
            with pytest.raises(qmq.LeaseLost, match="expired at"):
                await end()
        assert late.is_lost
        await message.ack()

    async def test_a_late_ack_succeeds_before_redelivery(
        self, queue: Queue, dead: Queue, pass_time: PassTime
    ) -> None:
        """The work was done, after all."""
        await queue.add("a")
        late = await lease_one(queue, lease_duration=0.2)

        wait = asyncio.create_task(dead.pop_batch(1, wait=0.3))
        await pass_time(0.3)
        assert await wait == []
        assert (await queue.stats()).leased == 0
        await late.ack()

        assert (await queue.stats()).ready == 0
        assert not late.is_lost

    async def test_an_extended_lease_goes_on(self, queue: Queue, pass_time: PassTime) -> None:
        """For as long as it was asked to last at first, or as is said."""
        await queue.add_batch(["a", "b"])
        message = await lease_one(queue, lease_duration=600)
        short = await lease_one(queue, lease_duration=0.2)
        before_ns = short.lease_expires_ns

        await short.extend(600)
        await message.extend()

        assert short.lease_expires_ns - before_ns > 500e9
        assert abs(short.lease_expires_ns - message.lease_expires_ns) < 60e9
        lease = asyncio.create_task(queue.lease(wait=0.3))
        await pass_time(0.3)
        assert await lease == []
        await message.ack()
        await short.ack()

    async def test_many_are_ended_at_once(self, queue: Queue, dead: Queue) -> None:
        """Each has its own answer."""
        await queue.add_batch([str(n) for n in range(8)])
        messages = await queue.lease(10)
        await messages[1].ack()

        assert await queue.extend(messages[2:], 60) == [None] * 6
        acked = await queue.ack([messages[0], messages[1].lease_id, NO_LEASE, "none"])
        released = await queue.nack(messages[1:3], "RELEASE", delay=60)
        failed = await queue.nack([messages[3].lease_id], reason="why")
        rejected = await queue.nack(messages[4:6], qmq.NackKind.REJECT, reason="no")
        extended = await queue.extend([messages[0], messages[6]])

        assert [type(each) for each in acked] == [
            type(None),
            type(None),
            qmq.LeaseLost,
            qmq.InvalidArgument,
        ]
        assert [type(each) for each in released] == [qmq.LeaseLost, type(None)]
        assert (failed, rejected) == ([None], [None, None])
        assert [type(each) for each in extended] == [qmq.LeaseLost, type(None)]
        assert await queue.ack([]) == await queue.nack([]) == await queue.extend([]) == []
        stats = await queue.stats()
        assert (stats.ready, stats.leased, stats.delayed) == (1, 2, 1)
        assert (await dead.stats()).ready == 2

    async def test_what_is_out_of_range_is_refused(self, queue: Queue) -> None:
        """With the name of the field."""
        for call, field in (
            (queue.lease(1_001), "messages_max"),
            (queue.lease(lease_duration=0), "lease_duration"),
            (queue.lease(consumer="x" * 201), "consumer"),
            (queue.ack([NO_LEASE] * 1_001), "lease_ids"),
            (queue.nack([NO_LEASE], delay=timedelta(days=8)), "delay"),
            (queue.extend([NO_LEASE], timedelta(days=1)), "lease_duration"),
        ):
            with pytest.raises(qmq.InvalidArgument) as refusal:
                await call
            assert refusal.value.field == field

    async def test_each_call_on_no_queue_says_so(self, client: qmq.AsyncClient) -> None:
        """Those about leases as the others."""
        queue = client.queue(UNKNOWN_ID)
        for call in (
            queue.lease(),
            queue.lease(wait=1),
            queue.ack([NO_LEASE]),
            queue.nack([NO_LEASE]),
            queue.extend([NO_LEASE]),
            anext(queue.browse()),
            queue.explain(UNKNOWN_ID),
            queue.purge(),
            queue.pause(),
            queue.resume(),
            queue.update(limit=1),
            queue.redrive(),
        ):
            with pytest.raises(qmq.QueueNotFound, match=UNKNOWN_ID):
                await call


class CompleteConformance:
    """Acking and adding in one step."""

    @pytest.fixture(params=["MEMORY", "DISK"])
    async def queues(
        self, client: qmq.AsyncClient, request: pytest.FixtureRequest
    ) -> tuple[Queue, Queue]:
        """Where messages come from, two of them, and where they go to, one at most."""
        source = await client.new_queue(store=request.param)
        await source.add_batch(["a", "b"])
        return source, await client.new_queue(store=request.param, limit=1)

    async def test_a_step_is_done_as_a_whole(
        self, client: qmq.AsyncClient, queues: tuple[Queue, Queue]
    ) -> None:
        """The result says what was added."""
        source, target = queues
        messages = await source.lease(2)

        added = await client.complete(
            acks=messages,
            adds=[
                (target.with_codec(qmq.JsonCodec()), [{"n": 1}], {"kind": "sum"}),
                (source, ["c", "d"]),
            ],
        )

        popped = await target.pop()
        assert (popped.json(), popped.tag("kind")) == ({"n": 1}, "sum")
        assert [each.text for each in await source.pop_batch(9)] == ["c", "d"]
        assert (added[0].id, len(added)) == (popped.id, 3)
        assert (await source.stats()).leased == 0

    async def test_a_step_that_is_refused_does_nothing(
        self, client: qmq.AsyncClient, queues: tuple[Queue, Queue]
    ) -> None:
        """Whether it cannot add, or has not the lease."""
        source, target = queues
        first, second = await source.lease(2)

        with pytest.raises(qmq.QueueFull):
            await client.complete(acks=[first], adds=[(target, ["x", "y"])])
        await second.ack()
        with pytest.raises(qmq.LeaseLost, match=second.lease_id):
            await client.complete(acks=[first, second], adds=[(target, ["x"])])

        assert (await target.stats()).ready == 0
        assert (await source.stats()).leased == 1
        await first.ack()

    async def test_a_step_is_of_one_store(
        self, client: qmq.AsyncClient, queues: tuple[Queue, Queue]
    ) -> None:
        """No other could be done as a whole."""
        source, _ = queues
        store = (await source.info()).store
        other = await client.new_queue(
            store=qmq.Store.DISK if store is qmq.Store.MEMORY else qmq.Store.MEMORY
        )
        messages = await source.lease(2)

        with pytest.raises(qmq.StoresDiffer, match="must live in the same store"):
            await client.complete(acks=messages, adds=[(other, ["x"])])

        assert await source.ack(messages) == [None, None]
