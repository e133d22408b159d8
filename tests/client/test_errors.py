"""The client's errors, and those of the server that they mirror."""

import copy
import pickle
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

import qmq
from qmq import errors as server_errors
from qmq.client.status import error_from
from qmq.transport.status import code_of, status_of

#: Errors that end the server's start and are sent to nobody, or are another service's.
NOT_SENT = {
    server_errors.ConfigError,
    server_errors.DataDirectoryError,
    server_errors.ServiceNotFound,
}


def of_server(error: server_errors.QError) -> qmq.QmqError:
    """What the client makes of an error of the server."""
    return error_from(
        code_of(error).name,
        error.message,
        status_of(error).SerializeToString(),
        address="q:1",
        timeout_s=1,
    )


def all_kinds(kind: type[server_errors.QError]) -> set[type[server_errors.QError]]:
    """The class and all below it."""
    package = f"{server_errors.__name__}."
    below = [each for each in kind.__subclasses__() if each.__module__.startswith(package)]
    return {kind}.union(*map(all_kinds, below))


def made(kind: type[server_errors.QError]) -> server_errors.QError:
    """Some error of the class."""
    arguments: dict[type[server_errors.QError], tuple[Any, ...]] = {
        server_errors.InvalidArgument: ("limit", "must be more"),
        server_errors.QueueNotFound: ("some-id",),
        server_errors.QueueEmpty: ("some-id",),
        server_errors.QueuePaused: ("some-id",),
        server_errors.AddsPaused: ("some-id",),
        server_errors.MessageNotFound: ("some-id", "other-id"),
        server_errors.LeaseLost: ("some-id", "expired at noon"),
        server_errors.MessageLeased: ("some-id", "other-id", "leased"),
        server_errors.NoDeadLetter: ("some-id",),
        server_errors.NoDeadLetterQueue: ("some-id",),
        server_errors.QueueInUse: ("some-id", "other-id"),
        server_errors.RedriveNotFound: ("some-id",),
        server_errors.ScheduleNotFound: ("some-id", "nightly"),
        server_errors.DurabilityNotReached: ("durability", "MEMORY", "FSYNC", "MEMORY"),
        server_errors.UnknownStore: (7,),
        server_errors.NameTaken: ("mail", "some-id"),
        server_errors.QueueFull: ("some-id", 3, 3),
        server_errors.DedupFull: ("some-id", 3, 3, 2.5),
        server_errors.GroupsFull: ("some-id", 3, 3),
        server_errors.SelectionsFull: (3, 3, 2.5),
        server_errors.MemoryFull: (1_000, 990, 20),
        server_errors.Unauthenticated: (),
        server_errors.IdentityNotFound: ("mail",),
        server_errors.LastAdmin: ("k3f9", "mail"),
        server_errors.CallsExceeded: ("mail", "calls_max", 4, 4, 0.5),
        server_errors.QuotaReached: ("mail.*", "messages_max", 4, 4),
        server_errors.AccessChanged: ("mail",),
        server_errors.Overloaded: ("too much", "calls_max", 4, 4),
        server_errors.TooLarge: ("too large", "message_bytes_max", 4, 5),
        server_errors.LimitReached: ("too many", "queues_max", 4, 5),
    }
    return kind(*arguments.get(kind, ("a sentence",)))


SENT = sorted(all_kinds(server_errors.QError) - NOT_SENT - {server_errors.QError}, key=str)


@pytest.mark.parametrize("kind", SENT, ids=lambda kind: kind.__name__)
def test_each_error_of_the_server_has_one_of_the_client(
    kind: type[server_errors.QError],
) -> None:
    """With the same code, reason, sentence, metadata and pause."""
    error = made(kind)

    received = of_server(error)

    assert type(received) is not qmq.QmqError
    assert received.reason == type(received).reason == error.reason
    assert received.code == type(received).code == code_of(error).name
    assert received.message == str(received) == error.message
    assert received.metadata == error.metadata
    assert received.retry_after_s == error.retry_after_s


def test_no_two_errors_of_the_server_are_one_of_the_client() -> None:
    """Who catches one does not catch another by accident."""
    kinds = [type(of_server(made(kind))) for kind in SENT]

    assert len(kinds) == len(set(kinds))


def test_a_name_that_no_queue_has_is_a_queue_that_was_not_found() -> None:
    """The server can only say that it is no UUID, and the code stays what it said."""
    error = of_server(server_errors.InvalidArgument("queue_id", "'x' is neither"))

    assert type(error) is qmq.QueueNotFound
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert error.message == "queue_id: 'x' is neither"


def test_an_invalid_argument_names_its_field() -> None:
    """As the wire calls it."""
    error = of_server(server_errors.InvalidArgument("tags[0].key", "is too long"))

    assert isinstance(error, qmq.InvalidArgument)
    assert error.field == "tags[0].key"
    assert qmq.InvalidArgument("somebody else's").field == ""


def test_a_limit_is_told_by_name_and_number() -> None:
    """As far as the server says so, as the original did not."""
    full = of_server(server_errors.QueueFull.of_bytes("some-id", 3_000, 2_900))
    dedup = of_server(server_errors.DedupFull("some-id", 4, 4, 2.5))

    for error, facts in (
        (full, ("bytes_limit", 3_000, 2_900)),
        (dedup, ("dedup_ids_max", 4, 4)),
        (qmq.LimitReached("somebody else's"), ("", None, None)),
        (qmq.LimitReached("!", metadata={"value": "many"}), ("", None, None)),
    ):
        assert isinstance(error, qmq.LimitReached)
        assert (error.limit, error.value, error.current) == facts
    assert (type(full), type(dedup), dedup.retry_after_s) == (qmq.QueueFull, qmq.DedupFull, 2.5)


def test_what_a_newer_server_says_is_kept() -> None:
    """A reason that is not known has the class of its code, and says all that it said."""
    status = Status(code=8, message="too hot")
    status.details.add().Pack(ErrorInfo(reason="TOO_HOT", domain="q", metadata={"degrees": "90"}))
    status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000)))

    error = error_from(
        "RESOURCE_EXHAUSTED", "too hot", status.SerializeToString(), address="q:1", timeout_s=1
    )

    assert type(error) is qmq.LimitReached
    assert (error.reason, error.metadata, error.retry_after_s) == (
        "TOO_HOT",
        {"degrees": "90"},
        2.5,
    )


@pytest.mark.parametrize("details", [None, b"", b"\xff\xff", Status(code=5).SerializeToString()])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("INVALID_ARGUMENT", qmq.InvalidArgument),
        ("RESOURCE_EXHAUSTED", qmq.LimitReached),
        ("UNIMPLEMENTED", qmq.Unimplemented),
        ("NOT_FOUND", qmq.QmqError),
        ("INTERNAL", qmq.QmqError),
        ("PERMISSION_DENIED", qmq.AccessDenied),
        ("UNAUTHENTICATED", qmq.Unauthenticated),
        ("ABORTED", qmq.QmqError),
    ],
)
def test_what_is_not_of_q_goes_by_its_code(
    code: str, kind: type[qmq.QmqError], details: bytes | None
) -> None:
    """Proxies, and the original, give no reason."""
    error = error_from(code, "a sentence", details, address="q:1", timeout_s=1)

    assert type(error) is kind
    assert (error.code, error.reason, error.message) == (code, "", "a sentence")
    assert (error.metadata, error.retry_after_s) == ({}, None)


def test_the_reasons_of_others_are_not_taken_for_ours() -> None:
    """The same word may mean something else elsewhere."""
    status = Status(code=5, message="?")
    status.details.add().Pack(ErrorInfo(reason="QUEUE_EMPTY", domain="example.com"))

    error = error_from("NOT_FOUND", "?", status.SerializeToString(), address="q:1", timeout_s=1)

    assert type(error) is qmq.QmqError


@pytest.mark.parametrize(
    ("kind", "may_have_happened"),
    [
        (qmq.Unavailable, True),
        (qmq.StoreFailed, True),
        (qmq.DatabaseAway, True),
        (qmq.NotLeading, True),
        (qmq.ConnectionLost, True),
        (qmq.ServerNotReached, False),
        (qmq.DiskFull, False),
        (qmq.ServerBusy, False),
        (qmq.ServerShuttingDown, False),
    ],
)
def test_what_is_unavailable_tells_whether_it_may_have_happened(
    kind: type[qmq.Unavailable],
    may_have_happened: bool,  # noqa: FBT001 - A fact, by its name.
) -> None:
    """So a caller can decide whether to do it again."""
    assert kind("...").may_have_happened is may_have_happened


def test_a_server_that_does_not_lead_has_done_nothing() -> None:
    """So the call can be repeated; one of which a leader lost hold may have been done."""
    idle = of_server(server_errors.NotLeading.of_idle("another leads", ask_again=True))
    deposed = of_server(server_errors.NotLeading("another leads now"))

    assert isinstance(idle, qmq.NotLeading)
    assert isinstance(deposed, qmq.NotLeading)
    assert (idle.may_have_happened, deposed.may_have_happened) == (False, True)


def test_errors_go_to_other_processes() -> None:
    """And they can be copied, with everything that they say."""
    message = qmq.NewMessage(b"x", tags={"k": "v"}, priority=7, delay=5)
    failed = qmq.FailedAdd(message, qmq.QueueFull("full", reason="R"))
    for error in (
        of_server(server_errors.QueueFull("some-id", 3, 3)),
        qmq.ServerBusy("busy", retry_after_s=1.5),
        qmq.AddsFailed("1 message was not added", [failed]),
    ):
        for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - Ours.
            assert type(other) is type(error)
            assert str(other) == str(error)
            names = {"code", "reason", "metadata", "retry_after_s"}
            assert {name: getattr(other, name) for name in names} == {
                name: getattr(error, name) for name in names
            }
