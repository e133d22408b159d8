"""What may never be, whatever befalls a server: the judge of histories.

It knows what clients have seen and nothing of what is in a server, and none of its rules is how q
does something. A rule yields a sentence for each thing that is wrong.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations, pairwise, permutations, zip_longest
from typing import Final

from qmq.testing import START_NS
from qmq.values import NS_PER_S, Durability
from tests.world.evidence import Delivery, Evidence, Fact, Message
from tests.world.history import NEVER, Fault, Op, Taken, Told
from tests.world.queues import QueueKind
from tests.world.rooms import may_have_made_room

#: A clock may be looked at by so many seconds before or after it was set.
_CLOCK_LATE_S: Final = 3.0
#: What the clock that nobody sets may be wrong by after a restart: see `ClockOffset`.
_CLOCK_TOLERANCE_NS: Final = NS_PER_S // 20
#: For so long the database's answer may be on its way that tells the time.
_CLOCK_BEHIND_NS: Final = 5 * NS_PER_S

Rule = Callable[[Evidence], Iterator[str]]


def no_phantoms(evidence: Evidence) -> Iterator[str]:
    """What is handed out was added, and as often as somebody tried at most."""
    copies: defaultdict[str, list[Message]] = defaultdict(list)
    for message in evidence.messages.values():
        if not _was_seen_too_early(message):
            copies[message.payload].append(message)
        seen = [(each.op, each.taken.payload) for each in message.deliveries]
        seen += [(each.op, each.shown.payload) for each in message.sights]
        for op, payload in seen:
            if payload != message.payload:
                yield f"{message.payload} has become {payload}"
            if not any(each.begin < op.end for each in message.attempts):
                yield f"{message.payload} was there before anybody added it"
    for payload, found in copies.items():
        if payload in evidence.scheduled:
            continue
        attempts = evidence.attempts[payload]
        most = sum(op.may_have_happened for op in attempts)
        told = {each.id for op in attempts for each in _told(op, payload)}
        made = sum(
            op.is_ok and not any(each.was_known for each in _told(op, payload)) for op in attempts
        )
        # What was answered was made once, and has the id that was told then.
        unknown = most - sum(op.is_ok for op in attempts)
        untold = [each.id for each in found if each.id not in told]
        if len(found) > made + unknown or len(untold) > unknown:
            yield f"{payload} is there {len(found)} times, of which {len(untold)} were never told"


def _was_seen_too_early(message: Message) -> bool:
    """Whether those who did not wait for a commit have seen what a full disk has refused then."""
    is_weak = all(op.level is Durability.MEMORY for op in message.seen_by)
    was_refused = any(op.why == "DiskFull" for op in message.attempts)
    return is_weak and was_refused and message.maker is None


def _told(op: Op, payload: str) -> list[Told]:
    """Return what a call was told of a message that it was to add."""
    told = zip(op.messages, op.told, strict=bool(op.told))
    return [each for asked, each in told if asked.payload == payload]


def nothing_comes_back(evidence: Evidence) -> Iterator[str]:
    """What was popped, acked or purged is neither handed out nor shown, once that is answered."""
    for message in evidence.messages.values():
        for fact in message.removed:
            lost_at = evidence.lost_at(fact)
            for op in message.seen_by:
                if fact.end < op.begin < lost_at and op.end < lost_at:
                    yield (
                        f"{message.payload} was there for #{op.number} after"
                        f" #{fact.op.number} had removed it"
                    )


def removed_once(evidence: Evidence) -> Iterator[str]:
    """Nobody pops what was popped, and of two leases on a message one is acked."""
    for message in evidence.messages.values():
        leases = {
            (fact.op.number, lease_id)
            for fact in message.removed
            for lease_id, why in zip_longest(fact.op.lease_ids, fact.op.refused)
            if not why
            and evidence.lost_at(fact) == NEVER
            and _holds(message, fact.op.queue, lease_id)
        }
        if len({lease_id for _, lease_id in leases}) > 1:
            yield f"{message.payload} was acked by several leases: {sorted(leases)}"
        pops = [
            fact.op.number
            for fact in message.removed
            if fact.op.taken and evidence.lost_at(fact) == NEVER
        ]
        if len(pops) > 1:
            yield f"{message.payload} was popped more often than once: {pops}"


def _holds(message: Message, queue: str, lease_id: str) -> bool:
    return any(
        each.queue == queue and each.taken.lease_id == lease_id for each in message.deliveries
    )


def one_lease_at_a_time(evidence: Evidence) -> Iterator[str]:
    """Nobody gets a message while somebody else has it on lease."""
    for message in evidence.messages.values():
        for first in message.deliveries:
            if not first.taken.lease_id:
                continue
            for second in message.deliveries:
                if second is not first and _overlap(evidence, first, second):
                    yield (
                        f"{message.payload} was handed out by #{second.op.number} while"
                        f" #{first.op.number} had it on lease"
                    )


def _overlap(evidence: Evidence, first: Delivery, second: Delivery) -> bool:
    """Whether a message was handed out a second time while the first one had it for sure."""
    if first.op.begin > second.op.end:
        return False
    begin = second.op.begin
    if first.op.end >= begin:
        is_first = (
            first.queue == second.queue
            and bool(second.taken.lease_id)
            and first.taken.line == second.taken.line
            and first.taken.fence < second.taken.fence
        )
        if not is_first:
            return False
        begin = first.op.end
    return evidence.holds(first, begin, second.op.end, second.op.ended_s)


def fences_grow(evidence: Evidence) -> Iterator[str]:
    """A later lease on a message has a higher number, and no two have the same."""
    for message in evidence.messages.values():
        leased = sorted(
            (each for each in message.deliveries if each.taken.lease_id),
            key=lambda each: each.op.begin,
        )
        for first, second in combinations(leased, 2):
            if first.queue != second.queue or first.taken.line != second.taken.line:
                continue
            if evidence.ends_between(first.op.begin, second.op.end) and (
                min(first.op.level, second.op.level) < Durability.FSYNC
            ):
                continue
            fences = first.taken.fence, second.taken.fence
            is_later = first.op.end < second.op.begin
            if fences[0] == fences[1] or (is_later and fences[0] > fences[1]):
                yield (
                    f"{message.payload} has the fences {fences} by"
                    f" #{first.op.number} and #{second.op.number}"
                )


def not_before_its_delay(evidence: Evidence) -> Iterator[str]:
    """What is kept back is handed out to nobody."""
    for message in evidence.messages.values():
        delay_ns = round(message.asked.delay_s * NS_PER_S)
        makers = [message.maker] if message.maker else message.attempts
        if not delay_ns or not makers:
            continue
        handed_out = min((each.op.end for each in message.deliveries), default=NEVER)
        for delivery in message.deliveries:
            op = delivery.op
            if handed_out < op.begin:
                # It was due once, whatever became of the clock.
                continue
            least_ns = min(evidence.steady_ns(each.began_s, op.ended_s)[0] for each in makers)
            _, most_ns = evidence.steady_ns(op.began_s, op.ended_s)
            if most_ns < least_ns + delay_ns:
                yield f"{message.payload} was handed out by #{op.number} before it was due"


def not_after_its_ttl(evidence: Evidence) -> Iterator[str]:
    """What has expired is handed out to nobody."""
    for message in evidence.messages.values():
        ttl_ns = round(message.asked.ttl_s * NS_PER_S)
        adds = [fact.op for fact in message.added if fact.op.told]
        if not ttl_ns or not adds:
            continue
        for delivery in message.deliveries:
            op = delivery.op
            most_ns = min(evidence.steady_ns(each.began_s, each.ended_s)[1] for each in adds)
            least_ns, _ = evidence.steady_ns(op.began_s, op.ended_s)
            if least_ns > most_ns + ttl_ns:
                yield f"{message.payload} was handed out by #{op.number} after its ttl"


def dedup_ids_are_known(evidence: Evidence) -> Iterator[str]:
    """Within its window a dedup_id stands for one message."""
    found: defaultdict[tuple[str, str], list[Message]] = defaultdict(list)
    for message in evidence.messages.values():
        if message.asked.dedup_id and message.queue.dedup_window_s:
            found[message.queue.name, message.asked.dedup_id].append(message)
    for messages in found.values():
        for first, second in combinations(messages, 2):
            spans = _added_within(evidence, first), _added_within(evidence, second)
            if not spans[0] or not spans[1] or spans[0][0] is spans[1][0]:
                continue
            apart_ns = max(spans[0][2], spans[1][2]) - min(spans[0][1], spans[1][1])
            if apart_ns < first.queue.dedup_window_s * NS_PER_S:
                numbers = " and ".join(f"#{span[0].number}" for span in spans if span)
                yield f"{first.asked.dedup_id} was added by {numbers} in one window"


def _added_within(evidence: Evidence, message: Message) -> tuple[Op, int, int] | None:
    """Return what has added a message, and within which moments; None if nobody knows for sure.

    What had no answer has added it before somebody else has seen it.
    """
    if maker := message.maker:
        if evidence.lost_at(Fact.told(maker, maker.target)) < NEVER:
            return None
        return maker, *evidence.steady_ns(maker.began_s, maker.ended_s)
    unknown = [op for op in message.attempts if op.may_have_happened and not op.is_ok]
    seen = [op for op in message.seen_by if op.level >= Durability.FSYNC]
    if not unknown or not seen or any(op.level < Durability.FSYNC for op in unknown):
        return None
    end_s = min(op.ended_s for op in seen)
    return unknown[0], *evidence.steady_ns(min(op.began_s for op in unknown), end_s)


def order_holds(evidence: Evidence) -> Iterator[str]:
    """What came first goes first: in each group, and in a queue that is only popped."""
    for messages in _lines(evidence):
        for first, second in permutations(messages, 2):
            if not _goes_before(first, second):
                continue
            seen = list(second.deliveries)
            # Who peeks sees what goes next.
            seen += [
                Delivery(each.op, Taken(second.id, second.payload), each.at)
                for each in second.sights
                if each.op.verb == "peek" and second.queue.in_order
            ]
            for delivery in seen:
                if _was_there(evidence, first, delivery):
                    yield (
                        f"{second.payload} was handed out by #{delivery.op.number} before"
                        f" {first.payload}, which was before it in {first.queue.name}"
                    )


def _lines(evidence: Evidence) -> Iterable[list[Message]]:
    """Return the messages that go one after the other: those of a group, or of a fair_key."""
    lines: defaultdict[tuple[str, ...], list[Message]] = defaultdict(list)
    for message in evidence.messages.values():
        asked, queue = message.asked, message.queue
        if asked.group_id:
            lines[queue.name, "group", asked.group_id].append(message)
        elif queue.in_order:
            lines[queue.name, "key", asked.fair_key].append(message)
    return lines.values()


def _goes_before(first: Message, second: Message) -> bool:
    """Whether one message is to be handed out before another one, if both can be."""
    if first.asked.priority != second.asked.priority and not first.asked.group_id:
        return first.asked.priority > second.asked.priority
    makers = first.maker, second.maker
    if makers[0] and makers[0] is makers[1]:
        places = [[each.id for each in makers[0].told].index(each.id) for each in (first, second)]
        return places[0] < places[1]
    end = min((fact.end for fact in first.added), default=NEVER)
    begins = [second.maker.begin] if second.maker else [op.begin for op in second.attempts]
    return end < min(begins, default=-1.0)


def _was_there(evidence: Evidence, message: Message, delivery: Delivery) -> bool:
    """Whether a message was to be had for sure when another one was handed out."""
    op = delivery.op
    if message.id in [taken.id for taken in op.taken]:
        # To both came the same moment, and the answer has them in their order.
        return message.id in [taken.id for taken in op.taken[delivery.at :]]
    if message.asked.ttl_s or not any(fact.end < op.begin for fact in message.added):
        return False
    # Who has seen it later knows that nobody had taken it, if no crash has given it back.
    later = [each.op for each in message.deliveries if each.op.begin > op.end]
    if not later or message.gone_from < op.end:
        return False
    if op.level < Durability.FSYNC and evidence.ends_between(
        op.begin, min(each.end for each in later)
    ):
        return False
    # What is kept back keeps its group back as well.
    if not message.asked.delay_s or message.asked.group_id:
        return True
    makers = [message.maker] if message.maker else message.attempts
    _, added_ns = evidence.steady_ns(min(each.began_s for each in makers), op.began_s)
    now_ns, _ = evidence.steady_ns(op.began_s, op.ended_s)
    return now_ns > added_ns + round(message.asked.delay_s * NS_PER_S)


def nothing_is_lost(evidence: Evidence) -> Iterator[str]:
    """What was added for sure is there in the end, unless something can have removed it.

    A Pop without an answer may have taken as many messages as it has asked for.
    """
    families: defaultdict[frozenset[str], list[str]] = defaultdict(list)
    for message in evidence.messages.values():
        if message.asked.ttl_s or message.removers or may_have_made_room(evidence, message):
            continue
        if any(evidence.lost_at(fact) == NEVER for fact in message.added):
            families[_family(evidence, message.queue.name)].append(message.payload)
    for payload, queue in _rest_of_batches(evidence):
        families[_family(evidence, queue)].append(payload)
    for family, missing in families.items():
        most = evidence.unknown_takers(family)
        if len(missing) > most:
            yield (
                f"{len(missing)} messages are missing in {'/'.join(sorted(family))}, and at most"
                f" {most} can have been popped without anybody's knowing: {' '.join(missing)}"
            )


def _family(evidence: Evidence, queue: str) -> frozenset[str]:
    """Return the queues in which a message of one may be."""
    dead = evidence.kinds[queue].dead_letters
    return frozenset({queue, dead} if dead else {queue})


def _keeps_all(kind: QueueKind) -> bool:
    """Whether nothing leaves a queue but by those who take it."""
    return not (kind.is_doomed or kind.drops or (kind.in_groups and kind.is_paused))


def _rest_of_batches(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Return messages that nobody has taken out, unlike others of their batch; and their queue."""
    seen: dict[str, list[Op]] = defaultdict(list)
    gone: set[str] = set()
    for message in evidence.messages.values():
        seen[message.payload] += [each.op for each in message.deliveries]
        if message.removers:
            gone.add(message.payload)
    for op in evidence.history.ops:
        if op.is_ok or not op.may_have_happened or len(op.messages) < 2:
            continue
        if any(len(evidence.attempts[each.payload]) > 1 for each in op.messages):
            continue
        proofs = [each for asked in op.messages for each in seen.get(asked.payload, ())]
        queue = op.target or op.queue
        facts = [Fact(op, op.begin, proof.end, proof.level, queue) for proof in proofs]
        if not any(evidence.lost_at(fact) == NEVER for fact in facts):
            continue
        kind = evidence.kinds[queue]
        if any(each.ttl_s for each in op.messages) or not _keeps_all(kind):
            continue
        for asked in op.messages:
            if not (asked.payload in gone or seen.get(asked.payload)):
                yield asked.payload, queue


def counts_add_up(evidence: Evidence) -> Iterator[str]:
    """In the end a queue counts as many messages as are taken out of it."""
    taken: defaultdict[str, int] = defaultdict(int)
    counted: dict[str, int] = {}
    for op in evidence.history.ops:
        if op.begin > evidence.history.drained_from:
            taken[op.queue] += len(op.taken)
            if op.verb == "stats" and op.is_ok:
                counted[op.queue] = op.count
    for queue, count in counted.items():
        if count != taken[queue]:
            yield f"{queue} counted {count} messages, and had {taken[queue]}"


def the_steady_clock_goes_on(evidence: Evidence) -> Iterator[str]:
    """A restart goes on with the clock that nobody sets, if that is what could be kept."""
    faults = evidence.history.faults
    boots = [at for at, each in enumerate(faults) if each.verb == "boot"]
    for before, after in pairwise(boots):
        between = faults[before + 1 : after]
        ends = [at for at, each in enumerate(between) if each.verb in {"kill", "power", "stop"}]
        down = sum(each.ns for each in between[ends[0] :] if each.verb == "set") if ends else 0
        running = between[: ends[0]] if ends else between
        kept_s = _kept_until_s(faults[before : after + 1])
        late = [each.ns for each in running if each.verb == "set" and each.at_s > kept_s]
        may_be = {sum(late[at:]) for at in range(len(late) + 1)}
        found = faults[after].ns - faults[before].ns - down
        if min(abs(found - each) for each in may_be) > _CLOCK_TOLERANCE_NS * (1 + len(late)):
            yield (
                f"the clock that nobody sets has jumped by {found / NS_PER_S:g} s at"
                f" {faults[after].at_s:.3f} s"
            )


def the_steady_clock_is_near(evidence: Evidence) -> Iterator[str]:
    """The clock that nobody sets is that of the database, but for the way that this has taken."""
    for fault in evidence.history.faults:
        ahead_ns = fault.ns - START_NS
        if fault.verb == "boot" and not -_CLOCK_BEHIND_NS <= ahead_ns <= NS_PER_S // 1000:
            yield (
                f"the clock that nobody sets is {ahead_ns / NS_PER_S:g} s ahead at"
                f" {fault.at_s:.3f} s"
            )


def _kept_until_s(faults: Sequence[Fault]) -> float:
    """Return until when a server has kept for sure how its clocks were set.

    Args:
        faults: what happened from its start to that of the next one.
    """
    kept_s = since_s = faults[0].at_s
    is_well = True
    for fault in faults[1:]:
        if fault.verb in {"broken", "full", "kill", "power", "stop"}:
            if is_well and fault.at_s - since_s >= _CLOCK_LATE_S:
                kept_s = fault.at_s - _CLOCK_LATE_S
            is_well = False
        elif fault.verb == "room":
            is_well, since_s = True, fault.at_s
    return kept_s
