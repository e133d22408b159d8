"""What the client does with groups and fair keys, whatever its calls go over.

As in `tests.client.conformance`.
"""

from collections.abc import AsyncIterator

import pytest

import qmq
from tests.client.conformance import UNKNOWN_ID, Queue, a_name, texts
from tests.client.conformance_leases import lease_one


async def ids(groups: AsyncIterator[qmq.GroupInfo]) -> list[str]:
    """Read the ids of all groups."""
    return [group.id async for group in groups]


class GroupsConformance:
    """Messages that are handed out one after the other, or in turns."""

    @pytest.fixture(params=["MEMORY", "DISK"])
    async def queue(self, client: qmq.AsyncClient, request: pytest.FixtureRequest) -> Queue:
        """A new queue, with a dead-letter queue and no back-off."""
        dead = await client.new_queue(a_name(), store=request.param)
        settings = qmq.QueueSettings(
            dead_letter_queue_id=dead.queue_id, back_off=qmq.BackOff(base=0)
        )
        return await client.new_queue(a_name(), store=request.param, settings=settings)

    @pytest.fixture
    async def dead(self, client: qmq.AsyncClient, queue: Queue) -> Queue:
        """The dead-letter queue."""
        settings = (await queue.info()).settings
        assert settings.dead_letter_queue_id
        return client.queue(settings.dead_letter_queue_id)

    async def test_messages_of_one_group_wait_for_each_other(self, queue: Queue) -> None:
        """Whichever way they were added; each tells its group."""
        await queue.add("a1", group_id="a")
        await queue.add_batch([qmq.NewMessage("a2", group_id="a"), "without"])
        async with queue.producer() as producer:
            await producer.submit("a3", group_id="a")
            await producer.add("b1", group_id="b")

        first = await lease_one(queue)
        others = await queue.lease(9)
        stats = await queue.stats()
        await first.ack()
        second = await lease_one(queue)

        assert (first.text, first.group_id, first.fair_key) == ("a1", "a", "")
        assert [(each.text, each.group_id) for each in others] == [("without", ""), ("b1", "b")]
        assert (stats.groups, stats.ready, stats.blocked, stats.leased) == (2, 2, 2, 3)
        assert second.text == "a2"

    async def test_groups_are_listed(self, queue: Queue) -> None:
        """However many there are, in the order of their ids; or those in some states."""
        await queue.add_batch([qmq.NewMessage("x", group_id=f"g{n:03}") for n in range(25)])
        leased = await lease_one(queue)
        await queue.add("late", group_id="g024", delay=3600)

        found = [group async for group in queue.groups(page_size=10)]

        assert [group.id for group in found] == [f"g{n:03}" for n in range(25)]
        assert found[0] == qmq.GroupInfo(
            id="g000", state=qmq.GroupState.LEASED, waiting=0, leased=1
        )
        assert found[24] == qmq.GroupInfo(
            id="g024", state=qmq.GroupState.READY, waiting=2, leased=0
        )
        assert await ids(queue.groups(states=["LEASED"])) == [leased.group_id]
        assert await ids(queue.groups(states=[qmq.GroupState.PAUSED, "PARKED"])) == []

    async def test_a_group_is_paused(self, queue: Queue) -> None:
        """Also one that has no messages yet; the others go on."""
        paused = await queue.pause_group("a")
        again = await queue.pause_group("a")
        await queue.add_batch([qmq.NewMessage(text, group_id=text[0]) for text in ("a1", "b1")])

        others = await texts(queue.drain())
        stats = await queue.stats()
        resumed = await queue.resume_group("a")

        assert (paused.state, paused.waiting) == (qmq.GroupState.PAUSED, 0)
        assert paused.since
        assert again == paused
        assert others == ["b1"]
        assert (stats.groups, stats.groups_paused, stats.groups_parked) == (1, 1, 0)
        assert resumed == qmq.GroupInfo(id="a", state=qmq.GroupState.READY, waiting=1, leased=0)
        assert await texts(queue.drain()) == ["a1"]

    async def test_a_group_parks_and_is_skipped(self, queue: Queue, dead: Queue) -> None:
        """What is taken out of it is a dead letter, and what is behind that goes on."""
        await queue.update(qmq.QueueSettings(park_after=2))
        await queue.add_batch([qmq.NewMessage(text, group_id="a") for text in ("1", "2", "3")])

        for _ in range(2):
            await (await lease_one(queue)).fail(delay=0)
        (parked,) = [group async for group in queue.groups(states=["PARKED"])]
        nothing = await queue.lease()
        skipped = await queue.skip_group("a")

        assert (parked.waiting, parked.leased, nothing, skipped) == (3, 0, [], 1)
        assert (await lease_one(queue)).text == "2"
        assert await queue.skip_group("a", 9) == 1
        letters = await dead.pop_batch(9)
        assert [letter.text for letter in letters] == ["1", "3"]
        for letter in letters:
            assert letter.dead_letter is not None
            assert letter.dead_letter.reason is qmq.DeadLetterReason.SKIPPED
        assert await queue.skip_group("none") == 0

    async def test_skipped_messages_go_back(
        self, client: qmq.AsyncClient, queue: Queue, dead: Queue
    ) -> None:
        """A redrive may be told to move no others; they are of their group again."""
        await queue.add("1", group_id="a", fair_key="c")
        await queue.skip_group("a")
        (letter,) = [each async for each in dead.browse()]

        job = await dead.redrive(reasons=["SKIPPED"])
        while job.is_running:
            job = await client.redrive(job.id)
        (back,) = await queue.pop_batch(9)

        assert (letter.group_id, letter.fair_key) == ("a", "c")
        assert (back.text, back.group_id, back.fair_key) == ("1", "a", "c")

    async def test_fair_keys_take_turns(self, queue: Queue) -> None:
        """However many messages one has; by weight, if there are weights."""
        await queue.add_batch([qmq.NewMessage(f"a{n}", fair_key="a") for n in range(4)])
        await queue.add("b0", fair_key="b")
        await queue.add("b1", fair_key="b")

        stats = await queue.stats()
        taken = await queue.pop_batch(4)
        await queue.update(qmq.QueueSettings(fairness=qmq.Fairness(weights={"a": 3})))
        weighted = (await queue.stats()).top_fair_keys

        assert [message.text for message in taken] == ["a0", "b0", "a1", "b1"]
        assert {message.fair_key for message in taken} == {"a", "b"}
        assert stats.fair_keys == 2
        assert stats.top_fair_keys == (
            qmq.FairKeyStats("a", 1, 4, 0),
            qmq.FairKeyStats("b", 1, 2, 0),
        )
        assert weighted == (qmq.FairKeyStats("a", 3, 2, 0),)

    async def test_no_key_has_more_on_lease_than_it_may(self, queue: Queue) -> None:
        """The others go on."""
        await queue.update(qmq.QueueSettings(fairness=qmq.Fairness(leased_max=1)))
        await queue.add_batch(
            [qmq.NewMessage(text, fair_key=text[0]) for text in ("a1", "a2", "b1")]
        )

        leased = await queue.lease(9)

        assert [message.text for message in leased] == ["a1", "b1"]
        await leased[0].ack()
        assert (await lease_one(queue)).text == "a2"

    async def test_what_breaks_a_rule_is_named(self, queue: Queue) -> None:
        """As everywhere."""
        for call, field in (
            (queue.pause_group(""), "group_id"),
            (queue.resume_group("x" * 129), "group_id"),
            (queue.skip_group("a\n"), "group_id"),
            (queue.skip_group("a", 1_001), "messages_max"),
            (ids(queue.groups(page_size=1_001)), "page_size"),
            (queue.update(qmq.QueueSettings(park_after=-1)), "settings.park_after"),
            (queue.update(qmq.QueueSettings(weight=0)), "settings.weight"),
        ):
            with pytest.raises(qmq.InvalidArgument) as refusal:
                await call
            assert refusal.value.field == field
        with pytest.raises(ValueError, match="must be one of"):
            await ids(queue.groups(states=["BUSY"]))  # type: ignore[list-item]

    async def test_groups_of_no_queue_are_not_found(self, client: qmq.AsyncClient) -> None:
        """Whatever is asked of them."""
        queue = client.queue(UNKNOWN_ID)
        for call in (
            ids(queue.groups()),
            queue.pause_group("a"),
            queue.resume_group("a"),
            queue.skip_group("a"),
        ):
            with pytest.raises(qmq.QueueNotFound):
                await call
