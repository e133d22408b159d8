"""What a call of a world is to a broker, and what its answer tells a client."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from qmq.descriptions import MessageOptions
from qmq.engine.adding import Added
from qmq.engine.broker import Broker
from qmq.engine.scheduling import ScheduleState
from qmq.engine.waiting import IsGone
from qmq.errors import QError
from qmq.model.redrive import Redrive, RedriveRequest
from qmq.model.schedule import Missed, SchedulePlan
from qmq.values import NS_PER_S, Durability, MessageState
from qmq.wire import q_pb2 as pb
from tests.leased import leased_messages
from tests.world.history import Asked, Op, Shown, Taken, Ticks, Told
from tests.world.queues import CRON, SCHEDULES, QueueKind

_PLAIN: Final = Asked("")


class Calls:
    """Carries out calls on the broker of one server."""

    def __init__(
        self,
        broker: Broker,
        kinds: Mapping[str, QueueKind],
        wall_ns: Callable[[], int],
    ) -> None:
        """Make one.

        Args:
            broker: what the calls are to.
            kinds: the queues of the world, by name.
            wall_ns: what the machine's clock tells.
        """
        self._broker = broker
        self._kinds = kinds
        self._wall_ns = wall_ns
        self._verbs: dict[str, Callable[[Op], Awaitable[Any]]] = {
            "add": self._add,
            "add_batch": self._add,
            "complete": self._complete,
            "ack": self._ack,
            "nack": self._nack,
            "extend": self._extend,
            "purge": lambda op: broker.purge(op.queue),
            "delete_queue": lambda op: broker.delete_queue(op.queue),
            "new_queue": self._new_queue,
            "pause": lambda op: broker.pause(op.queue, adds=op.flag),
            "resume": lambda op: broker.resume(op.queue),
            "pause_group": lambda op: broker.grouping.pause_group(op.queue, op.name),
            "resume_group": lambda op: broker.grouping.resume_group(op.queue, op.name),
            "skip_group": lambda op: broker.grouping.skip_group(op.queue, op.name, op.most),
            "delete": lambda op: broker.picking.delete(op.queue, op.ids),
            # Back to where each came from.
            "move": lambda op: broker.picking.move(op.queue, op.ids),
            "redrive": self._redrive,
            "stop_redrive": lambda op: broker.redriving.stop(op.name),
            "list_redrives": lambda op: broker.redriving.list_all(),  # noqa: ARG005 - Of all.
            "put_schedule": self._put_schedule,
            "get_schedule": lambda op: broker.scheduling.get(op.queue, op.name),
            "delete_schedule": lambda op: broker.scheduling.delete(op.queue, op.name),
            "stats": self._stats,
            "peek": lambda op: broker.peek(op.queue),
            "browse": self._browse,
        }

    async def carry_out(self, op: Op, is_gone: IsGone) -> Any:  # noqa: ANN401 - As the broker returns it.
        """Make a call, and return or raise what the broker does.

        Args:
            op: the call.
            is_gone: tells whether the client has left, if it waits.
        """
        if op.verb not in self._verbs:
            return await (self._take_any(op, is_gone) if op.selector else self._take(op, is_gone))
        return await self._verbs[op.verb](op)

    async def _take(self, op: Op, is_gone: IsGone) -> Any:  # noqa: ANN401 - As above.
        broker, level = self._broker, _level(op)
        if op.verb == "pop":
            return [await broker.pop(op.queue, op.seconds, is_gone, durability=level)]
        if op.verb == "pop_batch":
            return await broker.pop_batch(op.queue, op.most, op.seconds, is_gone, durability=level)
        return await broker.leasing.lease(
            op.queue, op.most, wait_s=op.seconds, is_gone=is_gone, durability=level
        )

    async def _take_any(self, op: Op, is_gone: IsGone) -> Any:  # noqa: ANN401 - As above.
        selecting = self._broker.selecting
        if op.verb == "pop_batch":
            popped = await selecting.pop_batch(op.selector, op.most, op.seconds, is_gone)
            return popped.envelopes, list(map(self.name_of, popped.queue_ids))
        leased, _ = await selecting.lease(op.selector, op.most, wait_s=op.seconds, is_gone=is_gone)
        return leased, [self.name_of(each.queue_id) for each in leased_messages(leased)]

    def name_of(self, queue_id: str) -> str:
        """Return the name of a queue that is there."""
        return self._broker.catalog.find(queue_id).info.name

    async def _ack(self, op: Op) -> Any:  # noqa: ANN401 - As above.
        return await self._broker.leasing.ack(op.queue, op.lease_ids, durability=_level(op))

    async def _nack(self, op: Op) -> Any:  # noqa: ANN401 - As above.
        leasing = self._broker.leasing
        return await leasing.nack(op.queue, op.lease_ids, op.kind, durability=_level(op))

    async def _extend(self, op: Op) -> Any:  # noqa: ANN401 - As above.
        lasts_ns = round(op.seconds * NS_PER_S)
        leasing = self._broker.leasing
        return await leasing.extend(op.queue, op.lease_ids, lasts_ns, durability=_level(op))

    async def _complete(self, op: Op) -> Any:  # noqa: ANN401 - As above.
        acks, adds = [(op.queue, op.lease_ids)], [(op.target, _messages(op))]
        return await self._broker.leasing.complete(acks, adds, durability=_level(op))

    async def _add(self, op: Op) -> Any:  # noqa: ANN401 - As above.
        broker, level = self._broker, _level(op)
        messages = _messages(op)
        options = {
            at: self._options(each)
            for at, each in enumerate(op.messages)
            if each != _PLAIN._replace(payload=each.payload)
        }
        if op.verb == "add_batch":
            if options:
                return await broker.add_batch_with(op.queue, messages, options, durability=level)
            return await broker.add_batch(op.queue, messages, durability=level)
        ((tags, payload),) = messages
        if options:
            return await broker.add_with(op.queue, payload, tags, options[0], durability=level)
        return await broker.add(op.queue, payload, durability=level)

    def _options(self, asked: Asked) -> MessageOptions:
        delay_ns = round(asked.delay_s * NS_PER_S) or None
        ttl_ns = round(asked.ttl_s * NS_PER_S) or None
        by_moment, now_ns = asked.by_moment, self._wall_ns()
        return MessageOptions(
            delay_ns=None if by_moment else delay_ns,
            available_ns=now_ns + delay_ns if by_moment and delay_ns else None,
            ttl_ns=None if by_moment else ttl_ns,
            expires_ns=now_ns + ttl_ns if by_moment and ttl_ns else None,
            priority=asked.priority,
            dedup_id=asked.dedup_id,
            group_id=asked.group_id,
            fair_key=asked.fair_key,
        )

    async def _new_queue(self, op: Op) -> Any:  # noqa: ANN401 - As above.
        kind = self._kinds[op.queue]
        return await self._broker.new_queue(
            kind.store, name=op.queue, limit=kind.limit, tags=kind.tags, settings=kind.settings
        )

    async def _redrive(self, op: Op) -> str:
        source = (await self._broker.get_queue(op.queue)).id
        request = RedriveRequest(queue_id=source, dry_run=op.flag, messages_per_second=op.seconds)
        return (await self._broker.redriving.start(request)).id

    async def _put_schedule(self, op: Op) -> ScheduleState:
        interval_s = SCHEDULES[op.name]
        (asked,) = op.messages
        plan = SchedulePlan(
            cron="" if interval_s else CRON,
            interval_ns=round(interval_s * NS_PER_S),
            payload=asked.payload.encode(),
            options=self._options(asked),
            missed=Missed[op.state],
            paused=op.flag,
        )
        return await self._broker.scheduling.put(op.queue, op.name, plan)

    async def _stats(self, op: Op) -> int:
        (stats,), _ = await self._broker.stats(op.queue, 0, "")
        return stats.ready + stats.leased + stats.delayed

    async def _browse(self, op: Op) -> Any:  # noqa: ANN401 - As above.
        return await self._broker.browsing.browse(
            op.queue,
            page_size=op.most,
            states=(MessageState[op.state],) if op.state else (),
            group_id=op.group_id,
            fair_key=op.fair_key,
        )


def _level(op: Op) -> Durability:
    """Return how durable a call asks to be."""
    return op.asks or op.level


def _messages(op: Op) -> list[tuple[bytes, bytes]]:
    return [(b"", each.payload.encode()) for each in op.messages]


def read(op: Op, result: Any) -> None:  # noqa: ANN401 - As it was carried out.
    """Take note of what was answered."""
    if op.verb in _READ:
        _READ[op.verb](op, result)


def _read_added(op: Op, result: Any) -> None:  # noqa: ANN401 - As above.
    meta, was_known = result if isinstance(result, tuple) else (result, False)
    op.told = (Told(_message(meta).meta.id, was_known),)


def _read_batch(op: Op, result: Added | list[bytes]) -> None:
    op.told = tuple(_told(result))


def _read_popped(op: Op, result: Any) -> None:  # noqa: ANN401 - As above.
    envelopes, queues = result if op.selector else (result, None)
    op.taken = _in(queues, map(_popped, envelopes))


def _read_leased(op: Op, result: Any) -> None:  # noqa: ANN401 - As above.
    leased, queues = result if op.selector else (result, None)
    op.taken = _in(queues, map(taken_of, leased_messages(leased)))


def _in(queues: Sequence[str] | None, taken: Iterable[Taken]) -> tuple[Taken, ...]:
    """Return what was taken, with the queues that it was in if the call did not name one."""
    if queues is None:
        return tuple(taken)
    return tuple(each._replace(queue=queue) for each, queue in zip(taken, queues, strict=True))


def _read_settled(op: Op, result: Sequence[Any]) -> None:
    op.refused = tuple(type(each).__name__ if isinstance(each, QError) else "" for each in result)
    op.until_ns = tuple(each if isinstance(each, int) else 0 for each in result)


def _read_count(op: Op, result: int) -> None:
    op.count = result


def _read_redrive(op: Op, result: str) -> None:
    op.name = result


def _read_redrives(op: Op, result: Sequence[Redrive]) -> None:
    running = [each for each in result if each.is_running]
    op.names = tuple(each.id for each in running if each.obstacle)
    op.count = len(running) - len(op.names)


def _read_schedule(op: Op, result: ScheduleState) -> None:
    op.ticks = _ticks(result)


def _read_peeked(op: Op, result: bytes) -> None:
    message = _message(result)
    op.shown = (Shown(message.meta.id, message.payload.decode()),)


def _read_browsed(op: Op, result: tuple[list[bytes], str]) -> None:
    envelopes, token = result
    found = map(pb.BrowsedMessage.FromString, envelopes)
    op.shown = tuple(
        Shown(
            each.message.meta.id,
            each.message.payload.decode(),
            pb.BrowseRequest.State.Name(each.state),
        )
        for each in found
    )
    op.is_all = not token


def _popped(envelope: bytes) -> Taken:
    message = _message(envelope)
    return Taken(message.meta.id, message.payload.decode())


def taken_of(leased: pb.LeasedMessage) -> Taken:
    """Return what is told of a leased message."""
    return Taken(
        leased.message.meta.id,
        leased.message.payload.decode(),
        leased.lease_id,
        leased.lease_expires_at.ToNanoseconds(),
    )


def _ticks(state: ScheduleState) -> Ticks:
    schedule = state.schedule
    # What is owed was passed, and has not come to anything yet.
    return Ticks(
        schedule.added, schedule.missed + schedule.owed, schedule.refused, schedule.deduplicated
    )


def _told(result: Added | list[bytes]) -> Iterable[Told]:
    if isinstance(result, list):
        return [Told(_message(meta).meta.id) for meta in result]
    return [
        Told(_message(meta).meta.id, at in result.known) for at, meta in enumerate(result.metas)
    ]


def _message(envelope: bytes) -> pb.Message:
    return pb.Message.FromString(envelope)


#: How to read what was answered; of other calls that is nothing.
_READ: Final[Mapping[str, Callable[[Op, Any], None]]] = {
    "add": _read_added,
    "add_batch": _read_batch,
    "complete": _read_batch,
    "pop": _read_popped,
    "pop_batch": _read_popped,
    "lease": _read_leased,
    "ack": _read_settled,
    "nack": _read_settled,
    "extend": _read_settled,
    "delete": _read_settled,
    "move": _read_settled,
    "purge": _read_count,
    "stats": _read_count,
    "redrive": _read_redrive,
    "list_redrives": _read_redrives,
    "put_schedule": _read_schedule,
    "get_schedule": _read_schedule,
    "peek": _read_peeked,
    "browse": _read_browsed,
}
