"""The part of the suite of all stores that is about changes which belong together."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence

import pytest

from qmq.errors import QueueEmpty
from qmq.model.changes import Changes, Move
from qmq.model.delivery import Delivery
from qmq.model.index import entries, entry, size_of
from qmq.model.queue import Queue
from qmq.store.base import QueueStore
from qmq.testing import START_NS
from qmq.values import NS_PER_S, Durability, NackKind
from tests.model.queues import one_by_one
from tests.store.conformance import LARGE_BYTES, StoreSuite, make_queue, seqs_in, started

#: More than the messages of any test take.
EVERYTHING = 2**40

#: How long the leases of tests last.
LEASE_NS = 30 * NS_PER_S


def changed(  # noqa: PLR0913 - One for each kind of change.
    *,
    added: Sequence[tuple[int, int, bytes]] = (),
    saved: Sequence[Delivery] = (),
    moved: Sequence[Move] = (),
    removed: Sequence[int] = (),
    redrives: Sequence[tuple[str, str]] = (),
    schedules: Sequence[tuple[str, str]] = (),
) -> Changes:
    """Make changes."""
    changes = Changes()
    changes.added += added
    changes.saved += saved
    changes.moved += moved
    changes.removed += removed
    changes.redrives += redrives
    changes.schedules += schedules
    return changes


def lease(queue: Queue, count_max: int = 1, consumer: str = "") -> list[Delivery]:
    """Put messages at the head of a queue on lease, as the model does."""
    return one_by_one(
        queue.leases, queue.lease(START_NS, LEASE_NS, count_max, EVERYTHING, consumer)
    )


def give_back(queue: Queue, deliveries: Sequence[Delivery]) -> None:
    """Make messages ready again, as a consumer does who does not want them."""
    for delivery in deliveries:
        queue.leases.give_back(delivery, NackKind.FAIL, START_NS, 0, "no")


def ack(queue: Queue, deliveries: Sequence[Delivery]) -> Changes:
    """Take messages out of a queue, and return the changes."""
    for delivery in deliveries:
        queue.ack(delivery)
    return changed(removed=[delivery.entry for delivery in deliveries])


def ack_first(queue: Queue, seqs: Sequence[int]) -> Changes:
    """Ack the first leases on messages, as the model does; they hold."""
    gone = queue.ack_first(seqs)
    assert gone
    changes = changed(removed=gone.entries)
    changes.ended_lots = gone.lots
    return changes


def move(
    store: QueueStore, source: Queue, delivery: Delivery, target: Queue, suffix: bytes
) -> Move:
    """Take a message from a queue to another one, as the model does."""
    new_entry = entry(store.number(1, START_NS), size_of(delivery.entry) + len(suffix))
    source.leases.forget(delivery)
    target.take_in(new_entry)
    return Move(new_entry, target.number, suffix, delivery.entry)


def move_head(store: QueueStore, source: Queue, target: Queue, suffix: bytes) -> Changes:
    """Lease the message at the head of a queue and take it to another one."""
    [delivery] = lease(source)
    return changed(moved=[move(store, source, delivery, target, suffix)])


async def holds_by_store(store: QueueStore) -> list[int]:
    """Return how often a store holds each of the ints in the line of a queue.

    There is a message in it for each way in which messages come.
    """
    queue, source, bare = (make_queue(number) for number in (1, 2, 3))
    for each in (queue, source):
        await store.new_queue(each)
    await store.add(source, b"0", START_NS)
    await store.commit(move_head(store, source, queue, b"!"))
    [added] = queue.add_batch(store.number(1, START_NS), [1])
    await store.commit(changed(added=[(added, queue.number, b"1")]))
    del added
    await store.add_batch(queue, [b"2", b"3"], START_NS)
    # The last one comes by itself: a change that was just kept may be held a little longer.
    await store.add(queue, b"4", START_NS)
    bare.add_batch(START_NS, [1] * len(queue.ready))

    def holds(queue: Queue) -> list[int]:
        return [sys.getrefcount(entry) for entry in queue.ready.fresh]

    return [here - without for here, without in zip(holds(queue), holds(bare), strict=True)]


class StoreChangesConformance(StoreSuite):
    """What the protocol promises of changes that belong together."""

    async def test_messages_of_several_queues_are_added_at_once(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]]
    ) -> None:
        """Each comes out of its queue, in order, behind what was there and before what follows."""
        one, two = await new(), await new()
        await store.add(one, b"0", START_NS)
        first = store.number(3, START_NS)
        to_one = one.add_batch(first, [1, 1])
        to_two = two.add_batch(first + 2, [LARGE_BYTES])
        large = bytes(LARGE_BYTES)

        found = await store.commit(
            changed(added=[(to_one[0], 1, b"1"), (to_one[1], 1, b"2"), (to_two[0], 2, large)])
        )
        await store.add(one, b"3", START_NS)

        assert found == []
        assert [await store.pop(one) for _ in range(4)] == [b"0", b"1", b"2", b"3"]
        assert await store.pop(two) == large

    @pytest.mark.parametrize("durability", [Durability.UNKNOWN, Durability.MEMORY])
    async def test_envelopes_are_read_as_asked_for(
        self, store: QueueStore, queue: Queue, durability: Durability
    ) -> None:
        """In the order given, whether or not anything is changed, and however large they are."""
        sent = [b"1", bytes(LARGE_BYTES), b"333", bytes(100), b"5"]
        for envelope in sent:
            await store.add(queue, envelope, START_NS)
        line = list(queue.ready)

        leased = lease(queue, 3)
        found = await store.commit(changed(saved=leased), line[:3], durability)
        read = await store.commit(changed(), line[::-1], durability)

        assert line == entries(START_NS, map(len, sent))
        assert [delivery.entry for delivery in leased] == line[:3]
        assert found == sent[:3]
        assert read == sent[::-1]

    async def test_read_comes_after_what_is_added_and_before_what_goes(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]]
    ) -> None:
        """What is read is there when the changes are made, as it was before them."""
        source, target = await new(), await new()
        await store.add_batch(source, [b"acked", b"moved"], START_NS)
        acked, moved = lease(source, 2)
        [added] = source.add_batch(store.number(1, START_NS), [5])
        changes = changed(
            added=[(added, source.number, b"added")],
            moved=[move(store, source, moved, target, b"+")],
            removed=ack(source, [acked]).removed,
        )

        found = await store.commit(changes, [moved.entry, added, acked.entry])

        assert found == [b"moved", b"added", b"acked"]
        assert await store.pop_batch(source, 9, EVERYTHING) == [b"added"]
        assert await store.pop_batch(target, 9, EVERYTHING) == [b"moved+"]

    async def test_removed_messages_are_gone(self, store: QueueStore, queue: Queue) -> None:
        """Those alone: what stands before and behind them stays, in order."""
        await store.add_batch(queue, [b"0", b"1", b"2", b"3", b"4"], START_NS)
        leased = lease(queue, 4)
        await store.commit(changed(saved=leased))

        await store.commit(ack(queue, leased[1:3]))
        give_back(queue, [leased[3], leased[0]])
        await store.commit(changed(saved=[leased[0], leased[3]]))

        assert [await store.pop(queue) for _ in range(3)] == [b"0", b"3", b"4"]
        with pytest.raises(QueueEmpty):
            await store.pop(queue)

    async def test_message_that_was_leased_can_be_popped(
        self, store: QueueStore, queue: Queue
    ) -> None:
        """It stands where it stood, for one and for a batch, and for a look."""
        sent = [b"0", b"1", b"2", b"3"]
        await store.add_batch(queue, sent, START_NS)
        leased = lease(queue, 3)
        await store.commit(changed(saved=leased))
        give_back(queue, leased)
        await store.commit(changed(saved=leased))

        assert await store.peek(queue) == b"0"
        assert await store.pop(queue) == b"0"
        assert await store.pop_batch(queue, 9, EVERYTHING) == sent[1:]

    async def test_moved_message_is_at_the_end_of_its_new_queue(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]]
    ) -> None:
        """With what was put at its end, and no more in the queue that it came from."""
        source, target = await new(), await new()
        await store.add_batch(source, [b"0", b"1", bytes(LARGE_BYTES), b"3"], START_NS)
        await store.add(target, b"before", START_NS)
        deliveries = lease(source, 3)

        await store.commit(
            changed(
                moved=[
                    move(store, source, deliveries[2], target, b"!"),
                    move(store, source, deliveries[0], target, b"?"),
                ]
            )
        )
        await store.add(target, b"behind", START_NS)
        give_back(source, [deliveries[1]])

        sizes = (source.ready.bytes, target.ready.bytes)
        assert await store.pop_batch(source, 9, EVERYTHING) == [b"1", b"3"]
        got = await store.pop_batch(target, 9, EVERYTHING)
        assert got == [b"before", bytes(LARGE_BYTES) + b"!", b"0?", b"behind"]
        assert sizes == (2, sum(map(len, got)))

    async def test_message_moves_on_before_its_move_is_kept(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]]
    ) -> None:
        """From queue to queue, in changes of which none is waited for; it is read on its way."""
        queues = [await new() for _ in range(6)]
        await store.add_batch(queues[0], [b"0", b"kept"], START_NS)
        [at_home] = lease(queues[0])

        calls: list[Awaitable[object]] = [store.commit(changed(saved=[at_home]), [at_home.entry])]
        give_back(queues[0], [at_home])
        for n in range(5):
            calls += [
                store.commit(move_head(store, queues[n], queues[n + 1], b"%d" % (n + 1))),
                store.peek(queues[n + 1]),
            ]
        calls += [store.pop(queues[5]), store.pop(queues[0])]
        results = await asyncio.gather(*calls)

        assert results[0] == [b"0"]
        assert results[2:11:2] == [b"01", b"012", b"0123", b"01234", b"012345"]
        assert results[11:] == [b"012345", b"kept"]
        assert not any(queue.message_count for queue in queues)

    async def test_message_is_read_and_moved_in_whatever_order_it_is_asked_for(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]]
    ) -> None:
        """Each reader gets what was there when it asked, also when nobody has waited yet."""
        source, target = await new(), await new()

        added = store.add(source, b"x", START_NS)
        peeked = store.peek(source)
        [delivery] = lease(source)
        leased = store.commit(changed(saved=[delivery]), [delivery.entry])
        moved = store.commit(changed(moved=[move(store, source, delivery, target, b"y")]))
        [again] = lease(target)
        leased_again = store.commit(changed(saved=[again]), [again.entry])
        moved_back = store.commit(changed(moved=[move(store, target, again, source, b"z")]))
        popped = store.pop_batch(source, 9, EVERYTHING)

        results = await asyncio.gather(
            *(added, peeked, leased, moved, leased_again, moved_back, popped)
        )
        assert results == [None, b"x", [b"x"], [], [b"xy"], [], [b"xyz"]]

    async def test_numbers_are_given_out_once(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]]
    ) -> None:
        """From the moment or the next free one, whatever the clock says, and whoever asks."""
        queue = await new()

        firsts = [store.number(3, START_NS), store.number(1, START_NS - 3_600 * NS_PER_S)]
        await store.add(queue, b"x", START_NS)
        await store.add_batch(queue, [b"x", b"x"], START_NS)
        firsts += [store.number(0, START_NS), store.number(2, START_NS)]
        firsts.append(store.number(1, START_NS + 50))

        assert [first - START_NS for first in firsts] == [0, 3, 7, 7, 50]
        assert [seq - START_NS for seq in seqs_in(queue)] == [4, 5, 6]

    async def test_purge_takes_all_messages_of_one_queue(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]]
    ) -> None:
        """In whatever state, and nobody else's; what comes later is there."""
        queue, other = await new(), await new()
        await store.add_batch(queue, [b"%d" % n for n in range(9)], START_NS)
        await store.add_batch(other, [b"a", b"b"], START_NS)
        leased = [*lease(queue, 4), *lease(other)]
        await store.commit(changed(saved=leased))
        give_back(queue, leased[:2])
        queue.leases.give_back(leased[2], NackKind.FAIL, START_NS, LEASE_NS, "later")
        await store.commit(changed(saved=leased[:3]))

        await store.purge(queue)
        was_left = queue.message_count
        await store.purge(queue)
        await store.add(queue, b"new", START_NS)
        give_back(other, leased[4:])

        assert was_left == 0
        assert await store.pop_batch(queue, 99, EVERYTHING) == [b"new"]
        assert await store.pop_batch(other, 9, EVERYTHING) == [b"a", b"b"]

    async def test_purge_takes_what_is_not_kept_yet(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]]
    ) -> None:
        """Calls that were made before it are answered as they were decided."""
        source, queue = await new(), await new()
        await store.add(source, b"moved", START_NS)

        results = await asyncio.gather(
            store.add_batch(queue, [b"1", b"2", b"3"], START_NS),
            store.commit(move_head(store, source, queue, b"!")),
            store.peek(queue),
            store.pop(queue),
            store.purge(queue),
            store.add(queue, b"4", START_NS),
            store.pop_batch(queue, 9, EVERYTHING),
            store.purge(queue),
        )

        assert results == [None, [], b"1", b"1", None, None, [b"4"], None]
        assert queue.message_count == source.message_count == 0

    async def test_cancelled_changes_harm_nobody_else(
        self, store: QueueStore, queue: Queue
    ) -> None:
        """They have taken effect, and everyone else gets the answer they would have got."""
        await store.add_batch(queue, [b"0", b"1", b"2"], START_NS)
        [first, second] = lease(queue, 2)

        calls = await started(
            store.commit(changed(saved=[first, second]), [first.entry, second.entry]),
            store.commit(ack(queue, [first])),
            store.commit(changed(), [second.entry]),
        )
        for cancelled in calls[:2]:
            cancelled.cancel()
        await asyncio.wait(calls)
        give_back(queue, [second])

        assert calls[2].result() == [b"1"]
        assert await store.pop_batch(queue, 9, EVERYTHING) == [b"1", b"2"]

    @pytest.mark.parametrize("durability", [Durability.UNKNOWN, Durability.MEMORY])
    async def test_whatever_a_caller_waits_for_the_answer_is_the_same(
        self, store: QueueStore, new: Callable[..., Awaitable[Queue]], durability: Durability
    ) -> None:
        """And it is the truth at once, for those who come next."""
        queue, other = await new(), await new()

        await store.add(queue, b"0", START_NS, durability)
        await store.add_batch(queue, [b"1", b"2", b"3", b"4"], START_NS, durability)
        [delivery] = lease(queue)
        read = await store.commit(changed(saved=[delivery]), [delivery.entry], durability)
        moves = changed(moved=[move(store, queue, delivery, other, b"+")])
        await store.commit(moves, durability=durability)
        await store.settle(durability)

        assert read == [b"0"]
        assert await store.pop(other, durability) == b"0+"
        assert await store.pop(queue, durability) == b"1"
        assert await store.peek(queue) == b"2"
        assert await store.pop_batch(queue, 2, EVERYTHING, durability) == [b"2", b"3"]
        assert await store.pop(queue) == b"4"
        assert await store.pop_batch(queue, 2, EVERYTHING, durability) == []
