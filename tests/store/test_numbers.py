"""Numbers of messages on DISK, when the clock is set back while no server runs."""

from pathlib import Path

from qmq.engine.broker import Broker
from qmq.errors import LeaseLost
from qmq.store.local.disk import DiskStore
from qmq.testing import START_NS, ManualClock, seeded_ids
from qmq.values import Store
from qmq.wire import q_pb2 as pb
from tests.leased import leased_messages
from tests.store.disk import AT_ONCE, Disks, has_swept


def broker_on(path: Path, disks: Disks, clock: ManualClock) -> Broker:
    """Start a server on what the one before has left."""
    return broker_of(disks.open(path), clock)


def broker_of(disk: DiskStore, clock: ManualClock) -> Broker:
    """Start a server on a store."""
    return Broker(
        {Store.DISK: disk},
        clock=clock,
        timer=clock,
        new_id=seeded_ids(),
        held=disk,
    )


async def leased(broker: Broker, count: int) -> list[pb.LeasedMessage]:
    """Lease messages."""
    return leased_messages(await broker.leasing.lease("jobs", count, wait_s=0, is_gone=None))


async def test_message_is_not_taken_for_one_that_is_gone(tmp_path: Path, disks: Disks) -> None:
    """One of three that were leased together was acked; what comes next has not its lease."""
    clock = ManualClock()
    broker = broker_on(tmp_path, disks, clock)
    await broker.new_queue(Store.DISK, name="jobs")
    await broker.add_batch("jobs", [(b"", b"1"), (b"", b"2"), (b"", b"3")])
    _, _, gone = await leased(broker, 3)
    await broker.leasing.ack("jobs", [gone.lease_id])
    await broker.close()

    clock.advance(-3_600)
    broker = broker_on(tmp_path, disks, clock)
    await broker.add("jobs", b"4")
    await broker.close()
    broker = broker_on(tmp_path, disks, clock)

    (fresh,) = await leased(broker, 9)
    assert fresh.lease_id > gone.lease_id
    assert broker.catalog.find("jobs").leases.leased == 3


async def test_message_that_comes_after_a_purge_is_not_taken_for_purged(
    tmp_path: Path, disks: Disks
) -> None:
    """Whatever the clock says."""
    clock = ManualClock()
    broker = broker_on(tmp_path, disks, clock)
    await broker.new_queue(Store.DISK, name="jobs")
    await broker.add("jobs", b"1")
    await broker.purge("jobs")
    await broker.close()

    clock.advance(-3_600)
    broker = broker_on(tmp_path, disks, clock)
    await broker.add("jobs", b"2")
    await broker.close()
    broker = broker_on(tmp_path, disks, clock)

    assert len(await leased(broker, 9)) == 1


async def test_message_never_gets_the_number_of_one_that_has_left(
    tmp_path: Path, disks: Disks
) -> None:
    """An ack that is repeated from before the restart is nobody else's."""
    clock = ManualClock()
    broker = broker_on(tmp_path, disks, clock)
    await broker.new_queue(Store.DISK, name="jobs")
    await broker.add("jobs", b"1")
    (gone,) = await leased(broker, 1)
    await broker.leasing.ack("jobs", [gone.lease_id])
    await broker.close()

    # The very moment in which the first one came.
    assert clock.now_ns() == START_NS
    broker = broker_on(tmp_path, disks, clock)
    await broker.add("jobs", b"2")
    (fresh,) = await leased(broker, 1)
    (refused,) = await broker.leasing.ack("jobs", [gone.lease_id])

    assert fresh.lease_id > gone.lease_id
    assert isinstance(refused, LeaseLost)
    assert broker.catalog.find("jobs").leases.leased == 1


async def test_number_outlives_the_row_of_its_message(tmp_path: Path, disks: Disks) -> None:
    """What has left is swept, and there is no row any more that has the number."""
    store = disks.open(tmp_path, patience=AT_ONCE)
    broker = broker_of(store, ManualClock())
    await broker.new_queue(Store.DISK, name="jobs")
    await broker.add("jobs", b"1")
    await broker.pop("jobs")
    await has_swept(store)
    await broker.close()

    assert disks.open(tmp_path).number(1, 0) > START_NS


async def test_number_that_no_message_got_is_not_given_again(tmp_path: Path, disks: Disks) -> None:
    """A redrive has one, which tells the messages that were there from those that came later."""
    store = disks.open(tmp_path)
    number = store.number(1, START_NS)
    await store.keep_clock_offset(0)
    await store.close()

    assert disks.open(tmp_path).number(1, 0) > number
