"""The client: one server, its queues."""

from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, TypeVar, overload

from qmq.client._async.connection import AsyncConnection
from qmq.client._async.queue import AsyncQueue
from qmq.client.codecs import AS_IS, Codec
from qmq.client.decode import queue_info, queue_stats
from qmq.client.errors import NameTaken, QueueNotFound
from qmq.client.on_asyncio.channel import AsyncChannel, AsyncGrpcChannel
from qmq.client.options import TIMEOUT_S, TLS, Duration, Retry, seconds
from qmq.client.values import QueueInfo, QueueStats, Tags, tag_pairs
from qmq.limits import PAGE_SIZE_MAX
from qmq.values import UNBOUNDED, Store
from qmq.wire import q_pb2 as pb

T = TypeVar("T")

#: A store, or its name.
StoreName: TypeAlias = Store | Literal["MEMORY", "DISK"]


class AsyncClient:
    """A client of one q.

    It connects at the first call, and again after the server was away. Close it with
    `async with` or `close`. It belongs to the event loop of its first call until that is
    closed.
    """

    def __init__(
        self,
        address: str = ":10002",
        *,
        tls: TLS | None = None,
        token: str | None = None,
        timeout: Duration = TIMEOUT_S,
        retry: Retry = Retry(),  # noqa: B008 - It is frozen.
    ) -> None:
        """Make a client. It asks the server nothing.

        Args:
            address: `host:port`, `[::1]:port`, or `:port` for this machine.
            tls: how to speak TLS; None does not.
            token: sent with each call as `authorization: Bearer`. It needs TLS, except to
                this machine.
            timeout: how many seconds a call may take, connecting and repeats included, but
                for the time that it is asked to wait for a message.
            retry: which calls are repeated when the server is unavailable, for how long.

        Raises:
            AddressError: `address` is none.
            ValueError: the token would go over a network in plain text; or see TLS, Retry.
            OSError: a file of `tls` cannot be read.
        """
        channel = AsyncGrpcChannel(address, tls=tls, token=token)
        self._connect(channel, seconds(timeout, "timeout"), retry)

    @classmethod
    def over(
        cls,
        channel: AsyncChannel,
        *,
        timeout: Duration = TIMEOUT_S,
        retry: Retry = Retry(),  # noqa: B008 - It is frozen.
    ) -> Self:
        """Return a client whose calls go over something else than the network.

        Args:
            channel: what they go over.
            timeout: as above.
            retry: as above.
        """
        client = cls.__new__(cls)
        client._connect(channel, seconds(timeout, "timeout"), retry)  # noqa: SLF001 - It is one.
        return client

    def _connect(self, channel: AsyncChannel, timeout_s: float, retry: Retry) -> None:
        self._channel = channel
        self._connection = AsyncConnection(channel, timeout_s=timeout_s, retry=retry)

    def __repr__(self) -> str:
        return f"<AsyncClient of {self._channel.address}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection. Calls under way end with ClientUnusable."""
        await self._channel.close()

    @overload
    def queue(self, queue_id: str) -> AsyncQueue[bytes | str]: ...
    @overload
    def queue(self, queue_id: str, *, codec: Codec[T]) -> AsyncQueue[T]: ...
    def queue(self, queue_id: str, *, codec: Codec[T] | None = None) -> AsyncQueue[Any]:
        """Return a queue of the server, to work with. It asks the server nothing.

        Args:
            queue_id: its id or name.
            codec: what payloads are made with and read with; bytes and str as they are
                unless told otherwise.
        """
        if codec is None:
            return AsyncQueue(self._connection, queue_id, AS_IS)
        return AsyncQueue(self._connection, queue_id, codec)

    async def new_queue(
        self,
        name: str = "",
        *,
        store: StoreName | None = None,
        limit: int = UNBOUNDED,
        tags: Tags = (),
    ) -> AsyncQueue[bytes | str]:
        """Create a queue.

        Args:
            name: unique on the server; without one, the queue goes by its id.
            store: where its messages live: MEMORY ends with the server, DISK is on disk
                before an add is answered. None is the server's default, DISK where it has
                a data directory.
            limit: most messages it holds; -1 is no limit.
            tags: {"key": "value"}, or pairs where a key repeats.

        Returns:
            The queue, to work with; its codec is given by `with_codec`.

        Raises:
            NameTaken: another queue has the name. Or this one, if the first answer was lost
                and the caller tried again.
            InvalidArgument: name, limit or a tag breaks a rule.
            StoreNotConfigured: the server runs without the store.
            LimitReached: the server holds as many queues as it may.
        """
        request = _new_queue_request(name, store, limit, tags)
        reply = await self._connection.ask("NewQueue", request, pb.NewQueueResponse)
        return self.queue(name or reply.queue.meta.id)

    async def ensure_queue(
        self,
        name: str,
        *,
        store: StoreName | None = None,
        limit: int = UNBOUNDED,
        tags: Tags = (),
    ) -> AsyncQueue[bytes | str]:
        """Create a queue unless there is one of that name, which is left as it is.

        Args:
            name: unique on the server.
            store: for a new queue, as in `new_queue`.
            limit: likewise.
            tags: likewise.

        Raises:
            QmqError: what `new_queue` raises, but NameTaken.
        """
        queue = self.queue(name)
        try:
            await queue.info()
        except QueueNotFound:
            request = _new_queue_request(name, store, limit, tags)
            # Somebody may be faster, or it may be repeated after its answer was lost.
            with suppress(NameTaken):
                await self._connection.ask(
                    "NewQueue", request, pb.NewQueueResponse, repeatable=True
                )
        return queue

    async def list_queues(self) -> list[QueueInfo]:
        """Return what each queue of the server is, in order of creation."""
        queues: list[QueueInfo] = []
        request = pb.ListQueuesRequest(page_size=PAGE_SIZE_MAX)
        while True:
            reply = await self._connection.ask(
                "ListQueues", request, pb.ListQueuesResponse, repeatable=True
            )
            queues += map(queue_info, reply.queues)
            if not reply.next_page_token:
                return queues
            request.page_token = reply.next_page_token

    async def stats(self) -> list[QueueStats]:
        """Return what each queue of the server holds, in order of creation."""
        stats: list[QueueStats] = []
        request = pb.StatsRequest(page_size=PAGE_SIZE_MAX)
        while True:
            reply = await self._connection.ask("Stats", request, pb.StatsResponse, repeatable=True)
            stats += map(queue_stats, reply.queues)
            if not reply.next_page_token:
                return stats
            request.page_token = reply.next_page_token


def _new_queue_request(
    name: str, store: StoreName | None, limit: int, tags: Tags
) -> pb.NewQueueRequest:
    kind = Store[store] if isinstance(store, str) else store or Store.UNKNOWN
    return pb.NewQueueRequest(
        name=name,
        store=pb.Queue.Store.Name(kind),
        limit=limit,
        tags=[pb.Tag(key=key, value=value) for key, value in tag_pairs(tags)],
    )
