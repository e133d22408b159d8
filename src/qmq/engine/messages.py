"""Commands about messages that come and go: Add, Pop, Peek and their batches."""

from collections.abc import Sequence

from qmq.engine.queues import Queues
from qmq.engine.waiting import IsGone
from qmq.envelope import DURABILITY_BYTES
from qmq.errors import AddsPaused, QueueEmpty, QueueFull, Unavailable
from qmq.model.durability import durability_reached
from qmq.values import Durability


async def _never_gone() -> bool:
    return False


class Messages:
    """Commands about messages that come and go.

    Its methods raise the errors of `qmq.errors`; a reference to a queue is as in
    `qmq.engine.broker.Broker`.
    """

    def __init__(self, queues: Queues) -> None:
        self._queues = queues
        self._waiting = queues.waiting
        self._sealer = queues.sealer
        self._now_ns = queues.now_ns
        self._new_id = queues.new_id
        #: What the messages of one reply may take.
        self._messages_bytes_max = queues.message_bytes_max - DURABILITY_BYTES

    async def add(
        self,
        reference: str,
        payload: bytes,
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
            AddsPaused: the queue takes none for now.
        """
        queue = self._queues.catalog.get(reference) or await self._queues.refuse(reference)
        level = durability_reached(queue.info, durability)
        now_ns = self._now_ns()
        envelope = self._sealer.seal(self._new_id(), now_ns, tags, payload)
        self._queues.check_size(envelope, "message")
        try:
            store = self._queues.store_of(queue)
            try:
                added = store.add(queue, envelope, now_ns, level)
            except (QueueFull, AddsPaused):
                await store.settle(level)
                raise
            self._waiting.serve(queue)
            await added
        except Unavailable:
            queue.failed_total += 1
            raise
        return envelope

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
        """
        queue = self._queues.catalog.get(reference) or await self._queues.refuse(reference)
        level = durability_reached(queue.info, durability)
        now_ns = self._now_ns()
        ids = self._new_id.many(len(messages))
        envelopes, metas = self._sealer.seal_batch(ids, now_ns, messages)
        self._queues.check_sizes(envelopes, "messages")
        self._queues.check_reply_size(metas)
        try:
            store = self._queues.store_of(queue)
            try:
                room = queue.room_for(len(envelopes), partial=partial)
            except (QueueFull, AddsPaused):
                await store.settle(level)
                raise
            if room:
                added = store.add_batch(queue, envelopes[:room], now_ns, level)
                self._waiting.serve(queue)
                await added
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
        level = durability_reached(queue.info, durability)
        try:
            store = self._queues.store_of(queue)
            if queue.leases.by_seq:
                self._queues.pass_time(queue)
            if self._waiting.free(queue) <= 0 and not await self._queues.message_comes(
                queue, wait_s, is_gone, level
            ):
                raise queue.nothing_to_hand_out()
            return await store.pop(queue, level)
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
        level = durability_reached(queue.info, durability)
        try:
            store = self._queues.store_of(queue)
            if queue.leases.by_seq:
                self._queues.pass_time(queue)
            if self._waiting.free(queue) <= 0 and not await self._queues.message_comes(
                queue, wait_s, is_gone, level
            ):
                return []
            count_max = self._waiting.share(queue, messages_max)
            return await store.pop_batch(queue, count_max, self._messages_bytes_max, level)
        except Unavailable:
            queue.failed_total += 1
            raise

    async def peek(self, reference: str) -> bytes:
        """Return the envelope at the head of a queue and leave it there.

        Raises:
            QueueEmpty: there is none.
        """
        queue = await self._queues.find(reference)
        try:
            store = self._queues.store_of(queue)
            if queue.leases.by_seq:
                self._queues.pass_time(queue)
            try:
                return await store.peek(queue)
            except QueueEmpty:
                await store.settle()
                raise
        except Unavailable:
            queue.failed_total += 1
            raise
