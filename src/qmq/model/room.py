"""How much a queue may hold, and so how much of what comes has room."""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple, Self

from qmq.descriptions import QueueInfo
from qmq.errors import QueueFull
from qmq.model.delivery import Delivery
from qmq.model.index import size_of
from qmq.values import UNBOUNDED


class Held(NamedTuple):
    """Messages, and what they take in bytes."""

    messages: int
    bytes: int

    @classmethod
    def of(cls, deliveries: Sequence[Delivery]) -> Self:
        """Count messages."""
        return cls(len(deliveries), sum(size_of(each.entry) for each in deliveries))


def room_within_limits(
    info: QueueInfo, staying: Held, leaving: Held, sizes: Sequence[int]
) -> tuple[int, QueueFull | None]:
    """Return how many of further messages the limits of a queue have room for.

    Args:
        info: the queue, with its limits.
        staying: what does not make room.
        leaving: what leaves first. There is room for as much, also where a limit is lower.
        sizes: what each of the messages takes, in bytes.

    Returns:
        How many of the first ones; and, if that is not all, the limit that is reached.
    """
    room = len(sizes)
    full: QueueFull | None = None
    if (
        info.limit != UNBOUNDED
        and (left := max(info.limit - staying.messages, leaving.messages)) < room
    ):
        room, full = left, QueueFull(info.id, info.limit, staying.messages)
    if bytes_limit := info.settings.bytes_limit:
        left = max(bytes_limit - staying.bytes, leaving.bytes)
        fitting = sum(each <= left for each in accumulate(sizes))
        if fitting < room:
            room, full = fitting, QueueFull.of_bytes(info.id, bytes_limit, staying.bytes)
    return room, full
