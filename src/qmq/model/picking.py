"""The rules of messages that somebody has picked by their ids, to delete or to move them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from qmq.descriptions import QueueInfo
from qmq.envelope import as_added, attempts_in, dead_letter_of
from qmq.errors import (
    InvalidArgument,
    MessageLeased,
    NoDeadLetter,
    QueueNotFound,
    StoresDiffer,
)
from qmq.model.delivery import State
from qmq.model.index import seq_of
from qmq.model.moving import Moves, refusal_of
from qmq.model.queue import Queue
from qmq.values import Attempt, Outcome


class Picked(NamedTuple):
    """A message that somebody has picked, and that is in its queue now."""

    #: A UUID.
    id: str
    #: Its entry in the index.
    entry: int


class Destination(NamedTuple):
    """Where a message goes, and what it is there."""

    #: The UUID of the queue.
    queue_id: str
    envelope: bytes
    #: How it was handed out before it came where it is.
    attempts: Sequence[Attempt]


def check_target(source: QueueInfo, target: QueueInfo) -> None:
    """Refuse a queue that picked messages of another could not go to.

    Raises:
        InvalidArgument: it is the same one.
        StoresDiffer: it lives in another store, or on another shard.
    """
    if target.id == source.id:
        raise InvalidArgument("target_queue_id", f"queue {source.id} is where the messages are")
    if target.home != source.home:
        raise StoresDiffer(
            f"queue {source.id} lives {_where(source)} and queue {target.id} {_where(target)}:"
            " messages are moved within one store, and one shard of a cluster, so that none is"
            " ever lost or doubled on its way"
        )


def _where(info: QueueInfo) -> str:
    return f"on shard {info.shard}" if info.shard else f"in {info.store.name}"


def check_free(queue: Queue, picked: Picked, *, leased: bool) -> None:
    """Refuse a message that is on lease, unless those are asked for too.

    Raises:
        MessageLeased: it is.
    """
    delivery = queue.leases.by_seq.get(seq_of(picked.entry))
    if delivery and delivery.state is State.LEASED and not leased:
        raise MessageLeased(queue.info.id, picked.id, delivery.whereabouts())


def delete(queue: Queue, picked: Sequence[Picked]) -> list[int]:
    """Take messages out of a queue for good, in whatever state they are.

    Who has one of them on lease can do nothing with it any more.

    Args:
        queue: the queue that they are in.
        picked: each of them once.

    Returns:
        Their entries.
    """
    fresh: list[int] = []
    for each in picked:
        if delivery := queue.leases.by_seq.get(seq_of(each.entry)):
            queue.leases.forget(delivery)
        else:
            fresh.append(each.entry)
    if fresh:
        queue.take_out(sorted(fresh))
    queue.deleted_total += len(picked)
    return [each.entry for each in picked]


def destination_of(picked: Picked, envelope: bytes, target_id: str) -> Destination:
    """Return where a message goes.

    Args:
        picked: the message.
        envelope: what it is now.
        target_id: the UUID of a queue; empty for the one that it came from as a dead letter.

    Raises:
        NoDeadLetter: it is none, so that it came from nowhere.
    """
    found = dead_letter_of(envelope)
    if target_id:
        added = as_added(envelope)
        return Destination(target_id, added, attempts_in(envelope, len(added)))
    if found is None:
        raise NoDeadLetter(picked.id)
    dead, at = found
    # In the queue that it came from it may have been a dead letter as well.
    return Destination(dead.source_queue_id, envelope[:at], attempts_in(envelope, at))


def move(
    moves: Moves,
    picked: Picked,
    destination: Destination,
    *,
    find: Callable[[str], Queue | None],
    now_ns: int,
) -> Queue:
    """Move a message to the end of another queue, in whatever state it is.

    It stays kept back until when it is, and of use for as long. Who has it on lease can do nothing
    with it any more.

    Args:
        moves: what leaves its queue in this step.
        picked: the message.
        destination: where it goes.
        find: returns the queue that has a UUID, if any.
        now_ns: the moment.

    Returns:
        The queue that it is in now.

    Raises:
        QueueNotFound: the queue is gone that it would go to.
        InvalidArgument: it is the one that the message is in.
        StoresDiffer: it lives elsewhere.
        AddsPaused: it takes no messages.
        QueueFull: it has no room.
    """
    source, target = moves.source, find(destination.queue_id)
    if target is None:
        raise QueueNotFound(destination.queue_id)
    check_target(source.info, target.info)
    if refusal := refusal_of(target, len(destination.envelope)):
        raise refusal
    reason = f"moved here from queue {source.info.name or source.info.id}"
    note: Attempt | None = Attempt(0, "", now_ns, now_ns, Outcome.RELEASED, reason)
    delivery = source.leases.by_seq.get(seq_of(picked.entry))
    if delivery and delivery.state is State.LEASED:
        # How that lease has ended says the same.
        delivery.end(Outcome.RELEASED, now_ns, reason)
        note = None
    moves.add(picked.entry, destination.envelope, destination.attempts, target, note)
    source.moved_out_total += 1
    target.moved_in_total += 1
    return target
