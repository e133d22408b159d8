"""The broker: finds the queue that a call is about and lets its store carry it out."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from qmq.clock import Clock
from qmq.descriptions import Pause, QueueInfo, QueueSettings
from qmq.engine.browsing import Browsing
from qmq.engine.grouping import Grouping
from qmq.engine.leasing import Leasing
from qmq.engine.messages import Messages
from qmq.engine.overseeing import Overseeing
from qmq.engine.overview import Overview
from qmq.engine.picking import Picking
from qmq.engine.queues import Queues, random_chance
from qmq.engine.rates import RateSampler
from qmq.engine.redriving import Redriving
from qmq.engine.scheduling import Scheduling
from qmq.engine.selecting import Selecting
from qmq.engine.shards import FIRST, Shards
from qmq.engine.waiting import SteadyTimer, Timer
from qmq.errors import (
    InvalidArgument,
    NameTaken,
    QueueInUse,
    QueueNotFound,
    StoreNotConfigured,
    Unavailable,
    UnknownStore,
)
from qmq.ids import RandomIds, on_shard
from qmq.limits import MESSAGE_BYTES_MAX, QUEUES_MAX
from qmq.model.changes import Changes
from qmq.model.dead_letters import check_dead_letter_queue
from qmq.model.durability import check_durability_min, durability_of, durability_reached
from qmq.model.footprint import Footprint
from qmq.model.queue import Queue
from qmq.model.tags import with_tag, without_tag
from qmq.store.base import Held, QueueStore
from qmq.values import UNBOUNDED, Durability, Overflow, Store, Tag

#: Where queues live whose creator does not say: in the first of these that there is.
_BY_DEFAULT: Final = (Store.CLUSTER, Store.DISK, Store.MEMORY)

#: What a store would need.
_MISSING: Final = {
    Store.DISK: "DISK needs a data directory and this server runs without one;"
    " start q with --data DIR, or use MEMORY",
    Store.CLUSTER: "CLUSTER needs a database and this server runs without one;"
    " start q with --postgres DSN, or use DISK or MEMORY",
}

_NOT_SHARED: Final = (
    "DISK belongs to one machine and this server is one of a cluster; use CLUSTER, or MEMORY"
)


class Broker:
    """All queues of one server.

    Its methods raise the errors of `qmq.errors`. A reference to a queue is its UUID or
    its name; a method that takes one raises QueueNotFound or InvalidArgument when no
    queue has it.
    """

    def __init__(  # noqa: PLR0913 - What it is made of, each by name.
        self,
        stores: Mapping[Store, QueueStore],
        *,
        clock: Clock,
        new_id: RandomIds,
        held: Held | None = None,
        queues_max: int = QUEUES_MAX,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
        footprint: Footprint | None = None,
        timer: Timer = SteadyTimer(),  # noqa: B008 - It has no state that changes.
        chance: Callable[[], float] = random_chance,
        shards: Shards | None = None,
    ) -> None:
        """Make a broker.

        Args:
            stores: the stores that queues can live in.
            clock: tells when queues and messages were made.
            new_id: makes the ids of queues and messages.
            held: what the stores hold already; None for nothing.
            queues_max: most queues.
            message_bytes_max: most bytes of a reply that carries one message.
            footprint: where the stores count what messages take in memory; None for no limit.
            timer: measures how long callers wait, and leases and delays last.
            chance: returns numbers from 0 to 1, for the jitter of back-offs.
            shards: the databases of a cluster, if there are several.
        """
        self._queues = Queues(
            stores,
            shards=shards or Shards(),
            clock=clock,
            timer=timer,
            new_id=new_id,
            chance=chance,
            queues=held.queues if held else (),
            queues_max=queues_max,
            message_bytes_max=message_bytes_max,
            footprint=footprint or Footprint(),
        )
        self.catalog = self._queues.catalog
        self._rates = RateSampler(self.catalog, timer)
        self._take_at_hand(Messages(self._queues), Overview(self._queues, self._rates))
        #: Commands about messages on lease.
        self.leasing = Leasing(self._queues)
        #: Commands on the queues that a selector matches.
        self.selecting = Selecting(self._queues)
        #: Commands about redrives.
        self.redriving = Redriving(self._queues, held.redrives if held else ())
        #: Commands about schedules.
        self.scheduling = Scheduling(self._queues, held.schedules if held else ())
        #: Commands about groups of messages.
        self.grouping = Grouping(self._queues)
        #: Commands that show messages.
        self.browsing = Browsing(self._queues)
        #: Tells how the server does.
        self.overseeing = Overseeing(self._queues)
        #: Commands about messages by their ids.
        self.picking = Picking(self._queues)
        self._last_queue_number = held.last_queue_number if held else 0

    def _take_at_hand(self, messages: Messages, overview: Overview) -> None:
        """Let commands be the broker's own that have a room of their own."""
        # Those that nearly all calls are about.
        self.add = messages.add
        self.add_with = messages.add_with
        self.add_batch = messages.add_batch
        self.add_batch_with = messages.add_batch_with
        self.pop = messages.pop
        self.pop_batch = messages.pop_batch
        self.peek = messages.peek
        # Those that describe queues and count what they hold.
        self.get_queue = overview.get_queue
        self.list_queues = overview.list_queues
        self.stats = overview.stats

    def start(self) -> None:
        """Let time pass for the queues that the stores held already.

        Redrives and schedules go on. From now on rates are sampled.
        """
        for queue in self.catalog:
            self._queues.pass_time(queue)
        self.redriving.go_on()
        self.scheduling.start()
        self._rates.start()

    def replace(self, kind: Store, held: Held, *, shard: int = 0) -> None:
        """Take what a store has read from disk anew for all that was known of it.

        Who waits for its messages is let go. Queues go on with what they have counted before, of
        which some was refused at the last.

        Args:
            kind: the store.
            held: what it has read.
            shard: which of a cluster's databases it is.
        """
        home = (kind, shard)
        queues = held.queues
        before = [queue for queue in self.catalog if queue.info.home == home]
        self._queues.replace(home, queues)
        self._last_queue_number = max(self._last_queue_number, held.last_queue_number)
        self.selecting.replace(before, queues)
        if before:
            self.leasing.forget_acks()
        self.redriving.replace(home, held.redrives)
        self.scheduling.replace(home, held.schedules)
        numbers = {queue.number for queue in queues}
        self._rates.forget(queue for queue in before if queue.number not in numbers)
        for queue in queues:
            self._queues.pass_time(queue)

    def reached(self, reference: str, asked: int) -> Durability:
        """Return how durable a change to a queue's messages will be when it is answered.

        A caller that is told the level hands it on to the call, so that it stays true even if the
        queue's settings change meanwhile.

        Args:
            reference: the queue's id or name. If no queue has it, the level that was asked
                for is returned, since the call itself says what is wrong.
            asked: a number of `Durability`; UNKNOWN means as durable as the store can.

        Raises:
            DurabilityNotReached: the queue's store cannot make it so durable.
            InvalidArgument: there is no such level.
        """
        queue = self.catalog.get(reference)
        return durability_reached(queue, asked) if queue else durability_of(asked)

    async def new_queue(
        self,
        kind: int,
        *,
        limit: int = UNBOUNDED,
        name: str = "",
        tags: Sequence[Tag] = (),
        settings: QueueSettings = QueueSettings(),  # noqa: B008 - Frozen.
    ) -> QueueInfo:
        """Create a queue.

        Args:
            kind: a number of `Store`; UNKNOWN means DISK where there is one, else MEMORY.
            limit: most messages it holds; -1 and 0 mean no limit.
            name: unique, or empty for none.
            tags: in the order to keep; repeated pairs count once.
            settings: how it hands out messages; the dead-letter queue by id or name.

        Raises:
            UnknownStore: there is no such store.
            StoreNotConfigured: this server runs without it.
            InvalidArgument: limit, name or a setting breaks its rule.
            QueueNotFound: there is no such dead-letter queue.
            NameTaken: another queue has the name.
            LimitReached: the server holds as many queues as it may.
            Unavailable: one of a cluster's databases was not read yet.
        """
        store_kind = self._store_kind(kind)
        _check_limit(limit)
        try:
            self.catalog.check_room(name)
        except NameTaken:
            await self._queues.home_of(self.catalog.find(name)).settle()
            raise
        shard = self._place(store_kind, tags, settings)
        info = QueueInfo(
            id=on_shard(self._queues.new_id().decode(), shard),
            shard=shard,
            created_ns=self._queues.now_ns(),
            store=store_kind,
            limit=limit or UNBOUNDED,
            name=name,
            tags=tuple(dict.fromkeys(tags)),
        )
        info = replace(info, settings=self._checked(info, settings))
        self._last_queue_number += 1
        queue = Queue(self._last_queue_number, info)
        store = self._queues.store_of(queue)
        queue.durability_max = store.durability_max
        # The name is taken from now on, also while the store still works.
        self.catalog.add(queue)
        self.selecting.look(queue)
        try:
            await store.new_queue(queue)
        except Exception:
            self.catalog.remove(queue)
            self.selecting.drop(queue)
            self._queues.footprint.forget(queue)
            raise
        return info

    def _place(self, kind: Store, tags: Sequence[Tag], settings: QueueSettings) -> int:
        """Return on which shard a new queue is to live."""
        # What is in one that was not read may have the name, or the number.
        self._queues.shards.check_known()
        if kind is not Store.CLUSTER:
            return FIRST
        target = self.catalog.get(settings.dead_letter_queue_id)
        now_ns = self._queues.steady_ns()
        dead_letters = target.info if target else None
        return self._queues.shards.place(tags, dead_letters, self.catalog, now_ns)

    def _store_kind(self, number: int) -> Store:
        """Return which store a number of the wire means here."""
        try:
            kind = Store(number)
        except ValueError:
            raise UnknownStore(number) from None
        if kind is Store.UNKNOWN:
            return next(each for each in _BY_DEFAULT if each in self._queues.stores)
        if kind not in self._queues.stores:
            is_shared = Store.CLUSTER in self._queues.stores
            raise StoreNotConfigured(f"store: {_NOT_SHARED if is_shared else _MISSING[kind]}")
        return kind

    def _checked(self, info: QueueInfo, settings: QueueSettings) -> QueueSettings:
        """Return settings of a queue, with its dead-letter queue by id."""
        most = self._queues.home(*info.home).durability_max
        check_durability_min(info.store, most, settings.durability_min)
        if settings.dead_letter_queue_id:
            try:
                target = self.catalog.find(settings.dead_letter_queue_id).info
            except InvalidArgument as error:
                self._queues.shards.check_known(settings.dead_letter_queue_id)
                raise InvalidArgument("settings.dead_letter_queue_id", error.rule) from None
            except QueueNotFound:
                self._queues.shards.check_known(settings.dead_letter_queue_id)
                raise
            check_dead_letter_queue(info, target, lambda id_: self.catalog.find(id_).info)
            return replace(settings, dead_letter_queue_id=target.id)
        _check_makes_no_dead_letters(settings)
        return settings

    async def update_queue(
        self,
        reference: str,
        change: Callable[[QueueSettings], QueueSettings],
        limit: int | None = None,
    ) -> QueueInfo:
        """Change how a queue hands out messages, and how many it holds.

        Args:
            reference: the queue's id or name.
            change: returns the new settings, given those of now.
            limit: most messages it holds, as in `new_queue`; None leaves it.

        Raises:
            InvalidArgument: the limit or a setting breaks its rule.
        """
        queue = await self._queues.find(reference)
        if limit is not None:
            _check_limit(limit)
        store = self._queues.store_of(queue)
        info = queue.info
        settings = self._checked(info, change(info.settings))
        new_limit = info.limit if limit is None else limit or UNBOUNDED
        info = replace(info, settings=settings, limit=new_limit)
        self.catalog.change(queue, info)
        saved = store.save_info(queue)
        # Messages may be of no use any more by the new settings, or more may be handed out.
        self._queues.pass_time(queue)
        self._queues.waiting.serve(queue)
        await saved
        return info

    async def pause(self, reference: str, *, adds: bool) -> QueueInfo:
        """Hand out no messages of a queue until `resume`; `adds`: and take none either."""
        queue = await self._queues.find(reference)
        store = self._queues.store_of(queue)
        since_ns = queue.info.pause.since_ns if queue.info.pause else self._queues.now_ns()
        info = replace(queue.info, pause=Pause(since_ns=since_ns, adds=adds))
        self.catalog.change(queue, info)
        await store.save_info(queue)
        return info

    async def resume(self, reference: str) -> QueueInfo:
        """End a pause; that there is none is no error."""
        queue = await self._queues.find(reference)
        store = self._queues.store_of(queue)
        info = replace(queue.info, pause=None)
        self.catalog.change(queue, info)
        saved = store.save_info(queue)
        self._queues.waiting.serve(queue)
        await saved
        return info

    async def purge(self, reference: str) -> int:
        """Remove all messages of a queue, and return how many there were."""
        queue = await self._queues.find(reference)
        store = self._queues.store_of(queue)
        count = queue.message_count
        purged = store.purge(queue)
        self._queues.footprint.recount(queue)
        changes = Changes()
        changes.note_groups(queue)
        # In one commit with it, so that there is nothing to wait for besides.
        self._queues.leave_to_itself(store.commit(changes))
        await purged
        return count

    async def delete_queue(self, reference: str) -> None:
        """Delete a queue and its messages.

        Raises:
            QueueNotFound: no queue has the id, so that there is nothing to do.
            QueueInUse: it is the dead-letter queue of another one.
        """
        queue = await self._queues.find(reference)
        store = self._queues.store_of(queue)
        if source := self.catalog.source_of(queue):
            await store.settle()
            raise QueueInUse(queue.info.id, source)
        self.catalog.remove(queue)
        # In one turn, so that it is one commit with what follows.
        self.scheduling.drop(queue)
        self.selecting.drop(queue)
        deleted = store.delete_queue(queue)
        self._queues.footprint.forget(queue)
        self._queues.waiting.dismiss(queue, QueueNotFound(queue.info.id))
        await deleted

    async def add_queue_tag(self, reference: str, tag: Tag) -> None:
        """Add a tag to a queue, unless it has it.

        Raises:
            InvalidArgument: the queue's tags would be more, or longer, than q allows.
        """
        queue = await self._queues.find(reference)
        await self._set_tags(queue, with_tag(queue.info, tag))

    async def delete_queue_tag(self, reference: str, tag: Tag) -> None:
        """Remove a tag from a queue, if it has it."""
        queue = await self._queues.find(reference)
        await self._set_tags(queue, without_tag(queue.info, tag))

    async def _set_tags(self, queue: Queue, info: QueueInfo) -> None:
        """Keep what a queue is from now on, if its tags have changed."""
        store = self._queues.store_of(queue)
        if info is queue.info:
            await store.settle()
            return
        queue.info = info
        saved = store.save_info(queue)
        self.selecting.look(queue)
        await saved

    def waiting(self, queue: Queue) -> int:
        """Count the calls that wait for messages of a queue. Any thread may ask."""
        return self._queues.waiting.count(queue)

    def stop_waiting(self, ending: Callable[[], Unavailable] | None = None) -> None:
        """Let everybody go who waits for a message.

        Nobody waits from then on; who would is told the same.

        Args:
            ending: makes the error that they get; None means that q is shutting down.
        """
        self._queues.is_stopping = True
        self._queues.ending = ending or self._queues.ending
        for queue in self.catalog:
            self._queues.waiting.dismiss(queue, self._queues.ending())
        self.selecting.stop_waiting(self._queues.ending())

    def ending(self) -> Unavailable:
        """Return the error of whoever calls after `stop_waiting` or `close`."""
        return self._queues.ending()

    async def close(self) -> None:
        """Take no more calls, and close the stores when what is under way is durable."""
        self._queues.is_closing = True
        self.stop_waiting()
        await self._queues.alarms.close()
        await self.redriving.close()
        await self.scheduling.close()
        await self.selecting.close()
        await self._rates.close()
        stores = (*self._queues.stores.values(), *self._queues.shards.further)
        # Together, since one whose database is away waits for it for a while.
        await asyncio.gather(*(store.close() for store in stores))


def _check_limit(limit: int) -> None:
    if limit < UNBOUNDED:
        raise InvalidArgument("limit", f"must be -1 or 0 (no limit) or more; got {limit}")


def _check_makes_no_dead_letters(settings: QueueSettings) -> None:
    """Refuse settings of a queue without a dead-letter queue with which it would need one."""
    for field, is_set, rule in (
        (
            "delivery_count_max",
            settings.delivery_count_max > 0,
            "messages that were delivered too often must go somewhere, since q throws none away",
        ),
        (
            "dead_letter_expired",
            settings.dead_letter_expired,
            "that is where messages would go whose ttl has passed; else they are dropped",
        ),
        (
            "overflow",
            settings.overflow is Overflow.DEAD_LETTER_OLDEST,
            "that is where the oldest messages would go; DROP_OLDEST drops them",
        ),
    ):
        if is_set:
            raise InvalidArgument(f"settings.{field}", f"needs a dead_letter_queue_id: {rule}")
