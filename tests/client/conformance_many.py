"""What the client does with many messages, and with threads, whatever its calls go over.

As in `tests.client.conformance`.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

import qmq
from tests.client.conformance import a_name, has_waiting, texts


class ProducerConformance:
    """Adding in batches, and popping ahead."""

    async def test_each_add_has_its_own_answer(self, client: qmq.AsyncClient) -> None:
        """In the order in which they were made."""
        queue = await client.new_queue(store="DISK")

        async with queue.producer() as producer:
            added = await asyncio.gather(
                *(producer.add(str(n), tags={"n": str(n)}) for n in range(1_200))
            )

        messages = [message async for message in queue.drain()]
        assert [message.text for message in messages] == [str(n) for n in range(1_200)]
        assert [message.id for message in messages] == [meta.id for meta in added]
        assert [meta.tag("n") for meta in added] == [str(n) for n in range(1_200)]

    async def test_what_was_submitted_is_stored_at_the_end(self, client: qmq.AsyncClient) -> None:
        """Nobody has to ask about it; who does is told the same as by add."""
        queue = await client.new_queue(store="MEMORY")

        async with queue.producer() as producer:
            pending = [await producer.submit(str(n)) for n in range(10_000)]
            middle = await pending[5_000].result()

        got: list[qmq.Message[bytes | str]] = []
        while messages := await queue.pop_batch(1_000):
            got += messages
        assert [message.text for message in got] == [str(n) for n in range(10_000)]
        assert got[5_000].id == middle.id
        assert all(each.is_done() for each in pending)
        assert (await pending[-1].result()).id == got[-1].id

    async def test_what_does_not_fit_is_told_apart(self, client: qmq.AsyncClient) -> None:
        """What the queue has room for is stored, and only the rest is refused."""
        queue = await client.new_queue(store="MEMORY", limit=1_500)

        async with queue.producer() as producer:
            answers = await asyncio.gather(
                *(producer.add(str(n)) for n in range(2_000)), return_exceptions=True
            )

        assert [type(answer) for answer in answers] == [qmq.Metadata] * 1_500 + [
            qmq.QueueFull
        ] * 500
        assert await texts(queue.drain()) == [str(n) for n in range(1_500)]

    async def test_one_bad_message_does_not_spoil_the_others(self, client: qmq.AsyncClient) -> None:
        """It alone is refused, wherever it stands."""
        queue = await client.new_queue(store="MEMORY")
        bad: dict[int, bytes | str] = {3: bytes(4_300_000), 5: "tag", 8: bytes(4_300_000)}

        async with queue.producer() as producer:
            answers = await asyncio.gather(
                *(
                    producer.add(bad.get(n, str(n)), tags={"k" * 1025: "v"} if n == 5 else ())
                    for n in range(10)
                ),
                return_exceptions=True,
            )

        refusals = {n: answer for n, answer in enumerate(answers) if isinstance(answer, Exception)}
        assert {n: type(error) for n, error in refusals.items()} == {
            3: qmq.MessageTooLarge,
            5: qmq.InvalidArgument,
            8: qmq.MessageTooLarge,
        }
        assert isinstance(refusals[5], qmq.InvalidArgument)
        assert refusals[5].field == "message.tags[0].key"
        assert refusals[5].message.startswith("message.tags[0].key: ")
        assert await texts(queue.drain()) == [str(n) for n in range(10) if n not in bad]

    async def test_messages_ahead_are_handed_out_in_order(self, client: qmq.AsyncClient) -> None:
        """All of them, once, up to the end."""
        queue = await client.new_queue(store="DISK")
        async with queue.producer() as producer:
            for n in range(3_000):
                await producer.submit(str(n))

        async with queue.popping(prefetch=100, wait=0) as messages:
            got = await texts(messages)

        assert got == [str(n) for n in range(3_000)]
        assert messages.leftover == ()

    async def test_what_was_fetched_ahead_and_not_used_is_left_over(
        self, client: qmq.AsyncClient
    ) -> None:
        """Nothing is between the messages handed out, those left over and the queue."""
        queue = await client.new_queue(store="MEMORY")
        await queue.add_batch([str(n) for n in range(100)])

        async with queue.popping(prefetch=10) as messages:
            got = [(await anext(messages)).text for _ in range(7)]

        left = [message.text for message in messages.leftover]
        assert len(left) <= 10
        assert got + left + await texts(queue.drain()) == [str(n) for n in range(100)]

    @pytest.mark.parametrize("prefetch", [1, 10])
    async def test_a_step_that_is_cancelled_loses_nothing(
        self, client: qmq.AsyncClient, prefetch: int
    ) -> None:
        """The next step goes on where it was."""
        queue = await client.new_queue(store="MEMORY")

        async with queue.popping(prefetch=prefetch) as messages:
            step = asyncio.create_task(anext(messages))
            await has_waiting(queue)
            step.cancel()
            with pytest.raises(asyncio.CancelledError):
                await step
            assert (await queue.stats()).waiting == 1
            await queue.add("a")
            message = await anext(messages)

        assert message.text == "a"
        assert messages.leftover == ()

    async def test_leaving_the_block_takes_nothing_with_it(self, client: qmq.AsyncClient) -> None:
        """Who waited for it waits no more."""
        queue = await client.new_queue(store="MEMORY")

        async with queue.popping(prefetch=10) as messages:
            step = asyncio.create_task(anext(messages))
            await has_waiting(queue)
            step.cancel()
            with pytest.raises(asyncio.CancelledError):
                await step
        await queue.add("a")

        assert messages.leftover == ()
        assert (await queue.pop(wait=50)).text == "a"


class ThreadsConformance:
    """The synchronous twin. Most of it is generated; this goes once through all of it."""

    def test_queues_come_and_go(self, sync_client: qmq.Client) -> None:
        """Made, found, described, listed, counted, deleted."""
        name = a_name()
        with pytest.raises(qmq.QueueNotFound):
            sync_client.queue(name).info()

        made = sync_client.new_queue(name, store="MEMORY", limit=9, tags={"a": "b"})
        found = sync_client.ensure_queue(name)
        found.tag("c", "d")
        found.untag("a", "b")

        assert found.info() == made.info()
        assert found.info() in sync_client.list_queues()
        assert found.info().tags == (qmq.Tag("c", "d"),)
        assert found.stats() in sync_client.stats()
        assert found.stats().limit == 9
        found.delete()
        with pytest.raises(qmq.QueueNotFound):
            made.pop()

    def test_messages_come_and_go(self, sync_client: qmq.Client) -> None:
        """One by one, in batches, and as values."""
        queue = sync_client.new_queue(store="DISK")

        added = queue.add("a", tags={"n": "1"})
        queue.add_batch(["b", "c", "d"])
        queue.with_codec(qmq.JsonCodec()).add({"e": 5})

        assert queue.peek().id == added.id
        assert queue.pop().tag("n") == "1"
        assert [message.text for message in queue.pop_batch(2)] == ["b", "c"]
        assert [message.text for message in queue.drain()] == ["d", '{"e":5}']
        with pytest.raises(qmq.QueueEmpty):
            queue.pop()

    def test_messages_have_options(self, sync_client: qmq.Client) -> None:
        """Added one by one, in a batch, and by threads that share a producer."""
        queue = sync_client.new_queue(store="DISK", settings=qmq.QueueSettings(dedup_window=60))

        first = queue.add("low", dedup_id="0")
        again = queue.add_batch(["later", qmq.NewMessage("low again", dedup_id="0")])

        def produce(number: int) -> qmq.Metadata:
            return producer.add("x", priority=9, dedup_id=str(number % 50))

        with queue.producer() as producer, ThreadPoolExecutor(8) as threads:
            added = list(threads.map(produce, range(100)))

        assert [each.deduplicated for each in again] == [False, True]
        assert again[1].id == first.id
        # That of 0 was there before.
        assert sum(each.deduplicated for each in added) == 51
        messages = queue.pop_batch(1_000)
        assert [message.priority for message in messages] == [9] * 49 + [0, 0]
        assert [message.text for message in messages[-2:]] == ["low", "later"]

    def test_who_waits_gets_the_next_message(self, sync_client: qmq.Client) -> None:
        """By pop as by iteration, each in a thread of its own."""
        queue = sync_client.new_queue(store="MEMORY")
        with ThreadPoolExecutor() as threads:
            for wait in (
                lambda: queue.pop(wait=50),
                lambda: queue.pop(wait=None),
                lambda: queue.pop_batch(5, wait=50)[0],
                lambda: next(iter(queue)),
            ):
                waiting = threads.submit(wait)
                while not queue.stats().waiting:
                    pass
                queue.add("x")
                assert waiting.result().text == "x"

    def test_threads_share_a_producer(self, sync_client: qmq.Client) -> None:
        """Each thread's messages stay in order, and each add has its own answer."""
        queue = sync_client.new_queue(store="DISK")

        def produce(thread: int) -> list[str]:
            return [producer.add(f"{thread} {n}").id for n in range(50)]

        with queue.producer() as producer, ThreadPoolExecutor(8) as threads:
            ids = list(threads.map(produce, range(8)))

        got = list(queue.drain())
        for thread in range(8):
            own = [message for message in got if message.text.startswith(f"{thread} ")]
            assert [message.id for message in own] == ids[thread]
            assert [message.text for message in own] == [f"{thread} {n}" for n in range(50)]

    def test_what_was_submitted_is_stored_at_the_end(self, sync_client: qmq.Client) -> None:
        """More than fits the backlog, without waiting for any of it."""
        queue = sync_client.new_queue(store="MEMORY")

        with queue.producer() as producer:
            pending = [producer.submit(str(n)) for n in range(20_000)]
            producer.flush()
            assert all(each.is_done() for each in pending)

        with queue.popping(prefetch=1_000, wait=0) as messages:
            got = list(messages)
        assert [message.text for message in got] == [str(n) for n in range(20_000)]
        assert pending[12_345].result(timeout=0).id == got[12_345].id

    def test_what_does_not_fit_is_raised_at_the_end(self, sync_client: qmq.Client) -> None:
        """With every message that is not stored, unless somebody was told already."""
        queue = sync_client.new_queue(store="MEMORY", limit=3)

        def produce() -> None:
            with queue.producer() as producer:
                pending = [producer.submit(str(n), tags={"n": str(n)}) for n in range(6)]
                with pytest.raises(qmq.QueueFull):
                    pending[4].result()

        with pytest.raises(qmq.AddsFailed) as failure:
            produce()

        failed = failure.value.failed
        assert [(each.payload, each.tags) for each in failed] == [
            (b"3", (("n", "3"),)),
            (b"5", (("n", "5"),)),
        ]
        assert all(isinstance(each.error, qmq.QueueFull) for each in failed)
        assert failure.value.code == "RESOURCE_EXHAUSTED"

    def test_leaving_the_block_tells_what_is_left_over(self, sync_client: qmq.Client) -> None:
        """Nothing is between the messages handed out, those left over and the queue."""
        queue = sync_client.new_queue(store="MEMORY")
        queue.add_batch([str(n) for n in range(100)])

        with queue.popping(prefetch=10) as messages:
            got = [next(messages).text for _ in range(7)]

        left = [message.text for message in messages.leftover]
        rest = [message.text for message in queue.drain()]
        assert got + left + rest == [str(n) for n in range(100)]
