"""The rules of durability: how durable a change is when it is answered."""

from typing import Final

from qmq.descriptions import QueueInfo
from qmq.errors import DurabilityNotReached, InvalidArgument
from qmq.values import Durability, Store

# Every message is asked about, and to look up a member of an enum takes longer than the rest.
_DISK: Final = Store.DISK
_UNKNOWN: Final = Durability.UNKNOWN
_MEMORY: Final = Durability.MEMORY
_FSYNC: Final = Durability.FSYNC


def durability_max(store: Store) -> Durability:
    """Return how durable a store makes a change at most."""
    return _FSYNC if store is _DISK else _MEMORY


def durability_of(number: int) -> Durability:
    """Return the level that has a number.

    Raises:
        InvalidArgument: there is no such level.
    """
    try:
        return Durability(number)
    except ValueError:
        raise InvalidArgument(
            "durability", f"must be MEMORY (1), OS (2) or FSYNC (3), or left out; got {number}"
        ) from None


def durability_reached(info: QueueInfo, asked: int) -> Durability:
    """Return how durable a change to a queue's messages is when it is answered.

    Args:
        info: the queue, whose settings may raise what was asked for.
        asked: a number of `Durability`; UNKNOWN means as durable as the store can.

    Raises:
        DurabilityNotReached: the store cannot make it so durable.
        InvalidArgument: there is no such level.
    """
    most = durability_max(info.store)
    # Nearly all ask for one of these, and no settings raise anything above the most.
    if asked in (_UNKNOWN, most):
        return most
    level = durability_of(asked)
    if level > most:
        raise DurabilityNotReached(info.id, info.store.name, level.name, most.name)
    return max(level, info.settings.durability_min)


def check_durability_min(info: QueueInfo, durability_min: Durability) -> None:
    """Refuse a least durability that a queue's store cannot reach.

    Raises:
        InvalidArgument: it cannot.
    """
    most = durability_max(info.store)
    if durability_min > most:
        raise InvalidArgument(
            "settings.durability_min",
            f"must be at most {most.name}, which is how durable {info.store.name} queues are;"
            f" got {durability_min.name}",
        )
