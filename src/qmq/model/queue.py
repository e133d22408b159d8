"""The rules of one queue: first in, first out, and no more than its limit."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from qmq.envelope import REPLY_OVERHEAD_BYTES, encode_tags
from qmq.errors import (
    AddsPaused,
    InvalidArgument,
    NoDeadLetterQueue,
    QueueEmpty,
    QueueFull,
    QueuePaused,
)
from qmq.limits import TAGS_BYTES_MAX, TAGS_MAX
from qmq.model.delivery import Delivery
from qmq.model.index import entries, seq_of, size_of
from qmq.model.leases import Leases
from qmq.model.ready import Ready
from qmq.values import (
    UNBOUNDED,
    DeadLetterReason,
    NackKind,
    Outcome,
    QueueInfo,
    QueueStats,
    Tag,
)

#: Consumers that Stats names.
_CONSUMERS_MAX: Final = 100


class Queue:
    """The state of one queue.

    It knows messages by their sequence numbers alone; what is in them is kept by the
    store, so that a waiting message costs the index some tens of bytes. A sequence number
    is the moment in which its message came to the queue, in nanoseconds since the Unix
    epoch, or the next free one.
    """

    __slots__ = (
        "_is_limited",
        "acked_total",
        "consumed_total",
        "empty_total",
        "enqueued_total",
        "failed_total",
        "full_total",
        "info",
        "leases",
        "number",
        "purged_seq",
        "ready",
        "redelivered_total",
        "rejected_total",
        "worn_out_total",
    )

    def __init__(self, number: int, info: QueueInfo) -> None:
        #: The store's short name for the queue; never used for another one.
        self.number = number
        self.info = info
        #: The messages that can be handed out.
        self.ready = Ready()
        #: What was handed out on lease, and has not left for good.
        self.leases = Leases(self.ready)
        #: Up to this number, all messages were purged; for a store that removes them later.
        self.purged_seq = 0
        # Counts since the server started, for those who watch.
        self.enqueued_total = 0
        self.consumed_total = 0
        self.acked_total = 0
        self.redelivered_total = 0
        #: Made dead letters, since a consumer rejected them or they were delivered too often.
        self.rejected_total = 0
        self.worn_out_total = 0
        self.full_total = 0
        self.empty_total = 0
        self.failed_total = 0
        self.set_info(info)

    def __repr__(self) -> str:
        """Name the queue and say how full it is."""
        name = self.info.name or self.info.id
        return (
            f"<Queue {name} {self.info.store.name} ready={len(self.ready)}"
            f" leased={self.leases.leased} delayed={self.leases.delayed}>"
        )

    @property
    def message_count(self) -> int:
        """How many messages it holds, in whatever state."""
        return len(self.ready) + self.leases.leased + self.leases.delayed

    def set_info(self, info: QueueInfo) -> None:
        """Make the queue what `info` says."""
        self.info = info
        #: Whether an Add has to look at more than this: one comparison for most of them.
        self._is_limited = info.limit != UNBOUNDED or bool(info.pause and info.pause.adds)

    @property
    def available(self) -> int:
        """How many messages can be handed out now."""
        return 0 if self.info.pause else len(self.ready)

    def nothing_to_hand_out(self) -> QueueEmpty:
        """Return the error that says why there is no message, and count it."""
        self.empty_total += 1
        return QueuePaused(self.info.id) if self.info.pause else QueueEmpty(self.info.id)

    def add(self, added: int) -> None:
        """Put a message at the end.

        Args:
            added: its entry, higher than all before it.

        Raises:
            QueueFull: it holds as many messages as its limit allows.
            AddsPaused: it takes none for now.
        """
        if self._is_limited:
            self.room_for(1, partial=False)
        self.ready.append(added)
        self.enqueued_total += 1

    def add_batch(self, first_seq: int, sizes: Sequence[int]) -> list[int]:
        """Put messages at the end that `room_for` has found room for.

        Args:
            first_seq: the sequence number of the first; the others follow without a gap.
            sizes: what each takes, in bytes.

        Returns:
            Their entries.
        """
        added = entries(first_seq, sizes)
        self.ready.extend(added, sum(sizes))
        self.enqueued_total += len(added)
        return added

    def room_for(self, count: int, *, partial: bool) -> int:
        """Return how many of `count` further messages may be added.

        Args:
            count: how many there are.
            partial: whether fewer than all of them are of use.

        Raises:
            QueueFull: there is no room for any, or not for all where that is asked for.
            AddsPaused: it takes none for now.
        """
        info = self.info
        if info.pause and info.pause.adds:
            raise AddsPaused(info.id)
        if info.limit == UNBOUNDED:
            return count
        room = min(count, max(0, info.limit - self.message_count))
        if room < (min(count, 1) if partial else count):
            self.full_total += 1
            raise QueueFull(info.id, info.limit, self.message_count)
        return room

    def take_in(self, entry: int) -> None:
        """Put a message at the end, whatever the limit: one from a store or another queue."""
        self.ready.append(entry)

    def pop(self) -> tuple[int, bool]:
        """Take the message at the head.

        Returns:
            Its entry, and whether it was ever on lease.

        Raises:
            QueueEmpty: there is none, or the queue is paused.
        """
        if not self.available:
            raise self.nothing_to_hand_out()
        self.consumed_total += 1
        taken = self.ready.take()
        by_seq = self.leases.by_seq
        return taken, bool(by_seq) and by_seq.pop(seq_of(taken), None) is not None

    def pop_batch(self, count_max: int, bytes_max: int) -> tuple[list[int], list[int]]:
        """Take messages from the head.

        Args:
            count_max: how many at most.
            bytes_max: what a reply that carries them may take; one message is taken in
                any case.

        Returns:
            Their entries, in order; and the sequence numbers of those that were ever on lease.
        """
        by_seq = self.leases.by_seq
        taken = self.ready.take_batch(min(count_max, self.available), bytes_max, _pop_bytes)
        self.consumed_total += len(taken)
        if not by_seq:
            return taken, []
        return taken, [seq for seq in map(seq_of, taken) if by_seq.pop(seq, None) is not None]

    def peek(self) -> int:
        """Return the entry of the message at the head and leave it there.

        Raises:
            QueueEmpty: there is none.
        """
        head = self.ready.head()
        if head is None:
            self.empty_total += 1
            raise QueueEmpty(self.info.id)
        return head

    def lease(
        self, now_ns: int, duration_ns: int, count_max: int, bytes_max: int, consumer: str
    ) -> list[Delivery]:
        """Put messages at the head on lease; see `Leases.hand_out`."""
        handed_out = self.leases.hand_out(
            now_ns, now_ns + duration_ns, min(count_max, self.available), bytes_max, consumer
        )
        self.redelivered_total += sum(delivery.fence > 1 for delivery in handed_out)
        return handed_out

    def ack(self, delivery: Delivery) -> None:
        """Take a leased message out: its work is done."""
        self.leases.forget(delivery)
        self.acked_total += 1

    def ack_all(self, leases: Sequence[tuple[int, int]]) -> list[int] | None:
        """Take leased messages out, if all the leases hold.

        Args:
            leases: sequence number and fence of each.

        Returns:
            The messages' entries. None, and nothing has changed, if one of the leases has
            ended or is there twice.
        """
        held = self.leases.all_held(leases)
        if held is None:
            return None
        self.leases.forget_all(held)
        self.acked_total += len(held)
        return [delivery.entry for delivery in held]

    def nack(  # noqa: PLR0913 - What a nack says, and the moment and chance.
        self,
        delivery: Delivery,
        kind: NackKind,
        *,
        now_ns: int,
        delay_ns: int | None,
        reason: str,
        chance: float,
    ) -> DeadLetterReason | None:
        """End a lease whose work is not done.

        Args:
            delivery: the message.
            kind: what the consumer says.
            now_ns: the moment.
            delay_ns: how long the message is kept back; None leaves that to the queue.
            reason: what the consumer says why.
            chance: 0 to 1, for the jitter of the back-off.

        Returns:
            Why the message is to be moved to the dead-letter queue, if it is; it is in
            nobody's hands until then.

        Raises:
            NoDeadLetterQueue: it was rejected, and there is none.
        """
        settings = self.info.settings
        if kind is NackKind.REJECT:
            if not settings.dead_letter_queue_id:
                raise NoDeadLetterQueue(self.info.id)
            delivery.end(Outcome.REJECTED, now_ns, reason)
            return DeadLetterReason.REJECTED
        if kind is NackKind.FAIL and 0 < settings.delivery_count_max <= delivery.count:
            delivery.end(Outcome.FAILED, now_ns, reason)
            return DeadLetterReason.DELIVERY_COUNT_MAX
        if delay_ns is None:
            delay_ns = 0
            if kind is NackKind.FAIL:
                delay_ns = settings.back_off.delay_ns(delivery.count, chance)
        self.leases.give_back(delivery, kind, now_ns, delay_ns, reason)
        return None

    def pass_time(self, now_ns: int) -> list[Delivery]:
        """End the leases and delays that end by now.

        Returns:
            Messages that were delivered as often as they may, to be moved.
        """
        settings = self.info.settings
        delivery_count_max = settings.delivery_count_max if settings.dead_letter_queue_id else 0
        return self.leases.pass_time(now_ns, delivery_count_max)

    def drop_all(self) -> list[int]:
        """Take all messages, and return their entries."""
        return self.ready.clear() + self.leases.clear()

    def oldest_age_ns(self, now_ns: int) -> int:
        """Return how long ago the message at the head came, in nanoseconds; 0 if none."""
        head = self.ready.head()
        return 0 if head is None else max(0, now_ns - seq_of(head))

    def stats(
        self,
        now_ns: int,
        waiting: int,
        added_per_second: float = 0.0,
        done_per_second: float = 0.0,
    ) -> QueueStats:
        """Count what the queue holds.

        Args:
            now_ns: the moment.
            waiting: how many calls wait for a message.
            added_per_second: how many messages come.
            done_per_second: how many are taken or acked.
        """
        leases = self.leases
        return QueueStats(
            info=self.info,
            ready=len(self.ready),
            ready_bytes=self.ready.bytes,
            oldest_age_ns=self.oldest_age_ns(now_ns) if self.ready else None,
            waiting=waiting,
            enqueued_total=self.enqueued_total,
            consumed_total=self.consumed_total,
            leased=leases.leased,
            delayed=leases.delayed,
            acked_total=self.acked_total,
            redelivered_total=self.redelivered_total,
            dead_lettered_total=self.rejected_total + self.worn_out_total,
            added_per_second=added_per_second,
            done_per_second=done_per_second,
            consumers=tuple(sorted(leases.held_by.items())[:_CONSUMERS_MAX]),
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


def _pop_bytes(entry: int) -> int:
    """Return what a message takes in a reply that pops it."""
    return size_of(entry) + REPLY_OVERHEAD_BYTES
