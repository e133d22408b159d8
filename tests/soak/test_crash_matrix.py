"""Some of the crash matrix, another part each time, and that it finds what goes wrong."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from crash_matrix import Matrix
from tests.store.crash_points import (
    FAULTS,
    KILL,
    LOSS,
    LOST,
    check_failing,
    check_point,
    points,
    record,
)
from tests.store.crash_scripts import SCRIPTS

#: Of each script and fault; `make crash-matrix` tries all.
_SAMPLE = 8


@pytest.mark.parametrize("script", SCRIPTS)
def test_nothing_is_lost_doubled_or_unclear(script: str, tmp_path: Path, any_seed: int) -> None:
    """Wherever power is lost, a process killed, or a write or sync fails."""
    matrix = Matrix(tmp_path, any_seed, sample=_SAMPLE)

    matrix.run([script], FAULTS)

    assert matrix.tried.total() > _SAMPLE * len(FAULTS) // 2
    assert matrix.wrong == {}


def test_answer_before_its_sync_is_found(tmp_path: Path) -> None:
    """A server that answered too early would lose what it answered."""
    recording = asyncio.run(record(tmp_path / "data", SCRIPTS["add-pop"]))
    unsynced = [step for step in recording.steps if step.verb != "sync"]
    hasty = replace(recording, steps=unsynced)
    (image := tmp_path / "image").mkdir()

    found = [check_point(hasty, point, image) for point in points(hasty, LOST, 1)]

    assert LOSS in {outcome.kind for outcome in found if outcome}


def test_same_point_comes_again(tmp_path: Path) -> None:
    """After the same calls. What is in the log differs by random numbers of SQLite's."""
    script = SCRIPTS["sweep"]
    first = asyncio.run(record(tmp_path / "data", script))
    again = asyncio.run(record(tmp_path / "data", script))

    places = [(point.number, point.answered) for point in points(first, KILL, 1)]
    assert places == [(point.number, point.answered) for point in points(again, KILL, 1)]
    assert asyncio.run(check_failing(first, "eio", 50, tmp_path / "data")) is None
