"""One queue, as a client sees it."""

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

from qmq.client._async.connection import AsyncConnection
from qmq.client._async.leasable import AsyncLeasable
from qmq.client._async.lease import AsyncLeasedMessage, lease_of
from qmq.client._async.leasing import AsyncLeasing
from qmq.client._async.oversight import AsyncOversight
from qmq.client._async.popping import AsyncPopping
from qmq.client._async.producer import AsyncProducer
from qmq.client._async.take import AsyncTaker
from qmq.client.codecs import Codec
from qmq.client.decode import durability_of, metadata, popped
from qmq.client.encode import add_batch, message_options, options_of, record_of, tags_of
from qmq.client.endings import Ending
from qmq.client.errors import QmqError
from qmq.client.made_ids import is_made, made_ids
from qmq.client.options import Duration, duration_s_of, seconds, several, wait_s_of
from qmq.client.tracing import adding, joined, tags_here
from qmq.client.values import (
    DurabilityName,
    Message,
    Metadata,
    NackKindName,
    NewMessage,
    Tags,
    durability_level,
    member,
    tag_pairs,
)
from qmq.values import Durability, NackKind
from qmq.wire import q_pb2 as pb

T = TypeVar("T")
U = TypeVar("U")
R = TypeVar("R")


#: What is taken for a single payload. The characters, or keys, would be messages otherwise.
_SINGLE: Final = (str, bytes, Mapping, NewMessage)


class AsyncQueue(AsyncLeasable[T], AsyncOversight[T]):
    """A queue of a server, by its id or name. Made by `AsyncClient.queue`.

    It holds nothing but that, so making one asks the server nothing: the first call tells
    whether there is such a queue. `T` is what its codec encodes and decodes.

    Each call raises QueueNotFound if there is none, and may raise Unavailable and its kin,
    DeadlineExceeded and ClientUnusable; the docstrings name what else. One that has a
    `durability` raises DurabilityNotReached, and does nothing, if the queue's store cannot be
    as durable as that, and ValueError if there is no level of that name.
    """

    def __init__(self, connection: AsyncConnection, queue_id: str, codec: Codec[T]) -> None:
        super().__init__(connection, queue_id, codec)
        self._taker = AsyncTaker(connection, queue_id, codec)
        self._leasing = AsyncLeasing(connection, queue_id)

    def __repr__(self) -> str:
        return f"<AsyncQueue {self.queue_id!r} at {self._connection.channel.address}>"

    def with_codec(self, codec: Codec[U]) -> "AsyncQueue[U]":
        """Return the same queue with another codec."""
        return AsyncQueue(self._connection, self.queue_id, codec)

    async def add(  # noqa: PLR0913 - All that a message may have, each by name.
        self,
        payload: T,
        *,
        tags: Tags = (),
        delay: Duration | None = None,
        available_at: datetime | None = None,
        ttl: Duration | None = None,
        expires_at: datetime | None = None,
        priority: int = 0,
        dedup_id: str = "",
        group_id: str = "",
        fair_key: str = "",
        durability: DurabilityName | None = None,
    ) -> Metadata:
        """Put a message at the end. On return it is as durable as the queue's store promises.

        When its answer was lost it is repeated only if it has a `dedup_id`, or the client was
        made with `Retry(adds=True)`.

        Args:
            payload: bytes or a str, or what the queue's codec takes.
            tags: {"key": "value"}, or pairs where a key repeats.
            delay: for how many seconds it is kept back; None leaves that to the queue.
            available_at: the same as a moment, with a time zone; one that has passed is no
                delay. Not with `delay`.
            ttl: for how many seconds it is of use, 1 ms to 10 years: it is not handed out after
                that. None leaves that to the queue, whose own it cannot exceed.
            expires_at: the same as a moment, with a time zone. Not with `ttl`.
            priority: 0 to 255: the higher, the sooner it is handed out.
            dedup_id: stands for what the message is about, up to 128 bytes: while the queue
                knows it, another message with the same one is not added.
            group_id: messages of one group are handed out strictly in their order, and none
                while others of it are on lease; up to 128 bytes.
            fair_key: messages with different ones are handed out in turns, however many there
                are of each; up to 128 bytes.
            durability: how durable it is on return, at least, to return sooner: MEMORY, OS or
                FSYNC. None is the most that the queue's store can do: FSYNC for DISK.

        Returns:
            The id, moment of creation and tags that the message has, how durable it is, and
            whether it was there already: then the rest is that of the one that was there.

        Raises:
            QueueFull: the queue holds as many messages, or bytes, as its limit allows.
            DedupFull: it knows as many dedup_ids as it may.
            MemoryFull: the messages of all queues take as much memory as they may.
            AddsPaused: the queue is paused, and takes none either.
            InvalidArgument: a tag or an option breaks a rule.
            MessageTooLarge: the message is larger than the server carries.
            ValueError: a duration is negative or no number, or a moment has no time zone.
        """
        made_id = "" if dedup_id or not self._connection.makes_dedup_ids else next(made_ids())
        options = message_options(
            delay=delay,
            available_at=available_at,
            ttl=ttl,
            expires_at=expires_at,
            priority=priority,
            dedup_id=dedup_id or made_id,
            group_id=group_id,
            fair_key=fair_key,
        )
        added = await self._add(payload, tags, options, durability_level(durability))
        return replace(added, deduplicated=False) if made_id else added

    async def _add(
        self, payload: T, tags: Tags, options: pb.MessageOptions | None, durability: Durability
    ) -> Metadata:
        if isinstance(payload, NewMessage):
            raise TypeError("a NewMessage is for add_batch; add takes its options by name")
        with adding("Add", self.queue_id) as traced:
            message = pb.NewMessage(
                payload=self._codec.encode(payload),
                tags=tags_of(joined(tag_pairs(tags), traced)),
                options=options,
            )
            request = pb.AddRequest(
                queue_id=self.queue_id, message=message, durability=durability.name
            )
            is_safe = bool(message.options.dedup_id)
            reply = await self._connection.ask("Add", request, pb.AddResponse, repeatable=is_safe)
        return metadata(
            reply.message.meta, durability_of(reply.durability), deduplicated=reply.deduplicated
        )

    async def add_batch(
        self,
        payloads: Iterable[T | NewMessage[T]],
        *,
        tags: Tags = (),
        partial: bool = False,
        durability: DurabilityName | None = None,
    ) -> list[Metadata]:
        """Put up to 1,000 messages at the end, in order: all of them or none.

        For more than that, or as they come, use a `producer`. When its answer was lost it is
        repeated only if every message has a dedup_id, or the client was made with
        `Retry(adds=True)`.

        Args:
            payloads: of each message, as in `add`, or a NewMessage, which has options of its
                own; together no more than the server's largest request, 4 MiB unless it was
                told otherwise.
            tags: of every one of the messages, after its own.
            partial: put the first ones that there is room for, rather than none.
            durability: as in `add`.

        Returns:
            What `add` returns, of each message that was put, or was there already: fewer than
            were given only with `partial`.

        Raises:
            QueueFull: there is no room for all of them, or for any with `partial`.
            DedupFull: the queue knows as many dedup_ids as it may.
            MemoryFull: the messages of all queues take as much memory as they may.
            InvalidArgument: there are more than 1,000, or a tag or an option breaks a rule.
            MessageTooLarge: one message, or all of them together, are too large.
            TypeError: a single text or bytes was given.
        """
        several(payloads, "add_batch takes a list of payloads; a single one is for add", _SINGLE)
        ids = made_ids() if self._connection.makes_dedup_ids else None
        level = durability_level(durability)
        with adding("AddBatch", self.queue_id) as traced:
            pairs = joined(tag_pairs(tags), traced)
            messages = [record_of(each, self._codec, pairs, ids) for each in payloads]
            records = [record for record, _ in messages]
            data = await self._connection.call(
                "AddBatch",
                add_batch(self.queue_id, records, partial=partial, durability=level),
                repeatable=all(dedup_id for _, dedup_id in messages),
            )
        reply = pb.AddBatchResponse.FromString(data)
        reached = durability_of(reply.durability)
        known = {place for place in reply.deduplicated if not is_made(messages[place][1])}
        return [
            metadata(meta, reached, deduplicated=place in known)
            for place, meta in enumerate(reply.messages)
        ]

    def producer(
        self, *, linger: Duration = 0, durability: DurabilityName | None = None
    ) -> AsyncProducer[T]:
        """Return what gathers messages and adds them in batches, for `async with`.

        Args:
            linger: how many seconds a message waits for others at most, if no batch is on
                its way; 0 sends what there is at once.
            durability: of each batch, as in `add`.
        """
        return AsyncProducer(
            self._connection,
            self.queue_id,
            self._codec,
            linger_s=seconds(linger, "linger"),
            durability=durability_level(durability),
        )

    async def pop(
        self, *, wait: Duration | None = 0, durability: DurabilityName | None = None
    ) -> Message[T]:
        """Take the message at the head out of the queue.

        At most once: if the answer is lost, so is the message. It is repeated only if it
        cannot have taken one.

        Args:
            wait: how many seconds to wait for a message; None waits for ever.
            durability: how durable it is on return, at least, that the message is gone, as in
                `add`: one that was popped with less than FSYNC may come back after a crash.

        Raises:
            QueueEmpty: there is no message, or there was none in time.
            QueuePaused: the same, and the queue is paused.
        """
        return await self._taking(durability).pop(wait_s_of(wait))

    async def pop_batch(
        self,
        messages_max: int,
        *,
        wait: Duration | None = 0,
        durability: DurabilityName | None = None,
    ) -> list[Message[T]]:
        """Take messages out of the queue, oldest first: as many as there are and fit a reply.

        Args:
            messages_max: how many at most, 1 to 1,000.
            wait: how many seconds to wait for the first one; None waits for ever.
            durability: as in `pop`.

        Returns:
            The messages; none if the queue is empty, also after waiting.

        Raises:
            InvalidArgument: `messages_max` is out of range.
        """
        return await self._taking(durability).pop_batch(messages_max, wait_s_of(wait))

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

    async def drain(self, *, durability: DurabilityName | None = None) -> AsyncIterator[Message[T]]:
        """Take messages one by one until the queue is empty.

        Args:
            durability: as in `pop`.
        """
        taker = self._taking(durability)
        while messages := await taker.pop_batch(1, 0.0):
            yield messages[0]

    def popping(
        self,
        *,
        prefetch: int = 1,
        wait: Duration | None = None,
        durability: DurabilityName | None = None,
    ) -> AsyncPopping[T]:
        """Return what takes messages as iteration does, for `async with`: at most once.

        Args:
            prefetch: how many messages to take before they are asked for, 1 to 1,000. They
                are lost if the process dies, so the default takes none ahead.
            wait: how many seconds to wait for the next message before it ends; 0 ends it
                when the queue is empty, None never.
            durability: as in `pop`.

        Raises:
            ValueError: `prefetch` is out of range.
        """
        taker = self._taking(durability)
        return AsyncPopping(taker, prefetch=prefetch, wait_s=wait_s_of(wait))

    def _taking(self, durability: DurabilityName | None) -> AsyncTaker[T]:
        return self._taker.asking_for(durability_level(durability))

    async def ack(
        self,
        messages: Iterable[AsyncLeasedMessage[Any] | str],
        *,
        durability: DurabilityName | None = None,
    ) -> list[QmqError | None]:
        """Remove leased messages from the queue: their work is done.

        Args:
            messages: up to 1,000 messages of this queue, or their lease ids.
            durability: how durable that is on return, at least, as in `add`: a message that was
                acked with less than FSYNC may come back after a crash.

        Returns:
            For each, in order, None, or LeaseLost if it was handed out again meanwhile, or
            InvalidArgument if the id is none.
        """
        return await self._end(messages, Ending(durability=durability_level(durability)))

    async def nack(
        self,
        messages: Iterable[AsyncLeasedMessage[Any] | str],
        kind: NackKindName = NackKind.FAIL,
        *,
        delay: Duration | None = None,
        reason: str = "",
        durability: DurabilityName | None = None,
    ) -> list[QmqError | None]:
        """Give leased messages back.

        Args:
            messages: up to 1,000 messages of this queue, or their lease ids.
            kind: RELEASE, FAIL or REJECT: what `LeasedMessage.release`, `fail` and `reject` do.
            delay: for how many seconds they are kept back, up to 7 days; None leaves that to
                the back-off of the queue if they failed, and is 0 if they are released.
            reason: why, for those who look; up to 1,024 bytes are kept.
            durability: how durable that is on return, at least, as in `add`.

        Returns:
            For each, in order, None, or LeaseLost, NoDeadLetterQueue or InvalidArgument.
        """
        kind = member(NackKind, kind, "kind")
        delay_s = duration_s_of(delay, "delay")
        ending = Ending(kind, delay_s, reason, durability_level(durability))
        return await self._end(messages, ending)

    async def extend(
        self,
        messages: Iterable[AsyncLeasedMessage[Any] | str],
        lease_duration: Duration | None = None,
        *,
        durability: DurabilityName | None = None,
    ) -> list[QmqError | None]:
        """Make leases end a time from now.

        Args:
            messages: up to 1,000 messages of this queue, or their lease ids.
            lease_duration: in seconds; None leaves that to the queue.
            durability: how durable the leases are on return, at least, as in `add`.

        Returns:
            For each, in order, None, or LeaseLost or InvalidArgument.
        """
        messages = _leased(messages)
        duration_s = duration_s_of(lease_duration, "lease_duration")
        leasing = self._leasing.asking_for(durability_level(durability))
        sent_at = time.monotonic()
        results = await leasing.extend(_lease_ids(messages), duration_s)
        for message, result in zip(messages, results, strict=True):
            if not isinstance(message, str):
                lease_of(message).note_extension(result, sent_at, duration_s)
        return [result if isinstance(result, QmqError) else None for result in results]

    def new_messages(
        self, payloads: Iterable[T | NewMessage[T]], tags: Tags = ()
    ) -> list[pb.NewMessage]:
        """Encode messages for `AsyncClient.complete`; the arguments are as of `add_batch`."""
        several(payloads, "complete takes lists of payloads", _SINGLE)
        pairs = joined(tag_pairs(tags), tags_here())
        messages = (each if isinstance(each, NewMessage) else NewMessage(each) for each in payloads)
        return [
            pb.NewMessage(
                payload=self._codec.encode(each.payload),
                tags=tags_of((*each.tags, *pairs)),
                options=options_of(each),
            )
            for each in messages
        ]

    async def _end(
        self, messages: Iterable[AsyncLeasedMessage[Any] | str], ending: Ending
    ) -> list[QmqError | None]:
        messages = _leased(messages)
        errors = await self._leasing.end(_lease_ids(messages), ending)
        for message, error in zip(messages, errors, strict=True):
            if not isinstance(message, str):
                lease_of(message).note_end(error)
        return errors


def _leased(
    messages: Iterable[AsyncLeasedMessage[Any] | str],
) -> list[AsyncLeasedMessage[Any] | str]:
    what = "this takes a list of leased messages, or of lease ids"
    found = list(several(messages, what, (str, Message)))
    for each in found:
        if not isinstance(each, str | AsyncLeasedMessage):
            raise TypeError(f"{what}; one of them is a {type(each).__name__}")
    return found


def _lease_ids(messages: Iterable[AsyncLeasedMessage[Any] | str]) -> list[str]:
    return [each if isinstance(each, str) else each.lease_id for each in messages]
