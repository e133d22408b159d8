"""The closed family of errors that q answers with.

A class's docstring says when it is raised; its message is the sentence the user
reads. `transport.status` is the one place that maps the family to gRPC statuses.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self


class QError(Exception):
    """Base of everything q refuses or fails with."""

    #: Stable machine-readable name of the cause, sent as google.rpc.ErrorInfo.reason.
    reason: ClassVar[str]
    #: What the message says, for programs: sent as google.rpc.ErrorInfo.metadata.
    metadata: Mapping[str, str]
    #: Seconds after which a repeat may succeed, sent as google.rpc.RetryInfo;
    #: None when waiting does not help.
    retry_after_s: float | None = None

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.metadata = metadata

    @property
    def message(self) -> str:
        """The sentence the user reads."""
        return str(self.args[0])


class InvalidArgument(QError):
    """A field of the request breaks a rule."""

    reason = "INVALID_ARGUMENT"

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}", field=field)
        self.field = field
        self.rule = rule

    @classmethod
    def over(cls, field: str, rule: str, limit_name: str, limit: int, current: int) -> Self:
        """Make one about a field that holds more than it may, as `LimitReached` tells it."""
        error = cls(field, rule)
        error.metadata = {
            **error.metadata,
            "limit": limit_name,
            "value": str(limit),
            "current": str(current),
        }
        return error


class QueueNotFound(QError):
    """No queue has the id."""

    reason = "QUEUE_NOT_FOUND"

    def __init__(self, queue_id: str) -> None:
        super().__init__(f"cannot find queue with id {queue_id}", queue_id=queue_id)


class MessageNotFound(QError):
    """The queue holds no message that has the id."""

    reason = "MESSAGE_NOT_FOUND"

    def __init__(self, queue_id: str, message_id: str) -> None:
        super().__init__(
            f"queue {queue_id} holds no message with id {message_id}: it never did, or the"
            " message was acked, popped, deleted, purged or moved",
            queue_id=queue_id,
            message_id=message_id,
        )


class MessageLeased(QError):
    """The message is on lease, and those on lease were not asked for."""

    reason = "MESSAGE_LEASED"

    def __init__(self, queue_id: str, message_id: str, whereabouts: str) -> None:
        super().__init__(
            f"message {message_id} is {whereabouts}; with `leased`, the call takes it away from"
            " whoever has it",
            queue_id=queue_id,
            message_id=message_id,
        )


class NoDeadLetter(QError):
    """A message that is no dead letter was to go back to the queue that it came from."""

    reason = "NO_DEAD_LETTER"

    def __init__(self, message_id: str) -> None:
        super().__init__(
            f"message {message_id} is no dead letter: say by target_queue_id where it is to go",
            message_id=message_id,
        )


class RedriveNotFound(QError):
    """No redrive has the id."""

    reason = "REDRIVE_NOT_FOUND"

    def __init__(self, redrive_id: str) -> None:
        super().__init__(f"cannot find redrive with id {redrive_id}", redrive_id=redrive_id)


class ScheduleNotFound(QError):
    """The queue has no schedule of the name."""

    reason = "SCHEDULE_NOT_FOUND"

    def __init__(self, queue_id: str, name: str) -> None:
        super().__init__(
            f"queue {queue_id} has no schedule named {name!r}", queue_id=queue_id, name=name
        )


class ServiceNotFound(QError):
    """No gRPC service has the name whose health was asked for."""

    reason = "SERVICE_NOT_FOUND"


class QueueEmpty(QError):
    """The queue has no message to hand out."""

    reason = "QUEUE_EMPTY"

    def __init__(self, queue_id: str) -> None:
        super().__init__(f"queue {queue_id} is empty", queue_id=queue_id)

    @classmethod
    def held_back(cls, queue_id: str, count: int, why: str, retry_after_s: float) -> Self:
        """Make one about a queue that has messages ready, and hands out none of them now.

        Args:
            queue_id: the queue's id.
            count: how many messages are ready.
            why: what holds them back, as a sentence.
            retry_after_s: seconds after which that may be over.
        """
        error = cls(queue_id)
        messages = "the message that is" if count == 1 else f"any of the {count} messages that are"
        QError.__init__(
            error,
            f"queue {queue_id} does not hand out {messages} ready now: {why}",
            queue_id=queue_id,
        )
        error.retry_after_s = retry_after_s
        return error


class QueuePaused(QueueEmpty):
    """The queue is paused, and hands out no message until it is resumed."""

    reason = "QUEUE_PAUSED"

    def __init__(self, queue_id: str) -> None:
        QError.__init__(
            self,
            f"queue {queue_id} is paused; it hands out messages after Resume",
            queue_id=queue_id,
        )


class AddsPaused(QError):
    """The queue is paused for adds, and takes no message until it is resumed."""

    reason = "ADDS_PAUSED"

    def __init__(self, queue_id: str) -> None:
        super().__init__(
            f"queue {queue_id} is paused and takes no messages; it does after Resume",
            queue_id=queue_id,
        )


class LeaseLost(QError):
    """The lease is not held any more; its message is nobody's, or somebody else's, now."""

    reason = "LEASE_LOST"

    def __init__(self, lease_id: str, explanation: str) -> None:
        super().__init__(f"lease {lease_id} {explanation}", lease_id=lease_id)


class NoDeadLetterQueue(QError):
    """A message was rejected whose queue has no dead-letter queue."""

    reason = "NO_DEAD_LETTER_QUEUE"

    def __init__(self, queue_id: str) -> None:
        super().__init__(
            f"queue {queue_id} has no dead-letter queue, so that none of its messages can be"
            " rejected; set dead_letter_queue_id by UpdateQueue, or ack the message",
            queue_id=queue_id,
        )


class QueueInUse(QError):
    """The queue is the dead-letter queue of another one."""

    reason = "QUEUE_IN_USE"

    def __init__(self, queue_id: str, source_queue_id: str) -> None:
        super().__init__(
            f"queue {queue_id} is the dead-letter queue of queue {source_queue_id};"
            " give that one another by UpdateQueue first",
            queue_id=queue_id,
            source_queue_id=source_queue_id,
        )


class Unauthenticated(QError):
    """The caller has not shown who it is, in a way that holds now."""

    reason = "UNAUTHENTICATED"

    def __init__(self, why: str = "") -> None:
        """Make one; `why` is for the log, and not told."""
        super().__init__(
            "q does not know who is calling: send a valid token, as authorization: Bearer TOKEN, or"
            " a certificate"
        )
        self.why = why


class AccessDenied(QError):
    """The caller is known, and has no right to what it asks for."""

    reason = "PERMISSION_DENIED"


class IdentityNotFound(QError):
    """The access file names nobody of the name."""

    reason = "IDENTITY_NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the access file has no identity {name[:120]!r}; `q tokens make` makes one, with what"
            " it may do",
            identity=name,
        )


class AccessFixed(QError):
    """There is no access file, or this q cannot change it; the message says what to do."""

    reason = "ACCESS_FIXED"


class LastAdmin(QError):
    """With the token would go the last way to administer q by calls."""

    reason = "LAST_ADMIN"

    def __init__(self, token_id: str, identity: str) -> None:
        super().__init__(
            f"token {token_id} is the last thing by which anybody can show the right to admin every"
            " queue: make another one first, or revoke it on the machine of the access file, with"
            f" `q tokens revoke {token_id}`",
            identity=identity,
            token_id=token_id,
        )


class StoresDiffer(QError):
    """Queues of one atomic step live in different stores."""

    reason = "STORES_DIFFER"


class UnknownStore(QError):
    """The store asked for is none that this q knows."""

    reason = "UNKNOWN_STORE"

    def __init__(self, store: int) -> None:
        super().__init__(
            f"unknown store type {store}; the stores are MEMORY (1), DISK (2) and CLUSTER (3)",
            store=str(store),
        )


class StoreNotConfigured(QError):
    """The store asked for exists, but this server runs without it."""

    reason = "STORE_NOT_CONFIGURED"


class DurabilityNotReached(QError):
    """A call asks for more than the queue's store can do to keep what it changes."""

    reason = "DURABILITY_NOT_REACHED"

    def __init__(self, queue_id: str, store: str, asked: str, most: str) -> None:
        super().__init__(
            f"durability: queue {queue_id} lives in {store}, which cannot be as durable as"
            f" {asked}, but {most} at most; ask for no more than that, or for nothing, which"
            " means as durable as the queue can",
            queue_id=queue_id,
            store=store,
            asked=asked,
            durability_max=most,
        )


class NameTaken(QError):
    """Another queue has the name."""

    reason = "NAME_TAKEN"

    def __init__(self, name: str, queue_id: str) -> None:
        super().__init__(
            f"name: queue {queue_id} is already named {name!r}", name=name, queue_id=queue_id
        )


class LimitReached(QError):
    """A limit on how much q holds would be passed."""

    reason = "LIMIT_REACHED"
    #: Somebody has to delete something: people mostly, who take their time.
    retry_after_s: float | None = 10.0

    def __init__(self, message: str, limit_name: str, limit: int, current: int) -> None:
        super().__init__(message, limit=limit_name, value=str(limit), current=str(current))


class QueueFull(LimitReached):
    """The queue holds as many messages as its limit allows."""

    reason = "QUEUE_FULL"
    #: Somebody has to take messages out; nobody knows when.
    retry_after_s = 1.0

    def __init__(self, queue_id: str, limit: int, current: int) -> None:
        super().__init__(
            f"queue {queue_id} has reached limit of {limit} messages", "limit", limit, current
        )

    @classmethod
    def of_bytes(cls, queue_id: str, limit: int, current: int) -> Self:
        """Make one about what the messages take, rather than how many there are."""
        error = cls(queue_id, limit, current)
        LimitReached.__init__(
            error,
            f"queue {queue_id} has reached bytes_limit of {limit}; its messages take {current}",
            "bytes_limit",
            limit,
            current,
        )
        return error


class DedupFull(LimitReached):
    """The queue remembers as many dedup_ids as it may."""

    reason = "DEDUP_FULL"

    def __init__(self, queue_id: str, limit: int, current: int, retry_after_s: float) -> None:
        super().__init__(
            f"queue {queue_id} remembers {current} dedup_ids, as many as dedup_ids_max of {limit}"
            " allows; add fewer with one, or make dedup_window shorter",
            "dedup_ids_max",
            limit,
            current,
        )
        self.retry_after_s = retry_after_s


class GroupsFull(LimitReached):
    """As many groups of the queue are paused or parked as may be."""

    reason = "GROUPS_FULL"

    def __init__(self, queue_id: str, limit: int, current: int) -> None:
        super().__init__(
            f"{current} groups of queue {queue_id} are paused or parked, as many as"
            f" groups_held_max of {limit} allows; resume some, or pause the queue",
            "groups_held_max",
            limit,
            current,
        )


class SelectionsFull(LimitReached):
    """As many different selectors are in use as may be, or were within the last minute."""

    reason = "SELECTIONS_FULL"

    def __init__(self, limit: int, current: int, retry_after_s: float) -> None:
        super().__init__(
            f"messages are taken by {current} different selectors, or were within the last"
            f" minute, as many as selections_max of {limit} allows; use fewer",
            "selections_max",
            limit,
            current,
        )
        self.retry_after_s = retry_after_s


class MemoryFull(LimitReached):
    """What the messages of all queues take in memory would pass memory_max."""

    reason = "MEMORY_FULL"
    #: As of a full queue: messages have to leave, of whichever queue.
    retry_after_s = 1.0

    def __init__(self, limit: int, current: int, needed: int) -> None:
        super().__init__(
            f"the server's messages take {current} bytes of memory, and {needed} more would pass"
            f" memory_max of {limit}; take messages out, of whichever queue, or start q with a"
            " higher --memory-max",
            "memory_max",
            limit,
            current,
        )


class Overloaded(LimitReached):
    """q has as much in hand for its clients as it may: calls, requests or replies."""

    reason = "OVERLOADED"
    #: What is in hand passes by itself.
    retry_after_s = 1.0


class CallsExceeded(LimitReached):
    """The caller's identity makes more calls than it may, or from more connections."""

    reason = "CALLS_EXCEEDED"

    def __init__(
        self, name: str, limit_name: str, limit: int, current: int, retry_after_s: float
    ) -> None:
        what = {
            "calls_per_second": f"makes more than {limit} calls in a second",
            "calls_max": f"has {current} calls under way",
            "connections_max": f"has calls under way on {current} connections",
        }[limit_name]
        super().__init__(
            f"{name} {what}, as many as its {limit_name} of {limit} allows; the call had no effect",
            limit_name,
            limit,
            current,
        )
        self.retry_after_s = retry_after_s


class QuotaReached(LimitReached):
    """The queues of a quota together hold as much as they may, or are as many."""

    reason = "QUOTA_REACHED"

    def __init__(self, pattern: str, limit_name: str, limit: int, current: int) -> None:
        what = {
            "queues_max": f"are {current}",
            "messages_max": f"hold {current} messages",
            "bytes_max": f"hold messages of {current} bytes",
        }[limit_name]
        super().__init__(
            f"the queues named {pattern} {what}, and with more they would pass their quota,"
            f" {limit_name} of {limit}",
            limit_name,
            limit,
            current,
        )
        if limit_name != "queues_max":
            self.retry_after_s = 1.0


class TooLarge(LimitReached):
    """A message or request is larger than q carries."""

    reason = "TOO_LARGE"
    #: It will be as large then.
    retry_after_s = None


class Unavailable(QError):
    """q cannot answer now; the same request may succeed later."""

    reason = "UNAVAILABLE"
    retry_after_s = 1.0


class StoreFailed(Unavailable):
    """A write to the store failed, so nothing more is acknowledged until a restart."""

    reason = "STORE_FAILED"
    retry_after_s = 10.0


class DiskFull(Unavailable):
    """The disk has no room: nothing was done, and q goes on by itself when there is room again."""

    reason = "DISK_FULL"
    retry_after_s = 5.0


class Busy(Unavailable):
    """More work is waiting for the disk than q keeps in memory."""

    reason = "BUSY"


class DatabaseAway(Unavailable):
    """The cluster's database does not answer; what waits for it may or may not be kept."""

    reason = "DATABASE_AWAY"


class NotLeading(Unavailable):
    """No q leads the cluster at the moment, or this one does not any more.

    What waits for a commit may or may not be kept; everything else was not done.
    """

    reason = "NOT_LEADING"
    #: Whether nothing was done, and somebody else leads who can be asked.
    ask_again: bool = False

    @classmethod
    def of_idle(cls, message: str, *, ask_again: bool) -> Self:
        """Make the answer of a q that does not lead, and so has done nothing."""
        error = cls(f"{message}; nothing was done", effect="none")
        error.ask_again = ask_again
        return error


class AccessChanged(Unavailable):
    """What the caller may do has changed while it waited; called again, it may do that."""

    reason = "ACCESS_CHANGED"

    def __init__(self, name: str) -> None:
        super().__init__(f"what {name} may do has changed; the same call tells what it may now")


class ShuttingDown(Unavailable):
    """q is shutting down."""

    reason = "SHUTTING_DOWN"


class DataLoss(QError):
    """Messages are damaged on disk: what was read of them is not what was written."""

    reason = "DATA_LOSS"

    def __init__(self, seqs: Sequence[int]) -> None:
        named = ", ".join(map(str, seqs))
        super().__init__(
            f"what is on disk of {len(seqs)} messages of this call is damaged, and is not handed"
            f" out: those with the numbers {named}. They are set aside, and stay in the database;"
            " stop q, see `q check`, and put back a backup",
            seqs=named,
        )
        #: Their sequence numbers.
        self.seqs = tuple(seqs)


class DataDirectoryError(QError):
    """The data directory cannot be used: unwritable, foreign, in use or too new."""

    reason = "DATA_DIRECTORY"


class ConfigError(QError):
    """q cannot start with the configuration it was given."""

    reason = "CONFIG"


class Unimplemented(QError):
    """q does not have what the call asks for."""

    reason = "UNIMPLEMENTED"


class DeadlineExceeded(QError):
    """The caller's deadline passed first; the call may have taken effect all the same."""

    reason = "DEADLINE_EXCEEDED"


class RequestTimeout(DeadlineExceeded):
    """The request took too long to come in; the call had no effect."""

    reason = "REQUEST_TIMEOUT"
