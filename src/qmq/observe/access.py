"""Metrics about callers: known ones, and refused calls."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_S_PER_DAY = 86_400


class AccessFigures(NamedTuple):
    """The figures about callers; labels are bounded by the names in the access file."""

    #: By identity.
    calls: Mapping[str, int]
    #: By the reason of the error.
    refused: Mapping[str, int]
    #: Seconds until the first token of an identity expires that has not expired yet.
    expires_in_s: Mapping[str, float]
    #: Whether the access file is faulty, so that what it said before still holds.
    is_faulty: bool


class AccessCollector(Collector):
    """Shows the figures of the moment."""

    def __init__(self, figures: Callable[[], AccessFigures]) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""
        figures = self._figures()
        calls = CounterMetricFamily(
            "q_identity_calls", "Calls of those who showed who they are.", labels=["identity"]
        )
        for name, count in figures.calls.items():
            calls.add_metric([name], count)
        refused = CounterMetricFamily(
            "q_access_refused",
            "Calls that were refused for who made them, or for how many that one made.",
            labels=["reason"],
        )
        for reason, count in figures.refused.items():
            refused.add_metric([reason], count)
        expiry = GaugeMetricFamily(
            "q_token_expires_in_days",
            "Days until the next of an identity's tokens expires; no line if none does.",
            labels=["identity"],
        )
        for name, seconds in figures.expires_in_s.items():
            expiry.add_metric([name], seconds / _S_PER_DAY)
        faulty = GaugeMetricFamily(
            "q_access_file_faulty",
            "1 while the access file cannot be read, and what it said before holds.",
            value=float(figures.is_faulty),
        )
        return calls, refused, expiry, faulty
