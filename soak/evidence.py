"""What clients were told while q was killed, and whether a q that keeps its promises can say so."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from history import Delivery, check


@dataclass
class Evidence:
    """What clients were told. Messages are known by their payloads, of which no two are the same.

    Those are `QUEUE/WRITER/NUMBER`. A writer adds its messages in the order of their numbers.
    """

    #: Messages by the queue that they were added to: those whose add was answered, and those whose
    #: add was not, and which may be there.
    added: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    unanswered: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    #: How often an add with a dedup_id was repeated.
    repeats: int = 0
    #: What was leased, of any queue, and the ids of the messages in it.
    deliveries: list[Delivery] = field(default_factory=list)
    ids: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    #: What was popped, and how many messages at most calls without an answer have taken.
    popped: list[str] = field(default_factory=list)
    may_be_popped: int = 0
    #: What was there in the end of a queue that nobody took from, in its order.
    stayed: list[str] = field(default_factory=list)


def faults_of(evidence: Evidence, jobs: str, pops: str, staying: str) -> list[str]:
    """Return what must not be, a sentence each.

    Args:
        evidence: what clients were told.
        jobs: the queue that was leased from; it is empty in the end.
        pops: the one that was popped from; likewise.
        staying: the one that nobody took from.
    """
    leased = [each.message_id for each in evidence.deliveries]
    return [
        *check(evidence.added[jobs], len(evidence.unanswered[jobs]), evidence.deliveries).faults,
        *_made_up(evidence, jobs, leased),
        *(
            f"{key} was added once and is {len(ids)} messages"
            for key, ids in evidence.ids.items()
            if len(ids) > 1
        ),
        *_made_up(evidence, pops, evidence.popped),
        *_doubled(evidence.popped),
        *_lost(evidence.added[pops] - set(evidence.popped), evidence.may_be_popped),
        *_made_up(evidence, staying, evidence.stayed),
        *_doubled(evidence.stayed),
        *_lost(evidence.added[staying] - set(evidence.stayed), 0),
        *_out_of_order(evidence.stayed),
    ]


def _made_up(evidence: Evidence, queue: str, found: Collection[str]) -> list[str]:
    known = evidence.added[queue] | evidence.unanswered[queue]
    return [f"{key} was never added to {queue}" for key in sorted(set(found) - known)]


def _doubled(found: Sequence[str]) -> list[str]:
    return [f"{key} was there {count} times" for key, count in Counter(found).items() if count > 1]


def _lost(missing: set[str], may_be: int) -> list[str]:
    """Tell of messages that are gone, if more are than calls without an answer can have taken."""
    if len(missing) <= may_be:
        return []
    return [f"{len(missing)} are lost, and {may_be} may be, among them {min(missing)}"]


def _out_of_order(found: Sequence[str]) -> list[str]:
    last: dict[str, int] = {}
    faults = []
    for key in found:
        writer, _, number = key.rpartition("/")
        if int(number) < last.get(writer, -1):
            faults.append(f"{key} came after {writer}/{last[writer]}")
        last[writer] = int(number)
    return faults


def spread_of(seconds: Sequence[float]) -> str:
    """Return how long something took: median, 99th of a hundred, and the longest."""
    ordered = sorted(seconds)
    high = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return f"median {statistics.median(ordered):.2f} s, p99 {high:.2f} s, max {ordered[-1]:.2f} s"
