"""What a scrape shows of schedules."""

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from qmq.engine.broker import Broker
from qmq.observe.metrics import render
from qmq.observe.schedules import ScheduleCollector
from qmq.testing import ManualClock
from tests.engine.consumers import memory_broker, new_queue
from tests.engine.schedules import EVERY_10_S, passes, put


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock of the server."""
    return ManualClock()


@pytest.fixture
def broker(clock: ManualClock) -> Broker:
    """Return a broker without queues."""
    return memory_broker(clock)


def samples(broker: Broker) -> dict[str, dict[tuple[str, ...], float]]:
    """Return what a scrape shows: by name, and by the values of the labels."""
    registry = CollectorRegistry()
    registry.register(ScheduleCollector(broker.catalog, broker.scheduling))
    shown: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(render(registry).decode()):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            shown.setdefault(sample.name, {})[labels] = sample.value
    return shown


async def test_schedules_and_their_ticks_are_counted(broker: Broker, clock: ManualClock) -> None:
    """Of queues that have any: from 0 on, and until the queue is deleted."""
    jobs = await new_queue(broker, "jobs", limit=2)
    await new_queue(broker, "other")
    nothing = samples(broker)
    await put(broker, EVERY_10_S, "a")
    await put(broker, EVERY_10_S, "b")
    begin = samples(broker)
    await passes(clock, 10)
    await passes(clock, 100)
    await broker.scheduling.delete("jobs", "a")
    end = samples(broker)
    await broker.delete_queue("jobs")

    assert nothing == samples(broker) == {}
    assert begin["queue_schedules"] == {(jobs,): 2}
    assert set(begin["queue_schedule_ticks_total"].values()) == {0}
    assert end == {
        "queue_schedules": {(jobs,): 1},
        "queue_schedule_ticks_total": {
            ("added", jobs): 2,
            ("missed", jobs): 18,
            ("refused", jobs): 2,
            ("deduplicated", jobs): 0,
        },
    }
    await broker.close()
