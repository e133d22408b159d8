"""The broker: finds the queue that a call is about and lets its store carry it out."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from qmq.clock import Clock
from qmq.engine.waiting import IsGone, MonotonicTimer, Timer, Waiting
from qmq.envelope import REPLY_OVERHEAD_BYTES, Sealer
from qmq.errors import (
    InvalidArgument,
    NameTaken,
    QError,
    QueueEmpty,
    QueueFull,
    QueueNotFound,
    ShuttingDown,
    StoreNotConfigured,
    TooLarge,
    Unavailable,
    UnknownStore,
)
from qmq.ids import RandomIds
from qmq.limits import MESSAGE_BYTES_MAX, QUEUES_MAX
from qmq.model.catalog import Catalog
from qmq.model.queue import Queue
from qmq.store.base import QueueStore
from qmq.values import UNBOUNDED, QueueInfo, QueueStats, Store, Tag

#: The number of the last queue of the page before; empty before the first.
_PAGE_TOKEN = re.compile(r"[0-9]{0,18}", re.ASCII)


async def _never_gone() -> bool:
    return False


class Broker:
    """All queues of one server.

    Its methods raise the errors of `qmq.errors`. A reference to a queue is its UUID or
    its name; a method that takes one raises QueueNotFound or InvalidArgument when no
    queue has it.
    """

    def __init__(  # noqa: PLR0913 - What it is made of, each by name.
        self,
        stores: Mapping[Store, QueueStore],
        *,
        clock: Clock,
        new_id: RandomIds,
        queues: Iterable[Queue] = (),
        last_queue_number: int = 0,
        queues_max: int = QUEUES_MAX,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
        timer: Timer = MonotonicTimer(),  # noqa: B008 - It has no state.
    ) -> None:
        """Make a broker.

        Args:
            stores: the stores that queues can live in.
            clock: tells when queues and messages were made.
            new_id: makes the ids of queues and messages.
            queues: the queues that the stores hold already, in order of creation.
            last_queue_number: the highest number a queue of theirs ever had.
            queues_max: most queues.
            message_bytes_max: most bytes of a reply that carries one message.
            timer: measures how long callers wait for a message.
        """
        self.catalog = Catalog(queues_max)
        self._stores = stores
        self._now_ns = clock.now_ns
        self._new_id = new_id
        self._sealer = Sealer()
        self._last_queue_number = last_queue_number
        self._message_bytes_max = message_bytes_max
        self._envelope_bytes_max = message_bytes_max - REPLY_OVERHEAD_BYTES
        self._waiting = Waiting(timer)
        self._is_stopping = False
        self._is_closing = False
        for queue in queues:
            self.catalog.add(queue)

    @property
    def message_bytes_max(self) -> int:
        """Most bytes of a reply that carries one message."""
        return self._message_bytes_max

    async def new_queue(
        self, kind: int, *, limit: int = UNBOUNDED, name: str = "", tags: Sequence[Tag] = ()
    ) -> QueueInfo:
        """Create a queue.

        Args:
            kind: a number of `Store`; UNKNOWN means DISK where there is one, else MEMORY.
            limit: most messages it holds; -1 and 0 mean no limit.
            name: unique, or empty for none.
            tags: in the order to keep; repeated pairs count once.

        Raises:
            UnknownStore: there is no such store.
            StoreNotConfigured: this server runs without it.
            InvalidArgument: limit or name breaks its rule.
            NameTaken: another queue has the name.
            LimitReached: the server holds as many queues as it may.
        """
        store_kind = self._store_kind(kind)
        if limit < UNBOUNDED:
            raise InvalidArgument("limit", f"must be -1 or 0 (no limit) or more; got {limit}")
        try:
            self.catalog.check_room(name)
        except NameTaken:
            await self._settle()
            raise
        info = QueueInfo(
            id=self._new_id().decode(),
            created_ns=self._now_ns(),
            store=store_kind,
            limit=limit or UNBOUNDED,
            name=name,
            tags=tuple(dict.fromkeys(tags)),
        )
        self._last_queue_number += 1
        queue = Queue(self._last_queue_number, info)
        store = self._store_of(queue)
        # The name is taken from now on, also while the store still works.
        self.catalog.add(queue)
        try:
            await store.new_queue(queue)
        except Exception:
            self.catalog.remove(queue)
            raise
        return info

    def _store_kind(self, number: int) -> Store:
        """Return which store a number of the wire means here."""
        try:
            kind = Store(number)
        except ValueError:
            raise UnknownStore(number) from None
        if kind is Store.UNKNOWN:
            return Store.DISK if Store.DISK in self._stores else Store.MEMORY
        if kind not in self._stores:
            raise StoreNotConfigured(
                f"store: {kind.name} needs a data directory and this server runs without one;"
                " start q with --data DIR, or use MEMORY"
            )
        return kind

    async def get_queue(self, reference: str) -> QueueInfo:
        """Describe a queue."""
        queue = self.catalog.get(reference) or await self._refuse(reference)
        info = queue.info
        await self._stores[info.store].settle()
        return info

    async def list_queues(self, page_size: int, page_token: str) -> tuple[list[QueueInfo], str]:
        """Describe queues in order of creation.

        Args:
            page_size: how many at most; 0 for all.
            page_token: what the call before returned; empty for the first page.

        Returns:
            The queues, and the token of the next page or "".

        Raises:
            InvalidArgument: page_size is out of range, or page_token is none of ours.
        """
        queues, next_token = self._page(page_size, page_token)
        infos = [queue.info for queue in queues]
        await self._settle()
        return infos, next_token

    async def stats(
        self, reference: str, page_size: int, page_token: str
    ) -> tuple[list[QueueStats], str]:
        """Count the messages of one queue or, with an empty reference, of all.

        Args:
            reference: the queue's id or name, or "".
            page_size: how many queues at most, as in `list_queues`.
            page_token: as in `list_queues`.

        Returns:
            The counts, and the token of the next page or "".

        Raises:
            InvalidArgument: page_size is out of range, or page_token is none of ours.
        """
        if reference:
            queue = self.catalog.get(reference) or await self._refuse(reference)
            queues, next_token = [queue], ""
        else:
            queues, next_token = self._page(page_size, page_token)
        now_ns = self._now_ns()
        counts = [queue.stats(now_ns, self._waiting.count(queue)) for queue in queues]
        await self._settle()
        return counts, next_token

    def _page(self, page_size: int, page_token: str) -> tuple[list[Queue], str]:
        if not _PAGE_TOKEN.fullmatch(page_token):
            raise InvalidArgument("page_token", "must be a next_page_token from an earlier reply")
        queues, more_after = self.catalog.page(page_size, int(page_token or 0))
        return queues, "" if more_after is None else str(more_after)

    async def delete_queue(self, reference: str) -> None:
        """Delete a queue and its messages.

        Raises:
            QueueNotFound: no queue has the id, so that there is nothing to do.
        """
        queue = self.catalog.get(reference) or await self._refuse(reference)
        store = self._store_of(queue)
        self.catalog.remove(queue)
        deleted = store.delete_queue(queue)
        self._waiting.dismiss(queue, QueueNotFound(queue.info.id))
        await deleted

    async def add_queue_tag(self, reference: str, tag: Tag) -> None:
        """Add a tag to a queue, unless it has it.

        Raises:
            InvalidArgument: the queue's tags would be more, or longer, than q allows.
        """
        queue = self.catalog.get(reference) or await self._refuse(reference)
        store = self._store_of(queue)
        await (store.save_info(queue) if queue.add_tag(tag) else store.settle())

    async def delete_queue_tag(self, reference: str, tag: Tag) -> None:
        """Remove a tag from a queue, if it has it."""
        queue = self.catalog.get(reference) or await self._refuse(reference)
        store = self._store_of(queue)
        await (store.save_info(queue) if queue.delete_tag(tag) else store.settle())

    async def add(self, reference: str, payload: bytes, tags: bytes = b"") -> bytes:
        """Put a message at the end of a queue.

        Args:
            reference: the queue's id or name.
            payload: any bytes.
            tags: as `envelope.encode_tags` encodes them.

        Returns:
            The message's envelope.

        Raises:
            TooLarge: no reply could carry the message.
            QueueFull: the queue holds as many messages as its limit allows.
        """
        queue = self.catalog.get(reference) or await self._refuse(reference)
        now_ns = self._now_ns()
        envelope = self._sealer.seal(self._new_id(), now_ns, tags, payload)
        if len(envelope) > self._envelope_bytes_max:
            raise self._too_large("message", envelope)
        try:
            store = self._store_of(queue)
            try:
                added = store.add(queue, envelope, now_ns)
            except QueueFull:
                await store.settle()
                raise
            self._waiting.serve(queue)
            await added
        except Unavailable:
            queue.failed_total += 1
            raise
        return envelope

    async def add_batch(
        self, reference: str, messages: Sequence[tuple[bytes, bytes]], *, partial: bool = False
    ) -> list[bytes]:
        """Put messages at the end of a queue: all of them or none.

        Args:
            reference: the queue's id or name.
            messages: tags, as `envelope.encode_tags` encodes them, and payload of each.
            partial: put the first ones that there is room for, rather than none.

        Returns:
            The metadata of each message that was added, as `envelope.seal_batch` returns it.

        Raises:
            TooLarge: no reply could carry one of the messages, or the metadata of all.
            QueueFull: there is no room for all of them, or for any with `partial`.
        """
        queue = self.catalog.get(reference) or await self._refuse(reference)
        now_ns = self._now_ns()
        ids = self._new_id.many(len(messages))
        envelopes, metas = self._sealer.seal_batch(ids, now_ns, messages)
        self._check_sizes(envelopes, metas)
        try:
            store = self._store_of(queue)
            try:
                room = queue.room_for(len(envelopes), partial=partial)
            except QueueFull:
                await store.settle()
                raise
            if room:
                added = store.add_batch(queue, envelopes[:room], now_ns)
                self._waiting.serve(queue)
                await added
        except Unavailable:
            queue.failed_total += 1
            raise
        return metas[:room]

    async def pop(
        self, reference: str, wait_s: float = 0.0, is_gone: IsGone = _never_gone
    ) -> bytes:
        """Take the message at the head of a queue and return its envelope.

        Args:
            reference: the queue's id or name.
            wait_s: how long to wait for a message at most.
            is_gone: tells whether the caller has left while it waited.

        Raises:
            QueueEmpty: there is none, or was none in time.
            Gone: the caller has left.
        """
        queue = self.catalog.get(reference) or await self._refuse(reference)
        try:
            store = self._store_of(queue)
            if self._waiting.free(queue) <= 0 and not await self._message_comes(
                queue, wait_s, is_gone
            ):
                queue.empty_total += 1
                raise QueueEmpty(queue.info.id)
            return await store.pop(queue)
        except Unavailable:
            queue.failed_total += 1
            raise

    async def pop_batch(
        self,
        reference: str,
        messages_max: int,
        wait_s: float = 0.0,
        is_gone: IsGone = _never_gone,
    ) -> list[bytes]:
        """Take messages from the head of a queue and return their envelopes, oldest first.

        Args:
            reference: the queue's id or name.
            messages_max: how many at most; fewer are returned if a reply carries no more,
                and none if there was none in time.
            wait_s: how long to wait for the first message at most.
            is_gone: tells whether the caller has left while it waited.

        Raises:
            Gone: the caller has left.
        """
        queue = self.catalog.get(reference) or await self._refuse(reference)
        try:
            store = self._store_of(queue)
            if self._waiting.free(queue) <= 0 and not await self._message_comes(
                queue, wait_s, is_gone
            ):
                return []
            # What is promised to others is not for this one.
            count_max = min(messages_max, self._waiting.free(queue))
            return await store.pop_batch(queue, count_max, self._message_bytes_max)
        except Unavailable:
            queue.failed_total += 1
            raise

    async def _message_comes(self, queue: Queue, wait_s: float, is_gone: IsGone) -> bool:
        """Wait for a message; if there is one, it is the caller's, who must take it at once.

        Raises:
            Gone: the caller has left.
            QueueNotFound: the queue was deleted meanwhile.
            Unavailable: q is shutting down, or the store takes no calls any more.
        """
        if wait_s > 0 and self._is_stopping:
            raise _shutting_down()
        try:
            await self._waiting.turn(queue, wait_s, is_gone)
        except QueueEmpty:
            await self._stores[queue.info.store].settle()
            return False
        except QueueNotFound:
            await self._stores[queue.info.store].settle()
            raise
        if self.catalog.get(queue.info.id) is not queue:
            await self._refuse(queue.info.id)
        try:
            self._store_of(queue)
        except Unavailable:
            # The message stays, and is for who comes next.
            self._waiting.serve(queue)
            raise
        return True

    async def peek(self, reference: str) -> bytes:
        """Return the envelope at the head of a queue and leave it there.

        Raises:
            QueueEmpty: there is none.
        """
        queue = self.catalog.get(reference) or await self._refuse(reference)
        try:
            store = self._store_of(queue)
            try:
                return await store.peek(queue)
            except QueueEmpty:
                await store.settle()
                raise
        except Unavailable:
            queue.failed_total += 1
            raise

    def stop_waiting(self) -> None:
        """Let everybody go who waits for a message, since q is shutting down.

        Nobody waits from then on; who would is told the same.
        """
        self._is_stopping = True
        for queue in self.catalog:
            self._waiting.dismiss(queue, _shutting_down())

    async def close(self) -> None:
        """Take no more calls, and close the stores when what is under way is durable."""
        self._is_closing = True
        self.stop_waiting()
        for store in self._stores.values():
            await store.close()

    async def _refuse(self, reference: str) -> NoReturn:
        """Say that no queue has the id or name, when that cannot be taken back any more."""
        try:
            self.catalog.find(reference)
        except QError:
            # The queue may have been deleted this moment.
            await self._settle()
            raise
        raise AssertionError(f"queue {reference} is there after all")

    async def _settle(self) -> None:
        """Wait until all that was decided upon so far is durable."""
        for store in self._stores.values():
            await store.settle()

    def _store_of(self, queue: Queue) -> QueueStore:
        """Return the store of a queue, ready to take a call."""
        if self._is_closing:
            raise _shutting_down()
        store = self._stores[queue.info.store]
        store.check()
        return store

    def _check_sizes(self, envelopes: list[bytes], metas: list[bytes]) -> None:
        """Refuse a batch of which something does not fit into a reply."""
        if max(map(len, envelopes), default=0) > self._envelope_bytes_max:
            for at, envelope in enumerate(envelopes):
                if len(envelope) > self._envelope_bytes_max:
                    raise self._too_large(f"messages[{at}]", envelope)
        size = sum(map(len, metas)) + REPLY_OVERHEAD_BYTES
        if size > self._message_bytes_max:
            raise TooLarge(
                f"messages: the reply, tags and metadata of all, takes {size} bytes, more than"
                f" message_bytes_max of {self._message_bytes_max}; send fewer in one batch",
                "message_bytes_max",
                self._message_bytes_max,
                size,
            )

    def _too_large(self, field: str, envelope: bytes) -> TooLarge:
        size = len(envelope) + REPLY_OVERHEAD_BYTES
        return TooLarge(
            f"{field}: payload, tags and metadata take {size} bytes, more than"
            f" message_bytes_max of {self._message_bytes_max}",
            "message_bytes_max",
            self._message_bytes_max,
            size,
        )


def _shutting_down() -> ShuttingDown:
    return ShuttingDown("q is shutting down; the same call may succeed at its successor")
