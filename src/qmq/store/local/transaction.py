"""A transaction of the journal: what it writes and reads, who waits for it, and its commit."""

import asyncio
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, Final

import apsw

from qmq.errors import DataLoss
from qmq.model.changes import Changes, Move
from qmq.model.index import seq_of, seqs_of, size_of, sizes_of
from qmq.store.local.broken_log import Mark
from qmq.store.local.checksums import is_damage
from qmq.store.local.sweeping import Piece
from qmq.store.rows import DeliveryRow
from qmq.store.sql import load_statements
from qmq.store.together import LeaseRow, packed

#: Write the database's first page anew, also where it says the same already: SQLite syncs no
#: commit that has written no page, and also writes none for a row that stays as it was.
_SAY_SYNCED: Final = f"pragma application_id = {Mark.SYNCED:d}"
_SAY_UNSYNCED: Final = f"pragma application_id = {Mark.UNSYNCED:d}"

_SQL = load_statements("qmq.store.local", "statements.sql")

#: How many messages one statement inserts, largest first, and its text.
_INSERTS: Final = [
    (rows, _SQL["insert_message"] + ", (?, ?, ?)" * (rows - 1)) for rows in (64, 32, 16, 8, 4, 2, 1)
]


class Batch:
    """What one transaction writes and reads, and who waits for it."""

    __slots__ = (
        "bytes",
        "damaged",
        "delivery_saves",
        "forgotten",
        "gone",
        "gone_number",
        "inserts",
        "keeps_gone",
        "known",
        "last_number",
        "lease_inserts",
        "lost",
        "moves",
        "needs_sync",
        "piece",
        "queue_changes",
        "reads",
        "redrives",
        "saves_last_number",
        "schedules",
        "waiters",
    )

    def __init__(self) -> None:
        self.queue_changes: list[tuple[str, Mapping[str, str | int]]] = []
        self.inserts: list[tuple[int, int, bytes]] = []
        #: Entries of messages, and who wants their envelopes.
        self.reads: list[tuple[Sequence[int], asyncio.Future[list[bytes]]]] = []
        self.moves: list[Move] = []
        self.lease_inserts: list[LeaseRow] = []
        self.delivery_saves: list[DeliveryRow] = []
        self.redrives: list[tuple[str, str]] = []
        self.schedules: list[tuple[str, str]] = []
        #: Messages that leave, and numbers that they had before they were moved.
        self.gone: list[int] = []
        #: The key of the row that says so.
        self.gone_number = 0
        #: What left before and is removed now.
        self.piece: Piece | None = None
        self.known: list[tuple[int, int, str, bytes, int]] = []
        self.forgotten: list[int] = []
        #: Who waits, and what for: known already, but to be told when it is durable.
        self.waiters: list[tuple[asyncio.Future[Any], Any]] = []
        #: Whether somebody waits until it, and all before it, is on disk.
        self.needs_sync = False
        #: The highest number that a message ever had; whether it may be that of no row.
        self.last_number = 0
        self.saves_last_number = False
        self.bytes = 0
        #: Messages that are damaged on disk, and who asked for them.
        self.damaged: list[int] = []
        #: Whether rows of what has left cannot be removed, so that it has to be known for longer.
        self.keeps_gone = False
        self.lost: list[tuple[asyncio.Future[Any], DataLoss]] = []

    def has_work(self) -> bool:
        """Whether there is anything to write, read or sync."""
        return bool(self.needs_sync or self.inserts or self.gone or self.reads) or self.writes()

    def writes(self) -> bool:
        """Whether there is anything to write."""
        return bool(
            self.inserts
            or self.gone
            or self.delivery_saves
            or self.lease_inserts
            or self.moves
            or self.queue_changes
            or self.redrives
            or self.schedules
            or self.known
            or self.forgotten
            or self.piece
        )

    def join(self, changes: Changes, size: int) -> None:
        """Add what changes write; what they remove or move leaves besides.

        Args:
            changes: of any queues.
            size: that of the new envelopes, in bytes.
        """
        self.inserts += [
            (seq_of(added), queue_number, envelope)
            for added, queue_number, envelope in changes.added
        ]
        self.bytes += size
        self.moves += changes.moved
        self.redrives += changes.redrives
        for queue_number, group_id, paused_ns, parked_ns in changes.groups:
            statement = "save_group" if paused_ns or parked_ns else "delete_group"
            parameters: dict[str, str | int] = {"queue": queue_number, "group_id": group_id}
            if paused_ns or parked_ns:
                parameters |= {"paused_ns": paused_ns, "parked_ns": parked_ns}
            self.queue_changes.append((_SQL[statement], parameters))
        for schedule in changes.schedules:
            self.schedules.append(schedule)
            self.bytes += len(schedule[1])
        self.known += [
            (known.seq, queue_number, *known[1:]) for queue_number, known in changes.known
        ]
        self.forgotten += changes.forgotten

    def everyone(self) -> Iterable[asyncio.Future[Any]]:
        """All who wait for the batch."""
        yield from (future for future, _ in self.waiters)
        yield from (future for _, future in self.reads)
        yield from (future for future, _ in self.lost)

    def leave_alone(self, damaged: set[int]) -> None:
        """Do nothing about messages that are damaged: their rows stay as they are.

        Who takes several gets the others, and who only looks is told.
        """
        gone, reads = set(self.gone), self.reads
        self.reads = []
        for entries, future in reads:
            bad = [seq for seq in seqs_of(entries) if seq in damaged]
            others = [entry for entry in entries if seq_of(entry) not in damaged]
            if bad and not (others and gone.issuperset(seqs_of(entries))):
                self.lost.append((future, DataLoss(bad)))
            else:
                self.reads.append((others, future))
            gone.difference_update(bad)
            self.damaged += bad
        for move in self.moves:
            if seq_of(move.old_entry) in damaged:
                gone.discard(seq_of(move.old_entry))
        self.moves = [move for move in self.moves if seq_of(move.old_entry) not in damaged]
        self.gone = [seq for seq in self.gone if seq in gone]
        if self.piece and not damaged.isdisjoint(self.piece.messages):
            # As long as their rows are there, that they have left has to be known.
            staying = array("q", (seq for seq in self.piece.messages if seq not in damaged))
            self.piece = self.piece._replace(messages=staying, through=0)
            self.keeps_gone = True


def commit(
    connection: apsw.Connection, batch: Batch, *, is_synced: bool
) -> list[tuple[asyncio.Future[Any], Any]]:
    """Write a batch in one transaction, and return what was asked for, for whom.

    Args:
        connection: syncs the transaction if the batch needs that.
        batch: what to write and read.
        is_synced: whether all before it is on disk already.

    Raises:
        apsw.Error: it is not known what is on disk of it.
    """
    try:
        return _commit(connection, batch, is_synced=is_synced)
    except apsw.Error as error:
        if not is_damage(error):
            raise
        damaged = _damaged(connection, batch)
        if not damaged:
            raise
    # A read that fails has undone the transaction.
    batch.leave_alone(damaged)
    return _commit(connection, batch, is_synced=is_synced)


def _damaged(connection: apsw.Connection, batch: Batch) -> set[int]:
    """Find the messages that a batch is about and that cannot be read, outside of a transaction."""
    coming = {seq for seq, _, _ in batch.inserts}
    coming.update(seq_of(move.new_entry) for move in batch.moves)
    wanted = {seq for entries, _ in batch.reads for seq in seqs_of(entries)}
    wanted.update(seq_of(move.old_entry) for move in batch.moves)
    if batch.piece:
        wanted.update(batch.piece.messages)
    cursor, damaged = connection.cursor(), set[int]()
    for seq in wanted - coming:
        try:
            cursor.execute(_SQL["read_message"], (seq,)).fetchall()
        except apsw.Error as error:
            if not is_damage(error):
                raise
            damaged.add(seq)
    for move in batch.moves:
        if seq_of(move.old_entry) in damaged:
            damaged.add(seq_of(move.new_entry))
    return damaged


def _commit(
    connection: apsw.Connection, batch: Batch, *, is_synced: bool
) -> list[tuple[asyncio.Future[Any], Any]]:
    cursor = connection.cursor()
    cursor.execute("begin immediate")
    try:
        for sql, parameters in batch.queue_changes:
            cursor.execute(sql, parameters)
        if batch.inserts:
            _insert(cursor, batch.inserts)
        # Reads come before what moves or sweeps, since what is read may leave in the batch.
        found = _read_all(cursor, batch)
        if batch.moves:
            cursor.executemany(_SQL["move_message"], map(_move_row, batch.moves))
        if batch.gone:
            cursor.execute(_SQL["insert_gone"], (batch.gone_number, packed(batch.gone)))
        _write_histories(cursor, batch)
        if batch.piece:
            _sweep(cursor, batch.piece)
        if batch.piece or batch.saves_last_number:
            # Without effect as long as the message of that number is there.
            cursor.execute(_SQL["save_last_number"], {"last": batch.last_number})
        _say_if_synced(cursor, batch, is_synced=is_synced)
        cursor.execute("commit")
    except BaseException:
        if connection.in_transaction:
            cursor.execute("rollback")
        raise
    return found


def _say_if_synced(cursor: apsw.Cursor, batch: Batch, *, is_synced: bool) -> None:
    """Say so of a transaction that is not synced, and of the next that is.

    One that only reads writes nothing for that.
    """
    if not batch.needs_sync:
        if batch.writes():
            cursor.execute(_SAY_UNSYNCED)
    elif not is_synced:
        cursor.execute(_SAY_SYNCED)


def _insert(cursor: apsw.Cursor, messages: Sequence[tuple[int, int, bytes]]) -> None:
    """Insert messages, many in one step: see `_delete`."""
    values = list(chain.from_iterable(messages))
    start = 0
    for rows, statement in _INSERTS:
        size = 3 * rows
        while len(values) - start >= size:
            cursor.execute(statement, values[start : start + size])
            start += size


def _move_row(move: Move) -> tuple[int, int, bytes, int]:
    return seq_of(move.new_entry), move.queue_number, move.suffix, seq_of(move.old_entry)


def _write_histories(cursor: apsw.Cursor, batch: Batch) -> None:
    """Write what was learned of messages since they came, redrives and schedules."""
    if batch.lease_inserts:
        cursor.executemany(_SQL["insert_lease"], batch.lease_inserts)
    if batch.delivery_saves:
        cursor.executemany(_SQL["save_delivery"], batch.delivery_saves)
    if batch.known:
        cursor.executemany(_SQL["insert_known"], batch.known)
    _delete(cursor, "delete_known", array("q", batch.forgotten))
    for id_, job in batch.redrives:
        if job:
            cursor.execute(_SQL["save_redrive"], (id_, job))
        else:
            cursor.execute(_SQL["delete_redrive"], (id_,))
    for id_, schedule in batch.schedules:
        if schedule:
            cursor.execute(_SQL["save_schedule"], (id_, schedule))
        else:
            cursor.execute(_SQL["delete_schedule"], (id_,))


def _sweep(cursor: apsw.Cursor, piece: Piece) -> None:
    """Remove rows of what has left.

    A sequence number is never used again, so nothing comes to be known of these after that.
    """
    _delete(cursor, "delete_messages", piece.messages)
    _delete(cursor, "delete_deliveries", piece.messages)
    _delete(cursor, "delete_leases", piece.leases)
    _delete(cursor, "delete_known", piece.known)
    if piece.through:
        cursor.execute(_SQL["delete_gone"], (piece.through,))


def _delete(cursor: apsw.Cursor, statement: str, keys: "array[int]") -> None:
    """Delete rows by their keys, in one step: each lets the event loop's thread in between.

    That takes turns with this one at the interpreter's lock, a hundred times for a hundred
    rows if they were deleted one by one.
    """
    if keys:
        cursor.execute(_SQL[statement], (apsw.carray(keys),))


def _read_all(cursor: apsw.Cursor, batch: Batch) -> list[tuple[asyncio.Future[Any], Any]]:
    """Read the envelopes that somebody asks for, of messages that stay where they are."""
    if not batch.moves:
        return [(reader, _envelopes(cursor, entries)) for entries, reader in batch.reads]
    coming = {seq_of(move.new_entry): move for move in batch.moves}

    def read(seq: int) -> bytes:
        # It may be about to come from another queue, where it may be about to come from yet
        # another one.
        suffixes: list[bytes] = []
        while move := coming.get(seq):
            suffixes.append(move.suffix)
            seq = seq_of(move.old_entry)
        envelope = _envelope(cursor, seq)
        return b"".join((envelope, *reversed(suffixes)))

    return [(reader, list(map(read, seqs_of(entries)))) for entries, reader in batch.reads]


def _envelopes(cursor: apsw.Cursor, entries: Sequence[int]) -> list[bytes]:
    """Return the envelopes of messages that the index knows, read in one step: see `_delete`."""
    if len(entries) > 1:
        ordered = sorted(entries)
        keys = array("q", seqs_of(ordered))
        joined = cursor.execute(_SQL["read_messages"], (apsw.carray(keys),)).get
        if isinstance(joined, bytes) and len(joined) == sizes_of(ordered):
            ends = list(accumulate(map(size_of, ordered)))
            parts = [joined[start:end] for start, end in pairwise((0, *ends))]
            if ordered == entries:
                return parts
            return list(map(dict(zip(ordered, parts, strict=True)).__getitem__, entries))
    # One is missing, or there is only one.
    return [_envelope(cursor, seq) for seq in seqs_of(entries)]


def _envelope(cursor: apsw.Cursor, seq: int) -> bytes:
    """Return the envelope of a message that the index knows."""
    envelope = cursor.execute(_SQL["read_message"], (seq,)).get
    if not isinstance(envelope, bytes):
        message = f"message {seq} is in the index but not in the database"
        raise LookupError(message)  # noqa: TRY004 - There is no row, rather than another type.
    return envelope
