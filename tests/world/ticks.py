"""Rules about schedules: each tick comes to one thing, and to what is told."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from qmq.values import NS_PER_S, Store
from tests.world.evidence import Evidence, Fact
from tests.world.history import NEVER, Op
from tests.world.queues import SCHEDULES

_MINUTE_NS: Final = 60 * NS_PER_S
#: What is fleeting is made anew each time.
_LASTING: Final = ("beat", "minute")


def ticks_come_once(evidence: Evidence) -> Iterator[str]:
    """As many ticks pass as there are: none early, none twice, and none is forgotten."""
    for first, last in _spans(evidence):
        assert last.ticks
        most, least = _most(evidence, first, last), _least(evidence, first, last)
        if not least <= last.ticks.passed <= most:
            yield (
                f"{last.queue}/{last.name} had {last.ticks.passed} ticks from #{first[0].number} to"
                f" #{last.number}, and not {least} to {most}"
            )


def _spans(evidence: Evidence) -> Iterator[tuple[tuple[Op, Op], Op]]:
    """Return which call may have made a schedule, which has for sure, and who was told of it."""
    for kind in evidence.kinds.values():
        # Those of MEMORY queues begin anew with each server.
        if not kind.is_scheduled or kind.store is Store.MEMORY:
            continue
        for name in _LASTING:
            ops = [
                op
                for op in evidence.history.ops
                if op.queue == kind.name and op.name == name and op.may_have_happened
            ]
            puts = [op for op in ops if op.verb == "put_schedule"]
            for op in ops:
                made = [each for each in puts if each.is_ok and each.end < op.begin]
                if made and op.ticks:
                    yield (puts[0], made[0]), op


def _most(evidence: Evidence, puts: tuple[Op, Op], last: Op) -> int:
    """Return how many ticks there can have been at most."""
    history, begin_s = evidence.history, puts[0].began_s
    sets = [
        each
        for each in history.faults
        if each.verb == "set" and begin_s <= each.at_s <= last.ended_s
    ]
    begin_ns = min(history.wall_ns(begin_s), *(history.wall_ns(each.at_s) for each in sets), NEVER)
    if interval_s := SCHEDULES[last.name]:
        forward_ns = (last.ended_s - begin_s) * NS_PER_S + sum(max(0, each.ns) for each in sets)
        return int(forward_ns / (interval_s * NS_PER_S)) + 1
    # None of an expression comes again when the clock is set back.
    latest_ns = max(
        history.wall_ns(last.ended_s),
        *(history.wall_ns(each.at_s) - min(0, each.ns) for each in sets),
        0,
    )
    return int(latest_ns // _MINUTE_NS - begin_ns // _MINUTE_NS)


def _least(evidence: Evidence, puts: tuple[Op, Op], last: Op) -> int:
    """Return how many ticks there have been at least."""
    history, made = evidence.history, puts[1]
    if is_full(evidence, last) or last.begin < history.settled_from:
        # They are still to come.
        return 0
    sets = [
        each
        for each in history.faults
        if each.verb == "set" and made.began_s <= each.at_s <= last.ended_s
    ]
    back = sum(each.ns < 0 for each in sets)
    if back and evidence.kinds[last.queue].store is Store.CLUSTER:
        # Nobody knows for how long the database was away.
        return 0
    if interval_s := SCHEDULES[last.name]:
        # Whenever the clock is set back, the next tick is an interval from then, or from when
        # somebody looks, which is at the next tick as well, or when it can be written.
        lasts_s = last.began_s - made.ended_s - (_away_s(evidence, made, last) if back else 0.0)
        return int(lasts_s / interval_s) - 2 - 2 * back
    first_ns = max(history.wall_ns(made.ended_s), *(history.wall_ns(e.at_s) for e in sets), 0)
    if back:
        return 0
    return int(history.wall_ns(last.began_s) // _MINUTE_NS - first_ns // _MINUTE_NS)


def _away_s(evidence: Evidence, first: Op, last: Op) -> float:
    """Return for how long nothing could be written between two calls."""
    away_s, since_s = 0.0, NEVER
    for fault in evidence.history.faults:
        if fault.verb in {"boot", "room"}:
            away_s += max(0.0, min(fault.at_s, last.ended_s) - max(since_s, first.began_s))
            since_s = NEVER
        elif fault.verb != "set":
            since_s = min(since_s, fault.at_s)
    return away_s


def is_full(evidence: Evidence, op: Op) -> bool:
    """Whether nothing may have been written during a call, for want of room."""
    faults = [each for each in evidence.history.faults if each.verb in {"boot", "full", "room"}]
    before = [each.verb for each in faults if each.at < op.begin]
    return "full" in before[-1:] or any(
        each.verb == "full" and op.begin < each.at < op.end for each in faults
    )


def ticks_are_told(evidence: Evidence) -> Iterator[str]:
    """What a schedule says that it has added is there, or somebody has it, and no more."""
    for kind in evidence.kinds.values():
        if not kind.is_scheduled or kind.store is Store.MEMORY:
            continue
        for name in _LASTING:
            told = [
                op
                for op in evidence.history.ops
                if op.queue == kind.name and op.name == name and op.ticks and op.flag
            ]
            if not told:
                continue
            ticks = told[-1].ticks
            assert ticks
            seen = sum(
                message.payload in evidence.scheduled and message.payload.startswith(f"{name}.")
                for message in evidence.of_queue(kind.name)
            )
            missing = ticks.added - seen
            if missing < 0 or missing > evidence.unknown_takers({kind.name}):
                yield f"{kind.name}/{name} has added {ticks.added} messages, and there were {seen}"


def gone_with_their_schedule(evidence: Evidence) -> Iterator[str]:
    """A schedule that was deleted adds nothing more."""
    boots = [each for each in evidence.history.faults if each.verb == "boot"]
    if any(after.ns < before.ns for before, after in pairwise(boots)):
        # Numbers of messages are ahead of the clock then.
        return
    for deletion in evidence.history.ops:
        if deletion.verb != "delete_schedule" or not deletion.is_ok:
            continue
        again = min(
            (
                op.begin
                for op in evidence.history.ops
                if op.verb == "put_schedule"
                and (op.queue, op.name) == (deletion.queue, deletion.name)
                and op.may_have_happened
                and op.end > deletion.begin
            ),
            default=NEVER,
        )
        lost_at = min(again, evidence.lost_at(Fact.told(deletion)))
        for message in evidence.of_queue(deletion.queue):
            if message.payload not in evidence.scheduled or not message.payload.startswith(
                f"{deletion.name}."
            ):
                continue
            for delivery in message.deliveries:
                _, deleted_ns = evidence.steady_ns(deletion.began_s, deletion.ended_s)
                came_late = delivery.taken.lease_id and delivery.taken.line > deleted_ns
                if came_late and delivery.op.end < lost_at:
                    yield f"{message.payload} came after #{deletion.number}"
