"""What q does not do since it would be too much."""

from typing import Self

from qmq.errors.base import QError


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
