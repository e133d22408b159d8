"""Messages that are deleted and moved by their ids, together with each other feature."""

from typing import Any

from qmq.descriptions import Rate
from qmq.testing import START_NS
from qmq.values import NS_PER_S, DeadLetterReason, GroupState, NackKind
from tests.engine.callers import payload_of
from tests.engine.consumers import FINE, ack, lease, nack, pop_all, states, stats
from tests.engine.looking import DELAYED, LEASED, READY, browsed, payloads
from tests.engine.pairs import cell, dead_letter, redriven
from tests.engine.picks import DONE, MOVED, delete, move
from tests.engine.servers import Server


async def _put(server: Server, payload: bytes, **given: Any) -> str:  # noqa: ANN401 - As the options are.
    """Add a message, and return its id."""
    return (await server.put(payload, **given)).meta.id


@cell("delay", "by_id")
async def _(server: Server) -> None:
    """What is kept back is deleted like any other, and stays kept back where it is moved."""
    await server.new_queue("other")
    one, two = [await _put(server, payload, delay=5) for payload in (b"1", b"2")]

    assert await delete(server.broker, one) == [DONE]
    assert await move(server.broker, two) == [MOVED]

    assert await states(server.broker) == (0, 0, 0)
    assert await states(server.broker, "other") == (0, 0, 1)
    await server.pass_time(5)
    assert await pop_all(server.broker, "other") == [b"2"]


@cell("ttl", "by_id")
async def _(server: Server) -> None:
    """What is moved is of use for as long as its own ttl says; its queue's counts from then on."""
    await server.new_queue("other", ttl=8)
    own = await _put(server, b"own", ttl=5)
    plain = await _put(server, b"plain")
    await server.pass_time(4)

    assert await move(server.broker, own, plain) == [MOVED, MOVED]

    await server.pass_time(1)
    assert payloads(await browsed(server.broker, queue="other")) == [b"plain"]
    await server.pass_time(6.9)
    assert await states(server.broker, "other") == (1, 0, 0)
    await server.pass_time(0.2)
    assert await states(server.broker, "other") == (0, 0, 0)


@cell("priority", "by_id")
async def _(server: Server) -> None:
    """What is moved has the priority that it was added with."""
    await server.new_queue("other")
    await server.put(b"there", "other")
    high = await _put(server, b"high", priority=9)

    assert await move(server.broker, high) == [MOVED]

    assert await pop_all(server.broker, "other") == [b"high", b"there"]


@cell("dedup", "by_id")
async def _(server: Server) -> None:
    """What was deleted or moved away is known there all the same, and not where it was moved."""
    await server.new_queue("other")
    gone, moved = [await _put(server, each, dedup_id=each.decode()) for each in (b"1", b"2")]
    await delete(server.broker, gone)
    await move(server.broker, moved)

    await server.put(b"again", dedup_id="1")
    await server.put(b"again", dedup_id="2")
    await server.put(b"new", "other", dedup_id="2")

    assert await pop_all(server.broker) == []
    assert await pop_all(server.broker, "other") == [b"2", b"new"]


@cell("group", "by_id")
async def _(server: Server) -> None:
    """A group goes on behind what leaves it, stays parked, and is joined at its end elsewhere."""
    await server.new_queue("other")
    await server.change("jobs", park_after=1)
    await server.put(b"there", "other", group_id="g")
    first, second, third = [
        await _put(server, payload, group_id="g") for payload in (b"1", b"2", b"3")
    ]
    await server.put(b"4", group_id="g")
    [held] = await lease(server.broker)
    await nack(server.broker, NackKind.FAIL, held.lease_id, delay_s=0)

    assert await delete(server.broker, first) == [DONE]
    assert await move(server.broker, third, second) == [MOVED, MOVED]

    assert await pop_all(server.broker) == []
    info = await server.broker.grouping.resume_group("jobs", "g")
    assert (info.state, info.waiting) == (GroupState.READY, 1)
    assert await pop_all(server.broker) == [b"4"]
    assert await pop_all(server.broker, "other") == [b"there", b"2", b"3"]


@cell("fair_key", "by_id")
async def _(server: Server) -> None:
    """What leaves takes no turn of its fair_key, and has that where it is moved."""
    await server.new_queue("other")
    for payload in (b"b1", b"b2"):
        await server.put(payload, "other", fair_key="b")
    gone, moved = [await _put(server, each, fair_key="a") for each in (b"a1", b"a2")]
    await server.put(b"c1", fair_key="c")

    assert await delete(server.broker, gone) == [DONE]
    assert await move(server.broker, moved) == [MOVED]

    assert await pop_all(server.broker) == [b"c1"]
    assert await pop_all(server.broker, "other") == [b"b1", b"a2", b"b2"]


@cell("limits", "by_id")
async def _(server: Server) -> None:
    """What is deleted makes room; what is moved needs some, by both limits, and makes none."""
    await server.new_queue("other")
    size = len(await server.broker.add("other", b"0"))
    await server.broker.purge("other")
    await server.change("other", limit=2, bytes_limit=2 * size)
    one, two, three = [await _put(server, payload) for payload in (b"1", b"2", b"3")]
    large = await _put(server, bytes(100))
    assert await move(server.broker, two, three) == [MOVED, MOVED]

    assert await move(server.broker, one) == ["QUEUE_FULL"]
    assert await delete(server.broker, two, queue="other") == [DONE]
    assert await move(server.broker, large, one) == ["QUEUE_FULL", MOVED]

    assert await pop_all(server.broker, "other") == [b"3", b"1"]


@cell("leased_max", "by_id")
async def _(server: Server) -> None:
    """What is taken away from its consumer leaves its place to another message."""
    await server.new_queue("other", leased_max=1)
    await server.change("jobs", leased_max=1)
    one = await _put(server, b"1")
    await server.put(b"2")
    await lease(server.broker)
    assert await lease(server.broker) == []

    assert await delete(server.broker, one, leased=True) == [DONE]

    assert [each.payload for each in await lease(server.broker)] == [b"2"]


@cell("rate", "by_id")
async def _(server: Server) -> None:
    """To delete or move takes no turn of either queue."""
    rate = Rate(messages_per_second=1.0, burst=1)
    await server.new_queue("other", rate=rate)
    await server.change("jobs", rate=rate)
    one, two = [await _put(server, payload) for payload in (b"1", b"2")]
    await server.put(b"3")

    assert await delete(server.broker, one) == [DONE]
    assert await move(server.broker, two) == [MOVED]

    assert payload_of(await server.broker.pop("jobs")) == b"3"
    assert payload_of(await server.broker.pop("other")) == b"2"


@cell("leases", "by_id")
async def _(server: Server) -> None:
    """What is on lease stays unless it is asked for; its lease is worth nothing after that."""
    await server.new_queue("other")
    one, two = [await _put(server, payload) for payload in (b"1", b"2")]
    held = await lease(server.broker, 2, consumer="w")
    assert await delete(server.broker, one) == ["MESSAGE_LEASED"]
    assert await move(server.broker, two) == ["MESSAGE_LEASED"]

    assert await delete(server.broker, one, leased=True) == [DONE]
    assert await move(server.broker, two, leased=True) == [MOVED]

    assert FINE not in await ack(server.broker, *held)
    [again] = await lease(server.broker, queue="other")
    assert (again.payload, again.delivery_count) == (b"2", 1)
    [attempt] = again.attempts
    assert (attempt.consumer, attempt.reason) == ("w", "moved here from queue jobs")


@cell("pause", "by_id")
async def _(server: Server) -> None:
    """A pause is no obstacle, but where a message is to go that takes none."""
    await server.new_queue("other")
    one, two = [await _put(server, payload) for payload in (b"1", b"2")]
    await server.broker.pause("jobs", adds=True)
    await server.broker.pause("other", adds=True)

    assert await delete(server.broker, one) == [DONE]
    assert await move(server.broker, two) == ["ADDS_PAUSED"]
    await server.broker.pause("other", adds=False)
    assert await move(server.broker, two) == [MOVED]

    assert await states(server.broker, "other") == (1, 0, 0)


@cell("purge", "by_id")
async def _(server: Server) -> None:
    """What was purged is not there to be deleted or moved."""
    await server.new_queue("other")
    one = await _put(server, b"1")
    await server.broker.purge("jobs")

    assert await delete(server.broker, one) == ["MESSAGE_NOT_FOUND"]
    assert await move(server.broker, one) == ["MESSAGE_NOT_FOUND"]
    counts = await stats(server.broker)
    assert (counts.deleted_total, counts.moved_out_total) == (0, 0)


@cell("redrive", "by_id")
async def _(server: Server) -> None:
    """Without a target a dead letter goes back as by a redrive; what is deleted is not redriven."""
    await dead_letter(server, b"1")
    await dead_letter(server, b"2")
    one, two = [each.message.meta.id for each in await browsed(server.broker, queue="dead")]

    assert await move(server.broker, one, queue="dead", to="") == [MOVED]
    assert await delete(server.broker, two, queue="dead") == [DONE]
    assert (await redriven(server)).moved == 0

    [again] = await lease(server.broker, 2)
    assert (again.payload, again.delivery_count) == (b"1", 1)
    assert not again.message.HasField("dead_letter")
    reasons = [each.reason for each in again.attempts]
    assert reasons == ["", "moved here from queue dead"]
    assert await nack(server.broker, NackKind.REJECT, again.lease_id) == [FINE]
    assert await server.dead() == [(b"1", DeadLetterReason.REJECTED)]


@cell("browse", "by_id")
async def _(server: Server) -> None:
    """What Browse shows can be deleted or moved, in whatever state; moved, it is the youngest."""
    await server.new_queue("other")
    await server.put(b"leased")
    await lease(server.broker)
    await server.put(b"ready")
    await server.put(b"delayed", delay=9)
    shown = await browsed(server.broker)
    assert [each.state for each in shown] == [LEASED, READY, DELAYED]
    await server.pass_time(1)
    await server.put(b"there", "other")

    moved = await move(server.broker, *(each.message.meta.id for each in shown), leased=True)

    assert moved == [MOVED] * 3
    there = await browsed(server.broker, queue="other")
    assert payloads(there) == [b"there", b"leased", b"ready", b"delayed"]
    assert [each.state for each in there] == [READY, READY, READY, DELAYED]
    assert [each.age.ToNanoseconds() for each in there] == [0] * 4
    created = {each.message.meta.created.ToNanoseconds() for each in there[1:]}
    assert created == {START_NS}
    assert START_NS % NS_PER_S == 0
