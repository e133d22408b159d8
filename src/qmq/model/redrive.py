"""The rules of redrives: dead letters go back to where they came from, or elsewhere."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any, Final, NamedTuple

from qmq.descriptions import QueueInfo
from qmq.envelope import as_added, attempts_in, dead_letter_of, tags_of
from qmq.errors import InvalidArgument, StoresDiffer
from qmq.limits import REASON_BYTES_MAX
from qmq.model.changes import Changes
from qmq.model.index import seq_of
from qmq.model.moving import Moves, refusal_of
from qmq.model.queue import Queue
from qmq.values import Attempt, DeadLetter, DeadLetterReason, Store, Tag

#: From so many moved messages on, the share of those that failed again says something.
FAILED_AGAIN_LOOKED_AT_FROM: Final = 20

#: A redrive that moves messages at a given rate moves so many a second at least.
MESSAGES_PER_SECOND_MIN: Final = 0.001


class RedriveState(IntEnum):
    """How a redrive is doing; the numbers are those of the wire."""

    RUNNING = 1
    #: It has looked at all there was, or moved as many as it was to.
    DONE = 2
    #: Somebody stopped it.
    STOPPED = 3
    #: It stopped by itself.
    GAVE_UP = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RedriveRequest:
    """What a redrive is to do."""

    #: The UUID of the queue whose dead letters are moved.
    queue_id: str
    #: The UUID of the queue that they go to; empty for the one that each came from.
    target_queue_id: str = ""
    #: Only those that have all of these.
    tags: tuple[Tag, ...] = ()
    #: Only those with one of these; all if there are none.
    reasons: tuple[DeadLetterReason, ...] = ()
    #: Only those whose text contains this.
    text: str = ""
    #: Only those that have been there for so long when it starts, at least and at most.
    age_min_ns: int = 0
    age_max_ns: int | None = None
    #: Count, and move nothing.
    dry_run: bool = False
    #: 0 for as many as possible.
    messages_per_second: float = 0.0
    #: 0 for all.
    messages_max: int = 0
    #: The share of what was moved that may fail again, 0 to 1; 1 is no bound.
    failed_again_max: float = 0.5
    #: Where whoever has asked for it may have them go back to, by UUIDs; None for anywhere.
    sources: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrive:
    """A redrive, and how far it is."""

    #: A UUID.
    id: str
    request: RedriveRequest
    #: Where its queues live, and what is known of itself.
    store: Store
    #: Which of a cluster's databases that is, as in `QueueInfo`.
    shard: int = 0
    #: Nanoseconds since the Unix epoch, as is `ended_ns`.
    started_ns: int
    #: The sequence numbers that it has yet to look at, the last one included.
    first_seq: int
    last_seq: int
    #: How many messages it will look at, as far as is known, and has looked at.
    total: int
    seen: int = 0
    #: How many of these it was asked for. Unless it is a dry run, all of them were moved but
    #: those that stayed, since the queue that they came from is gone.
    matched: int = 0
    moved: int = 0
    stayed: int = 0
    #: How many of those that were moved are dead letters again.
    failed_again: int = 0
    state: RedriveState = RedriveState.RUNNING
    #: 0 while it is running.
    ended_ns: int = 0
    #: What stands in its way, or has made it give up; or empty.
    obstacle: str = ""
    #: The UUID of a queue that messages came from and that is gone; or empty.
    gone_queue_id: str = ""

    @property
    def home(self) -> tuple[Store, int]:
        """Where its queues live, as `QueueInfo.home` has it."""
        return self.store, self.shard

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self.state is RedriveState.RUNNING

    @property
    def message(self) -> str:
        """What people should know of it; empty if all is well."""
        if self.obstacle or not self.stayed:
            return self.obstacle
        return (
            f"{self.stayed} of the messages that matched stay where they are, since queue"
            f" {self.gone_queue_id}, which they came from, is gone; a redrive with a"
            " target_queue_id moves them"
        )


class Match(NamedTuple):
    """A message that a redrive was asked for."""

    #: The UUID of the queue that it is to go to.
    target_id: str
    #: What it is to be there.
    envelope: bytes
    #: How it was handed out before it became a dead letter.
    attempts: Sequence[Attempt]


class Step(NamedTuple):
    """What a step of a redrive has done."""

    redrive: Redrive
    #: What the step has changed about messages.
    changes: Changes
    #: The queues that messages have come to.
    targets: Sequence[Queue]


def check_request(request: RedriveRequest) -> None:
    """Refuse what no redrive could do.

    Raises:
        InvalidArgument: a number or text is out of range.
    """
    if len(request.text.encode()) > REASON_BYTES_MAX:
        raise InvalidArgument("text", f"is longer than any: those have {REASON_BYTES_MAX} bytes")
    if request.age_max_ns is not None and request.age_min_ns > request.age_max_ns:
        raise InvalidArgument("age_min", "must not be more than age_max")
    rate = request.messages_per_second
    if rate and not MESSAGES_PER_SECOND_MIN <= rate < math.inf:
        raise InvalidArgument(
            "messages_per_second",
            f"must be 0 (as many as possible), or {MESSAGES_PER_SECOND_MIN} or more; got {rate}",
        )
    if request.messages_max < 0:
        raise InvalidArgument(
            "messages_max", f"must be 0 (all) or more; got {request.messages_max}"
        )
    if not 0 <= request.failed_again_max <= 1:
        raise InvalidArgument("failed_again_max", f"must be 0 to 1; got {request.failed_again_max}")


def check_target(source: QueueInfo, target: QueueInfo) -> None:
    """Refuse a queue that messages of another could not go to.

    Raises:
        InvalidArgument: it is the same one.
        StoresDiffer: it lives in another store.
    """
    if target.id == source.id:
        raise InvalidArgument("target_queue_id", f"queue {source.id} is where the messages are")
    if target.store is not source.store:
        raise StoresDiffer(
            f"queue {source.id} lives in {source.store.name} and queue {target.id} in"
            f" {target.store.name}: a redrive moves messages within one store, so that none is"
            " ever lost or doubled on its way"
        )
    if target.shard != source.shard:
        raise StoresDiffer(
            f"queue {source.id} and queue {target.id} live on different shards of the cluster: a"
            " redrive moves messages within one, so that none is ever lost or doubled on its way;"
            " make a target on the same one, by the tag shard"
        )


def begin(  # noqa: PLR0913 - Two clocks, each by name.
    id_: str, request: RedriveRequest, source: Queue, *, now_ns: int, steady_ns: int, seq: int
) -> Redrive:
    """Start a redrive.

    Args:
        id_: its UUID.
        request: what it is to do.
        source: the queue whose dead letters it moves.
        now_ns: the moment by the clock that people set.
        steady_ns: the moment by the clock that numbers messages.
        seq: a sequence number that is higher than that of any message, and lower than those
            of all that will come.
    """
    # The sequence number of a message is the moment at which it came.
    first = 0 if request.age_max_ns is None else max(0, steady_ns - request.age_max_ns)
    last = min(seq, max(0, steady_ns - request.age_min_ns)) if request.age_min_ns else seq
    return Redrive(
        id=id_,
        request=request,
        store=source.info.store,
        shard=source.info.shard,
        started_ns=now_ns,
        first_seq=first,
        last_seq=last,
        total=source.ready.count_between(first, last),
    )


def match(request: RedriveRequest, envelope: bytes) -> Match | None:
    """Return a message as it would be moved, or None if it was not asked for.

    A message that is no dead letter came from nowhere. So it is moved only if the request names a
    target, and asks for nothing that only dead letters have.
    """
    found = dead_letter_of(envelope)
    if found is None:
        if request.reasons or request.text or not request.target_queue_id:
            return None
    elif not _is_wanted(request, found[0]):
        return None
    if request.tags and not set(request.tags) <= set(tags_of(envelope)):
        return None
    if request.dry_run:
        return Match(request.target_queue_id or _source_of(found), b"", ())
    if request.target_queue_id:
        attempts = attempts_in(envelope, found[1]) if found else ()
        return Match(request.target_queue_id, as_added(envelope), attempts)
    assert found
    dead, at = found
    # In the queue that it came from it may have been a dead letter as well.
    return Match(dead.source_queue_id, envelope[:at], attempts_in(envelope, at))


def _is_wanted(request: RedriveRequest, dead: DeadLetter) -> bool:
    if request.reasons and dead.reason not in request.reasons:
        return False
    return request.text in dead.text


def _source_of(found: tuple[DeadLetter, int] | None) -> str:
    return found[0].source_queue_id if found else ""


def advance(  # noqa: PLR0913 - What was looked at, where it is and goes, how far, and when.
    redrive: Redrive,
    looked: Sequence[tuple[int, Match | None]],
    source: Queue,
    *,
    moved_max: int,
    find: Callable[[str], Queue | None],
    new_seq: Callable[[], int],
    now_ns: int,
) -> Step:
    """Move the messages that a redrive was asked for, of those that it has looked at.

    Args:
        redrive: one that is running.
        looked: entries of the index, in order, each with what is to be moved. Those that are
            not ready any more are somebody else's.
        source: the queue that they are in.
        moved_max: how many to move at most.
        find: returns the queue that has a UUID, if any.
        new_seq: returns the sequence number of the next message that is moved.
        now_ns: the moment.
    """
    request = redrive.request
    if request.target_queue_id and find(request.target_queue_id) is None:
        reason = f"queue {request.target_queue_id}, which messages were to go to, is gone"
        return Step(end(redrive, RedriveState.GAVE_UP, now_ns, reason), Changes(), ())
    moves = Moves(source, new_seq, redrive_id=redrive.id)
    ready = _still_ready(source, [entry for entry, _ in looked])
    seen = stayed = wanted = 0
    first_seq, gone_queue_id, obstacle = redrive.first_seq, redrive.gone_queue_id, ""
    wanted_max = min(moved_max, _left(redrive))
    for entry, found in looked:
        if found and entry in ready:
            target = find(found.target_id)
            if target is None:
                stayed += 1
                gone_queue_id = found.target_id
            elif request.dry_run:
                wanted += 1
            elif refusal := refusal_of(target, len(found.envelope)):
                obstacle = refusal.message
                break
            else:
                wanted += 1
                moves.add(entry, found.envelope, found.attempts, target)
        seen += 1
        first_seq = seq_of(entry) + 1
        if wanted == wanted_max:
            break
    moves.finish()
    progress = replace(
        redrive,
        first_seq=first_seq,
        total=max(redrive.total, redrive.seen + seen),
        seen=redrive.seen + seen,
        matched=redrive.matched + wanted + stayed,
        moved=redrive.moved + moves.count,
        stayed=redrive.stayed + stayed,
        gone_queue_id=gone_queue_id,
        obstacle=obstacle,
    )
    return Step(_settle(progress, source, now_ns), moves.changes, moves.targets)


def _still_ready(source: Queue, entries: Sequence[int]) -> set[int]:
    """Return those of some messages, in order, that can be handed out; and maybe others."""
    if not entries:
        return set()
    return set(source.ready.between(seq_of(entries[0]), seq_of(entries[-1])))


def count_failed_again(redrive: Redrive, now_ns: int) -> Redrive:
    """Count a moved message that has become a dead letter again."""
    counted = replace(redrive, failed_again=redrive.failed_again + 1)
    return _give_up_if_in_vain(counted, now_ns) if counted.is_running else counted


def end(redrive: Redrive, state: RedriveState, now_ns: int, obstacle: str = "") -> Redrive:
    """End a redrive.

    Args:
        redrive: one that is running.
        state: how it ends.
        now_ns: the moment.
        obstacle: what made it give up.
    """
    return replace(redrive, state=state, ended_ns=now_ns, obstacle=obstacle)


def _settle(redrive: Redrive, source: Queue, now_ns: int) -> Redrive:
    """End a redrive that has no more to do, or whose work is in vain."""
    if not _left(redrive) or not source.ready.between(redrive.first_seq, redrive.last_seq, 1):
        return end(redrive, RedriveState.DONE, now_ns)
    return _give_up_if_in_vain(redrive, now_ns)


def _give_up_if_in_vain(redrive: Redrive, now_ns: int) -> Redrive:
    failed, moved, most = redrive.failed_again, redrive.moved, redrive.request.failed_again_max
    if moved < FAILED_AGAIN_LOOKED_AT_FROM or most == 1 or not failed or failed < most * moved:
        return redrive
    reason = f"{failed} of {moved} moved messages are dead letters again: failed_again_max is"
    return end(redrive, RedriveState.GAVE_UP, now_ns, f"{reason} {most:g}")


def _left(redrive: Redrive) -> float:
    """Return how many more messages a redrive may move or, if it is a dry run, count."""
    most = redrive.request.messages_max
    return most - (redrive.matched - redrive.stayed) if most else math.inf


def text_of(redrive: Redrive) -> str:
    """Write a redrive down, for a store to keep."""
    known = asdict(redrive)
    if not redrive.shard:
        # So that those who know of no shards can read it.
        del known["shard"]
    if redrive.request.sources is None:
        # Likewise.
        del known["request"]["sources"]
    return json.dumps(known, ensure_ascii=False)


def redrive_of(text: str) -> Redrive:
    """Read what `text_of` has written."""
    known: dict[str, Any] = json.loads(text)
    request: dict[str, Any] = known.pop("request")
    tags = tuple(Tag(**tag) for tag in request.pop("tags"))
    reasons = tuple(map(DeadLetterReason, request.pop("reasons")))
    sources = request.pop("sources", None)
    if sources is not None:
        sources = tuple(sources)
    return Redrive(
        request=RedriveRequest(tags=tags, reasons=reasons, sources=sources, **request),
        store=Store(known.pop("store")),
        state=RedriveState(known.pop("state")),
        **known,
    )
