"""One connection to one q, and the calls made over it."""

from types import TracebackType
from typing import Final, Self, TypeVar

import grpc
from google.protobuf.message import Message

from qmq.client.address import parse_address
from qmq.client.errors import RpcError, ServerNotReached
from qmq.wire import q_pb2

#: Seconds that a call may take, connecting included, unless the caller says otherwise.
CALL_TIMEOUT_S: Final = 30.0

#: Milliseconds until looking up the server's name, and then connecting to it, count as
#: failed: a person who asks a server that is not there hears of it within five seconds.
RESOLVE_TIMEOUT_MS: Final = 2_000
CONNECT_TIMEOUT_MS: Final = 2_800

_SERVICE: Final = q_pb2.DESCRIPTOR.services_by_name["Q"].full_name

Reply = TypeVar("Reply", bound=Message)

_OPTIONS: Final = (
    # The server bounds what it stores. A second bound here could only lose a message
    # that has been popped already.
    ("grpc.max_receive_message_length", -1),
    ("grpc.min_reconnect_backoff_ms", CONNECT_TIMEOUT_MS),
    ("grpc.dns_ares_query_timeout", RESOLVE_TIMEOUT_MS),
    # gRPC would send even calls to localhost through the proxy of $http_proxy.
    ("grpc.enable_http_proxy", 0),
)

# How gRPC begins the details of a call that never reached a server.
_NOT_REACHED: Final = (
    "failed to connect to all addresses",
    "errors resolving",
    "DNS resolution failed",
)

# How gRPC begins the details of a call that something else than gRPC has answered.
_NO_GRPC: Final = "Received http2 header with status: "


class Channel:
    """A connection to the server at `address` (`host:port`, `[::1]:port` or `:port`).

    It connects at the first call. Threads may share it. Raises AddressError.
    """

    def __init__(self, address: str) -> None:
        self.address = parse_address(address)
        # Without the scheme, a host called `unix` or `dns` would be taken for one.
        self._grpc = grpc.insecure_channel(f"dns:///{self.address}", options=_OPTIONS)

    def __repr__(self) -> str:
        return f"<Channel {self.address}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and cancel the calls still waiting for a reply."""
        self._grpc.close()

    def call(
        self,
        method: str,
        request: Message,
        reply_type: type[Reply],
        *,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Reply:
        """Call `method` of the service, for example `Pop`, and return its reply.

        Raises RpcError.
        """
        unary = self._grpc.unary_unary(
            f"/{_SERVICE}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply_type.FromString,
        )
        try:
            reply: Reply = unary(request, timeout=timeout_s)
        except grpc.RpcError as error:
            raise self._translated(error, timeout_s) from error
        return reply

    def _translated(self, error: grpc.RpcError, timeout_s: float) -> RpcError:
        """The client's own error for gRPC's."""
        code, details = error.code(), error.details() or ""
        if code is grpc.StatusCode.UNAVAILABLE and details.startswith(_NOT_REACHED):
            # The reason comes last: "...; last error: UNKNOWN: ipv4:127.0.0.1:1: reason".
            return ServerNotReached(self.address, details.rpartition(": ")[2].rstrip("]"))
        if details.startswith(_NO_GRPC):
            status = details.removeprefix(_NO_GRPC)
            details = (
                f"{self.address} answered HTTP status {status} and no gRPC: "
                "is it the port on which q listens?"
            )
        elif code is grpc.StatusCode.DEADLINE_EXCEEDED:
            details = f"no answer from {self.address} within {timeout_s:g} s"
        return RpcError(code.name, details)
