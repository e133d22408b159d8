"""What a queue knows of its messages: one object each, or one for all that a call has leased.

Most messages are leased once, with others, and acked. Until more is to be said of any of those,
one object says it of all of them: a lot.
"""

from collections import defaultdict
from collections.abc import (
    Callable,
    Collection,
    ItemsView,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    ValuesView,
)
from heapq import heappush
from typing import Final

from qmq.model.delivery import Delivery, State
from qmq.model.index import seqs_of

#: Where the sequence number ends in an entry of the heap of moments.
SEQ_BITS: Final = 64


class Lot:
    """Messages that one call has leased, all of them for the first time."""

    __slots__ = (
        "_entries",
        "_left",
        "_seqs",
        "consumer",
        "first_seq",
        "leased_ns",
        "on_break_up",
        "until_ns",
    )

    def __init__(
        self,
        seqs: list[int],
        entries: list[int],
        *,
        until_ns: int,
        leased_ns: int,
        consumer: str,
    ) -> None:
        """Begin with at least one message; see `index`."""
        #: The number of its first message, also if that has left. It tells the lot from all others:
        #: no message is ever in two.
        self.first_seq = seqs[0]
        self._seqs = seqs
        self._entries = entries
        #: The entries of those that are still on lease, once some are not; in place of both lists.
        self._left: dict[int, int] | None = None
        self.until_ns = until_ns
        self.leased_ns = leased_ns
        self.consumer = consumer
        #: Called before each message gets an object of its own, by whoever keeps them as one.
        self.on_break_up: Callable[[Lot], None] | None = None

    def __len__(self) -> int:
        """Count the messages that are still on lease."""
        return len(self._seqs if self._left is None else self._left)

    def __repr__(self) -> str:
        """Say how many messages are in it."""
        return f"<Lot {self.first_seq} of {len(self)}>"

    @property
    def seqs(self) -> Collection[int]:
        """The numbers of those that are still on lease."""
        return self._seqs if self._left is None else self._left.keys()

    @property
    def entries(self) -> Collection[int]:
        """Their entries."""
        return self._entries if self._left is None else self._left.values()

    def is_all(self, seqs: Sequence[int]) -> bool:
        """Whether messages are all that it ever had, and still has, in their order."""
        return self._left is None and self._seqs == seqs

    def leave(self, seqs: Sequence[int]) -> list[int]:
        """Let some messages go, each of which it has; return their entries."""
        if self.is_all(seqs):
            self._left = {}
            return self._entries
        if self._left is None:
            self._left = dict(zip(self._seqs, self._entries, strict=True))
            self._seqs, self._entries = [], []
        return list(map(self._left.pop, seqs))

    def deliveries(self) -> Iterator[Delivery]:
        """Go through what it says of each of its messages."""
        for seq, entry in zip(self.seqs, self.entries, strict=True):
            delivery = Delivery(entry, seq)
            delivery.fence = delivery.count = 1
            delivery.state = State.LEASED
            delivery.until_ns = self.until_ns
            delivery.leased_ns = self.leased_ns
            delivery.consumer = self.consumer
            yield delivery


class HandedOut:
    """Messages that one call has just leased."""

    __slots__ = ("deliveries", "entries", "lot", "seqs", "until_ns")

    def __init__(self, entries: list[int], until_ns: int) -> None:
        #: All of them, in order, and their numbers.
        self.entries = entries
        self.seqs = seqs_of(entries)
        #: Those of which nothing was known, if there are several.
        self.lot: Lot | None = None
        #: What is known of the others, in order.
        self.deliveries: list[Delivery] = []
        self.until_ns = until_ns

    def __len__(self) -> int:
        """Count them."""
        return len(self.entries)


class Deliveries(Mapping[int, Delivery]):
    """What is known of messages, by sequence number, in the order in which that came.

    Whoever asks for a message of a lot breaks that up, so that what it gets can be changed. Who
    goes through the values gets a copy of what is in a lot, to look at.
    """

    __slots__ = ("_by_seq", "_lots", "_moments")

    def __init__(self, moments: list[int]) -> None:
        """Begin with nothing.

        Args:
            moments: a heap, where the end of each lease of a lot is put that is broken up.
        """
        self._by_seq: dict[int, Delivery | Lot] = {}
        #: Lots of which some messages are left, by `first_seq`.
        self._lots: dict[int, Lot] = {}
        self._moments = moments

    def __len__(self) -> int:
        """Count the messages that something is known of."""
        return len(self._by_seq)

    def __contains__(self, seq: object) -> bool:
        """Whether anything is known of a message."""
        return seq in self._by_seq

    def __repr__(self) -> str:
        """Tell all of it."""
        return repr(self._by_seq)

    def __iter__(self) -> Iterator[int]:
        """Go through the sequence numbers in the order in which they came."""
        return iter(self._by_seq)

    def __reversed__(self) -> Iterator[int]:
        """Do so backwards."""
        return reversed(self._by_seq)

    def __getitem__(self, seq: int) -> Delivery:
        """Return what is known of a message.

        Raises:
            KeyError: nothing is.
        """
        delivery = self.get(seq)
        if delivery is None:
            raise KeyError(seq)
        return delivery

    def __setitem__(self, seq: int, delivery: Delivery) -> None:
        """Know something of a message that is in no lot."""
        self._by_seq[seq] = delivery

    def __delitem__(self, seq: int) -> None:
        """Know nothing more of a message that is in no lot."""
        del self._by_seq[seq]

    def get(self, seq: int, default: Delivery | None = None) -> Delivery | None:  # type: ignore[override]
        """Return what is known of a message, if anything is."""
        known = self._by_seq.get(seq, default)
        if isinstance(known, Lot):
            self.break_up(known)
            return self.get(seq)
        return known

    def pop(self, seq: int) -> Delivery | None:
        """Know nothing more of a message; return what was known, if anything was."""
        known = self.get(seq)
        self._by_seq.pop(seq, None)
        return known

    def clear(self) -> None:
        """Know nothing more of any message."""
        self._by_seq.clear()
        self._lots.clear()

    def values(self) -> ValuesView[Delivery]:
        """Return what is known of all messages, to look at."""
        return self._as_seen().values()

    def items(self) -> ItemsView[int, Delivery]:
        """Return the same with their sequence numbers."""
        return self._as_seen().items()

    def _as_seen(self) -> dict[int, Delivery]:
        copies = {each.seq: each for lot in self._lots.values() for each in lot.deliveries()}
        return {
            seq: known if isinstance(known, Delivery) else copies[seq]
            for seq, known in self._by_seq.items()
        }

    def apart(self) -> Iterator[Delivery]:
        """Go through what is known of messages that are in no lot."""
        return (known for known in self._by_seq.values() if isinstance(known, Delivery))

    @property
    def lots(self) -> Collection[Lot]:
        """Those of which some messages are left."""
        return self._lots.values()

    def lot(self, first_seq: int) -> Lot | None:
        """Return one, if any of its messages are left."""
        return self._lots.get(first_seq)

    def knows_none(self, seqs: Iterable[int]) -> bool:
        """Whether nothing is known of any of some messages."""
        return self._by_seq.keys().isdisjoint(seqs)

    def add_lot(self, lot: Lot) -> None:
        """Take in messages of which nothing is known yet."""
        self._lots[lot.first_seq] = lot
        self._by_seq.update(dict.fromkeys(lot.seqs, lot))

    def leave_lots(self, seqs: Sequence[int]) -> list[tuple[Lot, list[int]]] | None:
        """Know nothing more of messages, if each of them is in a lot.

        Returns:
            The lots, and the entries of those that have left each. None, and nothing has
            changed, if one of them is in no lot, or is there twice.
        """
        by_seq = self._by_seq
        first = by_seq.get(seqs[0])
        if isinstance(first, Lot) and first.is_all(seqs):
            # As nearly always: who has leased messages acks them.
            parts: dict[Lot, Sequence[int]] = {first: seqs}
        elif not (parts := self._by_lot(seqs)):
            return None
        left = [(lot, lot.leave(some)) for lot, some in parts.items()]
        for lot in parts:
            if not lot:
                del self._lots[lot.first_seq]
        for seq in seqs:
            del by_seq[seq]
        return left

    def _by_lot(self, seqs: Sequence[int]) -> dict[Lot, Sequence[int]]:
        """Divide messages by their lots; nothing if one is in none, or twice there."""
        parts = defaultdict[Lot, list[int]](list)
        for seq, known in zip(seqs, map(self._by_seq.get, seqs), strict=True):
            if not isinstance(known, Lot):
                return {}
            parts[known].append(seq)
        return {**parts} if len(set(seqs)) == len(seqs) else {}

    def break_up(self, lot: Lot) -> None:
        """Let each message of a lot have an object of its own, at the place that it has."""
        if lot.on_break_up:
            lot.on_break_up(lot)
        end = lot.until_ns << SEQ_BITS
        for delivery in lot.deliveries():
            self._by_seq[delivery.seq] = delivery
            heappush(self._moments, end | delivery.seq)
        del self._lots[lot.first_seq]
