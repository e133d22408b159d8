"""A loop with time of its own."""

import asyncio
from collections.abc import Iterator
from random import Random

import pytest

from tests.world.loop import SimulatedLoop, SimulatedWorker, Stuck


@pytest.fixture
def loop() -> Iterator[SimulatedLoop]:
    """Return one."""
    loop = SimulatedLoop(Random(1))
    yield loop
    loop.close()


def test_time_jumps_to_the_next_timer(loop: SimulatedLoop) -> None:
    """A year is over at once, and rings hardly late."""
    loop.run_until_complete(asyncio.sleep(365 * 86_400))

    assert 0 <= loop.time() - 365 * 86_400 < 0.001


def test_timers_of_one_moment_ring_in_any_order(loop: SimulatedLoop) -> None:
    """Which chance decides; what is to be called soon is called in order."""
    rung: list[int] = []
    for number in range(50):
        loop.call_at(1, rung.append, number)
    for number in range(50):
        loop.call_soon(rung.append, number)
    loop.run_until_complete(asyncio.sleep(2))

    assert rung[:50] == list(range(50))
    assert rung[50:] != list(range(50)) == sorted(rung[50:])


def test_loop_that_waits_for_nothing_says_so(loop: SimulatedLoop) -> None:
    """Rather than wait for ever."""
    with pytest.raises(Stuck):
        loop.run_until_complete(loop.create_future())


def test_worker_takes_a_turn_for_each_call_beside_the_loop(loop: SimulatedLoop) -> None:
    """What it tells the loop comes when its turn is over, and in order."""
    told: list[tuple[int, float]] = []
    turns = 0

    def tell(turn: int) -> None:
        told.append((turn, round(loop.time())))

    def turn() -> bool:
        nonlocal turns
        turns += 1
        loop.ahead_s += 10 - turns
        loop.call_soon_threadsafe(tell, turns)
        return turns < 3

    worker = SimulatedWorker(loop, Random(1), turn)
    for _ in range(5):
        worker.call()
    loop.run_until_complete(asyncio.sleep(100))

    assert told == [(1, 9), (2, 17), (3, 24)]
