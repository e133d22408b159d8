"""The rules of durability: how durable a change is when it is answered."""

from typing import Final

from qmq.errors import DurabilityNotReached, InvalidArgument
from qmq.model.queue import Queue
from qmq.values import Durability, Store

# Every message is asked about, and to look up a member of an enum takes longer than the rest.
_UNKNOWN: Final = Durability.UNKNOWN


def durability_of(number: int) -> Durability:
    """Return the level that has a number.

    Raises:
        InvalidArgument: there is no such level.
    """
    try:
        return Durability(number)
    except ValueError:
        raise InvalidArgument(
            "durability",
            f"must be MEMORY (1), OS (2), FSYNC (3) or REPLICATED (4), or left out; got {number}",
        ) from None


def durability_reached(queue: Queue, asked: int) -> Durability:
    """Return how durable a change to a queue's messages is when it is answered.

    Args:
        queue: its settings may raise what was asked for.
        asked: a number of `Durability`; UNKNOWN means as durable as the store can.

    Raises:
        DurabilityNotReached: the store cannot make it so durable.
        InvalidArgument: there is no such level.
    """
    most = queue.durability_max
    # Nearly all ask for one of these, and no settings raise anything above the most.
    if asked in (_UNKNOWN, most):
        return most
    level = durability_of(asked)
    if level > most:
        raise DurabilityNotReached(queue.info.id, queue.info.store.name, level.name, most.name)
    return max(level, queue.info.settings.durability_min)


def check_durability_min(store: Store, most: Durability, durability_min: Durability) -> None:
    """Refuse a least durability that a queue's store cannot reach.

    Args:
        store: where the queue lives.
        most: how durable that makes a change at most.
        durability_min: what the queue is to have.

    Raises:
        InvalidArgument: it cannot.
    """
    if durability_min > most:
        raise InvalidArgument(
            "settings.durability_min",
            f"must be at most {most.name}, which is how durable {store.name} queues are;"
            f" got {durability_min.name}",
        )
