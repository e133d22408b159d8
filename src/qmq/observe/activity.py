"""Metrics of the calls under way, and of the streams that have ended."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector


class Activity(NamedTuple):
    """What a q does, at one moment."""

    #: Calls under way, those that wait and streams included; and how many there may be.
    calls: int
    calls_max: int
    #: Streams that are open.
    streams: int
    #: Streams that have ended, by path and by the name of their status.
    streams_ended: Mapping[tuple[str, str], int]


class ActivityCollector(Collector):
    """How much there is to do, when that is asked for."""

    def __init__(self, activity: Callable[[], Activity]) -> None:
        """Ask `activity` for that."""
        self._activity = activity
        self._version = ""

    def collect(self) -> Iterable[Metric]:
        """Return all of it."""
        activity = self._activity()
        if not self._version:
            # Imported late: it takes time, which a start has not.
            from importlib.metadata import version  # noqa: PLC0415

            self._version = version("qmq")
        yield InfoMetricFamily("q", "Which q this is.", value={"version": self._version})
        yield GaugeMetricFamily(
            "q_calls_active",
            "Number of calls under way, those that wait and streams included.",
            value=activity.calls,
        )
        yield GaugeMetricFamily(
            "q_calls_max", "How many calls may be under way.", value=activity.calls_max
        )
        yield GaugeMetricFamily(
            "q_streams_active", "Number of streams that are open.", value=activity.streams
        )
        ended = CounterMetricFamily(
            "q_streams", "Number of streams that have ended.", labels=["method", "code"]
        )
        for (path, code), count in list(activity.streams_ended.items()):
            ended.add_metric([path.rpartition("/")[2], code], count)
        yield ended
