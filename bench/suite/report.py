"""Writes a result as a page with tables, as plots, and as the part of README that quotes it."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from suite.plot import Group, Row, dots
from suite.results import Result, Run, Series, ratios, spread
from suite.scenarios import EQUIVALENTS, SERVERS, SYSTEMS, Point, System

BEGIN: Final = "<!-- bench:begin -->"
END: Final = "<!-- bench:end -->"
#: A generator that is busier than this may be what is measured.
_BUSY_MAX: Final = 0.9
_DURABILITIES: Final = {
    "fsync": "synced to disk before each answer",
    "memory": "in memory, gone with the process",
}
_FAMILIES: Final = {
    "unary": "One message a call",
    "batches": "Batches",
    "queues": "Many queues",
    "connections": "Many connections",
    "mixed": "Adds and leases together, at a rate",
    "depth": "Among messages that wait",
    "payloads": "Payloads",
}
_KINDS: Final = {"add": "add", "pop": "pop", "lease": "lease + ack"}


class Highlight(NamedTuple):
    """What README and plots show of a family."""

    title: str
    family: str
    kind: str
    batch: int
    in_flight: int
    #: Whether it is the point with a rate that is half of what a system does at most.
    is_half: bool = False

    def find(self, result: Result, system: System) -> Series | None:
        """Return the series of a system, if it was measured."""
        for series in result.series:
            point = series.point
            found = (point.family, point.kind, point.batch, point.in_flight)
            is_ours = series.system == system.name and found == self[1:5]
            if is_ours and series.runs and self.is_half == (0 < point.rate < 1):
                return series
        return None


RATES: Final = (
    Highlight("add, 64 in flight", "unary", "add", 1, 64),
    Highlight("lease + ack, 64 in flight", "unary", "lease", 1, 64),
    Highlight("add, batches of 100", "batches", "add", 100, 4),
    Highlight("lease + ack, batches of 100", "batches", "lease", 100, 4),
)
HALF: Final = Highlight("at half of its most", "mixed", "cycle", 1, 64, is_half=True)


def page(result: Result, plots: str) -> str:
    """Write the report in Markdown.

    Args:
        result: what was measured.
        plots: the directory of the plots, as the page's links name it.
    """
    lines = [
        "# Performance report",
        *_head(result),
        "",
        "## At a glance",
        (
            "How figures come about, and what they do not say: [performance](performance.md). A dot"
            " is the median of the repetitions, a line goes from the lowest to the highest; of"
            " latencies, from the median to 99.9 %, with the dot at 99 %. Of figures with a †, the"
            " load generator was busy nearly all the time: the server may do more."
        ),
        "",
        *(f"![{name}]({plots}/{name}.svg)" for name in drawings(result)),
        "",
        *_mapping(),
    ]
    families = dict.fromkeys(each.point.family for each in result.series)
    for family in (each for each in _FAMILIES if each in families):
        lines += ["", f"## {_FAMILIES[family]}"]
        for durability, meaning in _DURABILITIES.items():
            table = list(_table(result, family, durability))
            if len(table) > 2:  # noqa: PLR2004 - Its head.
                lines += ["", f"{meaning.capitalize()}:", "", *table]
        lines += _failures(result, family)
    return "\n".join([*lines, ""])


def _head(result: Result) -> Iterator[str]:
    how = "a quick run, too short to be quoted" if result.quick else "by `make bench`"
    yield f"Written {how}, on {result.date[:10]}, of commit `{result.commit}`."
    yield ""
    yield "| what | |"
    yield "|---|---|"
    for name, value in result.machine.items():
        yield f"| {name} | {value} |"
    for when, (p50, p99) in result.fsync.items():
        yield f"| fsync of 4 KiB, at the {when} | {p50:.3f} ms, 99 % within {p99:.3f} ms |"
    if probes := [run.fsync_ms for series in result.series for run in series.runs]:
        yield f"| the same, at each start of a server | {min(probes):.3f} to {max(probes):.3f} ms |"
    versions = ", ".join(f"{name} {text}" for name, text in sorted(result.versions.items()))
    yield f"| versions | {versions} |"
    yield f"| repetitions | {result.repetitions}, of {result.seconds:g} s at most a point |"
    for name, reason in result.missing.items():
        yield f"| **not measured: {name}** | {_plain(reason)} |"


def _mapping() -> Iterator[str]:
    yield "## What stands for what"
    yield "| server | add | pop | lease + ack |"
    yield "|---|---|---|---|"
    for server in SERVERS:
        cells = [EQUIVALENTS[server].get(kind, "has none") for kind in ("add", "pop", "lease")]
        yield f"| {server} | {' | '.join(cells)} |"


def _table(result: Result, family: str, durability: str) -> Iterator[str]:
    titles = (
        *(
            "shape",
            "what",
            "system",
            "messages/s",
            "lowest and highest",
            "q : this",
            "p50 ms",
            "p99 ms",
        ),
        *("p99.9 ms", "server's CPU s per 1,000", "MiB", "generator: CPU s, busy"),
    )
    yield f"| {' | '.join(titles)} |"
    yield "|---" * len(titles) + "|"
    systems = [system for system in SYSTEMS if system.durability == durability]
    points = dict.fromkeys(each.point for each in result.series if each.point.family == family)
    for point in points:
        ours = _series(result, systems[0], point)
        for system in systems:
            series = _series(result, system, point)
            if series and series.runs:
                yield from _rows(series, system, ours)


def _rows(series: Series, system: System, ours: Series | None) -> Iterator[str]:
    runs = series.runs
    rate = spread([run.per_s for run in runs])
    busy = statistics.median(run.generator_busy for run in runs)
    mark = " †" if busy > _BUSY_MAX else ""
    ratio = ""
    # Where operations are due at a rate, that rate says nothing of the system.
    if ours and not series.point.rate and (found := ratios(ours, series)):
        ratio = (
            "1" if ours is series else f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f})"
        )
    for kind in runs[0].latency:
        times = [run.latency[kind] for run in runs]
        cells = (
            shape(series.point, runs),
            _KINDS[kind],
            system.title,
            f"{rate.median:,.0f}{mark}",
            f"{rate.low:,.0f} to {rate.high:,.0f}",
            ratio,
            *(
                f"{statistics.median(getattr(each, part) for each in times):.2f}"
                for part in ("p50_ms", "p99_ms", "p999_ms")
            ),
            f"{statistics.median(run.cpu_per_1000_s for run in runs):.3f}",
            f"{statistics.median(run.resident_mib for run in runs):,.0f}",
            f"{statistics.median(run.generator_cpu_s for run in runs):.2f}, {busy:.0%}",
        )
        yield f"| {' | '.join(cells)} |"


def shape(point: Point, runs: Sequence[Run] = ()) -> str:
    """Say in a few words what a point is within its family."""
    in_flight = f"{point.in_flight:,} in flight"
    match point.family:
        case "batches":
            text = f"{point.batch:,} a batch, {point.in_flight} batches in flight"
        case "queues":
            text = f"{point.queues:,} queues, {in_flight}"
        case "connections":
            text = f"{point.connections:,} connections, one in flight on each"
        case "payloads":
            text = f"{_size(point.payload_bytes)}, {in_flight}"
        case "depth":
            text = f"among {point.depth:,}, batches of {point.batch}, {in_flight}"
        case "mixed" if not point.rate:
            text = f"all it can, {in_flight}"
        case "mixed" if point.rate < 1:
            rate = statistics.median(run.rate for run in runs) if runs else 0
            text = f"open loop, half of that: {rate:,.0f}/s"
        case "mixed":
            text = f"open loop, {point.rate:,.0f}/s"
        case _:
            text = in_flight
    return text


def _size(count: int) -> str:
    for unit, size in (("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count // size:,} {unit}"
    return f"{count} B"


def _failures(result: Result, family: str) -> Iterator[str]:
    titles = {system.name: system.title for system in SYSTEMS}
    found = [
        f"- {titles.get(each.system, each.system)}, {_KINDS.get(each.point.kind, each.point.kind)},"
        f" {shape(each.point)}: {_plain(each.failure)}"
        for each in result.series
        if each.failure and each.point.family == family
    ]
    if found:
        yield from ("", "Left out, or not repeated:", "", *found)


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[:300]


def _series(result: Result, system: System, point: Point) -> Series | None:
    for each in result.series:
        if each.system == system.name and each.point == point:
            return each
    return None


def drawings(result: Result) -> dict[str, str]:
    """Draw all plots: SVG by name, without those of which nothing was measured."""
    found = {}
    for durability, meaning in _DURABILITIES.items():
        systems = [system for system in SYSTEMS if system.durability == durability]
        groups = [_rates(result, systems, each) for each in RATES]
        latencies = [_latencies(result, systems, kind) for kind in ("add", "lease")]
        for name, title, all_groups in (
            (f"rates-{durability}", f"Messages a second, {meaning}", groups),
            (f"latency-{durability}", f"Milliseconds at half load, {meaning}", latencies),
        ):
            if drawn := [group for group in all_groups if group.rows]:
                found[name] = dots(title, drawn)
    return found


def _rates(result: Result, systems: Sequence[System], what: Highlight) -> Group:
    rows = []
    for system in systems:
        if series := what.find(result, system):
            rate = spread([run.per_s for run in series.runs])
            values = (rate.low, rate.median, rate.high)
            rows.append(Row(system.title, values, f"{rate.median:,.0f}", system.server == "q"))
    return Group(what.title, rows)


def _latencies(result: Result, systems: Sequence[System], kind: str) -> Group:
    rows = []
    for system in systems:
        if series := HALF.find(result, system):
            times = [run.latency[kind] for run in series.runs]
            p50, p99, p999 = (
                statistics.median(getattr(each, part) for each in times)
                for part in ("p50_ms", "p99_ms", "p999_ms")
            )
            label = f"{p99:,.2f} at {statistics.median(run.rate for run in series.runs):,.0f}/s"
            rows.append(Row(system.title, (p50, p99, p999), label, system.server == "q"))
    return Group(_KINDS[kind], rows)


def excerpt(result: Result, plots: str) -> str:
    """Write the part of README that quotes a result."""
    systems = [system for system in SYSTEMS if system.durability == "fsync"]
    titles = [f"{each.title}, messages/s" for each in RATES]
    p50, p99 = result.fsync["start"]
    method = (
        f"`make bench`, on {result.date[:10]}, commit `{result.commit}`: {result.machine['cores']}"
        f" cores, fsync of 4 KiB in {p50:.2f} ms (99 % within {p99:.2f} ms), payloads of 64 bytes,"
        f" everybody syncing to disk before the answer, medians of {result.repetitions}."
    )
    lines = [
        method,
        "",
        f"| system | {' | '.join(titles)} | p99 of a lease and ack at half load |",
        "|---" * (len(titles) + 2) + "|",
    ]
    for system in systems:
        cells = []
        for what in RATES:
            series = what.find(result, system)
            rates = [run.per_s for run in series.runs] if series else []
            cells.append(f"{statistics.median(rates):,.0f}" if rates else "none")
        half = HALF.find(result, system)
        times = [run.latency["lease"].p99_ms for run in half.runs] if half else []
        cells.append(f"{statistics.median(times):.1f} ms" if times else "none")
        lines.append(f"| {system.title} | {' | '.join(cells)} |")
    lines += ["", f"![Messages a second]({plots}/rates-fsync.svg)", ""]
    lines.append("All of it, in memory as well: [performance report](docs/performance-report.md).")
    if result.missing:
        lines.append("")
    lines += [f"- {name} was not measured: {_plain(why)}" for name, why in result.missing.items()]
    return "\n".join(lines)


def with_excerpt(readme: str, text: str) -> str:
    """Put a text between the markers of README, in place of what is there.

    Raises:
        ValueError: it has not one pair of markers.
    """
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise ValueError(f"README needs one {BEGIN} and one {END}")
    before, rest = readme.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{text}\n{END}{after}" if text else f"{before}{BEGIN}\n{END}{after}"


def publish(result: Result | None, root: Path) -> dict[Path, str]:
    """Return the files of the repository that a result is quoted in, by path."""
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8")
    if result is None:
        return {readme: with_excerpt(text, "")}
    files = {
        readme: with_excerpt(text, excerpt(result, "docs/plots")),
        root / "docs/performance-report.md": page(result, "plots"),
    }
    for name, drawing in drawings(result).items():
        files[root / f"docs/plots/{name}.svg"] = drawing
    return files
