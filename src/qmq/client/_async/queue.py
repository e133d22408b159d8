"""One queue, as a client sees it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Generic, TypeVar

from qmq.client._async.connection import AsyncConnection
from qmq.client._async.popping import AsyncPopping
from qmq.client._async.producer import AsyncProducer
from qmq.client._async.take import AsyncTaker
from qmq.client.codecs import Codec
from qmq.client.decode import metadata, popped, queue_info, queue_stats
from qmq.client.encode import add_batch, new_message
from qmq.client.errors import QueueNotFound
from qmq.client.options import Duration, seconds
from qmq.client.values import Message, Metadata, QueueInfo, QueueStats, Tags, tag_pairs
from qmq.wire import q_pb2 as pb

T = TypeVar("T")
U = TypeVar("U")


class AsyncQueue(Generic[T]):
    """A queue of a server, by its id or name. Made by `AsyncClient.queue`.

    It holds nothing but that, so making one asks the server nothing: the first call tells
    whether there is such a queue. `T` is what its codec encodes and decodes.

    Each call raises QueueNotFound if there is none, and may raise Unavailable and its kin,
    DeadlineExceeded and ClientUnusable; the docstrings name what else.
    """

    def __init__(self, connection: AsyncConnection, queue_id: str, codec: Codec[T]) -> None:
        #: The id or name that it was asked for by.
        self.queue_id = queue_id
        self._connection = connection
        self._codec = codec
        self._taker = AsyncTaker(connection, queue_id, codec)

    def __repr__(self) -> str:
        return f"<AsyncQueue {self.queue_id!r} at {self._connection.channel.address}>"

    def with_codec(self, codec: Codec[U]) -> "AsyncQueue[U]":
        """Return the same queue with another codec."""
        return AsyncQueue(self._connection, self.queue_id, codec)

    async def add(self, payload: T, *, tags: Tags = ()) -> Metadata:
        """Put a message at the end. On return it is as durable as the queue's store promises.

        It is not repeated when its answer was lost, unless the client was made with
        `Retry(adds=True)`.

        Args:
            payload: bytes or a str, or what the queue's codec takes.
            tags: {"key": "value"}, or pairs where a key repeats.

        Returns:
            The id, moment of creation and tags that the message has.

        Raises:
            QueueFull: the queue holds as many messages as its limit allows.
            InvalidArgument: a tag breaks a rule.
            MessageTooLarge: the message is larger than the server carries.
        """
        request = pb.AddRequest(
            queue_id=self.queue_id,
            message=pb.NewMessage(
                payload=self._codec.encode(payload),
                tags=[pb.Tag(key=key, value=value) for key, value in tag_pairs(tags)],
            ),
        )
        reply = await self._connection.ask(
            "Add", request, pb.AddResponse, repeatable=self._connection.retry.adds
        )
        return metadata(reply.message.meta)

    async def add_batch(
        self, payloads: Iterable[T], *, tags: Tags = (), partial: bool = False
    ) -> list[Metadata]:
        """Put up to 1,000 messages at the end, in order: all of them or none.

        For more than that, or as they come, use a `producer`.

        Args:
            payloads: of each message, as in `add`; together no more than the server's
                largest request, 4 MiB unless it was told otherwise.
            tags: of every one of the messages.
            partial: put the first ones that there is room for, rather than none.

        Returns:
            What `add` returns, of each message that was put: fewer than were given only
            with `partial`.

        Raises:
            QueueFull: there is no room for all of them, or for any with `partial`.
            InvalidArgument: there are more than 1,000, or a tag breaks a rule.
            MessageTooLarge: one message, or all of them together, are too large.
        """
        pairs, encode = tag_pairs(tags), self._codec.encode
        records = [new_message(encode(payload), pairs) for payload in payloads]
        reply = await self._connection.call(
            "AddBatch",
            add_batch(self.queue_id, records, partial=partial),
            repeatable=self._connection.retry.adds,
        )
        return [metadata(meta) for meta in pb.AddBatchResponse.FromString(reply).messages]

    def producer(self, *, linger: Duration = 0) -> AsyncProducer[T]:
        """Return what gathers messages and adds them in batches, for `async with`.

        Args:
            linger: how many seconds a message waits for others at most, if no batch is on
                its way; 0 sends what there is at once.
        """
        return AsyncProducer(
            self._connection, self.queue_id, self._codec, linger_s=seconds(linger, "linger")
        )

    async def pop(self, *, wait: Duration | None = 0) -> Message[T]:
        """Take the message at the head out of the queue.

        At most once: if the answer is lost, so is the message. It is repeated only if it
        cannot have taken one.

        Args:
            wait: how many seconds to wait for a message; None waits for ever.

        Raises:
            QueueEmpty: there is no message, or there was none in time.
        """
        return await self._taker.pop(_wait_s(wait))

    async def pop_batch(self, messages_max: int, *, wait: Duration | None = 0) -> list[Message[T]]:
        """Take messages out of the queue, oldest first: as many as there are and fit a reply.

        Args:
            messages_max: how many at most, 1 to 1,000.
            wait: how many seconds to wait for the first one; None waits for ever.

        Returns:
            The messages; none if the queue is empty, also after waiting.

        Raises:
            InvalidArgument: `messages_max` is out of range.
        """
        return await self._taker.pop_batch(messages_max, _wait_s(wait))

    async def peek(self) -> Message[T]:
        """Return the message at the head and leave it there.

        Raises:
            QueueEmpty: there is no message.
        """
        request = pb.PeekRequest(queue_id=self.queue_id)
        reply = await self._connection.ask("Peek", request, pb.PeekResponse, repeatable=True)
        return popped(reply.message, self._codec)

    async def __aiter__(self) -> AsyncIterator[Message[T]]:
        """Take messages one by one, and wait for the next one for ever.

        At most once, as by `pop`: a message is lost if the process dies before it is done
        with it. It goes on trying while the server is unavailable, and logs that; other
        errors end it. See `popping` for more than some hundred messages a second.
        """
        while True:
            (message,) = await self._taker.next_batch(1, None)
            yield message

    async def drain(self) -> AsyncIterator[Message[T]]:
        """Take messages one by one until the queue is empty."""
        while messages := await self._taker.pop_batch(1, 0.0):
            yield messages[0]

    def popping(self, *, prefetch: int = 1, wait: Duration | None = None) -> AsyncPopping[T]:
        """Return what takes messages as iteration does, for `async with`: at most once.

        Args:
            prefetch: how many messages to take before they are asked for, 1 to 1,000. They
                are lost if the process dies, so the default takes none ahead.
            wait: how many seconds to wait for the next message before it ends; 0 ends it
                when the queue is empty, None never.

        Raises:
            ValueError: `prefetch` is out of range.
        """
        return AsyncPopping(self._taker, prefetch=prefetch, wait_s=_wait_s(wait))

    async def tag(self, key: str, value: str) -> None:
        """Add a tag to the queue. That it has it already is no error.

        Raises:
            InvalidArgument: the tag breaks a rule, or the queue has too many.
        """
        request = pb.AddQueueTagRequest(queue_id=self.queue_id, tag=pb.Tag(key=key, value=value))
        await self._connection.ask("AddQueueTag", request, pb.AddQueueTagResponse, repeatable=True)

    async def untag(self, key: str, value: str) -> None:
        """Remove a tag from the queue. That it does not have it is no error."""
        request = pb.DeleteQueueTagRequest(queue_id=self.queue_id, tag=pb.Tag(key=key, value=value))
        await self._connection.ask(
            "DeleteQueueTag", request, pb.DeleteQueueTagResponse, repeatable=True
        )

    async def info(self) -> QueueInfo:
        """Return what the queue is: id, name, store, moment of creation, tags."""
        request = pb.GetQueueRequest(queue_id=self.queue_id)
        reply = await self._connection.ask(
            "GetQueue", request, pb.GetQueueResponse, repeatable=True
        )
        return queue_info(reply.queue)

    async def stats(self) -> QueueStats:
        """Return what the queue holds now, and what went through it."""
        request = pb.StatsRequest(queue_id=self.queue_id)
        reply = await self._connection.ask("Stats", request, pb.StatsResponse, repeatable=True)
        return queue_stats(reply.queues[0])

    async def delete(self) -> None:
        """Delete the queue and every message in it. That there is none is no error."""
        request = pb.DeleteQueueRequest(queue_id=self.queue_id)
        with suppress(QueueNotFound):
            await self._connection.ask(
                "DeleteQueue", request, pb.DeleteQueueResponse, repeatable=True
            )


def _wait_s(wait: Duration | None) -> float | None:
    return None if wait is None else seconds(wait, "wait")
