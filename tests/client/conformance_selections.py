"""What the client does with all queues that a selector matches, whatever its calls go over.

As in `tests.client.conformance`.
"""

import asyncio
from collections import Counter

import pytest

import qmq
from tests.client.conformance import PassTime, Queue, a_name

#: Without a pause before a failed message is handed out again.
AT_ONCE = qmq.QueueSettings(back_off=qmq.BackOff(base=0))

Selection = qmq.AsyncSelection[bytes | str]


async def leased(queues: list[Queue]) -> int:
    """How many messages of queues are on lease."""
    return sum([(await queue.stats()).leased for queue in queues])


class SelectionsConformance:
    """Messages of many queues."""

    @pytest.fixture
    def team(self) -> str:
        """A tag's value that no queue has."""
        return a_name()

    @pytest.fixture(params=["MEMORY", "DISK"])
    async def queues(
        self, client: qmq.AsyncClient, team: str, request: pytest.FixtureRequest
    ) -> list[Queue]:
        """Three queues with the tag, and three messages in each."""
        found = []
        for name in "abc":
            queue = await client.new_queue(
                store=request.param, tags={"team": team, "name": name}, settings=AT_ONCE
            )
            await queue.add_batch([f"{name}{n}" for n in range(3)])
            found.append(queue)
        return found

    @pytest.fixture
    def selection(self, client: qmq.AsyncClient, team: str) -> Selection:
        """All of them."""
        return client.selection(f"team={team}")

    async def test_leased_messages_know_their_queues(
        self, selection: Selection, queues: list[Queue]
    ) -> None:
        """So that each is acked, given back and extended as any other."""
        messages = await selection.lease(7)

        texts = [message.text for message in messages]
        assert texts == ["a0", "a1", "a2", "b0", "b1", "b2", "c0"]
        ids = [queue.queue_id for queue in queues]
        assert [message.queue_id for message in messages] == [
            next(id_ for id_, name in zip(ids, "abc", strict=True) if name == text[0])
            for text in texts
        ]
        await messages[0].extend(60)
        await messages[0].ack()
        await messages[3].release()
        assert await leased(queues) == 5
        (again,) = await queues[1].lease()
        assert (again.text, again.queue_id) == ("b0", ids[1])

    async def test_batches_go_to_their_queues(
        self, selection: Selection, queues: list[Queue]
    ) -> None:
        """Also one that was deleted, of which nothing can be said but that."""
        messages = await selection.lease(9)
        await queues[2].delete()

        extended = await selection.extend(messages[::2], 60)
        acked = await selection.ack(messages[:4])
        nacked = await selection.nack(messages[4:], "RELEASE")

        assert [type(each) for each in extended] == [type(None)] * 3 + [qmq.QueueNotFound] * 2
        assert acked == [None] * 4
        assert [type(each) for each in nacked] == [type(None)] * 2 + [qmq.QueueNotFound] * 3
        assert [message.is_lost for message in messages] == [False] * 6 + [True] * 3
        assert [message.text for message in await selection.lease(9)] == ["b1", "b2"]

    async def test_pop_batch(self, selection: Selection, queues: list[Queue]) -> None:
        """For good, each with its queue."""
        messages = await selection.pop_batch(5)

        assert [message.text for message in messages] == ["a0", "a1", "a2", "b0", "b1"]
        assert [message.queue_id for message in messages] == (
            [queues[0].queue_id] * 3 + [queues[1].queue_id] * 2
        )
        assert len(await selection.pop_batch(9)) == 4
        assert await selection.pop_batch(9) == []

    async def test_nothing_matches(self, client: qmq.AsyncClient, pass_time: PassTime) -> None:
        """That is no error, and may change while one waits."""
        team = a_name()
        selection = client.selection(f"team = {team}")
        assert await selection.lease() == []
        in_vain = asyncio.ensure_future(selection.lease(wait=0.2))
        await pass_time(0.2)
        assert await in_vain == []

        waiting = asyncio.ensure_future(selection.lease(wait=None))
        queue = await client.new_queue(store="MEMORY", tags={"team": team})
        await queue.add("late")

        assert [message.text for message in await waiting] == ["late"]

    async def test_what_is_no_selector_is_refused(self, client: qmq.AsyncClient) -> None:
        """By each call."""
        selection = client.selection("team mail")
        for call in (selection.lease(), selection.pop_batch(1)):
            with pytest.raises(qmq.InvalidArgument, match="selector: at character 6"):
                await call

    async def test_consumer_goes_through_all(
        self, selection: Selection, queues: list[Queue]
    ) -> None:
        """Each message is acked in its queue when the next one is asked for."""
        got = []

        async with selection.consume(prefetch=2) as messages:
            async for message in messages:
                got.append(message.text)
                if len(got) == 9:
                    break

        assert sorted(got) == [f"{name}{n}" for name in "abc" for n in range(3)]
        stats = [await queue.stats() for queue in queues]
        assert [(each.ready, each.leased, each.acked_total) for each in stats] == [(0, 0, 3)] * 3

    async def test_consumer_fails_and_releases_in_the_right_queue(
        self, selection: Selection, queues: list[Queue]
    ) -> None:
        """What was leased ahead is released, and what was worked on has failed."""

        async def fail_at_the_fifth() -> None:
            async with selection.consume(prefetch=5) as messages:
                for _ in range(5):
                    await anext(messages)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail_at_the_fifth()

        stats = [await queue.stats() for queue in queues]
        assert sum(each.acked_total for each in stats) == 4
        assert sum(each.ready for each in stats) == 5
        failed = await anext(queues[1].browse())
        assert [each.outcome for each in failed.attempts] == [qmq.Outcome.FAILED]

    async def test_consumer_outlives_a_queue(
        self, selection: Selection, queues: list[Queue]
    ) -> None:
        """One that is deleted while its message is worked on."""
        async with selection.consume() as messages:
            message = await anext(messages)
            assert message.queue_id == queues[0].queue_id
            await queues[0].delete()
            got = [(await anext(messages)).text for _ in range(6)]

        assert sorted(got) == ["b0", "b1", "b2", "c0", "c1", "c2"]

    async def test_worker_works_on_all(self, selection: Selection, queues: list[Queue]) -> None:
        """As on one queue."""
        got: Counter[str] = Counter()

        @selection.worker(concurrency=3)
        async def work(message: qmq.AsyncLeasedMessage[bytes | str]) -> None:
            got[message.queue_id] += 1
            if got.total() == 9:
                work.stop()

        await work.run(handle_signals=False)

        assert got == {queue.queue_id: 3 for queue in queues}
        assert "team=" in repr(work)
        assert await leased(queues) == 0

    async def test_complete_acks_messages_of_any_queues(
        self, client: qmq.AsyncClient, selection: Selection, queues: list[Queue]
    ) -> None:
        """Together with what is added."""
        messages = await selection.lease(9)

        await client.complete(acks=messages, adds=[(queues[0], ["done"])])

        assert [message.text for message in await selection.lease(9)] == ["done"]

    def test_threads_do_the_same(self, sync_client: qmq.Client) -> None:
        """By the generated client."""
        team = a_name()
        queue = sync_client.new_queue(store="MEMORY", tags={"team": team})
        queue.add_batch(["0", "1", "2", "3"])
        selection = sync_client.selection(f"team={team}")

        (popped,) = selection.pop_batch(1)
        (message,) = selection.lease()
        with selection.consume() as messages:
            consumed = [next(messages).text for _ in range(2)]
        message.ack()

        assert (popped.text, message.text, consumed) == ("0", "1", ["2", "3"])
        assert popped.queue_id == message.queue_id == queue.queue_id
        stats = queue.stats()
        assert (stats.ready, stats.leased, stats.acked_total) == (0, 0, 3)
