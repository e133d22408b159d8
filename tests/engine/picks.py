"""Messages that are deleted and moved by their ids, and what is said of each, in plain values."""

from collections.abc import Sequence

from qmq.engine.broker import Broker
from qmq.engine.picking import Moved, Result
from qmq.errors import QError

#: How a result reads of a message that was deleted, or moved, or was moved before.
DONE, MOVED, WAS_THERE = "", "moved", "was there"


def said(results: Sequence[Result]) -> list[str]:
    """Return what is said of each message: the reason of why it was left alone, or how it went."""
    return [
        result.reason
        if isinstance(result, QError)
        else (WAS_THERE if result.was_there else MOVED)
        if isinstance(result, Moved)
        else DONE
        for result in results
    ]


async def delete(broker: Broker, *ids: str, queue: str = "jobs", leased: bool = False) -> list[str]:
    """Delete messages."""
    return said(await broker.picking.delete(queue, ids, leased=leased))


async def move(
    broker: Broker, *ids: str, queue: str = "jobs", to: str = "other", leased: bool = False
) -> list[str]:
    """Move messages."""
    return said(await broker.picking.move(queue, ids, to, leased=leased))
