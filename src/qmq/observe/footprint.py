"""Metrics of what messages take in memory."""

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from qmq.model.footprint import Footprint


class FootprintCollector(Collector):
    """How much memory the messages of a server take, and may take, when it is asked for."""

    def __init__(self, footprint: Footprint) -> None:
        self._footprint = footprint

    def collect(self) -> Iterable[Metric]:
        """Return both; no limit where there is none."""
        yield GaugeMetricFamily(
            "q_memory_bytes",
            "What the messages of all queues take in memory, by q's own count.",
            value=self._footprint.used,
        )
        if self._footprint.limit:
            yield GaugeMetricFamily(
                "q_memory_max_bytes",
                "What the messages of all queues may take in memory.",
                value=self._footprint.limit,
            )
