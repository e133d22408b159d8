"""What tests of selectors use: queues of the team mail, and callers of Lease on all of them."""

import asyncio
from typing import Any, Final

from qmq.engine.broker import Broker
from qmq.values import Tag
from qmq.wire import q_pb2 as pb
from tests.engine.callers import LONG_S, turns
from tests.engine.servers import Server, settings
from tests.leased import leased_messages
from tests.store.disk import WAIT_S

MAIL: Final = Tag("team", "mail")


async def new_queue(server: Server, name: str, *tags: Tag, **given: Any) -> str:  # noqa: ANN401 - As the settings are.
    """Make a queue of the team mail, or one with other tags; return its id."""
    info = await server.broker.new_queue(
        server.kind, name=name, tags=tags or (MAIL,), settings=settings(**given)
    )
    return info.id


async def add(server: Server, name: str, *payloads: bytes) -> None:
    """Put messages into a queue, all at once."""
    await server.broker.add_batch(name, [(b"", payload) for payload in payloads])
    await turns()


async def lease(server: Server, count: int = 1, selector: str = "team=mail") -> list[bytes]:
    """Lease messages, and return their payloads."""
    leased, _ = await server.broker.selecting.lease(selector, count, wait_s=0.0, is_gone=None)
    return [each.message.payload for each in leased_messages(leased)]


class Waiter:
    """One who waits by a selector for messages on lease, and may leave."""

    def __init__(
        self, broker: Broker, selector: str = "team=mail", *, count: int = 1, wait_s: float = LONG_S
    ) -> None:
        self.is_gone = False
        #: Not set while it takes long to find out that it is still there.
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self._task = asyncio.ensure_future(
            broker.selecting.lease(selector, count, wait_s=wait_s, is_gone=self._is_gone)
        )
        # Not every test asks what it was told.
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _is_gone(self) -> bool:
        await self.may_go_on.wait()
        return self.is_gone

    @property
    def is_waiting(self) -> bool:
        """Whether it has no answer yet."""
        return not self._task.done()

    async def messages(self) -> list[pb.LeasedMessage]:
        """Return what it is handed out, once that is durable."""
        async with asyncio.timeout(WAIT_S):
            leased, _ = await asyncio.shield(self._task)
        return leased_messages(leased)

    async def payloads(self) -> list[bytes]:
        """Return the payloads of that."""
        return [each.message.payload for each in await self.messages()]

    @property
    def error(self) -> BaseException | None:
        """What it was told instead."""
        return None if self._task.cancelled() else self._task.exception()

    @property
    def is_cancelled(self) -> bool:
        """Whether the call was ended from outside."""
        return self._task.cancelled()

    def cancel(self) -> None:
        """End the call from outside."""
        self._task.cancel()


async def waiters(server: Server, *selectors: str) -> list[Waiter]:
    """Let some wait, one after the other."""
    found = []
    for selector in selectors:
        found.append(Waiter(server.broker, selector))
        await turns()
    assert all(each.is_waiting for each in found)
    return found
