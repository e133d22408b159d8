"""What is kept of how far two clocks are apart, with both in the test's hand."""

from collections.abc import AsyncIterator

import pytest

from qmq.engine.clock_offset import TOLERANCE_NS, ClockOffset
from qmq.errors import StoreFailed
from qmq.testing import ManualClock
from qmq.values import NS_PER_S
from tests.engine.callers import turns


class Kept:
    """What was to be kept."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.fails = False

    async def keep(self, offset_ns: int) -> None:
        """Keep it, unless that is to fail."""
        if self.fails:
            raise StoreFailed("the disk is full")
        self.offsets.append(offset_ns)


@pytest.fixture
def timer() -> ManualClock:
    """Return the clock that nobody sets."""
    return ManualClock()


@pytest.fixture
def kept() -> Kept:
    """Return what was kept."""
    return Kept()


@pytest.fixture
async def offset(clock: ManualClock, timer: ManualClock, kept: Kept) -> AsyncIterator[ClockOffset]:
    """Return one that looks every second."""
    offset = ClockOffset(clock, timer, 0, kept.keep)
    offset.start()
    await timer.until_waiting()
    yield offset
    await offset.close()


async def pass_time(clock: ManualClock, timer: ManualClock, seconds: float) -> None:
    """Let time pass by both clocks."""
    clock.advance(seconds)
    timer.advance(seconds)
    await turns()


async def test_nothing_is_kept_of_a_clock_that_nobody_has_set(
    clock: ManualClock, timer: ManualClock, kept: Kept, offset: ClockOffset
) -> None:
    """Two clocks are never read at the very same moment; that is not what counts."""
    clock.advance(TOLERANCE_NS / NS_PER_S)
    for _ in range(5):
        await pass_time(clock, timer, 1)
    await offset.look()

    assert kept.offsets == []


@pytest.mark.parametrize("seconds", [3_600, -0.5])
async def test_clock_that_was_set_is_noticed_within_a_second(
    clock: ManualClock, timer: ManualClock, kept: Kept, offset: ClockOffset, seconds: float
) -> None:
    """Once; and it is forgotten when the clock is set right."""
    clock.advance(seconds)
    for _ in range(3):
        await pass_time(clock, timer, 1)
    assert kept.offsets == [-seconds * NS_PER_S]

    clock.advance(-seconds)
    await offset.look()

    assert kept.offsets == [-seconds * NS_PER_S, 0]


async def test_clock_that_was_set_at_the_last_moment_is_noticed(
    clock: ManualClock, kept: Kept, offset: ClockOffset
) -> None:
    """A server that is told to end looks once more."""
    clock.advance(1)

    await offset.close()

    assert kept.offsets == [-NS_PER_S]


async def test_what_is_known_already_is_not_kept_again(
    clock: ManualClock, timer: ManualClock, kept: Kept
) -> None:
    """After a restart, say."""
    clock.advance(-60)

    await ClockOffset(clock, timer, 60 * NS_PER_S, kept.keep).look()

    assert kept.offsets == []


async def test_store_that_fails_is_asked_again(
    clock: ManualClock, kept: Kept, offset: ClockOffset
) -> None:
    """That it does is told elsewhere."""
    clock.advance(1)
    kept.fails = True
    await offset.look()
    kept.fails = False

    await offset.look()

    assert kept.offsets == [-NS_PER_S]
