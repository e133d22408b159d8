"""A store's queues, rebuilt from the rows of its database."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from qmq.model.dedup import Known
from qmq.model.index import SEQ_SHIFT, entry
from qmq.model.queue import Queue
from qmq.store.rows import DeliveryRow, delivery_of
from qmq.store.together import Loading

#: Sequence number, number of the queue, and size in bytes of a message.
MessageRow = tuple[int, int, int]


@dataclass(slots=True)
class Found:
    """What a database holds."""

    #: In order of creation, with their messages.
    queues: list[Queue]
    #: In order of their starts: id, and what was kept.
    redrives: list[tuple[str, str]]
    #: In order of their creation: id, and what was kept.
    schedules: list[tuple[str, str]]
    #: The highest number that a queue, or what is left over of one, ever had.
    last_queue_number: int
    #: The highest number that a message ever had.
    last_number: int
    #: How far ahead of the machine's clock the one is by which moments were written.
    clock_offset_ns: int = 0
    #: How many messages are in queues.
    live: int = 0
    #: The numbers of the oldest and the newest row of the table gone.
    gone_numbers: tuple[int, int] = (1, 0)
    #: Entries of messages that have left, or are nobody's, and of which there are rows.
    gone: list[int] = field(default_factory=list[int])
    #: Rows of leases that are about nobody any more.
    leases: list[int] = field(default_factory=list[int])
    #: Messages whose dedup_ids are remembered for queues that are gone.
    strangers: list[int] = field(default_factory=list[int])


class Rebuilding:
    """Puts the messages of a database into their queues, many at a time."""

    def __init__(
        self,
        found: Found,
        *,
        deliveries: Iterable[DeliveryRow],
        leased: Loading,
        left: Collection[int] = frozenset(),
    ) -> None:
        """Begin with queues that hold nothing.

        Args:
            found: has the queues; takes note of what is there.
            deliveries: what is known of messages.
            leased: the rows of those that were leased together.
            left: the sequence numbers of messages that have left, and may have rows.
        """
        self._found = found
        self._by_number = {queue.number: queue for queue in found.queues}
        #: Rows about messages of which something is known, by their numbers.
        self._deliveries = {row[0]: row for row in deliveries}
        self._leased = leased
        self._left = frozenset(left)
        #: Up to this number, a message may be one that was purged.
        self._purged_seq = max((queue.purged_seq for queue in found.queues), default=0)

    def load(self, rows: Sequence[MessageRow]) -> None:
        """Take in messages, in order."""
        seqs, numbers, sizes = zip(*rows, strict=True)
        self._found.last_number = max(self._found.last_number, seqs[-1])
        by_number, number = self._by_number, numbers[0]
        if not self._are_plain(seqs):
            for row in rows:
                self._load_one(*row)
        elif number in by_number and numbers.count(number) == len(numbers):
            by_number[number].take_in_run(seqs, sizes)
        else:
            for seq, number, size in rows:
                if home := by_number.get(number):
                    home.take_in(seq << SEQ_SHIFT | size)
                else:
                    self._load_one(seq, number, size)

    def _are_plain(self, seqs: Sequence[int]) -> bool:
        """Whether messages wait in line, and nothing else is known of any, as for nearly all."""
        deliveries = self._deliveries
        return (
            seqs[0] > self._purged_seq
            and not (deliveries and not deliveries.keys().isdisjoint(seqs))
            and not (self._left and not self._left.isdisjoint(seqs))
            and self._leased.knows_none(seqs)
        )

    def _load_one(self, seq: int, number: int, size: int) -> None:
        found, row = self._found, self._deliveries.pop(seq, None)
        home = self._by_number.get(number)
        if home is None or seq <= home.purged_seq or seq in self._left:
            found.gone.append(entry(seq, size))
            found.last_queue_number = max(found.last_queue_number, number)
        elif row:
            known = delivery_of(row, size)
            self._leased.take_own(known)
            if known.is_ranked_only:
                home.take_in_ranked(known.entry)
            else:
                home.restore(known)
        elif leased := self._leased.take(seq, size):
            home.restore(leased)
        else:
            home.take_in(entry(seq, size))

    def end(self) -> None:
        """Take note of rows that turned out to be about messages that are gone."""
        self._found.gone += (entry(seq, 0) for seq in self._deliveries)
        self._found.leases = self._leased.left_over()
        self._found.live = sum(queue.message_count for queue in self._found.queues)

    def hold_groups(self, rows: Iterable[tuple[int, str, int, int]]) -> None:
        """Pause and park groups; to be called when all messages are there."""
        for number, group_id, paused_ns, parked_ns in rows:
            if home := self._by_number.get(number):
                home.hold_group(group_id, paused_ns, parked_ns)

    def remember(self, rows: Iterable[tuple[int, int, str, bytes, int]]) -> None:
        """Rebuild what queues remember of dedup_ids."""
        found = self._found
        for number, seq, dedup_id, meta, expires_ns in rows:
            if home := self._by_number.get(number):
                home.dedup.add(Known(seq, dedup_id, meta, expires_ns))
            else:
                found.strangers.append(seq)
                found.last_queue_number = max(found.last_queue_number, number)
