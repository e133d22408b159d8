"""The rules of credit: what a consumer is handed out, and what gives it room again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from qmq.descriptions import QueueSettings
from qmq.engine.broker import Broker
from qmq.engine.consuming import Consumer, Holding
from qmq.errors import LeaseLost, QueueNotFound, ShuttingDown
from qmq.limits import BATCH_MESSAGES_MAX
from qmq.testing import ManualClock, seeded_ids
from qmq.values import NS_PER_S, NackKind, Store
from qmq.wire import q_pb2 as pb
from tests.engine.callers import Caller, broker_with_jobs, turns, waiting
from tests.leased import leased_messages
from tests.store.disk import Commits, Disks

#: The lease of those who do not ask for another, in seconds.
LEASE_S = 30


class CountingClock(ManualClock):
    """A clock that knows how often somebody began to wait by it."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0

    async def wait(self, future: asyncio.Future[None], timeout_s: float) -> None:
        """Wait as the clock does, and count it."""
        self.waits += 1
        await super().wait(future, timeout_s)


class Stream:
    """A consumer of "jobs" that always waits for its next batch, until it is told to stop."""

    def __init__(self, broker: Broker, queue_id: str, credit: int, name: str = "") -> None:
        self.consumer = Consumer(broker, queue_id=queue_id, credit=credit, name=name)
        self.batches: list[bytes] = []
        self._task = asyncio.ensure_future(self._run())
        # Not every test asks how it ended.
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _run(self) -> None:
        while True:
            leased, _ = await self.consumer.next_batch()
            self.batches.append(leased)

    @property
    def messages(self) -> list[pb.LeasedMessage]:
        """All messages that it was handed out so far."""
        return [message for batch in self.batches for message in leased_messages(batch)]

    @property
    def payloads(self) -> list[bytes]:
        """Their payloads."""
        return [leased.message.payload for leased in self.messages]

    @property
    def lease_ids(self) -> list[str]:
        """Their leases."""
        return [leased.lease_id for leased in self.messages]

    @property
    def error(self) -> BaseException | None:
        """What ended it."""
        return self._task.exception()

    async def stop(self) -> None:
        """Wait for no further batch."""
        self._task.cancel()
        await asyncio.wait((self._task,))


async def jobs(clock: ManualClock | None = None, *, message_bytes_max: int = 100_000) -> Broker:
    """Make a broker with the empty queue "jobs", whose dead letters go to "dead"."""
    broker = await broker_with_jobs(clock or ManualClock(), message_bytes_max=message_bytes_max)
    await broker.new_queue(Store.MEMORY, name="dead")
    await broker.update_queue(
        "jobs", lambda _: QueueSettings(dead_letter_queue_id="dead", delivery_count_max=9)
    )
    return broker


async def add(broker: Broker, *payloads: bytes) -> None:
    """Put messages into "jobs", all at once."""
    await broker.add_batch("jobs", [(b"", payload) for payload in payloads])
    await turns()


async def counts(broker: Broker) -> tuple[int, int]:
    """How many messages of "jobs" are ready, and leased."""
    ([stats], _) = await broker.stats("jobs", 0, "")
    return stats.ready, stats.leased


async def test_consumer_gets_what_it_has_room_for() -> None:
    """In order, what is there at once and what comes later, and nothing beyond its credit."""
    broker = await jobs()
    await add(broker, b"0", b"1")

    stream = Stream(broker, "jobs", 3)
    await turns()
    assert [len(leased_messages(batch)) for batch in stream.batches] == [2]
    await add(broker, b"2", b"3", b"4")

    assert stream.payloads == [b"0", b"1", b"2"]
    assert stream.consumer.holding.lease_ids == stream.lease_ids
    assert await counts(broker) == (2, 3)
    assert await waiting(broker) == 0
    await stream.stop()


async def acked(broker: Broker, clock: ManualClock, lease_id: str) -> None:  # noqa: ARG001
    """Done."""
    assert await broker.leasing.ack("jobs", [lease_id]) == [None]


async def completed(broker: Broker, clock: ManualClock, lease_id: str) -> None:  # noqa: ARG001
    """Done, as a step of a pipeline."""
    await broker.leasing.complete([("jobs", [lease_id])], [])


async def rejected(broker: Broker, clock: ManualClock, lease_id: str) -> None:  # noqa: ARG001
    """Moved to the dead letters."""
    assert await broker.leasing.nack("jobs", [lease_id], NackKind.REJECT) == [None]


async def delayed(broker: Broker, clock: ManualClock, lease_id: str) -> None:  # noqa: ARG001
    """Given back for later."""
    nacked = broker.leasing.nack("jobs", [lease_id], NackKind.RELEASE, delay_ns=NS_PER_S)
    assert await nacked == [None]


@pytest.mark.parametrize("end", [acked, completed, rejected, delayed])
async def test_end_of_a_lease_gives_room(end: Callable[..., object]) -> None:
    """By whatever call, on the stream or elsewhere; the next message comes at once."""
    clock = ManualClock()
    broker = await jobs(clock)
    await add(broker, b"0", b"1", b"2")
    stream = Stream(broker, "jobs", 2)
    await turns()

    ending = end(broker, clock, stream.lease_ids[0])
    assert asyncio.iscoroutine(ending)
    await ending
    await turns()

    assert stream.payloads == [b"0", b"1", b"2"]
    assert stream.consumer.holding.lease_ids == stream.lease_ids[1:]
    await stream.stop()


async def test_acks_at_once_give_room_for_as_many() -> None:
    """Whoever makes them; they come in one batch."""
    broker = await jobs()
    await add(broker, *[b"%d" % n for n in range(8)])
    stream = Stream(broker, "jobs", 3)
    await turns()

    results = await broker.leasing.ack("jobs", stream.lease_ids[1:])
    await turns()

    assert results == [None, None]
    assert stream.payloads == [b"0", b"1", b"2", b"3", b"4"]
    assert [len(leased_messages(batch)) for batch in stream.batches] == [3, 2]
    held = stream.lease_ids
    assert stream.consumer.holding.lease_ids == [held[0], *held[3:]]
    await stream.stop()


async def test_expired_lease_gives_room() -> None:
    """Nobody has to say so: the message comes again, at its old place."""
    clock = ManualClock()
    broker = await jobs(clock)
    await add(broker, b"0", b"1", b"2")
    stream = Stream(broker, "jobs", 2)
    await turns()
    await broker.leasing.extend("jobs", [stream.lease_ids[1]], 2 * LEASE_S * NS_PER_S)

    clock.advance(LEASE_S)
    await turns(100)

    assert stream.payloads == [b"0", b"1", b"0"]
    assert [message.delivery_count for message in stream.messages] == [1, 1, 2]
    assert stream.consumer.holding.lease_ids == sorted(stream.lease_ids[1:])
    await stream.stop()


async def test_purge_gives_room() -> None:
    """What is gone is held no more."""
    broker = await jobs()
    await add(broker, b"0", b"1", b"2")
    stream = Stream(broker, "jobs", 2)
    await turns()

    assert await broker.purge("jobs") == 3
    await add(broker, b"3", b"4", b"5")

    assert stream.payloads == [b"0", b"1", b"3", b"4"]
    await stream.stop()


@pytest.mark.parametrize("credit", [1, 2], ids=["full", "in line"])
async def test_deleted_queue_ends_the_consuming(credit: int) -> None:
    """Also of one that has no room and does not stand in line."""
    broker = await broker_with_jobs(ManualClock())
    queue_id = (await broker.get_queue("jobs")).id
    await add(broker, b"0")
    stream = Stream(broker, queue_id, credit)
    await turns()

    await broker.delete_queue("jobs")
    # A new one of that name is none of its business.
    await broker.new_queue(Store.MEMORY, name="jobs")
    await turns()

    assert isinstance(stream.error, QueueNotFound)
    await stream.consumer.release("over")


async def test_end_of_q_ends_the_consuming() -> None:
    """Who stands in line is told so."""
    broker = await jobs()
    stream = Stream(broker, "jobs", 1)
    await turns()

    broker.stop_waiting()
    await turns()

    assert isinstance(stream.error, ShuttingDown)


async def test_credit_may_grow() -> None:
    """While it has no room, and while it stands in line."""
    broker = await jobs()
    await add(broker, b"0", b"1", b"2", b"3")
    stream = Stream(broker, "jobs", 1)
    await turns()

    stream.consumer.holding.set_credit(3)
    await turns()
    assert stream.payloads == [b"0", b"1", b"2"]
    stream.consumer.holding.set_credit(5)
    await turns()
    assert await waiting(broker) == 1
    stream.consumer.holding.set_credit(7)
    await add(broker, b"4", b"5", b"6", b"7")

    assert stream.payloads == [b"0", b"1", b"2", b"3", b"4", b"5", b"6"]
    await stream.stop()


async def test_credit_may_shrink_while_it_waits() -> None:
    """What was promised to it is for the next in line then, and it keeps what it holds."""
    broker = await jobs()
    await add(broker, b"0")
    stream = Stream(broker, "jobs", 5)
    await turns()
    after = Caller(broker, messages_max=1)
    await turns()

    stream.consumer.holding.set_credit(1)
    await add(broker, b"1")
    assert (stream.payloads, after.payloads) == ([b"0"], [b"1"])
    await add(broker, b"2")
    stream.consumer.holding.set_credit(0)
    await broker.leasing.ack("jobs", stream.lease_ids)
    await turns()
    assert stream.payloads == [b"0"]
    stream.consumer.holding.set_credit(1)
    await turns()

    assert stream.payloads == [b"0", b"2"]
    await stream.stop()


async def test_shrunk_credit_counts_when_messages_come() -> None:
    """Not that from when it began to wait."""
    broker = await jobs()
    stream = Stream(broker, "jobs", 5)
    await turns()

    stream.consumer.holding.set_credit(2)
    await add(broker, b"0", b"1", b"2")

    assert stream.payloads == [b"0", b"1"]
    await stream.stop()


async def test_who_comes_first_is_served_first() -> None:
    """Streams and calls stand in one line."""
    broker = await jobs()
    first = Stream(broker, "jobs", 1)
    await turns()
    second = Caller(broker)
    await turns()
    third = Stream(broker, "jobs", 9)
    await turns()
    assert await waiting(broker) == 3

    for payload in (b"0", b"1", b"2"):
        await broker.add("jobs", payload)
    await turns(100)

    assert (first.payloads, second.payloads, third.payloads) == ([b"0"], [b"1"], [b"2"])
    await first.stop()
    await third.stop()


@pytest.mark.parametrize(
    ("message_bytes_max", "batches"), [(10_000_000, [BATCH_MESSAGES_MAX, 500]), (200_000, None)]
)
async def test_batches_are_bounded(message_bytes_max: int, batches: list[int] | None) -> None:
    """By number, and by what a reply may take."""
    broker = await jobs(message_bytes_max=message_bytes_max)
    await broker.add_batch("jobs", [(b"", b"")] * BATCH_MESSAGES_MAX)
    await broker.add_batch("jobs", [(b"", b"")] * 500)

    stream = Stream(broker, "jobs", 10_000)
    await turns()

    assert len(stream.lease_ids) == 1_500
    if batches:
        assert [len(leased_messages(batch)) for batch in stream.batches] == batches
    for batch in stream.batches:
        assert len(batch) <= message_bytes_max
    await stream.stop()


async def test_waiting_costs_nothing() -> None:
    """Nobody looks now and then whether one who waits is still there."""
    clock = CountingClock()
    broker = await jobs(clock)
    stream = Stream(broker, "jobs", 1)
    await turns()
    assert clock.waits == 1

    for _ in range(100):
        clock.advance(60)
        await turns()

    assert clock.waits == 1
    assert await waiting(broker) == 1
    await stream.stop()


async def test_one_who_waits_for_days_goes_on_waiting() -> None:
    """Its turn in line is not without end, its patience is."""
    clock = ManualClock()
    broker = await jobs(clock)
    stream = Stream(broker, "jobs", 1)
    for _ in range(3):
        await turns()
        clock.advance(24 * 3600)
    await turns()
    assert await waiting(broker) == 1

    await add(broker, b"late")

    assert stream.payloads == [b"late"]
    assert len(stream.batches) == 1
    await stream.stop()


async def test_who_leaves_the_line_loses_nothing() -> None:
    """A message that was promised to it is for the next."""
    broker = await jobs()
    stream = Stream(broker, "jobs", 1)
    after = Caller(broker)
    await turns()

    await broker.add("jobs", b"0")
    await stream.stop()
    await turns()

    assert after.payloads == [b"0"]
    assert stream.consumer.holding.lease_ids == []


async def test_release_gives_back_what_is_held_and_only_that() -> None:
    """Unharmed, with the reason, at its old place; not what others have taken over."""
    clock = ManualClock()
    broker = await jobs(clock)
    await add(broker, b"0", b"1", b"2", b"3")
    stream = Stream(broker, "jobs", 3, name="mill")
    await turns()
    await stream.stop()
    await broker.leasing.ack("jobs", [stream.lease_ids[1]])
    await broker.leasing.nack("jobs", [stream.lease_ids[0]], NackKind.RELEASE)
    other = Stream(broker, "jobs", 1)
    await turns()
    await other.stop()
    assert (other.payloads, await counts(broker)) == ([b"0"], (1, 2))

    await stream.consumer.release("the mill has burnt down")

    assert stream.consumer.holding.lease_ids == []
    assert await counts(broker) == (2, 1)
    assert await broker.leasing.ack("jobs", other.lease_ids) == [None]
    after = Stream(broker, "jobs", 9)
    await turns()
    assert after.payloads == [b"2", b"3"]
    assert [message.delivery_count for message in after.messages] == [1, 1]
    attempt = after.messages[0].message.attempts[0]
    assert (attempt.consumer, attempt.reason) == ("mill", "the mill has burnt down")
    assert attempt.outcome == pb.Attempt.RELEASED
    [refusal] = await broker.leasing.ack("jobs", [stream.lease_ids[2]])
    assert isinstance(refusal, LeaseLost)
    await after.stop()


async def test_release_of_many() -> None:
    """More than fit into a batch, in their order, for who waits."""
    broker = await jobs(message_bytes_max=10_000_000)
    stream = Stream(broker, "jobs", 10_000)
    for at in range(0, 2_500, 500):
        await add(broker, *(b"%d" % n for n in range(at, at + 500)))
    await stream.stop()
    assert await counts(broker) == (0, 2_500)

    await stream.consumer.release("over")

    assert await counts(broker) == (2_500, 0)
    after = Stream(broker, "jobs", 10_000)
    await turns()
    assert after.payloads == [b"%d" % n for n in range(2_500)]
    await after.stop()


@pytest.mark.parametrize("end", ["the queue", "q"])
async def test_release_of_what_is_gone_meanwhile(end: str) -> None:
    """Is nothing to complain about: there is nobody who could do better."""
    broker = await broker_with_jobs(ManualClock(), message_bytes_max=10_000_000)
    queue_id = (await broker.get_queue("jobs")).id
    await broker.add_batch(queue_id, [(b"", b"")] * 1_500)
    stream = Stream(broker, queue_id, 10_000)
    await turns()
    await stream.stop()

    releasing = asyncio.ensure_future(stream.consumer.release("over"))
    await asyncio.sleep(0)
    assert await counts(broker) == (1_000, 500)
    await (broker.delete_queue("jobs") if end == "the queue" else broker.close())

    await releasing


async def test_cancelled_while_the_disk_works_it_holds_what_it_took(tmp_path: Path) -> None:
    """So that it can give that back: no message is stuck until its lease runs out."""
    disks, commits = Disks(), Commits()
    store = disks.open(tmp_path, commits)
    broker = Broker({Store.DISK: store}, clock=ManualClock(), new_id=seeded_ids())
    await broker.new_queue(Store.DISK, name="jobs")
    await broker.add("jobs", b"0")
    try:
        commits.hold()
        stream = Stream(broker, "jobs", 1)
        await commits.reach(commits.count + 1)
        await stream.stop()
        commits.release_all()

        assert (stream.batches, len(stream.consumer.holding.lease_ids)) == ([], 1)
        await stream.consumer.release("over")

        assert await counts(broker) == (1, 0)
    finally:
        await disks.close()


def test_holding_tells_how_full_it_is() -> None:
    """For those who look at it."""
    holding = Holding(3)
    holding.of("jobs").lease_began(1, "lease")

    assert repr(holding) == "<Holding 1 of 3>"
