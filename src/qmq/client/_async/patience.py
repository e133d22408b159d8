"""Waiting for longer than one call, or one server, lasts."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from qmq.client._async.connection import AsyncConnection
from qmq.client.errors import DeadlineExceeded, Overloaded, Unavailable
from qmq.client.on_asyncio.concurrency import sleep
from qmq.limits import WAIT_S_MAX

R = TypeVar("R")

_log = logging.getLogger("qmq.client")


def next_turn(wait_s: float | None) -> tuple[float, float | None]:
    """Divide a wait into what one call may wait, and the rest. None is for ever."""
    if wait_s is None:
        return float(WAIT_S_MAX), None
    turn_s = min(wait_s, float(WAIT_S_MAX))
    return turn_s, wait_s - turn_s


async def outlast(
    connection: AsyncConnection, queue_id: str, call: Callable[[], Awaitable[R]]
) -> R:
    """Make a call that waits for a queue until there is an answer, whatever becomes of servers.

    Raises QmqError, but none that says that the server is unavailable or overloaded.
    """
    pauses_s = None
    while True:
        try:
            result = await call()
        except (Unavailable, Overloaded, DeadlineExceeded) as error:
            if pauses_s is None:
                _log.warning("waiting for queue %s: %s; trying again", queue_id, error)
                pauses_s = connection.retry.pauses_s()
            pause_s = max(next(pauses_s), error.retry_after_s or 0.0)
        else:
            if pauses_s is not None:
                _log.info("waiting for queue %s: the server is back", queue_id)
            return result
        await sleep(pause_s)
