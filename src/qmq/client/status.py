"""How a call failed, from what gRPC says to the client's own errors.

The server names the cause in google.rpc.ErrorInfo (https://google.aip.dev/193); the
status code decides where there is none, as from something between client and server.
"""

import re
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
        errors.MessageLeased,
        errors.NoDeadLetter,
        errors.LeaseLost,
        errors.NoDeadLetterQueue,
        errors.QueueInUse,
        errors.Unauthenticated,
        errors.AccessDenied,
        errors.IdentityNotFound,
        errors.AccessFixed,
        errors.LastAdmin,
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

#: How gRPC ends them if a connection was made, and closed before anything was said.
_CLOSED: Final = ("Socket closed", "Connection reset by peer", "recvmsg:Connection reset by peer")

_SPEAKS_TLS: Final = (
    "the connection was closed at once; if TLS is spoken there, write the address with https://"
)

#: Signs of how a handshake failed, and what to tell of each: what is in parentheses stands for {0}.
_HANDSHAKES: Final = {
    "WRONG_VERSION_NUMBER": "no TLS is spoken there; if that is as it should be, do without"
    " https:// and options of TLS",
    r"Peer name (\S+) is not in peer certificate|Hostname Verification Check failed": "the"
    " certificate that is shown there is for another name; ask by a name that it is for",
    r"CERTIFICATE_VERIFY_FAILED: (certificate has expired|certificate is not yet valid)": "the"
    " certificate that is shown there does not hold now: {0}",
    "CERTIFICATE_VERIFY_FAILED": "the certificate that is shown there is of no CA that the client"
    " knows; give the file of its CA: ca=, in qcli --ca",
    "TSI_DATA_CORRUPTED|CERTIFICATE_REQUIRED|ALERT|PEER_DID_NOT_RETURN_A_CERTIFICATE": "the server"
    " asks for a certificate of the client's, of a CA that it knows, and that holds now; give"
    " cert= and key=, in qcli --cert and --key",
    "Socket closed|Connection reset by peer": "the server closed the connection at once; if it asks"
    " for a certificate of the client's, give cert= and key=, in qcli --cert and --key",
    "[Hh]andshake failed|TSI_PROTOCOL_FAILURE": "the two did not agree how to speak it",
}

# How gRPC begins the details of a call that something else than gRPC has answered.
_NO_GRPC: Final = "Received http2 header with status: "


def error_of(
    failure: grpc.RpcError, *, address: str, timeout_s: float, is_tls: bool = False
) -> errors.QmqError:
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
        is_tls=is_tls,
    )


def error_from(  # noqa: PLR0913 - All that there is to know of a call that failed.
    code: str,
    message: str,
    details: bytes | None,
    *,
    address: str,
    timeout_s: float,
    is_tls: bool = False,
) -> errors.QmqError:
    """Return the error that says how a call failed.

    Args:
        code: the name of the gRPC status.
        message: what came with it.
        details: a google.rpc.Status, encoded, if there was one.
        address: whom the call went to.
        timeout_s: how many seconds it was given.
        is_tls: whether it was made by TLS.
    """
    error = _from_details(code, message, details) if details else None
    if error is not None:
        return error
    if code == "UNAVAILABLE":
        return _not_answered(message, address, is_tls=is_tls)
    if message.startswith(_NO_GRPC):
        status = message.removeprefix(_NO_GRPC)
        message = (
            f"{address} answered HTTP status {status} and no gRPC: "
            "is it the port on which q listens?"
        )
    elif code == "DEADLINE_EXCEEDED":
        message = f"no answer from {address} within {timeout_s:g} s"
    return _BY_CODE.get(code, errors.QmqError)(message, code=code, reason="")


def error_of_result(code: int, message: str, reason: str) -> errors.QmqError:
    """Return the error that says what became of one of several that a call was about.

    Args:
        code: the number of a gRPC status.
        message: why.
        reason: that of the error.
    """
    name = next((each.name for each in grpc.StatusCode if each.value[0] == code), "UNKNOWN")
    kind = _BY_REASON.get(reason, _BY_CODE.get(name, errors.QmqError))
    return kind(message, code=name, reason=reason)


def _not_answered(message: str, address: str, *, is_tls: bool) -> errors.Unavailable:
    """Tell a server that was not there from one that was lost on the way."""
    if message.startswith(_NOT_REACHED):
        if why := _handshake(message, is_tls=is_tls):
            return errors.HandshakeFailed(f"TLS with {address} failed: {why}")
        # The reason comes last: "...; last error: UNKNOWN: ipv4:127.0.0.1:1: reason".
        is_closed = not is_tls and message.endswith(_CLOSED)
        reason = _SPEAKS_TLS if is_closed else message.rpartition(": ")[2].rstrip("]")
        return errors.ServerNotReached(f"no server at {address}: {reason}")
    return errors.ConnectionLost(
        f"no answer from {address}: {message or 'the connection was lost'}; "
        "the call may have taken effect"
    )


def _handshake(message: str, *, is_tls: bool) -> str:
    """Return why a handshake failed, and what to do; empty if there was none."""
    if not is_tls:
        return ""
    for sign, why in _HANDSHAKES.items():
        if match := re.search(sign, message):
            return why.format(*match.groups())
    return ""


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
