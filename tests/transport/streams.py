"""Consume streams on a broker in memory, called with messages instead of bytes."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from qmq.engine.broker import Broker
from qmq.errors import QError
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.transport.asgi import Event
from qmq.transport.consume_service import ConsumeService
from qmq.transport.framing import Deframer, frame
from qmq.transport.streams import Requests
from qmq.values import Durability, Store
from qmq.wire import q_pb2 as pb

Open = pb.ConsumeRequest.Open


class Client:
    """The client's end of a stream: what it sends, and whether it has left."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self.has_left = False

    def send(self, *requests: pb.ConsumeRequest) -> None:
        """Send requests, all in one piece."""
        self.send_bytes(b"".join(frame(request.SerializeToString()) for request in requests))

    def send_bytes(self, body: bytes, *, more_body: bool = True) -> None:
        """Send what may be no request."""
        self._events.put_nowait({"type": "http.request", "body": body, "more_body": more_body})

    def end(self) -> None:
        """Send nothing more."""
        self.send_bytes(b"", more_body=False)

    def leave(self) -> None:
        """Go away."""
        self.has_left = True
        self._events.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> Event:
        """Be read by the server."""
        return await self._events.get()


class Replies:
    """The server's end of a stream, whose replies the test takes when it wants to."""

    def __init__(self, broker: Broker, client: Client) -> None:
        self.requests = Requests(client.receive, Deframer(1_000_000, b"identity"))
        self._reading = asyncio.ensure_future(self.requests.read_all())
        self._replies = ConsumeService(broker).consume(self.requests)

    async def take(self) -> list[pb.ConsumeResponse]:
        """Wait for replies, and take those that go out together."""
        found = []
        for reply in await anext(self._replies):
            response = pb.ConsumeResponse.FromString(reply)
            # Another encoding of the same would be read by all, but not be what protobuf writes.
            assert response.SerializeToString() == reply
            found.append(response)
        return found

    async def payloads(self) -> list[bytes]:
        """Wait for messages and nothing else, and take them."""
        [reply] = await self.take()
        return [leased.message.payload for leased in reply.messages.messages]

    async def end(self) -> QError | None:
        """Wait for the end, with no further reply, and tell the error if there is one."""
        try:
            await anext(self._replies)
        except StopAsyncIteration:
            return None
        except QError as error:
            return error
        raise AssertionError("there was another reply")

    async def close(self) -> None:
        """End the call."""
        await self._replies.aclose()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


class World:
    """A broker, and streams that consume its queue "jobs"."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.broker = Broker(
            {Store.MEMORY: MemoryStore(), Store.DISK: MemoryStore(durability_max=Durability.FSYNC)},
            clock=self.clock,
            timer=self.clock,
            new_id=seeded_ids(),
        )

    async def add(self, *payloads: bytes) -> None:
        """Put messages into the queue."""
        await self.broker.add_batch("jobs", [(b"", payload) for payload in payloads])

    async def counts(self) -> tuple[int, int]:
        """How many messages are ready, and leased."""
        ([stats], _) = await self.broker.stats("jobs", 0, "")
        return stats.ready, stats.leased

    @asynccontextmanager
    async def stream(
        self,
        *requests: pb.ConsumeRequest,
        credit: int = 10,
        **fields: Any,  # noqa: ANN401
    ) -> AsyncIterator[tuple[Client, Replies]]:
        """Open a stream, and send further requests with the first one."""
        client = Client()
        client.send(opening(credit=credit, **fields), *requests)
        replies = Replies(self.broker, client)
        try:
            yield client, replies
        finally:
            await replies.close()


def opening(**fields: Any) -> pb.ConsumeRequest:  # noqa: ANN401 - As the message has them.
    """The first request, for the queue "jobs" unless another is named."""
    return pb.ConsumeRequest(open=Open(**{"queue_id": "jobs", "credit": 10, **fields}))


def ack(lease_ids: Iterable[str], queue_id: str = "") -> pb.ConsumeRequest:
    """Ack leases."""
    return pb.ConsumeRequest(ack=pb.AckRequest(queue_id=queue_id, lease_ids=lease_ids))


def credit(number: int) -> pb.ConsumeRequest:
    """Have room for so many messages."""
    return pb.ConsumeRequest(credit=pb.ConsumeRequest.Credit(credit=number))
