"""Acks of many leases at once, which are carried out together if nothing is to be said of any."""

import asyncio
import tracemalloc
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qmq.engine.broker import Broker
from qmq.engine.leasing import Result
from qmq.testing import ManualClock
from qmq.values import NackKind, Store
from tests.engine.consumers import (
    FINE,
    LONG_S,
    Held,
    ack,
    add,
    fail,
    ids_of,
    lease,
    memory_broker,
    nack,
    new_queue,
    pop_all,
    release,
    said,
    states,
    stats,
)

#: What is no lease at all.
NONSENSE = "nonsense"

#: Places in the pool of `World`: of leases that are held, and all.
HELD, POOL = 4, 10


@pytest.fixture
async def broker() -> Broker:
    """Make a broker with the empty queue "jobs"."""
    broker = memory_broker(ManualClock())
    await new_queue(broker, "jobs")
    return broker


class World(NamedTuple):
    """A queue with messages in all states, and leases of all kinds, those first that are held."""

    broker: Broker
    pool: Sequence[str]

    async def told(self, results: Sequence[Result]) -> dict[str, Any]:
        """Return all that anybody can see after acks: answers, counts, messages, leases."""
        broker = self.broker
        counts = await stats(broker)
        return {
            "results": said(results),
            "counts": (counts.ready, counts.leased, counts.delayed, counts.acked_total),
            "consumers": counts.consumers,
            # Whether each ack is remembered.
            "nacked": await nack(broker, NackKind.RELEASE, *self.pool),
            "acked": await ack(broker, *self.pool),
            "left": await pop_all(broker),
        }


async def world() -> World:
    """Make one: whatever is done to it next, it begins as all others do."""
    clock = ManualClock()
    broker = memory_broker(clock)
    await new_queue(broker, "jobs")
    await add(broker, *[b"%d" % n for n in range(9)])
    (lost,) = await lease(broker, duration_s=1)
    clock.advance(1)
    held = [
        *await lease(broker, 2, consumer="a", duration_s=LONG_S),
        *await lease(broker, 2, consumer="b", duration_s=LONG_S),
    ]
    assert held[0].payload == lost.payload
    (expired, delayed, released, acked) = await lease(broker, 4, duration_s=1)
    await fail(broker, delayed, delay_s=LONG_S)
    await release(broker, released)
    await ack(broker, acked)
    clock.advance(1)
    assert await states(broker) == (3, 4, 1)
    pool: list[Held | str] = [*held, lost, expired, delayed, released, acked, NONSENSE]
    assert len(pool) == POOL
    return World(broker, ids_of(pool))


@given(
    st.one_of(
        st.lists(st.integers(0, HELD - 1), unique=True, min_size=1),
        st.lists(st.integers(0, POOL - 1), min_size=1, max_size=6),
    )
)
@example([0, 0])
@example([0, 1, 0])
@example([2, 5])
@example([8, 3])
def test_acks_at_once_are_acks_one_by_one(places: list[int]) -> None:
    """Whatever is named in whatever order, and however often."""

    async def run() -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []
        for how in ("at once", "one by one", "with nonsense"):
            here = await world()
            ack_all = here.broker.leasing.ack
            named = [here.pool[place] for place in places]
            if how == "at once":
                results = await ack_all("jobs", named)
            elif how == "one by one":
                results = [result for each in named for result in await ack_all("jobs", [each])]
            else:
                *results, _ = await ack_all("jobs", [*named, NONSENSE])
            seen.append(await here.told(results))
        return seen

    at_once, one_by_one, with_nonsense = asyncio.run(run())

    assert at_once == one_by_one == with_nonsense


async def test_lease_that_is_twice_in_a_batch_is_acked_once(broker: Broker) -> None:
    """Both are fine, as when the second one is an ack that is repeated."""
    await add(broker, b"1", b"2")
    (first, second) = await lease(broker, 2)

    results = await ack(broker, first, second, first)

    assert results == [FINE, FINE, FINE]
    assert await states(broker) == (0, 0, 0)
    assert (await stats(broker)).acked_total == 2


async def test_acks_at_once_may_be_repeated(broker: Broker) -> None:
    """All of them or some, in any order; and nobody can take them back."""
    await add(broker, *[b"%d" % n for n in range(300)])
    mine = await lease(broker, 300)
    assert await ack(broker, *mine) == [FINE] * 300

    assert await ack(broker, *mine) == [FINE] * 300
    assert await ack(broker, *mine[7:3:-1]) == [FINE] * 4
    assert await release(broker, *mine[:2]) == [
        f"lease {each.lease_id} has ended; its message was acked" for each in mine[:2]
    ]
    assert (await stats(broker)).acked_total == 300


async def test_ack_is_remembered_for_its_lease_alone(broker: Broker) -> None:
    """Who had the message before, and has lost it, has not acked it."""
    await add(broker, b"1")
    (lost,) = await lease(broker)
    await release(broker, lost)
    (mine,) = await lease(broker)
    assert await ack(broker, mine) == [FINE]

    (refusal,) = await ack(broker, lost)

    assert refusal.startswith(f"lease {lost.lease_id} has ended, and queue ")
    assert await ack(broker, mine) == [FINE]


async def test_ack_is_remembered_for_its_queue_alone(broker: Broker) -> None:
    """Each store numbers its messages for itself, so that a lease there may have the same name."""
    await new_queue(broker, "other", store=Store.DISK)
    for queue in ("jobs", "other"):
        await add(broker, b"1", queue=queue)
    (mine,) = await lease(broker)
    (others,) = await lease(broker, queue="other")
    assert mine.lease_id == others.lease_id

    assert await ack(broker, mine) == [FINE]

    assert await states(broker, "other") == (0, 1, 0)
    await broker.purge("other")
    (refusal,) = await ack(broker, others, queue="other")
    assert "does not hold its message any more" in refusal


@pytest.mark.parametrize("others", [[], [NONSENSE]], ids=["at-once", "one-by-one"])
async def test_acked_messages_take_no_memory(broker: Broker, others: list[str]) -> None:
    """In whichever way they are acked."""
    tracemalloc.start()
    try:
        await add(broker, *[bytes(1_000)] * 2_000)
        (before, _) = tracemalloc.get_traced_memory()
        while mine := await lease(broker, 50):
            await ack(broker, *mine, *others)
        (after, _) = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert after < before - 1_000_000


async def test_no_acks_are_no_error(broker: Broker) -> None:
    """There is nothing to answer."""
    assert await ack(broker) == []
