"""How the client consumes at least once, whatever its calls go over.

As in `tests.client.conformance`.
"""

import asyncio
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

import qmq
from tests.client.conformance import Queue, has_waiting

LeasedMessage = qmq.AsyncLeasedMessage[bytes | str]

#: Without a pause before a failed message is handed out again.
AT_ONCE = qmq.QueueSettings(back_off=qmq.BackOff(base=0))


async def is_idle(queue: Queue) -> None:
    """Wait until nothing of a queue is on lease."""
    while (await queue.stats()).leased:
        pass


async def counts(queue: Queue) -> tuple[int, int, int]:
    """How many messages are ready, leased, and were acked."""
    stats = await queue.stats()
    return stats.ready, stats.leased, stats.acked_total


async def attempts(queue: Queue) -> list[tuple[str, str]]:
    """How the message at the head was given back, and why."""
    message = await anext(queue.browse())
    return [(each.outcome.name if each.outcome else "", each.reason) for each in message.attempts]


async def raise_within(
    queue: Queue, error: BaseException, *, messages: int = 1, prefetch: int = 0
) -> None:
    """Raise an error while the last of so many messages is worked on."""
    async with queue.consume(prefetch=prefetch) as consumer:
        for _ in range(messages):
            await anext(consumer)
        raise error


class ConsumerConformance:
    """Going through messages, and what becomes of them."""

    @pytest.fixture(params=["MEMORY", "DISK"])
    async def queue(self, client: qmq.AsyncClient, request: pytest.FixtureRequest) -> Queue:
        """A new queue with ten messages."""
        queue = await client.new_queue(store=request.param, settings=AT_ONCE)
        await queue.add_batch([str(n) for n in range(10)])
        return queue

    @pytest.mark.parametrize("prefetch", [0, 1, 4, 1_000])
    async def test_messages_are_acked_in_passing(self, queue: Queue, prefetch: int) -> None:
        """Each when the next one is asked for, and the last when the block ends."""
        got = []

        async with queue.consume(prefetch=prefetch) as messages:
            async for message in messages:
                got.append(message.text)
                if len(got) == 7:
                    break

        assert got == [str(n) for n in range(7)]
        assert await counts(queue) == (3, 0, 7)
        assert (await anext(queue.browse())).attempts == () or prefetch

    async def test_what_the_program_ends_itself_is_left_to_it(self, queue: Queue) -> None:
        """Whether by the message or by the queue."""
        async with queue.consume() as messages:
            await (await anext(messages)).ack()
            await (await anext(messages)).fail("by hand")
            assert (await anext(messages)).delivery_count == 2
            message = await anext(messages)
            assert await queue.nack([message], "RELEASE") == [None]
            assert (await anext(messages)).id == message.id

        assert await counts(queue) == (7, 0, 3)

    async def test_an_exception_fails_the_message(self, queue: Queue) -> None:
        """With its text; what was leased ahead is released."""
        with pytest.raises(TypeError):
            await raise_within(queue, TypeError("no such type"), messages=2, prefetch=3)

        assert await counts(queue) == (9, 0, 1)
        assert await attempts(queue) == [("FAILED", "TypeError: no such type")]
        (message,) = await queue.lease()
        assert message.delivery_count == 2

    @pytest.mark.parametrize(
        ("error", "attempt"),
        [
            (qmq.Release(), ("RELEASED", "")),
            (KeyboardInterrupt(), ("RELEASED", "")),
            (asyncio.CancelledError(), ("RELEASED", "")),
            (ValueError(), ("FAILED", "ValueError")),
            (ExceptionGroup("!", [ValueError("one")]), ("FAILED", "ValueError: one")),
        ],
        ids=lambda value: type(value).__name__,
    )
    async def test_the_exception_says_what_becomes_of_the_message(
        self, queue: Queue, error: BaseException, attempt: tuple[str, str]
    ) -> None:
        """Who wants the program to end does not say that the message is bad."""
        with pytest.raises(type(error)):
            await raise_within(queue, error)

        assert await attempts(queue) == [attempt]

    async def test_a_message_is_rejected_by_an_exception(
        self, client: qmq.AsyncClient, queue: Queue
    ) -> None:
        """It says why."""
        dead = await client.new_queue(store=(await queue.info()).store)
        await queue.update(qmq.QueueSettings(dead_letter_queue_id=dead.queue_id))

        with pytest.raises(qmq.Reject):
            await raise_within(queue, qmq.Reject("not for us"))

        letter = (await dead.pop()).dead_letter
        assert letter is not None
        assert (letter.reason, letter.text) == (qmq.DeadLetterReason.REJECTED, "not for us")

    async def test_who_waits_gets_what_comes(self, client: qmq.AsyncClient) -> None:
        """First come, first served; and the end of the block ends the wait."""
        queue = await client.new_queue(store="MEMORY")
        got: asyncio.Queue[str] = asyncio.Queue()

        async def read(messages: qmq.AsyncConsumer[bytes | str]) -> None:
            async for message in messages:
                await got.put(message.text)

        async with queue.consume(concurrency=3) as messages, asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(read(messages))
            await has_waiting(queue)
            await queue.add("a")
            await queue.add_batch(["b", "c"])
            assert sorted([await got.get() for _ in range(3)]) == ["a", "b", "c"]
            await has_waiting(queue)
            messages.stop()

        await is_idle(queue)
        assert await counts(queue) == (0, 0, 3)
        await queue.add("d")
        assert (await queue.pop()).text == "d"

    async def test_a_consumer_has_a_name(self, queue: Queue) -> None:
        """Its own, or that of the machine and the process."""
        async with queue.consume(consumer="ann") as ann, queue.consume() as other:
            await anext(ann)
            await anext(other)
            stats = await queue.stats()

        default = f"{socket.gethostname()}:{os.getpid()}"
        assert sorted(each.consumer for each in stats.consumers) == sorted(["ann", default])

    async def test_side_by_side_each_has_its_own(self, queue: Queue) -> None:
        """Up to as many as may be worked on at a time."""
        begun: list[str] = []
        go_on = asyncio.Semaphore(0)

        async def work(messages: qmq.AsyncConsumer[bytes | str]) -> None:
            async for message in messages:
                begun.append(message.text)
                await go_on.acquire()

        async with queue.consume(concurrency=3) as messages, asyncio.TaskGroup() as tasks:
            for _ in range(5):
                tasks.create_task(work(messages))
            while len(begun) < 3:  # noqa: ASYNC110 - Nothing tells, and it costs no time.
                await asyncio.sleep(0)
            assert await counts(queue) == (7, 3, 0)
            for _ in range(20):
                go_on.release()
            while len(begun) < 10:  # noqa: ASYNC110 - As above.
                await asyncio.sleep(0)
            messages.stop()

        await is_idle(queue)
        assert sorted(begun, key=int) == [str(n) for n in range(10)]
        assert await counts(queue) == (0, 0, 10)

    async def test_a_deleted_queue_ends_it(self, queue: Queue) -> None:
        """With the error that any call has."""
        async with queue.consume() as messages:
            await anext(messages)
            await queue.delete()
            for _ in range(2):
                with pytest.raises(qmq.QueueNotFound):
                    await anext(messages)


class WorkerConformance:
    """Having a function called with each message."""

    @pytest.fixture(params=["MEMORY", "DISK"])
    async def queue(self, client: qmq.AsyncClient, request: pytest.FixtureRequest) -> Queue:
        """A new queue with ten messages, and a dead-letter queue."""
        dead = await client.new_queue(store=request.param)
        settings = qmq.QueueSettings(
            dead_letter_queue_id=dead.queue_id,
            delivery_count_max=2,
            back_off=qmq.BackOff(base=0),
        )
        queue = await client.new_queue(store=request.param, settings=settings)
        await queue.add_batch([str(n) for n in range(10)])
        return queue

    @pytest.mark.parametrize(("concurrency", "prefetch"), [(1, 0), (3, 0), (2, 5)])
    async def test_each_message_is_worked_on(
        self, queue: Queue, concurrency: int, prefetch: int
    ) -> None:
        """And acked; those begun are finished when it is stopped."""
        done: list[str] = []

        @queue.worker(concurrency=concurrency, prefetch=prefetch, consumer="ann")
        async def work(message: LeasedMessage) -> None:
            await asyncio.sleep(0)
            done.append(message.text)
            if len(done) == 10:
                work.stop()

        await work.run()

        assert sorted(done, key=int) == [str(n) for n in range(10)]
        assert await counts(queue) == (0, 0, 10)

    async def test_what_the_function_raises_decides(
        self, client: qmq.AsyncClient, queue: Queue, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It fails, rejects or releases the message, and the next one is due."""
        seen: list[tuple[str, int]] = []

        @queue.worker()
        async def work(message: LeasedMessage) -> None:
            seen.append((message.text, message.delivery_count))
            if message.text == "1":
                raise ValueError("no number")
            if message.text == "2":
                raise qmq.Reject("too even")
            if message.text == "3" and seen.count(("3", 1)) < 3:
                raise qmq.Release
            if message.text == "4":
                await message.ack()
                raise ValueError("too late to matter")

        run = asyncio.create_task(work.run())
        dead = client.queue((await queue.info()).settings.dead_letter_queue_id or "")
        while await counts(queue) != (0, 0, 8) or (await dead.stats()).ready < 2:
            pass
        work.stop()
        await run

        assert sorted(seen) == sorted(
            [*((str(n), 1) for n in range(10)), ("1", 2), ("3", 1), ("3", 1)]
        )
        letters = {
            letter.text: letter.dead_letter.text
            for letter in await dead.pop_batch(9)
            if letter.dead_letter
        }
        assert letters == {"1": "ValueError: no number", "2": "too even"}
        assert [record.levelname for record in caplog.records] == ["ERROR"] * 3

    async def test_without_a_dead_letter_queue_a_rejected_message_fails(
        self, client: qmq.AsyncClient
    ) -> None:
        """It is not held up until its lease ends."""
        queue = await client.new_queue(store="MEMORY", settings=AT_ONCE)
        await queue.add("a")
        seen: list[str] = []

        @queue.worker()
        async def work(message: LeasedMessage) -> None:
            seen.extend(attempt.reason for attempt in message.attempts)
            if message.delivery_count == 1:
                raise qmq.Reject("not for us")
            work.stop()

        await work.run()

        assert seen == ["not for us"]

    async def test_a_task_that_was_cancelled_is_no_end(self, client: qmq.AsyncClient) -> None:
        """The work has failed that waited for it, and that is all."""
        queue = await client.new_queue(store="MEMORY", settings=AT_ONCE)
        await queue.add("a")
        seen: list[str] = []

        @queue.worker()
        async def work(message: LeasedMessage) -> None:
            seen.extend(attempt.reason for attempt in message.attempts)
            if message.delivery_count == 1:
                task = asyncio.create_task(asyncio.sleep(0))
                task.cancel()
                await task
            work.stop()

        await work.run()

        assert seen == ["RuntimeError: something that it waited for was cancelled"]

    async def test_calling_the_worker_calls_the_function(self, queue: Queue) -> None:
        """And nothing else, for its tests."""

        @queue.worker(concurrency=2)
        async def length(message: LeasedMessage) -> int:
            """Measure a message."""
            return len(message.text)

        (message,) = await queue.lease()

        assert await length(message) == 1
        assert length.__doc__ == "Measure a message."
        assert await counts(queue) == (9, 1, 0)

    async def test_who_does_not_finish_in_time_is_stopped(self, queue: Queue) -> None:
        """Its message is released."""
        begun = asyncio.Event()

        @queue.worker()
        async def work(_message: LeasedMessage) -> None:
            begun.set()
            await asyncio.Event().wait()

        run = asyncio.create_task(work.run(grace=0.01))
        await begun.wait()
        work.stop()
        await run

        assert await counts(queue) == (10, 0, 0)
        assert await attempts(queue) == [("RELEASED", "")]

    async def test_a_cancelled_run_releases_at_once(self, queue: Queue) -> None:
        """Nobody waits for what is under way."""
        begun = asyncio.Event()

        @queue.worker(prefetch=3)
        async def work(_message: LeasedMessage) -> None:
            begun.set()
            await asyncio.Event().wait()

        run = asyncio.create_task(work.run())
        await begun.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

        assert await counts(queue) == (10, 0, 0)

    async def test_a_queue_that_is_not_there_ends_it(self, client: qmq.AsyncClient) -> None:
        """With the error that any call has."""

        @client.queue("no-such-queue").worker(concurrency=3)
        async def work(_message: LeasedMessage) -> None:
            """Nothing."""

        with pytest.raises(qmq.QueueNotFound, match="no-such-queue"):
            await work.run()

    async def test_it_may_be_stopped_before_and_run_again(self, queue: Queue) -> None:
        """Nothing is lost between one and the other."""
        done: list[str] = []

        @queue.worker()
        async def work(message: LeasedMessage) -> None:
            done.append(message.text)
            if len(done) in {3, 10}:
                work.stop()

        work.stop()
        for count in (0, 3, 10):
            await work.run()
            assert len(done) == count


class ConsumingThreadsConformance:
    """The same in the synchronous client, as far as threads make it another one."""

    @pytest.fixture
    def queue(self, sync_client: qmq.Client) -> qmq.Queue[bytes | str]:
        """A new queue with ten messages."""
        queue = sync_client.new_queue(store="MEMORY", settings=AT_ONCE)
        queue.add_batch([str(n) for n in range(10)])
        return queue

    def test_messages_are_acked_in_passing(self, queue: qmq.Queue[bytes | str]) -> None:
        """What was leased ahead is released."""
        got = []

        with queue.consume(prefetch=4) as messages:
            for message in messages:
                got.append(message.text)
                if len(got) == 7:
                    break

        stats = queue.stats()
        assert got == [str(n) for n in range(7)]
        assert (stats.ready, stats.leased, stats.acked_total) == (3, 0, 7)

    def test_by_hand_it_is_the_same(self, queue: qmq.Queue[bytes | str]) -> None:
        """Ack, release, fail, extend; one by one and many at once."""
        first, second, third, *rest = queue.lease(10)

        first.ack()
        second.release()
        third.extend(60)
        third.fail("no")
        with pytest.raises(qmq.LeaseLost):
            third.extend()
        with pytest.raises(qmq.LeaseLost):
            second.reject()

        assert queue.extend(rest) == [None] * 7
        assert queue.ack(rest) == [None] * 7
        assert [message.text for message in queue.browse()] == ["1", "2"]
        assert queue.explain(second).message.text == "1"
        assert queue.purge() == 2

    def test_the_end_of_the_block_ends_a_wait(self, sync_client: qmq.Client) -> None:
        """Of another thread, at once; a message that comes later is for others."""
        queue = sync_client.new_queue(store="MEMORY")
        with ThreadPoolExecutor() as threads:
            with queue.consume(concurrency=2) as messages:
                waits = [threads.submit(list, messages) for _ in range(2)]
                while not queue.stats().waiting:
                    pass
            queue.add("a")
            assert [wait.result() for wait in waits] == [[], []]

        assert queue.pop(wait=10).text == "a"

    def test_side_by_side_each_has_its_own(self, queue: qmq.Queue[bytes | str]) -> None:
        """And each thread's message is acked when that thread asks for the next one."""
        barrier = threading.Barrier(2)

        def work() -> list[str]:
            got = []
            for message in messages:
                barrier.wait()
                got.append(message.text)
                if len(got) == 5:
                    message.ack()
                    break
            return got

        with queue.consume(concurrency=2) as messages, ThreadPoolExecutor() as threads:
            both = [threads.submit(work) for _ in range(2)]
            got = [*both[0].result(), *both[1].result()]

        assert sorted(got, key=int) == [str(n) for n in range(10)]
        assert queue.stats().acked_total == 10

    def test_a_dead_thread_fails_its_message(self, sync_client: qmq.Client) -> None:
        """Nobody knows how it ended, and another may go on."""
        queue = sync_client.new_queue(store="MEMORY", settings=AT_ONCE)
        queue.add("a")

        def work() -> None:
            next(messages)

        with queue.consume() as messages:
            thread = threading.Thread(target=work, name="ann")
            thread.start()
            thread.join()
            again = next(messages)
            assert again.delivery_count == 2
            assert again.attempts[0].reason.endswith(
                "thread ann has ended, and did not ack its message"
            )

    def test_a_worker_works(self, queue: qmq.Queue[bytes | str]) -> None:
        """Each message in one of its threads, until it is stopped."""
        done: list[str] = []
        lock = threading.Lock()

        @queue.worker(concurrency=3)
        def work(message: qmq.LeasedMessage[bytes | str]) -> str:
            with lock:
                done.append(message.text)
                if message.text == "4" and message.delivery_count == 1:
                    raise ValueError("four")
                if len(done) == 11:
                    work.stop()
            return message.text

        work.run()

        assert sorted(done, key=int) == sorted([*map(str, range(10)), "4"], key=int)
        assert queue.stats().acked_total == 10
        queue.add("x")
        assert work(queue.lease()[0]) == "x"

    def test_what_a_thread_does_not_finish_is_released(self, queue: qmq.Queue[bytes | str]) -> None:
        """It cannot be stopped; what it does later changes nothing."""
        begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

        @queue.worker()
        def work(message: qmq.LeasedMessage[bytes | str]) -> None:
            begun.set()
            go_on.wait()
            with suppress(qmq.LeaseLost):
                message.ack()
            ended.set()

        with ThreadPoolExecutor() as threads:
            run = threads.submit(work.run, grace=0.01)
            begun.wait()
            work.stop()
            run.result()
        stats = queue.stats()
        go_on.set()
        ended.wait()

        assert (stats.ready, stats.leased) == (10, 0)
        assert queue.stats().ready == 10
