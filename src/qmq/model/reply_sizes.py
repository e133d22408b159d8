"""What messages that are handed out on lease take in a reply, at most."""

from typing import Final

from qmq.envelope import HANDED_OUT_OVERHEAD_BYTES
from qmq.limits import ATTEMPTS_MAX
from qmq.model.deliveries import HandedOut
from qmq.model.delivery import Delivery
from qmq.model.index import size_of, sizes_of

#: What each attempt takes, its texts apart, at most.
_ATTEMPT_BYTES: Final = 48


def lease_bytes(entry: int, delivery: Delivery | None) -> int:
    """Return what a message takes in a reply that hands it out on lease."""
    history = attempts_bytes(delivery) if delivery and delivery.attempts else 0
    return size_of(entry) + HANDED_OUT_OVERHEAD_BYTES + history


def reply_bytes(handed_out: HandedOut) -> int:
    """Return what all messages that a call has leased take in its reply."""
    histories = sum(attempts_bytes(each) for each in handed_out.deliveries)
    size = sizes_of(handed_out.entries) + len(handed_out) * HANDED_OUT_OVERHEAD_BYTES
    return size + histories


def attempts_bytes(delivery: Delivery) -> int:
    """Return what a message's attempts take in a reply, at most."""
    assert len(delivery.attempts) <= ATTEMPTS_MAX
    return sum(
        _ATTEMPT_BYTES + len(attempt.consumer.encode()) + len(attempt.reason.encode())
        for attempt in delivery.attempts
    )
