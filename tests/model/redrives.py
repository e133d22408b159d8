"""Redrives of the model, and the queues and dead letters that they are about."""

from collections.abc import Iterable, Sequence
from itertools import count

from qmq.envelope import Sealer, encode_dead_letter, encode_tags
from qmq.model.check import problems_of
from qmq.model.index import seq_of
from qmq.model.redrive import Match, RedriveRequest, Step, advance, begin, match
from qmq.testing import START_NS
from qmq.values import NS_PER_S, Attempt, DeadLetter, DeadLetterReason, Outcome, Tag
from tests.model.queues import queue, queue_id

REJECTED, WORN_OUT = DeadLetterReason.REJECTED, DeadLetterReason.DELIVERY_COUNT_MAX

#: The numbers of queues: where dead letters are, where they came from, and another.
DEAD, JOBS, ELSEWHERE = 1, 2, 3

A1, A2, B1 = Tag("a", "1"), Tag("a", "2"), Tag("b", "")

ID = "668ad8a2-036c-4556-b9e5-be492c190019"

#: Where numbers of moved messages begin.
NEW = 10_000


def attempt(fence: int, reason: str = "") -> Attempt:
    """Return an attempt that failed."""
    return Attempt(fence, "worker", START_NS, START_NS + fence, Outcome.FAILED, reason)


def added(payload: bytes = b"x", tags: Iterable[Tag] = ()) -> bytes:
    """Return the envelope of a message as it was added."""
    return Sealer().seal(ID.encode(), START_NS, encode_tags(tags), payload)


def letter(  # noqa: PLR0913 - All that a dead letter can be.
    payload: bytes = b"x",
    *,
    tags: Iterable[Tag] = (),
    reason: DeadLetterReason = REJECTED,
    text: str = "",
    source: int = JOBS,
    attempts: int = 1,
) -> bytes:
    """Return the envelope of a dead letter."""
    dead = DeadLetter(reason, text, queue_id(source), START_NS, attempts)
    history = [attempt(fence) for fence in range(1, attempts + 1)]
    return added(payload, tags) + encode_dead_letter(dead, history, 100_000)


def wanting(  # noqa: PLR0913 - What a request can say.
    *,
    target: int | None = None,
    tags: tuple[Tag, ...] = (),
    reasons: tuple[DeadLetterReason, ...] = (),
    text: str = "",
    messages_max: int = 0,
    failed_again_max: float = 0.5,
    dry_run: bool = False,
) -> RedriveRequest:
    """Ask for dead letters of the queue DEAD."""
    return RedriveRequest(
        queue_id=queue_id(DEAD),
        target_queue_id="" if target is None else queue_id(target),
        tags=tags,
        reasons=reasons,
        text=text,
        messages_max=messages_max,
        failed_again_max=failed_again_max,
        dry_run=dry_run,
    )


class World:
    """The queues DEAD and JOBS, a redrive, and what the messages are."""

    def __init__(
        self, letters: Sequence[bytes], request: RedriveRequest, *, limit: int = -1
    ) -> None:
        self.envelopes = dict(enumerate(letters, 1))
        self.dead = queue(DEAD)
        #: Those of the dead letters, in order.
        self.entries = self.dead.add_batch(1, [len(envelope) for envelope in letters])
        self.jobs = queue(JOBS, limit=limit)
        self.queues = {each.info.id: each for each in (self.dead, self.jobs)}
        self.numbers = count(NEW)
        self.redrive = begin(
            "id", request, self.dead, now_ns=START_NS, steady_ns=START_NS, seq=1_000
        )

    def look(self) -> list[tuple[int, Match | None]]:
        """Look at all that there is to look at."""
        return [
            (each, match(self.redrive.request, self.envelopes[seq_of(each)]))
            for each in self.dead.ready.between(self.redrive.first_seq, self.redrive.last_seq)
        ]

    def step(
        self, looked: list[tuple[int, Match | None]] | None = None, moved_max: int = 100
    ) -> Step:
        """Go one step on."""
        step = advance(
            self.redrive,
            self.look() if looked is None else looked,
            self.dead,
            moved_max=moved_max,
            find=self.queues.get,
            new_seq=lambda: next(self.numbers),
            now_ns=START_NS + NS_PER_S,
        )
        self.redrive = step.redrive
        assert [*problems_of(self.dead), *problems_of(self.jobs)] == []
        return step

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """How far it is: total, seen, matched, moved."""
        redrive = self.redrive
        return redrive.total, redrive.seen, redrive.matched, redrive.moved
