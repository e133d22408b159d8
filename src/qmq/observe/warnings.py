"""A metric of what is worth a look."""

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from qmq.condition import ServerWarning


class WarningCollector(Collector):
    """What a server warns of, as it was seen when it looked last."""

    def __init__(self, warnings: Callable[[], Sequence[ServerWarning]]) -> None:
        self._warnings = warnings

    def collect(self) -> Iterable[Metric]:
        """Return one line for each."""
        family = GaugeMetricFamily(
            "q_warning",
            "1 for each thing that the server warns of, as GetServer tells; no line otherwise.",
            labels=["level", "reason", "subject"],
        )
        for each in self._warnings():
            family.add_metric([each.level.name.lower(), each.reason, each.subject], 1)
        yield family
