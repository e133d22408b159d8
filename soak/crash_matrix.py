"""Crashes at every write and every sync, and what is there after each.

    make crash-matrix
    make crash-matrix ARGS='--script lease --fault torn --point 118 --seed 7'

Scripts (tests/store/crash_scripts.py) are played on a machine that remembers what was written and
synced when. Then, for each script and each point of it, q starts on what may be on disk there
(tests/store/crash_points.py): after the loss of power, when of what was not synced nothing has
survived, or some writes, or some sectors of 512 bytes of them; after a kill; and when a write or
sync fails with an error of the device, or for want of room, which is given back later. What is
found must be what was answered, with the call that was under way or without it.

It prints a table in Markdown, and of each failure what to type to see it again.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.store.crash_points import (
    FAULTS,
    KINDS,
    POWER,
    Outcome,
    Recording,
    check_failing,
    check_point,
    numbers,
    points,
    record,
)
from tests.store.crash_scripts import SCRIPTS, Script

_BETWEEN_LINES_S: Final = 10.0

#: Failures of one script and fault that are printed in full.
_TOLD_MAX: Final = 3

#: Characters of each.
_TEXT_MAX: Final = 2_000

_HEADS: Final = {
    "lost": "power: nothing unsynced",
    "subset": "power: some writes",
    "torn": "power: some sectors",
    "kill": "kill",
    "eio": "device errors",
    "enospc": "no room",
}


class Matrix:
    """The table: crash points by script and fault, and what went wrong."""

    def __init__(
        self, root: Path, seed: int, scripts: Mapping[str, Script] = SCRIPTS, sample: int = 0
    ) -> None:
        """Make an empty one.

        Args:
            root: a directory for what is on disk.
            seed: decides what survives, and which points are tried if not all are.
            scripts: what is played, by name.
            sample: how many points of each script and fault are tried; 0 for all.
        """
        self._root = root
        self._seed = seed
        self._scripts = scripts
        self._sample = sample
        #: How many points were tried, by script and fault.
        self.tried: Counter[tuple[str, str]] = Counter()
        #: What went wrong, by fault and kind.
        self.wrong: Counter[tuple[str, str]] = Counter()
        self._told: Counter[tuple[str, str]] = Counter()
        self._told_s = time.monotonic()

    def run(
        self, names: Sequence[str], faults: Sequence[str], only_point: int | None = None
    ) -> None:
        """Try points of scripts.

        Args:
            names: which scripts.
            faults: which faults, of `FAULTS`.
            only_point: the number of the only one to try; None for all.
        """
        for name in names:
            recording = asyncio.run(record(self._root / "data", self._scripts[name]))
            for fault in faults:
                for number, outcome in self._outcomes(name, recording, fault, only_point):
                    self._note(name, fault, number, outcome)

    def _outcomes(
        self, name: str, recording: Recording, fault: str, only_point: int | None
    ) -> Iterator[tuple[int, Outcome | None]]:
        """Try points of a script, and tell their numbers and what went wrong."""
        chosen = self._chosen(name, recording, fault) if only_point is None else [only_point]
        if fault in POWER:
            image = self._root / "image"
            image.mkdir(exist_ok=True)
            for point in points(recording, fault, self._seed, frozenset(chosen)):
                yield point.number, check_point(recording, point, image)
            return
        for number in chosen:
            outcome = asyncio.run(check_failing(recording, fault, number, self._root / "data"))
            yield number, outcome

    def _chosen(self, name: str, recording: Recording, fault: str) -> Sequence[int]:
        """Return the numbers of the points to try."""
        all_numbers = numbers(recording, fault)
        if not self._sample or self._sample >= len(all_numbers):
            return all_numbers
        chance = random.Random(f"{self._seed}/{name}/{fault}")
        return sorted(chance.sample(all_numbers, self._sample))

    def _note(self, name: str, fault: str, number: int, outcome: Outcome | None) -> None:
        self.tried[name, fault] += 1
        if outcome:
            self.wrong[fault, outcome.kind] += 1
            self._told[name, fault] += 1
            if self._told[name, fault] <= _TOLD_MAX:
                print(
                    f"{outcome.kind}: {outcome.text[:_TEXT_MAX]}\n  again: make crash-matrix"
                    f" ARGS='--script {name} --fault {fault} --point {number}"
                    f" --seed {self._seed}'",
                    flush=True,
                )
        now_s = time.monotonic()
        if now_s - self._told_s >= _BETWEEN_LINES_S:
            self._told_s = now_s
            total, wrong = self.tried.total(), self.wrong.total()
            print(f"{total:,} points, {wrong:,} went wrong; at {name}, {fault}", flush=True)

    def table(self) -> str:
        """Return it in Markdown."""
        faults = [fault for fault in FAULTS if any(each == fault for _, each in self.tried)]
        names = list(dict.fromkeys(name for name, _ in self.tried))
        rows = [
            ["crash points", *(_HEADS[fault] for fault in faults)],
            ["---", *("---:" for _ in faults)],
            *(
                [f"`{name}`", *(f"{self.tried[name, fault]:,}" for fault in faults)]
                for name in names
            ),
            [
                "**all**",
                *(f"**{sum(self.tried[name, fault] for name in names):,}**" for fault in faults),
            ],
            *([f"{kind}", *(f"{self.wrong[fault, kind]:,}" for fault in faults)] for kind in KINDS),
        ]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments, and try.

    Returns:
        The status to exit with: 1 if something went wrong.
    """
    parser = argparse.ArgumentParser(description="Crash q at every write and every sync.")
    parser.add_argument("--script", choices=SCRIPTS, action="append", help="by default, all")
    parser.add_argument("--fault", choices=FAULTS, action="append", help="by default, all")
    parser.add_argument("--point", type=int, help="the number of the only one to try")
    parser.add_argument("--seed", type=int, default=1, help="decides what survives")
    parser.add_argument("--sample", type=int, default=0, help="points of each script and fault")
    asked = parser.parse_args(arguments)
    # Where it is in memory, a sync takes no time; what is synced is remembered all the same.
    shared = Path("/dev/shm")  # noqa: S108 - The directory within it is made for us alone.
    root = Path(tempfile.mkdtemp(prefix="q-crashes-", dir=shared if shared.is_dir() else None))
    try:
        matrix = Matrix(root, asked.seed, sample=asked.sample)
        matrix.run(asked.script or list(SCRIPTS), asked.fault or FAULTS, asked.point)
    finally:
        shutil.rmtree(root)
    total = matrix.tried.total()
    print(f"\n{matrix.table()}\n\n{total:,} crash points, seed {asked.seed}", flush=True)
    return bool(matrix.wrong) or not total


if __name__ == "__main__":
    sys.exit(main())
