"""The client: one server, its queues."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, TypeVar, overload

from qmq.client._async.access import AsyncAccess
from qmq.client._async.connection import AsyncConnection
from qmq.client._async.lease import AsyncLeasedMessage, lease_of
from qmq.client._async.queue import AsyncQueue
from qmq.client._async.scheduling import schedules_of
from qmq.client._async.selection import AsyncSelection
from qmq.client.codecs import AS_IS, Codec
from qmq.client.decode import durability_of, metadata, queue_info, queue_stats, redrive
from qmq.client.encode import queue_settings, tags_of
from qmq.client.errors import NameTaken, QueueNotFound
from qmq.client.on_asyncio.channel import AsyncChannel, AsyncGrpcChannel
from qmq.client.options import TIMEOUT_S, TLS, Duration, Retry, must_be, seconds, several, tls_with
from qmq.client.queue_values import (
    QueueInfo,
    QueueSettings,
    QueueStats,
    Redrive,
    differences,
)
from qmq.client.schedule_values import Schedule
from qmq.client.values import DurabilityName, Metadata, Tags, durability_level, member
from qmq.limits import PAGE_SIZE_MAX
from qmq.values import UNBOUNDED, Store
from qmq.wire import q_pb2 as pb

if TYPE_CHECKING:
    from qmq.client.server_values import ServerInfo

T = TypeVar("T")

#: A store, or its name.
StoreName: TypeAlias = Store | Literal["MEMORY", "DISK", "CLUSTER"]

#: Messages to be added to a queue: the queue, their payloads or NewMessages, and the tags of
#: all, if any.
Adds: TypeAlias = (
    tuple[AsyncQueue[Any], Iterable[Any]] | tuple[AsyncQueue[Any], Iterable[Any], Tags]
)


_log = logging.getLogger("qmq.client")

_ADDS: Final = "adds is a list of tuples, of a queue, payloads and, if there are any, tags"


class AsyncClient(AsyncAccess):
    """A client of one q.

    It connects at the first call, and again after the server was away. Close it with
    `async with` or `close`. It belongs to the event loop of its first call until that is
    closed.
    """

    def __init__(  # noqa: PLR0913 - A server has as many sides.
        self,
        address: str | Sequence[str] = ":10002",
        *,
        tls: TLS | bool | None = None,
        ca: str | PathLike[str] | None = None,
        cert: str | PathLike[str] | None = None,
        key: str | PathLike[str] | None = None,
        token: str | None = None,
        token_file: str | PathLike[str] | None = None,
        timeout: Duration = TIMEOUT_S,
        retry: Retry = Retry(),  # noqa: B008 - It is frozen.
    ) -> None:
        """Make a client. It asks the server nothing.

        Args:
            address: `host:port`, `[::1]:port`, or `:port` for this machine; or several of a
                cluster, in numbers: the first that is there is asked, and the next one when
                it has gone. With `https://` before it, by TLS.
            tls: how to speak TLS; True: as it stands, with the public CAs; None: as the address
                says, and not at all if it says nothing.
            ca: short for `tls=TLS(ca_file=...)`, the CA of the server's certificate.
            cert: short for its `cert_file`, the certificate that the client shows.
            key: short for its `key_file`, the key of that certificate.
            token: sent with each call as `authorization: Bearer`. It needs TLS, except to
                this machine.
            token_file: the file that it is in, which is read again when it changes, so that it
                can be replaced while the program runs.
            timeout: how many seconds a call may take, connecting and repeats included, but
                for the time that it is asked to wait for a message.
            retry: which calls are repeated when the server is unavailable, for how long.

        Raises:
            AddressError: `address` is none.
            ValueError: the token would go over a network in plain text, or two arguments
                contradict each other; or see TLS, Retry.
            OSError: a file cannot be read.
        """
        channel = AsyncGrpcChannel(
            address, tls=tls_with(tls, ca, cert, key), token=token, token_file=token_file
        )
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
        must_be(str, queue_id=queue_id)
        if codec is None:
            return AsyncQueue(self._connection, queue_id, AS_IS)
        return AsyncQueue(self._connection, queue_id, codec)

    @overload
    def selection(self, selector: str) -> AsyncSelection[bytes | str]: ...
    @overload
    def selection(self, selector: str, *, codec: Codec[T]) -> AsyncSelection[T]: ...
    def selection(self, selector: str, *, codec: Codec[T] | None = None) -> AsyncSelection[Any]:
        """Return all queues that a selector matches, to take messages of. It asks nothing.

        Args:
            selector: such as `team=mail,env in (prod,stage)`; see docs/selectors.md.
            codec: as in `queue`.
        """
        must_be(str, selector=selector)
        if codec is None:
            return AsyncSelection(self._connection, selector, AS_IS)
        return AsyncSelection(self._connection, selector, codec)

    async def new_queue(
        self,
        name: str = "",
        *,
        store: StoreName | None = None,
        limit: int = UNBOUNDED,
        tags: Tags = (),
        settings: QueueSettings | None = None,
    ) -> AsyncQueue[bytes | str]:
        """Create a queue.

        Args:
            name: unique on the server; without one, the queue goes by its id.
            store: where its messages live: MEMORY ends with the server, DISK is on disk
                before an add is answered. None is the server's default, DISK where it has
                a data directory.
            limit: most messages it holds; -1 is no limit.
            tags: {"key": "value"}, or pairs where a key repeats.
            settings: how it hands out messages; what is left out has the default.

        Returns:
            The queue, to work with; its codec is given by `with_codec`.

        Raises:
            NameTaken: another queue has the name. Or this one, if the first answer was lost
                and the caller tried again.
            InvalidArgument: name, limit, a tag or a setting breaks a rule.
            QueueNotFound: there is no such dead-letter queue.
            StoresDiffer: the dead-letter queue lives in another store.
            StoreNotConfigured: the server runs without the store.
            LimitReached: the server holds as many queues as it may.
        """
        request = _new_queue_request(name, store, limit, tags, settings)
        reply = await self._connection.ask("NewQueue", request, pb.NewQueueResponse)
        return self.queue(name or reply.queue.meta.id)

    async def ensure_queue(
        self,
        name: str,
        *,
        store: StoreName | None = None,
        limit: int = UNBOUNDED,
        tags: Tags = (),
        settings: QueueSettings | None = None,
    ) -> AsyncQueue[bytes | str]:
        """Create a queue unless there is one of that name, which is left as it is.

        The log says so if it has other settings than are asked for.

        Args:
            name: unique on the server.
            store: as in `new_queue`; where it is given, a queue of that name is to live there.
            limit: for a new queue, as in `new_queue`.
            tags: likewise.
            settings: likewise.

        Raises:
            QmqError: what `new_queue` raises, but NameTaken.
            ValueError: there is one of that name, and it lives in another store.
        """
        queue = self.queue(name)
        try:
            info = await queue.info()
            found = info.store
            wanted = Store.UNKNOWN if store is None else member(Store, store, "store")
            if Store.UNKNOWN not in (wanted, found) and wanted is not found:
                # Whoever asks for DISK must not be served from memory, and not know.
                raise ValueError(
                    f"queue {name!r} is there already, and lives in {found.name}; leave store out"
                    " to use it as it is, or take another name"
                )
            if settings and (others := differences(settings, info.settings)):
                _log.warning(
                    "queue %s is there already, and left as it is: %s; `update` changes that",
                    name,
                    "; ".join(others),
                )
        except QueueNotFound:
            request = _new_queue_request(name, store, limit, tags, settings)
            # Somebody may be faster, or it may be repeated after its answer was lost.
            with suppress(NameTaken):
                await self._connection.ask(
                    "NewQueue", request, pb.NewQueueResponse, repeatable=True
                )
        return queue

    async def list_queues(self, *, selector: str = "") -> list[QueueInfo]:
        """Return what each queue of the server is, in order of creation.

        Args:
            selector: only queues whose tags it matches, such as `team=mail,env in (prod,stage)`.

        Raises:
            InvalidArgument: the selector is none.
        """
        queues: list[QueueInfo] = []
        request = pb.ListQueuesRequest(page_size=PAGE_SIZE_MAX, selector=selector)
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

    async def complete(
        self,
        *,
        acks: Iterable[AsyncLeasedMessage[Any]] = (),
        adds: Iterable[Adds] = (),
        durability: DurabilityName | None = None,
    ) -> list[Metadata]:
        """Ack leased messages and add others, to any queues: all of it or nothing.

        So a step of a pipeline neither loses nor doubles its output. All queues must live in
        the same store. It is not repeated when its answer was lost: who tries it again gets
        LeaseLost if it was done.

        Args:
            acks: up to 1,000 messages.
            adds: of each queue, made by `queue`, the payloads, or NewMessages with options of
                their own, and the tags of all of them if there are any; up to 1,000 messages
                together.
            durability: how durable all of it is on return, at least, as of `AsyncQueue.add`; it
                is the most that one of the queues wants.

        Returns:
            What `add` returns, of each message that was added, in order.

        Raises:
            LeaseLost: one of the messages is not the caller's any more, or acked already.
            QueueFull: there is no room for the messages, once the acked ones are gone.
            MemoryFull: likewise, in the server's memory.
            StoresDiffer: the queues live in different stores.
            DurabilityNotReached: their store cannot be as durable as that.
            QueueNotFound: there is no such queue.
            InvalidArgument: there are too many, or a tag breaks a rule.
            MessageTooLarge: one message, or all of them together, are too large.
        """
        acks = several(acks, "acks is a list of leased messages", AsyncLeasedMessage)
        leases = [lease_of(message) for message in acks]
        by_queue: dict[str, list[str]] = {}
        for lease in leases:
            by_queue.setdefault(lease.queue_id, []).append(lease.id)
        adds = list(several(adds, _ADDS, (tuple, Mapping, AsyncQueue)))
        for each in adds:
            _check_adds(each)
        request = pb.CompleteRequest(
            acks=[
                pb.CompleteRequest.Ack(queue_id=queue_id, lease_ids=lease_ids)
                for queue_id, lease_ids in by_queue.items()
            ],
            adds=[
                pb.CompleteRequest.Add(
                    queue_id=queue.queue_id,
                    messages=queue.new_messages(payloads, *tags),
                )
                for queue, payloads, *tags in adds
            ],
            durability=durability_level(durability).name,
        )
        reply = await self._connection.ask("Complete", request, pb.CompleteResponse)
        for lease in leases:
            lease.note_end(None)
        level = durability_of(reply.durability)
        return [metadata(meta, level) for meta in reply.messages]

    async def redrives(self) -> list[Redrive]:
        """Return how far each redrive is: those under way and the last 100 that have ended.

        The latest comes first.
        """
        reply = await self._connection.ask(
            "ListRedrives", pb.ListRedrivesRequest(), pb.ListRedrivesResponse, repeatable=True
        )
        return [redrive(each) for each in reply.redrives]

    async def redrive(self, redrive_id: str) -> Redrive:
        """Return how far a redrive is, which `AsyncQueue.redrive` has started.

        Raises:
            RedriveNotFound: there is none, or it ended long ago.
        """
        request = pb.GetRedriveRequest(redrive_id=redrive_id)
        reply = await self._connection.ask(
            "GetRedrive", request, pb.GetRedriveResponse, repeatable=True
        )
        return redrive(reply.redrive)

    async def stop_redrive(self, redrive_id: str) -> Redrive:
        """Stop a redrive. What it has moved stays where it is.

        Raises:
            RedriveNotFound: there is none, or it ended long ago.
        """
        request = pb.StopRedriveRequest(redrive_id=redrive_id)
        reply = await self._connection.ask(
            "StopRedrive", request, pb.StopRedriveResponse, repeatable=True
        )
        return redrive(reply.redrive)

    async def schedules(self) -> list[Schedule[bytes | str]]:
        """Return the schedules of all queues, in order of their creation and of their names."""
        return await schedules_of(self._connection, "", AS_IS)

    async def server(self) -> "ServerInfo":
        """Tell how the server does, and what of it is worth a look.

        In a cluster the q that leads answers, for all of it; while none does, the one that is asked
        says why, and nothing else.

        Raises:
            AccessDenied: the caller may not browse all queues.
            Unimplemented: the server is of a version that cannot tell.
        """
        # Imported late: to make so many classes takes time, and few programs ask.
        from qmq.client.server import server_info  # noqa: PLC0415

        reply = await self._connection.ask(
            "GetServer", pb.GetServerRequest(), pb.GetServerResponse, repeatable=True
        )
        return server_info(reply.server)


def _check_adds(adds: object) -> None:
    # To go through a queue, in search of payloads, would take its messages.
    if not (isinstance(adds, tuple) and adds and isinstance(adds[0], AsyncQueue)):
        raise TypeError(f"{_ADDS}; one of them is {adds!r}")


def _new_queue_request(
    name: str,
    store: StoreName | None,
    limit: int,
    tags: Tags,
    settings: QueueSettings | None,
) -> pb.NewQueueRequest:
    must_be(str, name=name)
    must_be(int, limit=limit)
    kind = Store.UNKNOWN if store is None else member(Store, store, "store")
    return pb.NewQueueRequest(
        name=name,
        store=pb.Queue.Store.Name(kind),
        limit=limit,
        tags=tags_of(tags),
        settings=queue_settings(settings) if settings else None,
    )
