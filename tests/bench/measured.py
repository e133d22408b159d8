"""A result as a benchmark would have found it, with figures that a test can tell apart."""

from suite.results import Latency, Result, Run
from suite.scenarios import SYSTEMS, points, unsupported


def run(per_s: float, *, busy: float = 0.2, kinds: tuple[str, ...] = ("add",)) -> Run:
    """Make a run of one second."""
    latency = Latency(round(per_s), 0.5, 2.0, 8.0)
    return Run(
        messages=round(per_s),
        seconds=1.0,
        latency=dict.fromkeys(kinds, latency),
        server_cpu_s=0.5,
        generator_cpu_s=busy,
        generator_busy=busy,
        resident_mib=100.0,
        fsync_ms=0.1,
    )


def result() -> Result:
    """Make a result with two repetitions of all points on all systems but NATS."""
    found = Result(
        date="2026-01-02T03:04:05+00:00",
        commit="0123456789",
        machine={"processor": "a processor", "cores": "2"},
        fsync={"start": (0.1, 0.3), "end": (0.2, 0.4)},
        repetitions=2,
        seconds=1.5,
        quick=False,
        versions={"q": "0.1.0", "redis": "7"},
        missing={"nats-fsync": "nats-server is not\ninstalled | anywhere"},
    )
    for number, system in enumerate(SYSTEMS, 1):
        if system.name in found.missing:
            continue
        for point in points():
            if unsupported(point, system.server):
                continue
            series = found.of(system.name, point)
            kinds = ("add", "lease") if point.kind == "cycle" else (point.kind,)
            series.runs += [run(1_000 * number, kinds=kinds), run(1_200 * number, kinds=kinds)]
    return found
