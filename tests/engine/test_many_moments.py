"""Very many leases that end at one moment do not hold up others."""

import asyncio
from itertools import pairwise

from qmq.engine.broker import Broker
from qmq.limits import BATCH_MESSAGES_MAX, MOMENTS_AT_ONCE_MAX
from qmq.testing import ManualClock
from tests.engine.callers import broker_with_jobs, turns


async def leased_all(broker: Broker, batches: int) -> None:
    """Add so many full batches to the queue "jobs", and lease all of them."""
    for _ in range(batches):
        await broker.add_batch("jobs", [(b"", b"x")] * BATCH_MESSAGES_MAX)
    for _ in range(batches):
        await broker.leasing.lease("jobs", BATCH_MESSAGES_MAX, wait_s=0, is_gone=None)


async def test_leases_that_end_together_end_in_steps() -> None:
    """Other tasks run between the steps, and in the end all messages are ready again."""
    clock = ManualClock()
    broker = await broker_with_jobs(clock, message_bytes_max=4_000_000)
    batches = 3 * MOMENTS_AT_ONCE_MAX // BATCH_MESSAGES_MAX
    await leased_all(broker, batches)
    queue = broker.catalog.find("jobs")
    seen = {0}

    clock.advance(queue.info.settings.lease_duration_ns / 1e9)
    for _ in range(60):
        await asyncio.sleep(0)
        seen.add(len(queue.ready))

    steps = [after - before for before, after in pairwise(sorted(seen))]
    assert 0 < max(steps) <= MOMENTS_AT_ONCE_MAX
    assert len(queue.ready) == batches * BATCH_MESSAGES_MAX
    await broker.close()


async def test_alarms_rest_when_all_is_done() -> None:
    """Nothing spins once no lease is left to end."""
    clock = ManualClock()
    broker = await broker_with_jobs(clock)
    await leased_all(broker, 1)

    clock.advance(3600)
    await turns()

    assert clock.waiting == 1
    await broker.close()
