"""Leases that began together are one row, until one of them has more to tell.

Most messages are leased once and acked. A row for each would cost two writes more a
message than a row for all that one call has leased, which goes when the last of them does.
A message whose lease is extended, given back or followed by another gets a row of its own,
which counts from then on. One that has such a row already, since it was added with options,
keeps it: the shared one counts as long as its own says that it was never handed out.
"""

import struct
from collections.abc import Collection, Iterable
from typing import Final

from qmq.model.deliveries import HandedOut, Lot
from qmq.model.delivery import Delivery, State
from qmq.model.index import entry

#: A row of the table lease.
LeaseRow = tuple[int, int, int, str, bytes]

#: Fewer that are leased together are as well off with a row each.
_TOGETHER_MIN: Final = 2


class _Lease:
    """A row of the table lease."""

    __slots__ = ("first_seq", "left")

    def __init__(self, first_seq: int, left: int) -> None:
        #: The row's key: a message is in one such row at most, in all its life.
        self.first_seq = first_seq
        #: How many messages it is still about.
        self.left = left


class Together:
    """Which messages are kept by the row of those that were leased with them."""

    def __init__(self) -> None:
        self._lease_of: dict[int, _Lease] = {}

    def __len__(self) -> int:
        """Count the messages of which that is known here."""
        return len(self._lease_of)

    def begin(self, handed_out: HandedOut) -> tuple[list[LeaseRow], list[Delivery]]:
        """Divide messages that one call has leased.

        Returns:
            The rows of those that were never handed out before, if any; and the others, which
            need a row each.
        """
        rows: list[LeaseRow] = []
        if lot := handed_out.lot:
            # It is the queue that knows who belongs to it, until it is broken up.
            lot.on_break_up = self._take_apart
            rows.append(_row(lot.seqs, lot))
        # Those that were added with options.
        first_time = [each for each in handed_out.deliveries if each.fence == 1]
        if len(first_time) < _TOGETHER_MIN:
            return rows, handed_out.deliveries
        seqs = [each.seq for each in first_time]
        self._lease_of.update(dict.fromkeys(seqs, _Lease(seqs[0], len(seqs))))
        rows.append(_row(seqs, first_time[0]))
        return rows, [each for each in handed_out.deliveries if each.fence > 1]

    def _take_apart(self, lot: Lot) -> None:
        """Note of each message that is left of a lot which row it is kept by."""
        self._lease_of.update(dict.fromkeys(lot.seqs, _Lease(lot.first_seq, len(lot))))

    def leave(self, seqs: Iterable[int]) -> list[int]:
        """Take messages out of the rows that they are in, if they are in any.

        Args:
            seqs: messages that have left their queue, or have a row of their own from now on.

        Returns:
            The keys of the rows that are about nobody any more.
        """
        done: list[int] = []
        pop = self._lease_of.pop
        for seq in seqs:
            lease = pop(seq, None)
            if lease is None:
                continue
            if lease.left > 1:
                lease.left -= 1
            else:
                done.append(lease.first_seq)
        return done

    def load(self, rows: Iterable[LeaseRow]) -> "Loading":
        """Begin to take over the rows that a database holds."""
        return Loading(rows, self._lease_of)


class Loading:
    """Taking over the rows of a database, message by message."""

    def __init__(self, rows: Iterable[LeaseRow], lease_of: dict[int, _Lease]) -> None:
        self._lease_of = lease_of
        self._leases: list[_Lease] = []
        #: Messages that the rows may be about.
        self._rows: dict[int, tuple[LeaseRow, _Lease]] = {}
        for row in rows:
            lease = _Lease(row[0], 0)
            self._leases.append(lease)
            self._rows.update(dict.fromkeys(unpacked(row[-1]), (row, lease)))

    def knows_none(self, seqs: Iterable[int]) -> bool:
        """Whether no row is about any of some messages."""
        return not self._rows or self._rows.keys().isdisjoint(seqs)

    def take(self, seq: int, size: int) -> Delivery | None:
        """Return what a row knows of a message that is there and has no row of its own."""
        delivery = Delivery(entry(seq, size))
        return delivery if self._lease(delivery) else None

    def take_own(self, delivery: Delivery) -> None:
        """Add what a row knows of a message that has a row of its own."""
        if delivery.fence == 0:
            self._lease(delivery)

    def _lease(self, delivery: Delivery) -> bool:
        """Put a message on lease, if a row says so."""
        found = self._rows.get(delivery.seq)
        if found is None:
            return False
        (_, until_ns, leased_ns, consumer, _), lease = found
        lease.left += 1
        self._lease_of[delivery.seq] = lease
        delivery.fence = delivery.count = 1
        delivery.state = State.LEASED
        delivery.until_ns = until_ns
        delivery.leased_ns = leased_ns
        delivery.consumer = consumer
        return True

    def left_over(self) -> list[int]:
        """Return the keys of the rows that turned out to be about nobody."""
        return [lease.first_seq for lease in self._leases if not lease.left]


def _row(seqs: Collection[int], one: Lot | Delivery) -> LeaseRow:
    """Return the row of messages, given what is said of one of them, or of all."""
    first_seq = next(iter(seqs))
    return (first_seq, one.until_ns, one.leased_ns, one.consumer, packed(seqs))


def packed(seqs: Collection[int]) -> bytes:
    """Return sequence numbers as a column holds them."""
    return struct.pack(f"<{len(seqs)}Q", *seqs)


def unpacked(column: bytes) -> tuple[int, ...]:
    """Return the sequence numbers of a column."""
    return struct.unpack(f"<{len(column) // 8}Q", column)
