"""The part of the suite of all stores that is about how durable a change is to be."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from qmq.descriptions import QueueSettings
from qmq.engine.broker import Broker
from qmq.errors import DurabilityNotReached, InvalidArgument, QError
from qmq.values import DURABILITY_MAX, Durability, NackKind, Store
from tests.leased import leased_messages
from tests.store.conformance import BrokerSuite

#: How durable each store makes a change at most.
MOST = DURABILITY_MAX

#: A call to the broker about the queue "jobs", of which a message is on lease: its lease id
#: and how durable the change has to be.
Call = Callable[[Broker, str, Durability], Coroutine[Any, Any, object]]


async def not_gone() -> bool:
    """Say that the caller is still there."""
    return False


#: Every call that can ask for a durability, by name.
CALLS: dict[str, Call] = {
    "add": lambda broker, _, level: broker.add("jobs", b"x", durability=level),
    "add_batch": lambda broker, _, level: broker.add_batch(
        "jobs", [(b"", b"x")] * 2, durability=level
    ),
    "pop": lambda broker, _, level: broker.pop("jobs", durability=level),
    "pop_batch": lambda broker, _, level: broker.pop_batch("jobs", 2, durability=level),
    "lease": lambda broker, _, level: broker.leasing.lease(
        "jobs", 2, wait_s=0, is_gone=not_gone, durability=level
    ),
    "ack": lambda broker, lease_id, level: broker.leasing.ack("jobs", [lease_id], durability=level),
    "nack": lambda broker, lease_id, level: broker.leasing.nack(
        "jobs", [lease_id], NackKind.FAIL, delay_ns=0, durability=level
    ),
    "extend": lambda broker, lease_id, level: broker.leasing.extend(
        "jobs", [lease_id], durability=level
    ),
    "complete": lambda broker, lease_id, level: broker.leasing.complete(
        [("jobs", [lease_id])], [("jobs", [(b"", b"x")])], durability=level
    ),
}

#: Calls that change a queue, or all of it, and cannot ask for less than the most.
QUEUE_CALLS: dict[str, Call] = {
    "purge": lambda broker, _, __: broker.purge("jobs"),
    "pause": lambda broker, _, __: broker.pause("jobs", adds=True),
    "resume": lambda broker, _, __: broker.resume("jobs"),
    "update_queue": lambda broker, _, __: broker.update_queue(
        "jobs", partial(replace, lease_duration_ns=1)
    ),
}

calls = pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))


async def with_jobs(
    broker: Broker, kind: Store, durability_min: Durability = Durability.MEMORY
) -> str:
    """Make the queue "jobs" with four messages, of which one is on lease; return its lease id."""
    settings = QueueSettings(durability_min=durability_min)
    await broker.new_queue(kind, name="jobs", settings=settings)
    await broker.add_batch("jobs", [(b"", b"%d" % n) for n in range(4)])
    leased = await broker.leasing.lease("jobs", 1, wait_s=0, is_gone=not_gone)
    [message] = leased_messages(leased)
    return message.lease_id


class BrokerDurabilityConformance(BrokerSuite):
    """What callers see of the levels of durability."""

    async def test_store_does_what_it_can_unless_less_is_asked_for(
        self, broker: Broker, kind: Store
    ) -> None:
        """By a call, whatever it is about."""
        info = await broker.new_queue(kind, name="jobs")

        for reference in ("jobs", info.id):
            assert broker.reached(reference, Durability.UNKNOWN) is MOST[kind]
            for level in Durability:
                if Durability.UNKNOWN < level <= MOST[kind]:
                    assert broker.reached(reference, level.value) is level

    @calls
    async def test_call_may_ask_for_any_level_that_the_store_reaches(
        self, broker: Broker, kind: Store, call: Call
    ) -> None:
        """What it does is the same."""
        for level in Durability:
            if level <= MOST[kind]:
                lease_id = await with_jobs(broker, kind)

                result = await call(broker, lease_id, level)

                assert result
                if isinstance(result, list):
                    assert not any(isinstance(each, QError) for each in result)
                await broker.delete_queue("jobs")

    @calls
    async def test_more_than_the_store_can_is_refused(
        self, broker: Broker, kind: Store, call: Call
    ) -> None:
        """The refusal names both levels, and nothing is changed."""
        lease_id = await with_jobs(broker, kind)
        [stats], _ = await broker.stats("jobs", 0, "")

        for level in Durability:
            if level > MOST[kind]:
                with pytest.raises(DurabilityNotReached) as refusal:
                    await call(broker, lease_id, level)
                with pytest.raises(DurabilityNotReached):
                    broker.reached("jobs", level)

                assert refusal.value.message == (
                    f"durability: queue {stats.info.id} lives in {kind.name}, which cannot be as"
                    f" durable as {level.name}, but {MOST[kind].name} at most; ask for no more"
                    " than that, or for nothing, which means as durable as the queue can"
                )
                assert refusal.value.metadata == {
                    "queue_id": stats.info.id,
                    "store": kind.name,
                    "asked": level.name,
                    "durability_max": MOST[kind].name,
                }
        assert await broker.stats("jobs", 0, "") == ([stats], "")

    @pytest.mark.parametrize("number", [-1, 5, 2**31 - 1])
    async def test_level_that_there_is_not_is_refused(
        self, broker: Broker, kind: Store, number: int
    ) -> None:
        """With those that there are, whether or not there is a queue."""
        await broker.new_queue(kind, name="jobs")

        for reference in ("jobs", "none"):
            with pytest.raises(InvalidArgument) as refusal:
                broker.reached(reference, number)
            assert refusal.value.message == (
                "durability: must be MEMORY (1), OS (2), FSYNC (3) or REPLICATED (4), or left out;"
                f" got {number}"
            )

    async def test_call_to_no_queue_is_refused_by_itself(self, broker: Broker) -> None:
        """The level that it asks for is not what is wrong with it."""
        assert broker.reached("none", Durability.OS) is Durability.OS

    async def test_queue_raises_what_is_asked_for(self, broker: Broker, kind: Store) -> None:
        """To its durability_min, from when it has it; who asks for more gets that."""
        await broker.new_queue(kind, name="jobs")
        levels = [level for level in Durability if Durability.UNKNOWN < level <= MOST[kind]]

        for floor in levels:
            await broker.update_queue("jobs", partial(replace, durability_min=floor))
            assert [broker.reached("jobs", asked) for asked in levels] == [
                max(floor, asked) for asked in levels
            ]
            assert broker.reached("jobs", Durability.UNKNOWN) is MOST[kind]

    async def test_queue_cannot_demand_more_than_its_store_can(
        self, broker: Broker, kind: Store
    ) -> None:
        """When it is made and when it is changed; nothing is, then."""
        for level in Durability:
            if level > MOST[kind]:
                settings = QueueSettings(durability_min=level)
                with pytest.raises(InvalidArgument) as refusal:
                    await broker.new_queue(kind, name="jobs", settings=settings)
                info = await broker.new_queue(kind)
                with pytest.raises(InvalidArgument):
                    await broker.update_queue(info.id, partial(replace, durability_min=level), 5)

                assert refusal.value.message == (
                    f"settings.durability_min: must be at most {MOST[kind].name}, which is how"
                    f" durable {kind.name} queues are; got {level.name}"
                )
                assert await broker.get_queue(info.id) == info
        assert "jobs" not in [info.name for info in (await broker.list_queues(0, ""))[0]]
