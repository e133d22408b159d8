"""Schedules whose ticks come when the test lets time pass."""

from dataclasses import replace

from qmq.engine.broker import Broker
from qmq.engine.scheduling import ScheduleState
from qmq.model.check import problems_of
from qmq.model.schedule import Schedule, SchedulePlan
from qmq.testing import START_NS, ManualClock
from qmq.values import NS_PER_S
from qmq.wire import q_pb2 as pb
from tests.engine.callers import turns

#: Seconds from the beginning of a test to the next full minute.
TO_MINUTE_S = 40

EVERY_MINUTE = SchedulePlan(cron="* * * * *", payload=b"minute")
EVERY_10_S = SchedulePlan(interval_ns=10 * NS_PER_S, payload=b"ten")


class WallClock:
    """A clock that people can set; otherwise it goes as the one in the test's hand does."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.ahead_s = 0

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return self._clock.now_ns() + self.ahead_s * NS_PER_S


async def put(
    broker: Broker, plan: SchedulePlan, name: str = "tick", queue: str = "jobs"
) -> Schedule:
    """Make or change a schedule."""
    return (await broker.scheduling.put(queue, name, plan)).schedule


async def get(broker: Broker, name: str = "tick", queue: str = "jobs") -> Schedule:
    """Look at a schedule."""
    return (await broker.scheduling.get(queue, name)).schedule


async def passes(clock: ManualClock, seconds: float) -> None:
    """Let time pass, and everything go on that goes on by itself."""
    clock.advance(seconds)
    await turns()


async def popped(broker: Broker, queue: str = "jobs") -> list[bytes]:
    """Take all messages that are ready, and return their payloads."""
    assert problems_of(broker.catalog.find(queue)) == []
    return [
        pb.Message.FromString(envelope).payload for envelope in await broker.pop_batch(queue, 1_000)
    ]


def counts(schedule: Schedule) -> tuple[int, int, int, int]:
    """Return what became of a schedule's ticks: added, missed, refused, deduplicated."""
    return schedule.added, schedule.missed, schedule.refused, schedule.deduplicated


def next_s(state: ScheduleState) -> float | None:
    """Return how many seconds after the beginning of the test a schedule is due."""
    return None if state.next_ns is None else (state.next_ns - START_NS) / NS_PER_S


def paused(plan: SchedulePlan) -> SchedulePlan:
    """Return the same plan, standing still."""
    return replace(plan, paused=True)
