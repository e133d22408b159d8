"""The rules of one queue: first in, first out, and no more than its limit."""

from collections.abc import Sequence
from typing import NamedTuple

from qmq.descriptions import QueueInfo
from qmq.envelope import REPLY_OVERHEAD_BYTES
from qmq.errors import (
    AddsPaused,
    QueueEmpty,
    QueuePaused,
)
from qmq.limits import MOMENTS_AT_ONCE_MAX
from qmq.model.dedup import Dedup
from qmq.model.deliveries import HandedOut
from qmq.model.delivery import Delivery, State
from qmq.model.gates import Gates
from qmq.model.index import entries, seq_of, size_of
from qmq.model.leases import Gone, Leases
from qmq.model.ready import Ready
from qmq.model.room import Held, room_within_limits
from qmq.values import DURABILITY_MAX, UNBOUNDED, DeadLetterReason, Overflow


class Ended(NamedTuple):
    """What time has brought to its end; it is still in the queue, and to be taken out."""

    #: Messages that were delivered as often as they may.
    worn_out: list[Delivery]
    #: Messages that are of no use any more.
    expired: list[Delivery]
    #: Entries of such messages of which nothing else is known; these are out already.
    expired_fresh: list[int]


class Queue:
    """The state of one queue.

    It knows messages by their sequence numbers alone; what is in them is kept by the
    store, so that a waiting message costs the index some tens of bytes. A sequence number
    is the moment in which its message came to the queue, in nanoseconds since the Unix
    epoch, or the next free one.
    """

    __slots__ = (
        "_is_timed",
        "acked_total",
        "consumed_total",
        "dead_lettered",
        "dedup",
        "deduplicated_total",
        "deleted_total",
        "durability_max",
        "empty_total",
        "enqueued_total",
        "expired_total",
        "failed_total",
        "full_total",
        "gates",
        "info",
        "is_gated",
        "is_limited",
        "leases",
        "lines",
        "moved_in_total",
        "moved_out_total",
        "number",
        "overflowed_total",
        "purged_seq",
        "ready",
    )

    def __init__(self, number: int, info: QueueInfo) -> None:
        #: The store's short name for the queue; never used for another one.
        self.number = number
        self.info = info
        #: The messages that can be handed out.
        self.ready = Ready()
        #: What was handed out on lease, and has not left for good, and what has options.
        self.leases = Leases(self.ready)
        #: The lines beside that of the messages without a fair_key, and groups.
        self.lines = self.leases.lines
        #: What was added with a dedup_id.
        self.dedup = Dedup()
        #: Up to this number, all messages were purged; for a store that removes them later.
        self.purged_seq = 0
        #: How durable its store makes a change at most; more than this in some.
        self.durability_max = DURABILITY_MAX[info.store]
        # Counts since the server started, for those who watch.
        self.enqueued_total = 0
        self.consumed_total = 0
        self.acked_total = 0
        #: Made dead letters, for each reason.
        self.dead_lettered = dict.fromkeys(DeadLetterReason, 0)
        self.full_total = 0
        self.empty_total = 0
        self.failed_total = 0
        self.expired_total = 0
        self.overflowed_total = 0
        self.deduplicated_total = 0
        #: By their ids, as are those that were moved.
        self.deleted_total = 0
        self.moved_in_total = 0
        self.moved_out_total = 0
        #: What is handed out at most, whatever there is.
        self.gates = Gates()
        self.set_info(info)

    def __repr__(self) -> str:
        """Name the queue and say how full it is."""
        name = self.info.name or self.info.id
        return (
            f"<Queue {name} {self.info.store.name} ready={self.ready_count}"
            f" leased={self.leases.leased} delayed={self.leases.delayed}>"
        )

    @property
    def message_count(self) -> int:
        """How many messages it holds, in whatever state."""
        return self.ready_count + self.leases.leased + self.leases.delayed

    @property
    def ready_count(self) -> int:
        """How many messages are neither on lease nor kept back."""
        return len(self.ready) + self.lines.outside

    @property
    def ready_bytes(self) -> int:
        """What these take."""
        return self.ready.bytes + self.lines.bytes

    @property
    def bytes(self) -> int:
        """What the messages take that it holds, in whatever state."""
        return self.ready_bytes + self.leases.bytes

    @property
    def redelivered_total(self) -> int:
        """How many messages were handed out again since the server started."""
        return self.leases.redelivered_total

    def set_info(self, info: QueueInfo) -> None:
        """Make the queue what `info` says."""
        self.info = info
        settings = info.settings
        #: Whether an Add has to look at more than this: one comparison for most of them.
        self.is_limited = (
            info.limit != UNBOUNDED
            or settings.bytes_limit > 0
            or bool(info.pause and info.pause.adds)
        )
        self.leases.set_ttl(settings.ttl_ns)
        if self.ready.set_ageing(settings.priority_ageing_ns):
            self.lines.set_ageing()
        self.lines.set_rules(settings.fairness, settings.park_after, self.leases.leased)
        self.gates.set_info(info)
        self._set_gate()

    def _set_gate(self) -> None:
        #: Whether more than the line decides how many messages can be handed out.
        self.is_gated = self.gates.are_there or self.lines.is_active
        #: Whether something may change by itself in a queue that knows nothing of its messages.
        self._is_timed = bool(
            self.info.settings.ttl_ns
            or self.gates.has_rate
            or self.gates.is_behind
            or self.lines.keys.has_rate
        )

    @property
    def is_plain(self) -> bool:
        """Whether nothing but its limit has to be looked at when a plain message is added."""
        settings = self.info.settings
        return not (settings.delay_ns or settings.ttl_ns) and settings.overflow is Overflow.REJECT

    @property
    def is_timed(self) -> bool:
        """Whether something in it may change by itself."""
        return self._is_timed or bool(self.leases.by_seq)

    @property
    def available(self) -> int:
        """How many messages can be handed out now.

        Each of them to another call: one may take more, where there are groups.
        """
        if not self.is_gated:
            return len(self.ready)
        count = self.lines.keys.available if self.lines.is_active else len(self.ready)
        return min(count, self._most_out())

    def _most_out(self) -> int:
        return self.gates.most(self.leases.leased)

    def gate(self) -> str:
        """Say why nothing can be handed out but for a pause, or nothing if that is not so."""
        return self.gates.obstacle(self.leases.leased)

    def next_moment_ns(self) -> int | None:
        """Return before when nothing changes by itself; None if nothing ever does."""
        of_leases = self.leases.next_moment_ns()
        if not self._is_timed:
            return of_leases
        moments = [] if of_leases is None else [of_leases]
        if (of_keys := self.lines.keys.next_moment_ns()) is not None:
            moments.append(of_keys)
        ttl_ns = self.info.settings.ttl_ns
        if ttl_ns and (oldest := self.ready.oldest_fresh()) is not None:
            moments.append(seq_of(oldest) + ttl_ns)
        if (of_rate := self.gates.next_moment_ns()) is not None:
            moments.append(of_rate)
        return min(moments, default=None)

    def count_out(self, count: int, now_ns: int) -> None:
        """Count messages that were popped, or leased, against the rate."""
        self.gates.count_out(count, now_ns)

    def nothing_to_hand_out(self, now_ns: int | None = None) -> QueueEmpty:
        """Return the error that says why there is no message, and count it.

        Args:
            now_ns: the moment, to tell when a rate lets the next message out.
        """
        self.empty_total += 1
        id_, count = self.info.id, self.ready_count
        if self.gates.is_paused:
            return QueuePaused(id_)
        why = self.gate()
        if not why and self.lines.is_active:
            why = "others of their groups or fair_keys have to be done first, or to be resumed"
        if not count or not why:
            return QueueEmpty(id_)
        of_keys_ns = self.lines.keys.next_moment_ns()
        return QueueEmpty.held_back(id_, count, why, self.gates.ask_again_s(now_ns, of_keys_ns))

    def add(self, added: int) -> None:
        """Put a message at the end.

        Args:
            added: its entry, higher than all before it.

        Raises:
            QueueFull: it holds as many messages as its limit allows.
            AddsPaused: it takes none for now.
        """
        if self.is_limited:
            self.room_for((size_of(added),), partial=False)
        self.add_plain(added)

    def add_plain(self, added: int) -> None:
        """Put a message that has no options at the end of a queue that has room for it."""
        self.ready.append(added)
        self.enqueued_total += 1
        if self.lines.is_active:
            self.lines.plain_changed()

    def add_ranked(self, added: int) -> None:
        """Do the same with one that has a priority, and no other options."""
        self.take_in_ranked(added)
        self.enqueued_total += 1

    def add_known(self, delivery: Delivery) -> None:
        """Put a message that has other options into a queue that has room for it."""
        self.restore(delivery)
        self.enqueued_total += 1

    def restore(self, delivery: Delivery) -> None:
        """Take in a message of which something is known: one from a store or another queue."""
        self.leases.restore(delivery)
        self._set_gate()

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
        if self.lines.is_active:
            self.lines.plain_changed()
        return added

    def room_for(
        self, sizes: Sequence[int], *, partial: bool, leaving: Sequence[Delivery] = ()
    ) -> int:
        """Return how many of further messages may be added, once `displace` has made room.

        Args:
            sizes: what each takes, in bytes.
            partial: whether fewer than all of them are of use.
            leaving: messages that leave first. There is room for as much as they are, also
                where the limit is lower.

        Raises:
            QueueFull: there is no room for any, or not for all where that is asked for.
            AddsPaused: it takes none for now.
        """
        info = self.info
        if info.pause and info.pause.adds:
            raise AddsPaused(info.id)
        if not self.is_limited:
            return len(sizes)
        room, full = room_within_limits(info, self._staying(leaving), Held.of(leaving), sizes)
        if full and room < (1 if partial else len(sizes)):
            self.full_total += 1
            raise full
        return room

    def _staying(self, leaving: Sequence[Delivery]) -> Held:
        """Count the messages that do not make room by themselves."""
        leases = self.leases
        # A lease may have run out, so that its message is in the line again.
        held = Held.of([delivery for delivery in leaving if delivery.state is State.LEASED])
        count = leases.leased + leases.delayed - held.messages
        size = leases.bytes - held.bytes
        if self.info.settings.overflow is Overflow.REJECT:
            gone = Held.of(leaving)
            count += self.ready_count - (gone.messages - held.messages)
            size += self.ready_bytes - (gone.bytes - held.bytes)
        return Held(count, size)

    def take_in(self, entry: int) -> None:
        """Put a message at the end, whatever the limit: one from a store or another queue."""
        self.ready.append(entry)
        if self.lines.is_active:
            self.lines.plain_changed()

    def take_in_ranked(self, entry: int) -> None:
        """Do the same with one that has a priority, and of which nothing else is known."""
        self.ready.append_ranked(entry)
        if self.lines.is_active:
            self.lines.plain_changed()

    def take_in_run(self, seqs: Sequence[int], sizes: Sequence[int]) -> None:
        """Put messages of a store at the end, whatever the limit: the cheapest way for very many.

        Args:
            seqs: their sequence numbers, in order.
            sizes: what each takes, in bytes.
        """
        self.ready.extend_packed(seqs, sizes)
        if self.lines.is_active:
            self.lines.plain_changed()

    def take_out(self, entries: Sequence[int]) -> None:
        """Take out messages, in order, of which nothing else is known."""
        self.ready.remove(entries)
        if self.lines.is_active:
            self.lines.plain_changed()

    def hold_group(self, group_id: str, paused_ns: int, parked_ns: int) -> None:
        """Take over that a group was paused or parked, once the messages are there."""
        self.lines.activate(self.leases.leased)
        self._set_gate()
        self.lines.groups.hold(group_id, paused_ns, parked_ns)
        self.lines.groups.take_changed()

    def pause_group(self, group_id: str, now_ns: int) -> None:
        """Hand out no messages of a group from now on, whether it has any or not."""
        self.lines.activate(self.leases.leased)
        self._set_gate()
        self.lines.groups.pause(group_id, now_ns)

    def skip(self, group_id: str, count_max: int) -> list[Delivery]:
        """Return the first messages of a group that are not on lease; its parking ends.

        They are to be taken out: until then they are where they were.
        """
        skipped = self.lines.groups.first(group_id, count_max)
        if skipped:
            self.lines.groups.unpark(group_id)
        return skipped

    def count_before(self, entry: int) -> int:
        """Count the messages that are handed out before a ready one.

        Where there are fair_keys, only those with its own; where it waits in a group, only those
        of that.
        """
        delivery = self.leases.by_seq.get(seq_of(entry))
        if delivery and self.lines.is_active:
            return self.lines.count_before(delivery)
        return self.ready.count_before(entry)

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
        if self.lines.is_active:
            [taken] = self.lines.take_batch(1, 0, _pop_bytes, on_lease=False)
        else:
            taken = self.ready.take()
        by_seq = self.leases.by_seq
        return taken, bool(by_seq) and by_seq.pop(seq_of(taken)) is not None

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
        count_max = min(count_max, self._most_out())
        if self.lines.is_active:
            taken = self.lines.take_batch(count_max, bytes_max, _pop_bytes, on_lease=False)
        else:
            taken = self.ready.take_batch(count_max, bytes_max, _pop_bytes)
        self.consumed_total += len(taken)
        if not by_seq:
            return taken, []
        return taken, [seq for seq in map(seq_of, taken) if by_seq.pop(seq) is not None]

    def peek(self) -> int:
        """Return the entry of the message at the head and leave it there.

        Raises:
            QueueEmpty: there is none.
        """
        head = self.head()
        if head is None:
            self.empty_total += 1
            raise QueueEmpty(self.info.id)
        return head

    def head(self) -> int | None:
        """Return the entry of the message that is next, but for a pause and the like."""
        return self.lines.head() if self.lines.is_active else self.ready.head()

    def lease(
        self, now_ns: int, duration_ns: int, count_max: int, bytes_max: int, consumer: str
    ) -> HandedOut:
        """Put messages at the head on lease; see `Leases.hand_out`."""
        if self.is_gated:
            count_max = min(count_max, self._most_out())
        handed_out = self.leases.hand_out(
            now_ns, now_ns + duration_ns, count_max, bytes_max, consumer
        )
        if self.is_gated:
            self.count_out(len(handed_out), now_ns)
        return handed_out

    def ack(self, delivery: Delivery) -> None:
        """Take a leased message out: its work is done."""
        self.leases.forget(delivery)
        self.acked_total += 1

    def ack_first(self, seqs: Sequence[int]) -> Gone | None:
        """Take leased messages out, if the first leases on them hold: see `Leases.forget_first`."""
        gone = self.leases.forget_first(seqs)
        if gone:
            self.acked_total += len(gone.entries)
        return gone

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
        self.acked_total += len(held)
        return self.leases.forget_all(held)

    def nothing_ends(self, now_ns: int) -> bool:
        """Take note that nothing has ended by now; return whether more can be handed out."""
        if not self._is_timed:
            return False
        available = self.available
        self._note_time(now_ns)
        if self.gates.is_behind:
            self.gates.is_behind = False
            self._set_gate()
        return self.available > available

    def _note_time(self, now_ns: int) -> None:
        """Let the buckets fill up to a moment."""
        self.gates.pass_time(now_ns)
        self.lines.keys.pass_time(now_ns)

    def pass_time(self, now_ns: int) -> Ended:
        """End leases, delays and the use of messages by now: the first ones, if very many end.

        As long as there are more, nothing is handed out that might be of no use any more.
        """
        settings = self.info.settings
        delivery_count_max = settings.delivery_count_max if settings.dead_letter_queue_id else 0
        worn_out, expired = self.leases.pass_time(now_ns, delivery_count_max)
        expired_fresh: list[int] = []
        if settings.ttl_ns:
            until_ns = now_ns - settings.ttl_ns
            expired_fresh = self.ready.take_fresh_until(until_ns, MOMENTS_AT_ONCE_MAX)
            if expired_fresh and self.lines.is_active:
                self.lines.plain_changed()
        self.expired_total += len(expired) + len(expired_fresh)
        self._note_time(now_ns)
        moment_ns = self.next_moment_ns()
        is_due = moment_ns is not None and moment_ns <= now_ns
        self.gates.is_behind = self.leases.may_expire and is_due
        self._set_gate()
        return Ended(worn_out, expired, expired_fresh)

    def drop_all(self) -> list[int]:
        """Take all messages, and return their entries."""
        self.gates.is_behind = False
        self._set_gate()
        return self.ready.clear() + self.leases.clear()

    def oldest_age_ns(self, now_ns: int) -> int | None:
        """Return how long ago the message at the head came, in nanoseconds.

        None if none is there: nothing is ready, or all that is waits for groups or fair_keys.
        """
        head = self.head()
        return None if head is None else max(0, now_ns - seq_of(head))


def _pop_bytes(entry: int, delivery: Delivery | None = None) -> int:  # noqa: ARG001
    """Return what a message takes in a reply that pops it."""
    return size_of(entry) + REPLY_OVERHEAD_BYTES
