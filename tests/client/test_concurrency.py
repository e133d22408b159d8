"""Waiting for each other: tasks and threads do it alike."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from threading import Event, Thread

import grpc
import pytest

import qmq
from qmq.client.on_asyncio.channel import AsyncGrpcChannel
from qmq.client.on_asyncio.concurrency import AsyncCrew, AsyncEndableCall, AsyncWatch
from qmq.client.on_threads import concurrency as on_threads
from qmq.client.on_threads.channel import GrpcChannel
from qmq.client.on_threads.concurrency import Crew, EndableCall, Watch
from qmq.testing import running_broker
from tests.client.conftest import Peer


class Slow:
    """An answer that waits until it is told to go on."""

    def __init__(self) -> None:
        self.is_asked = Event()
        self.go_on = Event()

    def __call__(self, _request: bytes, _context: grpc.ServicerContext) -> bytes:
        """Wait, then answer."""
        self.is_asked.set()
        self.go_on.wait()
        return b"late"


def test_a_call_of_a_thread_can_be_ended_by_another(peer: Peer) -> None:
    """It returns nothing, and so do those that come later; others are as before."""
    slow = Slow()
    peer.answer = slow
    endable = EndableCall()
    with closing(GrpcChannel(peer.address)) as channel, ThreadPoolExecutor() as threads:
        call = partial(channel.call, "Lease", b"", 60.0)
        waiting = threads.submit(endable.make, call)
        slow.is_asked.wait()

        endable.end()

        assert waiting.result() is None
        assert endable.make(call) is None
        slow.go_on.set()
        assert call() == b"late"


async def test_a_call_of_a_task_can_be_ended_by_another(peer: Peer) -> None:
    """Likewise."""
    slow = Slow()
    peer.answer = slow
    endable = AsyncEndableCall()
    channel = AsyncGrpcChannel(peer.address)
    call = partial(channel.call, "Lease", b"", 60.0)
    waiting = asyncio.create_task(endable.make(call))
    await asyncio.to_thread(slow.is_asked.wait)

    endable.end()

    assert await waiting is None
    assert await endable.make(call) is None
    slow.go_on.set()
    assert await call() == b"late"
    await channel.close()


def test_a_call_that_is_not_ended_returns_what_it_brings(peer: Peer) -> None:
    """Or raises what it raises, as any other."""
    peer.answer = lambda request, _context: request * 2
    endable = EndableCall()
    with closing(GrpcChannel(peer.address)) as channel:
        assert endable.make(partial(channel.call, "Lease", b"ab", 10.0)) == b"abab"

        def refuse(_request: bytes, context: grpc.ServicerContext) -> bytes:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no room")

        peer.answer = refuse
        with pytest.raises(qmq.LimitReached, match="no room"):
            endable.make(partial(channel.call, "Lease", b"", 10.0))


def test_closing_the_channel_ends_such_a_call(peer: Peer) -> None:
    """With the same error as any other."""
    slow = Slow()
    peer.answer = slow
    channel = GrpcChannel(peer.address)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(EndableCall().make, partial(channel.call, "Lease", b"", 60.0))
        slow.is_asked.wait()

        channel.close()

        with pytest.raises(qmq.ClientUnusable, match="is closed"):
            waiting.result()
        slow.go_on.set()


def test_a_pause_in_such_a_call_can_be_ended() -> None:
    """Between one attempt and the next."""
    endable = EndableCall()
    begun = Event()

    def pause() -> bool:
        begun.set()
        on_threads.sleep(3_600)
        return True

    with ThreadPoolExecutor() as threads:
        pausing = threads.submit(endable.make, pause)
        begun.wait()
        endable.end()
        assert pausing.result() is None


def test_an_end_before_the_beginning_is_one_too() -> None:
    """What would be waited for is cancelled."""
    endable = EndableCall()
    cancelled: list[int] = []

    def call() -> bool:
        with endable.cancelling(lambda: cancelled.append(1)):
            return True

    assert endable.make(call) is True
    endable.end()
    assert endable.make(call) is None
    assert cancelled == [1]


def test_a_watch_looks_for_threads_that_have_ended() -> None:
    """Each is told once; how it ended is not known."""
    ended: list[object] = []
    watch = Watch(ended.append)
    here = watch.current()
    other = Thread(target=watch.current, name="other")
    other.start()
    other.join()

    watch.look()
    watch.look()

    assert ended == [other]
    assert here is threading.current_thread() is watch.current()
    assert (watch.has_ended(other), watch.has_ended(here)) == (True, False)
    assert "thread other has ended" in str(watch.error_of(other))


async def test_a_watch_is_told_of_tasks_that_have_ended() -> None:
    """And how."""
    ended: list[object] = []
    watch = AsyncWatch(ended.append)

    async def work(error: BaseException | None) -> None:
        assert watch.current() is watch.current() is asyncio.current_task()
        if error:
            raise error

    errors = [None, ValueError("bad"), asyncio.CancelledError()]
    tasks = [asyncio.create_task(work(error)) for error in errors]
    assert not watch.has_ended(tasks[0])
    await asyncio.wait(tasks)

    assert ended == tasks
    assert watch.has_ended(tasks[0])
    assert [type(watch.error_of(task)) for task in tasks] == [
        type(None),
        ValueError,
        asyncio.CancelledError,
    ]


def test_a_crew_of_threads_works_side_by_side() -> None:
    """It is waited for, for as long as one likes, and tells of the first error."""
    go_on, ends = Event(), []

    def work() -> None:
        go_on.wait()
        raise ValueError("bad")

    crew = Crew(work, 3, "work", lambda: ends.append(1))
    crew.dismiss()
    assert not crew.wait(0)
    go_on.set()

    assert crew.wait(10)
    assert (str(crew.error()), len(ends)) == ("bad", 3)


async def test_a_crew_of_tasks_works_side_by_side() -> None:
    """And those that have not ended can be stopped."""
    go_on, ends = asyncio.Event(), []

    async def work() -> None:
        await go_on.wait()
        raise ValueError("bad")

    crew = AsyncCrew(work, 3, "work", lambda: ends.append(1))
    assert not await crew.wait(0)
    await crew.dismiss()
    assert (crew.error(), len(ends)) == (None, 3)

    crew = AsyncCrew(work, 2, "work", lambda: ends.append(1))
    go_on.set()
    assert await crew.wait(10)
    assert str(crew.error()) == "bad"


async def test_another_event_loop_is_refused_rather_than_left_waiting() -> None:
    """Nothing would wake it up: it is told so at once."""
    async with running_broker() as (client, _):
        queue = await client.new_queue("mail")
        await queue.add("a")

        async with queue.producer() as producer, queue.consume() as messages:

            async def use() -> None:
                for call in (producer.add("b"), producer.submit("c"), anext(messages)):
                    with pytest.raises(qmq.ClientUnusable, match="belong to the event loop that"):
                        await call

            await asyncio.to_thread(asyncio.run, use())
            assert (await anext(messages)).text == "a"

        assert (await queue.stats()).enqueued_total == 1
