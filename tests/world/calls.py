"""What a call of a world is to a broker, and what its answer tells a client."""

from collections.abc import Iterable
from typing import Any

from qmq.descriptions import MessageOptions
from qmq.engine.adding import Added
from qmq.engine.broker import Broker
from qmq.errors import QError
from qmq.model.redrive import RedriveRequest
from qmq.values import NS_PER_S
from qmq.wire import q_pb2 as pb
from tests.leased import leased_messages
from tests.world.history import Asked, Op, Taken, Told
from tests.world.queues import QUEUES

_PLAIN = Asked("")


async def carry_out(broker: Broker, op: Op) -> Any:  # noqa: ANN401, C901, PLR0911, PLR0912 - A table.
    """Make a call, and return or raise what the broker does."""
    level, leasing = op.level, broker.leasing
    duration_ns = round(op.seconds * NS_PER_S) if op.seconds else None
    match op.verb:
        case "add" | "add_batch":
            return await _add(broker, op)
        case "pop":
            return [await broker.pop(op.queue, op.seconds, durability=level)]
        case "pop_batch":
            return await broker.pop_batch(op.queue, op.most, op.seconds, durability=level)
        case "lease":
            return await leasing.lease(
                op.queue, op.most, wait_s=op.seconds, is_gone=None, durability=level
            )
        case "ack":
            return await leasing.ack(op.queue, op.lease_ids, durability=level)
        case "nack":
            return await leasing.nack(op.queue, op.lease_ids, op.kind, durability=level)
        case "extend":
            return await leasing.extend(op.queue, op.lease_ids, duration_ns, durability=level)
        case "complete":
            acks = [(op.queue, op.lease_ids)]
            adds = [(op.target, _messages(op))]
            return await leasing.complete(acks, adds, durability=level)
        case "purge":
            return await broker.purge(op.queue)
        case "delete_queue":
            return await broker.delete_queue(op.queue)
        case "new_queue":
            kind = QUEUES[op.queue]
            return await broker.new_queue(kind.store, name=op.queue, settings=kind.settings)
        case "redrive":
            source = (await broker.get_queue(op.queue)).id
            return await broker.redriving.start(RedriveRequest(queue_id=source))
        case _:
            assert op.verb == "stats"
            (stats,), _ = await broker.stats(op.queue, 0, "")
            return stats.ready + stats.leased + stats.delayed


async def _add(broker: Broker, op: Op) -> Any:  # noqa: ANN401 - As the broker returns it.
    messages = _messages(op)
    options = {
        at: _options(each)
        for at, each in enumerate(op.messages)
        if each != _PLAIN._replace(payload=each.payload)
    }
    if op.verb == "add_batch":
        if options:
            return await broker.add_batch_with(op.queue, messages, options, durability=op.level)
        return await broker.add_batch(op.queue, messages, durability=op.level)
    ((tags, payload),) = messages
    if options:
        return await broker.add_with(op.queue, payload, tags, options[0], durability=op.level)
    return await broker.add(op.queue, payload, durability=op.level)


def _messages(op: Op) -> list[tuple[bytes, bytes]]:
    return [(b"", each.payload.encode()) for each in op.messages]


def _options(asked: Asked) -> MessageOptions:
    return MessageOptions(
        delay_ns=round(asked.delay_s * NS_PER_S) if asked.delay_s else None,
        ttl_ns=round(asked.ttl_s * NS_PER_S) if asked.ttl_s else None,
        priority=asked.priority,
        dedup_id=asked.dedup_id,
        group_id=asked.group_id,
    )


def read(op: Op, result: Any) -> None:  # noqa: ANN401 - As the broker returned it.
    """Take note of what was answered."""
    match op.verb:
        case "add":
            meta, was_known = result if isinstance(result, tuple) else (result, False)
            op.told = (Told(_id(meta), was_known),)
        case "add_batch" | "complete":
            op.told = tuple(_told(result))
        case "pop" | "pop_batch":
            messages = map(pb.Message.FromString, result)
            op.taken = tuple(Taken(each.meta.id, each.payload.decode()) for each in messages)
        case "lease":
            op.taken = tuple(
                Taken(
                    each.message.meta.id,
                    each.message.payload.decode(),
                    each.lease_id,
                    each.lease_expires_at.ToNanoseconds(),
                )
                for each in leased_messages(result)
            )
        case "ack" | "nack" | "extend":
            op.refused = tuple(
                type(each).__name__ if isinstance(each, QError) else "" for each in result
            )
            op.until_ns = tuple(each if isinstance(each, int) else 0 for each in result)
        case "purge" | "stats":
            op.count = result


def _told(result: Added | list[bytes]) -> Iterable[Told]:
    if isinstance(result, list):
        return [Told(_id(meta)) for meta in result]
    return [Told(_id(meta), at in result.known) for at, meta in enumerate(result.metas)]


def _id(meta: bytes) -> str:
    return pb.Message.FromString(meta).meta.id
