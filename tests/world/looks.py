"""Rules about what is shown, and stays where it is."""

from collections.abc import Iterator
from itertools import pairwise

from tests.world.evidence import Evidence, Message, Sight
from tests.world.history import Op


def all_is_shown(evidence: Evidence) -> Iterator[str]:
    """Who browses sees all that is there."""
    for op in evidence.history.ops:
        if op.verb != "browse" or not op.is_all or op.state:
            continue
        shown = {each.id for each in op.shown}
        kind = evidence.kinds[op.queue]
        # A dead letter may be away and come back.
        for message in () if kind.dead_letters else evidence.of_queue(op.queue):
            is_there = message.there_from < op.begin and op.end < message.there_until
            if is_there and _fits(op, message) and message.id not in shown:
                yield f"{message.payload} was in {op.queue}, and #{op.number} did not show it"


def only_what_is_asked_for_is_shown(evidence: Evidence) -> Iterator[str]:
    """Who asks for some of the messages sees no others, and each once."""
    for op in evidence.history.ops:
        if len({each.id for each in op.shown}) < len(op.shown):
            yield f"#{op.number} has shown a message twice"
        for shown in op.shown:
            message = evidence.messages[shown.id]
            if op.verb == "browse" and (
                op.state not in {"", shown.state} or not _fits(op, message)
            ):
                yield f"#{op.number} has shown {message.payload}"


def _fits(op: Op, message: Message) -> bool:
    asked = message.asked
    return op.group_id in {"", asked.group_id} and op.fair_key in {"", asked.fair_key}


def shown_as_they_came(evidence: Evidence) -> Iterator[str]:
    """Who browses sees messages in the order in which they came."""
    for op in evidence.history.ops:
        if op.verb != "browse" or evidence.kinds[op.queue].dead_letters or op.queue == "dead":
            continue
        for first, second in pairwise(evidence.messages[each.id] for each in op.shown):
            if _came_before(second, first):
                yield f"#{op.number} has shown {first.payload} before {second.payload}"


def _came_before(first: Message, second: Message) -> bool:
    """Whether one message was added before another one for sure."""
    if first.maker and first.maker is second.maker:
        ids = [each.id for each in first.maker.told]
        return ids.index(first.id) < ids.index(second.id)
    begins = [second.maker.begin] if second.maker else [op.begin for op in second.attempts]
    return first.there_from < min(begins, default=-1.0)


def states_are_right(evidence: Evidence) -> Iterator[str]:
    """What somebody has on lease for sure is shown as leased."""
    for message in evidence.messages.values():
        for sight in message.sights:
            if sight.shown.state in {"READY", "DELAYED"} and _is_leased(evidence, message, sight):
                yield (
                    f"#{sight.op.number} has shown {message.payload} as {sight.shown.state}, and"
                    " it was on lease"
                )
            if sight.shown.state == "LEASED" and not _may_be_leased(evidence, sight):
                yield f"#{sight.op.number} has shown {message.payload} as leased, and by nobody"


def _is_leased(evidence: Evidence, message: Message, sight: Sight) -> bool:
    op = sight.op
    return any(
        each.queue == op.queue and evidence.holds(each, op.begin, op.end, op.ended_s)
        for each in message.deliveries
    )


def _may_be_leased(evidence: Evidence, sight: Sight) -> bool:
    """Whether anybody has tried to lease messages of a queue before one was shown."""
    return any(
        op.verb in {"lease", "consume"}
        and op.begin < sight.op.end
        and (op.may_have_happened or op.verb == "consume")
        and sight.op.queue in evidence.queues_of(op)
        for op in evidence.history.ops
    )
