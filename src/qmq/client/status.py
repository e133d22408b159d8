"""How a call failed, from what gRPC says to the client's own errors.

The server names the cause in google.rpc.ErrorInfo (https://google.aip.dev/193); the
status code decides where there is none, as from something between client and server.
"""

from collections.abc import Iterable
from typing import Final, cast

import grpc

from qmq.client import errors

#: ErrorInfo.domain of all errors of q.
DOMAIN: Final = "q"

#: The trailer that holds a google.rpc.Status.
DETAILS_TRAILER: Final = "grpc-status-details-bin"

_BY_REASON: Final[dict[str, type[errors.QmqError]]] = {
    kind.reason: kind
    for kind in (
        errors.InvalidArgument,
        errors.QueueNotFound,
        errors.QueueEmpty,
        errors.QueuePaused,
        errors.AddsPaused,
        errors.MessageNotFound,
        errors.LeaseLost,
        errors.NoDeadLetterQueue,
        errors.QueueInUse,
        errors.Unauthenticated,
        errors.AccessDenied,
        errors.StoresDiffer,
        errors.RedriveNotFound,
        errors.ScheduleNotFound,
        errors.DurabilityNotReached,
        errors.UnknownStore,
        errors.StoreNotConfigured,
        errors.NameTaken,
        errors.LimitReached,
        errors.QueueFull,
        errors.DedupFull,
        errors.GroupsFull,
        errors.SelectionsFull,
        errors.MemoryFull,
        errors.Overloaded,
        errors.CallsExceeded,
        errors.QuotaReached,
        errors.MessageTooLarge,
        errors.Unavailable,
        errors.StoreFailed,
        errors.DatabaseAway,
        errors.NotLeading,
        errors.DataLoss,
        errors.DiskFull,
        errors.AccessChanged,
        errors.ServerBusy,
        errors.ServerShuttingDown,
        errors.DeadlineExceeded,
        errors.RequestTimeout,
        errors.Unimplemented,
    )
}

_BY_CODE: Final[dict[str, type[errors.QmqError]]] = {
    "INVALID_ARGUMENT": errors.InvalidArgument,
    "RESOURCE_EXHAUSTED": errors.LimitReached,
    "DEADLINE_EXCEEDED": errors.DeadlineExceeded,
    "UNIMPLEMENTED": errors.Unimplemented,
    "DATA_LOSS": errors.DataLoss,
    "UNAUTHENTICATED": errors.Unauthenticated,
    "PERMISSION_DENIED": errors.AccessDenied,
}

# How gRPC begins the details of a call that never reached a server.
_NOT_REACHED: Final = (
    "failed to connect to all addresses",
    "errors resolving",
    "DNS resolution failed",
)

# How gRPC begins the details of a call that something else than gRPC has answered.
_NO_GRPC: Final = "Received http2 header with status: "


def error_of(failure: grpc.RpcError, *, address: str, timeout_s: float) -> errors.QmqError:
    """Return the client's own error for one of gRPC's. See `error_from`."""
    # Pairs, whatever the stubs call them.
    trailers = cast("Iterable[tuple[str, str | bytes]]", failure.trailing_metadata() or ())
    details = [
        value for key, value in trailers if key == DETAILS_TRAILER and isinstance(value, bytes)
    ]
    return error_from(
        failure.code().name,
        failure.details() or "",
        details[0] if details else None,
        address=address,
        timeout_s=timeout_s,
    )


def error_from(
    code: str, message: str, details: bytes | None, *, address: str, timeout_s: float
) -> errors.QmqError:
    """Return the error that says how a call failed.

    Args:
        code: the name of the gRPC status.
        message: what came with it.
        details: a google.rpc.Status, encoded, if there was one.
        address: whom the call went to.
        timeout_s: how many seconds it was given.
    """
    error = _from_details(code, message, details) if details else None
    if error is not None:
        return error
    if code == "UNAVAILABLE":
        return _not_answered(message, address)
    if message.startswith(_NO_GRPC):
        status = message.removeprefix(_NO_GRPC)
        message = (
            f"{address} answered HTTP status {status} and no gRPC: "
            "is it the port on which q listens?"
        )
    elif code == "DEADLINE_EXCEEDED":
        message = f"no answer from {address} within {timeout_s:g} s"
    return _BY_CODE.get(code, errors.QmqError)(message, code=code, reason="")


def _not_answered(message: str, address: str) -> errors.Unavailable:
    """Tell a server that was not there from one that was lost on the way."""
    if message.startswith(_NOT_REACHED):
        # The reason comes last: "...; last error: UNKNOWN: ipv4:127.0.0.1:1: reason".
        reason = message.rpartition(": ")[2].rstrip("]")
        return errors.ServerNotReached(f"no server at {address}: {reason}")
    return errors.ConnectionLost(
        f"no answer from {address}: {message or 'the connection was lost'}; "
        "the call may have taken effect"
    )


def _from_details(code: str, message: str, details: bytes) -> errors.QmqError | None:
    """Return the error that q's own details tell of, or None if there are none."""
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - Most calls succeed.
    from google.rpc import error_details_pb2, status_pb2  # noqa: PLC0415

    try:
        status = status_pb2.Status.FromString(details)
    except DecodeError:
        return None
    info, delay = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        # Each leaves what is of another type as it is.
        detail.Unpack(info)
        detail.Unpack(delay)
    if info.domain != DOMAIN:
        return None
    kind = _BY_REASON.get(info.reason, _BY_CODE.get(code, errors.QmqError))
    if kind is errors.InvalidArgument and info.metadata.get("field") == "queue_id":
        # What is no UUID is a name, and no queue has it.
        kind = errors.QueueNotFound
    return kind(
        message,
        code=code,
        reason=info.reason,
        metadata=info.metadata,
        retry_after_s=delay.retry_delay.ToTimedelta().total_seconds()
        if delay.HasField("retry_delay")
        else None,
    )
