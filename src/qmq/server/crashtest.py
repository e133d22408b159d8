"""`q crashtest`: what a disk does, and whether it keeps what it says."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from qmq.errors import DataDirectoryError, QError
from qmq.store.local.crash_rounds import kill_a_writer, lost_of
from qmq.store.local.crash_writer import say, write
from qmq.store.local.disk_trial import MANY, Syncs, count_adds, measure_syncs
from qmq.store.local.filesystem import file_system_of

#: What was written for a power failure to come, in the directory that is tried.
WRITTEN: Final = "q-crashtest"

#: Seconds of a median below which no disk was asked: the fastest that keep what they have without
#: power take about as long for a write alone, besides the way through the kernel.
_FAST_S: Final = 20e-6

_SYNCS_S: Final = 5.0
_ADDS_S: Final = 1.5
_ROUNDS: Final = 5
#: More numbers than a round writes.
_NUMBERS: Final = 10_000_000
#: Lost numbers that are named.
_NAMED: Final = 5

_POWER = (
    "kill -9 leaves the system running, so this says nothing about a power failure. To try that:\n"
    "  1. On another machine: ssh HOST q crashtest {0} --write > acknowledged.txt\n"
    "  2. Pull the plug of HOST, and start it again.\n"
    "  3. ssh HOST q crashtest {0} --verify - < acknowledged.txt"
)


_T = TypeVar("_T")


def try_disk(
    directory: Path,
    show: Callable[[str], None],
    warn: Callable[[str], None],
    on_progress: Callable[[float], None],
) -> bool:
    """Measure the disk under a directory, and kill writers on it; leave nothing there.

    Args:
        directory: an existing directory.
        show: called with each line of what was found.
        warn: called with each thing that is not as it should be.
        on_progress: called with the share that is done of what takes longest.

    Returns:
        Whether all that was acknowledged was there.

    Raises:
        DataDirectoryError: nothing can be written there.
    """
    with ExitStack() as undo:
        try:
            place = Path(tempfile.mkdtemp(prefix=".q-crashtest.", dir=directory))
            undo.callback(shutil.rmtree, place, ignore_errors=True)
            _show_file_system(directory, show, warn)
            syncs = measure_syncs(
                place, _SYNCS_S, lambda passed_s: on_progress(passed_s / _SYNCS_S)
            )
        except OSError as error:
            raise DataDirectoryError(f"cannot write to {directory}: {error.strerror}") from error
        _show_syncs(syncs, show, warn)
        one = _run(count_adds(place / "adds", 1, _ADDS_S))
        many = _run(count_adds(place / "adds", MANY, _ADDS_S))
        show(
            f"q's commits, synced: {one:,.0f}/s one after the other;"
            f" {many:,.0f} messages/s with {MANY} under way"
        )
        acknowledged: list[int] = []
        for each in range(_ROUNDS):
            acknowledged += kill_a_writer(place / "killed", each * _NUMBERS)
            lost = _lost(place / "killed", acknowledged, show)
            if lost:
                show(f"kill -9, round {each + 1}: {lost}")
                return False
        show(
            f"kill -9, {_ROUNDS} rounds: all of {len(acknowledged):,} acknowledged messages are"
            " there"
        )
    show(_POWER.format(directory))
    return True


def write_until_killed(directory: Path) -> None:
    """Write the numbers of messages to standard output, each when it is on disk.

    It ends with the power, when it is killed or interrupted, or when nobody reads any more.

    Raises:
        DataDirectoryError: there is what another such run has written, or it cannot be written.
    """
    place = directory / WRITTEN
    if place.exists():
        raise DataDirectoryError(
            f"{place} is there, from another run: give its numbers to --verify, or remove it"
        )
    if not directory.is_dir():
        raise DataDirectoryError(f"{directory} is no directory")
    with suppress(KeyboardInterrupt):
        _run(write(place, 1, say))


def verify(directory: Path, lines: Iterable[str], show: Callable[[str], None]) -> bool:
    """Return whether all numbers that were written are there; if so, remove them.

    Raises:
        DataDirectoryError: the lines are none that `write_until_killed` writes.
    """
    acknowledged = _numbers(lines)
    place = directory / WRITTEN
    if not place.exists():
        show(
            f"lost: all {len(acknowledged):,} acknowledged messages; there is no {place}, which was"
            " on disk before the first number was written (unless that was another directory)"
        )
        return False
    if lost := _lost(place, acknowledged, show):
        show(f"{lost}. What is there stays in {place}")
        return False
    shutil.rmtree(place, ignore_errors=True)
    show(f"all of {len(acknowledged):,} acknowledged messages are there")
    return True


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run what writes; of the tasks that failed at the same time, one says why.

    Raises:
        DataDirectoryError: nothing can be written.
    """
    try:
        return asyncio.run(work)
    except* (QError, OSError) as failed:
        reasons = failed.exceptions
        while isinstance(reason := reasons[0], BaseExceptionGroup):
            reasons = reason.exceptions
    raise DataDirectoryError(f"cannot write: {reason}")


def _lost(place: Path, acknowledged: list[int], show: Callable[[str], None]) -> str:
    """Say what of that is lost; an empty text if nothing is."""
    try:
        lost = lost_of(place, acknowledged)
    except DataDirectoryError as error:
        show(error.message)
        return f"lost: all {len(acknowledged):,} acknowledged messages"
    if not lost:
        return ""
    named = ", ".join(map(str, lost[:_NAMED])) + (", …" if len(lost) > _NAMED else "")
    return f"lost: {len(lost):,} of {len(acknowledged):,} acknowledged messages: {named}"


def _numbers(lines: Iterable[str]) -> list[int]:
    numbers: list[int] = []
    for number, line in enumerate(lines, 1):
        # The last one may have been cut off.
        if line.endswith("\n"):
            if not line.strip().isdecimal():
                raise DataDirectoryError(f"line {number} is no number: {line.strip()[:80]!r}")
            numbers.append(int(line))
    if not numbers:
        raise DataDirectoryError("there is no number in what --write has written")
    return numbers


def _show_file_system(
    directory: Path, show: Callable[[str], None], warn: Callable[[str], None]
) -> None:
    if found := file_system_of(directory):
        show(f"{directory} is on {found.kind}, {found.device}, mounted at {found.mounted_at}")
        for warning in found.warnings():
            warn(warning)
    elif sys.platform == "linux":
        warn("what file system it is on cannot be found out: /proc is not there")


def _show_syncs(syncs: Syncs, show: Callable[[str], None], warn: Callable[[str], None]) -> None:
    p50, p99, longest = (f"{1e3 * each:.2f} ms" for each in syncs[1:])
    show(f"fsync of 4 KiB: p50 {p50}, p99 {p99}, max {longest}, of {syncs.total:,}")
    if syncs.p50_s < _FAST_S:
        warn(
            f"a median below {1e3 * _FAST_S:g} ms means that no disk was asked: this is memory, a"
            " virtual disk that lies, or a library like eatmydata; a power failure may lose"
            " what was acknowledged"
        )
