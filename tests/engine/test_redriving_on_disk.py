"""Redrives of DISK queues: whatever ends the server, nothing is lost and nothing is doubled."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from qmq.engine.broker import Broker
from qmq.limits import REDRIVES_ENDED_MAX
from qmq.model.redrive import Redrive, RedriveRequest, RedriveState
from qmq.testing import ManualClock, seeded_ids
from qmq.values import Store
from tests.engine.callers import turns
from tests.engine.redrives import (
    add,
    bury,
    disk_broker,
    drain,
    ended,
    lease,
    make_queues,
    numbered,
    redriven,
    reject,
)
from tests.store.disk import WAIT_S, Commits, Disks, rows, sweep

DONE, RUNNING = RedriveState.DONE, RedriveState.RUNNING


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

    def start(self, path: Path) -> Broker:
        """Start with what is in a directory."""
        self.commits = Commits()
        disk = self._disks.open(path, self.commits)
        self.broker = disk_broker(self.clock, disk, self._new_id)
        self._brokers.append(self.broker)
        return self.broker

    async def restart(self) -> Broker:
        """End well, and start again."""
        await self.broker.close()
        return self.start(self.path)

    async def moved(self, redrive: Redrive, count: int) -> Redrive:
        """Let time pass until a redrive has moved so many."""
        async with asyncio.timeout(WAIT_S):
            while (now := await self.broker.redriving.get(redrive.id)).moved < count:
                self.clock.advance(0.1)
                await turns()
        return now

    async def close(self) -> None:
        """End everything."""
        self.commits.release_all()
        for broker in self._brokers:
            await broker.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """Return a server with the empty queues "jobs" and "dead"."""
    server = Server(tmp_path / "data")
    await make_queues(server.broker, Store.DISK)
    yield server
    await server.close()


async def test_redrive_survives_a_restart(server: Server) -> None:
    """It goes on where it was, with what it was asked for; what came later is not for it."""
    await bury(server.broker, numbered(10))
    started = await server.broker.redriving.start(
        RedriveRequest(queue_id="dead", messages_per_second=1.0, messages_max=8)
    )
    before = await server.moved(started, 2)

    broker = await server.restart()
    went_on_from = await broker.redriving.get(started.id)
    await reject(broker, await lease(broker, 1))
    after = await server.moved(started, 8)

    assert 2 <= before.moved <= went_on_from.moved <= before.moved + 1
    assert (after.state, after.moved, after.seen, after.failed_again) == (DONE, 8, 8, 1)
    assert (after.request, after.started_ns) == (started.request, started.started_ns)
    assert await drain(broker, "jobs") == numbered(7, start=1)
    assert await drain(broker, "dead") == [b"8", b"9", b"0"]


async def test_clock_that_was_set_back_brings_nothing_new_in(server: Server) -> None:
    """A redrive does not move what comes after it was started, whatever the clock says."""
    await bury(server.broker, [b"old"])
    await server.broker.new_queue(Store.DISK, name="repair")
    await server.broker.pause("repair", adds=True)
    server.clock.advance(100)
    started = await server.broker.redriving.start(
        RedriveRequest(queue_id="dead", target_queue_id="repair")
    )
    await server.broker.close()
    server.clock.advance(-3_600)

    broker = server.start(server.path)
    await bury(broker, numbered(3))
    await broker.resume("repair")
    server.clock.advance(2)
    redrive = await ended(broker, started)

    assert (redrive.state, redrive.moved) == (DONE, 1)
    assert await drain(broker, "dead") == numbered(3)


async def test_moved_messages_survive_with_their_history(server: Server) -> None:
    """A restart later they still tell how they were handed out, and who has moved them."""
    await bury(server.broker, numbered(30), reason="no route")
    done = await redriven(server.broker)

    broker = await server.restart()
    leased = await lease(broker, 30)
    await reject(broker, leased[:5])

    assert [each.message.attempts[0].reason for each in leased] == ["no route"] * 30
    assert {each.delivery_count for each in leased} == {1}
    assert await broker.redriving.get(done.id) == replace(done, failed_again=5)


async def test_what_failed_again_is_counted_through_a_crash(server: Server, tmp_path: Path) -> None:
    """Together with the dead letter, also when the redrive has long been done."""
    await bury(server.broker, numbered(30))
    done = await redriven(server.broker)
    await reject(server.broker, await lease(server.broker, 5))
    image = tmp_path / "image"
    server.commits.copy_next(image)
    await add(server.broker, [b"later"])
    await server.broker.close()

    broker = server.start(image)

    assert (await broker.redriving.get(done.id)).failed_again == 5


@pytest.mark.parametrize("cut", range(5))
async def test_crash_neither_loses_nor_doubles(server: Server, tmp_path: Path, cut: int) -> None:
    """Before each commit: every message is in one queue, as its redrive says, which goes on."""
    sent = numbered(900)
    await bury(server.broker, sent)
    image = tmp_path / "image"
    await server.broker.redriving.start(RedriveRequest(queue_id="dead"))
    await server.commits.reach(server.commits.count + cut)
    server.commits.copy_next(image)
    await server.commits.reach(server.commits.count + 1)
    await server.broker.close()

    broker = server.start(image)
    [redrive] = await broker.redriving.list_all()
    counts = {stats.info.name: stats.ready for stats in (await broker.stats("", 0, ""))[0]}
    redrive_then = redrive
    redrive = await ended(broker, redrive)

    assert counts == {"dead": 900 - redrive_then.moved, "jobs": redrive_then.moved}
    assert (redrive.state, redrive.moved, redrive.matched) == (DONE, 900, 900)
    assert await drain(broker, "jobs") == sent
    assert await drain(broker, "dead") == []


async def test_forgotten_redrives_leave_the_disk(server: Server) -> None:
    """Those that have ended long ago take no room."""
    for _ in range(REDRIVES_ENDED_MAX + 3):
        await redriven(server.broker, dry_run=True)
    listed = await server.broker.redriving.list_all()
    broker = await server.restart()

    assert await broker.redriving.list_all() == listed
    await broker.close()
    assert rows(server.path, "redrive") == REDRIVES_ENDED_MAX


async def test_old_places_leave_the_disk(server: Server) -> None:
    """A message and its history are there once, and gone when it is acked."""
    await bury(server.broker, numbered(50))
    await redriven(server.broker)
    leased = await lease(server.broker, 50)
    await server.broker.leasing.ack("jobs", [each.lease_id for each in leased[:20]])

    await server.broker.close()
    await sweep(server.path)

    assert (rows(server.path, "message"), rows(server.path, "delivery")) == (30, 30)
