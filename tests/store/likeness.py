"""Whether a server is like the naive model, from outside and from inside."""

from collections.abc import Sequence

from qmq.descriptions import QueueStats
from qmq.engine.broker import Broker
from qmq.errors import QError
from qmq.model.delivery import State
from qmq.model.index import seq_of
from qmq.model.queue import Queue
from qmq.model.standing import Standing, entry_of
from qmq.wire import q_pb2 as pb
from tests.store.calls import answer, outcome
from tests.store.naive import NaiveBroker
from tests.store.naive_message import DELAYED, LEASED, READY, NaiveLease, NaiveMessage
from tests.store.naive_queue import NaiveQueue

_STATES = {
    State.LEASED: LEASED,
    State.DELAYED: DELAYED,
    State.RETURNED: READY,
    State.EXPIRED: READY,
}


def same(told: object, right: object) -> None:
    """What a server tells is right; who plays a history without pytest wants to see both."""
    if told == right:
        return
    if isinstance(told, list) and isinstance(right, list) and len(told) == len(right):
        at = next(at for at, each in enumerate(told) if each != right[at])
        told, right = f"{told[at]} at {at}", right[at]
    raise AssertionError(f"the server says {told}, and the naive model {right}")


def are_named(leased: Sequence[pb.LeasedMessage], rights: Sequence[NaiveLease]) -> None:
    """Leases have the names of their messages and deliveries, as far as those are known."""
    for each, right in zip(leased, rights, strict=True):
        seq, _, fence = each.lease_id.partition("-")
        assert int(fence, 16) == right.fence
        assert right.message.seq in (0, int(seq, 16))


def lines_are_alike(queue: Queue, naive: NaiveQueue) -> None:
    """The messages of each fair_key that stand in the line do so in the right order."""
    lines = {"": [seq_of(entry) for entry in queue.ready]}
    for key in queue.lines.keys.all():
        if isinstance(key.line, Standing):
            lines[key.name] = [seq_of(entry_of(each)) for each in sorted(key.line)]
    for message in naive.line():
        same(lines.get(message.fair_key, [])[:1], [message.seq])
        del lines[message.fair_key][0]
    same({key: line for key, line in lines.items() if line}, {})
    if naive.is_active:
        keys = queue.lines.keys.all()
        waiting = [(each.turn.start, each.turn.number, each.name) for each in keys if each.count]
        same([name for _, _, name in sorted(waiting)], naive.waiting())


def is_like(queue: Queue, message: NaiveMessage) -> None:
    """What a queue knows of a message is what the model does."""
    delivery = queue.leases.by_seq.get(message.seq)
    assert message.is_known == (delivery is not None)
    if delivery is None:
        same((message.state, message.fence), (READY, 0))
        return
    same((delivery.priority, delivery.expires_ns), (message.priority, message.expires_ns))
    same((delivery.group_id, delivery.fair_key), (message.group_id, message.fair_key))
    same(
        (_STATES[delivery.state], delivery.fence, delivery.count),
        (message.state, message.fence, message.count),
    )
    assert (delivery.state is State.EXPIRED) == (message.before is LEASED)
    if message.state is not READY:
        same(delivery.until_ns, message.until_ns)


async def is_told_alike(broker: Broker, naive: NaiveBroker) -> None:
    """All queues are listed, page by page too, and what is told of each is right."""
    listed, _ = await broker.list_queues(0, "")
    paged, token = await broker.list_queues(2, "")
    while token:
        page, token = await broker.list_queues(2, token)
        paged += page
    assert listed == paged == naive.infos()

    counts, _ = await broker.stats("", 0, "")
    assert [each.info for each in counts] == listed
    for told, queue in zip(counts, naive.queues, strict=True):
        _counts_are_right(told, queue)
        await _is_told_alike(broker, naive, queue)


async def _is_told_alike(broker: Broker, naive: NaiveBroker, queue: NaiveQueue) -> None:
    """What a queue tells of its head, its groups and its fair keys is right."""
    id_ = queue.info.id
    head: object
    try:
        head = await broker.peek(id_)
    except QError as error:
        head = error
    same(answer("peek", head), outcome(naive.peek(id_)))

    groups, token = await broker.grouping.list_groups(id_, page_size=2)
    while token:
        page, token = await broker.grouping.list_groups(id_, page_size=2, page_token=token)
        groups += page
    same(groups, queue.groups())

    (told,), _ = await broker.stats(id_, 0, "")
    # Those with as many messages have no order among them.
    same(sorted(told.top_fair_keys), queue.fair_keys())
    totals = [each.waiting + each.leased for each in told.top_fair_keys]
    assert totals == sorted(totals, reverse=True)


def _counts_are_right(told: QueueStats, naive: NaiveQueue) -> None:
    """What is told of a queue among others is what the model counts."""
    same({READY: told.ready, LEASED: told.leased, DELAYED: told.delayed}, naive.counts())
    same(dict(told.consumers), naive.holders())
    same(told.bytes, sum(each.size for each in naive.messages))
    same(told.dedup_ids, len(naive.ids))
    same(
        (told.expired_total, told.overflowed_total, told.deduplicated_total),
        (naive.expired_total, naive.overflowed_total, naive.deduplicated_total),
    )
    same(
        (told.deleted_total, told.moved_in_total, told.moved_out_total),
        (naive.deleted_total, naive.moved_in_total, naive.moved_out_total),
    )
    holds = naive.holds.values()
    same(
        (told.blocked, told.groups, told.groups_paused, told.groups_parked),
        (
            naive.blocked(),
            len(naive.groups()),
            sum(each.paused_ns is not None for each in holds),
            sum(each.parked_ns is not None for each in holds),
        ),
    )
    same(told.fair_keys, len({each.fair_key for each in naive.messages} - {""}))
