"""What each of q's errors is on the wire."""

import re
from base64 import b64decode
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import example, given
from hypothesis import strategies as st

from qmq import errors
from qmq.transport.status import CODES, Code, code_of, error_headers, plain_headers, status_of

#: One of each class, and the code that it has to have. Clients act on these codes, so a
#: change here is a change of the contract.
EXAMPLES: list[tuple[errors.QError, Code]] = [
    (errors.InvalidArgument("limit", "must be more"), Code.INVALID_ARGUMENT),
    (errors.QueueNotFound("id"), Code.NOT_FOUND),
    (errors.ServiceNotFound("no such service"), Code.NOT_FOUND),
    (errors.QueueEmpty("id"), Code.NOT_FOUND),
    (errors.QueuePaused("id"), Code.NOT_FOUND),
    (errors.MessageNotFound("id", "message"), Code.NOT_FOUND),
    (errors.RedriveNotFound("id"), Code.NOT_FOUND),
    (errors.ScheduleNotFound("id", "name"), Code.NOT_FOUND),
    (errors.IdentityNotFound("nobody"), Code.NOT_FOUND),
    (errors.AccessFixed("no file"), Code.FAILED_PRECONDITION),
    (errors.LastAdmin("k3f9", "root"), Code.FAILED_PRECONDITION),
    (errors.UnknownStore(9), Code.NOT_FOUND),
    (errors.StoreNotConfigured("no"), Code.FAILED_PRECONDITION),
    (errors.DurabilityNotReached("id", "MEMORY", "FSYNC", "MEMORY"), Code.FAILED_PRECONDITION),
    (errors.AddsPaused("id"), Code.FAILED_PRECONDITION),
    (errors.LeaseLost("lease", "expired"), Code.FAILED_PRECONDITION),
    (errors.MessageLeased("id", "message", "leased"), Code.FAILED_PRECONDITION),
    (errors.NoDeadLetter("message"), Code.FAILED_PRECONDITION),
    (errors.NoDeadLetterQueue("id"), Code.FAILED_PRECONDITION),
    (errors.QueueInUse("id", "source"), Code.FAILED_PRECONDITION),
    (errors.Unauthenticated("expired"), Code.UNAUTHENTICATED),
    (errors.AccessDenied("no right"), Code.PERMISSION_DENIED),
    (errors.StoresDiffer("two stores"), Code.FAILED_PRECONDITION),
    (errors.NameTaken("jobs", "id"), Code.ALREADY_EXISTS),
    (errors.LimitReached("no room", "queues_max", 1, 1), Code.RESOURCE_EXHAUSTED),
    (errors.QueueFull("id", 2, 2), Code.RESOURCE_EXHAUSTED),
    (errors.DedupFull("id", 3, 3, 0.5), Code.RESOURCE_EXHAUSTED),
    (errors.GroupsFull("id", 3, 3), Code.RESOURCE_EXHAUSTED),
    (errors.SelectionsFull(3, 3, 0.5), Code.RESOURCE_EXHAUSTED),
    (errors.MemoryFull(1_000, 990, 20), Code.RESOURCE_EXHAUSTED),
    (errors.Overloaded("busy", "calls_max", 2, 2), Code.RESOURCE_EXHAUSTED),
    (errors.CallsExceeded("mail", "calls_max", 2, 2, 0.5), Code.RESOURCE_EXHAUSTED),
    (errors.QuotaReached("mail.*", "queues_max", 2, 2), Code.RESOURCE_EXHAUSTED),
    (errors.TooLarge("too large", "message_bytes_max", 1, 2), Code.RESOURCE_EXHAUSTED),
    (errors.Unavailable("later"), Code.UNAVAILABLE),
    (errors.StoreFailed("disk"), Code.UNAVAILABLE),
    (errors.DiskFull("disk"), Code.UNAVAILABLE),
    (errors.Busy("busy"), Code.UNAVAILABLE),
    (errors.DatabaseAway("away"), Code.UNAVAILABLE),
    (errors.NotLeading("another leads"), Code.UNAVAILABLE),
    (errors.DataLoss([7, 8]), Code.DATA_LOSS),
    (errors.AccessChanged("mail"), Code.UNAVAILABLE),
    (errors.ShuttingDown("bye"), Code.UNAVAILABLE),
    (errors.Unimplemented("no"), Code.UNIMPLEMENTED),
    (errors.DeadlineExceeded("late"), Code.DEADLINE_EXCEEDED),
    (errors.RequestTimeout("slow"), Code.DEADLINE_EXCEEDED),
    # These two end q before it answers anybody: they have no row, and would be our fault.
    (errors.DataDirectoryError("foreign"), Code.INTERNAL),
    (errors.ConfigError("wrong"), Code.INTERNAL),
]


def all_subclasses(of: type[errors.QError]) -> Iterator[type[errors.QError]]:
    """Go through the classes of the family that q itself defines."""
    for subclass in of.__subclasses__():
        if subclass.__module__.startswith(f"{errors.__name__}."):
            yield subclass
            yield from all_subclasses(subclass)


def test_every_error_of_q_has_a_deliberate_code() -> None:
    """A new class of the family is added to the examples above, with its code."""
    assert {type(error) for error, _ in EXAMPLES} == set(all_subclasses(errors.QError))


@pytest.mark.parametrize(
    ("error", "code"), EXAMPLES, ids=[type(error).__name__ for error, _ in EXAMPLES]
)
def test_error_has_its_code(error: errors.QError, code: Code) -> None:
    """The row of the class counts, or else that of its nearest ancestor."""
    assert code_of(error) is code


def test_only_what_no_caller_can_meet_lacks_a_row() -> None:
    """INTERNAL says that q is at fault, so no rule of q may answer it."""
    rowless = {type(error).__name__ for error, _ in EXAMPLES if not isinstance(error, tuple(CODES))}

    assert rowless == {"DataDirectoryError", "ConfigError"}


def test_reason_is_unique_and_upper_case() -> None:
    """Programs tell causes apart by it: google.rpc.ErrorInfo.reason."""
    reasons = [type(error).reason for error, _ in EXAMPLES]

    assert len(set(reasons)) == len(reasons)
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]{0,61}[A-Z0-9]", reason) for reason in reasons)


def test_codes_are_those_of_the_protocol() -> None:
    """Number by number, and by the names that grpcio gives them too."""
    assert {code.value: code.name for code in Code} == {
        status.value[0]: status.name for status in grpc.StatusCode
    }


@pytest.mark.parametrize(
    ("error", "code"), EXAMPLES, ids=[type(error).__name__ for error, _ in EXAMPLES]
)
def test_trailers_say_the_same_thrice(error: errors.QError, code: Code) -> None:
    """The status is in a number, in a sentence, and in a google.rpc.Status with details."""
    headers = dict(error_headers(error))

    encoded = headers.pop(b"grpc-status-details-bin")
    # Of REST, HTTP asks for it; see tests/acceptance/test_security.py.
    headers.pop(b"www-authenticate", b"")
    status = Status.FromString(b64decode(encoded + b"=" * (-len(encoded) % 4)))
    assert headers == {
        b"grpc-status": str(int(code)).encode(),
        b"grpc-message": error.message.encode(),
    }
    assert (status.code, status.message) == (code, error.message)


def test_details_name_reason_and_metadata() -> None:
    """Programs need not parse the sentence."""
    status = status_of(errors.QueueFull("some-id", 5, 5))

    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("QUEUE_FULL", "q")
    assert dict(info.metadata) == {"limit": "limit", "value": "5", "current": "5"}


def test_invalid_argument_names_the_field() -> None:
    """The field and the rule it breaks are apart."""
    status = status_of(errors.InvalidArgument("tags[1].key", "is not valid UTF-8"))

    bad = BadRequest()
    assert status.details[1].Unpack(bad)
    (violation,) = bad.field_violations
    assert (violation.field, violation.description) == ("tags[1].key", "is not valid UTF-8")


@pytest.mark.parametrize(
    ("error", "delay_ms"),
    [
        (errors.StoreFailed("disk"), 10_000),
        (errors.DiskFull("disk"), 5_000),
        (errors.QueueFull("some-id", 5, 5), 1_000),
        (errors.QueueFull.of_bytes("some-id", 5, 5), 1_000),
        (errors.DedupFull("some-id", 5, 5, 0.25), 250),
    ],
    ids=["store", "full", "messages", "bytes", "dedup_ids"],
)
def test_what_passes_says_when_to_come_back(error: errors.QError, delay_ms: int) -> None:
    """Waiting helps only where the error says so."""
    delay = RetryInfo()

    assert status_of(error).details[1].Unpack(delay)
    assert delay.retry_delay.ToMilliseconds() == delay_ms
    assert len(status_of(errors.QueueEmpty("id")).details) == 1


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("100 %\r\n\0")
@example("%41")
@example("\u00e9 \u4e16 \U0001f600")
def test_message_is_percent_encoded(message: str) -> None:
    """It holds printable ASCII alone, without "%" but in %XX, and decodes to what it was."""
    value = dict(plain_headers(Code.INTERNAL, message))[b"grpc-message"]

    assert re.fullmatch(rb"([ -$&-~]|%[0-9A-F]{2})*", value)
    assert unquote_to_bytes(value) == message.encode()


def test_printable_ascii_is_readable() -> None:
    """Only the percent sign among it is escaped."""
    printable = "".join(map(chr, range(0x20, 0x7F)))

    value = dict(plain_headers(Code.OK, printable))[b"grpc-message"]

    assert value == printable.replace("%", "%25").encode()


@pytest.mark.parametrize(
    ("error", "retry_s"),
    [
        (errors.QueueFull("id", 2, 2), 1.0),
        (errors.QueueFull.of_bytes("id", 2, 2), 1.0),
        (errors.DedupFull("id", 2, 2, 0.5), 0.5),
        (errors.MemoryFull(2, 2, 1), 1.0),
        (errors.LimitReached("too many", "queues_max", 2, 2), 10.0),
        (errors.Overloaded("busy", "calls_max", 2, 2), 1.0),
        (errors.CallsExceeded("mail", "calls_max", 2, 2, 0.5), 0.5),
        (errors.QuotaReached("mail.*", "queues_max", 2, 2), 10.0),
        (errors.TooLarge("too large", "message_bytes_max", 2, 2), None),
        (errors.InvalidArgument.over("tags", "has 2", "tags_max", 2, 2), None),
    ],
    ids=str,
)
def test_every_limit_tells_how_much_and_when_to_come_again(
    error: errors.QError, retry_s: float | None
) -> None:
    """By name, what it allows and what there is; when only if waiting helps."""
    info, delay = ErrorInfo(), RetryInfo()
    for detail in status_of(error).details:
        detail.Unpack(info)
        detail.Unpack(delay)

    assert {"limit", "value", "current"} <= set(info.metadata)
    assert (info.metadata["value"], info.metadata["current"]) == ("2", "2")
    assert delay.HasField("retry_delay") == (retry_s is not None)
    assert delay.retry_delay.ToTimedelta().total_seconds() == (retry_s or 0)
