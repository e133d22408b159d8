"""The queues of one server, what they are, and time that passes for them: in the simplest way."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from qmq.descriptions import GroupInfo, Pause, QueueInfo, QueueSettings
from qmq.envelope import encode_dead_letter
from qmq.errors import InvalidArgument, NameTaken, QError, QueueInUse, QueueNotFound
from qmq.limits import ATTEMPTS_MAX, MESSAGE_BYTES_MAX
from qmq.testing import ManualClock
from qmq.values import (
    UNBOUNDED,
    DeadLetter,
    DeadLetterReason,
    GroupState,
    Outcome,
    Overflow,
    Store,
    Tag,
)
from tests.store.naive_message import LEASED, READY, NaiveMessage
from tests.store.naive_queue import NaiveBucket, NaiveQueue


@dataclass
class NaiveQueues:
    """All queues, in order of creation; its methods return what q answers, or the error."""

    #: The clock that people set, and the one that nobody sets.
    clock: ManualClock
    timer: ManualClock
    queues: list[NaiveQueue] = field(default_factory=list)
    #: Leases that were acked, with the ids of their queues.
    acked: set[tuple[str, str]] = field(default_factory=set)
    #: When something of a message was to end by itself, ever.
    moments: set[int] = field(default_factory=set)
    #: The highest number that each store has given.
    last: dict[tuple[Store, int], int] = field(default_factory=dict[tuple[Store, int], int])

    def infos(self) -> list[QueueInfo]:
        """Describe all queues."""
        return [queue.info for queue in self.queues]

    def restart(self, timer: ManualClock) -> None:
        """Lose what was in memory only: of what has ended by itself, most is not written down."""
        self.timer = timer
        self.queues = [queue for queue in self.queues if queue.info.store is not Store.MEMORY]
        self.acked.clear()
        for queue in self.queues:
            queue.expired_total = queue.overflowed_total = queue.deduplicated_total = 0
            queue.deleted_total = queue.moved_in_total = queue.moved_out_total = 0
            queue.bucket = NaiveBucket.full(queue.info.settings.rate, self.timer.now_ns())
            for message in queue.messages:
                if message.before is None or message.is_written:
                    continue
                if message.before is LEASED:
                    message.attempts.pop()
                message.state, message.before = message.before, None
            queue.start_anew(self.timer.now_ns())
        self.pass_time()

    def number(self, home: tuple[Store, int]) -> int:
        """Return the number of a message that comes now."""
        self.last[home] = max(self.last.get(home, 0) + 1, self.timer.now_ns())
        return self.last[home]

    def note_moments(self) -> None:
        """Take note of when things will end."""
        for queue in self.queues:
            moments = [queue.moment_ns(each) for each in queue.messages]
            self.moments.update(each for each in moments if each is not None)
            self.moments.update(queue.next_ns(self.timer.now_ns()))

    def pass_time(self) -> None:
        """End what ends by now."""
        for queue in list(self.queues):
            self.pass_time_of(queue)

    def pass_time_of(self, queue: NaiveQueue) -> None:
        """End the leases, the delays and the use of a queue's messages that end by now."""
        self.note_moments()
        now_ns = self.timer.now_ns()
        moments = [(queue.moment_ns(each), each.seq, each) for each in queue.messages]
        due = sorted(
            (ends, seq, each) for ends, seq, each in moments if ends is not None and ends <= now_ns
        )
        worn_out: list[NaiveMessage] = []
        expired: list[NaiveMessage] = []
        for _, _, message in due:
            # Until they are taken out, they are ready like the others.
            reason = self.end(queue, message, now_ns)
            if reason is DeadLetterReason.EXPIRED:
                expired.append(message)
            elif reason:
                worn_out.append(message)
            queue.settle(queue.looked_ns)
        for message in expired:
            if not message.is_known:
                queue.messages.remove(message)
        queue.settle(queue.looked_ns)
        queue.looked_ns = now_ns
        queue.settle(now_ns)
        for message in worn_out:
            queue.remove(message, now_ns)
            self.bury(queue, message, DeadLetterReason.DELIVERY_COUNT_MAX)
        for message in sorted(expired, key=lambda each: not each.is_known):
            if message.is_known:
                queue.remove(message, now_ns)
            if queue.info.settings.dead_letter_expired:
                self.bury(queue, message, DeadLetterReason.EXPIRED)
        queue.expired_total += len(expired)
        self.note_moments()

    def end(self, queue: NaiveQueue, message: NaiveMessage, now_ns: int) -> DeadLetterReason | None:
        """End what of a message ends now; say why it has to leave, if it has to."""
        ended, settings = message.state, queue.info.settings
        if ended is LEASED:
            message.end(Outcome.EXPIRED, message.until_ns)
        if ended is not READY:
            message.state, message.before = READY, ended
        expires_ns = queue.expires_ns(message)
        if expires_ns is not None and expires_ns <= now_ns:
            return DeadLetterReason.EXPIRED
        if ended is not LEASED:
            return None
        if settings.dead_letter_queue_id and 0 < settings.delivery_count_max <= message.count:
            return DeadLetterReason.DELIVERY_COUNT_MAX
        message.is_written = queue.park(message, now_ns)
        return None

    def bury(self, queue: NaiveQueue, message: NaiveMessage, reason: DeadLetterReason) -> None:
        """Put a message that was taken out at the end of the dead-letter queue."""
        target = self.find(queue.info.settings.dead_letter_queue_id)
        assert isinstance(target, NaiveQueue)
        is_failure = reason in (DeadLetterReason.REJECTED, DeadLetterReason.DELIVERY_COUNT_MAX)
        dead = DeadLetter(
            reason,
            message.attempts[-1].reason if is_failure else "",
            queue.info.id,
            self.clock.now_ns(),
            message.count,
        )
        attempts = message.attempts[-ATTEMPTS_MAX:]
        suffix = encode_dead_letter(dead, attempts, MESSAGE_BYTES_MAX)
        target.messages.append(
            NaiveMessage(
                message.payload,
                self.number(queue.info.home),
                message.size + len(suffix),
                options=message.options,
                dead=dead,
                dead_attempts=message.dead_attempts + attempts,
                buried=message,
            )
        )
        target.settle(self.timer.now_ns())

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
            for field_, is_set in (
                ("delivery_count_max", settings.delivery_count_max > 0),
                ("dead_letter_expired", settings.dead_letter_expired),
                ("overflow", settings.overflow is Overflow.DEAD_LETTER_OLDEST),
            ):
                if is_set:
                    return InvalidArgument(f"settings.{field_}", "")
            return None
        target = self.find(settings.dead_letter_queue_id)
        if isinstance(target, QError):
            return target
        # A queue that is made goes where its dead letters go.
        home = info.home if info.id else (info.store, target.info.shard)
        if target.info.home != home:
            return InvalidArgument("settings.dead_letter_queue_id", "")
        while isinstance(target, NaiveQueue):
            if target.info.id == info.id:
                return InvalidArgument("settings.dead_letter_queue_id", "")
            target = self.find(target.info.settings.dead_letter_queue_id)
        return None

    def new_queue(self, info: QueueInfo) -> None:
        """Create a queue, which nothing was to be said against."""
        now_ns = self.timer.now_ns()
        bucket = NaiveBucket.full(info.settings.rate, now_ns)
        queue = NaiveQueue(info, bucket=bucket, looked_ns=now_ns)
        # A limit makes keys take turns from now on, even if it is gone before anything comes.
        queue.settle(now_ns)
        self.queues.append(queue)

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
        if settings.rate != queue.info.settings.rate:
            queue.bucket = NaiveBucket.full(settings.rate, self.timer.now_ns())
        info = replace(queue.info, settings=settings, limit=new_limit)
        queue.change(info, self.timer.now_ns())
        self.pass_time_of(queue)
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

    def list_groups(
        self, reference: str, *, states: Collection[GroupState]
    ) -> list[GroupInfo] | QError:
        """Describe the groups of a queue that are in one of some states, or all of them."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        return [each for each in queue.groups() if not states or each.state in states]

    def pause_group(self, reference: str, group_id: str) -> GroupInfo | QError:
        """Hand out nothing of a group."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        return queue.pause_group(group_id, self.timer.now_ns())

    def resume_group(self, reference: str, group_id: str) -> GroupInfo | QError:
        """Go on with a group."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        return queue.resume_group(group_id, self.timer.now_ns())

    def skip_group(
        self, reference: str, group_id: str, messages_max: int
    ) -> tuple[int, GroupInfo] | QError:
        """Take messages of a group out, and end its parking."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        now_ns = self.timer.now_ns()
        waiting = [each for each in queue.members(group_id) if each.state is not LEASED]
        skipped = waiting[:messages_max]
        for message in skipped:
            queue.remove(message, now_ns)
            if queue.info.settings.dead_letter_queue_id:
                self.bury(queue, message, DeadLetterReason.SKIPPED)
        if skipped and group_id in queue.holds:
            queue.holds[group_id].parked_ns = None
            queue.settle(now_ns)
        return len(skipped), queue.group(group_id)

    def purge(self, reference: str) -> int | QError:
        """Remove all messages."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        count = len(queue.messages)
        queue.messages.clear()
        queue.settle(self.timer.now_ns())
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
