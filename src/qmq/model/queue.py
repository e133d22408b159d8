"""The rules of one queue: first in, first out, and no more than its limit."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from qmq.envelope import REPLY_OVERHEAD_BYTES, encode_tags
from qmq.errors import InvalidArgument, QueueEmpty, QueueFull
from qmq.limits import TAGS_BYTES_MAX, TAGS_MAX
from qmq.model.index import entries, entry, seq_of, size_of
from qmq.values import UNBOUNDED, QueueInfo, QueueStats, Tag


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
        "ready_bytes",
    )

    def __init__(self, number: int, info: QueueInfo) -> None:
        #: The store's short name for the queue; never used for another one.
        self.number = number
        self.info = info
        #: A copy of info.limit, with unbounded as infinity: one comparison an Add.
        self.limit: float = float("inf") if info.limit == UNBOUNDED else info.limit
        #: Entries (see `index`) of the messages that can be handed out, oldest first. A
        #: sequence number is the moment in which its message came, in nanoseconds since
        #: the Unix epoch.
        self.ready: deque[int] = deque()
        #: What the ready messages take together.
        self.ready_bytes = 0
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

    def add(self, seq: int, size: int) -> None:
        """Put a message at the end.

        Args:
            seq: its sequence number, higher than all before it.
            size: what it takes, in bytes.

        Raises:
            QueueFull: it holds as many messages as its limit allows.
        """
        if len(self.ready) >= self.limit:
            self.full_total += 1
            raise QueueFull(self.info.id, self.info.limit, len(self.ready))
        self.ready.append(entry(seq, size))
        self.ready_bytes += size
        self.enqueued_total += 1

    def add_batch(self, first_seq: int, sizes: Sequence[int]) -> None:
        """Put messages at the end that `room_for` has found room for.

        Args:
            first_seq: the sequence number of the first; the others follow without a gap.
            sizes: what each takes, in bytes.
        """
        self.ready.extend(entries(first_seq, sizes))
        self.ready_bytes += sum(sizes)
        self.enqueued_total += len(sizes)

    def room_for(self, count: int, *, partial: bool) -> int:
        """Return how many of `count` further messages may be added.

        Args:
            count: how many there are.
            partial: whether fewer than all of them are of use.

        Raises:
            QueueFull: there is no room for any, or not for all where that is asked for.
        """
        room = min(count, self.limit - len(self.ready))
        if room < (min(count, 1) if partial else count):
            self.full_total += 1
            raise QueueFull(self.info.id, self.info.limit, len(self.ready))
        return int(room)

    def restore(self, seq: int, size: int) -> None:
        """Put back a message that a store has kept, at the end."""
        self.ready.append(entry(seq, size))
        self.ready_bytes += size

    def pop(self) -> int:
        """Take the message at the head and return its sequence number.

        Raises:
            QueueEmpty: there is none.
        """
        if not self.ready:
            self.empty_total += 1
            raise QueueEmpty(self.info.id)
        self.consumed_total += 1
        taken = self.ready.popleft()
        self.ready_bytes -= size_of(taken)
        return seq_of(taken)

    def pop_batch(self, count_max: int, bytes_max: int) -> list[int]:
        """Take messages from the head and return their sequence numbers, oldest first.

        Args:
            count_max: how many at most.
            bytes_max: what a reply that carries them may take; one message is taken in
                any case.
        """
        seqs: list[int] = []
        ready = self.ready
        left = bytes_max
        while ready and len(seqs) < count_max:
            size = size_of(ready[0])
            left -= size + REPLY_OVERHEAD_BYTES
            if left < 0 and seqs:
                break
            self.ready_bytes -= size
            seqs.append(seq_of(ready.popleft()))
        self.consumed_total += len(seqs)
        return seqs

    def peek(self) -> int:
        """Return the sequence number of the message at the head and leave it there.

        Raises:
            QueueEmpty: there is none.
        """
        if not self.ready:
            self.empty_total += 1
            raise QueueEmpty(self.info.id)
        return seq_of(self.ready[0])

    def drop_all(self) -> list[int]:
        """Take all messages, and return their sequence numbers."""
        seqs = [seq_of(each) for each in self.ready]
        self.ready.clear()
        self.ready_bytes = 0
        return seqs

    def oldest_age_ns(self, now_ns: int) -> int:
        """Return how long ago the message at the head came, in nanoseconds; 0 if none."""
        try:
            return max(0, now_ns - seq_of(self.ready[0]))
        except IndexError:
            return 0

    def stats(self, now_ns: int, waiting: int) -> QueueStats:
        """Count what the queue holds; `waiting` is how many calls wait for a message."""
        return QueueStats(
            info=self.info,
            ready=len(self.ready),
            ready_bytes=self.ready_bytes,
            oldest_age_ns=self.oldest_age_ns(now_ns) if self.ready else None,
            waiting=waiting,
            enqueued_total=self.enqueued_total,
            consumed_total=self.consumed_total,
        )

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
