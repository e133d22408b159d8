"""Rules about how much a queue holds, and what becomes of what has no room."""

from collections.abc import Iterator

from qmq.values import UNBOUNDED
from tests.world.evidence import Evidence, Message
from tests.world.history import NEVER, Op

_ADDS = frozenset({"add", "add_batch"})


def limits_hold(evidence: Evidence) -> Iterator[str]:
    """A queue never holds more messages than its limit."""
    for kind in evidence.kinds.values():
        # Of dead letters nobody knows whether they have come back already.
        if kind.limit == UNBOUNDED or kind.dead_letters:
            continue
        messages = [each for each in evidence.of_queue(kind.name) if each.there_from < NEVER]
        for op in _adds(evidence, kind.name):
            if not op.is_ok:
                continue
            there = sum(each.there_from <= op.end < each.there_until for each in messages)
            if there > kind.limit:
                yield f"{kind.name} held {there} messages after #{op.number}"


def refused_only_when_full(evidence: Evidence) -> Iterator[str]:
    """Who is told that there is no room would have made too many."""
    for kind in evidence.kinds.values():
        for op in _adds(evidence, kind.name):
            if op.why != "QueueFull" or kind.is_scheduled:
                continue
            if not _may_be_full(evidence, op, kind.limit):
                yield f"#{op.number} was refused, and {kind.name} can not have been full"


def may_have_made_room(evidence: Evidence, message: Message) -> bool:
    """Whether a message may have left its queue to make room for others."""
    kind = message.queue
    return kind.drops and any(
        op.may_have_happened
        and op.end > message.there_from
        and _may_be_full(evidence, op, kind.limit)
        for op in _adds(evidence, kind.name)
    )


def room_is_made_if_need_be(evidence: Evidence) -> Iterator[str]:
    """What is missing where the oldest make room has as many behind it as there may be."""
    for kind in evidence.kinds.values():
        # Elsewhere messages that are kept back or on lease stay, whenever they came.
        if not kind.drops or not kind.in_order or kind.has_options or kind.is_scheduled:
            continue
        for op in evidence.history.ops:
            if op.queue != kind.name or not op.is_all or op.state or op.group_id or op.fair_key:
                continue
            shown = {each.id for each in op.shown}
            for message in evidence.of_queue(kind.name):
                if message.id in shown or not _should_be_there(evidence, message, op):
                    continue
                if (newer := _most_behind(evidence, message, op)) < kind.limit:
                    yield (
                        f"{message.payload} was not in {kind.name} for #{op.number}, with {newer}"
                        " messages behind it at most"
                    )


def _should_be_there(evidence: Evidence, message: Message, op: Op) -> bool:
    """Whether a message was in its queue during a call, unless it has made room for others."""
    if not message.there_from < op.begin or message.gone_from < op.end:
        return False
    if not any(fact.end < op.begin and evidence.lost_at(fact) > op.end for fact in message.added):
        return False
    return not any(
        each.verb in {"pop", "pop_batch"}
        and not each.is_ok
        and each.may_have_happened
        and each.begin < op.end
        and message.queue.name in evidence.queues_of(each)
        for each in evidence.history.ops
    )


def _most_behind(evidence: Evidence, message: Message, op: Op) -> int:
    """Return how many messages may have come after one and before a call has ended, at most."""
    begins = [each.begin for each in message.attempts]
    known = sum(
        each is not message and not each.there_from < min(begins)
        for each in evidence.of_queue(op.queue)
        if any(attempt.begin < op.end for attempt in each.attempts)
    )
    return known + _most_unheard_of(evidence, op)


def _adds(evidence: Evidence, queue: str) -> Iterator[Op]:
    return (op for op in evidence.history.ops if op.verb in _ADDS and op.queue == queue)


def _may_be_full(evidence: Evidence, op: Op, limit: int) -> bool:
    """Whether a queue may have had no room for what an Add was to add."""
    return limit != UNBOUNDED and most_there(evidence, op) + len(op.messages) > limit


def most_there(evidence: Evidence, op: Op) -> int:
    """Return how many messages there may have been in a queue during a call, at most."""
    known = sum(
        not any(
            fact.end < op.begin and evidence.lost_at(fact) > op.begin for fact in message.removed
        )
        for message in evidence.of_queue(op.queue)
        if any(each.begin < op.end for each in message.attempts)
    )
    return known + _most_unheard_of(evidence, op)


def _most_unheard_of(evidence: Evidence, op: Op) -> int:
    """Return how many messages may have been added to a queue without an answer."""
    return sum(
        len(each.messages)
        for each in evidence.history.ops
        if each is not op
        and each.begin < op.end
        and not each.is_ok
        and each.may_have_happened
        and (each.target or each.queue) == op.queue
    )


def counts_are_near(evidence: Evidence) -> Iterator[str]:
    """A queue counts what is there, at least, and no more than what may be."""
    for op in evidence.history.ops:
        if op.verb != "stats" or not op.is_ok or op.begin > evidence.history.drained_from:
            continue
        kind = evidence.kinds[op.queue]
        # Those of others have come from somewhere else, or by themselves.
        if kind.is_scheduled or kind.dead_letters or kind.name == "dead":
            continue
        least = sum(
            each.there_from < op.begin and op.end < each.there_until
            for each in evidence.of_queue(kind.name)
        )
        most = most_there(evidence, op)
        if not least <= op.count <= most:
            yield f"#{op.number} counted {op.count} in {kind.name}, and not {least} to {most}"
