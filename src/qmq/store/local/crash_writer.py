"""Writes numbers to a DISK store, and says which of them are acknowledged, until it is killed.

A program of its own, so that there is something to kill: `python -m` with a data directory and
the first number.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Final

from qmq.descriptions import QueueInfo
from qmq.ids import RandomIds
from qmq.model.queue import Queue
from qmq.store.local.disk import DiskStore
from qmq.values import Store

#: Messages under way at a time, so that commits hold one as well as many.
_IN_FLIGHT: Final = 16


async def write(path: Path, first: int, acknowledge: Callable[[int], None]) -> None:
    """Add one number after the other, for ever.

    Args:
        path: a data directory, made if it is missing.
        first: the first number.
        acknowledge: called with a number when it is on disk.

    Raises:
        QError: it cannot be written.
    """
    store = DiskStore.open(path)
    try:
        queue = await queue_in(store)
        numbers = count(first)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_IN_FLIGHT):
                tasks.create_task(_write(store, queue, numbers, acknowledge))
    finally:
        await store.close()


async def queue_in(store: DiskStore) -> Queue:
    """Return the only queue of a store, made if it is missing."""
    if store.queues:
        return store.queues[0]
    created_ns = time.time_ns()
    info = QueueInfo(id=RandomIds()().decode(), created_ns=created_ns, store=Store.DISK)
    queue = Queue(1, info)
    await store.new_queue(queue)
    return queue


async def _write(
    store: DiskStore, queue: Queue, numbers: Iterator[int], acknowledge: Callable[[int], None]
) -> None:
    for number in numbers:
        await store.add(queue, b"%d" % number, time.time_ns())
        acknowledge(number)


def say(number: int) -> None:
    """Write a number to standard output at once."""
    os.write(1, b"%d\n" % number)


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2]), say))
