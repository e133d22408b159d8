"""Makes sense of what was noted: for how long each operation was where, and what hindered it."""

import bisect
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple, TypedDict

from tailing.wire import call_of

Spans = Sequence[Sequence[float]]

#: Where a call is, one after the other, and the threads whose business that is.
STAGES: Final = (
    ("late in the load generator", ()),
    ("way in: Envoy, pyvoy, event loop", ("network", "hand-over", "event loop")),
    ("q decides", ("event loop",)),
    ("waits for the writer", ("writer", "event loop")),
    ("its commit", ("writer",)),
    ("waits for the event loop", ("event loop",)),
    ("reply is made", ("event loop",)),
    ("way out: Envoy", ("network",)),
)
#: Draws of a simulation.
_DRAWS: Final = 100_000


class OfGenerator(TypedDict):
    """What the load generator notes: see `tailing/wire.py`."""

    base: int
    began: float
    rate: float
    sent: list[float]
    received: list[float]


class OfQ(TypedDict):
    """What q notes: see `tailing/recorder.py`."""

    calls: dict[str, list[float]]
    spans: dict[str, list[list[float]]]
    threads: dict[str, int]


class OfProbe(TypedDict):
    """What a probe notes: see `tailing/probe.py`."""

    late: list[list[float]]
    work: list[list[float]]


class Used(NamedTuple):
    """What a thread had of the cores."""

    name: str
    ran_s: float
    waited_s: float
    times: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What was noted in one run, beside what q notes of all runs."""

    generator: OfGenerator
    threads: dict[int, Used]
    #: By thread, and whether it runs, waits for a core or syncs.
    kernel: dict[tuple[int, str], list[tuple[float, float]]]
    probes: dict[str, OfProbe]
    seconds: float

    def names(self, notes: OfQ) -> dict[str, int]:
        """Tell which thread is which."""
        found = dict(notes["threads"])
        rest = {each: used for each, used in self.threads.items() if each not in found.values()}
        found["network"] = next(each for each in rest if rest[each].name.startswith("wrk:"))
        del rest[found["network"]]
        found["hand-over"] = max(rest, key=lambda each: rest[each].times)
        return found

    def within(self, spans: Spans) -> list[float]:
        """Return how long those took that began in this run, in seconds."""
        began = self.generator["began"]
        return [end - start for start, end in spans if began <= start <= began + self.seconds]

    def within_work(self, core: str) -> list[float]:
        """Return how long a core's probe took for its piece of work each time."""
        began = self.generator["began"]
        ended = began + self.seconds
        return [took for start, took in self.probes[core]["work"] if began <= start <= ended]

    def syncs(self, notes: OfQ) -> list[float]:
        """Return how long the writer's syncs took, as far as the kernel told."""
        return self.within(self.kernel.get((notes["threads"]["writer"], "syncs"), []))


class Operation(NamedTuple):
    """An add, or a lease and its ack."""

    kind: str
    took_s: float
    #: By stage, and by what hindered it there: seconds.
    stays: dict[str, dict[str, float]]


def quantile(values: Iterable[float], part: float) -> float:
    """Return the value below which that part of values is; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


def slowest(operations: Sequence[Operation]) -> list[Operation]:
    """Return the slowest percent."""
    count = max(1, len(operations) // 100)
    return sorted(operations, key=lambda each: -each.took_s)[:count]


def floor_of_syncs(took_s: Sequence[float], seconds: float, calls: int) -> float:
    """Return within which 99 % would be if calls, one after the other, waited for syncs alone.

    A call meets one that is under way, a long one more often than a short one, as often as the
    disk is busy; it waits for what is left of that, and then for its own. Nobody waits longer,
    however many there are, since all who wait share the next one.
    """
    chance = random.Random(1)  # noqa: S311 - Of a simulation.
    busy = sum(took_s) / seconds
    met = iter(chance.choices(took_s, weights=took_s, k=_DRAWS * calls))
    own = iter(chance.choices(took_s, k=_DRAWS * calls))

    def call() -> float:
        left = next(met) * chance.random()
        return next(own) + (left if chance.random() < busy else 0.0)

    return quantile((sum(call() for _ in range(calls)) for _ in range(_DRAWS)), 0.99)


class Times:
    """Spans of time, joined where they overlap."""

    def __init__(self, spans: Iterable[Sequence[float]]) -> None:
        self._starts: list[float] = []
        self._ends: list[float] = []
        for start, end in sorted((start, end) for start, end in spans):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def split(self, spans: Iterable[Sequence[float]]) -> tuple[float, list[tuple[float, float]]]:
        """Return how much of spans is in these, in seconds, and what is not."""
        inside = 0.0
        left: list[tuple[float, float]] = []
        for start, end in spans:
            at, position = bisect.bisect_right(self._ends, start), start
            while at < len(self._starts) and self._starts[at] < end:
                first, last = max(self._starts[at], position), min(self._ends[at], end)
                if first > position:
                    left.append((position, first))
                inside += last - first
                position = last
                at += 1
            if position < end:
                left.append((position, end))
        return inside, left


class Reasons:
    """What hinders calls, the first that is the case of it at each moment."""

    def __init__(self, sample: Sample, notes: OfQ) -> None:
        names = sample.names(notes)
        everywhere = [
            (
                "a core stood still",
                Times(
                    span
                    for core, probe in sample.probes.items()
                    if core != "any"
                    for span in probe["late"]
                ),
            ),
            ("garbage collection", Times(notes["spans"].get("garbage collection", []))),
        ]
        self._of_stage = {
            stage: [
                *everywhere,
                *(
                    (title, Times(_spans(sample, [names[each] for each in threads], what)))
                    for title, what in (
                        ("no core to be had", "waits"),
                        ("sync", "syncs"),
                        ("works", "runs"),
                    )
                ),
            ]
            for stage, threads in STAGES
        }

    def add(self, stage: str, start: float, end: float, sums: dict[str, float]) -> None:
        """Add up the seconds of a stay by what hindered it."""
        left = [(start, end)] if end > start else []
        for why, times in self._of_stage[stage]:
            inside, left = times.split(left)
            sums[why] = sums.get(why, 0.0) + inside
        sums["else"] = sums.get("else", 0.0) + sum(last - first for first, last in left)


def _spans(sample: Sample, threads: Sequence[int], what: str) -> Iterator[tuple[float, float]]:
    for thread in threads:
        yield from sample.kernel.get((thread, what), [])


def operations(sample: Sample, notes: OfQ) -> list[Operation]:
    """Tell for each operation of a run for how long it was where, and what hindered it there."""
    generator, reasons = sample.generator, Reasons(sample, notes)
    sent, received = generator["sent"], generator["received"]
    found = []
    for number in range(len(received) // 2):
        is_lease = number % 2 == 1
        due = since = generator["began"] + number / generator["rate"]
        stays: dict[str, dict[str, float]] = {stage: {} for stage, _ in STAGES}
        for call in (call_of(number), call_of(number, is_ack=True))[: 1 + is_lease]:
            stations = notes["calls"].get(str(generator["base"] + call))
            if not stations or not received[call]:
                break
            passed = [since, sent[call], *stations, received[call]]
            for at in range(len(passed) - 2, 0, -1):
                # One that it did not pass.
                passed[at] = passed[at] or passed[at + 1]
            for (stage, _), (start, end) in zip(STAGES, pairwise(passed), strict=True):
                reasons.add(stage, start, end, stays[stage])
            since = received[call]
        else:
            found.append(Operation("lease" if is_lease else "add", since - due, stays))
    return found
