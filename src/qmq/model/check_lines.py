"""What holds of the groups and fair_keys of a queue between any two commands."""

from collections import defaultdict
from collections.abc import Iterator

from qmq.model.delivery import READY, Delivery, State
from qmq.model.fair_keys import FairKey
from qmq.model.index import size_of
from qmq.model.queue import Queue
from qmq.model.standing import Standing, entry_of


def is_outside(queue: Queue, delivery: Delivery) -> bool:
    """Whether a message is ready, and not in the line of those without a fair_key."""
    if delivery.state not in READY:
        return False
    return bool(delivery.fair_key) or (
        bool(delivery.group_id) and _head_of(queue, delivery.group_id) is not delivery
    )


def problems_of_lines(queue: Queue) -> Iterator[str]:
    """Tell what does not hold, a sentence each."""
    by_seq, lines = queue.leases.by_seq, queue.lines
    if not lines.is_active:
        if any(each.group_id or each.fair_key for each in by_seq.values()):
            yield "there are groups or fair_keys, and they are not looked at"
        return
    yield from _problems_of_groups(queue)
    yield from _problems_of_keys(queue)
    outside = [each for each in by_seq.values() if is_outside(queue, each)]
    if lines.outside != len(outside):
        yield f"{lines.outside} messages count as outside of the line, and {len(outside)} are"
    if lines.bytes != (size := sum(size_of(each.entry) for each in outside)):
        yield f"those outside of the line count as {lines.bytes} bytes, and take {size}"


def _head_of(queue: Queue, group_id: str) -> Delivery | None:
    """Return the message of a group that is to stand in a line."""
    group = queue.lines.groups.get(group_id)
    members = [each for each in queue.leases.by_seq.values() if each.group_id == group_id]
    if group is None or group.is_held or any(each.state is State.LEASED for each in members):
        return None
    first = min(members, key=lambda each: each.seq, default=None)
    return first if first and first.state in READY else None


def _problems_of_groups(queue: Queue) -> Iterator[str]:
    groups = queue.lines.groups
    members: dict[str, list[Delivery]] = defaultdict(list)
    for delivery in queue.leases.by_seq.values():
        if delivery.group_id:
            members[delivery.group_id].append(delivery)
    blocked = 0
    for group in groups.all():
        leased = sum(each.state is State.LEASED for each in members[group.id])
        ready = sum(each.state in READY for each in members[group.id])
        waiting = len(members[group.id]) - leased
        if (group.leased, group.count) != (leased, waiting):
            yield f"{group} has {waiting} messages that wait, and {leased} on lease"
        if group.standing is not (head := _head_of(queue, group.id)):
            yield f"{group.standing} stands for {group}, and {head} should"
        if not members[group.id] and (group.parked_ns or not group.paused_ns):
            yield f"{group} is empty, and still there"
        blocked += ready - (group.standing is not None)
    if missing := members.keys() - {group.id for group in groups.all()}:
        yield f"nothing is known of the groups {sorted(missing)}"
    held = [sum(bool(each.paused_ns) for each in groups.all())]
    held.append(sum(bool(each.parked_ns) for each in groups.all()))
    if [groups.paused, groups.parked] != held:
        yield f"{groups.paused} and {groups.parked} groups count as paused and parked, not {held}"
    if groups.blocked != blocked:
        yield f"{groups.blocked} messages count as blocked, and {blocked} are"


def _problems_of_keys(queue: Queue) -> Iterator[str]:
    keys = queue.lines.keys
    known = {key.name: key for key in keys.all()}
    members: dict[str, list[Delivery]] = defaultdict(list)
    for delivery in queue.leases.by_seq.values():
        members[delivery.fair_key].append(delivery)
    used = {name for name, each in members.items() if name and each}
    if keys.used != len(used):
        yield f"{keys.used} fair_keys count as used, and {len(used)} are"
    if missing := used - known.keys():
        yield f"nothing is known of the fair_keys {sorted(missing)}"
    for name, key in known.items():
        yield from _problems_of_key(queue, key, members[name])
    if keys.available != (available := sum(key.count for key in known.values())):
        yield f"{keys.available} messages count as free, and {available} are"


def _problems_of_key(queue: Queue, key: FairKey, members: list[Delivery]) -> Iterator[str]:
    leased = sum(each.state is State.LEASED for each in members)
    if key.leased != leased:
        yield f"{key} has {leased} messages on lease"
    if key.count > len(key.line) or key.turn.is_waiting is not (key.count > 0):
        yield f"{key} may hand out {key.count}, and waits for its turn: {key.turn.is_waiting}"
    if not isinstance(key.line, Standing):
        return
    if key.waiting != (waiting := len(members) - leased):
        yield f"{key} has {waiting} messages that wait"
    standing = {
        each.entry
        for each in members
        if each.state in READY and (not each.group_id or _head_of(queue, each.group_id) is each)
    }
    if set(map(entry_of, key.line)) != standing:
        yield f"the line of {key} does not hold {len(standing)} messages that it should"
