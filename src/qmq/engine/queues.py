"""What all commands of the broker share: the queues, their stores, and time."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn

from qmq.clock import Clock
from qmq.engine.alarms import Alarms
from qmq.engine.places import Selection
from qmq.engine.shards import Shards
from qmq.engine.waiting import IsGone, Timer, Waiting
from qmq.envelope import HANDED_OUT_OVERHEAD_BYTES, REPLY_OVERHEAD_BYTES, Sealer
from qmq.errors import (
    DataLoss,
    DiskFull,
    QError,
    QueueEmpty,
    QueueNotFound,
    ShuttingDown,
    TooLarge,
    Unavailable,
)
from qmq.ids import RandomIds
from qmq.model.catalog import Catalog
from qmq.model.changes import Changes
from qmq.model.counts import take_counts
from qmq.model.dead_letters import bury
from qmq.model.delivery import Delivery
from qmq.model.footprint import Footprint
from qmq.model.index import seq_of
from qmq.model.queue import Ended, Queue
from qmq.store.base import QueueStore
from qmq.values import NS_PER_S, DeadLetterReason, Durability, Store

#: Where queues live: a store, and the number of the shard.
Home = tuple[Store, int]


def _nobody_asks(_: str) -> None:
    """Count for no redrive."""


class Queues:
    """The queues of one server, and what every command needs to work on them."""

    def __init__(  # noqa: PLR0913 - What it is made of, each by name.
        self,
        stores: Mapping[Store, QueueStore],
        *,
        shards: Shards,
        clock: Clock,
        timer: Timer,
        new_id: RandomIds,
        chance: Callable[[], float],
        queues: Iterable[Queue],
        queues_max: int,
        message_bytes_max: int,
        footprint: Footprint,
    ) -> None:
        """See `qmq.engine.broker.Broker`."""
        self.catalog = Catalog(queues_max)
        self.stores = stores
        self.shards = shards
        #: Tells the present, as people know it.
        self.now_ns = clock.now_ns
        #: Tells the present by a clock that nobody sets, for what lasts a given time; it numbers
        #: messages too, so that how old they are is not changed by who sets the other one.
        self.steady_ns = timer.now_ns
        self.timer = timer
        self.new_id = new_id
        self.chance = chance
        self.message_bytes_max = message_bytes_max
        #: What the messages take in memory.
        self.footprint = footprint
        self.envelope_bytes_max = message_bytes_max - HANDED_OUT_OVERHEAD_BYTES
        self.sealer = Sealer()
        self.waiting = Waiting(timer, self._may_take)
        self.alarms = Alarms(timer, self.pass_time)
        #: Told of each dead letter that a redrive had moved: the redrive's id.
        self.on_failed_again: Callable[[str], None] = _nobody_asks
        self.is_stopping = False
        self.is_closing = False
        #: Makes the error of whoever calls after that.
        self.ending: Callable[[], Unavailable] = _shutting_down
        for queue in queues:
            self.catalog.add(queue)

    async def find(self, reference: str) -> Queue:
        """Return the queue that has the id or name.

        What each message goes through does the same by itself, which saves a coroutine.

        Raises:
            QueueNotFound: no queue has the id.
            InvalidArgument: it is neither a UUID nor the name of a queue.
        """
        return self.catalog.get(reference) or await self.refuse(reference)

    async def refuse(self, reference: str) -> NoReturn:
        """Say that no queue has the id or name, when that cannot be taken back any more."""
        try:
            self.catalog.find(reference)
        except QError:
            self.shards.check_known(reference)
            # The queue may have been deleted this moment.
            if (shard := self.shards.of(reference)) is None:
                await self.settle()
            else:
                await self.shards.stores[shard].settle()
            raise
        raise read_anew()

    async def settle(self) -> None:
        """Wait until all that was decided upon so far is durable.

        Raises:
            Unavailable: of one of the stores it is not, or nobody knows what is in it.
        """
        self.shards.check_all()
        for store in (*self.stores.values(), *self.shards.further):
            await store.settle()

    async def settle_there(self, durability: Durability) -> None:
        """Wait until all is so durable that was decided upon where databases answer."""
        for store in (*self.stores.values(), *self.shards.further):
            if self.shards.is_there(store):
                await store.settle(durability)

    def home(self, store: Store, shard: int) -> QueueStore:
        """Return the store that has the queues of a shard, whatever it can do at the moment."""
        return self.shards.stores[shard] if shard else self.stores[store]

    def home_of(self, queue: Queue) -> QueueStore:
        """Return the store of a queue, whatever it can do at the moment."""
        info = queue.info
        return self.shards.stores[info.shard] if info.shard else self.stores[info.store]

    def store_of(self, queue: Queue) -> QueueStore:
        """Return the store of a queue, ready to take a call."""
        if self.is_closing:
            raise self.ending()
        store = self.home_of(queue)
        store.check()
        return store

    def store_to_read(self, queue: Queue) -> QueueStore:
        """Return the store of a queue, ready to be asked what changes nothing."""
        if self.is_closing:
            raise self.ending()
        store = self.home_of(queue)
        store.check(only_reads=True)
        return store

    def replace(self, home: Home, queues: Iterable[Queue]) -> None:
        """Let the queues of a store be those that it has read from disk anew.

        Who waits for one of them is let go, since it may be another one by now.
        """
        gone = [queue for queue in self.catalog if queue.info.home == home]
        for queue in gone:
            self.catalog.remove(queue)
            self.waiting.dismiss(queue, read_anew())
            self.footprint.forget(queue)
        self.alarms.forget(gone)
        anew = {queue.number: queue for queue in queues}
        for queue in gone:
            now = anew.get(queue.number) or Queue(queue.number, queue.info)
            # Who holds none of them on lease any more has room for others.
            now.leases.take_holders(queue.leases)
            take_counts(now, queue)
        others = list(self.catalog)
        for queue in others:
            self.catalog.remove(queue)
        # In the order of their creation, as the catalog has them.
        for queue in sorted((*others, *anew.values()), key=lambda queue: queue.number):
            self.catalog.add(queue)

    def pass_time(self, queue: Queue) -> None:
        """End what ends by now: leases and delays. Messages may be ready after that."""
        self.footprint.recount(queue)
        moment_ns = queue.next_moment_ns()
        if moment_ns is None and not queue.is_timed:
            return
        if self.catalog.get(queue.info.id) is not queue:
            return
        now_ns = self.steady_ns()
        if moment_ns is None or moment_ns > now_ns:
            if moment_ns is not None:
                self.alarms.set(queue, moment_ns)
            if queue.nothing_ends(now_ns):
                self.waiting.serve(queue)
            return
        try:
            self.store_of(queue)
        except Unavailable:
            # What has to move could not: look again, since nothing is lost meanwhile.
            self.alarms.set(queue, now_ns + NS_PER_S)
            return
        ended = queue.pass_time(now_ns)
        changes = Changes()
        if any(ended):
            self._take_out(queue, ended, changes)
            self.footprint.recount(queue)
        changes.note_groups(queue)
        if any(ended) or changes.groups or changes.saved:
            self.leave_to_itself(self.home_of(queue).commit(changes))
        self.set_alarm(queue)
        self.waiting.serve(queue)

    @contextmanager
    def setting_aside(self, queue: Queue, entries: Sequence[int]) -> Iterator[None]:
        """Leave out of a queue what was handed out and turns out to be damaged.

        The others of the call come back when their leases end.
        """
        try:
            yield
        except DataLoss as error:
            damaged = [each for each in entries if seq_of(each) in error.seqs]
            self.store_of(queue).set_aside(queue, damaged)
            raise

    def _take_out(self, queue: Queue, ended: Ended, changes: Changes) -> None:
        """Take messages out of a queue that time has brought to their end."""
        for delivery in ended.worn_out:
            self.bury(queue, delivery, DeadLetterReason.DELIVERY_COUNT_MAX, changes)
        expired = ended.expired + [Delivery(entry) for entry in ended.expired_fresh]
        if queue.info.settings.dead_letter_expired:
            for delivery in expired:
                self.bury(queue, delivery, DeadLetterReason.EXPIRED, changes)
        else:
            for delivery in ended.expired:
                queue.leases.forget(delivery)
            changes.removed += (delivery.entry for delivery in expired)

    def count_out(self, queue: Queue, count: int) -> None:
        """Count popped messages against the rate of their queue.

        Others may be promised more: what is popped takes no place among those on lease.
        """
        queue.count_out(count, self.steady_ns())
        self.set_alarm(queue)
        self.waiting.serve(queue)

    def set_alarm(self, queue: Queue) -> None:
        """See to it that time passes for a queue when something of it ends."""
        moment_ns = queue.next_moment_ns()
        if moment_ns is not None:
            self.alarms.set(queue, moment_ns)

    def bury(
        self, queue: Queue, delivery: Delivery, reason: DeadLetterReason, changes: Changes
    ) -> None:
        """Move a message to its queue's dead-letter queue, which it has."""
        target = self.catalog.find(queue.info.settings.dead_letter_queue_id)
        now_ns = self.now_ns()
        move = bury(
            queue,
            delivery,
            target,
            new_seq=self.home_of(queue).number(1, self.steady_ns()),
            now_ns=now_ns,
            reason=reason,
            envelope_bytes_max=self.envelope_bytes_max,
        )
        changes.moved.append(move)
        if delivery.redrive_id:
            self.on_failed_again(delivery.redrive_id)
        self.set_alarm(target)
        self.waiting.serve(target)

    def leave_to_itself(self, pending: Awaitable[object]) -> None:
        """Let a change become durable that nobody waits for; that it fails shows elsewhere."""
        future = asyncio.ensure_future(pending)
        future.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def message_comes(
        self, queue: Queue, wait_s: float, is_gone: IsGone | None, durability: Durability
    ) -> bool:
        """Wait for a message; if there is one, it is the caller's, who must take it at once.

        That there is none is so durable when it is told.

        Raises:
            Gone: the caller has left.
            QueueNotFound: the queue was deleted meanwhile.
            Unavailable: q is shutting down, or the store takes no calls any more.
        """
        if wait_s > 0 and self.is_stopping:
            raise self.ending()
        try:
            await self.waiting.turn(queue, wait_s, is_gone)
        except QueueEmpty:
            await self.home_of(queue).settle(durability)
            return False
        except QueueNotFound:
            await self.home_of(queue).settle()
            raise
        if self.catalog.get(queue.info.id) is not queue:
            await self.refuse(queue.info.id)
        try:
            self.store_of(queue)
        except Unavailable:
            # The message stays, and is for who comes next.
            self.waiting.serve(queue)
            raise
        return True

    def _may_take(self, queue: Queue, selection: Selection | None) -> bool:
        """Tell whether a message is still there that was promised to somebody.

        It may have come to be of no use, or was purged, or acked late, or the queue was paused;
        or the queue is not in the selection any more that the caller waits for.

        Raises:
            Unavailable: q is shutting down, so that no other message will be promised.
        """
        self.pass_time(queue)
        if selection:
            member = selection.members.get(queue.number)
            if queue.available and member and member.queue is queue:
                return True
        elif queue.available or self.catalog.get(queue.info.id) is not queue:
            return True
        if self.is_stopping:
            raise self.ending()
        return False

    def check_size(self, envelope: bytes, field: str) -> None:
        """Refuse a message that no reply could carry.

        Raises:
            TooLarge: it is one; `field` names it.
        """
        if len(envelope) > self.envelope_bytes_max:
            size = len(envelope) + HANDED_OUT_OVERHEAD_BYTES
            raise TooLarge(
                f"{field}: payload, tags and metadata take {size} bytes, more than"
                f" message_bytes_max of {self.message_bytes_max}",
                "message_bytes_max",
                self.message_bytes_max,
                size,
            )

    def check_sizes(self, envelopes: Sequence[bytes], field: str) -> None:
        """Refuse messages of which one is more than a reply could carry."""
        if max(map(len, envelopes), default=0) > self.envelope_bytes_max:
            for at, envelope in enumerate(envelopes):
                self.check_size(envelope, f"{field}[{at}]")

    def check_reply_size(self, metas: Sequence[bytes]) -> None:
        """Refuse messages whose metadata is more than a reply could carry.

        Raises:
            TooLarge: it is.
        """
        size = sum(map(len, metas)) + REPLY_OVERHEAD_BYTES
        if size > self.message_bytes_max:
            raise TooLarge(
                f"messages: the reply, tags and metadata of all, takes {size} bytes, more than"
                f" message_bytes_max of {self.message_bytes_max}; send fewer in one batch",
                "message_bytes_max",
                self.message_bytes_max,
                size,
            )


def random_chance() -> float:
    """Return a number from 0 to 1, for jitter."""
    return random.random()  # noqa: S311 - It spreads load, and protects nothing.


def read_anew() -> DiskFull:
    """Return the error of whoever held on to a queue that was read from disk anew."""
    return DiskFull("the disk was full, and the queue was read from it anew; call again")


def _shutting_down() -> ShuttingDown:
    """Return the error of whoever calls too late."""
    return ShuttingDown("q is shutting down; the same call may succeed at its successor")
