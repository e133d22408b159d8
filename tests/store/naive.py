"""What q should do, in the simplest way there is: lists, and no thought of speed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from qmq.descriptions import MessageOptions, QueueSettings
from qmq.errors import (
    InvalidArgument,
    LeaseLost,
    NoDeadLetterQueue,
    QError,
    QueueEmpty,
    QueueFull,
    QueuePaused,
    StoresDiffer,
)
from qmq.limits import ATTEMPTS_MAX
from qmq.values import DeadLetterReason, NackKind, Outcome, Overflow
from tests.store.naive_message import (
    DELAYED,
    LEASED,
    PLAIN,
    NaiveLease,
    NaiveMessage,
    Shown,
    envelope_bytes,
)
from tests.store.naive_picking import NaivePicking
from tests.store.naive_queue import NaiveQueue

_OUTCOMES = {
    NackKind.RELEASE: Outcome.RELEASED,
    NackKind.FAIL: Outcome.FAILED,
    NackKind.REJECT: Outcome.REJECTED,
}


@dataclass
class Repeat:
    """What is told of a message that is there already: which one that is."""

    payload: bytes


@dataclass
class Added:
    """What is told of several messages."""

    #: What became of each that was not refused.
    told: list[Shown | Repeat]


@dataclass
class Prepared:
    """Messages that can join a queue if there is room for them."""

    queue: NaiveQueue
    #: Each by its place, or which one it repeats.
    messages: list[NaiveMessage | Repeat]

    @property
    def fresh(self) -> list[NaiveMessage]:
        """Those that are no repeats."""
        return [each for each in self.messages if isinstance(each, NaiveMessage)]

    @property
    def sizes(self) -> list[int]:
        """What these take."""
        return [each.size for each in self.fresh]

    def first(self, count: int) -> "Prepared":
        """Leave out what comes from one on that is no repeat, given how many such come before."""
        end = len(self.messages)
        if count < len(self.fresh):
            end = next(at for at, each in enumerate(self.messages) if each is self.fresh[count])
        return Prepared(self.queue, self.messages[:end])


class NaiveBroker(NaivePicking):
    """A server; its methods return what q answers, or the error."""

    def prepared(
        self,
        queue: NaiveQueue,
        messages: Sequence[tuple[bytes, MessageOptions]],
        name: Callable[[int], str],
    ) -> Prepared | QError:
        """Say which messages are to be added, and which are there already."""
        now_ns, steady_ns = self.clock.now_ns(), self.timer.now_ns()
        found: list[NaiveMessage | Repeat] = []
        first: dict[str, bytes] = {}
        for at, (payload, asked) in enumerate(messages):
            known = queue.known_id(asked.dedup_id, steady_ns) or first.get(asked.dedup_id)
            if asked.dedup_id and known:
                found.append(Repeat(known))
                continue
            first[asked.dedup_id] = payload
            if asked.delay_ns is not None:
                delay_ns = asked.delay_ns
            elif asked.available_ns is not None:
                delay_ns = max(0, asked.available_ns - now_ns)
            else:
                delay_ns = queue.info.settings.delay_ns
            ttl_ns = asked.ttl_ns or 0
            if asked.expires_ns is not None:
                ttl_ns = asked.expires_ns - now_ns
                if ttl_ns <= 0:
                    return InvalidArgument(f"{name(at)}.options.expires_at", "")
            told = MessageOptions(
                available_ns=now_ns + delay_ns if delay_ns else None,
                expires_ns=now_ns + ttl_ns if ttl_ns else None,
                priority=asked.priority,
                dedup_id=asked.dedup_id,
                group_id=asked.group_id,
                fair_key=asked.fair_key,
            )
            message = NaiveMessage(payload, 0, envelope_bytes(payload, now_ns, told), options=told)
            message.is_known = bool(delay_ns or ttl_ns or asked.group_id or asked.fair_key)
            message.priority = asked.priority
            message.group_id, message.fair_key = asked.group_id, asked.fair_key
            message.expires_ns = steady_ns + ttl_ns if ttl_ns else 0
            if delay_ns:
                message.state, message.until_ns = DELAYED, steady_ns + delay_ns
            found.append(message)
        return Prepared(queue, found)

    def put(self, prepared: Prepared) -> Added:
        """Put messages at the end, those that are to make room for them aside."""
        queue, fresh = prepared.queue, prepared.fresh
        settings = queue.info.settings
        now_ns = self.timer.now_ns()
        for message in queue.displaced(prepared.sizes):
            queue.overflowed_total += 1
            queue.remove(message, now_ns)
            if settings.overflow is Overflow.DEAD_LETTER_OLDEST:
                self.bury(queue, message, DeadLetterReason.OVERFLOW)
        if any(message.options.dedup_id for message in fresh):
            queue.forget_ids(now_ns)
        for message in fresh:
            message.seq = self.number(queue.info.home)
            queue.messages.append(message)
            queue.settle(now_ns)
            if dedup_id := message.options.dedup_id:
                queue.ids.append((dedup_id, message.payload, now_ns + settings.dedup_window_ns))
        queue.deduplicated_total += len(prepared.messages) - len(fresh)
        self.note_moments()
        return Added(
            [
                each.stored() if isinstance(each, NaiveMessage) else each
                for each in prepared.messages
            ]
        )

    def add(self, reference: str, payload: bytes) -> Shown | Repeat | QError:
        """Put a message at the end."""
        return self.add_with(reference, payload, b"", PLAIN)

    def add_with(
        self, reference: str, payload: bytes, tags: bytes, options: MessageOptions
    ) -> Shown | Repeat | QError:
        """Put a message with options at the end."""
        added = self.add_several(
            reference, [(tags, payload)], {0: options}, lambda _: "message", partial=False
        )
        return added.told[0] if isinstance(added, Added) else added

    def add_batch_with(
        self,
        reference: str,
        messages: Sequence[tuple[bytes, bytes]],
        options: Mapping[int, MessageOptions],
        *,
        partial: bool,
    ) -> Added | QError:
        """Put messages at the end: all of them or none, or the first ones that fit."""
        return self.add_several(
            reference, messages, options, lambda at: f"messages[{at}]", partial=partial
        )

    def add_batch(
        self, reference: str, messages: Sequence[tuple[bytes, bytes]], *, partial: bool
    ) -> int | QError:
        """Do so with plain ones."""
        added = self.add_batch_with(reference, messages, {}, partial=partial)
        return len(added.told) if isinstance(added, Added) else added

    def add_several(
        self,
        reference: str,
        messages: Sequence[tuple[bytes, bytes]],
        options: Mapping[int, MessageOptions],
        name: Callable[[int], str],
        *,
        partial: bool,
    ) -> Added | QError:
        """Look whether there is room, and add what there is room for."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        asked = [(payload, options.get(at, PLAIN)) for at, (_, payload) in enumerate(messages)]
        prepared = self.prepared(queue, asked, name)
        if isinstance(prepared, QError):
            return prepared
        if not prepared.fresh:
            return self.put(prepared)
        room, error = queue.room(prepared.sizes)
        is_first_known = isinstance(prepared.messages[0], Repeat)
        if isinstance(error, QueueFull) and partial and (room or is_first_known):
            return self.put(prepared.first(room))
        return error or self.put(prepared)

    def peek(self, reference: str) -> Shown | QError:
        """Return the message at the head."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        head = queue.head()
        return head.stored() if head else QueueEmpty(queue.info.id)

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
        popped = queue.handed_out(messages_max, self.timer.now_ns(), queue.messages.remove)
        self.note_moments()
        return [message.stored() for message in popped]

    def lease(
        self, reference: str, messages_max: int, *, duration_ns: int | None, consumer: str
    ) -> list[NaiveLease] | QError:
        """Hand out the messages at the head for a time."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        now_ns = self.timer.now_ns()
        lasts_ns = queue.info.settings.lease_duration_ns if duration_ns is None else duration_ns

        def take(message: NaiveMessage) -> None:
            message.state, message.before, message.is_written = LEASED, None, False
            message.fence += 1
            message.count += 1
            message.consumer = consumer
            message.leased_ns = now_ns
            message.until_ns = now_ns + lasts_ns
            message.is_known = True

        leased = queue.handed_out(messages_max, now_ns, take)
        self.note_moments()
        return [
            NaiveLease(
                message,
                message.fence,
                message.until_ns,
                message.count,
                message.shown(message.dead_attempts + message.attempts[-ATTEMPTS_MAX:]),
            )
            for message in leased
        ]

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
        results = [command(queue, lease_id) for lease_id in lease_ids]
        self.pass_time_of(queue)
        return results

    def ack(self, reference: str, lease_ids: Sequence[str]) -> list[int | QError | None] | QError:
        """Remove messages whose work is done."""

        def ack(queue: NaiveQueue, lease_id: str) -> QError | None:
            message = self.held_for_ack(queue, lease_id)
            if isinstance(message, NaiveMessage):
                queue.remove(message, self.timer.now_ns())
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
                queue.remove(message, now_ns)
                self.bury(queue, message, DeadLetterReason.REJECTED)
            elif kind is NackKind.FAIL and 0 < settings.delivery_count_max <= message.count:
                queue.remove(message, now_ns)
                self.bury(queue, message, DeadLetterReason.DELIVERY_COUNT_MAX)
            else:
                self.give_back(message, kind, settings, delay_ns)
                if kind is NackKind.FAIL:
                    queue.park(message, now_ns)
                queue.settle(now_ns)
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
            message.state, message.until_ns = DELAYED, self.timer.now_ns() + delay_ns

    def extend(
        self, reference: str, lease_ids: Sequence[str], duration_ns: int | None
    ) -> list[int | QError | None] | QError:
        """Have leases end at another moment."""

        def extend(queue: NaiveQueue, lease_id: str) -> int | QError:
            message = self.held(queue, lease_id)
            if isinstance(message, QError):
                return message
            lasts_ns = queue.info.settings.lease_duration_ns if duration_ns is None else duration_ns
            message.until_ns = self.timer.now_ns() + lasts_ns
            self.note_moments()
            return message.until_ns

        return self.each(reference, lease_ids, extend)

    def complete(  # noqa: C901, PLR0911, PLR0912 - One rule after the other, each refusing.
        self,
        acks: Sequence[tuple[str, Sequence[str]]],
        adds: Sequence[tuple[str, Sequence[tuple[bytes, bytes]]]],
        options: Sequence[Mapping[int, MessageOptions]] = (),
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
        if len({queue.info.home for queue in queues}) > 1:
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
        made: list[Prepared] = []
        for queue in {id(target): target for target in targets}.values():
            # What is for one queue is taken together.
            asked: list[tuple[bytes, MessageOptions]] = []
            places: list[tuple[int, int]] = []
            for at, (target, (_, messages)) in enumerate(zip(targets, adds, strict=True)):
                if target is queue:
                    found = options[at] if at < len(options) else {}
                    for index, (_, payload) in enumerate(messages):
                        asked.append((payload, found.get(index, PLAIN)))
                        places.append((at, index))
            prepared = self.prepared(queue, asked, _name_of(places))
            if isinstance(prepared, QError):
                return prepared
            made.append(prepared)
        for prepared in made:
            leaving = [message for queue, message in done if queue is prepared.queue]
            error = prepared.queue.room(prepared.sizes, leaving)[1]
            if prepared.fresh and error:
                return error
        for queue, message in done:
            queue.remove(message, self.timer.now_ns())
            self.acked.add((queue.info.id, message.lease_id))
        for prepared in made:
            self.put(prepared)
        for queue in {id(queue): queue for queue in queues}.values():
            self.pass_time_of(queue)
        return sum(len(messages) for _, messages in adds)


def _name_of(places: Sequence[tuple[int, int]]) -> Callable[[int], str]:
    """Return what names the messages of a Complete in errors."""
    return lambda at: "adds[{}].messages[{}]".format(*places[at])
