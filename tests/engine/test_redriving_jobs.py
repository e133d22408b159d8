"""The redrives of a server: which there are, who is told, and what goes wrong."""

import gc
from collections.abc import Awaitable, Sequence

import pytest

from qmq.engine.broker import Broker
from qmq.errors import (
    Busy,
    InvalidArgument,
    LimitReached,
    QueueNotFound,
    RedriveNotFound,
    ShuttingDown,
    StoresDiffer,
)
from qmq.limits import REDRIVES_ENDED_MAX, REDRIVES_RUNNING_MAX
from qmq.model.changes import Changes
from qmq.model.redrive import Redrive, RedriveRequest, RedriveState
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import NS_PER_S, Durability, Store
from tests.engine.callers import turns
from tests.engine.redrives import (
    bury,
    make_queues,
    memory_broker,
    numbered,
    redriven,
    standing,
)
from tests.engine.schedules import WallClock

DONE, GAVE_UP, RUNNING, STOPPED = (
    RedriveState.DONE,
    RedriveState.GAVE_UP,
    RedriveState.RUNNING,
    RedriveState.STOPPED,
)


@pytest.fixture
async def broker(clock: ManualClock) -> Broker:
    """Return a broker in memory, with the empty queues "jobs" and "dead"."""
    broker = memory_broker(clock)
    await make_queues(broker)
    return broker


async def test_redrives_are_listed_the_latest_first(broker: Broker) -> None:
    """Those under way and those that have ended."""
    await bury(broker, numbered(5))
    slow = await broker.redriving.start(RedriveRequest(queue_id="dead", messages_per_second=1.0))
    counted = await redriven(broker, dry_run=True)

    listed = await broker.redriving.list_all()

    assert [(each.id, each.state) for each in listed] == [(counted.id, DONE), (slow.id, RUNNING)]
    assert await broker.redriving.get(counted.id.upper()) == counted


async def test_hundred_that_have_ended_are_remembered(broker: Broker) -> None:
    """And all that are under way, however long ago they were started."""
    await bury(broker, numbered(5))
    running = await broker.redriving.start(RedriveRequest(queue_id="dead", messages_per_second=0.1))
    done = [await redriven(broker, dry_run=True) for _ in range(REDRIVES_ENDED_MAX + 2)]

    listed = [each.id for each in await broker.redriving.list_all()]

    assert listed == [*(each.id for each in reversed(done[2:])), running.id]
    with pytest.raises(RedriveNotFound, match=f"^cannot find redrive with id {done[1].id}$"):
        await broker.redriving.get(done[1].id)


async def test_number_of_running_redrives_is_bounded(broker: Broker) -> None:
    """One more is refused until another has ended."""
    await bury(broker, numbered(5))
    await broker.pause("jobs", adds=True)
    request = RedriveRequest(queue_id="dead")
    started = [await broker.redriving.start(request) for _ in range(REDRIVES_RUNNING_MAX)]

    with pytest.raises(LimitReached, match=r"^100 redrives are under way") as refusal:
        await broker.redriving.start(request)
    await broker.redriving.stop(started[50].id)

    await broker.redriving.start(request)
    assert refusal.value.metadata["limit"] == "redrives_running_max"
    await broker.close()


NOBODY = "00000000-0000-0000-0000-000000000000"


async def test_what_is_not_there_cannot_be_redriven(broker: Broker) -> None:
    """Each error names the field."""
    for request, error, message in (
        (RedriveRequest(queue_id=NOBODY), QueueNotFound, f"cannot find queue with id {NOBODY}"),
        (RedriveRequest(queue_id="no one"), InvalidArgument, "queue_id: 'no one' is neither"),
        (
            RedriveRequest(queue_id="dead", target_queue_id="no one"),
            InvalidArgument,
            "target_queue_id: 'no one' is neither",
        ),
        (
            RedriveRequest(queue_id="dead", target_queue_id="dead"),
            InvalidArgument,
            "target_queue_id: queue ",
        ),
        (RedriveRequest(queue_id="dead", messages_max=-1), InvalidArgument, "messages_max: "),
    ):
        with pytest.raises(error, match=f"^{message}"):
            await broker.redriving.start(request)
    with pytest.raises(RedriveNotFound):
        await broker.redriving.get(NOBODY)
    with pytest.raises(RedriveNotFound):
        await broker.redriving.stop(NOBODY)
    with pytest.raises(InvalidArgument, match=r"^redrive_id: 'x' is no UUID$"):
        await broker.redriving.get("x")
    assert await broker.redriving.list_all() == []


async def test_target_in_another_store_is_refused(clock: ManualClock) -> None:
    """Nothing is moved in two transactions."""
    stores = {Store.MEMORY: MemoryStore(), Store.DISK: MemoryStore(durability_max=Durability.FSYNC)}
    broker = Broker(stores, clock=clock, timer=clock, new_id=seeded_ids())
    await make_queues(broker)
    await broker.new_queue(Store.DISK, name="disk")

    with pytest.raises(StoresDiffer):
        await broker.redriving.start(RedriveRequest(queue_id="dead", target_queue_id="disk"))


async def test_starts_and_ends_are_told(broker: Broker) -> None:
    """Once each, for the log."""
    told: list[Redrive] = []
    broker.redriving.on_change = told.append
    await bury(broker, numbered(5))

    done = await redriven(broker)
    await broker.redriving.stop(done.id)

    assert [each.state for each in told] == [RUNNING, DONE]
    assert told[1] == done


class Unwilling(MemoryStore):
    """A store that is busy, or fails to read, when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.is_busy = False
        self.is_broken = False

    def check(self, *, only_reads: bool = False) -> None:  # noqa: ARG002 - The store's.
        """Be busy."""
        if self.is_busy:
            raise Busy("much waits for the disk")

    def commit(
        self,
        changes: Changes,
        read: Sequence[int] = (),
        durability: Durability = Durability.UNKNOWN,
    ) -> Awaitable[list[bytes]]:
        """Fail to read, or keep changes."""
        if self.is_broken and read:
            raise LookupError("message 7 is not there")
        return super().commit(changes, read, durability)


async def test_busy_store_is_waited_for(clock: ManualClock) -> None:
    """A redrive says why it stands still, and goes on by itself."""
    store = Unwilling()
    broker = memory_broker(clock, store)
    await make_queues(broker)
    await bury(broker, numbered(3))
    started = await broker.redriving.start(RedriveRequest(queue_id="dead", messages_per_second=1.0))
    await standing(broker, started)

    store.is_busy = True
    clock.advance(1)
    held_up = await standing(broker, started)
    store.is_busy = False
    clock.advance(1)
    gone_on = await standing(broker, started)

    assert (held_up.state, held_up.moved, held_up.message) == (
        RUNNING,
        1,
        "much waits for the disk",
    )
    assert (gone_on.moved, gone_on.message) == (2, "")


async def test_fault_ends_one_redrive_and_is_logged(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It says what is wrong rather than that it is running."""
    store = Unwilling()
    broker = memory_broker(clock, store)
    await make_queues(broker)
    await bury(broker, numbered(3))
    store.is_broken = True

    redrive = await redriven(broker)
    await turns()
    gc.collect()

    assert (redrive.state, redrive.moved) == (GAVE_UP, 0)
    assert redrive.message == "q failed: LookupError: message 7 is not there"
    assert "message 7 is not there" in caplog.text


async def test_closed_broker_starts_none(broker: Broker) -> None:
    """What is under way rests; what there is can still be told."""
    await bury(broker, numbered(5))
    started = await broker.redriving.start(RedriveRequest(queue_id="dead", messages_per_second=1.0))
    await standing(broker, started)

    await broker.close()

    assert (await broker.redriving.get(started.id)).state is RUNNING
    with pytest.raises(ShuttingDown):
        await broker.redriving.start(RedriveRequest(queue_id="dead"))
    with pytest.raises(ShuttingDown):
        await broker.redriving.stop(started.id)


async def test_number_of_a_redrive_is_no_moment_of_a_clock_that_was_set() -> None:
    """Messages that come after it are as old as they are."""
    clock = ManualClock()
    wall = WallClock(clock)
    broker = Broker({Store.MEMORY: MemoryStore()}, clock=wall, timer=clock, new_id=seeded_ids())
    source = await broker.new_queue(Store.MEMORY, name="dead")
    wall.ahead_s = 86_400
    await broker.redriving.start(RedriveRequest(queue_id=source.id))
    await broker.add("dead", b"m")
    clock.advance(5)
    (stats,), _ = await broker.stats("dead", 0, "")
    await broker.close()

    # The redrive has taken the number of that moment, and the message the next one.
    assert stats.oldest_age_ns == 5 * NS_PER_S - 1
