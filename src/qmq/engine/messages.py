"""Commands about messages that come and go: Add, Pop, Peek and their batches."""

from collections.abc import Mapping, Sequence
from typing import Final

from qmq.descriptions import MessageOptions
from qmq.engine.adding import Added, Adding, Name
from qmq.engine.queues import Queues
from qmq.engine.waiting import IsGone
from qmq.envelope import DURABILITY_BYTES
from qmq.errors import AddsPaused, DedupFull, MemoryFull, QueueEmpty, QueueFull, Unavailable
from qmq.model.changes import Changes
from qmq.model.durability import durability_reached
from qmq.model.footprint import MESSAGE_BYTES
from qmq.model.queue import Queue
from qmq.values import Durability

#: Bytes of memory that a plain message takes at most, besides its envelope.
_PLAIN_BYTES_MAX: Final = max(MESSAGE_BYTES.values())


async def _never_gone() -> bool:
    return False


def _message(_: int) -> str:
    """Name the only message of a call."""
    return "message"


def _messages(at: int) -> str:
    """Name one of several messages."""
    return f"messages[{at}]"


class Messages:
    """Commands about messages that come and go.

    Its methods raise the errors of `qmq.errors`; a reference to a queue is as in
    `qmq.engine.broker.Broker`.
    """

    def __init__(self, queues: Queues) -> None:
        self._queues = queues
        self._waiting = queues.waiting
        self._footprint = queues.footprint
        self._adding = Adding(queues)
        self._sealer = queues.sealer
        self._now_ns = queues.now_ns
        self._steady_ns = queues.steady_ns
        self._new_id = queues.new_id
        #: What the messages of one reply may take.
        self._messages_bytes_max = queues.message_bytes_max - DURABILITY_BYTES

    async def add(
        self,
        reference: str,
        payload: bytes | memoryview,
        tags: bytes = b"",
        *,
        durability: Durability = Durability.UNKNOWN,
    ) -> bytes:
        """Put a message at the end of a queue.

        Args:
            reference: the queue's id or name.
            payload: any bytes.
            tags: as `envelope.encode_tags` encodes them.
            durability: how durable it is before the call returns, at least.

        Returns:
            The message's envelope.

        Raises:
            DurabilityNotReached: the queue's store cannot make it so durable.
            TooLarge: no reply could carry the message.
            QueueFull: the queue holds as many messages as its limit allows.
            MemoryFull: the server's messages take as much memory as they may.
            AddsPaused: the queue takes none for now.
        """
        queue = self._queues.catalog.get(reference) or await self._queues.refuse(reference)
        level = durability_reached(queue, durability)
        if not queue.is_plain:
            added = await self._add(queue, [(tags, bytes(payload))], {}, level, _message)
            return added.envelopes[0]
        now_ns = self._now_ns()
        envelope = self._sealer.seal(self._new_id(), now_ns, tags, payload)
        self._queues.check_size(envelope, "message")
        try:
            store = self._queues.store_of(queue)
            try:
                if self._footprint.left < len(envelope) + _PLAIN_BYTES_MAX:
                    self._footprint.check(queue.info.store, 1, len(envelope))
                pending = store.add(queue, envelope, self._steady_ns(), level)
            except (QueueFull, MemoryFull, AddsPaused):
                await store.settle(level)
                raise
            self._waiting.serve(queue)
            await pending
        except Unavailable:
            queue.failed_total += 1
            raise
        return envelope

    async def add_with(
        self,
        reference: str,
        payload: bytes,
        tags: bytes,
        options: MessageOptions,
        *,
        durability: Durability = Durability.UNKNOWN,
    ) -> tuple[bytes, bool]:
        """Put a message that has options at the end of a queue.

        Returns:
            The message's envelope, and False; or, if the queue knows its dedup_id, the metadata
            of the one that was added then, and True.

        Raises:
            InvalidArgument: it would be of no use from its beginning.
            DedupFull: the queue remembers as many dedup_ids as it may.
            QueueFull: there is no room for it.
            MemoryFull: as in `add`.
        """
        queue = self._queues.catalog.get(reference) or await self._queues.refuse(reference)
        level = durability_reached(queue, durability)
        added = await self._add(queue, [(tags, payload)], {0: options}, level, _message)
        return (added.metas[0], True) if added.known else (added.envelopes[0], False)

    async def add_batch_with(
        self,
        reference: str,
        messages: Sequence[tuple[bytes, bytes]],
        options: Mapping[int, MessageOptions],
        *,
        partial: bool = False,
        durability: Durability = Durability.UNKNOWN,
    ) -> Added:
        """Do as `add_batch` does, with messages of which some have options.

        Args:
            reference: the queue's id or name.
            messages: as in `add_batch`.
            options: those of messages that have any, by their places from 0.
            partial: as in `add_batch`.
            durability: as in `add`.

        Raises:
            InvalidArgument: a message would be of no use from its beginning.
            DedupFull: the queue remembers as many dedup_ids as it may.
            TooLarge: as in `add_batch`.
            QueueFull: as in `add_batch`.
            MemoryFull: as in `add_batch`.
        """
        queue = self._queues.catalog.get(reference) or await self._queues.refuse(reference)
        level = durability_reached(queue, durability)
        return await self._add(queue, messages, options, level, _messages, partial=partial)

    async def _add(  # noqa: PLR0913 - What to add, where, and how.
        self,
        queue: Queue,
        messages: Sequence[tuple[bytes, bytes]],
        options: Mapping[int, MessageOptions],
        level: Durability,
        name: Name,
        *,
        partial: bool = False,
    ) -> Added:
        """Put messages into a queue, whatever may be asked of them."""
        queues = self._queues
        changes = Changes()
        try:
            store = queues.store_of(queue)
            queues.pass_time(queue)
            try:
                prepared = self._adding.prepare(queue, messages, options, changes, name)
                queues.check_reply_size(prepared.metas)
                added = self._adding.put(prepared, partial=partial)
            except (QueueFull, MemoryFull, AddsPaused, DedupFull):
                await store.settle(level)
                raise
            kept = store.commit(changes, durability=level)
            self._footprint.recount(queue)
            queues.set_alarm(queue)
            self._waiting.serve(queue)
            await kept
        except Unavailable:
            queue.failed_total += 1
            raise
        return added

    async def add_batch(
        self,
        reference: str,
        messages: Sequence[tuple[bytes, bytes]],
        *,
        partial: bool = False,
        durability: Durability = Durability.UNKNOWN,
    ) -> list[bytes]:
        """Put messages at the end of a queue: all of them or none.

        Args:
            reference: the queue's id or name.
            messages: tags, as `envelope.encode_tags` encodes them, and payload of each.
            partial: put the first ones that there is room for, rather than none.
            durability: as in `add`.

        Returns:
            The metadata of each message that was added, as `envelope.seal_batch` returns it.

        Raises:
            TooLarge: no reply could carry one of the messages, or the metadata of all.
            QueueFull: there is no room for all of them, or for any with `partial`.
            MemoryFull: the server's messages take as much memory as they may, also if that is for
                those alone that the queue has room for.
        """
        queue = self._queues.catalog.get(reference) or await self._queues.refuse(reference)
        level = durability_reached(queue, durability)
        if not queue.is_plain:
            return (await self._add(queue, messages, {}, level, _messages, partial=partial)).metas
        now_ns = self._now_ns()
        ids = self._new_id.many(len(messages))
        envelopes, metas = self._sealer.seal_batch(ids, now_ns, messages)
        self._queues.check_sizes(envelopes, "messages")
        self._queues.check_reply_size(metas)
        try:
            store = self._queues.store_of(queue)
            try:
                room = len(envelopes)
                if queue.is_limited:
                    room = queue.room_for(list(map(len, envelopes)), partial=partial)
                size = sum(map(len, envelopes[:room]))
                self._footprint.check(queue.info.store, room, size)
            except (QueueFull, MemoryFull, AddsPaused):
                await store.settle(level)
                raise
            if room:
                pending = store.add_batch(queue, envelopes[:room], self._steady_ns(), level)
                self._waiting.serve(queue)
                await pending
        except Unavailable:
            queue.failed_total += 1
            raise
        return metas[:room]

    async def pop(
        self,
        reference: str,
        wait_s: float = 0.0,
        is_gone: IsGone = _never_gone,
        *,
        durability: Durability = Durability.UNKNOWN,
    ) -> bytes:
        """Take the message at the head of a queue and return its envelope.

        Args:
            reference: the queue's id or name.
            wait_s: how long to wait for a message at most.
            is_gone: tells whether the caller has left while it waited.
            durability: as in `add`.

        Raises:
            QueueEmpty: there is none, or was none in time.
            Gone: the caller has left.
            DurabilityNotReached: the queue's store cannot make it so durable.
        """
        queue = self._queues.catalog.get(reference) or await self._queues.refuse(reference)
        level = durability_reached(queue, durability)
        try:
            store = self._queues.store_of(queue)
            if queue.is_timed:
                self._queues.pass_time(queue)
            if self._waiting.free(queue) <= 0 and not await self._queues.message_comes(
                queue, wait_s, is_gone, level
            ):
                raise queue.nothing_to_hand_out(self._steady_ns())
            pending = store.pop(queue, level)
            self._count_out(queue, 1)
            return await pending
        except Unavailable:
            queue.failed_total += 1
            raise

    async def pop_batch(
        self,
        reference: str,
        messages_max: int,
        wait_s: float = 0.0,
        is_gone: IsGone = _never_gone,
        *,
        durability: Durability = Durability.UNKNOWN,
    ) -> list[bytes]:
        """Take messages from the head of a queue and return their envelopes, oldest first.

        Args:
            reference: the queue's id or name.
            messages_max: how many at most; fewer are returned if a reply carries no more,
                and none if there was none in time.
            wait_s: how long to wait for the first message at most.
            is_gone: tells whether the caller has left while it waited.
            durability: as in `add`.

        Raises:
            Gone: the caller has left.
            DurabilityNotReached: the queue's store cannot make it so durable.
        """
        queue = self._queues.catalog.get(reference) or await self._queues.refuse(reference)
        level = durability_reached(queue, durability)
        try:
            store = self._queues.store_of(queue)
            if queue.is_timed:
                self._queues.pass_time(queue)
            if self._waiting.free(queue) <= 0 and not await self._queues.message_comes(
                queue, wait_s, is_gone, level
            ):
                return []
            count_max = self._waiting.share(queue, messages_max)
            before = queue.consumed_total
            pending = store.pop_batch(queue, count_max, self._messages_bytes_max, level)
            self._count_out(queue, queue.consumed_total - before)
            return await pending
        except Unavailable:
            queue.failed_total += 1
            raise

    def _count_out(self, queue: Queue, count: int) -> None:
        """Take note that messages were popped, where others can be added or handed out by that."""
        if queue.number in self._footprint.known:
            self._footprint.recount(queue)
        if queue.is_gated:
            self._queues.count_out(queue, count)

    async def peek(self, reference: str) -> bytes:
        """Return the envelope at the head of a queue and leave it there.

        Raises:
            QueueEmpty: there is none.
        """
        queue = await self._queues.find(reference)
        try:
            store = self._queues.store_to_read(queue)
            if queue.is_timed:
                self._queues.pass_time(queue)
            try:
                return await store.peek(queue)
            except QueueEmpty:
                await store.settle()
                raise
        except Unavailable:
            queue.failed_total += 1
            raise
