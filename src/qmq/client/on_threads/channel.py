"""One connection to one q, for threads."""

from collections.abc import Sequence
from os import PathLike
from threading import Lock
from typing import Protocol

import grpc

from qmq.client import forks
from qmq.client.endpoint import Endpoint
from qmq.client.errors import ClientUnusable, HandshakeFailed, QmqError
from qmq.client.grpc_options import CHANNEL_OPTIONS, SERVICE_PATH, target
from qmq.client.on_threads.concurrency import Ended, endable_call
from qmq.client.options import TLS
from qmq.client.status import error_of
from qmq.client.tracing import with_context


class Channel(Protocol):
    """What calls go over: a connection, or a broker in the same process."""

    @property
    def address(self) -> str:
        """Where it leads to, for people."""
        ...

    def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Call `method` of the service, for example `Pop`, once, and return its reply.

        Raises QmqError.
        """
        ...

    def close(self) -> None:
        """End the calls under way, and take no more."""
        ...


class GrpcChannel:
    """A connection to the server at `address` (`host:port`, `[::1]:port` or `:port`).

    Of several, the first that is there is asked.

    It connects at the first call. Threads may share it. Raises what `Endpoint` raises.
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
        self._lock = Lock()
        self._methods: dict[str, grpc.UnaryUnaryMultiCallable[bytes, bytes]] = {}
        self._grpc: grpc.Channel | None = None
        #: Connections that were left for another one.
        self._left: list[grpc.Channel] = []
        self._generation = forks.generation
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<GrpcChannel {self.address}>"

    def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Call `method` once. See Channel."""
        call = forks.begin()
        endable = endable_call()
        try:
            if endable is None:
                return self._method(method)(
                    request, timeout=timeout_s, metadata=with_context(self._endpoint.metadata())
                )
            # This takes twice as long, but another thread can cancel it.
            future = self._method(method).future(
                request, timeout=timeout_s, metadata=with_context(self._endpoint.metadata())
            )
            with endable.cancelling(future.cancel):
                return future.result()
        except grpc.FutureCancelledError:
            raise Ended from None
        except grpc.RpcError as error:
            translated = self._translated(error, timeout_s)
            # What gRPC says of a refusal is what q says of it, at length.
            raise translated from (None if translated.reason else error)
        except ValueError:
            if self._is_closed:  # In the moment since it was asked for the method.
                raise self._closed() from None
            raise
        finally:
            forks.end(call)

    def close(self) -> None:
        """End the calls under way, and take no more."""
        with self._lock:
            self._is_closed = True
            channel, self._grpc = self._grpc, None
            self._methods.clear()
        if self._generation == forks.generation:
            for each in (*self._left, channel):
                if each:
                    each.close()

    def _method(self, name: str) -> "grpc.UnaryUnaryMultiCallable[bytes, bytes]":
        """Return what calls the method, connected in the process that runs now."""
        with self._lock:
            if self._is_closed:
                raise self._closed()
            if self._generation != forks.generation:
                # The connection is the parent's.
                self._generation = forks.generation
                self._grpc = None
                self._left.clear()
                self._methods.clear()
            if name not in self._methods:
                if self._grpc is None:
                    self._grpc = self._opened()
                self._methods[name] = self._grpc.unary_unary(SERVICE_PATH + name)
            return self._methods[name]

    def _opened(self) -> grpc.Channel:
        credentials = self._endpoint.credentials()
        if credentials:
            return grpc.secure_channel(target(self.address), credentials, options=CHANNEL_OPTIONS)
        return grpc.insecure_channel(target(self.address), options=CHANNEL_OPTIONS)

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
        with self._lock:
            if self._grpc:
                # Closing it would end whatever else waits for it to fail.
                self._left.append(self._grpc)
            self._grpc = None
            self._methods.clear()
