"""Metrics in the Prometheus text format: those of calls, and all that a process has."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from time import perf_counter
from typing import ParamSpec

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from qmq.durations import Durations
from qmq.engine.waiting import Gone
from qmq.errors import QError

_Arguments = ParamSpec("_Arguments")


class CallCollector(Collector):
    """How long calls take and how they end, by method."""

    def __init__(self, code_of: Callable[[QError], str]) -> None:
        """Begin with no calls; `code_of` returns the name of an error's gRPC status."""
        self._code_of = code_of
        #: How many failed, by method and by the name of their status.
        self._failed: dict[tuple[str, str], int] = {}
        self._durations: dict[str, Durations] = {}
        self._failures: dict[tuple[str, str], int] = {}

    def watch(
        self, methods: Mapping[str, Callable[_Arguments, Awaitable[bytes]]]
    ) -> dict[str, Callable[_Arguments, Awaitable[bytes]]]:
        """Wrap methods, given by their gRPC path, so that their calls are counted."""
        return {path: self._watch(path, method) for path, method in methods.items()}

    def _watch(
        self, path: str, method: Callable[_Arguments, Awaitable[bytes]]
    ) -> Callable[_Arguments, Awaitable[bytes]]:
        name = path.rpartition("/")[2]
        durations = self._durations.setdefault(name, Durations())

        async def watched(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> bytes:
            start = perf_counter()
            try:
                return await method(*args, **kwargs)
            except BaseException as error:
                self._note_failure(name, error)
                raise
            finally:
                durations.note(perf_counter() - start)

        return watched

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of all methods."""
        durations = HistogramMetricFamily(
            "q_call_duration_seconds",
            "Time from a call's arrival to its reply, waiting for a message included.",
            labels=["method"],
        )
        for name, each in list(self._durations.items()):
            durations.add_metric([name], each.buckets(), each.total_s)
        failures = CounterMetricFamily(
            "q_call_failures", "Calls that ended with an error.", labels=["method", "reason"]
        )
        for (name, reason), count in list(self._failures.items()):
            failures.add_metric([name, reason], count)
        return durations, failures, self._calls()

    def _note_failure(self, method: str, error: BaseException) -> None:
        if isinstance(error, QError):
            reason, code = error.reason, self._code_of(error)
        else:
            # A caller who left is none that q failed.
            is_fault = isinstance(error, Exception) and not isinstance(error, Gone)
            reason, code = type(error).__name__, "INTERNAL" if is_fault else "CANCELLED"
        for counts, key in ((self._failures, reason), (self._failed, code)):
            counts[method, key] = counts.get((method, key), 0) + 1

    def _calls(self) -> Metric:
        """Return how many calls have ended, by method and status."""
        calls = CounterMetricFamily(
            "q_calls", "Calls that have ended, but for streams.", labels=["method", "code"]
        )
        failed = list(self._failed.items())
        for name, each in list(self._durations.items()):
            by_code = {code: count for (method, code), count in failed if method == name}
            # Those that failed are noted before they are counted.
            calls.add_metric([name, "OK"], max(0, each.count - sum(by_code.values())))
            for code, count in by_code.items():
                calls.add_metric([name, code], count)
        return calls


def process_registry() -> CollectorRegistry:
    """Make a registry that holds the metrics of this process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


def render(registry: CollectorRegistry) -> bytes:
    """Write a registry's metrics in the Prometheus text format 0.0.4."""
    return generate_latest(registry)
