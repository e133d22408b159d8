"""Taking messages out of a queue, and waiting for them."""

from functools import partial
from typing import Generic, TypeVar

from qmq.client._async.connection import AsyncConnection
from qmq.client._async.patience import next_turn, outlast
from qmq.client.codecs import Codec
from qmq.client.decode import popped
from qmq.client.encode import duration
from qmq.client.errors import QueueEmpty
from qmq.client.options import must_be
from qmq.client.values import Message
from qmq.values import Durability
from qmq.wire import q_pb2 as pb

T = TypeVar("T")


class AsyncTaker(Generic[T]):
    """Takes messages out of one queue, or several at once out of any that a selector matches.

    A wait that is longer than one call may take is made of several calls.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        queue_id: str,
        codec: Codec[T],
        durability: Durability = Durability.UNKNOWN,
        *,
        selector: str = "",
    ) -> None:
        """Ask for nothing yet.

        Args:
            connection: goes to the server.
            queue_id: the queue's id or name; empty with a selector.
            codec: reads the payloads.
            durability: what each call asks for.
            selector: which queues.
        """
        self.connection = connection
        self.selector = selector
        self.queue_id = queue_id
        self.codec = codec
        self.durability = durability

    def asking_for(self, durability: Durability) -> "AsyncTaker[T]":
        """Return what does the same as durably as that; UNKNOWN leaves it as it is."""
        if not durability:
            return self
        return AsyncTaker(
            self.connection, self.queue_id, self.codec, durability, selector=self.selector
        )

    async def pop(self, wait_s: float | None) -> Message[T]:
        """Take the message at the head.

        Args:
            wait_s: how many seconds to wait for one; None waits for ever.

        Raises QueueEmpty and other QmqErrors.
        """
        return popped((await self.take_one(wait_s)).message, self.codec)

    async def take_one(self, wait_s: float | None) -> pb.PopResponse:
        """Do what `pop` does, and return the server's reply."""
        while True:
            turn_s, wait_s = next_turn(wait_s)
            request = pb.PopRequest(queue_id=self.queue_id, durability=self.durability.name)
            if turn_s:
                request.wait.CopyFrom(duration(turn_s))
            try:
                reply = await self.connection.call(
                    "Pop", request.SerializeToString(), wait_s=turn_s
                )
            except QueueEmpty:
                if wait_s == 0:
                    raise
            else:
                return pb.PopResponse.FromString(reply)

    async def pop_batch(self, messages_max: int, wait_s: float | None) -> list[Message[T]]:
        """Take messages from the head, oldest first; none if there is none in time.

        Args:
            messages_max: how many at most.
            wait_s: how many seconds to wait for the first one; None waits for ever.

        Raises QmqError.
        """
        must_be(int, messages_max=messages_max)
        codec, reply = self.codec, await self.take(messages_max, wait_s)
        if self.selector:
            of_queues = zip(reply.messages, reply.queue_ids, strict=True)
            return [popped(each, codec, queue_id) for each, queue_id in of_queues]
        return [popped(each, codec) for each in reply.messages]

    async def take(self, messages_max: int, wait_s: float | None) -> pb.PopBatchResponse:
        """Do what `pop_batch` does, and return the server's reply."""
        while True:
            turn_s, wait_s = next_turn(wait_s)
            request = pb.PopBatchRequest(
                queue_id=self.queue_id,
                selector=self.selector,
                messages_max=messages_max,
                durability=self.durability.name,
            )
            if turn_s:
                request.wait.CopyFrom(duration(turn_s))
            data = await self.connection.call(
                "PopBatch", request.SerializeToString(), wait_s=turn_s
            )
            reply = pb.PopBatchResponse.FromString(data)
            if reply.messages or wait_s == 0:
                return reply

    async def next_batch(self, messages_max: int, wait_s: float | None) -> list[Message[T]]:
        """Take messages as `pop_batch` does, but who waits for ever outlives the server.

        That is, with `wait_s` None it goes on trying while the server is unavailable. A
        message that was on its way when the connection was lost is lost with it.
        """
        if wait_s is not None:
            return await self.pop_batch(messages_max, wait_s)
        return await outlast(
            self.connection,
            self.selector or self.queue_id,
            partial(self.pop_batch, messages_max, None),
        )
