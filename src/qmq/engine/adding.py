"""Messages that join a queue, with all that may be asked of them.

A plain message for a plain queue takes the short way through `qmq.engine.messages` and its
store; everything else comes here.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from qmq.descriptions import MessageOptions, QueueSettings
from qmq.engine.queues import Queues
from qmq.envelope import encode_options
from qmq.errors import DedupFull, InvalidArgument, MemoryFull, QueueFull
from qmq.limits import AHEAD_S_MAX, DEDUP_IDS_MAX, MOMENTS_AT_ONCE_MAX
from qmq.model.changes import Changes
from qmq.model.dedup import Known
from qmq.model.delivery import Delivery, State
from qmq.model.displacing import displace
from qmq.model.footprint import freed_by
from qmq.model.index import entry
from qmq.model.queue import Queue
from qmq.values import NS_PER_S, DeadLetterReason, Overflow, Store, utc

_PLAIN: Final = MessageOptions()

#: Names a message of a call, given its place, for errors.
Name = Callable[[int], str]


class Added(NamedTuple):
    """What became of messages."""

    #: The metadata of each, as it stands in its envelope: field 1 of a Message.
    metas: list[bytes]
    #: The places of those whose dedup_id the queue knew.
    known: list[int]
    #: The envelopes of the others.
    envelopes: list[bytes]


class _Fresh(NamedTuple):
    """A message that is to be added."""

    #: Its place among the messages of the call.
    at: int
    envelope: bytes
    meta: bytes
    priority: int
    dedup_id: str
    group_id: str
    fair_key: str
    #: By the clock that nobody sets; 0 if it is not kept back, and is of use for ever.
    until_ns: int
    expires_ns: int

    @property
    def is_known(self) -> bool:
        """Whether something is to be known of it besides its place at the end of a line."""
        return bool(self.until_ns or self.expires_ns or self.group_id or self.fair_key)

    def delivery(self, added: int) -> Delivery:
        """Return what is known of it, given its entry."""
        delivery = Delivery(added)
        delivery.expires_ns = self.expires_ns
        delivery.group_id, delivery.fair_key = self.group_id, self.fair_key
        if self.until_ns:
            delivery.state, delivery.until_ns = State.DELAYED, self.until_ns
        return delivery


class Prepared(NamedTuple):
    """Messages that can join a queue if there is room for them."""

    queue: Queue
    #: How many there are.
    total: int
    #: Those that are to be added.
    fresh: list[_Fresh]
    #: The others, as `_repeats` returns them.
    repeats: dict[int, bytes | int]
    changes: Changes

    @property
    def sizes(self) -> list[int]:
        """What each message takes that is to be added, in bytes."""
        return [len(each.envelope) for each in self.fresh]

    @property
    def metas(self) -> list[bytes]:
        """The metadata of each message; of a repeat, that of the first one."""
        found = {each.at: each.meta for each in self.fresh}
        for at, first in self.repeats.items():
            found[at] = first if isinstance(first, bytes) else found[first]
        return [found[at] for at in range(self.total)]


class Adding:
    """Puts messages into queues."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    def prepare(
        self,
        queue: Queue,
        messages: Sequence[tuple[bytes, bytes]],
        options: Mapping[int, MessageOptions],
        changes: Changes,
        name: Name,
    ) -> Prepared:
        """Make messages; none is in the queue yet.

        Args:
            queue: where to.
            messages: tags, as `envelope.encode_tags` encodes them, and payload of each.
            options: those of messages that have any, by their places.
            changes: where to write down what changes, for the caller to keep.
            name: names a message, for errors.

        Raises:
            InvalidArgument: a message would be of no use from its beginning.
            TooLarge: no reply could carry one of the messages.
            DedupFull: the queue remembers as many dedup_ids as it may.
        """
        steady_ns = self._queues.steady_ns()
        repeats = _repeats(queue, options, steady_ns)
        fresh = self._sealed(queue, messages, options, repeats.keys(), name)
        for each in fresh:
            self._queues.check_size(each.envelope, name(each.at))
        _check_dedup(queue, sum(bool(each.dedup_id) for each in fresh), steady_ns)
        return Prepared(queue, len(messages), fresh, repeats, changes)

    def put(self, prepared: Prepared, *, partial: bool = False) -> Added:
        """Put messages at the end of their queue.

        Args:
            prepared: the messages.
            partial: put the first ones that there is room for, rather than none.

        Raises:
            QueueFull: there is no room for all of them, or for any with `partial`.
            MemoryFull: the server has no room for those that the queue has room for.
            AddsPaused: the queue takes none for now.
        """
        if not prepared.fresh:
            # A repeat is answered also by a queue that takes nothing.
            return self.put_first(prepared, 0)
        try:
            room = prepared.queue.room_for(prepared.sizes, partial=partial)
            first = prepared._replace(fresh=prepared.fresh[:room])
            self.check_memory(prepared.queue.info.store, (first,))
        except (QueueFull, MemoryFull):
            # Those before it that the queue knows are answered all the same: who repeats a call
            # whose answer was lost would take them for refused.
            if not (partial and 0 in prepared.repeats):
                raise
            room = 0
        return self.put_first(prepared, room)

    def check_memory(
        self, store: Store, prepared: Iterable[Prepared], leaving: Sequence[Delivery] = ()
    ) -> None:
        """Refuse messages that the server has no room for.

        Args:
            store: where all of them are to be kept.
            prepared: the messages.
            leaving: messages of that store that leave in the same step.

        Raises:
            MemoryFull: the server has no room for them.
        """
        fresh = [each for made in prepared for each in made.fresh]
        if fresh:
            self._queues.footprint.check(
                store,
                len(fresh),
                sum(len(each.envelope) for each in fresh),
                known=sum(each.is_known + bool(each.dedup_id) for each in fresh),
                freed=sum(freed_by(store, each) for each in leaving),
            )

    def put_first(self, prepared: Prepared, count: int) -> Added:
        """Put the first messages at the end, as many as `Queue.room_for` has found room for."""
        queue, total, fresh, repeats, changes = prepared
        metas = prepared.metas
        # Those behind the first one without room are refused with it.
        end = fresh[count].at if count < len(fresh) else total
        del fresh[count:]
        self._make_room(prepared)
        self._place(queue, fresh, changes)
        changes.note_groups(queue)
        known = [at for at in repeats if at < end]
        queue.deduplicated_total += len(known)
        return Added(metas[:end], known, [each.envelope for each in fresh])

    def _sealed(
        self,
        queue: Queue,
        messages: Sequence[tuple[bytes, bytes]],
        options: Mapping[int, MessageOptions],
        repeats: Collection[int],
        name: Name,
    ) -> list[_Fresh]:
        """Make the messages that are no repeats."""
        queues = self._queues
        now_ns, steady_ns = queues.now_ns(), queues.steady_ns()
        places = [at for at in range(len(messages)) if at not in repeats]
        ids = queues.new_id.many(len(places))
        envelopes, metas = queues.sealer.seal_batch(ids, now_ns, [messages[at] for at in places])
        fresh: list[_Fresh] = []
        for at, envelope, meta in zip(places, envelopes, metas, strict=True):
            asked = options.get(at, _PLAIN)
            delay_ns = _delay_ns(asked, queue.info.settings, now_ns, name(at))
            ttl_ns = _ttl_ns(asked, now_ns, name(at))
            suffix = encode_options(
                available_ns=now_ns + delay_ns if delay_ns else 0,
                expires_ns=now_ns + ttl_ns if ttl_ns else 0,
                priority=asked.priority,
                dedup_id=asked.dedup_id,
                group_id=asked.group_id,
                fair_key=asked.fair_key,
            )
            fresh.append(
                _Fresh(
                    at,
                    envelope + suffix,
                    meta,
                    asked.priority,
                    asked.dedup_id,
                    asked.group_id,
                    asked.fair_key,
                    until_ns=steady_ns + delay_ns if delay_ns else 0,
                    expires_ns=steady_ns + ttl_ns if ttl_ns else 0,
                )
            )
        return fresh

    def _make_room(self, prepared: Prepared) -> None:
        """Let the oldest messages make room for others, if their queue is so."""
        queue, changes = prepared.queue, prepared.changes
        overflow = queue.info.settings.overflow
        if overflow is Overflow.REJECT:
            return
        for delivery in displace(queue, prepared.sizes):
            if overflow is Overflow.DEAD_LETTER_OLDEST:
                self._queues.bury(queue, delivery, DeadLetterReason.OVERFLOW, changes)
            else:
                changes.removed.append(delivery.entry)

    def _place(self, queue: Queue, fresh: Sequence[_Fresh], changes: Changes) -> None:
        """Put messages into a queue that has room for them."""
        store, steady_ns = self._queues.home_of(queue), self._queues.steady_ns()
        if any(each.dedup_id for each in fresh):
            changes.forgotten += queue.dedup.forget(steady_ns, MOMENTS_AT_ONCE_MAX)
        first_seq = store.number(len(fresh), steady_ns) if fresh else 0
        for seq, each in enumerate(fresh, first_seq):
            added = entry(seq, len(each.envelope), each.priority)
            if each.is_known:
                delivery = each.delivery(added)
                queue.add_known(delivery)
                changes.saved.append(delivery)
            elif each.priority:
                queue.add_ranked(added)
                changes.saved.append(each.delivery(added))
            else:
                queue.add_plain(added)
            changes.added.append((added, queue.number, each.envelope))
            if each.dedup_id:
                expires_ns = steady_ns + queue.info.settings.dedup_window_ns
                known = Known(seq, each.dedup_id, each.meta, expires_ns)
                queue.dedup.add(known)
                changes.known.append((queue.number, known))


def _repeats(
    queue: Queue, options: Mapping[int, MessageOptions], steady_ns: int
) -> dict[int, bytes | int]:
    """Return which messages are known already.

    Returns:
        By its place, the metadata of the message that was added then, or the place of the one
        before it that is to be added.
    """
    repeats: dict[int, bytes | int] = {}
    first: dict[str, int] = {}
    for at, asked in sorted(options.items()):
        if not asked.dedup_id:
            continue
        if known := queue.dedup.find(asked.dedup_id, steady_ns):
            repeats[at] = known.meta
        elif asked.dedup_id in first:
            repeats[at] = first[asked.dedup_id]
        else:
            first[asked.dedup_id] = at
    return repeats


def _check_dedup(queue: Queue, count: int, steady_ns: int) -> None:
    """Refuse more to remember than a queue may, once what is outdated is forgotten.

    Raises:
        DedupFull: so many more could not be remembered.
    """
    held = len(queue.dedup)
    if held + count <= DEDUP_IDS_MAX or not count:
        return
    held -= queue.dedup.outdated(steady_ns, MOMENTS_AT_ONCE_MAX)
    if held + count > DEDUP_IDS_MAX:
        next_ns = queue.dedup.next_ns(steady_ns) or steady_ns
        raise DedupFull(queue.info.id, DEDUP_IDS_MAX, held, (next_ns - steady_ns) / NS_PER_S)


def _delay_ns(asked: MessageOptions, settings: QueueSettings, now_ns: int, field: str) -> int:
    """Return how long a message is kept back.

    Raises:
        InvalidArgument: it is for too long; `field` names it.
    """
    if asked.delay_ns is not None:
        return asked.delay_ns
    if asked.available_ns is not None:
        ahead_ns = _within_reach(asked.available_ns, now_ns, f"{field}.options.available_at")
        return max(0, ahead_ns)
    return settings.delay_ns


def _ttl_ns(asked: MessageOptions, now_ns: int, field: str) -> int:
    """Return how long a message is of use by its own word; 0 for ever.

    Raises:
        InvalidArgument: it is of no use now, or for too long; `field` names it.
    """
    if asked.expires_ns is None:
        return asked.ttl_ns or 0
    if asked.expires_ns <= now_ns:
        raise InvalidArgument(
            f"{field}.options.expires_at",
            f"must be later than now; {utc(asked.expires_ns)} has passed",
        )
    return _within_reach(asked.expires_ns, now_ns, f"{field}.options.expires_at")


def _within_reach(moment_ns: int, now_ns: int, field: str) -> int:
    """Return how long it is to a moment.

    Raises:
        InvalidArgument: it is further ahead than a delay or ttl may be; `field` names it.
    """
    if moment_ns - now_ns > AHEAD_S_MAX * NS_PER_S:
        raise InvalidArgument(field, f"must be within 10 years from now; got {utc(moment_ns)}")
    return moment_ns - now_ns
