"""The broker: finds the queue that a call is about and lets its store carry it out."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from qmq.clock import Clock
from qmq.envelope import REPLY_OVERHEAD_BYTES, Sealer
from qmq.errors import (
    InvalidArgument,
    QueueNotFound,
    ShuttingDown,
    StoreNotConfigured,
    TooLarge,
    Unavailable,
    UnknownStore,
)
from qmq.limits import MESSAGE_BYTES_MAX, QUEUES_MAX
from qmq.model.catalog import Catalog
from qmq.model.queue import Queue
from qmq.store.base import QueueStore
from qmq.values import UNBOUNDED, QueueInfo, Store, Tag

#: The number of the last queue of the page before; empty before the first.
_PAGE_TOKEN = re.compile(r"[0-9]{0,18}", re.ASCII)


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
        new_id: Callable[[], bytes],
        queues: Iterable[Queue] = (),
        last_queue_number: int = 0,
        queues_max: int = QUEUES_MAX,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
    ) -> None:
        """Make a broker.

        Args:
            stores: the stores that queues can live in.
            clock: tells when queues and messages were made.
            new_id: returns a new UUID in its canonical form.
            queues: the queues that the stores hold already, in order of creation.
            last_queue_number: the highest number a queue of theirs ever had.
            queues_max: most queues.
            message_bytes_max: most bytes of a reply that carries one message.
        """
        self.catalog = Catalog(queues_max)
        self._stores = stores
        self._now_ns = clock.now_ns
        self._new_id = new_id
        self._seal = Sealer().seal
        self._last_queue_number = last_queue_number
        self._message_bytes_max = message_bytes_max
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
        self.catalog.check_room(name)
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
        info = self.catalog.find(reference).info
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
        if not _PAGE_TOKEN.fullmatch(page_token):
            raise InvalidArgument("page_token", "must be a next_page_token from an earlier reply")
        queues, more_after = self.catalog.page(page_size, int(page_token or 0))
        infos = [queue.info for queue in queues]
        await self._settle()
        return infos, "" if more_after is None else str(more_after)

    async def delete_queue(self, reference: str) -> None:
        """Delete a queue and its messages.

        Raises:
            QueueNotFound: no queue has the id, so that there is nothing to do.
        """
        try:
            queue = self.catalog.find(reference)
        except QueueNotFound:
            # It may have been deleted this moment, which must be durable before we say so.
            await self._settle()
            raise
        store = self._store_of(queue)
        self.catalog.remove(queue)
        await store.delete_queue(queue)

    async def add_queue_tag(self, reference: str, tag: Tag) -> None:
        """Add a tag to a queue, unless it has it.

        Raises:
            InvalidArgument: the queue's tags would be more, or longer, than q allows.
        """
        queue = self.catalog.find(reference)
        store = self._store_of(queue)
        await (store.save_info(queue) if queue.add_tag(tag) else store.settle())

    async def delete_queue_tag(self, reference: str, tag: Tag) -> None:
        """Remove a tag from a queue, if it has it."""
        queue = self.catalog.find(reference)
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
        queue = self.catalog.find(reference)
        now_ns = self._now_ns()
        envelope = self._seal(self._new_id(), now_ns, tags, payload)
        size = len(envelope) + REPLY_OVERHEAD_BYTES
        if size > self._message_bytes_max:
            raise TooLarge(
                f"message: payload, tags and metadata take {size} bytes, more than"
                f" message_bytes_max of {self._message_bytes_max}",
                "message_bytes_max",
                self._message_bytes_max,
                size,
            )
        try:
            await self._store_of(queue).add(queue, envelope, now_ns)
        except Unavailable:
            queue.failed_total += 1
            raise
        return envelope

    async def pop(self, reference: str) -> bytes:
        """Take the message at the head of a queue and return its envelope.

        Raises:
            QueueEmpty: there is none.
        """
        queue = self.catalog.find(reference)
        try:
            return await self._store_of(queue).pop(queue)
        except Unavailable:
            queue.failed_total += 1
            raise

    async def peek(self, reference: str) -> bytes:
        """Return the envelope at the head of a queue and leave it there.

        Raises:
            QueueEmpty: there is none.
        """
        queue = self.catalog.find(reference)
        try:
            return await self._store_of(queue).peek(queue)
        except Unavailable:
            queue.failed_total += 1
            raise

    async def close(self) -> None:
        """Take no more calls, and close the stores when what is under way is durable."""
        self._is_closing = True
        for store in self._stores.values():
            await store.close()

    async def _settle(self) -> None:
        """Wait until all that was decided upon so far is durable."""
        for store in self._stores.values():
            await store.settle()

    def _store_of(self, queue: Queue) -> QueueStore:
        """Return the store of a queue, ready to take a call."""
        if self._is_closing:
            raise ShuttingDown("q is shutting down; the same call may succeed at its successor")
        store = self._stores[queue.info.store]
        store.check()
        return store
