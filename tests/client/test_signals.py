"""SIGINT and SIGTERM, for those who go on until they are told to end."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

import qmq
from qmq.client.signals import caught
from qmq.testing import running_broker, running_broker_in_thread

BOTH = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def before() -> Iterator[list[int]]:
    """The signals that came to handlers which were there before."""
    come: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        come.append(number)

    handlers = {number: signal.signal(number, handle) for number in BOTH}
    yield come
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", BOTH)
def test_the_first_signal_is_caught(before: list[int], number: int) -> None:
    """A second one does what it did before, and so does one that comes later."""
    calls: list[int] = []

    with caught(lambda: calls.append(1)):
        signal.raise_signal(number)
        assert (calls, before) == ([1], [])
        signal.raise_signal(number)
    for each in BOTH:
        signal.raise_signal(each)

    assert calls == [1]
    assert before == [number, *BOTH]


def test_what_is_ignored_stays_ignored(before: list[int]) -> None:
    """As nohup has it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    calls: list[int] = []

    with caught(lambda: calls.append(1)):
        signal.raise_signal(signal.SIGINT)

    assert (calls, before) == ([], [])
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_other_threads_get_no_signals(before: list[int]) -> None:
    """So there is nothing to catch."""
    calls: list[int] = []

    def work() -> None:
        with caught(lambda: calls.append(1)):
            signal.raise_signal(signal.SIGTERM)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert (calls, before) == ([], [signal.SIGTERM])


@pytest.mark.parametrize("number", BOTH)
async def test_a_signal_stops_a_worker(before: list[int], number: int) -> None:
    """What is under way is finished."""
    async with running_broker() as (client, _):
        queue = await client.new_queue()
        await queue.add_batch(["a", "b"])

        @queue.worker()
        async def work(_message: qmq.AsyncLeasedMessage[bytes | str]) -> None:
            signal.raise_signal(number)
            await asyncio.sleep(0)

        await work.run()
        stats = await queue.stats()

    assert (stats.ready, stats.leased, stats.acked_total) == (1, 0, 1)
    assert before == []


@pytest.mark.parametrize("number", BOTH)
def test_a_signal_stops_a_worker_of_threads(before: list[int], number: int) -> None:
    """It comes to the main thread, whichever thread it is sent by."""
    with running_broker_in_thread() as (client, _):
        queue = client.new_queue()
        queue.add("a")

        @queue.worker()
        def work(_message: qmq.LeasedMessage[bytes | str]) -> None:
            signal.pthread_kill(threading.main_thread().ident or 0, number)

        work.run()
        stats = queue.stats()

    assert (stats.ready, stats.leased, stats.acked_total) == (0, 0, 1)
    assert before == []


async def test_signals_are_left_alone_on_request(before: list[int]) -> None:
    """By a program that handles them itself."""
    async with running_broker() as (client, _):
        queue = await client.new_queue()
        await queue.add("a")

        @queue.worker()
        async def work(_message: qmq.AsyncLeasedMessage[bytes | str]) -> None:
            signal.raise_signal(signal.SIGTERM)
            work.stop()

        await work.run(handle_signals=False)

    assert before == [signal.SIGTERM]
