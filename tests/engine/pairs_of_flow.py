"""Limits, leases and what is done with whole queues, together with each other."""

import pytest

from qmq.descriptions import Rate
from qmq.errors import QueueFull
from qmq.model.redrive import RedriveRequest
from qmq.testing import START_NS
from qmq.values import NS_PER_S, Overflow
from tests.engine.callers import payload_of, turns
from tests.engine.consumers import (
    FINE,
    ack,
    add,
    fail,
    lease,
    pop_all,
    reject,
    release,
    states,
    stats,
)
from tests.engine.looking import LEASED, READY, browsed, page, payloads
from tests.engine.pairs import cell, dead_letter, ended, redriven
from tests.engine.servers import Server


@cell("limits", "leased_max")
async def _(server: Server) -> None:
    """A message on lease counts in the limits, and makes no room for others."""
    await server.change("jobs", limit=2, leased_max=2, overflow=Overflow.DROP_OLDEST)
    await add(server.broker, b"1", b"2")
    await lease(server.broker, 2)

    with pytest.raises(QueueFull):
        await add(server.broker, b"3")

    assert await states(server.broker) == (0, 2, 0)


@cell("limits", "rate")
async def _(server: Server) -> None:
    """A full queue hands out no faster: its oldest messages make room before their turn."""
    await server.change(
        "jobs", limit=1, overflow=Overflow.DROP_OLDEST, rate=Rate(messages_per_second=1.0)
    )
    await add(server.broker, b"1")
    await pop_all(server.broker)
    await add(server.broker, b"2", b"3")
    assert await pop_all(server.broker) == []

    await server.pass_time(1)

    assert await pop_all(server.broker) == [b"3"]


@cell("limits", "leases")
async def _(server: Server) -> None:
    """An ack makes room, a message that comes back needs none, and dead letters always have it."""
    await server.change("jobs", limit=2)
    await server.change("dead", limit=1)
    await add(server.broker, b"1", b"2")
    first, second = await lease(server.broker, 2)
    await release(server.broker, first)
    with pytest.raises(QueueFull):
        await add(server.broker, b"3")

    await ack(server.broker, second)
    await add(server.broker, b"3")
    await reject(server.broker, *await lease(server.broker, 2))

    assert await pop_all(server.broker, "dead") == [b"1", b"3"]


@cell("limits", "pause")
async def _(server: Server) -> None:
    """A paused queue keeps its limits; one that is paused for adds displaces nothing."""
    await server.change("jobs", limit=1, overflow=Overflow.DROP_OLDEST)
    await server.broker.pause("jobs", adds=False)
    await add(server.broker, b"1", b"2")
    await server.broker.pause("jobs", adds=True)

    refused = await _refusal(server)
    await server.broker.resume("jobs")

    assert "is paused and takes no messages" in refused
    assert await pop_all(server.broker) == [b"2"]


async def _refusal(server: Server) -> str:
    """Add a message, and return why that is refused."""
    with pytest.raises(Exception) as refusal:  # noqa: PT011 - It is looked at.
        await add(server.broker, b"refused")
    return str(refusal.value)


@cell("limits", "purge")
async def _(server: Server) -> None:
    """A purge makes room, by messages and by bytes."""
    await add(server.broker, b"12345", b"12345")
    await lease(server.broker)
    await server.change("jobs", limit=2, bytes_limit=(await stats(server.broker)).bytes)

    await server.broker.purge("jobs")
    await add(server.broker, b"12345", b"12345")

    assert (await stats(server.broker)).overflowed_total == 0


@cell("limits", "redrive")
async def _(server: Server) -> None:
    """A redrive waits until both limits leave room; nothing makes some for it."""
    await dead_letter(server, b"1")
    await server.change("jobs", limit=1, overflow=Overflow.DROP_OLDEST)
    await add(server.broker, b"2")

    redrive = await redriven(server)
    assert "has reached limit of 1 messages" in redrive.obstacle
    assert await pop_all(server.broker) == [b"2"]
    await server.pass_time(1)

    assert (await ended(server, redrive.id)).moved == 1


@cell("limits", "browse")
async def _(server: Server) -> None:
    """What Browse shows counts in the limits, in whatever state it is."""
    await add(server.broker, b"1", b"2")
    await server.put(b"3", delay=5)
    await lease(server.broker)
    await server.change("jobs", limit=3)

    assert len(await browsed(server.broker)) == 3
    with pytest.raises(QueueFull):
        await add(server.broker, b"4")


@cell("leased_max", "rate")
async def _(server: Server) -> None:
    """Both hold: a message needs a place and a turn."""
    await server.change("jobs", leased_max=2, rate=Rate(messages_per_second=1.0, burst=3))
    await add(server.broker, *[b"%d" % n for n in range(9)])

    counts = []
    for _ in range(3):
        held = await lease(server.broker, 9)
        await ack(server.broker, *held)
        counts.append(len(held))

    assert counts == [2, 1, 0]


@cell("leased_max", "leases")
async def _(server: Server) -> None:
    """Whatever ends a lease gives its place to another message; a late ack frees none again."""
    await server.change("jobs", leased_max=1)
    await add(server.broker, b"1", b"2")
    (first,) = await lease(server.broker, duration_s=5)
    await server.pass_time(5)
    assert len(await lease(server.broker, duration_s=60)) == 1

    assert await ack(server.broker, first) != [FINE]

    assert await lease(server.broker) == []


@cell("leased_max", "pause")
async def _(server: Server) -> None:
    """Leases keep their places during a pause."""
    await server.change("jobs", leased_max=1)
    await add(server.broker, b"1", b"2")
    await lease(server.broker, duration_s=60)
    await server.broker.pause("jobs", adds=False)
    await server.broker.resume("jobs")

    assert await lease(server.broker) == []


@cell("leased_max", "purge")
async def _(server: Server) -> None:
    """A purge frees the places of what it removes."""
    await server.change("jobs", leased_max=1)
    await add(server.broker, b"1")
    await lease(server.broker)

    await server.broker.purge("jobs")
    await add(server.broker, b"2")

    assert [each.payload for each in await lease(server.broker)] == [b"2"]


@cell("leased_max", "redrive")
async def _(server: Server) -> None:
    """A redrive moves what is ready, also where all places are taken, and takes none."""
    await dead_letter(server, b"1")
    await dead_letter(server, b"2")
    await server.change("dead", leased_max=1)
    await lease(server.broker, queue="dead")

    await redriven(server)

    assert await pop_all(server.broker) == [b"2"]


@cell("leased_max", "browse")
async def _(server: Server) -> None:
    """Browse takes no place, and shows as READY what waits for one."""
    await server.change("jobs", leased_max=1)
    await add(server.broker, b"1", b"2")
    await lease(server.broker)

    assert [each.state for each in await browsed(server.broker)] == [LEASED, READY]


@cell("rate", "leases")
async def _(server: Server) -> None:
    """Each delivery takes a turn, the redelivery of a message too; an ack or nack takes none."""
    await server.change("jobs", rate=Rate(messages_per_second=1.0, burst=3))
    await add(server.broker, b"1", b"2")
    first, second = await lease(server.broker, 2)
    await ack(server.broker, first)
    await release(server.broker, second)

    assert len(await lease(server.broker)) == 1
    await server.pass_time(0.5)
    await add(server.broker, b"3")
    assert await lease(server.broker) == []


@cell("rate", "pause")
async def _(server: Server) -> None:
    """Turns gather during a pause, up to the burst."""
    await server.change("jobs", rate=Rate(messages_per_second=1.0, burst=2))
    await add(server.broker, *[b"%d" % n for n in range(6)])
    await pop_all(server.broker)
    await server.broker.pause("jobs", adds=False)
    await server.pass_time(60)
    await server.broker.resume("jobs")

    assert await pop_all(server.broker) == [b"2", b"3"]


@cell("rate", "purge")
async def _(server: Server) -> None:
    """A purge takes no turn."""
    await server.change("jobs", rate=Rate(messages_per_second=1.0))
    await add(server.broker, b"1", b"2")
    await server.broker.purge("jobs")
    await add(server.broker, b"3")

    assert await pop_all(server.broker) == [b"3"]


@cell("rate", "redrive")
async def _(server: Server) -> None:
    """A redrive has a rate of its own; what it moves takes no turn of either queue."""
    for payload in (b"1", b"2", b"3"):
        await dead_letter(server, payload)
    for queue in ("dead", "jobs"):
        await server.change(queue, rate=Rate(messages_per_second=1.0))

    redrive = await redriven(server)

    assert redrive.moved == 3
    assert await pop_all(server.broker) == [b"1"]


@cell("rate", "browse")
async def _(server: Server) -> None:
    """Browse takes no turn, and shows as READY what waits for one."""
    await server.change("jobs", rate=Rate(messages_per_second=1.0))
    await add(server.broker, b"1", b"2")
    await browsed(server.broker)
    await server.broker.pop("jobs")

    assert [each.state for each in await browsed(server.broker)] == [READY]


@cell("leases", "pause")
async def _(server: Server) -> None:
    """Leases go on and end during a pause; what comes back waits for the end of it."""
    await add(server.broker, b"1", b"2", b"3")
    first, second, _ = await lease(server.broker, 3)
    await server.broker.pause("jobs", adds=True)

    assert await ack(server.broker, first) == [FINE]
    assert await release(server.broker, second) == [FINE]
    await server.pass_time(30)
    assert await states(server.broker) == (2, 0, 0)
    assert await lease(server.broker) == []
    await server.broker.resume("jobs")

    assert await pop_all(server.broker) == [b"2", b"3"]


@cell("leases", "purge")
async def _(server: Server) -> None:
    """A purge removes what is on lease as well; who has it can do nothing with it any more."""
    await add(server.broker, b"1")
    (held,) = await lease(server.broker)

    assert await server.broker.purge("jobs") == 1

    told = [*await ack(server.broker, held), *await fail(server.broker, held)]
    assert all("does not hold its message any more" in each for each in told)


@cell("leases", "redrive")
async def _(server: Server) -> None:
    """What is moved back counts its deliveries anew, and has its attempts with it."""
    await add(server.broker, b"1")
    await release(server.broker, *await lease(server.broker, consumer="a"))
    await reject(server.broker, *await lease(server.broker, consumer="b"), reason="broken")

    await redriven(server)
    (held,) = await lease(server.broker)

    assert held.delivery_count == 1
    assert [(each.consumer, each.reason) for each in held.attempts] == [("a", ""), ("b", "broken")]


@cell("leases", "browse")
async def _(server: Server) -> None:
    """Browse shows who has a message, until when, and how often it was delivered."""
    await add(server.broker, b"1")
    await fail(server.broker, *await lease(server.broker), delay_s=0)
    await lease(server.broker, consumer="w", duration_s=7)

    (seen,) = await browsed(server.broker)

    assert (seen.state, seen.consumer, seen.delivery_count) == (LEASED, "w", 2)
    assert seen.until.ToNanoseconds() == START_NS + 7 * NS_PER_S


@cell("pause", "purge")
async def _(server: Server) -> None:
    """A paused queue can be purged, and stays paused."""
    await add(server.broker, b"1")
    await server.broker.pause("jobs", adds=False)

    assert await server.broker.purge("jobs") == 1
    await add(server.broker, b"2")

    assert await pop_all(server.broker) == []


@cell("pause", "redrive")
async def _(server: Server) -> None:
    """A redrive takes messages out of a paused queue, and waits for one that takes no adds."""
    await dead_letter(server, b"1")
    await server.broker.pause("dead", adds=True)
    await server.broker.pause("jobs", adds=True)

    redrive = await redriven(server)
    assert "is paused and takes no messages" in redrive.obstacle
    await server.broker.resume("jobs")
    await server.pass_time(1)

    assert (await ended(server, redrive.id)).moved == 1
    assert await pop_all(server.broker) == [b"1"]


@cell("pause", "browse")
async def _(server: Server) -> None:
    """Browse and Peek show the messages of a paused queue."""
    await add(server.broker, b"1")
    await server.broker.pause("jobs", adds=True)

    assert [each.state for each in await browsed(server.broker)] == [READY]
    assert payload_of(await server.broker.peek("jobs")) == b"1"


@cell("purge", "redrive")
async def _(server: Server) -> None:
    """A redrive of a queue that is purged has nothing more to do, and is done."""
    for n in range(3):
        await dead_letter(server, b"%d" % n)
    await server.broker.pause("jobs", adds=True)
    request = RedriveRequest(queue_id="dead")
    redrive = await server.broker.redriving.start(request)
    await ended(server, redrive.id)

    await server.broker.purge("dead")
    await server.broker.resume("jobs")
    await server.pass_time(1)
    await turns()

    after = await ended(server, redrive.id)
    assert (after.is_running, after.moved) == (False, 0)
    assert await pop_all(server.broker) == []


@cell("purge", "browse")
async def _(server: Server) -> None:
    """Browse shows nothing of what was purged, on no further page either."""
    await add(server.broker, b"1", b"2", b"3")
    first, token = await page(server.broker, page_size=1)
    await server.broker.purge("jobs")
    await add(server.broker, b"4")

    second, _ = await page(server.broker, token)

    assert payloads([*first, *second]) == [b"1", b"4"]


@cell("redrive", "browse")
async def _(server: Server) -> None:
    """Browse shows what was moved at the end of its queue, as old as if it had just come."""
    await dead_letter(server, b"moved")
    await add(server.broker, b"old")
    await server.pass_time(5.5)

    await redriven(server)
    old, moved = await browsed(server.broker)

    assert payloads([old, moved]) == [b"old", b"moved"]
    assert (old.age.seconds, moved.age.seconds) == (5, 0)
