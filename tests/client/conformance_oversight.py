"""What the client does for those who look after queues, whatever its calls go over.

As in `tests.client.conformance`.
"""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

import qmq
from tests.client.conformance import UNKNOWN_ID, Queue, a_name, texts
from tests.client.conformance_leases import lease_one


async def texts_of(messages: AsyncIterator[qmq.BrowsedMessage[bytes | str]]) -> list[str]:
    """Read the payloads of all messages."""
    return [message.text async for message in messages]


class OversightConformance:
    """Looking after queues: settings, pauses, purges, browsing, redrives."""

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

    async def test_settings_have_defaults(self, client: qmq.AsyncClient) -> None:
        """The server says all of them."""
        info = await (await client.new_queue()).info()

        assert info.settings == qmq.QueueSettings(
            lease_duration=30,
            delivery_count_max=0,
            dead_letter_queue_id="",
            back_off=qmq.BackOff(base=1, factor=2, max=300, jitter=0.2),
            durability_min="MEMORY",
            delay=0,
            ttl=0,
            dead_letter_expired=False,
            dedup_window=300,
            priority_ageing=0,
            bytes_limit=0,
            overflow="REJECT",
            leased_max=0,
            rate=qmq.Rate(messages_per_second=0, burst=0),
            park_after=0,
            fairness=qmq.Fairness(
                leased_max=0, rate=qmq.Rate(messages_per_second=0, burst=0), weights={}
            ),
            weight=1,
        )
        assert (info.limit, info.paused) == (-1, None)

    async def test_settings_are_changed_one_by_one(
        self, client: qmq.AsyncClient, queue: Queue, dead: Queue
    ) -> None:
        """What is left out stays as it is."""
        made = await client.ensure_queue(
            a_name(),
            store=(await queue.info()).store,
            settings=qmq.QueueSettings(
                lease_duration=timedelta(minutes=2),
                delivery_count_max=3,
                dead_letter_queue_id=(await queue.info()).id,
                back_off=qmq.BackOff(base=0.5, max=timedelta(hours=1)),
            ),
        )

        updated = await made.update(
            qmq.QueueSettings(
                delivery_count_max=4,
                dead_letter_queue_id=dead.queue_id,
                back_off=qmq.BackOff(factor=3),
            ),
            limit=7,
        )

        assert updated == await made.info()
        assert updated.limit == 7
        settings = updated.settings
        assert (settings.lease_duration, settings.delivery_count_max) == (
            timedelta(seconds=120),
            4,
        )
        assert settings.dead_letter_queue_id == (await dead.info()).id
        assert settings.back_off == qmq.BackOff(base=0.5, factor=3, max=3600, jitter=0.2)
        assert (await made.update(limit=-1)).limit == -1
        with pytest.raises(qmq.InvalidArgument):
            await made.update(qmq.QueueSettings(dead_letter_queue_id=""))

    async def test_a_dead_letter_queue_in_use_is_not_deleted(
        self, queue: Queue, dead: Queue
    ) -> None:
        """It is when it is none any more."""
        with pytest.raises(qmq.QueueInUse) as refusal:
            await dead.delete()
        assert refusal.value.metadata["source_queue_id"] == (await queue.info()).id

        await queue.update(qmq.QueueSettings(dead_letter_queue_id=""))
        await dead.delete()

    async def test_a_paused_queue_hands_out_nothing(self, queue: Queue) -> None:
        """And takes nothing, if that is asked for, until it is resumed."""
        await queue.add("a")
        message = await lease_one(queue)
        await queue.add("b")

        paused = (await queue.pause()).paused
        with pytest.raises(qmq.QueuePaused, match="is paused"):
            await queue.pop()
        assert await queue.pop_batch(9) == await queue.lease() == []
        assert (await queue.peek()).text == "b"
        await message.ack()
        await queue.add("c")
        both = (await queue.pause(adds=True)).paused
        with pytest.raises(qmq.AddsPaused, match="takes no messages"):
            await queue.add("d")

        assert paused is not None
        assert not paused.adds
        assert both == qmq.Pause(paused.since_ns, adds=True)
        assert both.since == paused.since
        assert (await queue.resume()).paused is (await queue.resume()).paused is None
        assert [message.text for message in await queue.pop_batch(9)] == ["b", "c"]

    async def test_a_purge_removes_everything(self, queue: Queue) -> None:
        """What is on lease or kept back as well."""
        await queue.add_batch(["a", "b", "c"])
        leased, delayed = await queue.lease(2)
        await delayed.fail(delay=60)

        assert await queue.purge() == 3

        assert [message async for message in queue.browse()] == []
        with pytest.raises(qmq.LeaseLost):
            await leased.ack()
        assert await queue.purge() == 0

    async def test_browsing_shows_every_message_in_order(self, queue: Queue) -> None:
        """Where it is, and since when; nothing is changed by it."""
        added = await queue.add_batch([str(n) for n in range(10)], tags={"n": "1"})
        leased = (await queue.lease(2, consumer="ann"))[0]
        delayed = await lease_one(queue)
        await delayed.fail("why", delay=60)

        found = [message async for message in queue.browse(page_size=3)]

        assert [message.id for message in found] == [meta.id for meta in added]
        states = [message.state for message in found]
        state = qmq.MessageState
        assert states == [state.LEASED, state.LEASED, state.DELAYED, *[state.READY] * 7]
        assert (found[0].consumer, found[0].delivery_count) == ("ann", 1)
        assert found[0].until_ns == leased.lease_expires_ns
        assert found[0].until == leased.lease_expires_at
        assert [attempt.reason for attempt in found[2].attempts] == ["why"]
        assert (found[3].until, found[3].delivery_count) == (None, 0)
        assert all(message.age >= timedelta() for message in found)
        assert (await queue.stats()).ready == 7

    async def test_browsing_is_for_some(self, queue: Queue) -> None:
        """By state, by tags, by age."""
        await queue.add("a", tags={"n": "1"})
        await queue.add("b", tags=[("n", "1"), ("m", "2")])
        await queue.add("c")
        await queue.lease()

        assert await texts_of(queue.browse(states=["LEASED"])) == ["a"]
        ready = queue.browse(states=[qmq.MessageState.READY], tags={"n": "1"})
        assert await texts_of(ready) == ["b"]
        assert await texts_of(queue.browse(selector="n in (1,2)")) == ["a", "b"]
        assert await texts_of(queue.browse(states=["READY"], selector="!n")) == ["c"]
        assert await texts_of(queue.browse(age_min=3600)) == []
        assert await texts_of(queue.browse(age_max=3600)) == ["a", "b", "c"]
        with pytest.raises(qmq.InvalidArgument, match="page_size"):
            await anext(queue.browse(page_size=1_001))

    async def test_a_message_is_explained(self, queue: Queue) -> None:
        """By what `add` returned, by the message, or by its id."""
        added = await queue.add("a")
        await queue.add("b")
        last = await queue.add("c")
        (message,) = await queue.lease(consumer="ann")

        for which in (added, message, added.id):
            explanation = await queue.explain(which)
            assert explanation.message.id == added.id
            assert explanation.message.text == "a"
            assert explanation.message.state is qmq.MessageState.LEASED
            assert "ann" in " ".join(explanation.reasons)
        assert (await queue.explain(last)).ahead == 1
        with pytest.raises(qmq.MessageNotFound, match=UNKNOWN_ID):
            await queue.explain(UNKNOWN_ID)

    async def test_messages_are_deleted_by_id(self, queue: Queue) -> None:
        """By what `add` returned, by the message, or by its id; each is answered."""
        added = await queue.add("a")
        await queue.add_batch(["b", "c", "d"])
        (held,) = await queue.lease(consumer="ann")
        browsed = [each async for each in queue.browse()]

        told = await queue.delete_messages([added, browsed[1], browsed[2].id, UNKNOWN_ID, "x"])

        assert told[1:3] == [None, None]
        leased, missing, none = told[0], *told[3:]
        assert isinstance(leased, qmq.MessageLeased)
        assert "ann" in leased.message
        assert isinstance(missing, qmq.MessageNotFound)
        assert isinstance(none, qmq.InvalidArgument)
        assert await queue.delete_messages([held], leased=True) == [None]
        (late,) = await queue.ack([held])
        assert isinstance(late, qmq.LeaseLost)
        assert await texts(queue.drain()) == ["d"]
        assert (await queue.stats()).deleted_total == 3

    async def test_messages_are_moved_by_id(
        self, client: qmq.AsyncClient, queue: Queue, dead: Queue
    ) -> None:
        """To a queue, and as dead letters back to where they came from; to repeat it is no harm."""
        first = await queue.add("a")
        second = await queue.add("b")
        home, there = (await queue.info()).id, (await dead.info()).id

        moved = await queue.move_messages([second, first], dead.queue_id)
        again = await queue.move_messages([first], to=there)

        assert moved == [qmq.MovedMessage(there, was_there=False)] * 2
        assert again == [qmq.MovedMessage(there, was_there=True)]
        (none,) = await dead.move_messages([first])
        assert isinstance(none, qmq.NoDeadLetter)
        assert await texts(dead.drain()) == ["a", "b"]
        await queue.add("c")
        await (await lease_one(queue)).reject("no")
        assert await dead.move_messages([each async for each in dead.browse()]) == [
            qmq.MovedMessage(home, was_there=False)
        ]
        back = await lease_one(queue)
        assert back.attempts[0].reason == "no"
        is_in_memory = (await queue.info()).store is qmq.Store.MEMORY
        far = await client.new_queue(store="DISK" if is_in_memory else "MEMORY")
        with pytest.raises(qmq.StoresDiffer):
            await queue.move_messages([back], far.queue_id)

    async def test_consumers_are_counted(self, queue: Queue) -> None:
        """Each by its name, with what it holds."""
        await queue.add_batch(["a", "b", "c"])
        await queue.lease(2, consumer="ben")
        await queue.lease(1, consumer="ann")

        stats = await queue.stats()

        assert stats.consumers == (("ann", 1), ("ben", 2))
        assert (stats.consumers[0].consumer, stats.consumers[0].leased) == ("ann", 1)

    async def test_a_server_tells_how_it_does(self, client: qmq.AsyncClient, queue: Queue) -> None:
        """What there is to be known of any: others share the server of these tests."""
        await queue.add("a message")

        server = await client.server()

        assert server.version
        assert server.role is qmq.ServerRole.ALONE
        assert server.contents.queues >= 2
        assert server.contents.messages >= 1
        assert server.contents.bytes > 0
        assert server.in_memory.queues <= server.contents.queues <= server.queues_max
        assert server.memory_bytes > 0
        assert server.cluster is None


class RedriveConformance:
    """Moving dead letters back."""

    @pytest.fixture(params=["MEMORY", "DISK"])
    async def queues(
        self, client: qmq.AsyncClient, request: pytest.FixtureRequest
    ) -> tuple[Queue, Queue]:
        """A queue and its dead-letter queue, with five dead letters."""
        dead = await client.new_queue(store=request.param)
        settings = qmq.QueueSettings(dead_letter_queue_id=dead.queue_id)
        queue = await client.new_queue(store=request.param, settings=settings)
        await queue.add_batch(["a", "b"], tags={"n": "1"})
        await queue.add_batch(["c", "d", "e"])
        for message in await queue.lease(5):
            await message.reject(f"no {message.text}")
        return queue, dead

    async def ended(self, client: qmq.AsyncClient, redrive: qmq.Redrive) -> qmq.Redrive:
        """Wait until a redrive is over."""
        while redrive.is_running:
            redrive = await client.redrive(redrive.id)
        return redrive

    async def test_dead_letters_go_back(
        self, client: qmq.AsyncClient, queues: tuple[Queue, Queue]
    ) -> None:
        """To where they came from, as they were added."""
        queue, dead = queues

        started = await dead.redrive()
        redrive = await self.ended(client, started)

        assert redrive.state is qmq.RedriveState.DONE
        assert (redrive.total, redrive.seen, redrive.matched, redrive.moved) == (5, 5, 5, 5)
        assert (redrive.queue_id, redrive.target_queue_id, redrive.dry_run) == (
            started.queue_id,
            "",
            False,
        )
        assert redrive.ended is not None
        assert redrive.started <= redrive.ended
        back = await queue.pop_batch(9)
        assert [message.text for message in back] == ["a", "b", "c", "d", "e"]
        assert back[0].dead_letter is None
        assert redrive in await client.redrives()

    async def test_some_go_elsewhere(
        self, client: qmq.AsyncClient, queues: tuple[Queue, Queue]
    ) -> None:
        """Those that are asked for, after they were counted."""
        queue, dead = queues
        store = (await queue.info()).store
        other = await client.new_queue(store=store)

        counted = await self.ended(client, await dead.redrive(tags={"n": "1"}, dry_run=True))
        redrive = await self.ended(
            client,
            await dead.redrive(other.queue_id, tags={"n": "1"}, reasons=["REJECTED"], text="no b"),
        )

        assert (counted.dry_run, counted.matched, counted.moved) == (True, 2, 0)
        assert (redrive.matched, redrive.moved) == (1, 1)
        assert [message.text for message in await other.pop_batch(9)] == ["b"]
        assert (await dead.stats()).ready == 4

    async def test_a_redrive_is_stopped(
        self, client: qmq.AsyncClient, queues: tuple[Queue, Queue]
    ) -> None:
        """What it has not moved stays."""
        _, dead = queues

        started = await dead.redrive(messages_per_second=0.001)
        await client.stop_redrive(started.id)
        redrive = await self.ended(client, await client.redrive(started.id))

        assert redrive.state is qmq.RedriveState.STOPPED
        assert redrive.moved <= 1
        with pytest.raises(qmq.RedriveNotFound, match=UNKNOWN_ID):
            await client.redrive(UNKNOWN_ID)
        with pytest.raises(qmq.RedriveNotFound, match=UNKNOWN_ID):
            await client.stop_redrive(UNKNOWN_ID)
