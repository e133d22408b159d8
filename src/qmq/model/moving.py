"""The rules of messages that go from one queue to others, each together with its history."""

from collections.abc import Callable, Sequence

from qmq.envelope import place_of
from qmq.errors import AddsPaused, QueueFull
from qmq.limits import ATTEMPTS_MAX
from qmq.model.changes import Changes
from qmq.model.delivery import Delivery, State
from qmq.model.index import entry as entry_of
from qmq.model.index import seq_of
from qmq.model.queue import Queue
from qmq.values import UNBOUNDED, Attempt


def refusal_of(target: Queue, size: int) -> AddsPaused | QueueFull | None:
    """Say why no message of that size can go to a queue now; None if one can.

    None makes room for it, also where others would for an Add.
    """
    info, bytes_limit = target.info, target.info.settings.bytes_limit
    if info.pause and info.pause.adds:
        return AddsPaused(info.id)
    if info.limit != UNBOUNDED and target.message_count >= info.limit:
        return QueueFull(info.id, info.limit, target.message_count)
    if bytes_limit and target.bytes + size > bytes_limit:
        return QueueFull.of_bytes(info.id, bytes_limit, target.bytes)
    return None


class Moves:
    """Messages that leave a queue for others of its store, in one step."""

    def __init__(
        self,
        source: Queue,
        new_seq: Callable[[], int],
        *,
        redrive_id: str = "",
        keeps_time: bool = False,
    ) -> None:
        """Begin with none.

        Args:
            source: where they are.
            new_seq: returns the sequence number of the next one.
            redrive_id: the redrive that moves them, if one does.
            keeps_time: whether they stay kept back until when they are, and of use for as long.
        """
        self.source = source
        self._new_seq = new_seq
        self._redrive_id = redrive_id
        self._keeps_time = keeps_time
        self._fresh: list[int] = []
        self._targets: dict[int, Queue] = {}
        self.changes = Changes()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.changes.added)

    def fresh_with(self, entry: int) -> int:
        """Count the moved messages that were plain entries before, together with a further one."""
        return len(self._fresh) + (seq_of(entry) not in self.source.leases.by_seq)

    @property
    def targets(self) -> Sequence[Queue]:
        """The queues that they have come to."""
        return list(self._targets.values())

    def add(
        self,
        entry: int,
        envelope: bytes,
        attempts: Sequence[Attempt],
        target: Queue,
        note: Attempt | None = None,
    ) -> None:
        """Put a message at the end of a queue, in whatever state it is.

        Args:
            entry: its entry where it is; it must be there.
            envelope: what it is to be there.
            attempts: how it was handed out before it came where it is.
            target: the queue.
            note: what its history says of the move; None if that says so already, or never.
        """
        before = self.source.leases.by_seq.get(seq_of(entry))
        if before:
            self.source.leases.forget(before)
            attempts = (*attempts, *before.attempts)
        else:
            self._fresh.append(entry)
        if note:
            attempts = (*attempts, note)
        seq = self._new_seq()
        priority, group_id, fair_key = place_of(envelope)
        delivery = Delivery(entry_of(seq, len(envelope), priority))
        # Which lease each was is of no use any more: the names of leases go on with the new
        # number of the message, and those of before are nobody's.
        delivery.attempts = tuple(
            attempt._replace(fence=fence)
            for fence, attempt in enumerate(attempts[-ATTEMPTS_MAX:], 1)
        )
        delivery.fence = len(delivery.attempts)
        delivery.redrive_id = self._redrive_id
        delivery.group_id, delivery.fair_key = group_id, fair_key
        if before and self._keeps_time:
            delivery.expires_ns = before.expires_ns
            if before.state is State.DELAYED:
                delivery.state, delivery.until_ns = State.DELAYED, before.until_ns
        target.restore(delivery)
        self._targets[target.number] = target
        self.changes.added.append((delivery.entry, target.number, envelope))
        self.changes.saved.append(delivery)
        self.changes.removed.append(entry)

    def finish(self) -> None:
        """Take those out of their queue of which nothing but their place is known there."""
        if self._fresh:
            self.source.take_out(sorted(self._fresh))
