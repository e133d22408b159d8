"""Commands about messages that somebody has picked by their ids: delete them, or move them."""

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from qmq.engine.finding import find_messages, first_of_size, is_there
from qmq.engine.queues import Queues
from qmq.errors import (
    AccessDenied,
    AddsPaused,
    InvalidArgument,
    MemoryFull,
    MessageLeased,
    MessageNotFound,
    NoDeadLetter,
    QError,
    QueueFull,
    QueueNotFound,
    StoresDiffer,
)
from qmq.model.catalog import parse_uuid
from qmq.model.changes import Changes
from qmq.model.moving import Moves
from qmq.model.picking import Picked, check_free, check_target, delete, destination_of, move
from qmq.model.queue import Queue

#: What is said of a message alone, while the others of the call are seen to.
_REFUSALS = (
    AccessDenied,
    AddsPaused,
    InvalidArgument,
    MemoryFull,
    MessageLeased,
    NoDeadLetter,
    QueueFull,
    QueueNotFound,
    StoresDiffer,
)


class Moved(NamedTuple):
    """A message that is where it was to go."""

    #: The UUID of the queue.
    queue_id: str
    #: Whether it was there before the call.
    was_there: bool = False


#: What became of one message: nothing to say, where it is now, or why it was left alone.
Result = Moved | QError | None


def _anywhere(_: str) -> None:
    """Let messages go to any queue."""


class Picking:
    """Commands about messages by their ids.

    Its methods raise the errors of `qmq.errors`; a reference to a queue is as in
    `qmq.engine.broker.Broker`.
    """

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def delete(
        self,
        reference: str,
        message_ids: Sequence[str],
        *,
        leased: bool = False,
        created_ns: int | None = None,
    ) -> list[Result]:
        """Remove messages for good, in whatever state they are.

        Args:
            reference: the queue's id or name.
            message_ids: their UUIDs; one that is there twice counts once.
            leased: also those that are on lease; who has one can do nothing with it any more.
            created_ns: before when none of them was created, as `find_messages` has it.

        Returns:
            For each id, in order, None or why the message is still there, or is not.
        """
        parsed = _parsed(message_ids)
        results: dict[str, Result] = {each: None for each in parsed if isinstance(each, str)}
        queue = await self._queues.find(reference)
        found = await find_messages(self._queues, queue, results.keys(), created_ns)
        queue = await self._queues.find(queue.info.id)
        store = self._queues.store_of(queue)
        self._queues.pass_time(queue)
        free = self._free(queue, found, results, leased=leased)
        changes = Changes()
        changes.removed = delete(queue, free)
        changes.note_groups(queue)
        kept = store.commit(changes)
        self._let_go_on(queue)
        # That the others are not there rests on changes of others, which are in that too.
        await kept
        _note_missing(queue, results.keys() - {each.id for each in free}, results)
        return _in_order(parsed, results)

    async def move(  # noqa: PLR0913 - All that a caller can say.
        self,
        reference: str,
        message_ids: Sequence[str],
        target_reference: str = "",
        *,
        leased: bool = False,
        created_ns: int | None = None,
        check_right: Callable[[str], None] = _anywhere,
    ) -> list[Result]:
        """Move messages to the end of another queue of the store, each of them whole or not at all.

        Args:
            reference: the queue's id or name.
            message_ids: their UUIDs; one that is there twice counts once.
            target_reference: where to, by id or name; empty for the queue that each came from
                as a dead letter.
            leased: as in `delete`.
            created_ns: as in `delete`.
            check_right: raises AccessDenied if the caller has no right to add messages to the
                queue of an id.

        Returns:
            For each id, in order, where the message is now, or why it was not moved.

        Raises:
            InvalidArgument: the target is the queue itself.
            StoresDiffer: it lives in another store, or on another shard.
        """
        parsed = _parsed(message_ids)
        results: dict[str, Result] = {each: None for each in parsed if isinstance(each, str)}
        queue = await self._queues.find(reference)
        target_id = ""
        if target_reference:
            target = await self._find_target(target_reference)
            check_target(queue.info, target.info)
            target_id = target.info.id
        order = _Order(target_id, leased, check_right, results)
        found = await find_messages(self._queues, queue, results.keys(), created_ns)
        left = sorted(itertools.starmap(Picked, found.items()), key=lambda each: each.entry)
        while left:
            # As much at a time as a reply could carry: each step is read, and is one commit.
            entries = [each.entry for each in left]
            count = len(first_of_size(entries, self._queues.message_bytes_max))
            await self._move_some(queue.info.id, left[:count], order)
            left = left[count:]
        missing = [id_ for id_, result in results.items() if result is None]
        if missing and target_id:
            # The call may have been made before, and its answer lost.
            await self._look_there(target_id, missing, created_ns, results)
        await self._queues.home_of(queue).settle()
        _note_missing(queue, missing, results)
        return _in_order(parsed, results)

    async def _find_target(self, reference: str) -> Queue:
        try:
            return await self._queues.find(reference)
        except InvalidArgument as error:
            raise InvalidArgument("target_queue_id", error.rule) from None

    async def _move_some(self, queue_id: str, picked: Sequence[Picked], order: "_Order") -> None:
        """Move messages in one step."""
        queues = self._queues
        queue = await queues.find(queue_id)
        store = queues.store_to_read(queue)
        there = [each for each in picked if is_there(queue, each.entry)]
        read = await store.commit(Changes(), [each.entry for each in there])
        envelopes = {each.id: envelope for each, envelope in zip(there, read, strict=True)}
        # From here on nothing comes between, so that what is decided upon is so.
        queue = await queues.find(queue_id)
        store = queues.store_of(queue)
        queues.pass_time(queue)
        arrival_ns = queues.steady_ns()
        moves = Moves(queue, lambda: store.number(1, arrival_ns), keeps_time=True)
        entries = {each.id: each.entry for each in there}
        for each in self._free(queue, entries, order.results, leased=order.leased):
            try:
                order.results[each.id] = self._move_one(moves, each, envelopes[each.id], order)
            except _REFUSALS as refusal:
                order.results[each.id] = refusal
        moves.finish()
        changes = moves.changes
        for each_queue in (queue, *moves.targets):
            changes.note_groups(each_queue)
        kept = store.commit(changes)
        for each_queue in (queue, *moves.targets):
            self._let_go_on(each_queue)
        await kept

    def _move_one(self, moves: Moves, picked: Picked, envelope: bytes, order: "_Order") -> Moved:
        queues, store = self._queues, moves.source.info.store
        destination = destination_of(picked, envelope, order.target_id)
        order.check_right(destination.queue_id)
        queues.footprint.check(store, 0, 0, known=moves.fresh_with(picked.entry))
        target = move(
            moves, picked, destination, find=queues.catalog.get, now_ns=queues.steady_ns()
        )
        return Moved(target.info.id)

    async def _look_there(
        self,
        target_id: str,
        ids: Collection[str],
        created_ns: int | None,
        results: dict[str, Result],
    ) -> None:
        """Take note of messages that are where they were to go, if that is there."""
        if target := self._queues.catalog.get(target_id):
            for id_ in await find_messages(self._queues, target, ids, created_ns):
                results[id_] = Moved(target_id, was_there=True)

    def _free(
        self,
        queue: Queue,
        entries: Mapping[str, int],
        results: dict[str, Result],
        *,
        leased: bool,
    ) -> list[Picked]:
        """Return the messages that are still there and may be taken; say of others why not."""
        free: list[Picked] = []
        for id_, entry in entries.items():
            picked = Picked(id_, entry)
            # It may have left while others were looked at.
            if not is_there(queue, entry):
                continue
            try:
                check_free(queue, picked, leased=leased)
            except MessageLeased as refusal:
                results[id_] = refusal
            else:
                free.append(picked)
        return free

    def _let_go_on(self, queue: Queue) -> None:
        """Let others have what is free in a queue from which messages went, or to which some came.

        That may be what was behind them in their groups, or their places among those on lease.
        """
        self._queues.footprint.recount(queue)
        self._queues.pass_time(queue)
        self._queues.set_alarm(queue)
        self._queues.waiting.serve(queue)


class _Order(NamedTuple):
    """What is to become of messages that are moved."""

    #: Empty for the queue that each came from.
    target_id: str
    leased: bool
    check_right: Callable[[str], None]
    #: What has become of each, by its id.
    results: dict[str, Result]


def _parsed(message_ids: Sequence[str]) -> list[str | InvalidArgument]:
    """Return ids in their canonical form, and what is to say of those that are none."""
    return [
        parse_uuid(each) or InvalidArgument("message_ids", f"{each[:80]!r} is no UUID")
        for each in message_ids
    ]


def _in_order(
    parsed: Sequence[str | InvalidArgument], results: Mapping[str, Result]
) -> list[Result]:
    """Return what became of each message, in the order in which they were named."""
    return [each if isinstance(each, InvalidArgument) else results[each] for each in parsed]


def _note_missing(queue: Queue, ids: Collection[str], results: dict[str, Result]) -> None:
    """Say of messages that are nowhere to be found that they are not there."""
    for id_ in ids:
        if results[id_] is None:
            results[id_] = MessageNotFound(queue.info.id, id_)
