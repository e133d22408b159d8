"""What a queue knows of a message besides its place: one object each.

That is of messages that were handed out on lease, and of those that were added with options other
than a priority.
"""

import re
import struct
from binascii import hexlify
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final

from qmq.errors import InvalidArgument
from qmq.limits import ATTEMPTS_MAX
from qmq.model.index import priority_of, seq_of
from qmq.values import Attempt, Outcome, utc

_LEASE_ID: Final = re.compile(r"[0-9a-f]{16}-[0-9a-f]{8}", re.ASCII)
_LEASE_ID_CHARS: Final = 25
#: The end of the name of each message's first lease.
FIRST_LEASE: Final = b"-00000001"
_FIRST_LEASE_AND_COMMA: Final = FIRST_LEASE.decode() + ","
_SEQ_CHARS: Final = 16
#: Sequence number and fence.
_PACKED: Final = struct.Struct(">QI")


class State(IntEnum):
    """Where a message is that something is known of; the numbers are kept on disk."""

    #: Ready to be handed out, mostly once more.
    RETURNED = 0
    #: On lease.
    LEASED = 1
    #: Kept back until a moment.
    DELAYED = 2
    #: Ready again since its lease ran out: who had that may still ack.
    EXPIRED = 3


#: To look up a member of an enum takes as long as a fifth of all that is noted of a message.
_RETURNED: Final = State.RETURNED

#: The states of messages that can be handed out, as far as they themselves go.
READY: Final = (State.RETURNED, State.EXPIRED)


class Delivery:
    """How a message has been handed out so far, and how it is to be.

    Kept until the message leaves the queue; from its beginning if it was added with options other
    than a priority, and from its first lease otherwise.
    """

    __slots__ = (
        "attempts",
        "consumer",
        "count",
        "entry",
        "expires_ns",
        "fair_key",
        "fence",
        "group_id",
        "leased_ns",
        "redrive_id",
        "seq",
        "state",
        "until_ns",
    )

    def __init__(self, entry: int, seq: int | None = None) -> None:
        """Begin with nothing known.

        Args:
            entry: the message, see `index`.
            seq: its sequence number, if somebody has it at hand.
        """
        self.entry = entry
        self.seq = seq_of(entry) if seq is None else seq
        #: How often it was handed out: the number of its latest lease among all on it.
        self.fence = 0
        #: How often it was delivered, for `delivery_count_max`: releases do not count.
        self.count = 0
        self.state = _RETURNED
        #: When the lease or the delay ends; nanoseconds since the Unix epoch.
        self.until_ns = 0
        #: When the latest lease began.
        self.leased_ns = 0
        #: Who has, or had, the latest lease.
        self.consumer = ""
        #: How earlier leases ended, oldest first.
        self.attempts: tuple[Attempt, ...] = ()
        #: The redrive that has brought it here, if one has.
        self.redrive_id = ""
        #: Until when it is of use, by its own ttl; 0 is for ever.
        self.expires_ns = 0
        #: Empty if it has none.
        self.group_id = ""
        self.fair_key = ""

    def __repr__(self) -> str:
        """Name the latest lease and say where the message is."""
        return f"<Delivery {self.lease_id} {self.state.name} count={self.count}>"

    @property
    def priority(self) -> int:
        """The higher, the sooner it is handed out."""
        return priority_of(self.entry)

    @property
    def lease_id(self) -> str:
        """The name of the latest lease."""
        return lease_id_of(self.seq, self.fence)

    @property
    def is_ranked_only(self) -> bool:
        """Whether nothing is known of it but its priority, which its entry tells."""
        return bool(self.priority) and not (
            self.fence
            or self.state is not _RETURNED
            or self.expires_ns
            or self.group_id
            or self.fair_key
            or self.redrive_id
        )

    def end(self, outcome: Outcome, ended_ns: int, reason: str = "") -> None:
        """Write down how the latest lease has ended."""
        attempt = Attempt(self.fence, self.consumer, self.leased_ns, ended_ns, outcome, reason)
        self.attempts = (*self.attempts[1 - ATTEMPTS_MAX :], attempt)

    def history_of(self, fence: int) -> str:
        """Say how a lease ended, and where the message is now."""
        for attempt in self.attempts:
            if attempt.fence == fence:
                ended = f"{_ENDED[attempt.outcome]} {utc(attempt.ended_ns)}"
                break
        else:
            ended = "ended long ago"
        return f"{ended}; its message is {self.whereabouts()}"

    def whereabouts(self) -> str:
        """Say where the message is, for people to read."""
        if self.state is State.LEASED:
            holder = f" to {self.consumer!r}" if self.consumer else " again"
            return f"leased{holder} until {utc(self.until_ns)} now"
        if self.state is State.DELAYED:
            return f"kept back until {utc(self.until_ns)} now"
        return "ready to be handed out again"


_ENDED: Final = {
    Outcome.RELEASED: "was released at",
    Outcome.FAILED: "was given back at",
    Outcome.REJECTED: "was rejected at",
    Outcome.EXPIRED: "expired at",
}


def lease_id_of(seq: int, fence: int) -> str:
    """Return the name of a lease: no other one that its store has kept ever has the same.

    A later one on the same message is greater as text.
    """
    # A number as bytes as hexadecimal is written in half the time of a format.
    return (seq << 32 | fence).to_bytes(12, "big").hex("-", -8)


def lease_ids_of(seqs: Iterable[int], fences: Iterable[int]) -> list[bytes]:
    """Return the names of leases on several messages, as they stand in a reply."""
    return [
        hexlify((seq << 32 | fence).to_bytes(12, "big"), "-", -8)
        for seq, fence in zip(seqs, fences, strict=True)
    ]


def lease_id_starts(seqs: Sequence[int]) -> list[bytes]:
    """Return what the names of leases on several messages begin with."""
    return hexlify(struct.pack(f">{len(seqs)}Q", *seqs), ",", 8).split(b",")


def parse_lease_id(text: str) -> tuple[int, int]:
    """Return the sequence number and the fence in the name of a lease.

    Raises:
        InvalidArgument: it is none.
    """
    if not _LEASE_ID.fullmatch(text):
        raise InvalidArgument("lease_ids", f"{text[:80]!r} is no lease_id as Lease hands them out")
    number = int(text.replace("-", "", 1), 16)
    return number >> 32, number & 0xFFFFFFFF


def parse_first_lease_ids(texts: Sequence[str]) -> list[int] | None:
    """Return the sequence numbers in the names of leases, if all are the first on their messages.

    That takes a third of the time again. None if one of them is another one, or none.
    """
    count = len(texts)
    joined = ",".join(texts) + ","
    # Each comma follows a name of the right length, and the right end.
    if not (
        joined.count(_FIRST_LEASE_AND_COMMA) == joined.count(",") == count
        and joined[_LEASE_ID_CHARS :: _LEASE_ID_CHARS + 1] == "," * count
        and joined == joined.lower()
    ):
        return None
    try:
        packed = bytes.fromhex(joined.replace(_FIRST_LEASE_AND_COMMA, ""))
    except ValueError:
        return None
    # It is shorter if there were spaces.
    is_whole = len(packed) * 2 == count * _SEQ_CHARS
    return list(struct.unpack(f">{count}Q", packed)) if is_whole else None


def parse_lease_ids(texts: Sequence[str]) -> list[tuple[int, int]] | None:
    """Do the same for several at once, in a third of the time; None if one of them is none."""
    count = len(texts)
    joined = "".join(texts)
    if (
        set(map(len, texts)) != {_LEASE_ID_CHARS}
        or joined[_SEQ_CHARS::_LEASE_ID_CHARS] != "-" * count
        or joined != joined.lower()
    ):
        return None
    try:
        packed = bytes.fromhex(joined.replace("-", ""))
    except ValueError:
        return None
    # It is shorter if there were further hyphens, or spaces.
    return list(_PACKED.iter_unpack(packed)) if len(packed) == count * _PACKED.size else None
