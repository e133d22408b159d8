"""Metrics of schedules."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from qmq.engine.scheduling import Scheduling
from qmq.model.catalog import Catalog


class ScheduleCollector(Collector):
    """How many schedules queues have, and what became of their ticks; none of other queues.

    The counts are those since the server started; a queue's lines go with it.
    """

    def __init__(self, catalog: Catalog, scheduling: Scheduling) -> None:
        self._catalog = catalog
        self._scheduling = scheduling

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of all queues."""
        schedules = GaugeMetricFamily(
            "queue_schedules", "Number of schedules of the queue.", labels=["queue"]
        )
        ticks = CounterMetricFamily(
            "queue_schedule_ticks",
            "Number of times at which a schedule was to add a message, by what became of that.",
            labels=["queue", "outcome"],
        )
        # A list, in one step: another thread makes and deletes queues meanwhile.
        for queue in list(self._catalog):
            if found := self._scheduling.counts(queue):
                number, counts = found
                schedules.add_metric([queue.info.id], number)
                for outcome, count in (
                    ("added", counts.added),
                    ("missed", counts.missed),
                    ("refused", counts.refused),
                    ("deduplicated", counts.deduplicated),
                ):
                    ticks.add_metric([queue.info.id, outcome], count)
        return schedules, ticks
