"""The broker in the process of a test, and its clock."""

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

import qmq
from qmq.testing import START_NS, ManualClock, running_broker, running_broker_in_thread


async def test_time_passes_when_the_test_says_so() -> None:
    """A wait ends when the clock has been advanced by as much, and not before."""
    async with running_broker() as (client, clock):
        queue = await client.new_queue()
        pop = asyncio.create_task(queue.pop(wait=30))
        await clock.until_waiting()

        clock.advance(29.999)
        await clock.until_waiting()
        assert not pop.done()
        clock.advance(0.001)
        with pytest.raises(qmq.QueueEmpty):
            await pop

        assert clock.waiting == 0


@pytest.mark.parametrize("wait", [0.1, 0.3, 1 / 3, 59.999_999_999])
async def test_every_wait_ends_to_the_nanosecond(wait: float) -> None:
    """However seconds are rounded."""
    async with running_broker() as (client, clock):
        queue = await client.new_queue()
        clock.advance(0.1)
        pop = asyncio.create_task(queue.pop_batch(1, wait=wait))
        await clock.until_waiting()

        clock.advance(wait)

        assert await pop == []


async def test_who_waits_is_served_without_the_clock() -> None:
    """A message ends the wait at once."""
    async with running_broker() as (client, clock):
        queue = await client.new_queue()
        pops = [asyncio.create_task(queue.pop(wait=30)) for _ in range(3)]
        await clock.until_waiting(3)

        await queue.add_batch(["a", "b", "c"])

        assert [(await pop).text for pop in pops] == ["a", "b", "c"]


async def test_messages_are_as_old_as_the_clock_says() -> None:
    """And are made when it says."""
    async with running_broker() as (client, clock):
        queue = await client.new_queue()
        clock.advance(5)
        added = await queue.add("x")
        clock.advance(3600)

        stats = await queue.stats()

    assert added.created_ns == START_NS + 5_000_000_000
    assert stats.oldest_age == timedelta(hours=1)


async def test_leases_and_delays_end_when_the_clock_says() -> None:
    """To the nanosecond, and without anybody who waits."""
    async with running_broker() as (client, clock):
        settings = qmq.QueueSettings(back_off=qmq.BackOff(base=60, jitter=0))
        queue = await client.new_queue(settings=settings)
        await queue.add("x")
        (message,) = await queue.lease(lease_duration=30)

        clock.advance(29.999_999_999)
        assert await queue.lease() == []
        clock.advance(0.000_000_001)
        (again,) = await queue.lease()
        with pytest.raises(qmq.LeaseLost, match=r"expired at 2023-11-14T22:13:50\.000Z"):
            await message.ack()
        await again.fail()
        clock.advance(119.999_999_999)
        assert await queue.lease() == []
        clock.advance(0.000_000_001)
        (last,) = await queue.lease()

    assert (message.delivery_count, again.delivery_count, last.delivery_count) == (1, 2, 3)
    assert message.lease_expires_ns == START_NS + 30_000_000_000


async def test_only_calls_are_counted_that_wait() -> None:
    """Leases end by the clock too, and nobody waits for that."""
    async with running_broker() as (client, clock):
        queue = await client.new_queue()
        await queue.add("x")
        await queue.lease()
        assert clock.waiting == 0

        pop = asyncio.create_task(queue.pop(wait=60))
        await clock.until_waiting()
        assert clock.waiting == 1
        clock.advance(30)
        message = await pop

        assert message.text == "x"
        assert clock.waiting == 0


async def test_runs_repeat() -> None:
    """The same ids from the same seed."""

    async def ids(seed: int) -> list[str]:
        async with running_broker(seed=seed) as (client, _):
            queue = await client.new_queue()
            return [queue.queue_id, (await queue.add("x")).id]

    assert await ids(1) == await ids(1) != await ids(2)


async def test_brokers_know_nothing_of_each_other() -> None:
    """So tests do not either."""
    async with running_broker() as (one, _), running_broker() as (other, _):
        await one.new_queue("mail")

        assert await other.list_queues() == []
        assert repr(one) == "<AsyncClient of this process>"


async def test_the_end_of_a_broker_ends_its_calls() -> None:
    """Nothing is left that a test would have to wait for."""
    async with running_broker() as (client, clock):
        queue = await client.new_queue()
        pop = asyncio.create_task(queue.pop(wait=30))
        await clock.until_waiting()

    with pytest.raises(qmq.ClientUnusable, match="is closed"):
        await pop
    with pytest.raises(qmq.ClientUnusable, match="is closed"):
        await queue.pop()


def test_threads_have_the_same() -> None:
    """The test advances the clock from its own thread."""
    with running_broker_in_thread() as (client, clock), ThreadPoolExecutor() as threads:
        queue = client.new_queue("mail")
        pop = threads.submit(queue.pop, wait=30)
        while not clock.waiting:
            pass

        clock.advance(30)

        with pytest.raises(qmq.QueueEmpty):
            pop.result()
        assert repr(client) == "<Client of this process>"
    assert not [thread for thread in threading.enumerate() if "qmq.testing" in thread.name]
    with pytest.raises(qmq.ClientUnusable, match="is closed"):
        queue.pop()


def test_a_clock_may_be_advanced_with_nobody_waiting() -> None:
    """And be set back."""
    clock = ManualClock()

    clock.advance(10)
    clock.advance(-4)

    assert clock.now_ns() == START_NS + 6_000_000_000
    assert clock.waiting == 0


def test_testing_needs_nothing_of_the_server_but_its_code() -> None:
    """Users test their programs with what they installed for them."""
    script = "import sys, qmq.testing; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE)

    assert not {"apsw", "click", "envoy", "pyvoy", "prometheus_client"} & {
        *loaded.stdout.decode().split()
    }
