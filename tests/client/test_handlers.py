"""Which functions workers take, and what is said of those that they do not."""

import asyncio
from collections.abc import Awaitable
from typing import Any, cast

import pytest

import qmq
from qmq.testing import running_broker, running_broker_in_thread

LeasedMessage = qmq.LeasedMessage[bytes | str]
AsyncLeasedMessage = qmq.AsyncLeasedMessage[bytes | str]


async def _awaited(_message: object) -> None:
    """Do nothing, once somebody awaits it."""


def _yielding(_message: object) -> object:
    """Do nothing until somebody iterates."""
    yield


async def _yielding_later(_message: object) -> object:
    """Do nothing until somebody iterates."""
    yield


class _Awaited:
    """What nobody can tell from a plain function before it is called."""

    async def __call__(self, _message: object) -> None:
        """Do nothing, once somebody awaits it."""


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (_awaited, "_awaited is an `async def`, which the worker of a Client would not await"),
        (_yielding, "_yielding has a yield in it, so that to call it would do nothing"),
        (_yielding_later, "_yielding_later has a yield in it"),
        (4, "a worker is made of a function, not of 4; options go by name, such as concurrency=4"),
    ],
)
def test_what_would_do_nothing_is_no_worker_of_a_client(handler: object, why: str) -> None:
    """Its messages would be acked, and nobody would have worked on them."""
    worker: Any = qmq.Client().queue("mail").worker
    for make in (worker, worker(concurrency=2)):
        with pytest.raises(TypeError, match=why):
            make(handler)


@pytest.mark.parametrize("handler", [_yielding, _yielding_later, 4])
def test_what_would_do_nothing_is_no_worker_of_an_async_client(handler: object) -> None:
    """Nor would anybody wait for it."""
    worker: Any = qmq.AsyncClient().queue("mail").worker
    for make in (worker, worker(concurrency=2)):
        with pytest.raises(TypeError, match=r"has a yield in it|not of 4"):
            make(handler)


def test_an_object_that_is_to_be_awaited_ends_the_worker_of_a_client() -> None:
    """Its message is released, and is there for one who does the work."""
    with running_broker_in_thread() as (client, _):
        queue = client.new_queue("mail")
        queue.add("a")

        with pytest.raises(TypeError, match=r"_Awaited object at .* is an `async def`"):
            queue.worker(_Awaited()).run()
        (message,) = queue.lease()

    assert message.delivery_count == 1


async def test_a_plain_function_ends_the_worker_of_an_async_client() -> None:
    """After its first message, which is released: it is not the message that is wrong."""
    async with running_broker() as (client, _):
        queue = await client.new_queue("mail")
        await queue.add("a")

        def work(_message: AsyncLeasedMessage) -> Awaitable[None]:
            return cast("Awaitable[None]", None)

        with pytest.raises(TypeError, match=r"work is no `async def`.*asyncio\.to_thread"):
            await queue.worker(work).run()
        (message,) = await queue.lease()

    assert message.delivery_count == 1


async def test_a_worker_needs_no_parentheses() -> None:
    """As in other libraries, where there are no options to give."""
    done: list[str] = []
    async with running_broker() as (client, _):
        queue = await client.new_queue("mail")
        await queue.add_batch(["a", "b"])

        @queue.worker
        async def work(message: AsyncLeasedMessage) -> None:
            done.append(message.text)
            if message.text == "b":
                work.stop()

        await asyncio.wait_for(work.run(), 10)

    assert done == ["a", "b"]
    with running_broker_in_thread() as (sync_client, _):
        sync_queue = sync_client.new_queue("mail")
        sync_queue.add("c")

        @sync_queue.worker
        def work_in_thread(message: LeasedMessage) -> None:
            done.append(message.text)
            work_in_thread.stop()

        work_in_thread.run()

    assert done == ["a", "b", "c"]
