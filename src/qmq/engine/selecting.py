"""Commands on all queues that a selector matches: Lease and PopBatch on any of them.

What a selector matches is found once, and kept up to date from then on: to look for it at
each call would cost more the more queues there are. The queues that have messages free take
turns, so that one call costs the logarithm of their number.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from itertools import islice
from typing import Final, NamedTuple, Protocol

from qmq.engine.handing_out import Encoded, hand_out
from qmq.engine.places import Scope, Selection
from qmq.engine.queues import Home, Queues
from qmq.engine.waiting import IsGone
from qmq.envelope import (
    QUEUE_ID_BYTES,
    REPLY_OVERHEAD_BYTES,
    encode_queue_id,
)
from qmq.errors import DataLoss, QError, SelectionsFull, Unavailable
from qmq.limits import SELECTION_IDLE_S, SELECTIONS_MAX
from qmq.model.changes import Changes
from qmq.model.deliveries import HandedOut
from qmq.model.durability import durability_of, durability_reached
from qmq.model.leases import Holder
from qmq.model.queue import Queue
from qmq.model.reply_sizes import reply_bytes
from qmq.model.selector import Selector, parse
from qmq.store.base import QueueStore
from qmq.values import NS_PER_S, Durability

_IDLE_NS: Final = SELECTION_IDLE_S * NS_PER_S

#: Queues to look at before others have their turn.
_SLICE_QUEUES: Final = 200


class Holders(Protocol):
    """One who holds leases on messages of several queues, as many as it has room for."""

    @property
    def room(self) -> int:
        """How many further leases it has room for."""
        ...

    def of(self, queue_id: str) -> Holder:
        """Return what is told of its leases on messages of one queue."""
        ...


class Popped(NamedTuple):
    """Messages that were taken out of queues."""

    #: The envelopes.
    envelopes: list[bytes]
    #: The id of the queue of each.
    queue_ids: list[str]
    #: How durable it is that they are gone, at least.
    level: Durability


class _Asked(NamedTuple):
    """What a call of Lease asks for."""

    messages_max: int
    duration_ns: int | None
    consumer: str
    holders: Holders | None
    durability: Durability


class _Part(NamedTuple):
    """What was leased of one queue."""

    queue: Queue
    handed_out: HandedOut


class Selecting:
    """Commands on the queues that a selector matches, and which queues those are.

    Its methods raise the errors of `qmq.errors`. All that a call takes comes from queues of one
    store. It begins with the queue whose turn it is, and goes on with the next ones while the reply
    has room, up to the first queue that lives elsewhere.
    """

    def __init__(self, queues: Queues) -> None:
        self._queues = queues
        self._waiting = queues.waiting
        self._selections: dict[tuple[Selector, Scope | None], Selection] = {}
        self._forgetting: asyncio.Task[None] | None = None
        #: Where queues live of which nobody takes anything now, see `pass_over`.
        self._away: set[Home] = set()

    def __len__(self) -> int:
        """Count the selectors in use, and those that were in the last minute."""
        return len(self._selections)

    async def lease(  # noqa: PLR0913 - All that a caller can say.
        self,
        selector: str,
        messages_max: int,
        *,
        wait_s: float,
        is_gone: IsGone | None,
        duration_ns: int | None = None,
        consumer: str = "",
        holders: Holders | None = None,
        durability: int = Durability.UNKNOWN,
        scope: Scope | None = None,
    ) -> tuple[bytes, Durability]:
        """Hand out messages of any queues that a selector matches, for a time.

        Args:
            selector: which queues.
            messages_max: as in `Leasing.lease`, as are those that follow.
            wait_s: how long to wait for the first message at most.
            is_gone: tells whether the caller has left while it waited; None if it is cancelled.
            duration_ns: how long the leases last; None leaves that to each queue.
            consumer: who asks.
            holders: gets no more than it has room for, and knows of its leases.
            durability: a number of `Durability`, as in `Broker.add`.
            scope: among which queues; None stands for all.

        Returns:
            For each message, a `proto.LeasedMessage` with the id of its queue, as it stands in
            a reply; and how durable the leases are. UNKNOWN if there are none.

        Raises:
            InvalidArgument: it is no selector, or there is no such durability.
            DurabilityNotReached: the store of the queue whose turn it is cannot make it so
                durable.
            SelectionsFull: as many other selectors are in use as may be.
            Gone: the caller has left.
        """
        level = durability_of(durability)
        asked = _Asked(messages_max, duration_ns, consumer, holders, level)
        async with self._in_use(selector, scope) as selection:
            queue = await self._queue_with_messages(selection, wait_s, is_gone, level)
            if queue is None:
                return b"", Durability.UNKNOWN
            return await self._lease(selection, queue, asked)

    async def _lease(
        self, selection: Selection, queue: Queue, asked: _Asked
    ) -> tuple[bytes, Durability]:
        """Hand out messages of a queue that has some, then of the next queues in turn."""
        left = asked.messages_max
        if asked.holders and (left := min(left, asked.holders.room)) <= 0:
            self._waiting.serve(queue)
            return b"", Durability.UNKNOWN
        level, store = self._level_and_store(queue, asked.durability)
        now_ns = self._queues.steady_ns()
        bytes_left = self._queues.message_bytes_max
        parts: list[_Part] = []
        while True:
            handed_out = hand_out(
                self._queues,
                queue,
                left,
                bytes_left,
                now_ns=now_ns,
                duration_ns=asked.duration_ns,
                consumer=asked.consumer,
                holder=asked.holders.of(queue.info.id) if asked.holders else None,
            )
            self._waiting.count_out(selection, queue, len(handed_out))
            parts.append(_Part(queue, handed_out))
            left -= len(handed_out)
            if left <= 0 or not handed_out:
                break
            bytes_left -= reply_bytes(handed_out)
            follows = self._further(selection, queue, bytes_left)
            if follows is None:
                break
            queue = follows
            level = max(level, durability_reached(queue, asked.durability))
        return await self._keep(store, parts, level), level

    async def _keep(self, store: QueueStore, parts: Sequence[_Part], level: Durability) -> bytes:
        """Keep leases on messages of several queues of a store, and encode their messages."""
        changes = Changes()
        changes.leased = [handed_out for _, handed_out in parts]
        bytes_max = self._queues.envelope_bytes_max
        encoded = [
            Encoded(handed_out, bytes_max, encode_queue_id(queue.info.id))
            for queue, handed_out in parts
        ]
        with ExitStack() as stack:
            for queue, handed_out in parts:
                stack.enter_context(self._queues.setting_aside(queue, handed_out.entries))
            entries = [entry for _, handed_out in parts for entry in handed_out.entries]
            envelopes = iter(await store.commit(changes, entries, level))
        return b"".join(
            of_part.with_envelopes(list(islice(envelopes, len(handed_out))))
            for of_part, (_, handed_out) in zip(encoded, parts, strict=True)
        )

    async def pop_batch(  # noqa: PLR0913 - All that a caller can say.
        self,
        selector: str,
        messages_max: int,
        wait_s: float,
        is_gone: IsGone | None,
        *,
        durability: int = Durability.UNKNOWN,
        scope: Scope | None = None,
    ) -> Popped:
        """Take messages out of any queues that a selector matches.

        Args:
            selector: as in `lease`, as are those that follow.
            messages_max: as in `Messages.pop_batch`.
            wait_s: how long to wait for the first message at most.
            is_gone: tells whether the caller has left while it waited.
            durability: a number of `Durability`.
            scope: as in `lease`.

        Raises:
            InvalidArgument: as in `lease`, as are those that follow.
            DurabilityNotReached: likewise.
            SelectionsFull: likewise.
            Gone: likewise.
        """
        asked = durability_of(durability)
        async with self._in_use(selector, scope) as selection:
            queue = await self._queue_with_messages(selection, wait_s, is_gone, asked)
            if queue is None:
                return Popped([], [], Durability.UNKNOWN)
            return await self._pop(selection, queue, messages_max, asked)

    async def _pop(
        self, selection: Selection, queue: Queue, messages_max: int, asked: Durability
    ) -> Popped:
        """Take messages out of a queue that has some, then of the next queues in turn."""
        level, store = self._level_and_store(queue, asked)
        pending: list[Awaitable[list[bytes]]] = []
        queue_ids: list[str] = []
        left = messages_max
        bytes_left = self._queues.message_bytes_max - messages_max * QUEUE_ID_BYTES
        while True:
            count_before, bytes_before = queue.consumed_total, queue.bytes
            count_max = self._waiting.share(queue, left)
            level_here = durability_reached(queue, asked)
            pending.append(store.pop_batch(queue, count_max, bytes_left, level_here))
            count = queue.consumed_total - count_before
            self._waiting.count_out(selection, queue, count)
            self._queues.footprint.recount(queue)
            if queue.is_gated:
                self._queues.count_out(queue, count)
            queue_ids.append(queue.info.id)
            level = min(level, level_here)
            left -= count
            if left <= 0 or not count:
                break
            bytes_left -= bytes_before - queue.bytes + count * REPLY_OVERHEAD_BYTES
            follows = self._further(selection, queue, bytes_left)
            if follows is None:
                break
            queue = follows
        try:
            return Popped(*await _all_of(pending, queue_ids), level)
        except Unavailable:
            queue.failed_total += 1
            raise

    def look(self, queue: Queue) -> None:
        """Find the selections of a queue that is new, or whose tags have changed."""
        for selection in self._selections.values():
            self._look(selection, queue)

    def _look(self, selection: Selection, queue: Queue) -> None:
        is_in = queue.number in selection.members
        is_there = queue.info.home not in self._away
        if (is_there and selection.matches(queue.info)) is is_in:
            return
        if is_in:
            self._waiting.part(selection, queue)
        else:
            self._waiting.join(selection, queue)

    def replace(self, before: Iterable[Queue], queues: Iterable[Queue]) -> None:
        """Have queues that were read from disk anew in place of what they were before."""
        for queue in before:
            self.drop(queue)
        for queue in queues:
            self.look(queue)

    def drop(self, queue: Queue) -> None:
        """Take a queue that is deleted out of all selections; who waits for them waits on."""
        for selection in self._waiting.selections_of(queue):
            self._waiting.part(selection, queue)

    def pass_over(self, home: Home, *, is_away: bool) -> None:
        """Leave the queues of a store out of all selections while its database is away.

        Those that others wait for or take from go on with the rest.
        """
        if is_away is (home in self._away):
            return
        if is_away:
            self._away.add(home)
        else:
            self._away.remove(home)
        for queue in self._queues.catalog:
            if queue.info.home == home:
                self.look(queue)

    def stop_waiting(self, error: QError) -> None:
        """Let everybody go who waits for queues by a selector, with an error."""
        for selection in self._selections.values():
            self._waiting.dismiss_all(selection, error)

    async def close(self) -> None:
        """Find and forget no selections any more."""
        tasks = [selection.building for selection in self._selections.values()]
        under_way = [task for task in (*tasks, self._forgetting) if task]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    @asynccontextmanager
    async def _in_use(self, text: str, scope: Scope | None) -> AsyncIterator[Selection]:
        """Find the queues of a scope that a selector matches, and remember which they are.

        Raises:
            InvalidArgument: it is no selector.
            SelectionsFull: as many other selectors are in use as may be.
        """
        selector = parse(text)
        selection = self._selections.get((selector, scope)) or self._begin(selector, scope)
        selection.callers += 1
        try:
            if selection.building:
                await asyncio.shield(selection.building)
            yield selection
        finally:
            selection.callers -= 1
            selection.used_ns = self._queues.steady_ns()

    def _begin(self, selector: Selector, scope: Scope | None) -> Selection:
        """Begin to find the queues that a selector matches."""
        now_ns = self._queues.steady_ns()
        if len(self._selections) >= SELECTIONS_MAX:
            idle_in_s = self._idle_in_ns(now_ns) / NS_PER_S
            raise SelectionsFull(SELECTIONS_MAX, len(self._selections), idle_in_s)
        selection = self._selections[selector, scope] = Selection(selector, now_ns, scope)
        selection.building = asyncio.create_task(self._build(selection))
        if self._forgetting is None:
            self._forgetting = asyncio.create_task(self._forget_idle())
        return selection

    async def _build(self, selection: Selection) -> None:
        """Find the queues that a selector matches."""
        for at, queue in enumerate(list(self._queues.catalog), 1):
            # Those that come and change meanwhile are looked at by themselves.
            if self._queues.catalog.get(queue.info.id) is queue:
                self._look(selection, queue)
            if at % _SLICE_QUEUES == 0:
                await asyncio.sleep(0)
        selection.building = None

    async def _forget_idle(self) -> None:
        """Forget selections that nobody uses, for as long as there are any."""
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        while self._selections:
            now_ns = self._queues.steady_ns()
            for selection in list(self._selections.values()):
                if _is_idle(selection) and now_ns - selection.used_ns >= _IDLE_NS:
                    await self._forget(selection)
            await self._queues.timer.wait(never, self._idle_in_ns(now_ns) / NS_PER_S)
        self._forgetting = None

    async def _forget(self, selection: Selection) -> None:
        """Forget which queues a selector matches."""
        del self._selections[selection.selector, selection.scope]
        for at, member in enumerate(list(selection.members.values()), 1):
            # It may have been deleted meanwhile.
            if member.queue.number in selection.members:
                self._waiting.part(selection, member.queue)
            if at % _SLICE_QUEUES == 0:
                await asyncio.sleep(0)

    def _idle_in_ns(self, now_ns: int) -> int:
        """Return how long it takes until one of the selections in use can be forgotten."""
        used_ns = [each.used_ns for each in self._selections.values() if _is_idle(each)]
        return max(1, min(used_ns, default=now_ns) + _IDLE_NS - now_ns)

    async def _queue_with_messages(
        self, selection: Selection, wait_s: float, is_gone: IsGone | None, asked: Durability
    ) -> Queue | None:
        """Return whose turn it is, if need be once there are messages; None if not in time.

        A message of it is the caller's, who must take it at once.
        """
        queue = self._next(selection)
        if queue:
            return queue
        if wait_s > 0 and self._queues.is_stopping:
            raise self._queues.ending()
        queue = await self._waiting.turn_of(selection, wait_s, is_gone)
        if queue is None:
            await self._queues.settle_there(asked)
        return queue

    def _next(self, selection: Selection) -> Queue | None:
        """Return whose turn it is, if any queue has messages free now."""
        while (member := self._waiting.first(selection)) is not None:
            queue = member.queue
            if queue.is_timed:
                self._queues.pass_time(queue)
            if self._waiting.free(queue) > 0:
                return queue
        return None

    def _further(self, selection: Selection, before: Queue, bytes_left: int) -> Queue | None:
        """Return the next queue in turn, if the same call can go on with it."""
        queue = self._next(selection)
        if queue is None or queue.info.home != before.info.home:
            return None
        head = queue.head()
        fits = head is not None and queue.leases.reply_bytes(head) <= bytes_left
        return queue if fits else None

    def _level_and_store(self, queue: Queue, asked: Durability) -> tuple[Durability, QueueStore]:
        """Return how durable a change will be, and the store, ready to take it.

        If it is refused, the message is for who comes next.
        """
        try:
            return durability_reached(queue, asked), self._queues.store_of(queue)
        except QError:
            self._waiting.serve(queue)
            raise


def _is_idle(selection: Selection) -> bool:
    """Whether nobody uses what is known of a selector."""
    return selection.callers == 0 and selection.building is None


async def _all_of(
    pending: Sequence[Awaitable[list[bytes]]], queue_ids: Sequence[str]
) -> tuple[list[bytes], list[str]]:
    """Return the messages of all, one after the other, and of which queue each is.

    Raises:
        DataLoss: none is left of what was taken, but for what is damaged.
    """
    if len(pending) == 1:
        envelopes = await pending[0]
        return envelopes, [queue_ids[0]] * len(envelopes)
    results = await asyncio.gather(*pending, return_exceptions=True)
    failed = [each for each in results if isinstance(each, BaseException)]
    taken = [
        (envelope, queue_id)
        for envelopes, queue_id in zip(results, queue_ids, strict=True)
        if not isinstance(envelopes, BaseException)
        for envelope in envelopes
    ]
    for error in failed:
        if not (taken and isinstance(error, DataLoss)):
            raise error
    return [envelope for envelope, _ in taken], [queue_id for _, queue_id in taken]
