"""What q should do, in the simplest way there is: lists, and no thought of speed.

A queue is a list of messages, in order. None ever changes its place: one that is on lease
or kept back is just passed over.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from qmq.errors import (
    AddsPaused,
    InvalidArgument,
    LeaseLost,
    NameTaken,
    NoDeadLetterQueue,
    QError,
    QueueEmpty,
    QueueFull,
    QueueInUse,
    QueueNotFound,
    QueuePaused,
    StoresDiffer,
)
from qmq.limits import ATTEMPTS_MAX
from qmq.testing import ManualClock
from qmq.values import (
    UNBOUNDED,
    Attempt,
    DeadLetter,
    DeadLetterReason,
    MessageState,
    NackKind,
    Outcome,
    Pause,
    QueueInfo,
    QueueSettings,
    Store,
    Tag,
)

READY, LEASED, DELAYED = MessageState.READY, MessageState.LEASED, MessageState.DELAYED

_OUTCOMES = {
    NackKind.RELEASE: Outcome.RELEASED,
    NackKind.FAIL: Outcome.FAILED,
    NackKind.REJECT: Outcome.REJECTED,
}


@dataclass
class NaiveMessage:
    """A message, and what happened to it in the queue that it is in."""

    payload: bytes
    #: What q calls it; 0 as long as that is not known.
    seq: int = 0
    state: MessageState = READY
    #: When its last lease or delay ends, or ended.
    until_ns: int = 0
    leased_ns: int = 0
    consumer: str = ""
    #: How often it was leased, and how often that counts.
    fence: int = 0
    count: int = 0
    attempts: list[Attempt] = field(default_factory=list)
    #: The state that has ended by itself since q last wrote one down, if one has.
    before: MessageState | None = None
    #: What happened to it in queues before.
    dead: DeadLetter | None = None
    dead_attempts: list[Attempt] = field(default_factory=list)

    @property
    def lease_id(self) -> str:
        """The name of its last lease."""
        return f"{self.seq:016x}-{self.fence:08x}"

    @property
    def is_acknowledgeable(self) -> bool:
        """Whether its last lease goes on, or ran out while nobody else has it."""
        return LEASED in (self.state, self.before)

    def stored(self) -> "Shown":
        """Say what who pops it is told."""
        return Shown(
            self.payload, self.dead, [each._replace(fence=0) for each in self.dead_attempts]
        )

    def end(self, outcome: Outcome, ended_ns: int, reason: str = "") -> None:
        """End its lease."""
        attempt = Attempt(self.fence, self.consumer, self.leased_ns, ended_ns, outcome, reason)
        self.attempts.append(attempt)
        self.state, self.before = READY, None


@dataclass
class Shown:
    """What is told of a message."""

    payload: bytes
    dead: DeadLetter | None
    #: Without numbers.
    attempts: list[Attempt]


@dataclass
class NaiveLease:
    """What is told of a message to who leases it."""

    message: NaiveMessage
    fence: int
    until_ns: int
    count: int
    shown: Shown


@dataclass
class NaiveQueue:
    """A queue and the messages in it."""

    info: QueueInfo
    messages: list[NaiveMessage] = field(default_factory=list)

    def counts(self) -> dict[MessageState, int]:
        """Count the messages in each state."""
        return {
            state: sum(each.state is state for each in self.messages)
            for state in (READY, LEASED, DELAYED)
        }

    def holders(self) -> dict[str, int]:
        """Count the messages that each consumer has on lease."""
        names = sorted({each.consumer for each in self.messages if each.state is LEASED})
        return {
            name: sum(each.state is LEASED and each.consumer == name for each in self.messages)
            for name in names
        }

    def ready(self) -> list[NaiveMessage]:
        """Return those that can be handed out, unless the queue is paused."""
        return [each for each in self.messages if each.state is READY]

    def to_be_acked(self) -> list[NaiveMessage]:
        """Return those whose last lease can be acked."""
        return [each for each in self.messages if each.is_acknowledgeable]

    def add_error(self, count: int) -> QError | None:
        """Say why so many messages cannot be added."""
        if self.info.pause and self.info.pause.adds:
            return AddsPaused(self.info.id)
        held, limit = len(self.messages), self.info.limit
        if count and limit != UNBOUNDED and held + count > limit:
            return QueueFull(self.info.id, limit, held)
        return None


@dataclass
class NaiveBroker:
    """All queues, in order of creation; its methods return what q answers, or the error."""

    #: The clock that people set, and the one that nobody sets.
    clock: ManualClock
    timer: ManualClock
    queues: list[NaiveQueue] = field(default_factory=list)
    #: Leases that were acked, with the ids of their queues.
    acked: set[tuple[str, str]] = field(default_factory=set)
    #: When leases and delays were to end.
    moments: set[int] = field(default_factory=set)

    def infos(self) -> list[QueueInfo]:
        """Describe all queues."""
        return [queue.info for queue in self.queues]

    def restart(self, timer: ManualClock) -> None:
        """Lose what was in memory only: what has ended by itself is not written down."""
        self.timer = timer
        self.queues = [queue for queue in self.queues if queue.info.store is Store.DISK]
        self.acked.clear()
        for queue in self.queues:
            for message in queue.messages:
                if message.before is LEASED:
                    message.attempts.pop()
                if message.before is not None:
                    message.state, message.before = message.before, None
        self.pass_time()

    def pass_time(self) -> None:
        """End the leases and delays that end by now."""
        now_ns = self.timer.now_ns()
        for queue in self.queues:
            due = [
                each
                for each in queue.messages
                if each.state is not READY and each.until_ns <= now_ns
            ]
            for message in sorted(due, key=lambda each: each.until_ns):
                ended = message.state
                if ended is LEASED:
                    message.end(Outcome.EXPIRED, message.until_ns)
                message.state, message.before = READY, ended
                most = queue.info.settings.delivery_count_max
                if ended is LEASED and 0 < most <= message.count:
                    self.bury(queue, message, DeadLetterReason.DELIVERY_COUNT_MAX)

    def bury(self, queue: NaiveQueue, message: NaiveMessage, reason: DeadLetterReason) -> None:
        """Move a message to the end of the dead-letter queue."""
        target = self.find(queue.info.settings.dead_letter_queue_id)
        assert isinstance(target, NaiveQueue)
        queue.messages.remove(message)
        dead = DeadLetter(
            reason,
            message.attempts[-1].reason,
            queue.info.id,
            self.clock.now_ns(),
            message.count,
        )
        history = message.dead_attempts + message.attempts[-ATTEMPTS_MAX:]
        target.messages.append(NaiveMessage(message.payload, dead=dead, dead_attempts=history))

    def find(self, reference: str) -> NaiveQueue | QError:
        """Find a queue by its id or its name."""
        for queue in self.queues:
            if reference in (queue.info.id, queue.info.name or queue.info.id):
                return queue
        if len(reference) == len("00000000-0000-0000-0000-000000000000"):
            return QueueNotFound(reference)
        return InvalidArgument(
            "queue_id", f"{reference!r} is neither a UUID nor the name of a queue"
        )

    def name_error(self, name: str) -> QError | None:
        """Say why a new queue cannot have a name, if so."""
        for queue in self.queues:
            if name and queue.info.name == name:
                return NameTaken(name, queue.info.id)
        return None

    def settings_error(self, info: QueueInfo, settings: QueueSettings) -> QError | None:
        """Say why a queue cannot have settings, if so."""
        if not settings.dead_letter_queue_id:
            most = settings.delivery_count_max
            return InvalidArgument("settings.delivery_count_max", "") if most else None
        target = self.find(settings.dead_letter_queue_id)
        if isinstance(target, QError):
            return target
        if target.info.store is not info.store:
            return InvalidArgument("settings.dead_letter_queue_id", "")
        while isinstance(target, NaiveQueue):
            if target.info.id == info.id:
                return InvalidArgument("settings.dead_letter_queue_id", "")
            target = self.find(target.info.settings.dead_letter_queue_id)
        return None

    def new_queue(self, info: QueueInfo) -> None:
        """Create a queue, which nothing was to be said against."""
        self.queues.append(NaiveQueue(info))

    def update_queue(
        self,
        reference: str,
        change: Callable[[QueueSettings], QueueSettings],
        limit: int | None = None,
    ) -> QueueInfo | QError:
        """Change a queue."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        settings = change(queue.info.settings)
        if error := self.settings_error(queue.info, settings):
            return error
        new_limit = queue.info.limit if limit is None else limit or UNBOUNDED
        queue.info = replace(queue.info, settings=settings, limit=new_limit)
        return queue.info

    def pause(self, reference: str, *, adds: bool) -> QueueInfo | QError:
        """Hand out nothing, and take nothing if so wanted."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        since_ns = queue.info.pause.since_ns if queue.info.pause else self.clock.now_ns()
        queue.info = replace(queue.info, pause=Pause(since_ns=since_ns, adds=adds))
        return queue.info

    def resume(self, reference: str) -> QueueInfo | QError:
        """Go on."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        queue.info = replace(queue.info, pause=None)
        return queue.info

    def purge(self, reference: str) -> int | QError:
        """Remove all messages."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        count = len(queue.messages)
        queue.messages.clear()
        return count

    def delete_queue(self, reference: str) -> QError | None:
        """Delete a queue and its messages."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        id_ = queue.info.id
        sources = [
            each.info.id for each in self.queues if each.info.settings.dead_letter_queue_id == id_
        ]
        if sources:
            return QueueInUse(id_, min(sources))
        self.queues.remove(queue)
        return None

    def add_queue_tag(self, reference: str, tag: Tag) -> QError | None:
        """Add a tag at the end."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        if tag not in queue.info.tags:
            queue.info = replace(queue.info, tags=(*queue.info.tags, tag))
        return None

    def delete_queue_tag(self, reference: str, tag: Tag) -> QError | None:
        """Remove a tag."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        queue.info = replace(queue.info, tags=tuple(t for t in queue.info.tags if t != tag))
        return None

    def add(self, reference: str, payload: bytes) -> Shown | QError:
        """Put a message at the end."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        if error := queue.add_error(1):
            return error
        queue.messages.append(NaiveMessage(payload))
        return queue.messages[-1].stored()

    def add_batch(
        self, reference: str, messages: Sequence[tuple[bytes, bytes]], *, partial: bool
    ) -> int | QError:
        """Put messages at the end: all of them or none, or the first ones that fit."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        count = len(messages)
        while partial and count > 1 and queue.add_error(count):
            count -= 1
        if error := queue.add_error(count):
            return error
        queue.messages += [NaiveMessage(payload) for _, payload in messages[:count]]
        return count

    def peek(self, reference: str) -> Shown | QError:
        """Return the message at the head."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        ready = queue.ready()
        return ready[0].stored() if ready else QueueEmpty(queue.info.id)

    def pop(self, reference: str) -> Shown | QError:
        """Take the message at the head."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        if queue.info.pause:
            return QueuePaused(queue.info.id)
        popped = self.pop_batch(reference, 1)
        assert isinstance(popped, list)
        return popped[0] if popped else QueueEmpty(queue.info.id)

    def pop_batch(self, reference: str, messages_max: int) -> list[Shown] | QError:
        """Take the messages at the head."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        popped = [] if queue.info.pause else queue.ready()[:messages_max]
        for message in popped:
            queue.messages.remove(message)
        return [message.stored() for message in popped]

    def lease(
        self, reference: str, messages_max: int, *, duration_ns: int | None, consumer: str
    ) -> list[NaiveLease] | QError:
        """Hand out the messages at the head for a time."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        now_ns = self.timer.now_ns()
        if duration_ns is None:
            duration_ns = queue.info.settings.lease_duration_ns
        leased = [] if queue.info.pause else queue.ready()[:messages_max]
        for message in leased:
            message.state, message.before = LEASED, None
            message.fence += 1
            message.count += 1
            message.consumer = consumer
            message.leased_ns = now_ns
            self.keep(message, LEASED, now_ns + duration_ns)
        return [
            NaiveLease(
                message,
                message.fence,
                message.until_ns,
                message.count,
                Shown(
                    message.payload,
                    message.dead,
                    [
                        each._replace(fence=0)
                        for each in message.dead_attempts + message.attempts[-ATTEMPTS_MAX:]
                    ],
                ),
            )
            for message in leased
        ]

    def keep(self, message: NaiveMessage, state: MessageState, until_ns: int) -> None:
        """Have a message on lease, or keep it back, until a moment."""
        message.state, message.until_ns = state, until_ns
        self.moments.add(until_ns)

    def known(self, queue: NaiveQueue, lease_id: str) -> NaiveMessage | QError:
        """Return the message that a lease is or was on, if it is still in its queue."""
        seq, dash, fence = lease_id.partition("-")
        if (len(seq), dash, len(fence)) != (16, "-", 8):
            return InvalidArgument("lease_ids", "")
        for message in queue.messages:
            if message.seq == int(seq, 16) and message.fence:
                return message
        return LeaseLost(lease_id, "")

    def held(self, queue: NaiveQueue, lease_id: str) -> NaiveMessage | QError:
        """Return the message that a lease is on."""
        message = self.known(queue, lease_id)
        if isinstance(message, QError):
            return message
        is_held = message.lease_id == lease_id and message.state is LEASED
        return message if is_held else LeaseLost(lease_id, "")

    def held_for_ack(self, queue: NaiveQueue, lease_id: str) -> NaiveMessage | QError | None:
        """Do the same for an ack, which may be late; None if it was acked already."""
        message = self.known(queue, lease_id)
        if isinstance(message, LeaseLost) and (queue.info.id, lease_id) in self.acked:
            return None
        if isinstance(message, QError):
            return message
        is_held = message.is_acknowledgeable and message.lease_id == lease_id
        return message if is_held else LeaseLost(lease_id, "")

    def each(
        self,
        reference: str,
        lease_ids: Sequence[str],
        command: Callable[[NaiveQueue, str], int | QError | None],
    ) -> list[int | QError | None] | QError:
        """Do something about each lease."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        return [command(queue, lease_id) for lease_id in lease_ids]

    def ack(self, reference: str, lease_ids: Sequence[str]) -> list[int | QError | None] | QError:
        """Remove messages whose work is done."""

        def ack(queue: NaiveQueue, lease_id: str) -> QError | None:
            message = self.held_for_ack(queue, lease_id)
            if isinstance(message, NaiveMessage):
                queue.messages.remove(message)
                self.acked.add((queue.info.id, lease_id))
                return None
            return message

        return self.each(reference, lease_ids, ack)

    def nack(
        self,
        reference: str,
        lease_ids: Sequence[str],
        kind: NackKind,
        *,
        delay_ns: int | None,
        reason: str,
    ) -> list[int | QError | None] | QError:
        """Take messages back."""

        def nack(queue: NaiveQueue, lease_id: str) -> QError | None:
            message = self.held(queue, lease_id)
            if isinstance(message, QError):
                return message
            settings = queue.info.settings
            if kind is NackKind.REJECT and not settings.dead_letter_queue_id:
                return NoDeadLetterQueue(queue.info.id)
            now_ns = self.timer.now_ns()
            message.end(_OUTCOMES[kind], now_ns, reason)
            if kind is NackKind.REJECT:
                self.bury(queue, message, DeadLetterReason.REJECTED)
            elif kind is NackKind.FAIL and 0 < settings.delivery_count_max <= message.count:
                self.bury(queue, message, DeadLetterReason.DELIVERY_COUNT_MAX)
            else:
                self.give_back(message, kind, settings, delay_ns)
            return None

        return self.each(reference, lease_ids, nack)

    def give_back(
        self,
        message: NaiveMessage,
        kind: NackKind,
        settings: QueueSettings,
        delay_ns: int | None,
    ) -> None:
        """Have a message ready again, at once or later; no queue here has jitter."""
        if delay_ns is None:
            delay_ns = 0
            if kind is NackKind.FAIL:
                delay_ns = settings.back_off.base_ns
                for _ in range(message.count - 1):
                    delay_ns = round(delay_ns * settings.back_off.factor)
                delay_ns = min(delay_ns, settings.back_off.max_ns)
        if kind is NackKind.RELEASE:
            message.count -= 1
        if delay_ns:
            self.keep(message, DELAYED, self.timer.now_ns() + delay_ns)

    def extend(
        self, reference: str, lease_ids: Sequence[str], duration_ns: int | None
    ) -> list[int | QError | None] | QError:
        """Have leases end at another moment."""

        def extend(queue: NaiveQueue, lease_id: str) -> int | QError:
            message = self.held(queue, lease_id)
            if isinstance(message, QError):
                return message
            lasts_ns = queue.info.settings.lease_duration_ns if duration_ns is None else duration_ns
            self.keep(message, LEASED, self.timer.now_ns() + lasts_ns)
            return message.until_ns

        return self.each(reference, lease_ids, extend)

    def complete(  # noqa: C901, PLR0911, PLR0912 - One rule after the other, each refusing.
        self,
        acks: Sequence[tuple[str, Sequence[str]]],
        adds: Sequence[tuple[str, Sequence[tuple[bytes, bytes]]]],
    ) -> int | QError:
        """Ack and add: look at everything first, and then do it."""
        queues: list[NaiveQueue] = []
        for reference, _ in (*acks, *adds):
            queue = self.find(reference)
            if isinstance(queue, QError):
                return queue
            queues.append(queue)
        if not queues:
            return InvalidArgument("acks", "")
        if len({queue.info.store for queue in queues}) > 1:
            return StoresDiffer("")
        done: list[tuple[NaiveQueue, NaiveMessage]] = []
        for at, (queue, (_, lease_ids)) in enumerate(zip(queues, acks, strict=False)):
            for index, lease_id in enumerate(lease_ids):
                message = self.held_for_ack(queue, lease_id)
                if message is None:
                    return LeaseLost(lease_id, "")
                if isinstance(message, LeaseLost):
                    return message
                if isinstance(message, QError) or any(message is each for _, each in done):
                    return InvalidArgument(f"acks[{at}].lease_ids[{index}]", "")
                done.append((queue, message))
        targets = queues[len(acks) :]
        for queue in targets:
            wanted = sum(
                len(messages)
                for target, (_, messages) in zip(targets, adds, strict=True)
                if target is queue
            )
            freed = sum(source is queue for source, _ in done)
            if error := queue.add_error(max(0, wanted - freed)):
                return error
        for queue, message in done:
            queue.messages.remove(message)
            self.acked.add((queue.info.id, message.lease_id))
        for queue, (_, messages) in zip(targets, adds, strict=True):
            queue.messages += [NaiveMessage(payload) for _, payload in messages]
        return sum(len(messages) for _, messages in adds)
