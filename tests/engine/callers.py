"""Callers that wait for messages, with time in the test's hand."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from qmq.engine.broker import Broker
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import Store
from qmq.wire import q_pb2 as pb

#: The longest that a caller waits, in seconds.
LONG_S = 60.0


async def turns(count: int = 20) -> None:
    """Let everything that can go on go on."""
    for _ in range(count):
        await asyncio.sleep(0)


def payload_of(envelope: bytes) -> bytes:
    """Return what is in a message."""
    return pb.Message.FromString(envelope).payload


class Caller:
    """One who asks for messages of the queue "jobs", and may leave while it waits."""

    def __init__(
        self,
        broker: Broker,
        *,
        wait_s: float = LONG_S,
        messages_max: int = 0,
        slowness: int = 0,
    ) -> None:
        """Ask, by Pop or, for `messages_max` messages, by PopBatch.

        It takes as many turns of the event loop as its slowness to find out that this
        caller is still there.
        """
        self.is_gone = False
        self.slowness = slowness
        call: Coroutine[Any, Any, bytes | list[bytes]]
        if messages_max:
            call = broker.pop_batch("jobs", messages_max, wait_s, self._is_gone)
        else:
            call = broker.pop("jobs", wait_s, self._is_gone)
        self._task = asyncio.ensure_future(call)
        # Not every test asks what a caller was told.
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _is_gone(self) -> bool:
        await turns(self.slowness)
        return self.is_gone

    @property
    def is_waiting(self) -> bool:
        """Whether it has no answer yet."""
        return not self._task.done()

    @property
    def payloads(self) -> list[bytes]:
        """The payloads of the messages that it was given."""
        result = self._task.result()
        return list(map(payload_of, result if isinstance(result, list) else [result]))

    @property
    def error(self) -> BaseException | None:
        """The error that it was told."""
        return None if self._task.cancelled() else self._task.exception()

    def cancel(self) -> None:
        """End the call from outside, as the end of the server does."""
        self._task.cancel()

    @property
    def is_cancelled(self) -> bool:
        """Whether the call was ended from outside."""
        return self._task.cancelled()


async def broker_with_jobs(
    clock: ManualClock, *, limit: int = -1, message_bytes_max: int = 100_000
) -> Broker:
    """Make a broker in memory, with the empty queue "jobs"."""
    broker = Broker(
        {Store.MEMORY: MemoryStore()},
        clock=clock,
        timer=clock,
        new_id=seeded_ids(),
        message_bytes_max=message_bytes_max,
    )
    await broker.new_queue(Store.MEMORY, name="jobs", limit=limit)
    return broker


async def waiting(broker: Broker) -> int:
    """Return how many calls wait for a message of the queue, as the broker tells."""
    ([stats], _) = await broker.stats("jobs", 0, "")
    return stats.waiting
