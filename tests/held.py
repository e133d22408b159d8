"""What stores have read, made up by a test."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qmq.model.queue import Queue


@dataclass(frozen=True)
class MadeUp:
    """It is a `qmq.store.base.Held`."""

    queues: Sequence[Queue]
    last_queue_number: int
    redrives: Iterable[tuple[str, str]] = ()
    schedules: Iterable[tuple[str, str]] = ()
