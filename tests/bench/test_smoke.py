"""The benchmark runs from end to end: servers, queues, generators, result, report."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from suite import machine
from suite.report import page
from suite.results import Result
from suite.runner import Runner, steps
from suite.scenarios import SYSTEMS, Point, System
from suite.systems import Missing, running_system

POINTS = [
    Point("unary", "add", connections=2, streams=2),
    Point("unary", "pop", connections=2, streams=2),
    Point("unary", "lease", connections=2, streams=2),
    Point("batches", "add", batch=10),
    Point("batches", "lease", batch=10),
    Point("queues", "add", connections=2, queues=3),
    Point("queues", "lease", connections=2, queues=3),
    Point("payloads", "add", payload_bytes=100_000),
    Point("mixed", "cycle", connections=2, streams=4),
    Point("mixed", "cycle", connections=2, streams=4, rate=0.5),
]


def measured(system: System, directory: Path) -> Result:
    """Measure all points for a moment."""
    found = Result(
        date="2026-01-01T00:00:00+00:00",
        commit="0123456789",
        machine=machine.describe(directory),
        fsync={},
        repetitions=1,
        seconds=0.2,
        quick=True,
    )
    Runner(found, running_system, directory).run(steps([POINTS], [system], 1))
    return found


@pytest.mark.parametrize("system", SYSTEMS[:2], ids=lambda system: system.name)
def test_system_is_measured(system: System, tmp_path: Path) -> None:
    """Every kind of operation was done, and is in the report; Redis need not be installed."""
    if system.server == "redis" and shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")

    found = measured(system, tmp_path)

    assert not found.missing
    for series in found.series:
        assert not series.failure, f"{series.point.key}: {series.failure}"
        (run,) = series.runs
        assert run.messages > 0
        assert all(each.p50_ms > 0 for each in run.latency.values())
    assert {"start", "end"} == found.fsync.keys()
    assert f"| {system.title} |" in page(found, "plots")


def test_system_that_does_not_start_is_said_to_be_missing(tmp_path: Path) -> None:
    """The others are measured all the same, and the report says why one is not."""
    gone = replace(SYSTEMS[0], name="gone", server="none")

    def start(system: System, directory: Path) -> object:
        raise Missing(f"{system.server} is not installed in {directory.name}")

    found = Result("2026-01-01", "0", {}, {}, repetitions=1, seconds=0.05, quick=True)
    Runner(found, start, tmp_path).run(steps([POINTS[:1]], [replace(gone, server="q")], 1))  # type: ignore[arg-type]

    assert found.missing == {"gone": "q is not installed in gone"}
    assert "**not measured: gone** | q is not installed in gone |" in page(found, "plots")
