"""Schedules of DISK queues: whatever ends the server, there is one message a tick."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from qmq.descriptions import MessageOptions
from qmq.engine.broker import Broker
from qmq.errors import Busy, StoreFailed
from qmq.model.schedule import Missed, schedule_of, text_of
from qmq.store.local.checksums import database_vfs
from qmq.testing import ManualClock, seeded_ids
from qmq.values import Store
from tests.engine.callers import turns
from tests.engine.redrives import disk_broker
from tests.engine.schedules import (
    EVERY_10_S,
    EVERY_MINUTE,
    TO_MINUTE_S,
    counts,
    get,
    next_s,
    passes,
    paused,
    popped,
    put,
)
from tests.store.disk import Commits, Disks, rows


class Server:
    """A server with a data directory, which may end and start again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = ManualClock()
        self._disks = Disks()
        self._new_id = seeded_ids()
        self._brokers: list[Broker] = []
        self.commits = Commits()
        self.broker = self.start(path)

    def start(self, path: Path, *, pending_bytes_max: int = 1_000_000) -> Broker:
        """Start with what is in a directory."""
        self.commits = Commits()
        disk = self._disks.open(path, self.commits, pending_bytes_max=pending_bytes_max)
        self.broker = disk_broker(self.clock, disk, self._new_id)
        self._brokers.append(self.broker)
        return self.broker

    async def restart(self, away_s: float = 0.0) -> Broker:
        """End well, and start again after a while."""
        await self.broker.close()
        self.clock.advance(away_s)
        self.start(self.path)
        await turns()
        return self.broker

    async def close(self) -> None:
        """End everything."""
        self.commits.release_all()
        for broker in self._brokers:
            await broker.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """Return a server with the queue "jobs"."""
    server = Server(tmp_path / "data")
    await server.broker.new_queue(Store.DISK, name="jobs")
    yield server
    await server.close()


async def test_schedules_survive_a_restart(server: Server) -> None:
    """With all that they are, and how far they are."""
    options = MessageOptions(priority=3, dedup_id="x")
    plan = replace(EVERY_10_S, options=options, tags=b"\x1a\x03\x0a\x01k", missed=Missed.ALL)
    await put(server.broker, plan, "b")
    await put(server.broker, paused(EVERY_MINUTE), "a")
    await passes(server.clock, 15)
    await server.broker.scheduling.delete("jobs", "b")
    await put(server.broker, plan, "c")
    await passes(server.clock, 15)
    before = await server.broker.scheduling.list_page("", 0, "")

    broker = await server.restart()

    assert await broker.scheduling.list_page("", 0, "") == before
    assert [each.schedule.name for each in before[0]] == ["a", "c"]
    assert [next_s(each) for each in before[0]] == [None, 35]


async def test_ticks_go_on_after_a_restart(server: Server) -> None:
    """Between two ticks nothing is missed: the next one comes when it would have."""
    await put(server.broker, EVERY_MINUTE)
    await put(server.broker, EVERY_10_S, "ten")
    await passes(server.clock, TO_MINUTE_S)
    before = await popped(server.broker)

    broker = await server.restart(9)
    at_once = await popped(broker)
    await passes(server.clock, 1)
    then = await popped(broker)
    for _ in range(5):
        await passes(server.clock, 10)

    assert (sorted(before), at_once, then) == ([b"minute", *[b"ten"] * 4], [], [b"ten"])
    assert sorted(await popped(broker)) == [b"minute", *[b"ten"] * 5]


@pytest.mark.parametrize(
    ("policy", "messages", "missed"), [(Missed.SKIP, 0, 6), (Missed.ONE, 1, 5), (Missed.ALL, 6, 0)]
)
async def test_ticks_while_q_is_down_are_missed(
    server: Server, policy: Missed, messages: int, missed: int
) -> None:
    """What becomes of them is the schedule's to say; those after the start are in time."""
    await put(server.broker, replace(EVERY_10_S, missed=policy))

    broker = await server.restart(65)
    late = await popped(broker)
    await passes(server.clock, 5)

    assert late == [b"ten"] * messages
    assert await popped(broker) == [b"ten"]
    assert counts(await get(broker)) == (messages + 1, missed, 0, 0)


async def test_clock_set_back_while_q_is_down(server: Server) -> None:
    """No tick of an expression comes twice."""
    await put(server.broker, EVERY_MINUTE)
    await passes(server.clock, TO_MINUTE_S)
    await popped(server.broker)

    broker = await server.restart(-30)
    await passes(server.clock, 89)
    early = await popped(broker)
    await passes(server.clock, 1)

    assert (early, await popped(broker)) == ([], [b"minute"])


async def test_intervals_go_on_when_the_clock_was_set_back_while_q_was_down(server: Server) -> None:
    """An interval from the start, and not when the clock is where it was."""
    await put(server.broker, EVERY_10_S)
    await passes(server.clock, 10)
    await popped(server.broker)

    broker = await server.restart(-600)
    await passes(server.clock, 9)
    early = await popped(broker)
    await passes(server.clock, 1)

    assert (early, await popped(broker)) == ([], [b"ten"])


@pytest.mark.parametrize("cut", range(6))
async def test_crash_neither_loses_nor_doubles(server: Server, tmp_path: Path, cut: int) -> None:
    """Before each commit: the messages that are on disk are those that the schedule has counted.

    It makes up for the others after the start: here, more than one step adds.
    """
    image = tmp_path / "image"
    await put(server.broker, replace(EVERY_10_S, missed=Missed.ALL))
    await server.commits.reach(2)
    server.clock.advance(3_000)
    server.commits.hold()
    await turns()
    for _ in range(cut):
        server.commits.release()
        await turns()
    server.commits.copy_next(image)
    server.commits.release_all()
    await turns(200)
    await server.broker.close()
    if not image.exists():
        # All was on disk before the crash.
        shutil.copytree(server.path, image)
    [text] = texts(image)
    on_disk = schedule_of(text)
    stored = rows(image, "message")

    broker = server.start(image)
    await turns(400)

    assert stored == on_disk.added
    assert on_disk.added + on_disk.owed in (0, 300)
    assert counts(await get(broker)) == (300, 0, 0, 0)
    assert await popped(broker) == [b"ten"] * 300


async def test_schedules_go_with_their_queue_in_one_commit(server: Server, tmp_path: Path) -> None:
    """After a crash there are both or none."""
    await put(server.broker, EVERY_10_S, "a")
    await put(server.broker, EVERY_10_S, "b")
    before = server.commits.count
    image = tmp_path / "image"
    server.commits.copy_next(image)

    await server.broker.delete_queue("jobs")

    assert (rows(image, "queue"), rows(image, "schedule")) == (1, 2)
    assert server.commits.count == before + 1
    await server.broker.close()
    assert (rows(server.path, "queue"), rows(server.path, "schedule")) == (0, 0)


async def test_busy_store_makes_a_tick_late(server: Server) -> None:
    """It comes when the store takes messages again, and once."""
    await server.broker.close()
    broker = server.start(server.path, pending_bytes_max=2_000)
    await put(broker, EVERY_10_S)
    server.commits.hold()
    adds = []
    for _ in range(2):
        # The writer has the first one, and the second waits for it.
        adds.append(asyncio.create_task(broker.add("jobs", bytes(3_000))))
        await server.commits.reach(2)
        await turns()
    with pytest.raises(Busy):
        await broker.add("jobs", b"more")
    await passes(server.clock, 10)
    before = broker.catalog.find("jobs").message_count
    server.commits.release_all()
    await asyncio.gather(*adds)
    await passes(server.clock, 1)

    assert before == 2
    assert await popped(broker) == [bytes(3_000), bytes(3_000), b"ten"]
    assert counts(await get(broker)) == (1, 0, 0, 0)


async def test_failed_store_takes_no_ticks(server: Server) -> None:
    """They are missed, and whoever asks is told why; a restart goes on."""
    await put(server.broker, replace(EVERY_10_S, missed=Missed.ALL))
    server.commits.fail = True
    with pytest.raises(StoreFailed):
        await server.broker.add("jobs", b"lost")
    await passes(server.clock, 10)
    await passes(server.clock, 10)
    with pytest.raises(StoreFailed):
        await get(server.broker)
    with pytest.raises(StoreFailed):
        await put(server.broker, EVERY_MINUTE)

    broker = await server.restart()

    assert await popped(broker) == [b"ten"] * 2
    assert counts(await get(broker)) == (2, 0, 0, 0)


async def test_schedule_of_an_unknown_zone_stands_still(server: Server) -> None:
    """One that another system knew: q starts, and says what is wrong; the others go on."""
    await put(server.broker, replace(EVERY_MINUTE, time_zone="Europe/Berlin"))
    await put(server.broker, EVERY_10_S, "ten")
    await server.broker.close()
    connection = apsw.Connection(str(server.path / "q.db"), vfs=database_vfs())
    connection.execute("update schedule set schedule = replace(schedule, 'Berlin', 'Bonn')")
    connection.close()

    broker = server.start(server.path)
    await passes(server.clock, 3_600)
    unknown = await get(broker)
    await put(broker, EVERY_MINUTE)
    await passes(server.clock, 60)

    assert (unknown.plan.paused, counts(unknown)) == (True, (0, 0, 0, 0))
    assert unknown.obstacle == (
        "schedule.time_zone: must be the name of a zone as IANA has it, for example"
        " Europe/Berlin; got 'Europe/Bonn'"
    )
    assert sorted(await popped(broker)) == [b"minute", *[b"ten"] * 7]


async def test_schedule_of_no_queue_is_left_alone(server: Server) -> None:
    """It could not be there; if it is, the server starts all the same."""
    stray = replace(await put(server.broker, EVERY_10_S), queue_id="nobody's")
    await server.broker.close()
    connection = apsw.Connection(str(server.path / "q.db"), vfs=database_vfs())
    connection.execute("update schedule set schedule = ?", (text_of(stray),))
    connection.close()

    broker = await server.restart(60)

    assert await broker.scheduling.list_page("", 0, "") == ([], "")


def texts(path: Path) -> list[str]:
    """Return the schedules in a data directory that no store holds."""
    connection = apsw.Connection(
        str(path / "q.db"), flags=apsw.SQLITE_OPEN_READWRITE, vfs=database_vfs()
    )
    try:
        return [text for (text,) in connection.execute("select schedule from schedule")]
    finally:
        connection.close()
