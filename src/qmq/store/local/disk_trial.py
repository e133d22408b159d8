"""How fast a disk syncs, and how many commits of q's it can do."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from qmq.model.queue import Queue
from qmq.store.local.crash_writer import queue_in
from qmq.store.local.disk import DiskStore

#: What is written between two syncs.
_BLOCK: Final = bytes(4096)
#: Blocks after which the file is written again from its begin, as a log is.
_BLOCKS: Final = 4096
#: Messages under way at a time when many are.
MANY: Final = 64

#: Seconds between two words about the progress.
_TOLD_EVERY_S: Final = 0.1

#: macOS has none that leaves out the time of the last change.
_sync_data: Final[Callable[[int], None]] = getattr(os, "fdatasync", os.fsync)


class Syncs(NamedTuple):
    """How long syncs took, in seconds."""

    total: int
    p50_s: float
    p99_s: float
    max_s: float


def measure_syncs(directory: Path, for_s: float, on_progress: Callable[[float], None]) -> Syncs:
    """Write 4 KiB to a file and sync it, again and again.

    Args:
        directory: where to make the file, which stays there.
        for_s: seconds for which to go on.
        on_progress: called with the seconds that have passed.

    Raises:
        OSError: it cannot be written.
    """
    took: list[float] = []
    with (directory / "syncs").open("xb", buffering=0) as file:
        start = told = time.perf_counter()
        while (before := time.perf_counter()) - start < for_s:
            os.pwrite(file.fileno(), _BLOCK, len(took) % _BLOCKS * len(_BLOCK))
            _sync_data(file.fileno())
            after = time.perf_counter()
            took.append(after - before)
            if after - told > _TOLD_EVERY_S:
                told = after
                on_progress(after - start)
    took.sort()
    return Syncs(len(took), took[len(took) // 2], took[len(took) * 99 // 100], took[-1])


async def count_adds(directory: Path, in_flight: int, for_s: float) -> float:
    """Return how many messages a second a DISK store adds, with so many under way at a time.

    Args:
        directory: a data directory, made if it is missing.
        in_flight: how many calls there are at a time; each waits until it is synced.
        for_s: seconds for which to go on.

    Raises:
        QError: it cannot be written.
    """
    store = DiskStore.open(directory)
    try:
        queue = await queue_in(store)
        before, start = queue.message_count, time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(in_flight):
                tasks.create_task(_add_until(store, queue, start + for_s))
        return (queue.message_count - before) / (time.perf_counter() - start)
    finally:
        await store.close()


async def _add_until(store: DiskStore, queue: Queue, end: float) -> None:
    while time.perf_counter() < end:
        await store.add(queue, bytes(64), time.time_ns())
