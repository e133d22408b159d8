"""Rates of queues, with time in the test's hand."""

from collections.abc import AsyncIterator

import pytest

from qmq.engine.broker import Broker
from qmq.engine.rates import RateSampler
from qmq.model.catalog import Catalog
from qmq.model.queue import Queue
from qmq.testing import ManualClock
from tests.engine.callers import broker_with_jobs, turns
from tests.leased import leased_messages
from tests.model.queues import queue


@pytest.fixture
def jobs() -> Queue:
    """Return a queue."""
    return queue(name="jobs")


@pytest.fixture
def catalog(jobs: Queue) -> Catalog:
    """Return the queues of the server."""
    catalog = Catalog()
    catalog.add(jobs)
    return catalog


@pytest.fixture
async def sampler(catalog: Catalog, clock: ManualClock) -> AsyncIterator[RateSampler]:
    """Return a sampler that samples."""
    sampler = RateSampler(catalog, clock)
    sampler.start()
    await clock.until_waiting()
    yield sampler
    await sampler.close()


async def pass_time(clock: ManualClock, seconds: int) -> None:
    """Let seconds pass, one by one."""
    for _ in range(seconds):
        clock.advance(1)
        await turns(3)
        await clock.until_waiting()


async def test_steady_flow_is_its_rate(
    sampler: RateSampler, jobs: Queue, clock: ManualClock
) -> None:
    """At any time, also before a minute has passed."""
    for _ in range(200):
        jobs.enqueued_total += 7
        jobs.consumed_total += 2
        jobs.acked_total += 3
        await pass_time(clock, 1)

        assert tuple(sampler.of(jobs)) == pytest.approx((7, 5))


async def test_burst_counts_for_a_minute(
    sampler: RateSampler, jobs: Queue, clock: ManualClock
) -> None:
    """It is spread over the minute that it is in, give or take the time between samples."""
    await pass_time(clock, 100)
    jobs.enqueued_total += 600

    rates = [sampler.of(jobs).added_per_second]
    for _ in range(80):
        await pass_time(clock, 1)
        rates.append(sampler.of(jobs).added_per_second)

    assert rates[:51] == [pytest.approx(10)] * 51
    assert all(600 / 70 <= rate <= 10 for rate in rates[51:60])
    assert rates[70:] == [0] * 11


async def test_flow_that_changes_is_followed_within_a_minute(
    sampler: RateSampler, jobs: Queue, clock: ManualClock
) -> None:
    """What was before that does not count."""
    for _ in range(100):
        jobs.enqueued_total += 100
        await pass_time(clock, 1)
    for _ in range(70):
        jobs.enqueued_total += 1
        await pass_time(clock, 1)

    assert sampler.of(jobs).added_per_second == pytest.approx(1)


async def test_young_server_knows_its_own_time_only(
    sampler: RateSampler, jobs: Queue, clock: ManualClock
) -> None:
    """The mean is that since it was started, and 0 in the first moment."""
    jobs.enqueued_total += 100

    assert sampler.of(jobs) == (0, 0)
    clock.advance(5)
    assert sampler.of(jobs) == (20, 0)


async def test_without_sampling_the_mean_is_that_since_the_start(
    catalog: Catalog, jobs: Queue, clock: ManualClock
) -> None:
    """When it was that messages came is not known then."""
    sampler = RateSampler(catalog, clock)
    jobs.enqueued_total += 100

    clock.advance(200)

    assert sampler.of(jobs) == (0.5, 0)


async def test_flow_after_a_long_rest_is_not_spread_over_the_rest(
    sampler: RateSampler, jobs: Queue, clock: ManualClock
) -> None:
    """A mean goes back a minute, whenever something happened before."""
    jobs.enqueued_total += 1_000
    await pass_time(clock, 300)
    jobs.enqueued_total += 120

    assert sampler.of(jobs).added_per_second == pytest.approx(2)
    await pass_time(clock, 15)
    assert sampler.of(jobs).added_per_second == pytest.approx(2)
    await pass_time(clock, 60)
    assert sampler.of(jobs).added_per_second == 0


async def test_idle_queues_are_not_sampled(
    sampler: RateSampler, catalog: Catalog, jobs: Queue, clock: ManualClock
) -> None:
    """One number for a queue that was in use once, and none for one that never was."""
    for number in range(2, 5_000):
        catalog.add(queue(number))
    jobs.enqueued_total += 1
    await pass_time(clock, 30)
    in_use = len(sampler)
    await pass_time(clock, 70)

    assert (in_use, len(sampler)) == (4, 1)


async def test_deleted_queues_are_forgotten(
    sampler: RateSampler, catalog: Catalog, jobs: Queue, clock: ManualClock
) -> None:
    """At the next sampling."""
    jobs.enqueued_total += 1
    await pass_time(clock, 10)
    catalog.remove(jobs)
    before = len(sampler)
    await pass_time(clock, 10)

    assert (before, len(sampler)) == (2, 0)


@pytest.fixture
async def broker(clock: ManualClock) -> AsyncIterator[Broker]:
    """Return a broker that was started, with the queue "jobs"."""
    broker = await broker_with_jobs(clock)
    broker.start()
    await clock.until_waiting()
    yield broker
    await broker.close()
    assert clock.waiting == 0


async def test_stats_tell_the_rates(broker: Broker, clock: ManualClock) -> None:
    """Of what was added, and of what was popped or acked."""
    await broker.add_batch("jobs", [(b"", b"x")] * 30)
    await broker.pop_batch("jobs", 12)

    async def present() -> bool:
        return False

    held = await broker.leasing.lease("jobs", 6, wait_s=0, is_gone=present)
    await broker.leasing.ack("jobs", [each.lease_id for each in leased_messages(held)[:3]])
    clock.advance(3)

    ([stats], _) = await broker.stats("jobs", 0, "")

    assert (stats.added_per_second, stats.done_per_second) == (10, 5)
