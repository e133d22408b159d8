"""What was measured: kept as JSON, and taken together over repetitions."""

import json
import statistics
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from suite.scenarios import Point

#: Raised with each change that a reader of older files has to know of.
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Latency:
    """How long operations took, in milliseconds."""

    operations: int
    p50_ms: float
    p99_ms: float
    p999_ms: float


@dataclass(frozen=True, slots=True)
class Run:
    """One repetition of a point."""

    messages: int
    seconds: float
    #: By kind of operation: add, pop, lease.
    latency: dict[str, Latency]
    #: Processor time of the server's processes, and of the load generators.
    server_cpu_s: float
    generator_cpu_s: float
    #: The part of the time for which the busiest generator was busy.
    generator_busy: float
    #: At the end, of all the server's processes.
    resident_mib: float
    #: Median of the disk's fsync when the server was started: tells a slow time of the machine.
    fsync_ms: float
    #: Operations due a second, and how late the generators sent 99 % of them at most.
    rate: float = 0
    late_p99_ms: float = 0

    @property
    def per_s(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def cpu_per_1000_s(self) -> float:
        """Seconds of the server's processors for 1,000 messages."""
        return self.server_cpu_s / self.messages * 1_000


@dataclass(slots=True)
class Series:
    """All repetitions of a point on a system."""

    system: str
    point: Point
    runs: list[Run] = field(default_factory=list)
    #: Why there are none, or fewer.
    failure: str = ""


@dataclass(slots=True)
class Result:
    """All that a benchmark has found."""

    #: ISO 8601, in UTC.
    date: str
    #: Of q's source; with a + if files were changed since.
    commit: str
    machine: dict[str, str]
    #: Medians and 99th percentiles of the disk's fsync, at the start and at the end.
    fsync: dict[str, tuple[float, float]]
    repetitions: int
    seconds: float
    quick: bool
    versions: dict[str, str] = field(default_factory=dict)
    #: By system: why it was not measured.
    missing: dict[str, str] = field(default_factory=dict)
    series: list[Series] = field(default_factory=list)

    def of(self, system: str, point: Point) -> Series:
        """Return the series of a point on a system, a new one if there is none."""
        for each in self.series:
            if each.system == system and each.point == point:
                return each
        self.series.append(Series(system, point))
        return self.series[-1]

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        head = {"format": FORMAT, **asdict(self)}
        series = head.pop("series")
        # A line for each series: as short as JSON can be, and still to be read line by line.
        lines = ",\n".join(json.dumps(each, sort_keys=True) for each in series)
        text = json.dumps(head, indent=1, sort_keys=True).removesuffix("\n}")
        path.write_text(f'{text},\n "series": [\n{lines}\n ]\n}}\n', encoding="utf-8")


def read(path: Path) -> Result:
    """Read what `Result.write` has written.

    Raises:
        ValueError: it has another format.
    """
    found = json.loads(path.read_text(encoding="utf-8"))
    if (format_ := found.pop("format")) != FORMAT:
        raise ValueError(f"{path} has format {format_}, not {FORMAT}")
    fsync = {when: (p50, p99) for when, (p50, p99) in found.pop("fsync").items()}
    series = [
        Series(
            each["system"],
            Point(**each["point"]),
            [
                Run(**{**run, "latency": {k: Latency(**v) for k, v in run["latency"].items()}})
                for run in each["runs"]
            ],
            each["failure"],
        )
        for each in found.pop("series")
    ]
    return Result(**found, fsync=fsync, series=series)


def newest(directory: Path) -> Path | None:
    """Return the newest result in a directory: their names begin with the date."""
    return max(directory.glob("*.json"), default=None)


def latency(seconds: "Iterable[array[float]]") -> Latency:
    """Take the times of all generators together."""
    times = sorted(value for each in seconds for value in each)
    return Latency(
        len(times), *(round(percentile(times, part) * 1e3, 4) for part in (0.5, 0.99, 0.999))
    )


def percentile(values: Sequence[float], part: float) -> float:
    """Return the smallest of sorted values that so large a part of them is not above.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("no operation was done")
    return values[max(0, -int(-len(values) * part // 1) - 1)]


class Spread(NamedTuple):
    """The median of some values, and the lowest and highest of them."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Take repetitions together."""
    return Spread(statistics.median(values), min(values), max(values))


def ratios(one: Series, other: Series) -> Spread | None:
    """Return how much faster one is than the other, repetition by repetition.

    Those of one repetition were measured one soon after the other, so that a slow time of the
    machine is in both.
    """
    pairs = list(zip(one.runs, other.runs, strict=False))
    return spread([a.per_s / b.per_s for a, b in pairs]) if pairs else None
