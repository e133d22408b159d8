"""DISK makes a change as durable as its caller asks, and no more: lost power shows it.

What was only in memory is gone when the process is killed, what the operating system had
is gone when the machine loses its power, and what was synced is there.
"""

import asyncio
import gc
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmq.descriptions import QueueSettings
from qmq.engine.broker import Broker
from qmq.errors import Busy, StoreFailed
from qmq.limits import CACHE_BYTES_MAX
from qmq.model.index import entry
from qmq.model.queue import Queue
from qmq.store.local.disk import DiskStore
from qmq.testing import START_NS, ManualClock, seeded_ids
from qmq.values import Durability, Store
from tests.store.changes_conformance import (
    EVERYTHING,
    ack,
    changed,
    give_back,
    lease,
    move_head,
)
from tests.store.conformance import make_queue, started
from tests.store.disk import Commits, Disks
from tests.store.durability_conformance import CALLS, Call, calls, with_jobs
from tests.store.power import Machine, running_machine

MEMORY, OS, FSYNC = Durability.MEMORY, Durability.OS, Durability.FSYNC


@pytest.fixture
def machine(data: Path) -> Iterator[Machine]:
    """Return the machine that the data is on."""
    with running_machine(data) as machine:
        yield machine


@pytest.fixture(params=[CACHE_BYTES_MAX, 0], ids=["cached", "uncached"])
async def store(
    request: pytest.FixtureRequest, machine: Machine, disks: Disks, data: Path, commits: Commits
) -> DiskStore:
    """Return an empty store on the machine."""
    assert machine.syncs == 0
    return disks.open(data, commits, cache_bytes_max=request.param, pending_bytes_max=10_000)


@pytest.fixture
async def queue(store: DiskStore) -> Queue:
    """Return a queue with three messages, all of it on disk."""
    queue = make_queue(1)
    await store.new_queue(queue)
    await store.add_batch(queue, [b"0", b"1", b"2"], START_NS)
    return queue


@pytest.fixture
def broker(store: DiskStore) -> Broker:
    """Return a broker that has the store alone."""
    clock = ManualClock()
    return Broker({Store.DISK: store}, clock=clock, timer=clock, new_id=seeded_ids())


class Ends:
    """What would be left of a store if it ended now, in one way or another."""

    def __init__(self, machine: Machine, disks: Disks, data: Path, tmp_path: Path) -> None:
        self._machine = machine
        self._disks = disks
        self._data = data
        self._images = (tmp_path / f"image-{n}" for n in range(1_000))

    async def after_kill(self) -> list[bytes]:
        """Return the messages of the first queue if the process were killed."""
        return await self._messages(Path(shutil.copytree(self._data, next(self._images))))

    async def after_power_loss(self) -> list[bytes]:
        """Return the messages of the first queue if the machine lost its power."""
        return await self._messages(self._machine.after_power_loss(next(self._images)))

    async def _messages(self, image: Path) -> list[bytes]:
        store = self._disks.open(image)
        queue = store.queues[0]
        queue.pass_time(2**62)
        messages = await store.pop_batch(queue, 1_000, EVERYTHING)
        await store.close()
        return messages


@pytest.fixture
def ends(machine: Machine, disks: Disks, data: Path, tmp_path: Path) -> Ends:
    """Return what tells how the store would be found again."""
    return Ends(machine, disks, data, tmp_path)


@pytest.mark.parametrize(
    ("level", "syncs", "killed", "powerless"),
    [(OS, 0, True, False), (FSYNC, 1, True, True), (Durability.UNKNOWN, 1, True, True)],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_change_survives_what_its_caller_waits_for(  # noqa: PLR0913 - Each matters.
    store: DiskStore,
    queue: Queue,
    machine: Machine,
    ends: Ends,
    *,
    level: Durability,
    syncs: int,
    killed: bool,
    powerless: bool,
) -> None:
    """Each kind of change, with one sync or none."""
    left = [b"0", b"1", b"2"]
    before, left_before = machine.syncs, list(left)

    async def is_kept() -> None:
        nonlocal before, left_before
        assert machine.syncs - before == syncs
        assert await ends.after_kill() == (left if killed else left_before)
        assert await ends.after_power_loss() == (left if powerless else left_before)
        # Start the next one with all on disk.
        await store.settle()
        before, left_before = machine.syncs, list(left)

    await store.add(queue, b"3", START_NS, level)
    left.append(b"3")
    await is_kept()
    await store.add_batch(queue, [b"4", b"5"], START_NS, level)
    left += [b"4", b"5"]
    await is_kept()
    assert await store.pop(queue, level) == left.pop(0)
    await is_kept()
    assert await store.pop_batch(queue, 2, EVERYTHING, level) == [left.pop(0), left.pop(0)]
    await is_kept()
    leased = lease(queue)
    assert await store.commit(changed(saved=leased), [leased[0].entry], level) == [b"3"]
    assert machine.syncs - before == syncs
    await store.settle()
    before = machine.syncs
    assert await store.commit(ack(queue, leased), durability=level) == []
    left.pop(0)
    await is_kept()


async def test_who_asks_for_memory_waits_for_nothing(
    store: DiskStore, queue: Queue, commits: Commits, ends: Ends
) -> None:
    """Neither for the disk nor for the operating system, which does get it by and by."""
    before = commits.count
    commits.hold()
    other = await started(store.add(queue, b"3", START_NS))
    await commits.reach(before + 1)

    await store.settle(MEMORY)
    assert await store.pop_batch(make_queue(2), 1, EVERYTHING, MEMORY) == []
    await store.add(queue, b"4", START_NS, MEMORY)
    await store.add_batch(queue, [b"5", b"6"], START_NS, MEMORY)
    leased = lease(queue)
    await store.commit(changed(saved=leased), durability=MEMORY)
    await store.commit(ack(queue, leased), durability=MEMORY)
    assert await store.commit(changed(), durability=MEMORY) == []
    await store.settle(MEMORY)
    killed_before = await ends.after_kill()
    commits.release_all()
    await asyncio.wait(other)
    await commits.reach(before + 2)
    await store.settle(OS)

    assert killed_before == [b"0", b"1", b"2"]
    assert await ends.after_kill() == [b"1", b"2", b"3", b"4", b"5", b"6"]
    assert await ends.after_power_loss() == [b"0", b"1", b"2", b"3"]


async def test_who_asks_for_memory_waits_for_what_has_to_be_read(
    machine: Machine, disks: Disks, data: Path
) -> None:
    """And for nothing else: what is in memory is given at once."""
    commits = Commits()
    store = disks.open(data, commits)
    queue = make_queue(1)
    await store.new_queue(queue)
    await store.add_batch(queue, [b"%d" % n for n in range(5)], START_NS)
    await store.close()
    store = disks.open(data, commits)
    [queue] = store.queues
    # SQLite syncs the head of a new log, whoever waits.
    await store.new_queue(make_queue(2))
    before, syncs = commits.count, machine.syncs

    read = [
        await store.pop(queue, MEMORY),
        *await store.pop_batch(queue, 2, EVERYTHING, MEMORY),
        *await store.commit(changed(), [entry(START_NS + 3, 1)], MEMORY),
    ]
    assert commits.count == before + 3
    await store.add_batch(queue, [b"5", b"6", b"7"], START_NS, MEMORY)
    await store.pop_batch(queue, 2, EVERYTHING, MEMORY)
    commits.hold()
    at_once = [
        await store.pop(queue, MEMORY),
        *await store.commit(changed(), [entry(START_NS + 6, 1)], MEMORY),
        *await store.pop_batch(queue, 9, EVERYTHING, MEMORY),
    ]
    commits.release_all()

    assert read == [b"0", b"1", b"2", b"3"]
    assert at_once == [b"5", b"6", b"6", b"7"]
    assert machine.syncs == syncs


async def test_who_asks_for_os_waits_for_the_commit(
    store: DiskStore, queue: Queue, commits: Commits
) -> None:
    """As does who asks whether all has been committed."""
    before = commits.count
    commits.hold()

    calls = await started(store.add(queue, b"3", START_NS, OS))
    await commits.reach(before + 1)
    calls += await started(store.settle(OS), store.pop_batch(make_queue(2), 1, 1, OS))
    for _ in range(20):
        await asyncio.sleep(0)
    were_answered = [call.done() for call in calls]
    commits.release_all()
    await asyncio.wait(calls)

    assert were_answered == [False] * 3
    assert commits.count == before + 1


async def test_commit_is_synced_once_if_one_of_many_needs_it(
    store: DiskStore, queue: Queue, machine: Machine, ends: Ends
) -> None:
    """Whoever came first."""
    for levels in ([OS, FSYNC, MEMORY], [FSYNC, OS], [MEMORY, OS, FSYNC, FSYNC]):
        before = machine.syncs
        await asyncio.gather(
            *(store.add(queue, level.name.encode(), START_NS, level) for level in levels)
        )
        assert machine.syncs == before + 1

    assert len(await ends.after_power_loss()) == 12


@pytest.mark.parametrize("level", [MEMORY, OS], ids=lambda level: level.name)
@pytest.mark.parametrize(
    "question", ["settle", "pop_batch", "commit", "peek", "read", "save_info", "close"]
)
async def test_answer_that_is_to_last_makes_all_before_it_last(  # noqa: PLR0913, PLR0917 - As above.
    store: DiskStore, queue: Queue, machine: Machine, ends: Ends, level: Durability, question: str
) -> None:
    """Also if it changes nothing itself: an ack that is repeated, or that there is nothing."""
    await store.pop_batch(queue, 2, EVERYTHING, level)
    empty = make_queue(2)
    await store.settle(OS)
    before = machine.syncs
    assert await ends.after_power_loss() == [b"0", b"1", b"2"]

    match question:
        case "settle":
            await store.settle()
        case "pop_batch":
            assert await store.pop_batch(empty, 1, 1) == []
        case "commit":
            await store.commit(changed())
        case "peek":
            assert await store.peek(queue) == b"2"
        case "read":
            assert await store.commit(changed(), [entry(START_NS + 2, 1)]) == [b"2"]
        case "save_info":
            await store.save_info(queue)
        case _:
            await store.close()

    assert await ends.after_power_loss() == [b"2"]
    if question != "close":
        assert machine.syncs == before + 1
        # There is nothing more to sync, and so no commit either.
        await store.settle()
        assert machine.syncs == before + 1


async def test_answer_that_is_to_last_waits_for_more_than_a_commit_under_way(
    store: DiskStore, queue: Queue, commits: Commits, ends: Ends
) -> None:
    """One that is not synced is no help; the next one is."""
    before = commits.count
    commits.hold()
    calls = await started(store.add(queue, b"3", START_NS, OS))
    await commits.reach(before + 1)
    calls += await started(store.settle())
    commits.release()
    await commits.reach(before + 2)
    were_answered = [call.done() for call in calls]
    commits.release_all()
    await asyncio.wait(calls)

    assert were_answered == [True, False]
    assert await ends.after_power_loss() == [b"0", b"1", b"2", b"3"]


async def test_lost_power_leaves_what_there_was_at_one_moment(
    store: DiskStore, queue: Queue, ends: Ends
) -> None:
    """Whatever each caller asked for: no earlier a moment than the last that was to last."""
    chance = random.Random(5)
    states = [[b"0", b"1", b"2"]]
    lasting = 0

    for n in range(3, 60):
        level = chance.choice([MEMORY, MEMORY, OS, OS, FSYNC])
        left = list(states[-1])
        if left and chance.random() < 0.4:
            assert await store.pop(queue, level) == left.pop(0)
        else:
            await store.add(queue, b"%d" % n, START_NS, level)
            left.append(b"%d" % n)
        states.append(left)
        if level is FSYNC:
            lasting = len(states) - 1
        if chance.random() < 0.3:
            assert await ends.after_power_loss() in states[lasting:]


def test_what_the_system_has_survives_a_killed_process(data: Path) -> None:
    """Nothing of that is the process's own; what was only in its memory is gone with it."""
    program = (
        "import asyncio, os, signal, sys\n"
        "from pathlib import Path\n"
        "from qmq.store.local.disk import DiskStore\n"
        "from qmq.values import Durability\n"
        "from tests.store.conformance import make_queue\n"
        "async def main():\n"
        "    store = DiskStore.open(Path(sys.argv[1]))\n"
        "    queue = make_queue(1)\n"
        "    await store.new_queue(queue)\n"
        "    for n in range(200):\n"
        "        await store.add(queue, b'%d' % n, 1, Durability.OS)\n"
        "    await store.pop(queue, Durability.OS)\n"
        "    await store.add(queue, b'lost', 1, Durability.MEMORY)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )

    killed = subprocess.run(
        [sys.executable, "-c", program, str(data)], check=False, cwd=Path(__file__).parents[2]
    )

    async def left() -> list[bytes]:
        store = DiskStore.open(data)
        messages = await store.pop_batch(store.queues[0], 1_000, EVERYTHING)
        await store.close()
        return messages

    assert killed.returncode == -9
    assert asyncio.run(left()) == [b"%d" % n for n in range(1, 200)]


async def test_too_much_that_nobody_waits_for_is_refused(
    store: DiskStore, queue: Queue, commits: Commits
) -> None:
    """Else a disk that is slow would fill the memory: by messages, or by leases alone."""
    before = commits.count
    commits.hold()
    await store.add(queue, b"3", START_NS, MEMORY)
    await commits.reach(before + 1)

    store.check()
    await store.add_batch(queue, [bytes(6_000)] * 2, START_NS, MEMORY)
    with pytest.raises(Busy):
        store.check()
    commits.release()
    await commits.reach(before + 2)
    store.check()
    leased = lease(queue)
    for _ in range(50):
        await store.commit(changed(saved=leased), durability=MEMORY)
    with pytest.raises(Busy):
        store.check()
    commits.release_all()


async def test_failure_of_what_nobody_waits_for_is_heard_of_by_the_next_call(
    machine: Machine, disks: Disks, data: Path
) -> None:
    """And by nobody else: no exception is left for nobody to see."""
    unheard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    commits = Commits()
    failures: list[str] = []
    store = disks.open(data, commits, failures=failures)
    queue = make_queue(1)
    await store.new_queue(queue)
    await store.add_batch(queue, [b"0", b"1", b"2"], START_NS)
    before = commits.count
    commits.fail = True

    await store.add(queue, b"3", START_NS, MEMORY)
    leased = lease(queue)
    await store.commit(changed(saved=leased), [leased[0].entry], MEMORY)
    give_back(queue, leased)
    await store.pop(queue, MEMORY)
    await commits.reach(before + 1)
    with pytest.raises(StoreFailed):
        await store.settle()

    for level in (MEMORY, OS, FSYNC):
        with pytest.raises(StoreFailed):
            await store.settle(level)
    with pytest.raises(StoreFailed):
        store.check()
    assert len(failures) == 1
    await store.close()
    gc.collect()
    assert unheard == []
    assert machine.syncs
    assert len(disks.open(data).queues[0].ready) == 3


@calls
@pytest.mark.parametrize("level", [MEMORY, OS, FSYNC, Durability.UNKNOWN], ids=lambda x: x.name)
async def test_call_is_synced_if_it_asks_for_that(
    broker: Broker, store: DiskStore, machine: Machine, call: Call, level: Durability
) -> None:
    """Through the broker, and never more often than once."""
    lease_id = await with_jobs(broker, Store.DISK)
    before = machine.syncs

    await call(broker, lease_id, level)
    await store.settle(OS)

    assert machine.syncs - before == (level not in (MEMORY, OS))


@calls
@pytest.mark.parametrize("floor", [OS, FSYNC], ids=lambda level: level.name)
async def test_call_is_synced_if_its_queue_demands_it(
    broker: Broker, store: DiskStore, machine: Machine, call: Call, floor: Durability
) -> None:
    """Whatever it asks for."""
    lease_id = await with_jobs(broker, Store.DISK, floor)
    before = machine.syncs

    await call(broker, lease_id, MEMORY)

    assert machine.syncs - before == (floor is FSYNC)
    await store.settle(OS)
    assert machine.syncs - before == (floor is FSYNC)


async def test_most_demanding_queue_decides_on_what_is_one_step(
    broker: Broker, machine: Machine
) -> None:
    """One of those that Complete is about, in whatever place."""
    await broker.new_queue(Store.DISK, name="out")
    await broker.new_queue(Store.DISK, name="kept", settings=QueueSettings(durability_min=FSYNC))
    for target, syncs in (("out", 0), ("kept", 1)):
        lease_id = await with_jobs(broker, Store.DISK)
        before = machine.syncs

        adds = [("out", [(b"", b"x")]), (target, [(b"", b"x")])]
        await broker.leasing.complete([("jobs", [lease_id])], adds, durability=OS)

        assert machine.syncs - before == syncs
        await broker.delete_queue("jobs")


@pytest.mark.parametrize("verb", ["pop", "pop_batch", "lease"])
async def test_that_there_is_nothing_is_as_durable_as_it_was_asked_for(
    broker: Broker, machine: Machine, verb: str
) -> None:
    """Who takes messages by the system's word alone does not wait for syncs at the end of them."""
    await with_jobs(broker, Store.DISK)
    for level, syncs in ((OS, 0), (MEMORY, 0), (FSYNC, 1), (OS, 0)):
        while await broker.pop_batch("jobs", 9, durability=OS):
            pass
        await broker.add("jobs", b"x", durability=OS)
        await broker.pop("jobs", durability=OS)
        before = machine.syncs
        results = await asyncio.gather(CALLS[verb](broker, "", level), return_exceptions=True)
        assert not results[0] or isinstance(results[0], Exception)
        assert machine.syncs - before == syncs


async def test_moved_message_is_not_lost_or_doubled_with_the_power(
    store: DiskStore, queue: Queue, ends: Ends
) -> None:
    """The first queue has it, or does not, and then the other one."""
    other = make_queue(2)
    await store.new_queue(other)

    await store.commit(move_head(store, queue, other, b"!"), durability=OS)
    after_os = await ends.after_power_loss(), await ends.after_kill()
    await store.settle()

    assert after_os == ([b"0", b"1", b"2"], [b"1", b"2"])
    assert await ends.after_power_loss() == [b"1", b"2"]
    assert await store.peek(other) == b"0!"
