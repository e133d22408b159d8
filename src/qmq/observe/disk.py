"""Metrics of the disk: commits, the log, and what is to be removed."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from qmq.store.local.figures import DiskFigures


class DiskCollector(Collector):
    """How the DISK store does, when that is asked for."""

    def __init__(self, figures: Callable[[], DiskFigures], directory: Path) -> None:
        """Ask `figures` for that, and the system for the data directory."""
        self._figures = figures
        self._directory = directory

    def _of_files(self) -> Iterable[Metric]:
        """Return how much the data directory takes, and how much is left."""
        try:
            sizes = [each.stat().st_size for each in self._directory.glob("q.db*")]
            free = shutil.disk_usage(self._directory).free
        except OSError:
            # A file that has gone meanwhile, or a disk that has: other metrics tell of it.
            return
        yield GaugeMetricFamily(
            "q_disk_bytes", "What the database and its log take on disk.", value=sum(sizes)
        )
        yield GaugeMetricFamily(
            "q_disk_free_bytes", "What is left of the disk that they are on.", value=free
        )

    def collect(self) -> Iterable[Metric]:
        """Return all of it."""
        figures = self._figures()
        yield from self._of_files()
        yield GaugeMetricFamily(
            "q_disk_pending_bytes",
            "Bytes of changes that wait for the disk.",
            value=figures.pending_bytes,
        )
        commits = HistogramMetricFamily(
            "q_disk_commit_seconds", "Time that a commit took, with its sync, for all who waited."
        )
        commits.add_metric([], figures.commits.buckets(), figures.commits.total_s)
        yield commits
        yield GaugeMetricFamily(
            "q_disk_log_bytes",
            "Bytes of the write-ahead log that are to be written back into the database.",
            value=figures.log_bytes,
        )
        yield CounterMetricFamily(
            "q_disk_checkpoints",
            "How often the write-ahead log was written back.",
            value=figures.checkpoints,
        )
        yield CounterMetricFamily(
            "q_disk_checkpoint_seconds",
            "Time in which the log was written back, beside commits.",
            value=figures.checkpoint_s,
        )
        yield CounterMetricFamily(
            "q_disk_checkpoint_stop_seconds",
            "Time in which commits waited for the log to be written back.",
            value=figures.checkpoint_stop_s,
        )
        yield CounterMetricFamily(
            "q_disk_messages_damaged",
            "Messages that were set aside, since what is on disk of them is damaged.",
            value=figures.damaged,
        )
        yield GaugeMetricFamily(
            "q_disk_messages_to_remove",
            "Messages that have left and still take room on disk.",
            value=figures.rows_left,
        )
        yield GaugeMetricFamily(
            "q_disk_takes_changes",
            "1 if DISK queues can be changed; 0 while the disk is full, or after it has failed.",
            value=figures.takes_changes,
        )
        yield CounterMetricFamily(
            "q_disk_failures",
            "How often a write to the disk failed.",
            value=figures.failures,
        )
