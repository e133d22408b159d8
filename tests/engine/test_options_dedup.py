"""Messages that are added with a dedup_id: each once for as long as its queue knows that."""

import pytest

from qmq.errors import AddsPaused, DedupFull, InvalidArgument, QueueFull, TooLarge
from qmq.limits import DEDUP_IDS_MAX
from qmq.model.dedup import Known
from qmq.testing import START_NS
from qmq.values import NS_PER_S, Overflow, Store
from qmq.wire import q_pb2 as pb
from tests.engine.consumers import ack, add, lease, pop_all, states, stats
from tests.engine.servers import Server, options


async def repeated(server: Server, payload: bytes, dedup_id: str, queue: str = "jobs") -> bool:
    """Add a message, and return whether it was there already."""
    _, was_known = await server.broker.add_with(queue, payload, b"", options(dedup_id=dedup_id))
    return was_known


async def test_repeat_is_answered_like_the_first_and_adds_nothing(server: Server) -> None:
    """With its metadata, but without what was in it; what a repeat holds does not count."""
    tags = pb.Message(meta=pb.Metadata(tags=[pb.Tag(key="k", value="v")])).meta.SerializeToString()
    asked = options(dedup_id="a")
    first, was_known = await server.broker.add_with("jobs", b"1", tags, asked)
    await server.pass_time(5)

    second, is_known = await server.broker.add_with("jobs", b"2", b"", asked)

    one, other = pb.Message.FromString(first), pb.Message.FromString(second)
    assert (was_known, is_known) == (False, True)
    assert other == pb.Message(meta=one.meta)
    assert [(tag.key, tag.value) for tag in other.meta.tags] == [("k", "v")]
    assert one.options.dedup_id == "a"
    assert await pop_all(server.broker) == [b"1"]
    counts = await stats(server.broker)
    assert (counts.deduplicated_total, counts.dedup_ids, counts.enqueued_total) == (1, 1, 1)


async def test_id_is_known_in_its_queue_alone(server: Server) -> None:
    """And is no other one, however alike."""
    assert not await repeated(server, b"1", "a")
    assert not await repeated(server, b"2", "a", "dead")
    assert not await repeated(server, b"3", "A")
    assert not await repeated(server, b"4", "")
    assert not await repeated(server, b"5", "")
    assert await repeated(server, b"6", "a", "dead")


@pytest.mark.parametrize("way", ["popped", "acked", "purged", "expired", "displaced", "moved"])
async def test_id_is_known_after_its_message_has_left(server: Server, way: str) -> None:
    """Whatever has become of it."""
    broker = server.broker
    await server.put(b"1", dedup_id="a", ttl=5)
    match way:
        case "popped":
            await broker.pop("jobs")
        case "acked":
            await ack(broker, *await lease(broker))
        case "purged":
            await broker.purge("jobs")
        case "expired":
            await server.pass_time(5)
        case "displaced":
            await server.change("jobs", limit=1, overflow=Overflow.DROP_OLDEST)
            await add(broker, b"2")
            await broker.pop("jobs")
        case _:
            await server.change("jobs", dead_letter_expired=True)
            await server.pass_time(5)
            assert await states(broker, "dead") == (1, 0, 0)

    assert await repeated(server, b"again", "a")
    assert await states(broker) == (0, 0, 0)


async def test_id_is_known_for_the_window_of_its_queue(server: Server) -> None:
    """From the first message on, which repeats do not make longer; five minutes by default."""
    assert not await repeated(server, b"1", "a")
    await server.pass_time(299)
    assert await repeated(server, b"2", "a")
    await server.pass_time(1)
    assert not await repeated(server, b"3", "a")
    await server.pass_time(299)
    assert await repeated(server, b"4", "a")

    assert await pop_all(server.broker) == [b"1", b"3"]


async def test_window_is_measured_by_the_clock_that_nobody_sets(server: Server) -> None:
    """A clock that is set lets no message in twice."""
    assert not await repeated(server, b"1", "a")
    server.clock.advance(3_600)
    assert await repeated(server, b"2", "a")
    server.clock.advance(-7_200)
    await server.pass_time(299)
    assert await repeated(server, b"3", "a")


async def test_new_window_is_for_those_that_come(server: Server) -> None:
    """Those that are known are known for as long as was said."""
    await server.change("jobs", dedup_window=10)
    assert not await repeated(server, b"1", "a")
    await server.change("jobs", dedup_window=100)
    assert not await repeated(server, b"2", "b")
    await server.change("jobs", dedup_window=5)
    assert not await repeated(server, b"3", "c")

    await server.pass_time(5)
    assert await repeated(server, b"4", "a")
    assert await repeated(server, b"5", "b")
    assert not await repeated(server, b"6", "c")
    await server.pass_time(5)
    assert not await repeated(server, b"7", "a")


async def test_batch_has_each_id_once(server: Server) -> None:
    """By repeats of what was there and of its own messages; all are answered in order."""
    first = await server.put(b"1", dedup_id="a")

    added = await server.put_many(
        [
            (b"2", {"dedup_id": "b"}),
            (b"3", {"dedup_id": "a"}),
            (b"4", {}),
            (b"5", {"dedup_id": "b", "priority": 9}),
            (b"6", {"dedup_id": "c"}),
            (b"7", {"dedup_id": "a"}),
        ]
    )

    ids = [pb.Message.FromString(meta).meta.id for meta in added.metas]
    assert added.known == [1, 3, 5]
    assert (ids[1], ids[5], ids[3]) == (first.meta.id, first.meta.id, ids[0])
    assert len(set(ids)) == 4
    assert len(added.envelopes) == 3
    assert await pop_all(server.broker) == [b"1", b"2", b"4", b"6"]
    assert (await stats(server.broker)).deduplicated_total == 3


async def test_partial_batch_answers_for_repeats_up_to_the_first_refusal(server: Server) -> None:
    """A repeat takes no room; one behind a message that is refused is refused with it."""
    await server.put(b"1", dedup_id="a")
    await server.change("jobs", limit=2)
    batch = [
        (b"2", {"dedup_id": "a"}),
        (b"3", {"dedup_id": "b"}),
        (b"4", {"dedup_id": "b"}),
        (b"5", {}),
        (b"6", {"dedup_id": "a"}),
    ]

    with pytest.raises(QueueFull):
        await server.put_many(batch)
    added = await server.put_many(batch, partial=True)
    again = await server.put_many(batch, partial=True)

    assert (len(added.metas), added.known, len(added.envelopes)) == (3, [0, 2], 1)
    assert (len(again.metas), again.known, again.envelopes) == (3, [0, 1, 2], [])
    assert await pop_all(server.broker) == [b"1", b"3"]
    assert (await stats(server.broker)).deduplicated_total == 5


async def test_partial_batch_whose_first_message_has_no_room_is_refused(server: Server) -> None:
    """As ever."""
    await server.change("jobs", limit=1)
    await server.put(b"1", dedup_id="a")

    with pytest.raises(QueueFull):
        await server.put_many([(b"2", {}), (b"3", {"dedup_id": "a"})], partial=True)


async def test_repeat_is_answered_by_a_queue_that_takes_nothing(server: Server) -> None:
    """It adds nothing, so that neither a limit nor a pause is in its way."""
    await server.change("jobs", limit=1)
    await server.put(b"1", dedup_id="a")
    assert await repeated(server, b"2", "a")
    await server.broker.pause("jobs", adds=True)

    assert await repeated(server, b"2", "a")
    assert (await server.put_many([(b"3", {"dedup_id": "a"})])).known == [0]
    assert len(await completed(server, "a")) == 1
    with pytest.raises(AddsPaused):
        await server.put(b"4", dedup_id="b")


async def completed(server: Server, *dedup_ids: str) -> list[pb.Metadata]:
    """Make a step of messages with these ids, and return their metadata."""
    metas = await server.broker.leasing.complete(
        [],
        [("jobs", [(b"", b"x") for _ in dedup_ids])],
        [{at: options(dedup_id=each) for at, each in enumerate(dedup_ids)}],
    )
    return [pb.Message.FromString(meta).meta for meta in metas]


async def test_step_has_each_id_once(server: Server) -> None:
    """In each of its queues; a step that is made again adds nothing."""
    first = await completed(server, "a", "b", "a")
    again = await completed(server, "a", "b", "c")

    assert [each.id for each in first] == [first[0].id, first[1].id, first[0].id]
    assert again[:2] == first[:2]
    assert again[2].id not in {each.id for each in first}
    assert await states(server.broker) == (3, 0, 0)


async def test_step_knows_ids_across_its_parts(server: Server) -> None:
    """Also if a queue is named more often than once; another queue knows none of it."""
    metas = await server.broker.leasing.complete(
        [],
        [("jobs", [(b"", b"1")]), ("dead", [(b"", b"2")]), ("jobs", [(b"", b"3"), (b"", b"4")])],
        [{0: options(dedup_id="a")}, {0: options(dedup_id="a")}, {1: options(dedup_id="a")}],
    )

    ids = [pb.Message.FromString(meta).meta.id for meta in metas]
    assert ids[3] == ids[0]
    assert len(set(ids)) == 3
    assert await pop_all(server.broker) == [b"1", b"3"]
    assert await pop_all(server.broker, "dead") == [b"2"]


async def test_refused_message_is_not_known(server: Server) -> None:
    """Nor is what was to be added with it."""
    await server.change("jobs", limit=1)
    await add(server.broker, b"1")
    with pytest.raises(QueueFull):
        await server.put(b"2", dedup_id="a")
    with pytest.raises(QueueFull):
        await server.put_many([(b"2", {"dedup_id": "a"})], partial=True)
    with pytest.raises(InvalidArgument):
        await server.put_many([(b"2", {"dedup_id": "a"}), (b"3", {"expires_at": -1})])
    await server.broker.pop("jobs")

    assert not await repeated(server, b"3", "a")


async def test_message_that_makes_room_is_known_all_the_same(server: Server) -> None:
    """Its id is not free, though it was dropped."""
    await server.change("jobs", limit=1, overflow=Overflow.DROP_OLDEST)
    assert not await repeated(server, b"1", "a")
    assert not await repeated(server, b"2", "b")

    assert await repeated(server, b"3", "a")
    assert await pop_all(server.broker) == [b"2"]


async def test_reply_to_repeats_may_not_be_too_large(server: Server) -> None:
    """Their metadata counts like that of any other message."""
    tags = pb.Metadata(tags=[pb.Tag(key="k", value="v" * 10_000)]).SerializeToString()
    asked = options(dedup_id="a")
    await server.broker.add_with("jobs", b"1", tags, asked)

    with pytest.raises(TooLarge) as refusal:
        await server.broker.add_batch_with(
            "jobs", [(b"", b"2")] * 10, dict.fromkeys(range(10), asked)
        )
    with pytest.raises(TooLarge):
        await completed(server, *["a"] * 10)

    assert refusal.value.message.startswith("messages: the reply, tags and metadata of all, takes")
    assert (await stats(server.broker)).deduplicated_total == 0


#: A million ids are no different where the queue is on disk: it is the model that counts them.
in_memory = pytest.mark.parametrize("server", [Store.MEMORY], indirect=True)


async def fill(server: Server, count: int, expires_s: float) -> None:
    """Let the queue "jobs" know so many ids more."""
    dedup = server.broker.catalog.find("jobs").dedup
    first = len(dedup) + 1
    for seq in range(first, first + count):
        dedup.add(Known(seq, f"#{seq}", b"", START_NS + round(expires_s * NS_PER_S)))


@in_memory
async def test_queue_knows_so_many_ids_and_no_more(server: Server) -> None:
    """One more is refused until the oldest one is forgotten, and the refusal says when that is.

    Not when one was that is still to be cleared away.
    """
    await fill(server, 1, 5)
    await fill(server, DEDUP_IDS_MAX - 2, 60)
    await server.put(b"last", dedup_id="a")

    with pytest.raises(DedupFull) as refusal:
        await server.put(b"refused", dedup_id="b")

    assert refusal.value.metadata == {
        "limit": "dedup_ids_max",
        "value": "1000000",
        "current": "1000000",
    }
    assert refusal.value.retry_after_s == 5
    assert await repeated(server, b"again", "a")
    await server.put(b"plain")
    with pytest.raises(DedupFull):
        await server.put_many([(b"refused", {"dedup_id": "b"}), (b"plain", {})], partial=True)
    with pytest.raises(DedupFull):
        await completed(server, "b")
    assert await pop_all(server.broker) == [b"last", b"plain"]

    await server.pass_time(10)
    with pytest.raises(DedupFull) as refusal:
        await server.put_many([(b"x", {"dedup_id": "b"}), (b"y", {"dedup_id": "c"})])
    assert refusal.value.retry_after_s == 50
    await server.put(b"x", dedup_id="b")

    await server.pass_time(50)
    await server.put(b"next", dedup_id="c")
    assert len(server.broker.catalog.find("jobs").dedup) < DEDUP_IDS_MAX


async def test_ids_are_forgotten_when_others_come(server: Server) -> None:
    """So that they take no room for ever."""
    await server.change("jobs", dedup_window=10)
    for n in range(5):
        await server.put(b"x", dedup_id=f"{n}")
    await server.pass_time(10)
    assert (await stats(server.broker)).dedup_ids == 5

    await server.put(b"y", dedup_id="new")

    assert (await stats(server.broker)).dedup_ids == 1
