"""How two features of a queue go together: one test for each pair, which says so in its docstring.

`docs/feature-pairs.md` says the same to those who use q.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from qmq.model.redrive import Redrive, RedriveRequest
from qmq.wire import q_pb2 as pb
from tests.engine.callers import turns
from tests.engine.consumers import add, lease, reject
from tests.engine.servers import Server

#: In the order of the table.
FEATURES: Final = (
    *("delay", "ttl", "priority", "dedup", "group", "fair_key", "limits", "leased_max", "rate"),
    *("leases", "pause", "purge", "redrive", "browse", "by_id"),
)

#: A test that is given a server with the queue "jobs", whose dead letters go to "dead".
Cell = Callable[[Server], Awaitable[None]]

CELLS: Final[dict[tuple[str, str], Cell]] = {}


def cell(first: str, second: str) -> Callable[[Cell], Cell]:
    """Make a function the test of a pair, the one first that comes first in the table."""

    def note(test: Cell) -> Cell:
        assert FEATURES.index(first) < FEATURES.index(second)
        assert (first, second) not in CELLS
        CELLS[first, second] = test
        return test

    return note


async def dead_letter(server: Server, payload: bytes) -> None:
    """Add a message to the queue "jobs", which is empty, and reject it."""
    await add(server.broker, payload)
    await reject(server.broker, *await lease(server.broker))


async def redriven(server: Server, target: str = "") -> Redrive:
    """Move all dead letters back, or to some queue, and tell how that went."""
    request = RedriveRequest(queue_id="dead", target_queue_id=target)
    redrive = await server.broker.redriving.start(request)
    return await ended(server, redrive.id)


async def ended(server: Server, redrive_id: str) -> Redrive:
    """Wait until a redrive has ended, or something stands in its way."""
    async with asyncio.timeout(10):
        while True:
            redrive = await server.broker.redriving.get(redrive_id)
            if not redrive.is_running or redrive.obstacle:
                return redrive
            await turns()


async def popped(server: Server, queue: str = "jobs") -> list[pb.Message]:
    """Take all messages that can be handed out."""
    return list(map(pb.Message.FromString, await server.broker.pop_batch(queue, 1_000)))
