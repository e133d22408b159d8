"""Explain finds a message, and tells why it is not being handed out."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest

from qmq.engine.broker import Broker
from qmq.engine.browsing import Explanation
from qmq.errors import InvalidArgument, MessageNotFound, QueueNotFound
from qmq.limits import BROWSED_MESSAGES_MAX
from qmq.testing import START_NS, ManualClock
from qmq.values import NS_PER_S, NackKind, Store, utc
from qmq.wire import q_pb2 as pb
from tests.engine.callers import Caller, turns
from tests.engine.looking import (
    REPLY_BYTES_MAX,
    CountingStore,
    broker_on_disk,
    broker_to_browse,
    browsed,
    in_each_state,
    largest,
    leased,
    put,
)

#: Why a message is not handed out that could be.
NOBODY = "nobody waits for a message of the queue"


@pytest.fixture
def store() -> CountingStore:
    """Return the store of the server."""
    return CountingStore()


@pytest.fixture
async def broker(clock: ManualClock, store: CountingStore) -> Broker:
    """Return a broker with the empty queue "jobs", whose dead letters go to "dead"."""
    return await broker_to_browse(store, clock)


async def explained(broker: Broker, id_: str) -> tuple[int, list[str]]:
    """Return how many messages are before one, and why it is not handed out."""
    found = await broker.browsing.explain("jobs", id_)
    assert pb.BrowsedMessage.FromString(found.message).message.meta.id == id_
    return found.ahead, found.reasons


async def test_message_that_nobody_asks_for_is_ready(broker: Broker) -> None:
    """It says what would bring it out."""
    (id_,) = await put(broker, b"x")

    assert await explained(broker, id_) == (
        0,
        [
            NOBODY,
            "it is ready: the next Lease or Pop gets it",
        ],
    )


async def test_message_behind_others_says_how_many(broker: Broker, clock: ManualClock) -> None:
    """Those that have come back count as those that were never handed out; others do not."""
    await in_each_state(broker, clock)
    (id_,) = await put(broker, b"x")
    began = utc(START_NS + 20 * NS_PER_S)

    assert await explained(broker, id_) == (
        3,
        [
            "3 messages are handed out before it",
            f"{NOBODY}; its consumers have 1 on lease; the last lease began at {began}",
        ],
    )


async def test_message_behind_one_says_so(broker: Broker) -> None:
    """In words that people use."""
    _, id_ = await put(broker, b"0", b"1")

    ahead, reasons = await explained(broker, id_)

    assert (ahead, reasons[0]) == (1, "1 message is handed out before it")


async def test_pause_is_named_first(broker: Broker, clock: ManualClock) -> None:
    """Whatever else stands in a message's way, that has to end before it is handed out."""
    await put(broker, b"0")
    leased_id, ready_id = await put(broker, b"1", b"2")
    await leased(broker, 2, "w")
    await broker.pause("jobs", adds=False)
    paused = f"the queue is paused since {utc(START_NS)}: it hands out nothing"
    end = utc(START_NS + 30 * NS_PER_S)
    clock.advance(1)

    assert await explained(broker, ready_id) == (0, [paused])
    assert await explained(broker, leased_id) == (
        0,
        [paused, f"it is leased to 'w' until {end}, since {utc(START_NS)}"],
    )


async def test_leased_message_says_who_has_it(broker: Broker) -> None:
    """Also if that one has not said who it is."""
    (id_,) = await put(broker, b"x")
    await leased(broker)
    end = utc(START_NS + 30 * NS_PER_S)

    assert await explained(broker, id_) == (
        0,
        [f"it is leased to a consumer without a name until {end}, since {utc(START_NS)}"],
    )


async def test_failed_message_says_what_it_is_kept_back_for(
    broker: Broker, clock: ManualClock
) -> None:
    """Which delivery failed, what the consumer said, and until when."""
    (id_,) = await put(broker, b"x")
    await broker.leasing.nack("jobs", await leased(broker), NackKind.FAIL, delay_ns=0)
    await broker.leasing.nack("jobs", await leased(broker), NackKind.FAIL, reason="no such table")
    until = utc(START_NS + 20 * NS_PER_S)

    assert await explained(broker, id_) == (
        0,
        [f"it is kept back until {until}, since its delivery 2 has failed: no such table"],
    )
    clock.advance(20)
    assert (await explained(broker, id_))[1][-1] == "it is ready: the next Lease or Pop gets it"


async def test_released_message_says_that_it_was_released(broker: Broker) -> None:
    """With a delay, which its consumer has asked for."""
    (id_,) = await put(broker, b"x")
    await broker.leasing.nack("jobs", await leased(broker), NackKind.RELEASE, delay_ns=NS_PER_S)
    until = utc(START_NS + NS_PER_S)

    assert await explained(broker, id_) == (
        0,
        [f"it is kept back until {until}, since it was released with a delay"],
    )


async def test_promised_message_says_so(broker: Broker) -> None:
    """Who waited for it is about to take it."""
    caller = Caller(broker, slowness=10_000)
    await turns()
    promised_id, other_id = await put(broker, b"0", b"1")

    assert await explained(broker, promised_id) == (
        0,
        ["it is promised to a caller that has waited for it, and takes it in a moment"],
    )
    assert await explained(broker, other_id) == (
        1,
        [
            "1 message is handed out before it",
            "it is ready: the next Lease or Pop gets it",
        ],
    )
    caller.cancel()


async def test_explained_message_is_shown_as_browsing_shows_it(
    broker: Broker, clock: ManualClock
) -> None:
    """One picture of a message, wherever one looks."""
    await in_each_state(broker, clock)

    for each in await browsed(broker):
        found = await broker.browsing.explain("jobs", each.message.meta.id)
        assert pb.BrowsedMessage.FromString(found.message) == each


async def test_message_is_found_near_its_creation(
    broker: Broker, clock: ManualClock, store: CountingStore
) -> None:
    """Who knows when it was created spares q a search."""
    await broker.add_batch("jobs", [(b"", b"x")] * BROWSED_MESSAGES_MAX)
    clock.advance(1)
    (id_,) = await put(broker, b"wanted")
    await broker.add_batch("jobs", [(b"", b"x")] * BROWSED_MESSAGES_MAX)
    created_ns = clock.now_ns()
    store.reads.clear()

    found = await broker.browsing.explain("jobs", id_, created_ns)
    with_moment = list(store.reads)
    again = await broker.browsing.explain("jobs", id_)

    assert found == again
    assert found.ahead == BROWSED_MESSAGES_MAX
    assert sum(with_moment) < 20
    assert sum(store.reads) > BROWSED_MESSAGES_MAX


async def test_last_message_of_a_batch_is_found(broker: Broker) -> None:
    """All of a batch are created at the same moment, and stand one behind the other."""
    await broker.add_batch("jobs", [(b"", b"x")] * 500)
    last = (await browsed(broker))[-1].message.meta

    found = await broker.browsing.explain("jobs", last.id, last.created.ToNanoseconds())

    assert found.ahead == 499


async def test_message_is_found_that_came_after_the_clock_was_set_back(
    broker: Broker, clock: ManualClock
) -> None:
    """Its place is behind those that came before, whatever the clock said then."""
    await put(broker, *[b"x"] * 50)
    clock.advance(-3600)
    (id_,) = await put(broker, b"wanted")

    found = await broker.browsing.explain("jobs", id_, clock.now_ns())

    assert found.ahead == 50


async def test_dead_letter_is_found(broker: Broker, clock: ManualClock) -> None:
    """It is in its new queue since it was moved, which was after it was created."""
    (id_,) = await put(broker, b"x")
    clock.advance(10)
    await broker.leasing.nack("jobs", await leased(broker), NackKind.REJECT, reason="bad")

    found = await broker.browsing.explain("dead", id_, START_NS)

    message = pb.BrowsedMessage.FromString(found.message).message
    assert (message.meta.id, message.dead_letter.text) == (id_, "bad")


@pytest.mark.parametrize("created_ns", [None, 0, -1, START_NS, START_NS + 10**12])
async def test_message_that_is_not_there_is_an_error(
    broker: Broker, created_ns: int | None
) -> None:
    """The error names the queue and the message, and what may have become of it."""
    (id_,) = await put(broker, b"x")
    await broker.leasing.ack("jobs", await leased(broker))
    await put(broker, *[b"y"] * 30)
    queue_id = (await broker.get_queue("jobs")).id

    with pytest.raises(
        MessageNotFound, match=rf"^queue {queue_id} holds no message with id {id_}: it never did"
    ):
        await broker.browsing.explain("jobs", id_, created_ns)


async def test_message_id_is_a_uuid(broker: Broker) -> None:
    """In any of the forms in which a queue's id is accepted too."""
    (id_,) = await put(broker, b"x")

    assert await broker.browsing.explain("jobs", id_.upper()) == await broker.browsing.explain(
        "jobs", UUID(id_).urn
    )
    with pytest.raises(InvalidArgument, match=r"^message_id: 'x1' is no UUID$"):
        await broker.browsing.explain("jobs", "x1")


async def far(broker: Broker) -> tuple[str, "asyncio.Task[Explanation]"]:
    """Begin to look for a message that is behind many others, and return its id as well."""
    for _ in range(4):
        await broker.add_batch("jobs", [(b"", b"x")] * BROWSED_MESSAGES_MAX)
    (id_,) = await put(broker, b"far")
    task = asyncio.ensure_future(broker.browsing.explain("jobs", id_))
    await turns(2)
    assert not task.done()
    return id_, task


async def test_others_have_their_turn_during_a_search(broker: Broker) -> None:
    """And what they do meanwhile counts."""
    _, task = await far(broker)

    await broker.pop("jobs")

    assert (await task).ahead == 4 * BROWSED_MESSAGES_MAX - 1


async def test_message_that_leaves_during_a_search_is_not_found(broker: Broker) -> None:
    """It is gone when the answer is given."""
    _, task = await far(broker)

    await broker.purge("jobs")

    with pytest.raises(MessageNotFound):
        await task


async def test_queue_that_is_deleted_during_a_search_is_not_found(broker: Broker) -> None:
    """As for any call on a queue that is gone."""
    _, task = await far(broker)

    await broker.delete_queue("jobs")

    with pytest.raises(QueueNotFound):
        await task


async def test_message_on_disk_is_explained_after_a_restart(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Who has it is kept with it."""
    async with broker_on_disk(tmp_path, clock, cache_bytes_max=1_000_000) as broker:
        await broker.new_queue(Store.DISK, name="jobs")
        id_, last_id = await put(broker, b"0", b"1")
        await leased(broker, 1, "worker")
    clock.advance(1)

    async with broker_on_disk(tmp_path, clock, cache_bytes_max=0) as broker:
        of_leased = await explained(broker, id_)
        of_ready = await explained(broker, last_id)

    end, began = utc(START_NS + 30 * NS_PER_S), utc(START_NS)
    assert of_leased == (0, [f"it is leased to 'worker' until {end}, since {began}"])
    assert of_ready[1] == [
        f"{NOBODY}; its consumers have 1 on lease; the last lease began at {began}",
        "it is ready: the next Lease or Pop gets it",
    ]


async def test_largest_message_with_the_longest_history_fits_into_a_reply(
    broker: Broker,
) -> None:
    """What has no room is left out: the oldest attempts, the consumer, the last reasons."""
    id_ = await largest(broker)
    for _ in range(16):
        held = await leased(broker, 1, "c" * 200)
        await broker.leasing.nack("jobs", held, NackKind.FAIL, delay_ns=0, reason="r" * 1_024)
    await leased(broker, 1, "c" * 200)
    await broker.pause("jobs", adds=False)

    found = await broker.browsing.explain("jobs", id_)

    reply_bytes = pb.ExplainResponse(
        message=pb.BrowsedMessage.FromString(found.message),
        ahead=found.ahead,
        reasons=found.reasons,
    ).ByteSize()
    assert REPLY_BYTES_MAX - 200 < reply_bytes <= REPLY_BYTES_MAX
    assert found.reasons[0].startswith("the queue is paused since ")
