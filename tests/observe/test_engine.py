"""What a scrape shows of who waits, of limits, and of redrives."""

import asyncio

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from qmq.descriptions import QueueSettings
from qmq.engine.broker import Broker
from qmq.observe.engine import EngineCollector
from qmq.observe.metrics import render
from qmq.testing import ManualClock
from tests.engine.consumers import memory_broker, new_queue


def samples(broker: Broker) -> dict[tuple[str, ...], float]:
    """Return what a scrape shows, by name and the values of the labels."""
    registry = CollectorRegistry()
    registry.register(EngineCollector(broker))
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(render(registry).decode())
        for sample in family.samples
    }


async def test_calls_that_wait_and_limits_are_shown() -> None:
    """Of queues that have any, until the queue is deleted."""
    broker = memory_broker(ManualClock())
    jobs = await new_queue(broker, "jobs", limit=7, settings=QueueSettings(leased_max=3))
    await new_queue(broker, "plain")
    pop = asyncio.ensure_future(broker.pop("jobs", 60))
    await asyncio.sleep(0)
    waiting = samples(broker)
    await broker.add("jobs", b"x")
    await pop
    done = samples(broker)

    assert waiting["queue_waiting_calls", jobs] == 1
    assert {key: value for key, value in waiting.items() if key[0] == "queue_limit"} == {
        ("queue_limit", "messages", jobs): 7,
        ("queue_limit", "leased", jobs): 3,
    }
    assert waiting["q_queues",] == 2
    assert ("queue_waiting_calls", jobs) not in done
    assert done["q_redrives_running",] == done["q_redrive_messages_moved_total",] == 0
