"""Removing messages whose envelopes turn out to be damaged."""

from collections.abc import Iterable, Iterator

from qmq.model.index import seq_of
from qmq.model.queue import Queue


def set_aside(queue: Queue, entries: Iterable[int]) -> Iterator[int]:
    """Leave messages out of a queue, so that what is behind them is handed out.

    Args:
        queue: the one that they are in, or were.
        entries: those that were handed out, and the one at the head.

    Yields:
        Those that were still there.
    """
    for entry in entries:
        if delivery := queue.leases.by_seq.get(seq_of(entry)):
            queue.leases.forget(delivery)
            yield entry
        elif queue.head() == entry:
            queue.take_out([entry])
            yield entry
