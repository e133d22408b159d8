"""What a call can end with instead of a reply.

The family mirrors that of the server, `qmq.errors`, and does not share its classes:
those are made from what the server knows, these from what came over the wire, and some
of these (nobody there, connection lost) the server never sees. A test holds the two
against each other. `qmq.client.status` chooses the class.
"""

from collections.abc import Mapping


class AddressError(ValueError):
    """The text is no address of a server."""


class QmqError(Exception):
    """Base of everything that a call can end with instead of a reply.

    Errors of this very class come from servers that are newer than the client, from
    faults of the server (INTERNAL) and from what stands between the two.
    """

    #: The name of the gRPC status, for example NOT_FOUND.
    code: str = "UNKNOWN"
    #: The server's name of the cause, for example QUEUE_EMPTY; empty if it gave none.
    reason: str = ""
    #: What the message says, for programs, for example {"queue_id": "..."}.
    metadata: Mapping[str, str]
    #: Seconds after which the server expects that a repeat may succeed, if it said so.
    retry_after_s: float | None = None

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        if reason is not None:
            self.reason = reason
        self.metadata = dict(metadata or {})
        self.retry_after_s = retry_after_s

    @property
    def message(self) -> str:
        """The explanation, a sentence; the server's own wherever it gave one."""
        return str(self.args[0])


class InvalidArgument(QmqError):
    """A field of the request breaks a rule; the message begins with the field's name."""

    code = "INVALID_ARGUMENT"
    reason = "INVALID_ARGUMENT"

    @property
    def field(self) -> str:
        """The field, for example `messages[3].tags[0].key`; empty if the server named none."""
        return self.metadata.get("field", "")


class QueueNotFound(QmqError):
    """No queue has the id or name.

    Of what is no UUID the server says so as INVALID_ARGUMENT, and `code` and `reason` too.
    """

    code = "NOT_FOUND"
    reason = "QUEUE_NOT_FOUND"


class QueueEmpty(QmqError):
    """The queue has no message to hand out, or had none in the time given.

    If it has some and hands out none now, since as many are on lease as may be or its rate is
    used up, the message says so, and `retry_after_s` when to ask again.
    """

    code = "NOT_FOUND"
    reason = "QUEUE_EMPTY"


class QueuePaused(QueueEmpty):
    """The queue is paused, and hands out no message until it is resumed."""

    reason = "QUEUE_PAUSED"


class AddsPaused(QmqError):
    """The queue is paused for adds too, and takes no message until it is resumed."""

    code = "FAILED_PRECONDITION"
    reason = "ADDS_PAUSED"


class MessageNotFound(QmqError):
    """The queue holds no message that has the id."""

    code = "NOT_FOUND"
    reason = "MESSAGE_NOT_FOUND"


class MessageLeased(QmqError):
    """The message is on lease, and those on lease were not asked for: it is left alone."""

    code = "FAILED_PRECONDITION"
    reason = "MESSAGE_LEASED"


class NoDeadLetter(QmqError):
    """The message is no dead letter, so that it came from no queue to which it could go back."""

    code = "FAILED_PRECONDITION"
    reason = "NO_DEAD_LETTER"


class LeaseLost(QmqError):
    """The lease is not held any more: the message is somebody else's, or will be, or is gone."""

    code = "FAILED_PRECONDITION"
    reason = "LEASE_LOST"


class NoDeadLetterQueue(QmqError):
    """A message was rejected whose queue has no dead-letter queue. Its lease goes on."""

    code = "FAILED_PRECONDITION"
    reason = "NO_DEAD_LETTER_QUEUE"


class QueueInUse(QmqError):
    """The queue is the dead-letter queue of another one, and is not deleted."""

    code = "FAILED_PRECONDITION"
    reason = "QUEUE_IN_USE"


class Unauthenticated(QmqError):
    """The server does not know who calls: there was no token, or none that it takes now."""

    code = "UNAUTHENTICATED"
    reason = "UNAUTHENTICATED"


class AccessDenied(QmqError):
    """The caller has no right to what it asks for, or there is no such queue."""

    code = "PERMISSION_DENIED"
    reason = "PERMISSION_DENIED"


class IdentityNotFound(QmqError):
    """The server's access file names nobody of the name."""

    code = "NOT_FOUND"
    reason = "IDENTITY_NOT_FOUND"


class AccessFixed(QmqError):
    """The server has no access file, or cannot change it; the message says what to do."""

    code = "FAILED_PRECONDITION"
    reason = "ACCESS_FIXED"


class LastAdmin(QmqError):
    """With the token would go the last way to administer the server by calls."""

    code = "FAILED_PRECONDITION"
    reason = "LAST_ADMIN"


class StoresDiffer(QmqError):
    """The queues of one atomic step live in different stores; nothing was done."""

    code = "FAILED_PRECONDITION"
    reason = "STORES_DIFFER"


class RedriveNotFound(QmqError):
    """No redrive has the id, or it ended long ago."""

    code = "NOT_FOUND"
    reason = "REDRIVE_NOT_FOUND"


class ScheduleNotFound(QmqError):
    """The queue has no schedule of the name."""

    code = "NOT_FOUND"
    reason = "SCHEDULE_NOT_FOUND"


class DurabilityNotReached(QmqError):
    """The queue's store cannot make a change as durable as the call asks for; nothing was done."""

    code = "FAILED_PRECONDITION"
    reason = "DURABILITY_NOT_REACHED"


class UnknownStore(QmqError):
    """The server has never heard of the store."""

    code = "NOT_FOUND"
    reason = "UNKNOWN_STORE"


class StoreNotConfigured(QmqError):
    """The server runs without the store, as one without a data directory does without DISK."""

    code = "FAILED_PRECONDITION"
    reason = "STORE_NOT_CONFIGURED"


class NameTaken(QmqError):
    """Another queue has the name."""

    code = "ALREADY_EXISTS"
    reason = "NAME_TAKEN"


class LimitReached(QmqError):
    """A limit on how much the server holds would be passed."""

    code = "RESOURCE_EXHAUSTED"
    reason = "LIMIT_REACHED"

    @property
    def limit(self) -> str:
        """The limit's name, for example `bytes_limit`; empty if the server named none."""
        return self.metadata.get("limit", "")

    @property
    def value(self) -> int | None:
        """How much the limit allows; None if the server does not say."""
        return _number(self.metadata, "value")

    @property
    def current(self) -> int | None:
        """How much there is, or would be of one message; None if the server does not say."""
        return _number(self.metadata, "current")


class QueueFull(LimitReached):
    """The queue holds as many messages, or bytes of them, as its limit allows."""

    reason = "QUEUE_FULL"


class DedupFull(LimitReached):
    """The queue knows as many dedup_ids as it may, and takes no message with another one."""

    reason = "DEDUP_FULL"


class GroupsFull(LimitReached):
    """As many groups of the queue are paused or parked as may be."""

    reason = "GROUPS_FULL"


class SelectionsFull(LimitReached):
    """Messages are taken by as many different selectors as may be in use at a time."""

    reason = "SELECTIONS_FULL"


class MemoryFull(LimitReached):
    """The messages of all queues take as much of the server's memory as they may."""

    reason = "MEMORY_FULL"


class Overloaded(LimitReached):
    """The server has as much in hand for its clients as it may; nothing was done."""

    reason = "OVERLOADED"
    #: Whether the call may have taken effect all the same.
    may_have_happened: bool = False


class CallsExceeded(Overloaded):
    """The caller makes more calls than it may, or from more connections; nothing was done."""

    reason = "CALLS_EXCEEDED"


class QuotaReached(LimitReached):
    """The queues of a quota together hold as much as they may, or are as many."""

    reason = "QUOTA_REACHED"


class MessageTooLarge(LimitReached):
    """A message, or a request as a whole, is larger than the server carries."""

    reason = "TOO_LARGE"


class Unavailable(QmqError):
    """The server cannot answer now; the same call may succeed later."""

    code = "UNAVAILABLE"
    reason = "UNAVAILABLE"

    #: Whether the call may have taken effect all the same.
    may_have_happened: bool = True

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(
            message, code=code, reason=reason, metadata=metadata, retry_after_s=retry_after_s
        )
        if self.metadata.get("effect") == "none":
            # The server says so, since nobody who could have done anything ever got the call.
            self.may_have_happened = False


class StoreFailed(Unavailable):
    """The server could not write to its disk, and takes no more until it is restarted."""

    reason = "STORE_FAILED"


class DatabaseAway(Unavailable):
    """The cluster's database does not answer; what was asked for may have been done."""

    reason = "DATABASE_AWAY"


class NotLeading(Unavailable):
    """No server leads the cluster at the moment, or the one that did was succeeded meanwhile."""

    reason = "NOT_LEADING"


class DataLoss(QmqError):
    """Messages are damaged on the server's disk, and were set aside; others go on."""

    code = "DATA_LOSS"
    reason = "DATA_LOSS"


class DiskFull(Unavailable):
    """The server's disk has no room; nothing was done, and it goes on by itself when it has."""

    reason = "DISK_FULL"
    may_have_happened = False


class ServerBusy(Unavailable):
    """More work waits for the server's disk than it keeps in memory; nothing was done."""

    reason = "BUSY"
    may_have_happened = False


class AccessChanged(Unavailable):
    """What the caller may do has changed while it waited; nothing was done."""

    reason = "ACCESS_CHANGED"
    may_have_happened = False


class ServerShuttingDown(Unavailable):
    """The server is shutting down; nothing was done."""

    reason = "SHUTTING_DOWN"
    may_have_happened = False


class ServerNotReached(Unavailable):
    """No server was there to take the call, so nothing was done."""

    reason = ""
    may_have_happened = False


class HandshakeFailed(ServerNotReached):
    """Somebody was there, and TLS with them failed: nothing was done. The message says why."""


class ConnectionLost(Unavailable):
    """The connection failed before the answer came: the call may have taken effect."""

    reason = ""


class DeadlineExceeded(QmqError):
    """The answer did not come in time; the call may have taken effect all the same."""

    code = "DEADLINE_EXCEEDED"
    reason = "DEADLINE_EXCEEDED"


class RequestTimeout(DeadlineExceeded):
    """The request took too long to reach the server as a whole; nothing was done."""

    reason = "REQUEST_TIMEOUT"


class Unimplemented(QmqError):
    """The server does not have what was asked for; it may be older than the client."""

    code = "UNIMPLEMENTED"
    reason = "UNIMPLEMENTED"


class ClientUnusable(QmqError):
    """The client was closed, or belongs to another event loop or process."""

    code = "CANCELLED"


class NotSent(QmqError):
    """The producer was stopped before it sent the message: it is not stored."""

    code = "CANCELLED"


def _number(metadata: Mapping[str, str], name: str) -> int | None:
    text = metadata.get(name, "")
    return int(text) if text.isdecimal() else None
