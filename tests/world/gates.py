"""Rules about what holds messages back: pauses, leases at a time, rates, turns, selectors."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tests.world.clients import BATCH
from tests.world.evidence import Delivery, Evidence, Fact, Message
from tests.world.history import NEVER, Op
from tests.world.queues import QueueKind

_ADDS: Final = frozenset({"add", "add_batch", "complete"})


def deliveries_of(evidence: Evidence) -> dict[str, list[Delivery]]:
    """Return all that was handed out, by queue."""
    found: defaultdict[str, list[Delivery]] = defaultdict(list)
    for message in evidence.messages.values():
        for delivery in message.deliveries:
            found[delivery.queue].append(delivery)
    return found


def nothing_while_paused(evidence: Evidence) -> Iterator[str]:
    """Nothing is handed out of a queue or group, or added to it, while it is paused."""
    found = deliveries_of(evidence)
    for pause in evidence.history.ops:
        if pause.verb not in {"pause", "pause_group"} or not pause.is_ok:
            continue
        for delivery in found[pause.queue]:
            group_id = evidence.messages[delivery.taken.id].asked.group_id
            if pause.name in {"", group_id} and _is_paused(evidence, pause, delivery.op):
                yield (
                    f"{delivery.taken.payload} was handed out by #{delivery.op.number} while"
                    f" #{pause.number} had paused it"
                )
        for op in evidence.history.ops if pause.flag else ():
            is_new = not all(each.was_known for each in op.told)
            if (
                op.verb in _ADDS
                and (op.target or op.queue) == pause.queue
                and op.is_ok
                and is_new
                and _is_paused(evidence, pause, op)
            ):
                yield f"#{op.number} has added while #{pause.number} had paused that"


def _is_paused(evidence: Evidence, pause: Op, op: Op) -> bool:
    """Whether a pause was there for sure all along a call."""
    if not pause.end < op.begin or evidence.lost_at(Fact.told(pause)) < op.end:
        return False
    resume = pause.verb.replace("pause", "resume")
    return not any(
        each.end > pause.begin and each.begin < op.end and each.may_have_happened
        for each in evidence.history.ops
        if each.queue == pause.queue
        and each is not pause
        # A further pause may be of less.
        and (each.verb == resume or (each.verb == pause.verb and pause.flag and not each.flag))
        and each.name == pause.name
    )


def refused_only_when_paused(evidence: Evidence) -> Iterator[str]:
    """Who is told that nothing is added is told so because of a pause."""
    for op in evidence.history.ops:
        if op.why == "AddsPaused" and not any(
            each.verb == "pause"
            and each.flag
            and each.queue == (op.target or op.queue)
            and each.may_have_happened
            and each.begin < op.end
            for each in evidence.history.ops
        ):
            yield f"#{op.number} was refused, and nobody has paused {op.queue}"


def no_more_on_lease(evidence: Evidence) -> Iterator[str]:
    """No more messages of a queue, or of a fair_key, are on lease at a time than may be."""
    for queue, deliveries in deliveries_of(evidence).items():
        settings = evidence.kinds[queue].settings
        for leased_max, by_key in (
            (settings.leased_max, False),
            (settings.fairness.leased_max, True),
        ):
            if not leased_max:
                continue
            for delivery in deliveries:
                held = _held_beside(evidence, deliveries, delivery, by_key=by_key)
                if delivery.taken.lease_id and len(held) > leased_max:
                    yield (
                        f"{len(held)} messages of {queue} were on lease by"
                        f" #{delivery.op.number}, and not {leased_max}"
                    )


def _held_beside(
    evidence: Evidence, deliveries: Iterable[Delivery], this: Delivery, *, by_key: bool
) -> set[str]:
    """Return the messages that were on lease for sure when one of them was leased, that included.

    Args:
        evidence: the history.
        deliveries: of the queue.
        this: one of them.
        by_key: count only those of its fair_key.
    """
    op, key = this.op, evidence.messages[this.taken.id].asked.fair_key
    return {
        each.taken.id
        for each in deliveries
        if (not by_key or evidence.messages[each.taken.id].asked.fair_key == key)
        and (each.op is op or evidence.holds(each, op.begin, op.end, op.ended_s))
    }


def rates_hold(evidence: Evidence) -> Iterator[str]:
    """In no time more is handed out than a burst, and what the rate allows in that time."""
    faults = evidence.history.faults
    forgotten = [each.at_s for each in faults if each.verb in {"boot", "full", "kill", "power"}]
    for queue, deliveries in deliveries_of(evidence).items():
        rate = evidence.kinds[queue].settings.rate
        if not rate.messages_per_second:
            continue
        spans = sorted((each.op.began_s, each.op.ended_s) for each in deliveries)
        for at, (begin_s, _) in enumerate(spans):
            end_s = next((each for each in forgotten if each > begin_s), NEVER)
            ends = sorted(each for _, each in spans[at:] if each < end_s)
            for count, until_s in enumerate(ends, 1):
                most = rate.burst_max + rate.messages_per_second * (until_s - begin_s)
                if count > most + 1e-3:
                    yield f"{count} messages of {queue} came from {begin_s:.3f} to {until_s:.3f} s"
                    break


def keys_take_turns(evidence: Evidence) -> Iterator[str]:
    """Who shares a queue gets a turn, however many messages others have there."""
    for queue, deliveries in deliveries_of(evidence).items():
        kind = evidence.kinds[queue]
        # What else holds messages of a key back lets others pass.
        is_plain = not (kind.has_options or kind.in_groups or kind.settings.fairness.leased_max)
        if not kind.in_turns or not is_plain or kind.dead_letters:
            continue
        for message in evidence.of_queue(queue):
            if message.asked.fair_key != "a":
                yield from _passed_over(evidence, kind, deliveries, message)


def _passed_over(
    evidence: Evidence, kind: QueueKind, deliveries: Sequence[Delivery], message: Message
) -> Iterator[str]:
    """Return whether a message had to wait while too many of others were handed out."""
    begin = message.there_from
    end = min((each.op.begin for each in message.deliveries), default=-1.0)
    if not begin < end <= message.there_until or evidence.ends_between(begin, end):
        return
    if any(
        op.verb in {"pop", "pop_batch", "lease", "consume"}
        and not (op.is_ok and op.verb != "consume")
        and op.begin < end
        and op.end > begin
        and kind.name in evidence.queues_of(op)
        for op in evidence.history.ops
    ):
        # Somebody may have had a turn, and nobody knows.
        return
    weights = dict(kind.settings.fairness.weights)
    key = message.asked.fair_key
    own = passing = 0
    for delivery in deliveries:
        other = evidence.messages[delivery.taken.id].asked.fair_key
        own += other == key and delivery.op.end > begin and delivery.op.begin < end
        passing += other == "a" and begin < delivery.op.begin and delivery.op.end < end
    most = (own + 1) * weights.get("a", 1) / weights.get(key, 1) + BATCH + weights.get("a", 1)
    if passing > most:
        yield f"{message.payload} was passed over by {passing} messages of another fair_key"


def selectors_match(evidence: Evidence) -> Iterator[str]:
    """Who takes messages by a selector gets those of queues that it matches."""
    for op in evidence.history.ops:
        for taken in op.taken:
            if op.selector and taken.queue not in evidence.queues_of(op):
                yield f"#{op.number} was handed a message of {taken.queue}"


def credit_holds(evidence: Evidence) -> Iterator[str]:
    """Nobody is handed more on a stream than there is room for."""
    of_streams: defaultdict[int, list[Delivery]] = defaultdict(list)
    for message in evidence.messages.values():
        for delivery in message.deliveries:
            if delivery.op.stream:
                of_streams[delivery.op.stream.number].append(delivery)
    for deliveries in of_streams.values():
        for op in {each.op for each in deliveries}:
            assert op.stream
            held = {
                each.taken.lease_id
                for each in deliveries
                if each.op is op or evidence.holds(each, op.begin, op.end, op.ended_s)
            }
            if len(held) > op.stream.most:
                yield (
                    f"#{op.stream.number} held {len(held)} messages by #{op.number}, and had room"
                    f" for {op.stream.most}"
                )
