"""Moments at which something happens to a queue by itself."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from qmq.engine.alarms import Alarms
from qmq.model.queue import Queue
from qmq.testing import START_NS, ManualClock
from qmq.values import NS_PER_S
from tests.engine.callers import turns
from tests.model.queues import queue


class Bells:
    """What rang, and when, in seconds since the test began."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.rung: list[tuple[int, float]] = []
        self.alarms = Alarms(clock, self.ring)

    def ring(self, ringing: Queue) -> None:
        """Take note of an alarm."""
        self.rung.append((ringing.number, (self.clock.now_ns() - START_NS) / NS_PER_S))

    def set(self, for_queue: Queue, at_s: float) -> None:
        """Set an alarm."""
        self.alarms.set(for_queue, START_NS + round(at_s * NS_PER_S))

    async def advance(self, seconds: float) -> None:
        """Let time pass, and what is to happen then."""
        await turns()
        self.clock.advance(seconds)
        await turns()


@pytest.fixture
async def bells() -> AsyncIterator[Bells]:
    """Return alarms that nobody has set yet."""
    bells = Bells(ManualClock())
    yield bells
    await bells.alarms.close()


async def test_alarm_rings_when_its_moment_has_come(bells: Bells) -> None:
    """Once, and not a nanosecond earlier."""
    bells.set(queue(1), 5)

    await bells.advance(5 - 1e-9)
    assert bells.rung == []
    await bells.advance(1e-9)
    await bells.advance(60)

    assert bells.rung == [(1, 5)]


async def test_alarm_of_a_moment_that_has_passed_rings_at_once(bells: Bells) -> None:
    """But never before the caller goes on: it is about to change the queue."""
    bells.set(queue(1), -3)
    assert bells.rung == []

    await turns()

    assert bells.rung == [(1, 0)]


async def test_alarms_ring_in_the_order_of_their_moments(bells: Bells) -> None:
    """Whatever the order in which they were set; those of one moment in that of the queues."""
    for number, at_s in ((1, 9), (2, 3), (4, 6), (3, 6)):
        bells.set(queue(number), at_s)

    for _ in range(10):
        await bells.advance(1)

    assert bells.rung == [(2, 3), (3, 6), (4, 6), (1, 9)]


async def test_alarms_that_were_slept_through_ring_in_order(bells: Bells) -> None:
    """As after the machine was asleep."""
    for number, at_s in ((1, 9), (2, 3), (3, 6)):
        bells.set(queue(number), at_s)

    await bells.advance(100)

    assert bells.rung == [(2, 100), (3, 100), (1, 100)]


async def test_earlier_moment_wakes_who_sleeps_until_a_later_one(bells: Bells) -> None:
    """Of the same queue or of another one."""
    first, second = queue(1), queue(2)
    bells.set(first, 100)
    await turns()

    bells.set(second, 50)
    await turns()
    bells.set(first, 10)
    await bells.advance(10)
    await bells.advance(40)

    assert bells.rung == [(1, 10), (2, 50)]


async def test_queue_rings_at_its_earliest_moment_alone(bells: Bells) -> None:
    """What happens then sets the next one: the others are of no use."""
    one = queue(1)
    for at_s in (7, 9, 5, 6, 5):
        bells.set(one, at_s)

    await bells.advance(5)
    await bells.advance(60)

    assert bells.rung == [(1, 5)]


async def test_alarm_can_be_set_again_when_it_rings(bells: Bells) -> None:
    """For a moment that was set before, too, and for one that has come already."""
    one = queue(1)

    def ring_again(ringing: Queue) -> None:
        bells.ring(ringing)
        if len(bells.rung) < 4:
            alarms.set(ringing, max(bells.clock.now_ns(), START_NS + 9 * NS_PER_S))

    alarms = Alarms(bells.clock, ring_again)
    alarms.set(one, START_NS + 9 * NS_PER_S)
    alarms.set(one, START_NS + 5 * NS_PER_S)

    await bells.advance(5)
    assert bells.rung == [(1, 5)]
    await bells.advance(4)
    await alarms.close()

    assert bells.rung == [(1, 5), (1, 9), (1, 9), (1, 9)]


async def test_nothing_sleeps_before_the_first_alarm(bells: Bells) -> None:
    """A server whose queues were never leased has no task for that."""
    await turns()

    assert bells.clock.waiting == 0


async def test_long_time_without_an_alarm_is_slept_through(bells: Bells) -> None:
    """And an alarm that is set after that rings."""
    one = queue(1)
    bells.set(one, 1)
    for _ in range(5):
        await bells.advance(10_000)

    bells.set(one, 50_007)
    await bells.advance(7)

    assert bells.rung == [(1, 10_000), (1, 50_007)]


async def test_closed_alarms_ring_no_more(bells: Bells) -> None:
    """And leave no task behind."""
    bells.set(queue(1), 5)
    await turns()

    await bells.alarms.close()
    await bells.advance(60)

    assert bells.rung == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_alarms_that_were_never_set_can_be_closed() -> None:
    """More often than once."""
    alarms = Alarms(ManualClock(), lambda _: None)

    await alarms.close()
    await alarms.close()
