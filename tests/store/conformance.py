"""One suite that every store passes: what a queue is, wherever its messages live.

A store's own test file subclasses `StoreConformance` and `BrokerConformance`, and those
of `batch_conformance`, and gives them a fixture `store`. The former speak the protocol
`qmq.store.base.QueueStore`; the latter are what callers of the `Broker` see when their
queues live in that store.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from qmq.descriptions import QueueInfo
from qmq.engine.broker import Broker
from qmq.errors import (
    InvalidArgument,
    NameTaken,
    QError,
    QueueEmpty,
    QueueFull,
    QueueNotFound,
)
from qmq.model.index import seq_of
from qmq.model.queue import Queue
from qmq.model.tags import with_tag
from qmq.store.base import QueueStore
from qmq.testing import START_NS, ManualClock, seeded_ids
from qmq.values import UNBOUNDED, Store, Tag
from qmq.wire import q_pb2 as pb

#: A size that goes beyond one page of any store, and is still quickly compared.
LARGE_BYTES = 1024 * 1024


def make_queue(number: int, *, limit: int = UNBOUNDED, name: str = "") -> Queue:
    """Make the model of a queue that the store does not know yet."""
    return Queue(
        number,
        QueueInfo(
            id=f"00000000-0000-4000-8000-{number:012x}",
            created_ns=START_NS,
            store=Store.DISK,
            limit=limit,
            name=name,
        ),
    )


async def started(*calls: Awaitable[object]) -> list[asyncio.Future[object]]:
    """Make calls in the order given, and return before any of them has to be done."""
    futures: list[asyncio.Future[object]] = [asyncio.ensure_future(call) for call in calls]
    await asyncio.sleep(0)
    return futures


def attempt(method: Callable[..., Awaitable[object]], *arguments: object) -> Awaitable[object]:
    """Call a method of a store; what it raises at once is raised by what is returned."""
    try:
        return method(*arguments)
    except QError as error:
        failed: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        failed.set_exception(error)
        return failed


def seqs_in(queue: Queue) -> list[int]:
    """Return the sequence numbers of the messages in a queue, oldest first."""
    return [seq_of(entry) for entry in queue.ready]


class StoreSuite:
    """The queues of a suite. Subclasses have a fixture `store`, closed afterwards."""

    @pytest.fixture
    async def new(self, store: QueueStore) -> Callable[..., Awaitable[Queue]]:
        """Return a function that makes queues in the store, numbered from 1."""
        made = 0

        async def make(*, limit: int = UNBOUNDED) -> Queue:
            nonlocal made
            made += 1
            queue = make_queue(made, limit=limit)
            await store.new_queue(queue)
            return queue

        return make

    @pytest.fixture
    async def queue(self, new: Callable[..., Awaitable[Queue]]) -> Queue:
        """Return an empty queue without limit."""
        return await new()


class StoreConformance(StoreSuite):
    """What the protocol promises."""

    async def test_messages_come_out_in_the_order_in_which_they_went_in(
        self, store: QueueStore, queue: Queue
    ) -> None:
        """First in, first out."""
        sent = [b"%d" % n for n in range(50)]

        for n, envelope in enumerate(sent):
            await store.add(queue, envelope, START_NS + n)

        assert [await store.pop(queue) for _ in sent] == sent

    @pytest.mark.parametrize("size", [1, 100, 4096, 5000, LARGE_BYTES])
    async def test_message_comes_out_byte_for_byte(
        self, store: QueueStore, queue: Queue, size: int
    ) -> None:
        """Whatever is in it, and however large it is."""
        envelope = (bytes(range(256)) * (size // 256 + 1))[:size]
        await store.add(queue, envelope, START_NS)

        assert await store.peek(queue) == envelope
        assert await store.pop(queue) == envelope

    async def test_peek_leaves_the_message_where_it_is(
        self, store: QueueStore, queue: Queue
    ) -> None:
        """Peek shows the head as often as it is asked, and Pop still gets it."""
        await store.add(queue, b"first", START_NS)
        await store.add(queue, b"second", START_NS)

        peeks = [await store.peek(queue), await store.peek(queue)]
        pops = [await store.pop(queue), await store.pop(queue)]

        assert (peeks, pops) == ([b"first", b"first"], [b"first", b"second"])

    async def test_empty_queue_has_nothing_to_hand_out(
        self, store: QueueStore, queue: Queue
    ) -> None:
        """Before the first message, and after the last."""
        for _ in range(2):
            with pytest.raises(QueueEmpty):
                await store.pop(queue)
            with pytest.raises(QueueEmpty):
                await store.peek(queue)
            await store.add(queue, b"x", START_NS)
            await store.pop(queue)

    async def test_full_queue_takes_no_more_and_keeps_what_it_has(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]]
    ) -> None:
        """A refusal changes nothing, and a pop makes room."""
        queue = await new(limit=2)
        await store.add(queue, b"1", START_NS)
        await store.add(queue, b"2", START_NS)

        with pytest.raises(QueueFull):
            await store.add(queue, b"refused", START_NS)
        first = await store.pop(queue)
        await store.add(queue, b"3", START_NS)

        assert [first, await store.pop(queue), await store.pop(queue)] == [b"1", b"2", b"3"]
        with pytest.raises(QueueEmpty):
            await store.pop(queue)

    async def test_queues_do_not_mix(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]]
    ) -> None:
        """Each of many queues that are filled in turn hands out its own messages, in order."""
        queues = [await new() for _ in range(20)]

        for n in range(10):
            await asyncio.gather(
                *(store.add(queue, b"%d:%d" % (queue.number, n), START_NS) for queue in queues)
            )

        for queue in reversed(queues):
            got = [await store.pop(queue) for _ in range(10)]
            assert got == [b"%d:%d" % (queue.number, n) for n in range(10)]

    async def test_calls_take_effect_in_the_order_in_which_they_are_made(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]]
    ) -> None:
        """Also when none of them has returned yet."""
        queue = await new(limit=2)

        results = await asyncio.gather(
            attempt(store.pop, queue),
            store.add(queue, b"1", START_NS),
            store.peek(queue),
            store.add(queue, b"2", START_NS),
            attempt(store.add, queue, b"refused", START_NS),
            store.pop(queue),
            store.add(queue, b"3", START_NS),
            store.pop_batch(queue, 9, LARGE_BYTES),
            store.pop_batch(queue, 9, LARGE_BYTES),
            attempt(store.peek, queue),
            store.add_batch(queue, [b"4", b"5"], START_NS),
            store.pop(queue),
            store.peek(queue),
            return_exceptions=True,
        )

        shown = [type(r) if isinstance(r, Exception) else r for r in results]
        assert shown == [
            *(QueueEmpty, None, b"1", None, QueueFull, b"1", None),
            *([b"2", b"3"], [], QueueEmpty, None, b"4", b"5"),
        ]

    async def test_many_producers_and_consumers_lose_and_repeat_nothing(
        self, store: QueueStore, queue: Queue
    ) -> None:
        """Every message is handed out once."""
        sent = [b"%d" % n for n in range(500)]
        got: list[bytes] = []

        async def consume() -> None:
            while len(got) < len(sent):
                try:
                    got.append(await store.pop(queue))
                except QueueEmpty:
                    await asyncio.sleep(0)

        await asyncio.gather(
            *(store.add(queue, envelope, START_NS) for envelope in sent),
            *(consume() for _ in range(8)),
        )

        assert sorted(got) == sorted(sent)

    async def test_deleted_queue_takes_its_messages_along(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]]
    ) -> None:
        """Its own, and nobody else's."""
        doomed, other = await new(), await new()
        for n in range(10):
            await store.add(doomed, b"gone", START_NS)
            await store.add(other, b"%d" % n, START_NS)

        await store.delete_queue(doomed)

        assert not doomed.ready
        assert [await store.pop(other) for _ in range(10)] == [b"%d" % n for n in range(10)]

    async def test_queue_can_be_deleted_while_calls_to_it_wait(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]]
    ) -> None:
        """What was decided before the deletion is answered as it was decided."""
        queue = await new()
        await store.add(queue, b"1", START_NS)

        peeked, popped, added, deleted = await asyncio.gather(
            store.peek(queue),
            store.pop(queue),
            store.add(queue, b"2", START_NS),
            store.delete_queue(queue),
        )

        assert (peeked, popped, added, deleted) == (b"1", b"1", None, None)
        assert not queue.ready

    async def test_cancelled_call_harms_nobody_else(self, store: QueueStore, queue: Queue) -> None:
        """It has taken effect, and everyone else gets the answer they would have got."""
        await store.add(queue, b"1", START_NS)

        calls = await started(
            store.add(queue, b"2", START_NS),
            store.add(queue, b"3", START_NS),
            store.pop(queue),
            store.peek(queue),
            store.peek(queue),
        )
        for cancelled in (calls[0], calls[2], calls[3]):
            cancelled.cancel()
        await asyncio.wait(calls)

        assert calls[1].result() is None
        assert calls[4].result() == b"2"
        assert [await store.pop(queue), await store.pop(queue)] == [b"2", b"3"]

    async def test_sequence_number_is_the_moment_or_the_next_free_one(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]]
    ) -> None:
        """Numbers rise over all queues, also when the clock stands still or is set back."""
        one, two = await new(), await new()

        for queue, created_ns in (
            (one, START_NS),
            (two, START_NS),
            (one, START_NS - 3_600_000_000_000),
            (two, START_NS + 50),
        ):
            await store.add(queue, b"x", created_ns)

        assert seqs_in(one) == [START_NS, START_NS + 2]
        assert seqs_in(two) == [START_NS + 1, START_NS + 50]

    async def test_info_of_a_queue_can_be_saved(self, store: QueueStore, queue: Queue) -> None:
        """Tags that change do not touch the messages."""
        await store.add(queue, b"x", START_NS)

        queue.info = with_tag(queue.info, Tag("k", "v"))
        await store.save_info(queue)

        assert await store.pop(queue) == b"x"

    async def test_store_settles_and_takes_calls(self, store: QueueStore, queue: Queue) -> None:
        """A store that is well refuses nothing, and settles whether or not it has work."""
        await store.settle()
        calls = await started(store.add(queue, b"x", START_NS))
        await store.settle()
        await asyncio.wait(calls)

        store.check()

    async def test_close_answers_those_who_wait(self, store: QueueStore, queue: Queue) -> None:
        """What is under way is carried out first."""
        calls = await started(*(store.add(queue, b"x", START_NS) for _ in range(5)))

        await store.close()

        assert [call.result() for call in calls] == [None] * 5


class BrokerSuite:
    """The broker of a suite. Subclasses have fixtures `store` and `kind`."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        """Return the clock of the broker."""
        return ManualClock()

    @pytest.fixture
    def broker(self, store: QueueStore, kind: Store, clock: ManualClock) -> Broker:
        """Return a broker that has the store alone."""
        return Broker({kind: store}, clock=clock, timer=clock, new_id=seeded_ids())


class BrokerConformance(BrokerSuite):
    """What callers see of queues in the store."""

    async def test_new_queue_is_what_was_asked_for(
        self, broker: Broker, kind: Store, clock: ManualClock
    ) -> None:
        """With its tags in order and without repetition, and a time and an id of its own."""
        clock.advance(1)

        info = await broker.new_queue(
            kind, limit=3, name="jobs", tags=[Tag("b", "1"), Tag("a", "1"), Tag("b", "1")]
        )

        assert info == QueueInfo(
            id=seeded_ids()().decode(),
            created_ns=START_NS + 1_000_000_000,
            store=kind,
            limit=3,
            name="jobs",
            tags=(Tag("b", "1"), Tag("a", "1")),
        )
        assert await broker.get_queue("jobs") == info
        assert await broker.get_queue(info.id) == info

    @pytest.mark.parametrize("limit", [0, -1])
    async def test_queue_without_limit_is_unbounded(
        self, broker: Broker, kind: Store, limit: int
    ) -> None:
        """0, which is what a caller sends who gives none, means the same as -1."""
        info = await broker.new_queue(kind, limit=limit)

        await asyncio.gather(*(broker.add(info.id, b"") for _ in range(100)))

        assert info.limit == UNBOUNDED

    async def test_limit_is_kept(self, broker: Broker, kind: Store) -> None:
        """The error names the queue and its limit."""
        info = await broker.new_queue(kind, limit=1)
        await broker.add(info.id, b"kept")

        with pytest.raises(QueueFull, match=f"^queue {info.id} has reached limit of 1 messages$"):
            await broker.add(info.id, b"refused")

        assert pb.Message.FromString(await broker.pop(info.id)).payload == b"kept"
        with pytest.raises(QueueEmpty, match=f"^queue {info.id} is empty$"):
            await broker.pop(info.id)

    async def test_message_is_the_same_in_every_reply(
        self, broker: Broker, kind: Store, clock: ManualClock
    ) -> None:
        """Add, Peek and Pop answer with the same bytes: the wire's Message."""
        info = await broker.new_queue(kind)
        clock.advance(2)
        tags = b"\x1a\x06\n\x01k\x12\x01v"

        added = await broker.add(info.id, b"\0payload\xff", tags)
        clock.advance(2)
        peeked, popped = await broker.peek(info.id), await broker.pop(info.id)

        assert added == peeked == popped
        message = pb.Message.FromString(added)
        assert message.payload == b"\0payload\xff"
        assert message.meta.created.ToNanoseconds() == START_NS + 2_000_000_000
        assert [(tag.key, tag.value) for tag in message.meta.tags] == [("k", "v")]
        assert len(message.meta.id) == 36
        assert message.meta.id != info.id

    async def test_queues_are_listed_in_order_of_creation(
        self, broker: Broker, kind: Store
    ) -> None:
        """All at once or page by page."""
        infos = [await broker.new_queue(kind) for _ in range(5)]
        await broker.delete_queue(infos[1].id)
        left = [infos[0], *infos[2:]]

        first, token = await broker.list_queues(3, "")
        rest, last = await broker.list_queues(3, token)

        assert await broker.list_queues(0, "") == (left, "")
        assert (first + rest, last) == (left, "")

    async def test_tags_come_and_go(self, broker: Broker, kind: Store) -> None:
        """In order of arrival; what is there already, or is not there, is no error."""
        info = await broker.new_queue(kind, name="jobs", tags=[Tag("a", "1")])

        await broker.add_queue_tag("jobs", Tag("a", "2"))
        await broker.add_queue_tag("jobs", Tag("a", "1"))
        await broker.add_queue_tag("jobs", Tag("", ""))
        await broker.delete_queue_tag("jobs", Tag("a", "1"))
        await broker.delete_queue_tag("jobs", Tag("not", "there"))

        assert (await broker.get_queue(info.id)).tags == (Tag("a", "2"), Tag("", ""))

    async def test_name_belongs_to_one_queue_at_a_time(self, broker: Broker, kind: Store) -> None:
        """It is taken as soon as it is asked for, and free as soon as its queue is deleted."""
        first, second = await asyncio.gather(
            broker.new_queue(kind, name="jobs"),
            broker.new_queue(kind, name="jobs"),
            return_exceptions=True,
        )
        assert isinstance(first, QueueInfo)
        assert isinstance(second, NameTaken)
        await broker.add("jobs", b"of the first")

        await broker.delete_queue("jobs")
        heir = await broker.new_queue(kind, name="jobs")

        assert heir.id != first.id
        with pytest.raises(QueueEmpty):
            await broker.pop("jobs")

    async def test_deleted_queue_is_unknown(self, broker: Broker, kind: Store) -> None:
        """By id and by name, to every call."""
        info = await broker.new_queue(kind, name="jobs")
        await broker.add("jobs", b"x")

        await broker.delete_queue(info.id)

        assert await broker.list_queues(0, "") == ([], "")
        for call in (broker.get_queue, broker.delete_queue, broker.pop, broker.peek):
            with pytest.raises(QueueNotFound, match=f"^cannot find queue with id {info.id}$"):
                await call(info.id)
            with pytest.raises(InvalidArgument):
                await call("jobs")
        with pytest.raises(QueueNotFound):
            await broker.add(info.id, b"x")
        with pytest.raises(QueueNotFound):
            await broker.add_queue_tag(info.id, Tag("a", "1"))
        with pytest.raises(QueueNotFound):
            await broker.delete_queue_tag(info.id, Tag("a", "1"))

    async def test_counts_of_a_queue_tell_what_happened(self, broker: Broker, kind: Store) -> None:
        """What metrics show: each call once, under how it ended."""
        info = await broker.new_queue(kind, limit=1)
        await broker.add(info.id, b"x")
        with pytest.raises(QueueFull):
            await broker.add(info.id, b"x")
        await broker.peek(info.id)
        await broker.pop(info.id)
        with pytest.raises(QueueEmpty):
            await broker.pop(info.id)

        queue = broker.catalog.find(info.id)

        assert (queue.enqueued_total, queue.consumed_total) == (1, 1)
        assert (queue.full_total, queue.empty_total, queue.failed_total) == (1, 1, 0)
