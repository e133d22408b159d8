"""Goes through all points, on one system after the other, and tells how far it is."""

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, NamedTuple

from servers import Running
from suite import machine
from suite.measure import Session, Skipped
from suite.results import Result
from suite.scenarios import Point, System, unsupported
from suite.systems import Missing
from suite.wires.wire import WireError

Start = Callable[[System, Path], AbstractContextManager[Running]]

#: A first guess of what a server takes to start and stop; what was seen corrects it.
_START_S: Final = {"rabbitmq": 10.0}
_START_S_OTHERS: Final = 2.0
#: Making queues, filling them and starting generators, beside the time that is measured.
_AROUND_S: Final = 1.0


class Step(NamedTuple):
    """Points that are measured on one start of a server."""

    repetition: int
    points: list[Point]
    system: System

    def expected_s(self, seconds: float) -> float:
        """Guess how long it takes."""
        fills = sum(point.depth for point in self.points) / 50_000
        start = _START_S.get(self.system.server, _START_S_OTHERS)
        return start + fills + len(self.points) * (2 * seconds + _AROUND_S)


def steps(
    sessions: Sequence[Sequence[Point]], systems: Sequence[System], repetitions: int
) -> list[Step]:
    """Order what is to be done: systems take turns, and begin with another in each repetition."""
    found = []
    for repetition in range(repetitions):
        first = repetition % len(systems)
        for session in sessions:
            for system in (*systems[first:], *systems[:first]):
                points = [point for point in session if not unsupported(point, system.server)]
                if points:
                    found.append(Step(repetition, points, system))
    return found


class Runner:
    """Does all steps and keeps what is found in a result."""

    def __init__(self, result: Result, start: Start, scratch: Path, *, generators: int = 1) -> None:
        self._result = result
        self._start = start
        self._scratch = scratch
        self._generators = generators
        self._began = time.monotonic()
        self._todo_s = 1.0
        self._done_s = 0.0

    def run(self, todo: Sequence[Step], unfinished: Path | None = None) -> None:
        """Do the steps.

        Args:
            todo: the steps.
            unfinished: where the result is written after each, lest an abort loses all.
        """
        self._todo_s = sum(step.expected_s(self._result.seconds) for step in todo)
        self._result.fsync["start"] = machine.fsync(self._scratch)
        for number, step in enumerate(todo, 1):
            families = "+".join(dict.fromkeys(point.family for point in step.points))
            title = f"[{number}/{len(todo)}] {step.repetition + 1} {step.system.name} {families}"
            self._say(f"{title}, {self._left()} left")
            if step.system.name not in self._result.missing:
                self._step(step)
            self._done_s += step.expected_s(self._result.seconds)
            if unfinished:
                self._result.write(unfinished)
        self._result.fsync["end"] = machine.fsync(self._scratch)

    def _step(self, step: Step) -> None:
        directory = self._scratch / step.system.name
        fsync_ms = machine.fsync(self._scratch).p50_ms
        try:
            with self._start(step.system, directory) as server:
                self._result.versions[step.system.server] = server.version
                session = Session(
                    step.system, server, fsync_ms=fsync_ms, generators=self._generators
                )
                session.warm_up()
                for point in step.points:
                    self._point(session, step.system, point)
        except (Missing, RuntimeError, WireError, OSError) as error:
            self._result.missing[step.system.name] = str(error)
            self._say(f"  {step.system.name} is left out: {error}")
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _point(self, session: Session, system: System, point: Point) -> None:
        series = self._result.of(system.name, point)
        if series.failure:
            return
        try:
            run = session.run(point, self._result.seconds)
        except (Skipped, WireError, OSError) as error:
            series.failure = str(error)
            self._say(f"  {point.key}: {error}")
        else:
            series.runs.append(run)

    def _left(self) -> str:
        took_s = time.monotonic() - self._began
        pace = took_s / self._done_s if self._done_s else 1.0
        left_s = (self._todo_s - self._done_s) * pace
        return f"{left_s / 60:.0f} min" if left_s > 90 else f"{left_s:.0f} s"  # noqa: PLR2004

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)
