"""The one table from q's errors to gRPC statuses; HTTP statuses follow from those.

Codes: https://grpc.github.io/grpc/core/md_doc_statuscodes.html; details:
https://google.aip.dev/193.
"""

from base64 import b64encode
from enum import IntEnum
from typing import Final
from urllib.parse import quote

from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from qmq import errors
from qmq.transport.asgi import Headers
from qmq.transport.forwarded import AGAIN

#: ErrorInfo.domain of all errors of q.
DOMAIN: Final = "q"


class Code(IntEnum):
    """The gRPC status codes."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


#: A class stands for its subclasses too, unless they have a row of their own.
CODES: Final[dict[type[errors.QError], Code]] = {
    errors.InvalidArgument: Code.INVALID_ARGUMENT,
    errors.QueueNotFound: Code.NOT_FOUND,
    errors.MessageNotFound: Code.NOT_FOUND,
    errors.RedriveNotFound: Code.NOT_FOUND,
    errors.ScheduleNotFound: Code.NOT_FOUND,
    errors.IdentityNotFound: Code.NOT_FOUND,
    errors.QueueEmpty: Code.NOT_FOUND,
    errors.ServiceNotFound: Code.NOT_FOUND,
    errors.UnknownStore: Code.NOT_FOUND,
    errors.NameTaken: Code.ALREADY_EXISTS,
    errors.Unauthenticated: Code.UNAUTHENTICATED,
    errors.AccessDenied: Code.PERMISSION_DENIED,
    errors.LimitReached: Code.RESOURCE_EXHAUSTED,
    errors.StoreNotConfigured: Code.FAILED_PRECONDITION,
    errors.DurabilityNotReached: Code.FAILED_PRECONDITION,
    errors.AddsPaused: Code.FAILED_PRECONDITION,
    errors.LeaseLost: Code.FAILED_PRECONDITION,
    errors.MessageLeased: Code.FAILED_PRECONDITION,
    errors.NoDeadLetter: Code.FAILED_PRECONDITION,
    errors.NoDeadLetterQueue: Code.FAILED_PRECONDITION,
    errors.QueueInUse: Code.FAILED_PRECONDITION,
    errors.StoresDiffer: Code.FAILED_PRECONDITION,
    errors.AccessFixed: Code.FAILED_PRECONDITION,
    errors.LastAdmin: Code.FAILED_PRECONDITION,
    errors.Unimplemented: Code.UNIMPLEMENTED,
    errors.DeadlineExceeded: Code.DEADLINE_EXCEEDED,
    errors.Unavailable: Code.UNAVAILABLE,
    errors.DataLoss: Code.DATA_LOSS,
}

#: What grpc-message may hold as it is: printable ASCII but the percent sign.
_UNESCAPED: Final = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def code_of(error: errors.QError) -> Code:
    """Return the status code of an error."""
    for ancestor in type(error).__mro__:
        if ancestor in CODES:
            return CODES[ancestor]
    return Code.INTERNAL


def status_of(error: errors.QError) -> Status:
    """Describe an error with all that a program may want to know."""
    status = Status(code=code_of(error).value, message=error.message)
    status.details.add().Pack(
        ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=dict(error.metadata))
    )
    if isinstance(error, errors.InvalidArgument):
        violation = BadRequest.FieldViolation(field=error.field, description=error.rule)
        status.details.add().Pack(BadRequest(field_violations=[violation]))
    if error.retry_after_s is not None:
        delay = Duration()
        delay.FromMilliseconds(round(error.retry_after_s * 1000))
        status.details.add().Pack(RetryInfo(retry_delay=delay))
    return status


def plain_headers(code: Code, message: str) -> Headers:
    """Return the trailers that say how a call ended, without details."""
    return [
        (b"grpc-status", b"%d" % code),
        (b"grpc-message", quote(message, safe=_UNESCAPED).encode()),
    ]


def error_headers(error: errors.QError) -> Headers:
    """Return the trailers that say how a call failed."""
    status = status_of(error)
    headers = [
        *plain_headers(Code(status.code), status.message),
        (b"grpc-status-details-bin", b64encode(status.SerializeToString()).rstrip(b"=")),
    ]
    if isinstance(error, errors.Unauthenticated):
        # As HTTP asks for, of REST.
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, errors.NotLeading) and error.ask_again:
        headers.append((AGAIN.encode(), b"1"))
    return headers


def refusal_headers(error: errors.QError) -> Headers:
    """Return how a call of one request ends that failed; a stream may have had others before."""
    headers = error_headers(error)
    if isinstance(error, errors.ShuttingDown):
        # Nothing was done, and in a cluster there is another q soon.
        headers.append((AGAIN.encode(), b"1"))
    return headers
