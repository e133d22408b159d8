"""What one commit changes in the database: the net effect of all that was handed in.

A row is written or removed once at most, whatever was done to it meanwhile: a message that came
and left again between two commits never reaches the database. So one statement does all of it,
in whichever order PostgreSQL likes, and a batch that is tried again changes nothing twice.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from qmq.model.changes import Changes, Move
from qmq.model.index import seq_of, seqs_of
from qmq.store.rows import DeliveryRow
from qmq.store.together import LeaseRow

#: Bytes of memory that a row takes at least while it waits for the database.
_ROW_BYTES: Final = 500

#: A row of the table message: number, number of the queue, envelope.
MessageRow = tuple[int, int, bytes]

#: What is remembered of a dedup_id: number of the message and of the queue, the id, the
#: message's metadata, and until when.
KnownRow = tuple[int, int, str, bytes, int]


class Moved(NamedTuple):
    """A message that is in the database and goes to another queue."""

    new_seq: int
    queue: int
    #: Put at the end of its envelope.
    suffix: bytes


class Wanted(NamedTuple):
    """An envelope that is to be read."""

    #: The number that its message has in the database.
    seq: int
    #: What is to follow it.
    suffix: bytes = b""


class Batch:
    """What one commit writes and reads, and who waits for it."""

    def __init__(self) -> None:
        #: New messages by number: the number, that of the queue, and the envelope.
        self.inserts: dict[int, MessageRow] = {}
        #: Messages that move, by their numbers in the database.
        self.moves: dict[int, Moved] = {}
        #: Which number in the database those have that moved, by the new ones.
        self._moved_from: dict[int, int] = {}
        #: Messages that leave, by their numbers in the database; what is known of them goes too.
        self.gone: set[int] = set()
        #: Of those that were added together, and leave together, the first and the last of each.
        self.gone_runs: list[tuple[int, int]] = []
        self.deliveries: dict[int, DeliveryRow] = {}
        self.leases: dict[int, LeaseRow] = {}
        self.gone_leases: set[int] = set()
        self.known: dict[int, KnownRow] = {}
        self.forgotten: set[int] = set()
        #: Since when groups are paused and parked, by queue and id; neither if not any more.
        self.groups: dict[tuple[int, str], tuple[int, int]] = {}
        #: Queues that go, and with them what is held of their groups.
        self.without_groups: set[int] = set()
        #: Redrives and schedules by their ids; empty if they go.
        self.redrives: dict[str, str] = {}
        self.schedules: dict[str, str] = {}
        #: Queues as they are now, by their numbers; None if they go.
        self.queues: dict[int, Mapping[str, str | int] | None] = {}
        #: Envelopes to be read, as bytes where they are at hand, and who wants them.
        self.reads: list[tuple[list[bytes | Wanted], asyncio.Future[list[bytes]]]] = []
        #: The envelopes that were read, by the numbers in the database; None before.
        self.found: dict[int, bytes] | None = None
        #: Who waits, and what for: known already, but to be told when it is kept.
        self.waiters: list[tuple[asyncio.Future[Any], Any]] = []
        #: The highest number that a message ever had.
        self.last_number = 0
        self.bytes = 0

    def writes(self) -> bool:
        """Whether there is anything to write."""
        return bool(
            self.inserts
            or self.gone
            or self.gone_runs
            or self.moves
            or self.deliveries
            or self.leases
            or self.gone_leases
            or self.known
            or self.forgotten
            or self.groups
            or self.without_groups
            or self.redrives
            or self.schedules
            or self.queues
        )

    def has_work(self) -> bool:
        """Whether there is anything to write or read, or anybody waits."""
        return bool(self.reads or self.waiters) or self.writes()

    def insert(self, rows: Iterable[MessageRow], size: int) -> None:
        """Keep messages; `size` is that of all envelopes."""
        self.inserts.update([(row[0], row) for row in rows])
        self.bytes += size

    def remove(self, seqs: Sequence[int]) -> None:
        """Forget messages, and what is known of each."""
        if not seqs:
            return
        inserts, deliveries = self.inserts, self.deliveries
        if not any(
            each and not each.keys().isdisjoint(seqs)
            for each in (inserts, deliveries, self._moved_from)
        ):
            first, last = min(seqs), max(seqs)
            if last - first + 1 == len(seqs):
                self.gone_runs.append((first, last))
            else:
                self.gone.update(seqs)
            return
        for seq in seqs:
            if deliveries:
                deliveries.pop(seq, None)
            if seq in inserts:
                del inserts[seq]
            elif self._moved_from and (before := self._moved_from.pop(seq, None)) is not None:
                del self.moves[before]
                self.gone.add(before)
            else:
                self.gone.add(seq)

    def not_in_database(self) -> set[int]:
        """Return the numbers of messages that the database does not know by them."""
        return {*self.inserts, *self._moved_from}

    def wanted(self, entries: Sequence[int]) -> list[bytes | Wanted]:
        """Return what tells the envelopes of messages that are there now."""
        found: list[bytes | Wanted] = []
        for seq in seqs_of(entries):
            if row := self.inserts.get(seq):
                found.append(row[2])
            elif (before := self._moved_from.get(seq)) is not None:
                found.append(Wanted(before, self.moves[before].suffix))
            else:
                found.append(Wanted(seq))
        return found

    def join(self, changes: Changes, size: int) -> None:
        """Add changes, but for leases; `size` is that of the new envelopes."""
        added = ((seq_of(entry), queue, envelope) for entry, queue, envelope in changes.added)
        self.insert(added, size)
        for move in changes.moved:
            self._move(move)
        if changes.removed:
            self.remove(seqs_of(changes.removed))
        for queue, group_id, paused_ns, parked_ns in changes.groups:
            self.groups[queue, group_id] = (paused_ns, parked_ns)
        for queue, known in changes.known:
            self.known[known.seq] = (known.seq, queue, *known[1:])
            self.bytes += _ROW_BYTES
        self.forget(changes.forgotten)
        self.redrives.update(changes.redrives)
        self.schedules.update(changes.schedules)
        self.bytes += sum(len(schedule) for _, schedule in changes.schedules)

    def _move(self, move: Move) -> None:
        old_seq, new_seq = seq_of(move.old_entry), seq_of(move.new_entry)
        # What was known of it is forgotten where it goes.
        self.deliveries.pop(old_seq, None)
        self.bytes += len(move.suffix)
        if row := self.inserts.get(old_seq):
            del self.inserts[old_seq]
            self.inserts[new_seq] = (new_seq, move.queue_number, row[2] + move.suffix)
            return
        in_database, suffix = old_seq, move.suffix
        if (before := self._moved_from.pop(old_seq, None)) is not None:
            in_database, suffix = before, self.moves[before].suffix + suffix
        self.moves[in_database] = Moved(new_seq, move.queue_number, suffix)
        self._moved_from[new_seq] = in_database

    def keep_leases(self, together: Sequence[LeaseRow], deliveries: Sequence[DeliveryRow]) -> None:
        """Keep what was learned of messages."""
        for row in together:
            self.leases[row[0]] = row
            self.bytes += _ROW_BYTES + len(row[-1])
        self.deliveries.update((row[0], row) for row in deliveries)
        self.bytes += _ROW_BYTES * len(deliveries)

    def forget_leases(self, keys: Iterable[int]) -> None:
        """Remove rows about messages that were leased together."""
        self.gone_leases.update(key for key in keys if self.leases.pop(key, None) is None)

    def forget(self, seqs: Iterable[int]) -> None:
        """Forget dedup_ids."""
        self.forgotten.update(seq for seq in seqs if self.known.pop(seq, None) is None)

    def forget_groups(self, queue: int) -> None:
        """Forget which groups are held of a queue that goes."""
        for key in [key for key in self.groups if key[0] == queue]:
            del self.groups[key]
        self.without_groups.add(queue)

    def save_queue(self, number: int, columns: Mapping[str, str | int]) -> None:
        """Keep a queue, or what has changed in it."""
        before = self.queues.get(number, {})
        if before is not None:
            self.queues[number] = {**before, **columns}

    def everyone(self) -> Iterator[asyncio.Future[Any]]:
        """All who wait for the batch."""
        yield from (future for future, _ in self.waiters)
        yield from (future for _, future in self.reads)
