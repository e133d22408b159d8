"""Adding messages in batches that form by themselves."""

import copy
import logging
import re
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from qmq.client import forks
from qmq.client._async.backlog import AsyncBacklog
from qmq.client._async.batch import AsyncBatch, AsyncPendingAdd
from qmq.client._async.connection import AsyncConnection
from qmq.client._async.failures import AsyncFailures
from qmq.client.codecs import Codec
from qmq.client.encode import add_batch, has_dedup_id, message_options, new_message
from qmq.client.errors import (
    ClientUnusable,
    ConnectionLost,
    InvalidArgument,
    MessageTooLarge,
    NotSent,
    QmqError,
)
from qmq.client.failed_adds import FailedAdd
from qmq.client.made_ids import made_ids
from qmq.client.on_asyncio.concurrency import AsyncBackground
from qmq.client.options import Duration
from qmq.client.tracing import joined, tags_here
from qmq.client.values import Metadata, Tags, tag_pairs
from qmq.values import Durability
from qmq.wire import q_pb2 as pb

T = TypeVar("T")

#: How the server begins a refusal that is about one message of a batch.
_ONE_MESSAGE: Final = re.compile(r"messages\[(\d+)\]")

_log = logging.getLogger("qmq.client")


class AsyncProducer(Generic[T]):
    """Gathers messages and adds them to a queue in batches, in order.

    Made by `AsyncQueue.producer`, to be used in `async with`: leaving it sends what is left
    and waits until the server has answered. One batch is on its way at a time, so messages
    are stored in the order in which `add` and `submit` took them.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        queue_id: str,
        codec: Codec[T],
        *,
        linger_s: float,
        durability: Durability,
    ) -> None:
        self._connection = connection
        self._queue_id = queue_id
        self._durability = durability
        self._encode = codec.encode
        #: The dedup_ids of messages that have none, if they are to have one.
        self._made_ids = made_ids() if connection.makes_dedup_ids else None
        self._generation = forks.generation
        self._backlog = AsyncBacklog(linger_s)
        self._failures = AsyncFailures(queue_id)
        self._sender: AsyncBackground | None = None
        self._stored_total = 0

    def __repr__(self) -> str:
        return (
            f"<AsyncProducer of {self._queue_id!r}: {self._stored_total} messages stored,"
            f" {self._backlog.count} not yet, {len(self.failed)} failed>"
        )

    @property
    def failed(self) -> tuple[FailedAdd, ...]:
        """The messages that failed, in order, but those whose `result` somebody has asked for."""
        return self._failures.listed()

    async def __aenter__(self) -> Self:
        self._backlog.open()
        self._sender = AsyncBackground(self._send_all, f"qmq producer of {self._queue_id}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._sender is not None
        self._backlog.close()
        try:
            await self._sender.join()
        except BaseException as interruption:
            await self._sender.abandon()
            self._give_up()
            self._report_to(interruption)
            raise
        if error is None:
            if failure := self._failures.error():
                raise failure
        else:
            self._report_to(error)

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
    ) -> Metadata:
        """Put a message at the end of the queue, and wait until it is stored.

        Who is cancelled while it waits for that does not undo it. When the answer to a batch was
        lost, it is repeated only if each of its messages has a dedup_id, or the client was made
        with `Retry(adds=True)`.

        Args:
            payload: bytes or a str, or what the queue's codec takes.
            tags: {"key": "value"}, or pairs where a key repeats.
            delay: this and what follows is as of `AsyncQueue.add`; durations begin when the
                server has the message.
            available_at: when it is handed out at the earliest.
            ttl: how long it is of use.
            expires_at: when it is of no use any more.
            priority: the higher, the sooner it is handed out.
            dedup_id: what it is added under, so that it is added once.
            group_id: the group in which it is handed out one after the other.
            fair_key: whose turn it is handed out at.

        Returns:
            The id, moment of creation and tags that the message has, how durable it is, and
            whether it was there already.

        Raises:
            QueueFull: the queue has no room for this one; those before it are stored.
            DedupFull: it knows as many dedup_ids as it may.
            MemoryFull: the messages of all queues take as much memory as they may.
            DurabilityNotReached: the queue's store cannot be as durable as the producer asks.
            InvalidArgument: a tag or an option breaks a rule.
            MessageTooLarge: the message is larger than the server carries.
            Unavailable: after it was repeated where that is safe; the message may be stored
                if `may_have_happened` says so.
            QmqError: anything else; see `qmq.client.errors`.
            ValueError: a duration is negative or no number, or a moment has no time zone.
        """
        pending = await self.submit(
            payload,
            tags=tags,
            delay=delay,
            available_at=available_at,
            ttl=ttl,
            expires_at=expires_at,
            priority=priority,
            dedup_id=dedup_id,
            group_id=group_id,
            fair_key=fair_key,
        )
        return await pending.result()

    async def submit(  # noqa: PLR0913 - As above.
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
    ) -> AsyncPendingAdd:
        """Put a message at the end of the queue, and wait only until there is room for it here.

        Who is cancelled while it waits for that may have put it all the same.

        Args:
            payload: as in `add`, and so is what follows.
            tags: likewise.
            delay: likewise.
            available_at: likewise.
            ttl: likewise.
            expires_at: likewise.
            priority: likewise.
            dedup_id: likewise.
            group_id: likewise.
            fair_key: likewise.

        Returns:
            What has a `result`, the same as `add` returns or raises. Nobody has to ask for it:
            what fails and was not asked about is raised by `flush` and by leaving `async with`.

        Raises:
            AddsFailed: 10,000 messages have failed and nobody has asked about them. This one was
                not taken.
            ValueError: a duration is negative or no number, or a moment has no time zone.
        """
        if self._generation != forks.generation:
            raise ClientUnusable("a producer is of no use to a forked process: make one there")
        if self._sender:
            self._sender.check_caller()
        if self._failures.is_full:
            self._failures.tell()
        if self._made_ids and not dedup_id:
            dedup_id = next(self._made_ids)
        record = new_message(
            self._encode(payload),
            joined(tag_pairs(tags), tags_here()),
            message_options(
                delay=delay,
                available_at=available_at,
                ttl=ttl,
                expires_at=expires_at,
                priority=priority,
                dedup_id=dedup_id,
                group_id=group_id,
                fair_key=fair_key,
            ),
        )
        pending = self._backlog.put(record)
        return pending or await self._backlog.put_in_turn(record)

    async def flush(self) -> None:
        """Send what was given so far without waiting for more, and wait until it is stored.

        Raises:
            AddsFailed: some of it, or of what was given before, failed, and nobody has asked
                about that yet.
        """
        last = self._backlog.seal()
        if last:
            await last.is_settled.wait()
        self._failures.tell()

    async def _send_all(self) -> None:
        """Send batches until the backlog is closed and empty: the sender's work."""
        try:
            while batch := await self._backlog.take():
                try:
                    await self._send(batch, range(len(batch.records)))
                finally:
                    self._settle(batch)
        finally:
            # Nobody leaves the block who would be told otherwise: the event loop ends, say.
            is_left_alone = self._backlog.is_open
            self._give_up()
            if is_left_alone and (failure := self._failures.error()):
                _log.error("%s", failure)

    async def _send(self, batch: AsyncBatch, indexes: Sequence[int]) -> None:
        """Send some messages of a batch, for as long as more of them can be stored."""
        while indexes:
            records = [batch.records[index] for index in indexes]
            request = add_batch(self._queue_id, records, partial=True, durability=self._durability)
            # The first one that has none tells.
            is_safe = all(map(has_dedup_id, records))
            try:
                data = await self._connection.call("AddBatch", request, repeatable=is_safe)
            except (InvalidArgument, MessageTooLarge) as error:
                # Nothing was stored, and it may be the fault of one message alone.
                if culprit := _ONE_MESSAGE.match(error.message):
                    at = int(culprit[1])
                    batch.fail(indexes[at : at + 1], _about_one(error))
                    indexes = [*indexes[:at], *indexes[at + 1 :]]
                    continue
                if isinstance(error, MessageTooLarge) and len(indexes) > 1:
                    middle = len(indexes) // 2
                    await self._send(batch, indexes[:middle])
                    indexes = indexes[middle:]
                    continue
                batch.fail(indexes, error)
                return
            except QmqError as error:
                batch.fail(indexes, error)
                return
            reply = pb.AddBatchResponse.FromString(data)
            stored = len(reply.messages)
            batch.store(indexes[:stored], reply)
            self._stored_total += stored
            # Those that the queue had no room for are sent again: there may be some by now,
            # and if there is none the server says so.
            indexes = indexes[stored:]

    def _settle(self, batch: AsyncBatch, unanswered: QmqError | None = None) -> None:
        """Let everybody know what became of the messages of a batch."""
        if batch.is_settled.is_set():
            return
        batch.fail_unanswered(
            unanswered
            or ConnectionLost("the producer was stopped before the answer came; it may be stored")
        )
        self._failures.note(batch)
        batch.is_settled.set()

    def _give_up(self) -> None:
        """Let everybody know whose message will not be sent any more."""
        if under_way := self._backlog.taken:
            self._settle(under_way)
        for batch in self._backlog.drop():
            self._settle(batch, NotSent("the producer was stopped before it sent the message"))

    def _report_to(self, error: BaseException) -> None:
        """Tell what failed where another error is raised."""
        if failure := self._failures.error():
            _log.error("%s", failure)
            error.add_note(str(failure))


def _about_one(error: QmqError) -> QmqError:
    """Return the error of a batch that is about one message as that of the message alone."""
    alone = copy.copy(error)
    alone.args = (_ONE_MESSAGE.sub("message", error.message, count=1),)
    if "field" in error.metadata:
        field = _ONE_MESSAGE.sub("message", error.metadata["field"], count=1)
        alone.metadata = {**error.metadata, "field": field}
    return alone
