"""The service on a broker in memory, called with messages instead of bytes."""

import asyncio
from typing import Any

import pytest

from qmq.engine.broker import Broker
from qmq.errors import InvalidArgument
from qmq.store.base import QueueStore
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.transport.api import api_methods
from qmq.values import Durability, Store
from qmq.wire import q_pb2 as pb


class Service:
    """All methods of one server that do not stream, and time in the test's hand."""

    def __init__(self, disk: QueueStore | None = None) -> None:
        """Make a server without queues.

        Args:
            disk: the store DISK; None stands for one that is in memory in truth.
        """
        self.clock = ManualClock()
        self.broker = Broker(
            {
                Store.MEMORY: MemoryStore(),
                Store.DISK: disk or MemoryStore(durability_max=Durability.FSYNC),
            },
            clock=self.clock,
            timer=self.clock,
            new_id=seeded_ids(),
            chance=lambda: 0.0,
        )
        self._methods = api_methods(self.broker)
        #: Whether the caller of every call has left.
        self.is_gone = False

    async def _is_gone(self) -> bool:
        return self.is_gone

    async def call(
        self,
        name: str,
        /,
        *,
        limit_s: float | None = None,
        **fields: Any,  # noqa: ANN401 - As the messages have them.
    ) -> Any:  # noqa: ANN401 - Likewise.
        """Call a method, with a deadline if one is given, and return its reply."""
        request = getattr(pb, f"{name}Request")(**fields).SerializeToString()
        path = f"/proto.Q/{name}"
        if method := self._methods.unary.get(path):
            reply = await method(request)
        else:
            reply = await self._methods.waiting[path](request, self._is_gone, limit_s)
        found = getattr(pb, f"{name}Response").FromString(reply)
        # Another encoding of the same would be read by all, but not be what protobuf writes. Only
        # what makes a dead letter is written in full, since it may stand behind an earlier one.
        assert found.SerializeToString() == reply or "dead_letter {" in str(found)
        return found

    async def add(self, *payloads: bytes, queue_id: str = "jobs") -> list[pb.Metadata]:
        """Add messages."""
        messages = [pb.NewMessage(payload=payload) for payload in payloads]
        return list((await self.call("AddBatch", queue_id=queue_id, messages=messages)).messages)

    async def payloads(self, queue_id: str = "jobs") -> list[bytes]:
        """Pop what a queue has ready."""
        reply = await self.call("PopBatch", queue_id=queue_id, messages_max=1_000)
        return [message.payload for message in reply.messages]


async def refusal_of(call: object) -> InvalidArgument:
    """Return the refusal of a call that breaks a rule."""
    assert asyncio.iscoroutine(call)
    with pytest.raises(InvalidArgument) as refusal:
        await call
    return refusal.value
