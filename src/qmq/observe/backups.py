"""Metrics of the backups that were made of the data directory."""

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class BackupCollector(Collector):
    """How many backups there were, and of when the last one is, when that is asked for."""

    def __init__(self, made: Callable[[], tuple[int, int]]) -> None:
        """Ask `made` for the number of backups, and the last one's moment in ns since 1970."""
        self._made = made

    def collect(self) -> Iterable[Metric]:
        """Return both."""
        count, last_ns = self._made()
        yield CounterMetricFamily(
            "q_backups", "Backups that q backup has made while this q ran.", value=count
        )
        yield GaugeMetricFamily(
            "q_backup_last_timestamp_seconds",
            "The moment that the last of these backups stands for; 0 if there is none.",
            value=last_ns / 1e9,
        )
