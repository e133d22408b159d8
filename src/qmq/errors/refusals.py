"""What q does not do as things are: what is asked for is not there, or not allowed."""

from typing import Self

from qmq.errors.base import QError


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


class Unimplemented(QError):
    """q does not have what the call asks for."""

    reason = "UNIMPLEMENTED"
