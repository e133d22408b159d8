"""One connection to one q, for asyncio."""

import asyncio
from collections.abc import Sequence
from os import PathLike
from typing import Protocol

import grpc
import grpc.aio

from qmq.client import forks
from qmq.client.endpoint import Endpoint
from qmq.client.errors import ClientUnusable, HandshakeFailed, QmqError
from qmq.client.grpc_options import CHANNEL_OPTIONS, SERVICE_PATH, target
from qmq.client.options import TLS
from qmq.client.status import error_of
from qmq.client.tracing import with_context


class AsyncChannel(Protocol):
    """What calls go over: a connection, or a broker in the same process."""

    @property
    def address(self) -> str:
        """Where it leads to, for people."""
        ...

    async def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Call `method` of the service, for example `Pop`, once, and return its reply.

        Raises QmqError.
        """
        ...

    async def close(self) -> None:
        """End the calls under way, and take no more."""
        ...


class AsyncGrpcChannel:
    """A connection to the server at `address` (`host:port`, `[::1]:port` or `:port`).

    Of several, the first that is there is asked.

    It connects at the first call, and belongs to the event loop of that call until that
    loop is closed. Raises what `Endpoint` raises.
    """

    def __init__(
        self,
        address: str | Sequence[str],
        *,
        tls: TLS | bool | None = None,
        token: str | None = None,
        token_file: str | PathLike[str] | None = None,
    ) -> None:
        self._endpoint = Endpoint(address, tls=tls, token=token, token_file=token_file)
        self.address = self._endpoint.address
        self._methods: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {}
        self._grpc: grpc.aio.Channel | None = None
        #: Connections that were left for another one.
        self._left: list[grpc.aio.Channel] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._generation = forks.generation
        self._opening: object = None
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<AsyncGrpcChannel {self.address}>"

    async def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Call `method` once. See AsyncChannel."""
        try:
            reply: bytes = await self._method(method)(
                request, timeout=timeout_s, metadata=with_context(self._endpoint.metadata())
            )
        except grpc.aio.AioRpcError as error:
            translated = self._translated(error, timeout_s)
            # What gRPC says of a refusal is what q says of it, at length.
            raise translated from (None if translated.reason else error)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._is_closed and task and not task.cancelling():
                # Nobody cancelled the caller: this is how gRPC says that it was closed.
                raise self._closed() from None
            raise
        return reply

    async def close(self) -> None:
        """End the calls under way, and take no more."""
        self._is_closed = True
        channel, self._grpc = self._grpc, None
        self._methods.clear()
        if self._generation != forks.generation:
            return
        for each in (*self._left, channel):
            if each:
                await each.close()
        if channel or self._left:
            forks.end(self._opening)

    def _method(self, name: str) -> "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]":
        """Return what calls the method, connected in the loop and process that runs now."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop or self._generation != forks.generation:
            self._move_to(loop)
        if name not in self._methods:
            if self._is_closed:
                raise self._closed()
            if self._grpc is None:
                self._grpc = self._opened()
            self._methods[name] = self._grpc.unary_unary(SERVICE_PATH + name)
        return self._methods[name]

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """Leave the connection behind that another loop or another process had made."""
        is_forked = self._generation != forks.generation
        if self._loop and not self._loop.is_closed() and not is_forked:
            raise ClientUnusable(
                f"the client of {self.address} belongs to another event loop: make one in each"
            )
        if not is_forked:
            forks.end(self._opening)
        self._grpc = None
        self._left.clear()
        self._methods.clear()
        self._loop = loop
        self._generation = forks.generation

    def _opened(self) -> grpc.aio.Channel:
        # A thread of gRPC's serves event loops for as long as there is a channel.
        if not self._left:
            self._opening = forks.begin()
        credentials = self._endpoint.credentials()
        if credentials:
            return grpc.aio.secure_channel(
                target(self.address), credentials, options=CHANNEL_OPTIONS
            )
        return grpc.aio.insecure_channel(target(self.address), options=CHANNEL_OPTIONS)

    def _closed(self) -> ClientUnusable:
        return ClientUnusable(f"the client of {self.address} is closed")

    def _translated(self, error: grpc.RpcError, timeout_s: float) -> QmqError:
        """The client's own error for gRPC's."""
        if error.code() is grpc.StatusCode.CANCELLED and self._is_closed:
            return self._closed()
        translated = error_of(
            error, address=self.address, timeout_s=timeout_s, is_tls=self._endpoint.is_tls
        )
        if isinstance(translated, HandshakeFailed) and self._endpoint.has_new_files():
            self._leave()
        return translated

    def _leave(self) -> None:
        """Have the next call connect anew, with the certificates that there are now."""
        if self._grpc:
            # Closing it would cancel whoever else waits for it to fail.
            self._left.append(self._grpc)
        self._grpc = None
        self._methods.clear()
