"""Who looks how a q does, and tells."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qmq.condition import CommitTimes, ServerCondition, Spell
from qmq.engine.broker import Broker
from qmq.engine.overseeing import Overseeing
from qmq.observe.access import AccessFigures
from qmq.observe.certificates import Expiries
from qmq.server.address import Address
from qmq.server.config import Config
from qmq.server.overseen_disk import OverseenDisk
from qmq.server.overseer import Overseer
from qmq.store.local.disk import DiskStore
from qmq.store.local.memory import MemoryStore
from qmq.testing import START_NS, ManualClock, seeded_ids
from qmq.values import NS_PER_S, ServerRole, Store
from tests.server.test_findings import DISK

OPEN = Config(insecure=True, listen=Address("", 10002))


@dataclass
class Process:
    """What is known of a process."""

    config: Config = field(default_factory=Config)
    started_ns: int = START_NS - 7
    expiries: Expiries = dict


class Part:
    """Something to be looked at, which may let memory seem full."""

    def __init__(self) -> None:
        self.looks = self.wanted = self.used = 0

    async def look(self) -> None:
        """Count how often it is looked at."""
        self.looks += 1

    def want(self) -> None:
        """Count how often somebody asked."""
        self.wanted += 1

    def add_to(
        self, condition: ServerCondition, overseeing: Overseeing, now_ns: int
    ) -> ServerCondition:
        """Say that so much memory is used."""
        del overseeing, now_ns
        return replace(condition, memory_bytes=self.used, memory_bytes_max=100)


class Slowing(Part):
    """A disk whose commits take as long as it is told."""

    p99_ns = 0

    def add_to(
        self, condition: ServerCondition, overseeing: Overseeing, now_ns: int
    ) -> ServerCondition:
        """Tell of that disk."""
        del overseeing
        lately = Spell(ended_ns=now_ns, window_ns=NS_PER_S, count=1_000, p99_ns=self.p99_ns)
        return replace(condition, disk=replace(DISK, commits=CommitTimes(lately=lately)))


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    """Return a broker with one queue, in which there is a message."""
    clock = ManualClock()
    broker = Broker(
        {Store.MEMORY: MemoryStore()}, clock=clock, timer=clock, new_id=seeded_ids(), queues_max=9
    )
    await broker.new_queue(Store.MEMORY, name="jobs")
    await broker.add("jobs", b"")
    yield broker
    await broker.close()


async def test_what_the_broker_and_the_process_know_is_told(broker: Broker) -> None:
    """Queues are counted when somebody asks."""
    overseer = Overseer(Process(), broker.overseeing, None, access=None)

    condition = await overseer.condition()

    assert (condition.role, condition.address) == (ServerRole.ALONE, "localhost:10002")
    assert (condition.started_ns, condition.queues_max) == (START_NS - 7, 9)
    assert (condition.contents.queues, condition.contents.messages) == (1, 1)
    assert condition.in_memory == condition.contents
    assert condition.version
    assert condition.warnings == ()


async def test_since_when_something_is_so_is_known_though_nobody_asked(broker: Broker) -> None:
    """It is looked for again and again; what was over meanwhile begins anew."""
    clock, part = ManualClock(), Part()
    overseer = Overseer(Process(), broker.overseeing, part, access=None, now_ns=clock.now_ns)
    part.used = 90
    await overseer.look()
    clock.advance(60)
    [warning] = (await overseer.condition()).warnings
    assert (warning.reason, warning.since_ns) == ("MEMORY_NEARLY_FULL", START_NS)

    part.used = 10
    await overseer.look()
    assert not overseer.warnings
    part.used = 90
    clock.advance(60)
    await overseer.look()

    [warning] = overseer.warnings
    assert warning.since_ns == START_NS + 120 * NS_PER_S
    assert part.looks == 3
    assert part.wanted == 1


async def test_what_was_worth_a_look_is_known_at_the_next_one(broker: Broker) -> None:
    """Commits that were slow are so for longer than others would be."""
    part = Slowing()
    overseer = Overseer(Process(), broker.overseeing, part, access=None)

    told = []
    for part.p99_ns in (60_000_000, 110_000_000, 60_000_000, 40_000_000, 60_000_000):
        await overseer.look()
        told.append([each.reason for each in overseer.warnings])

    assert told == [[], ["COMMITS_SLOW"], ["COMMITS_SLOW"], [], []]


async def test_the_worst_comes_first(broker: Broker) -> None:
    """How it was started, its certificates and its access file are looked at as well."""
    clock, part = ManualClock(), Part()
    part.used = 100
    soon = datetime.fromtimestamp(START_NS / NS_PER_S, UTC) + timedelta(days=1)
    overseer = Overseer(
        Process(config=OPEN, expiries=lambda: {"server": soon}),
        broker.overseeing,
        part,
        access=lambda: AccessFigures({}, {}, {}, is_faulty=True),
        now_ns=clock.now_ns,
    )

    warnings = (await overseer.condition()).warnings

    assert [each.reason for each in warnings] == [
        "MEMORY_NEARLY_FULL",
        "ACCESS_FILE_FAULTY",
        "CERTIFICATE_EXPIRES",
        "OPEN_TO_ALL",
    ]
    # It has been so since the start.
    assert warnings[-1].since_ns == START_NS - 7


async def test_a_part_is_looked_at_before_anything_is_told_of_it(broker: Broker) -> None:
    """Whoever asks in the first moment is not told that there is nothing."""
    part = Part()
    overseer = Overseer(Process(), broker.overseeing, part, access=None)

    await overseer.condition()

    assert part.looks == 1


async def test_that_there_are_nearly_all_queues_is_seen_though_nobody_asked(
    broker: Broker,
) -> None:
    """And that there are fewer, too."""
    overseer = Overseer(Process(), broker.overseeing, None, access=None)
    for number in range(8):
        await broker.new_queue(Store.MEMORY, name=f"q{number}")
    await overseer.look()
    assert [each.reason for each in overseer.warnings] == ["QUEUES_NEARLY_ALL"]

    await overseer.condition()
    for number in range(8):
        await broker.delete_queue(f"q{number}")
    await overseer.look()
    assert not overseer.warnings


async def test_two_may_look_at_a_disk_at_one_time(tmp_path: Path) -> None:
    """As when somebody asks in the first moment."""
    disk = DiskStore.open(tmp_path)
    part = OverseenDisk(disk, tmp_path, lambda: 0)

    await asyncio.gather(part.look(), part.look())
    await part.look()

    await disk.close()
