"""The rules of one queue: first in, first out, and no more than its limit."""

from collections import deque
from dataclasses import replace

from qmq.envelope import encode_tags
from qmq.errors import InvalidArgument, QueueEmpty, QueueFull
from qmq.limits import TAGS_BYTES_MAX, TAGS_MAX
from qmq.values import UNBOUNDED, QueueInfo, Tag


class Queue:
    """The state of one queue.

    It knows messages by their sequence numbers alone; what is in them is kept by the
    store, so that a waiting message costs the index some tens of bytes.
    """

    __slots__ = (
        "consumed_total",
        "empty_total",
        "enqueued_total",
        "failed_total",
        "full_total",
        "info",
        "limit",
        "number",
        "ready",
    )

    def __init__(self, number: int, info: QueueInfo) -> None:
        #: The store's short name for the queue; never used for another one.
        self.number = number
        self.info = info
        #: A copy of info.limit, with unbounded as infinity: one comparison an Add.
        self.limit: float = float("inf") if info.limit == UNBOUNDED else info.limit
        #: Sequence numbers of the messages that can be handed out, oldest first. Each is
        #: the moment in which its message came, in nanoseconds since the Unix epoch.
        self.ready: deque[int] = deque()
        # Counts since the server started, for those who watch.
        self.enqueued_total = 0
        self.consumed_total = 0
        self.full_total = 0
        self.empty_total = 0
        self.failed_total = 0

    def __repr__(self) -> str:
        """Name the queue and say how full it is."""
        name = self.info.name or self.info.id
        return f"<Queue {name} {self.info.store.name} ready={len(self.ready)}>"

    def add(self, seq: int) -> None:
        """Put a message at the end.

        Args:
            seq: its sequence number, higher than all before it.

        Raises:
            QueueFull: it holds as many messages as its limit allows.
        """
        if len(self.ready) >= self.limit:
            self.full_total += 1
            raise QueueFull(self.info.id, self.info.limit, len(self.ready))
        self.ready.append(seq)
        self.enqueued_total += 1

    def pop(self) -> int:
        """Take the message at the head and return its sequence number.

        Raises:
            QueueEmpty: there is none.
        """
        if not self.ready:
            self.empty_total += 1
            raise QueueEmpty(self.info.id)
        self.consumed_total += 1
        return self.ready.popleft()

    def peek(self) -> int:
        """Return the sequence number of the message at the head and leave it there.

        Raises:
            QueueEmpty: there is none.
        """
        if not self.ready:
            self.empty_total += 1
            raise QueueEmpty(self.info.id)
        return self.ready[0]

    def oldest_age_ns(self, now_ns: int) -> int:
        """Return how long ago the message at the head came, in nanoseconds; 0 if none."""
        try:
            return max(0, now_ns - self.ready[0])
        except IndexError:
            return 0

    def add_tag(self, tag: Tag) -> bool:
        """Add a tag; return whether that changed anything.

        Raises:
            InvalidArgument: the queue's tags would be more, or longer, than q allows.
        """
        if tag in self.info.tags:
            return False
        tags = (*self.info.tags, tag)
        if len(tags) > TAGS_MAX:
            raise InvalidArgument("tag", f"queue {self.info.id} has {TAGS_MAX} tags, the most")
        size = len(encode_tags(tags))
        if size > TAGS_BYTES_MAX:
            raise InvalidArgument(
                "tag",
                f"the tags of queue {self.info.id} would take {size} bytes, more than"
                f" tags_bytes_max of {TAGS_BYTES_MAX}",
            )
        self.info = replace(self.info, tags=tags)
        return True

    def delete_tag(self, tag: Tag) -> bool:
        """Remove a tag; return whether that changed anything."""
        tags = self.info.tags
        if tag not in tags:
            return False
        self.info = replace(self.info, tags=tuple(t for t in tags if t != tag))
        return True
