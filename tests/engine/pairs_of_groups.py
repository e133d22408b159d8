"""Groups together with everything else but fair keys."""

from qmq.descriptions import GroupInfo, Rate
from qmq.values import GroupState, Overflow
from tests.engine.consumers import ack, add, lease, pop_all, reject, release, stats
from tests.engine.looking import READY, browsed, payloads
from tests.engine.pairs import cell, redriven
from tests.engine.servers import Server


async def put_in_group(server: Server, *payloads_: bytes, group_id: str = "g") -> None:
    """Add messages of one group."""
    for payload in payloads_:
        await server.put(payload, group_id=group_id)


async def leased(server: Server, messages_max: int = 1, queue: str = "jobs") -> list[bytes]:
    """Lease messages, and return what is in them."""
    return [each.payload for each in await lease(server.broker, messages_max, queue=queue)]


async def group(server: Server, group_id: str = "g") -> GroupInfo | None:
    """Describe a group; None if there is none."""
    groups, _ = await server.broker.grouping.list_groups("jobs")
    return next((each for each in groups if each.id == group_id), None)


@cell("delay", "group")
async def _(server: Server) -> None:
    """A group waits for its first message as long as that is kept back; others do not."""
    await server.put(b"first", group_id="g", delay=5)
    await put_in_group(server, b"second")
    await server.put(b"other", group_id="h")
    assert await pop_all(server.broker) == [b"other"]

    await server.pass_time(5)

    assert await pop_all(server.broker) == [b"first", b"second"]


@cell("ttl", "group")
async def _(server: Server) -> None:
    """An expired message leaves its group, wherever it is in it, and holds up nothing."""
    await server.put(b"first", group_id="g", ttl=5, delay=4)
    await put_in_group(server, b"second")
    await server.put(b"third", group_id="g", ttl=5)
    assert await pop_all(server.broker) == []
    await server.pass_time(3)
    await put_in_group(server, b"fourth")

    await server.pass_time(2)

    assert await pop_all(server.broker) == [b"second", b"fourth"]


@cell("priority", "group")
async def _(server: Server) -> None:
    """A group keeps its order; a priority counts while its message is the next one in it."""
    await put_in_group(server, b"g1")
    await server.put(b"g2", group_id="g", priority=9)
    await server.put(b"other", priority=5)
    await add(server.broker, b"plain")

    assert await pop_all(server.broker) == [b"other", b"g1", b"g2", b"plain"]


@cell("dedup", "group")
async def _(server: Server) -> None:
    """A repeat is no further message of its group, nor one of another."""
    await server.put(b"1", group_id="g", dedup_id="a")
    await server.put(b"again", group_id="h", dedup_id="a")

    groups, _ = await server.broker.grouping.list_groups("jobs")

    assert groups == [GroupInfo(id="g", state=GroupState.READY, waiting=1, leased=0)]


@cell("group", "limits")
async def _(server: Server) -> None:
    """The oldest ready message makes room, also if its group hands out nothing."""
    await server.change("jobs", limit=3, overflow=Overflow.DROP_OLDEST)
    await put_in_group(server, b"g1", b"g2")
    await server.broker.grouping.pause_group("jobs", "g")
    await add(server.broker, b"1", b"2")

    assert await pop_all(server.broker) == [b"1", b"2"]
    await server.broker.grouping.resume_group("jobs", "g")
    assert await pop_all(server.broker) == [b"g2"]


@cell("group", "leased_max")
async def _(server: Server) -> None:
    """What waits for others of its group leaves its place to messages that do not."""
    await server.change("jobs", leased_max=2)
    await put_in_group(server, b"g1", b"g2")
    await add(server.broker, b"other", b"more")
    assert await leased(server) == [b"g1"]

    assert await leased(server, 9) == [b"other"]


@cell("group", "rate")
async def _(server: Server) -> None:
    """What waits for others of its group leaves its turn to messages that do not."""
    await server.change("jobs", rate=Rate(messages_per_second=1.0, burst=2))
    await put_in_group(server, b"g1", b"g2")
    await add(server.broker, b"other", b"more")
    assert await leased(server) == [b"g1"]

    assert await leased(server, 9) == [b"other"]


@cell("group", "leases")
async def _(server: Server) -> None:
    """While messages of a group are on lease no others of it go out; what comes back is next."""
    await put_in_group(server, b"1", b"2", b"3")
    first, second = await lease(server.broker, 2)
    assert await leased(server) == []
    await release(server.broker, first)
    assert await leased(server) == []

    await ack(server.broker, second)

    assert await leased(server, 9) == [b"1", b"3"]


@cell("group", "pause")
async def _(server: Server) -> None:
    """A pause of a queue and one of a group end each by itself."""
    await put_in_group(server, b"g1")
    await add(server.broker, b"other")
    await server.broker.pause("jobs", adds=False)
    await server.broker.grouping.pause_group("jobs", "g")
    await server.broker.resume("jobs")
    assert await pop_all(server.broker) == [b"other"]
    await server.broker.pause("jobs", adds=False)
    await server.broker.grouping.resume_group("jobs", "g")
    assert await pop_all(server.broker) == []

    await server.broker.resume("jobs")

    assert await pop_all(server.broker) == [b"g1"]


@cell("group", "purge")
async def _(server: Server) -> None:
    """A purge empties all groups, which ends their parking, and leaves those paused that are."""
    await server.change("jobs", park_after=1)
    await put_in_group(server, b"g1", b"g2")
    await put_in_group(server, b"h1", group_id="h")
    held = await lease(server.broker, duration_s=1)
    await server.pass_time(1)
    await server.broker.grouping.pause_group("jobs", "h")
    assert await pop_all(server.broker) == []

    await server.broker.purge("jobs")
    await put_in_group(server, b"g3")
    await put_in_group(server, b"h2", group_id="h")

    assert [each.payload for each in held] == [b"g1"]
    assert await pop_all(server.broker) == [b"g3"]


@cell("group", "redrive")
async def _(server: Server) -> None:
    """A dead letter has no group; what is moved back is at the end of the one that it had."""
    await put_in_group(server, b"1", b"2", b"3")
    await reject(server.broker, *await lease(server.broker, 2))
    assert await leased(server, queue="dead") == [b"1"]
    assert await leased(server, queue="dead") == [b"2"]
    await server.pass_time(30)

    await redriven(server)

    assert await group(server) == GroupInfo(id="g", state=GroupState.READY, waiting=3, leased=0)
    assert await pop_all(server.broker) == [b"3", b"1", b"2"]


@cell("group", "browse")
async def _(server: Server) -> None:
    """Browse shows messages in order of arrival, and as READY what waits in its group."""
    await put_in_group(server, b"g1", b"g2")
    await add(server.broker, b"other")
    await server.broker.grouping.pause_group("jobs", "g")

    seen = await browsed(server.broker)

    assert payloads(seen) == [b"g1", b"g2", b"other"]
    assert {each.state for each in seen} == {READY}
    assert [each.message.options.group_id for each in seen] == ["g", "g", ""]
    counts = await stats(server.broker)
    assert (counts.ready, counts.blocked) == (3, 2)
