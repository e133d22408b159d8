"""The part of the suite of all stores that is about many messages at once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from qmq.engine.broker import Broker
from qmq.envelope import batch_reply_with, encode_tags
from qmq.errors import InvalidArgument, QueueEmpty, QueueFull, QueueNotFound
from qmq.limits import BATCH_MESSAGES_MAX
from qmq.model.queue import Queue
from qmq.store.base import QueueStore
from qmq.testing import START_NS, ManualClock
from qmq.values import Store, Tag
from qmq.wire import q_pb2 as pb
from tests.store.conformance import LARGE_BYTES, BrokerSuite, StoreSuite, seqs_in, started

#: More than the messages of any test take.
EVERYTHING = 2**40


def numbered(count: int, start: int = 0) -> list[bytes]:
    """Make so many envelopes that differ."""
    return [b"%d" % n for n in range(start, start + count)]


def untagged(*payloads: bytes) -> list[tuple[bytes, bytes]]:
    """Make of payloads what a broker takes."""
    return [(b"", payload) for payload in payloads]


def payloads_of(envelopes: list[bytes]) -> list[bytes]:
    """Return what is in messages."""
    return [pb.Message.FromString(envelope).payload for envelope in envelopes]


class StoreBatchConformance(StoreSuite):
    """What the protocol promises of batches."""

    @pytest.mark.parametrize("size", [1, 7, 50])
    async def test_batches_come_out_in_the_order_in_which_they_went_in(
        self, store: QueueStore, queue: Queue, size: int
    ) -> None:
        """First in, first out: within a batch, from batch to batch, and beside single ones."""
        sent = numbered(120)

        await store.add_batch(queue, sent[:50], START_NS)
        await store.add(queue, sent[50], START_NS)
        await store.add_batch(queue, sent[51:53], START_NS)
        await store.add_batch(queue, sent[53:], START_NS)
        got = [await store.pop(queue)]
        while batch := await store.pop_batch(queue, size, EVERYTHING):
            got += batch

        assert got == sent

    async def test_batch_comes_out_byte_for_byte(self, store: QueueStore, queue: Queue) -> None:
        """Whatever is in its messages, and however large they are."""
        envelopes = [bytes([n]) * size for n, size in enumerate((1, 5_000, 1, LARGE_BYTES, 4096))]
        await store.add_batch(queue, envelopes, START_NS)

        assert await store.peek(queue) == envelopes[0]
        assert await store.pop(queue) == envelopes[0]
        assert await store.pop_batch(queue, 9, EVERYTHING) == envelopes[1:]

    async def test_pop_batch_is_bounded_in_number(self, store: QueueStore, queue: Queue) -> None:
        """The others stay, in order."""
        await store.add_batch(queue, numbered(5), START_NS)

        batches = [await store.pop_batch(queue, 2, EVERYTHING) for _ in range(4)]

        assert batches == [[b"0", b"1"], [b"2", b"3"], [b"4"], []]

    async def test_pop_batch_is_bounded_in_bytes(self, store: QueueStore, queue: Queue) -> None:
        """A reply with the messages takes no more; a message that is larger comes alone."""
        envelopes = [bytes(size) for size in (300, 600, 100, 2_000, 1, 1)]
        await store.add_batch(queue, envelopes, START_NS)

        batches = [await store.pop_batch(queue, 9, 1_000) for _ in range(4)]

        assert batches == [envelopes[:2], envelopes[2:3], envelopes[3:4], envelopes[4:]]
        assert all(len(batch_reply_with(batches[at])) <= 1_000 for at in (0, 1, 3))

    async def test_empty_queue_gives_an_empty_batch(self, store: QueueStore, queue: Queue) -> None:
        """That is no error: before the first message, and after the last."""
        for _ in range(2):
            assert await store.pop_batch(queue, 9, EVERYTHING) == []
            await store.add_batch(queue, numbered(2), START_NS)
            await store.pop_batch(queue, 9, EVERYTHING)

    async def test_numbers_of_a_batch_follow_each_other(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]]
    ) -> None:
        """From the moment, or the next free number, over all queues."""
        one, two = await new(), await new()

        await store.add_batch(one, numbered(3), START_NS)
        await store.add(two, b"x", START_NS)
        await store.add_batch(two, numbered(2), START_NS - 3_600_000_000_000)
        await store.add_batch(one, numbered(2), START_NS + 50)
        await store.add(one, b"x", START_NS + 50)

        assert seqs_in(one) == [START_NS + n for n in (0, 1, 2, 50, 51, 52)]
        assert seqs_in(two) == [START_NS + n for n in (3, 4, 5)]

    async def test_what_messages_take_is_known(self, store: QueueStore, queue: Queue) -> None:
        """However they came and went."""
        await store.add(queue, bytes(10), START_NS)
        await store.add_batch(queue, [bytes(200), bytes(3_000)], START_NS)
        sums = [queue.ready.bytes]
        await store.pop(queue)
        sums.append(queue.ready.bytes)
        await store.pop_batch(queue, 1, EVERYTHING)
        sums.append(queue.ready.bytes)

        assert sums == [3_210, 3_200, 3_000]

    async def test_full_batch_is_one_of_many_calls(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]]
    ) -> None:
        """Batches of many queues that are under way at once do not mix."""
        queues = [await new() for _ in range(10)]
        sent = {
            queue.number: [b"%d:%d" % (queue.number, n) for n in range(BATCH_MESSAGES_MAX)]
            for queue in queues
        }

        await asyncio.gather(
            *(store.add_batch(queue, sent[queue.number], START_NS) for queue in queues)
        )
        got = await asyncio.gather(
            *(store.pop_batch(queue, BATCH_MESSAGES_MAX, EVERYTHING) for queue in queues)
        )

        assert dict(zip(sent, got, strict=True)) == sent

    async def test_many_producers_and_consumers_lose_and_repeat_nothing(
        self, store: QueueStore, queue: Queue
    ) -> None:
        """Every message is handed out once, in batches of whatever size."""
        sent = numbered(600)
        got: list[bytes] = []

        async def consume(count_max: int) -> None:
            while len(got) < len(sent):
                batch = await store.pop_batch(queue, count_max, EVERYTHING)
                got.extend(batch)
                if not batch:
                    await asyncio.sleep(0)

        await asyncio.gather(
            *(store.add_batch(queue, sent[at : at + 40], START_NS) for at in range(0, 600, 40)),
            *(consume(count_max) for count_max in (1, 3, 10, 50, 200)),
        )

        assert sorted(got) == sorted(sent)

    async def test_deleted_queue_takes_its_batches_along(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]]
    ) -> None:
        """Its own, and nobody else's; what was decided before is answered as decided."""
        doomed, other = await new(), await new()
        await store.add_batch(other, numbered(3), START_NS)

        _, popped, _ = await asyncio.gather(
            store.add_batch(doomed, numbered(4), START_NS),
            store.pop_batch(doomed, 2, EVERYTHING),
            store.delete_queue(doomed),
        )

        assert popped == numbered(2)
        assert (len(doomed.ready), doomed.ready.bytes) == (0, 0)
        assert await store.pop_batch(other, 9, EVERYTHING) == numbered(3)

    async def test_cancelled_batch_harms_nobody_else(self, store: QueueStore, queue: Queue) -> None:
        """It has taken effect, and everyone else gets the answer they would have got."""
        calls = await started(
            store.add_batch(queue, numbered(3), START_NS),
            store.pop_batch(queue, 2, EVERYTHING),
            store.add_batch(queue, numbered(3, 3), START_NS),
            store.pop_batch(queue, 2, EVERYTHING),
        )
        for cancelled in calls[:2]:
            cancelled.cancel()
        await asyncio.wait(calls)

        assert calls[3].result() == [b"2", b"3"]
        assert await store.pop_batch(queue, 9, EVERYTHING) == [b"4", b"5"]


class BrokerBatchConformance(BrokerSuite):
    """What callers see of batches."""

    async def test_added_batch_is_told_as_it_is_stored(
        self, broker: Broker, kind: Store, clock: ManualClock
    ) -> None:
        """The metadata of each message, in order, is that with which it is handed out."""
        info = await broker.new_queue(kind)
        clock.advance(2)
        tags = [encode_tags([Tag("k", f"{n}")] * (n % 2)) for n in range(5)]

        metas = await broker.add_batch(info.id, [(tags[n], bytes(n)) for n in range(5)])
        first = await broker.pop(info.id)
        others = await broker.pop_batch(info.id, 9)

        messages = [pb.Message.FromString(envelope) for envelope in (first, *others)]
        told = pb.AddBatchResponse.FromString(b"".join(metas)).messages
        assert [message.meta for message in messages] == list(told)
        assert [message.payload for message in messages] == [bytes(n) for n in range(5)]
        assert {meta.created.ToNanoseconds() for meta in told} == {START_NS + 2_000_000_000}
        assert [[tag.value for tag in meta.tags] for meta in told] == [[], ["1"], [], ["3"], []]
        assert len({info.id, *(meta.id for meta in told)}) == 6

    @pytest.mark.parametrize("count", [1, 3, BATCH_MESSAGES_MAX])
    async def test_batch_that_fits_is_taken_whole(
        self, broker: Broker, kind: Store, count: int
    ) -> None:
        """Up to the limit, whether or not part of it would do."""
        for partial in (False, True):
            info = await broker.new_queue(kind, limit=count)

            metas = await broker.add_batch(info.id, untagged(*numbered(count)), partial=partial)

            assert len(metas) == count
            assert payloads_of(await broker.pop_batch(info.id, count)) == numbered(count)

    async def test_batch_that_does_not_fit_leaves_nothing_behind(
        self, broker: Broker, kind: Store
    ) -> None:
        """All or nothing: none of it is there, and the room is still there."""
        info = await broker.new_queue(kind, limit=3)
        await broker.add(info.id, b"kept")

        with pytest.raises(QueueFull, match=f"^queue {info.id} has reached limit of 3 messages$"):
            await broker.add_batch(info.id, untagged(b"1", b"2", b"3"))
        await broker.add_batch(info.id, untagged(b"4", b"5"))

        assert payloads_of(await broker.pop_batch(info.id, 9)) == [b"kept", b"4", b"5"]

    async def test_partial_batch_is_taken_as_far_as_it_fits(
        self, broker: Broker, kind: Store
    ) -> None:
        """The first messages of it, which are those that are told of."""
        info = await broker.new_queue(kind, limit=3)
        await broker.add(info.id, b"kept")

        metas = await broker.add_batch(info.id, untagged(b"1", b"2", b"3"), partial=True)
        with pytest.raises(QueueFull):
            await broker.add_batch(info.id, untagged(b"4"), partial=True)

        popped = await broker.pop_batch(info.id, 9)
        assert payloads_of(popped) == [b"kept", b"1", b"2"]
        told = pb.AddBatchResponse.FromString(b"".join(metas)).messages
        assert [pb.Message.FromString(each).meta for each in popped[1:]] == list(told)

    async def test_empty_batch_changes_nothing(self, broker: Broker, kind: Store) -> None:
        """It fits into a full queue as well; there has to be a queue, though."""
        info = await broker.new_queue(kind, limit=1)
        await broker.add(info.id, b"kept")

        for partial in (False, True):
            assert await broker.add_batch(info.id, [], partial=partial) == []
        assert payloads_of(await broker.pop_batch(info.id, 9)) == [b"kept"]
        await broker.delete_queue(info.id)
        with pytest.raises(QueueNotFound):
            await broker.add_batch(info.id, [])

    async def test_empty_queue_is_no_error_for_a_batch(self, broker: Broker, kind: Store) -> None:
        """Nor is it counted as one."""
        info = await broker.new_queue(kind)

        assert await broker.pop_batch(info.id, 9) == []

        assert broker.catalog.find(info.id).empty_total == 0
        with pytest.raises(QueueEmpty):
            await broker.pop(info.id)

    async def test_batch_of_an_unknown_queue_is_refused(self, broker: Broker, kind: Store) -> None:
        """By id and by name, as everything is; names are accepted."""
        info = await broker.new_queue(kind, name="jobs")
        await broker.add_batch("jobs", untagged(b"1"))
        assert payloads_of(await broker.pop_batch("jobs", 9)) == [b"1"]
        await broker.delete_queue("jobs")

        for reference, error in ((info.id, QueueNotFound), ("jobs", InvalidArgument)):
            with pytest.raises(error):
                await broker.add_batch(reference, untagged(b"x"))
            with pytest.raises(error):
                await broker.pop_batch(reference, 9)
            with pytest.raises(error):
                await broker.stats(reference, 0, "")

    async def test_stats_tell_what_happened(
        self, broker: Broker, kind: Store, clock: ManualClock
    ) -> None:
        """Messages, not calls; of one queue, or of all in order of creation."""
        jobs = await broker.new_queue(kind, name="jobs")
        idle = await broker.new_queue(kind)
        metas = await broker.add_batch("jobs", untagged(b"1", b"2", b"3"))
        await broker.pop_batch("jobs", 2)
        clock.advance(1.5)

        ([stats], token) = await broker.stats("jobs", 0, "")

        assert token == ""
        # The third of a batch is taken to have come two nanoseconds after the first.
        assert (stats.info, stats.ready, stats.oldest_age_ns) == (jobs, 1, 1_499_999_998)
        # What a payload of one byte takes besides its metadata: its field, its length, itself.
        assert stats.ready_bytes == len(metas[2]) + 3
        assert (stats.enqueued_total, stats.consumed_total, stats.waiting) == (3, 2, 0)
        all_stats, _ = await broker.stats("", 0, "")
        assert [each.info for each in all_stats] == [jobs, idle]
        assert all_stats[0] == stats

    async def test_stats_can_be_paged(self, broker: Broker, kind: Store) -> None:
        """As queues are listed."""
        infos = [await broker.new_queue(kind) for _ in range(5)]

        first, token = await broker.stats("", 3, "")
        rest, last = await broker.stats("", 3, token)

        assert [each.info for each in (*first, *rest)] == infos
        assert (len(first), last) == (3, "")
