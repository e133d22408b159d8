"""Metrics of certificates."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TypeAlias

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

#: Tells when the certificates in use expire, by what they are for.
Expiries: TypeAlias = Callable[[], Mapping[str, datetime]]


class CertificateCollector(Collector):
    """When the certificates in use expire, asked when that is asked for."""

    def __init__(self, expiries: Expiries) -> None:
        """Ask `expiries` for the moments, by what each certificate is for."""
        self._expiries = expiries

    def collect(self) -> Iterable[Metric]:
        """Return the moment of each."""
        family = GaugeMetricFamily(
            "q_certificate_expires_timestamp_seconds",
            "When the certificate that is in use expires; of several CAs, the last one.",
            labels=["certificate"],
        )
        for what, moment in self._expiries().items():
            family.add_metric([what], moment.timestamp())
        yield family
