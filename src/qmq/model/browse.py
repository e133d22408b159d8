"""A look at the messages of a queue in their order, whatever their state."""

from bisect import bisect_left
from typing import Final, NamedTuple

from qmq.model.delivery import Delivery, State
from qmq.model.index import entry, seq_of
from qmq.model.queue import Queue
from qmq.values import MessageState

_STATES: Final = {
    State.RETURNED: MessageState.READY,
    State.EXPIRED: MessageState.READY,
    State.LEASED: MessageState.LEASED,
    State.DELAYED: MessageState.DELAYED,
}


class Look(NamedTuple):
    """A part of a queue."""

    #: The entries (see `index`) of its messages, in order.
    entries: list[int]
    #: Up to which number they are all there are.
    last_seq: int
    #: Whether there may be more behind that.
    has_more: bool


def look(
    queue: Queue, first_seq: int, last_seq: int, count_max: int, *, with_fresh: bool = True
) -> Look:
    """Look at messages of a queue, in a time that hardly grows with the queue.

    Args:
        queue: the queue.
        first_seq: the lowest sequence number.
        last_seq: the highest sequence number.
        count_max: how many to look at.
        with_fresh: also at those that were never handed out.
    """
    by_seq = queue.leases.by_seq
    ask = count_max + 1
    seqs = queue.leases.seqs_between(first_seq, last_seq, ask)
    fresh = queue.ready.fresh_between(first_seq, last_seq, ask) if with_fresh else []
    entries = sorted(fresh + [by_seq[seq].entry for seq in seqs if seq in by_seq])
    # Where one of the two was cut, more of it may stand between those of the other.
    ends = [seqs[-1]] if len(seqs) == ask else []
    ends += [seq_of(fresh[-1])] if len(fresh) == ask else []
    end = min(ends, default=last_seq)
    del entries[bisect_left(entries, entry(end + 1, 0)) :]
    if len(entries) > count_max:
        del entries[count_max:]
        return Look(entries, seq_of(entries[-1]), has_more=True)
    return Look(entries, end, has_more=bool(ends))


def state_of(delivery: Delivery | None) -> MessageState:
    """Return where a message is, given what is known of it if it was ever on lease."""
    return _STATES[delivery.state] if delivery else MessageState.READY
