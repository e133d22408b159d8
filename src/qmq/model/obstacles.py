"""What keeps a message back that is ready: a sentence for those who ask."""

from qmq.model.delivery import Delivery
from qmq.model.index import seq_of
from qmq.model.queue import Queue
from qmq.values import GroupState, utc


def obstacle_in_line(queue: Queue, delivery: Delivery | None) -> str:
    """Say what keeps a ready message back in its group, or by its fair_key.

    Args:
        queue: where it is.
        delivery: what is known of it, if anything is.

    Returns:
        A sentence; nothing if nothing does but those who are before it.
    """
    if not queue.lines.is_active:
        return ""
    group = queue.lines.groups.get(delivery.group_id) if delivery else None
    if delivery and group and group.standing is not delivery:
        return _of_group(queue, delivery)
    keys = queue.lines.keys
    return keys.obstacle(keys.get(delivery.fair_key) if delivery else keys.without)


def _of_group(queue: Queue, delivery: Delivery) -> str:
    info = queue.lines.groups.info(delivery.group_id)
    name = f"its group {info.id!r}"
    match info.state:
        case GroupState.PAUSED:
            return f"{name} is paused since {utc(info.since_ns)}: ResumeGroup ends that"
        case GroupState.PARKED:
            return (
                f"{name} has parked at {utc(info.since_ns)}, since a message of it has failed too"
                " often: ResumeGroup tries that again, SkipGroup leaves it out"
            )
        case GroupState.LEASED:
            return f"{name} has {info.leased} on lease, and waits for that"
        case GroupState.DELAYED:
            [first] = queue.lines.groups.first(info.id, 1)
            return (
                f"{name} waits for its first message, which came at {utc(seq_of(first.entry))} and"
                f" is kept back until {utc(first.until_ns)}"
            )
    return ""
