"""The invariants of a queue between two commands, and which of them are broken."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from qmq.limits import ATTEMPTS_MAX, DEDUP_IDS_MAX
from qmq.model.check_lines import is_outside, problems_of_lines
from qmq.model.delivery import READY, Delivery, State
from qmq.model.index import seq_of, size_of
from qmq.model.leases import Leases
from qmq.model.queue import Queue
from qmq.values import Outcome


def problems_of(queue: Queue) -> list[str]:
    """Return what is wrong with a queue, a sentence each: nothing, unless q has a bug.

    Every message is looked at, and nothing is changed.
    """
    line = list(queue.ready)
    return [
        *_problems_of_line(queue, line),
        *_problems_of_places(queue, line),
        *_problems_of_counts(queue.leases),
        *problems_of_lines(queue),
        *_problems_of_moments(queue),
        *_problems_of_memory(queue),
        *(each for known in queue.leases.by_seq.values() for each in _problems_of_history(known)),
    ]


def _problems_of_line(queue: Queue, line: Sequence[int]) -> Iterator[str]:
    """The line is in order, and its length, size and head are what is told of them."""
    ready = queue.ready
    keys = [ready.key(entry) for entry in line]
    for (before, key), (after, next_key) in pairwise(zip(line, keys, strict=True)):
        if key >= next_key:
            yield f"message {seq_of(before)} stands in the line before message {seq_of(after)}"
    if len(ready) != len(line):
        yield f"{len(ready)} messages count as ready, and {len(line)} are in the line"
    if ready.bytes != (size := sum(map(size_of, line))):
        yield f"the ready messages count as {ready.bytes} bytes, and take {size}"
    head, following = line[0] if line else None, ready.head()
    if head != following:
        yield f"the line begins with {_name(head)}, and {_name(following)} is to be handed out next"


def _problems_of_places(queue: Queue, line: Sequence[int]) -> Iterator[str]:
    """Each message is in one place, and only in that."""
    by_seq, fresh, places = queue.leases.by_seq, set(queue.ready.fresh), set(line)
    for seq, delivery in by_seq.items():
        if (named := seq_of(delivery.entry)) != seq:
            yield f"message {named} is known as message {seq}"
        elif delivery.seq != seq:
            yield f"message {seq} takes itself for message {delivery.seq}"
        else:
            yield from _problems_of_place(queue, delivery, is_there=delivery.entry in places)
        if delivery.entry in fresh:
            yield f"message {seq} stands in the line as if it had never been handed out"
    known = {delivery.entry for delivery in by_seq.values()}
    for entry in sorted(places - fresh - known):
        yield f"message {seq_of(entry)} has come back, and nothing is known of its deliveries"
    for seq in sorted({*map(seq_of, line), *by_seq}):
        if seq <= queue.purged_seq:
            yield f"message {seq} was purged, and is still there"


def _problems_of_place(queue: Queue, delivery: Delivery, *, is_there: bool) -> Iterator[str]:
    seq, belongs = delivery.seq, delivery.state in READY and not is_outside(queue, delivery)
    if belongs and not is_there:
        yield f"message {seq} is {delivery.state.name}, and not in the line"
    elif is_there and delivery.state not in READY:
        yield f"message {seq} is {delivery.state.name}, and in the line as well"
    elif is_there and not belongs:
        yield f"message {seq} stands in the line, and belongs elsewhere"


def _problems_of_counts(leases: Leases) -> Iterator[str]:
    """Messages on lease, kept back, and held by each consumer are as many as is told."""
    states = Counter(delivery.state for delivery in leases.by_seq.values())
    if leases.leased != states[State.LEASED]:
        yield f"{leases.leased} messages count as leased, and {states[State.LEASED]} are"
    if leases.delayed != states[State.DELAYED]:
        yield f"{leases.delayed} messages count as delayed, and {states[State.DELAYED]} are"
    size = sum(size_of(each.entry) for each in leases.by_seq.values() if each.state not in READY)
    if leases.bytes != size:
        yield f"the leased and delayed messages count as {leases.bytes} bytes, and take {size}"
    held_by = Counter(
        delivery.consumer for delivery in leases.by_seq.values() if delivery.state is State.LEASED
    )
    for consumer in sorted(held_by.keys() | leases.held_by.keys()):
        told, held = leases.held_by.get(consumer), held_by[consumer]
        # Who holds none is not to be there at all.
        if told != (held or None):
            yield f"consumer {consumer!r} counts as holding {told} messages, and holds {held}"


def _problems_of_moments(queue: Queue) -> Iterator[str]:
    """Each message will be looked at when something of it ends, or before that."""
    leases, ttl_ns = queue.leases, queue.info.settings.ttl_ns
    if leases.ttl_ns != ttl_ns:
        yield f"messages expire after {leases.ttl_ns}, and the queue says after {ttl_ns}"
    first_ns: dict[int, int] = {}
    for moment_ns, seq in leases.moments():
        first_ns[seq] = min(moment_ns, first_ns.get(seq, moment_ns))
    if leases.next_moment_ns() != (next_ns := min(first_ns.values(), default=None)):
        yield f"time is to pass at {leases.next_moment_ns()}, and is due at {next_ns}"
    yield from _problems_of_lots(leases, first_ns)
    for delivery in leases.by_seq.apart():
        seq, until_ns = delivery.seq, _until_ns(delivery, ttl_ns)
        reminded_ns = first_ns.get(seq)
        if until_ns is not None and (reminded_ns is None or reminded_ns > until_ns):
            yield (
                f"message {seq} is {delivery.state.name} until {until_ns}, and is looked"
                f" at when it is {reminded_ns}"
            )
        if delivery.expires_ns and not leases.may_expire:
            yield f"message {seq} expires, and none is said to do so"
    if ttl_ns and (oldest := next(queue.ready.fresh, None)) is not None:
        oldest_ns, next_ns = seq_of(oldest) + ttl_ns, queue.next_moment_ns()
        if next_ns is None or next_ns > oldest_ns:
            yield f"messages expire at {oldest_ns}, and are looked at when it is {next_ns}"


def _problems_of_lots(leases: Leases, first_ns: Mapping[int, int]) -> Iterator[str]:
    """Each lot will be looked at when its leases end, and is there as long as one of them is."""
    for lot in leases.by_seq.lots:
        reminded_ns = first_ns.get(lot.first_seq)
        if reminded_ns is None or reminded_ns > lot.until_ns:
            yield f"{lot} is leased until {lot.until_ns}, and is looked at when it is {reminded_ns}"
        if not lot:
            yield f"nothing is left of {lot}, and it is still there"


def _until_ns(delivery: Delivery, ttl_ns: int) -> int | None:
    """Return when something of a message ends by itself; None if nothing does."""
    if delivery.state is State.LEASED:
        return delivery.until_ns
    ends = [delivery.expires_ns] if delivery.expires_ns else []
    ends += [delivery.seq + ttl_ns] if ttl_ns else []
    ends += [delivery.until_ns] if delivery.state is State.DELAYED else []
    return min(ends, default=None)


def _problems_of_memory(queue: Queue) -> Iterator[str]:
    """The dedup_ids that are remembered are those of messages in order, and not too many."""
    if len(queue.dedup) > DEDUP_IDS_MAX:
        yield f"{len(queue.dedup)} dedup_ids are remembered, more than {DEDUP_IDS_MAX}"
    for before, after in pairwise(queue.dedup):
        if before.seq >= after.seq:
            yield f"the dedup_id of message {before.seq} came before that of message {after.seq}"


def _problems_of_history(delivery: Delivery) -> Iterator[str]:
    """What is known of a message's deliveries goes together with the state that it is in."""
    seq, fence, count, attempts = delivery.seq, delivery.fence, delivery.count, delivery.attempts
    if not 0 <= count <= fence:
        yield f"message {seq} counts as delivered {count} times, and was handed out {fence} times"
    if len(attempts) > ATTEMPTS_MAX:
        yield f"message {seq} has {len(attempts)} attempts, more than {ATTEMPTS_MAX}"
    fences = [0, *(attempt.fence for attempt in attempts)]
    for before, after in pairwise(fences):
        if before >= after:
            yield f"message {seq} has an attempt {after} after an attempt {before}"
    is_leased = delivery.state is State.LEASED
    if fences[-1] > fence:
        yield f"message {seq} has an attempt {fences[-1]}, and was handed out {fence} times"
    elif is_leased and not fences[-1] < fence:
        yield f"message {seq} is on lease, and that lease, {fence}, has ended"
    elif not is_leased and fences[-1] != fence:
        yield f"message {seq} is not on lease, and how its lease {fence} ended is not known"
    if delivery.state is State.EXPIRED and (
        not attempts or attempts[-1].outcome is not Outcome.EXPIRED
    ):
        yield f"message {seq} is EXPIRED, and its last lease has not expired"


def _name(entry: int | None) -> str:
    return "nothing" if entry is None else f"message {seq_of(entry)}"
