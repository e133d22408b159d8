"""What the broker decides itself about many messages at once: what no reply could carry."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmq.engine.broker import Broker
from qmq.envelope import (
    DURABILITY_BYTES,
    HANDED_OUT_OVERHEAD_BYTES,
    batch_reply_with,
    encode_tags,
)
from qmq.errors import QueueNotFound, TooLarge
from qmq.limits import BATCH_MESSAGES_MAX, MESSAGE_BYTES_MAX, TAG_VALUE_BYTES_MAX
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import Store, Tag
from qmq.wire import q_pb2 as pb
from tests.held import MadeUp


def memory_broker(message_bytes_max: int = MESSAGE_BYTES_MAX) -> Broker:
    """Make a broker without a data directory."""
    return Broker(
        {Store.MEMORY: MemoryStore()},
        clock=ManualClock(),
        new_id=seeded_ids(),
        message_bytes_max=message_bytes_max,
    )


@pytest.mark.parametrize("at", [0, 1, 4])
async def test_message_that_is_too_large_is_named_and_its_batch_refused(at: int) -> None:
    """By its place; neither the others are there, nor is anything counted."""
    broker = memory_broker(message_bytes_max=500)
    info = await broker.new_queue(Store.MEMORY)
    batch = [(b"", bytes(100))] * 5
    batch[at] = (b"", bytes(501))

    for partial in (False, True):
        with pytest.raises(TooLarge) as refusal:
            await broker.add_batch(info.id, batch, partial=partial)

        assert refusal.value.message.startswith(f"messages[{at}]: payload, tags and metadata take ")
        assert refusal.value.metadata["limit"] == "message_bytes_max"
    queue = broker.catalog.find(info.id)
    assert (len(queue.ready), queue.enqueued_total, queue.full_total) == (0, 0, 0)


async def test_message_that_fits_alone_fits_into_a_batch() -> None:
    """The bound is the same, to the byte."""
    broker = memory_broker(message_bytes_max=500)
    info = await broker.new_queue(Store.MEMORY)

    async def fits(size: int, *, in_batch: bool) -> bool:
        try:
            if in_batch:
                await broker.add_batch(info.id, [(b"", b"x"), (b"", bytes(size))])
            else:
                await broker.add(info.id, bytes(size))
        except TooLarge:
            return False
        return True

    largest = max([size for size in range(200, 400) if await fits(size, in_batch=False)])

    assert 200 < largest < 500 - HANDED_OUT_OVERHEAD_BYTES
    assert await fits(largest, in_batch=True)
    assert not await fits(largest + 1, in_batch=True)


async def test_batch_whose_answer_would_be_too_large_is_refused() -> None:
    """The answer has the tags of all messages; what it cannot tell is not stored."""
    broker = memory_broker()
    info = await broker.new_queue(Store.MEMORY)
    tags = encode_tags([Tag("k", "v" * TAG_VALUE_BYTES_MAX)])
    count = MESSAGE_BYTES_MAX // len(tags)

    metas = await broker.add_batch(info.id, [(tags, b"")] * count)
    with pytest.raises(TooLarge) as refusal:
        await broker.add_batch(info.id, [(tags, b"")] * (count + 1))

    assert len(b"".join(metas)) > 0.98 * MESSAGE_BYTES_MAX
    assert refusal.value.message.startswith("messages: the reply, tags and metadata of all, takes ")
    assert refusal.value.message.endswith("; send fewer in one batch")
    assert len(broker.catalog.find(info.id).ready) == count


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(0, 900), min_size=1, max_size=60),
    message_bytes_max=st.integers(1_200, 6_200),
    messages_max=st.integers(1, 60),
)
def test_reply_of_a_batch_never_exceeds_its_bound(
    sizes: list[int], message_bytes_max: int, messages_max: int
) -> None:
    """Everything comes out all the same, in order, each reply as full as it can be."""

    async def check() -> None:
        broker = memory_broker(message_bytes_max)
        await broker.new_queue(Store.MEMORY, name="jobs")
        for size in sizes:
            await broker.add_batch("jobs", [(b"", bytes(size))])

        batches = []
        while batch := await broker.pop_batch("jobs", messages_max):
            batches.append(batch)

        replies = [batch_reply_with(batch) for batch in batches]
        messages = [
            message
            for reply in replies
            for message in pb.PopBatchResponse.FromString(reply).messages
        ]
        assert [len(message.payload) for message in messages] == sizes
        assert max(map(len, replies)) + DURABILITY_BYTES <= message_bytes_max
        for batch, following in pairwise(batches):
            longer = batch_reply_with([*batch, following[0]])
            # Five bytes a message are set aside for what a reply adds, of which small
            # messages need two.
            set_aside = 3 * (len(batch) + 1) + DURABILITY_BYTES
            is_full = len(longer) + set_aside > message_bytes_max
            assert is_full or len(batch) == messages_max

    asyncio.run(check())


async def test_message_larger_than_the_bound_of_today_comes_out_alone() -> None:
    """A server may have been started with a lower bound; nothing is stuck in its queues."""
    store = MemoryStore()
    before = Broker({Store.MEMORY: store}, clock=ManualClock(), new_id=seeded_ids(1))
    await before.new_queue(Store.MEMORY, name="jobs")
    await before.add_batch("jobs", [(b"", bytes(100)), (b"", bytes(5_000)), (b"", bytes(100))])

    after = Broker(
        {Store.MEMORY: store},
        clock=ManualClock(),
        new_id=seeded_ids(2),
        held=MadeUp(list(before.catalog), last_queue_number=1),
        message_bytes_max=1_000,
    )
    counts = [len(await after.pop_batch("jobs", 9)) for _ in range(3)]

    assert counts == [1, 1, 1]


async def test_most_messages_of_a_batch_go_in_and_out_at_once() -> None:
    """A thousand, each with an id of its own."""
    broker = memory_broker()
    await broker.new_queue(Store.MEMORY, name="jobs")

    metas = await broker.add_batch("jobs", [(b"", b"x")] * BATCH_MESSAGES_MAX)
    popped = await broker.pop_batch("jobs", BATCH_MESSAGES_MAX)

    told = pb.AddBatchResponse.FromString(b"".join(metas)).messages
    ids = [pb.Message.FromString(envelope).meta.id for envelope in popped]
    assert [meta.id for meta in told] == ids
    assert len(set(ids)) == BATCH_MESSAGES_MAX


async def test_batches_of_a_deleted_queue_are_refused_before_they_are_looked_at() -> None:
    """That the queue is gone is said even of a batch that would be too large."""
    broker = memory_broker(message_bytes_max=500)
    info = await broker.new_queue(Store.MEMORY)
    await broker.delete_queue(info.id)

    with pytest.raises(QueueNotFound):
        await broker.add_batch(info.id, [(b"", bytes(1_000))])
