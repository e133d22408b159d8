"""A disk that is full: nothing is lost, nothing that was refused is there, and q goes on by itself.

The disk is full by a bound on the size of files, which the system keeps: what SQLite gets is
what it gets of a quota.
"""

import asyncio
import resource
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from qmq.descriptions import MessageOptions, QueueSettings
from qmq.engine.broker import Broker
from qmq.engine.consuming import Consumer
from qmq.errors import DiskFull, StoreFailed, Unavailable
from qmq.model.check import problems_of
from qmq.model.footprint import Footprint
from qmq.model.redrive import RedriveRequest
from qmq.model.schedule import SchedulePlan
from qmq.store.local.disk import DiskStore
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import NS_PER_S, Durability, NackKind, Store, Tag
from tests.leased import leased_messages
from tests.store.disk import WAIT_S, Disks
from tests.store.recorder import Recorder
from tests.store.watched import LOG

#: The log may take so much, which is less than the room that q looks for.
_FULL_BYTES = 400_000


@pytest.fixture
def fill_disk() -> Iterator[Callable[[], None]]:
    """Return what fills the disk; afterwards it has room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (_FULL_BYTES, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def free_disk() -> None:
    """Let the disk have room again."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@pytest.fixture
def take_files() -> Iterator[Callable[[], None]]:
    """Return what lets no more files be opened; afterwards there are some again."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def give_files() -> None:
    """Let files be opened again."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Server:
    """A server with a data directory, on a clock that the test moves."""

    def __init__(self, disks: Disks, data: Path) -> None:
        self.clock = ManualClock()
        self.failures: list[str] = []
        #: What happened, in order.
        self.events: list[str] = []
        self.disk: DiskStore = disks.open(data, failures=self.failures, wait=self.clock.wait)
        self.footprint = Footprint()
        self.broker = Broker(
            {Store.MEMORY: MemoryStore(), Store.DISK: self.disk},
            clock=self.clock,
            timer=self.clock,
            chance=lambda: 0.0,
            new_id=seeded_ids(),
            held=self.disk,
        )
        self.disk.on_reload = self._reload
        self.disk.on_recovery = lambda: self.events.append("recovery")
        self.broker.start()

    def _reload(self) -> None:
        disk = self.disk
        self.broker.replace(Store.DISK, disk)
        self.events.append("reload")

    async def until(self, event: str) -> None:
        """Wait until something has happened, and let time pass meanwhile."""
        async with asyncio.timeout(WAIT_S):
            while event not in self.events:
                self.clock.advance(0.5)
                await asyncio.sleep(0.001)
        self.events.clear()

    async def fill(self, queue: str = "jobs") -> list[bytes]:
        """Add messages until that is refused; return the envelopes of the others."""
        added: list[bytes] = []
        while True:
            try:
                added.append(await self.broker.add(queue, bytes(20_000)))
            except DiskFull:
                return added


@pytest.fixture
async def server(disks: Disks, data: Path) -> Server:
    """Return a server with a queue "jobs"."""
    server = Server(disks, data)
    await server.broker.new_queue(Store.DISK, name="jobs")
    return server


async def test_goes_on_by_itself_when_there_is_room(
    server: Server, fill_disk: Callable[[], None]
) -> None:
    """With all that was acknowledged, and nothing of what was refused."""
    fill_disk()
    added = await server.fill()
    await server.until("reload")
    with pytest.raises(DiskFull):
        await server.broker.add("jobs", b"refused")

    free_disk()
    await server.until("recovery")
    added.append(await server.broker.add("jobs", b"after"))

    popped = [await server.broker.pop("jobs") for _ in added]
    assert popped == added
    assert (await server.broker.pop_batch("jobs", 1)) == []
    assert len(server.failures) == 1


async def test_counts_go_on(server: Server, fill_disk: Callable[[], None]) -> None:
    """Those who watch see no restart where there was none."""
    await server.broker.add("jobs", b"popped")
    await server.broker.pop("jobs")
    fill_disk()
    added = await server.fill()
    await server.until("reload")

    (stats,), _ = await server.broker.stats("jobs", 0, "")

    assert stats.consumed_total == 1
    # One was refused.
    assert stats.enqueued_total == len(added) + 2
    assert stats.added_per_second > 0


async def test_looks_again_as_long_as_there_is_no_room(
    server: Server, fill_disk: Callable[[], None]
) -> None:
    """It tries by writing, and never more often than once a second."""
    fill_disk()
    await server.fill()
    await server.until("reload")

    for _ in range(20):
        server.clock.advance(10)
        await asyncio.sleep(0.002)
    with pytest.raises(DiskFull, match="goes on by itself"):
        await server.broker.add("jobs", b"refused")

    assert server.events == []
    assert len(server.failures) == 1
    assert not server.disk.figures().takes_changes


async def test_reads_tell_what_is_on_disk_meanwhile(
    server: Server, fill_disk: Callable[[], None]
) -> None:
    """And what would change something is refused, with the reason and when to try again."""
    broker = server.broker
    fill_disk()
    added = await server.fill()
    await server.until("reload")

    (jobs,), _ = await broker.list_queues(0, "")
    (stats,), _ = await broker.stats("jobs", 0, "")
    browsed = await broker.browsing.browse("jobs", page_size=3)
    assert jobs.name == "jobs"
    assert stats.ready == len(added)
    assert await broker.peek("jobs") == added[0]
    assert len(browsed[0]) == 3
    for call in (
        broker.add("jobs", b"refused"),
        broker.add_batch("jobs", [(b"", b"refused")]),
        broker.pop("jobs"),
        broker.pop("jobs", wait_s=60),
        broker.leasing.lease("jobs", 1, wait_s=0, is_gone=None),
        broker.new_queue(Store.DISK),
        broker.delete_queue("jobs"),
        broker.purge("jobs"),
        broker.pause("jobs", adds=True),
        broker.add_queue_tag("jobs", Tag("a", "1")),
        broker.resume("jobs"),
    ):
        with pytest.raises(DiskFull) as caught:
            await call
        assert caught.value.retry_after_s == 5
    assert await broker.peek("jobs") == added[0]


async def test_all_that_is_known_of_messages_is_as_it_was(
    server: Server, fill_disk: Callable[[], None]
) -> None:
    """Leases, delays, dedup_ids, groups and settings that were acknowledged, and no others."""
    broker, clock = server.broker, server.clock
    dead = await broker.new_queue(Store.DISK, name="dead")
    await broker.new_queue(
        Store.DISK,
        name="options",
        settings=QueueSettings(dead_letter_queue_id=dead.id, delivery_count_max=3),
    )
    await broker.add_with("options", b"once", b"", MessageOptions(dedup_id="1"))
    await broker.add_with("options", b"a", b"", MessageOptions(group_id="g"))
    await broker.add_with("options", b"later", b"", MessageOptions(delay_ns=3600 * NS_PER_S))
    (leased,) = leased_messages(
        await broker.leasing.lease("options", 1, wait_s=0, is_gone=None, duration_ns=60 * NS_PER_S)
    )
    fill_disk()
    await server.fill()
    refused = await asyncio.gather(
        broker.leasing.ack("options", [leased.lease_id]),
        broker.leasing.nack("options", [leased.lease_id], NackKind.REJECT),
        return_exceptions=True,
    )
    await server.until("reload")
    free_disk()
    await server.until("recovery")

    assert {type(each) for each in refused} == {DiskFull}
    assert all(problems_of(queue) == [] for queue in broker.catalog)
    (again,) = leased_messages(await broker.leasing.lease("options", 9, wait_s=0, is_gone=None))
    assert again.message.payload == b"a"
    assert await broker.leasing.ack("options", [leased.lease_id]) == [None]
    assert (await broker.add_with("options", b"x", b"", MessageOptions(dedup_id="1")))[1]
    clock.advance(3600)
    leased_now = leased_messages(await broker.leasing.lease("options", 9, wait_s=0, is_gone=None))
    assert [each.message.payload for each in leased_now] == [b"a", b"later"]


async def test_what_was_refused_is_undone(server: Server, fill_disk: Callable[[], None]) -> None:
    """All that shares the commit with what has no room: a queue, a deletion, a pop, an ack."""
    broker = server.broker
    await broker.new_queue(Store.DISK, name="doomed")
    await broker.add("doomed", b"kept")
    (leased,) = leased_messages(
        await broker.leasing.lease("doomed", 1, wait_s=0, is_gone=None, duration_ns=NS_PER_S * 3600)
    )
    await broker.add("doomed", b"head")
    fill_disk()
    calls: list[Awaitable[object]] = [
        broker.add("jobs", bytes(1_000_000)),
        broker.new_queue(Store.DISK, name="new"),
        broker.add("new", b"lost"),
        broker.pop("doomed"),
        broker.leasing.ack("doomed", [leased.lease_id]),
        broker.add_queue_tag("doomed", Tag("a", "1")),
        broker.purge("doomed"),
        broker.delete_queue("doomed"),
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    await server.until("reload")

    assert {type(result) for result in results} == {DiskFull}
    assert [each.name for each in (await broker.list_queues(0, ""))[0]] == ["jobs", "doomed"]
    (stats,), _ = await broker.stats("doomed", 0, "")
    assert (stats.ready, stats.leased) == (1, 1)

    free_disk()
    await server.until("recovery")
    assert (await broker.pop("doomed")).endswith(b"head")
    assert await broker.leasing.ack("doomed", [leased.lease_id]) == [None]
    # A number that was given to what was refused is nobody else's.
    await broker.new_queue(Store.DISK, name="new")
    assert await broker.pop_batch("new", 1) == []


async def test_memory_queues_and_those_who_wait_for_them_go_on(
    server: Server, fill_disk: Callable[[], None]
) -> None:
    """Those who wait for a queue on disk are told."""
    broker = server.broker
    await broker.new_queue(Store.MEMORY, name="scratch")
    await broker.new_queue(Store.DISK, name="idle")
    on_disk = asyncio.ensure_future(broker.pop("idle", wait_s=600))
    in_memory = asyncio.ensure_future(broker.pop("scratch", wait_s=600))
    fill_disk()
    await server.fill()
    await server.until("reload")
    with pytest.raises(DiskFull):
        await on_disk

    added = await broker.add("scratch", b"x")

    assert await in_memory == added
    assert [queue.info.name for queue in broker.catalog] == ["jobs", "scratch", "idle"]


async def test_footprint_is_what_it_would_be_after_a_restart(
    disks: Disks, data: Path, fill_disk: Callable[[], None]
) -> None:
    """Whatever was refused."""
    server = Server(disks, data)
    await server.broker.new_queue(Store.DISK, name="jobs")
    fill_disk()
    added = await server.fill()
    await server.until("reload")
    used = server.disk._footprint.used  # noqa: SLF001 - What it counts is the point.

    assert used == 55 * len(added)


async def test_redrives_and_schedules_go_on(server: Server, fill_disk: Callable[[], None]) -> None:
    """From where they were acknowledged to be: each message is moved once, each tick is one."""
    broker, clock = server.broker, server.clock
    dead = await broker.new_queue(Store.DISK, name="dead")
    await broker.new_queue(
        Store.DISK, name="work", settings=QueueSettings(dead_letter_queue_id=dead.id)
    )
    await broker.new_queue(Store.DISK, name="ticks")
    await broker.add_batch("work", [(b"", b"%d" % n) for n in range(50)])
    leased = leased_messages(await broker.leasing.lease("work", 50, wait_s=0, is_gone=None))
    ids = [each.lease_id for each in leased]
    await broker.leasing.nack("work", ids, NackKind.REJECT)
    await broker.scheduling.put("ticks", "t", SchedulePlan(interval_ns=NS_PER_S, payload=b"t"))
    fill_disk()
    await server.fill()
    with pytest.raises(DiskFull):
        await broker.redriving.start(RedriveRequest(queue_id=dead.id))
    await server.until("reload")
    free_disk()
    await server.until("recovery")

    redrive = await broker.redriving.start(RedriveRequest(queue_id=dead.id))
    async with asyncio.timeout(WAIT_S):
        while (await broker.redriving.get(redrive.id)).is_running:
            clock.advance(0.1)
            await asyncio.sleep(0.001)
    moved = await broker.pop_batch("work", 100)
    state = await broker.scheduling.get("ticks", "t")
    (stats,), _ = await broker.stats("ticks", 0, "")

    assert len(moved) == 50
    assert state.schedule.added == stats.ready > 0


async def test_consumer_that_holds_messages_goes_on(
    server: Server, fill_disk: Callable[[], None]
) -> None:
    """What it acks after that makes room for others."""
    broker = server.broker
    await broker.add_batch("jobs", [(b"", b"a"), (b"", b"b")])
    queue_id = (await broker.get_queue("jobs")).id
    consumer = Consumer(broker, queue_id=queue_id, credit=1, duration_ns=NS_PER_S * 3600)
    await consumer.next_batch()
    held = consumer.holding.lease_ids
    fill_disk()
    await server.fill()
    await server.until("reload")
    free_disk()
    await server.until("recovery")

    assert consumer.holding.lease_ids == held
    await broker.leasing.ack("jobs", held)
    batch, _ = await consumer.next_batch()

    assert leased_messages(batch)[0].message.payload == b"b"


async def test_selection_has_the_queues_that_were_read_anew(
    server: Server, fill_disk: Callable[[], None]
) -> None:
    """Who waits by a selector waits on, and is handed out what comes."""
    broker = server.broker
    await broker.new_queue(Store.DISK, name="tagged", tags=[Tag("a", "1")])
    waiting = asyncio.ensure_future(
        broker.selecting.pop_batch("a=1", 1, wait_s=86_400.0, is_gone=None)
    )
    await server.clock.until_waiting()
    fill_disk()
    await server.fill()
    await server.until("reload")
    free_disk()
    await server.until("recovery")

    added = await broker.add("tagged", b"x")

    assert (await waiting).envelopes == [added]


async def test_full_again_and_again_loses_nothing(
    server: Server, fill_disk: Callable[[], None]
) -> None:
    """However often the disk fills up and is freed."""
    added: list[bytes] = []
    for _ in range(5):
        fill_disk()
        added += await server.fill()
        await server.until("reload")
        free_disk()
        await server.until("recovery")
        added.append(await server.broker.add("jobs", b"x"))
        added = added[len(await server.broker.pop_batch("jobs", 3)) :]

    assert [await server.broker.pop("jobs") for _ in added] == added


async def test_end_while_the_disk_is_full_is_an_end(
    server: Server, disks: Disks, data: Path, fill_disk: Callable[[], None]
) -> None:
    """Whatever it is at then; a restart has all that was acknowledged."""
    fill_disk()
    added = await server.fill()
    await server.broker.close()
    free_disk()

    again = Server(disks, data)
    assert [await again.broker.pop("jobs") for _ in added] == added


async def test_goes_on_by_itself_though_it_could_open_no_files_meanwhile(
    server: Server, fill_disk: Callable[[], None], take_files: Callable[[], None]
) -> None:
    """What is on disk is not in doubt: it is read when that can be done."""
    fill_disk()
    take_files()
    added = await server.fill()
    for _ in range(20):
        server.clock.advance(10)
        await asyncio.sleep(0.002)
    with pytest.raises(DiskFull):
        await server.broker.peek("jobs")
    assert server.events == []

    give_files()
    await server.until("reload")
    free_disk()
    await server.until("recovery")

    assert [await server.broker.pop("jobs") for _ in added] == added
    assert len(server.failures) == 2
    assert "cannot be read for now" in server.failures[1]


async def test_damage_that_is_found_meanwhile_is_final(
    server: Server, data: Path, fill_disk: Callable[[], None]
) -> None:
    """To try again would find it again."""
    fill_disk()
    await server.fill()
    content = bytearray((data / LOG).read_bytes())
    content[20] ^= 1
    (data / LOG).write_bytes(content)
    async with asyncio.timeout(WAIT_S):
        while len(server.failures) < 2:  # noqa: ASYNC110 - The reading has no event.
            await asyncio.sleep(0.001)

    with pytest.raises(StoreFailed, match=r"header of .* is damaged"):
        await server.broker.peek("jobs")


async def test_failed_sync_is_final(disks: Disks, data: Path) -> None:
    """What the disk holds then is not known: q says so until it is restarted."""
    recorder = Recorder(data)
    try:
        server = Server(disks, data)
        await server.broker.new_queue(Store.DISK, name="jobs")

        def fail(verb: str, file: str) -> None:
            if (verb, file) == ("sync", LOG):
                raise apsw.IOError("disk I/O error")

        recorder.before = fail
        with pytest.raises(StoreFailed):
            await server.broker.add("jobs", b"x")
        recorder.before = lambda _verb, _file: None
        server.clock.advance(60)
        await asyncio.sleep(0.05)

        with pytest.raises(StoreFailed, match="restart q"):
            await server.broker.peek("jobs")
        assert server.events == []
        await disks.close()
    finally:
        recorder.unregister()


async def test_answers_of_less_durability_may_be_lost(
    server: Server, fill_disk: Callable[[], None]
) -> None:
    """One that did not wait for the disk was told so; it is no ghost afterwards."""
    await server.broker.add("jobs", b"synced")
    fill_disk()
    answered = 1
    while not server.failures:
        with suppress(Unavailable):
            await server.broker.add("jobs", bytes(20_000), durability=Durability.MEMORY)
            answered += 1
        await asyncio.sleep(0)
    await server.until("reload")

    (stats,), _ = await server.broker.stats("jobs", 0, "")
    assert all(problems_of(queue) == [] for queue in server.broker.catalog)
    assert 1 <= stats.ready < answered
