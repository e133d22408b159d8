"""Metrics of the engine: waiting calls, selectors, limits, redrives."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from qmq.engine.broker import Broker


class EngineCollector(Collector):
    """Shows what a broker does at the moment; the lines of a queue end with it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of all queues, and of the server as a whole."""
        yield from self._of_queues()
        catalog, redriving = self._broker.catalog, self._broker.redriving
        yield GaugeMetricFamily("q_queues", "Number of queues.", value=len(catalog))
        yield GaugeMetricFamily(
            "q_queues_max", "How many queues there may be.", value=catalog.queues_max
        )
        yield GaugeMetricFamily(
            "q_selectors",
            "Number of different selectors by which messages are taken, or were a minute ago.",
            value=len(self._broker.selecting),
        )
        yield GaugeMetricFamily(
            "q_redrives_running", "Number of redrives under way.", value=redriving.running
        )
        yield CounterMetricFamily(
            "q_redrive_messages_moved",
            "Number of messages that redrives have moved.",
            value=redriving.moved_total,
        )
        yield CounterMetricFamily(
            "q_redrive_messages_failed_again",
            "Number of messages that a redrive had moved, and that are dead letters again.",
            value=redriving.failed_again_total,
        )

    def _of_queues(self) -> Iterable[Metric]:
        waiting = GaugeMetricFamily(
            "queue_waiting_calls",
            "Number of calls that wait for a message of the queue; no line for none.",
            labels=["queue"],
        )
        limits = GaugeMetricFamily(
            "queue_limit",
            "What the queue may hold at most; no line for no limit.",
            labels=["queue", "of"],
        )
        # A list, in one step: another thread makes and deletes queues meanwhile.
        for queue in list(self._broker.catalog):
            if count := self._broker.waiting(queue):
                waiting.add_metric([queue.info.id], count)
            settings = queue.info.settings
            if queue.info.limit >= 0:
                limits.add_metric([queue.info.id, "messages"], queue.info.limit)
            if settings.bytes_limit:
                limits.add_metric([queue.info.id, "bytes"], settings.bytes_limit)
            if settings.leased_max:
                limits.add_metric([queue.info.id, "leased"], settings.leased_max)
        return waiting, limits
