"""Fair keys together with everything else."""

from qmq.descriptions import Fairness, Rate
from qmq.values import Overflow
from tests.engine.callers import payload_of
from tests.engine.consumers import lease, pop_all, reject, release, stats
from tests.engine.looking import browsed, payloads
from tests.engine.pairs import cell, popped, redriven
from tests.engine.servers import Server


async def put_of(server: Server, fair_key: str, *payloads_: bytes) -> None:
    """Add messages with one fair_key."""
    for payload in payloads_:
        await server.put(payload, fair_key=fair_key)


async def leased(server: Server, messages_max: int = 1, queue: str = "jobs") -> list[bytes]:
    """Lease messages, and return what is in them."""
    return [each.payload for each in await lease(server.broker, messages_max, queue=queue)]


async def pop_some(server: Server, messages_max: int) -> list[bytes]:
    """Pop messages, and return what is in them."""
    return list(map(payload_of, await server.broker.pop_batch("jobs", messages_max)))


@cell("delay", "fair_key")
async def _(server: Server) -> None:
    """A message that is kept back claims no turn for its fair_key until it is due."""
    await server.put(b"late", fair_key="b", delay=5)
    await put_of(server, "a", b"a1", b"a2", b"a3", b"a4")
    assert await pop_some(server, 2) == [b"a1", b"a2"]

    await server.pass_time(5)

    assert await pop_all(server.broker) == [b"late", b"a3", b"a4"]


@cell("ttl", "fair_key")
async def _(server: Server) -> None:
    """What expires before the turn of its fair_key is gone, and takes none."""
    await server.put(b"a1", fair_key="a", ttl=5)
    await put_of(server, "a", b"a2")
    await put_of(server, "b", b"b1")

    await server.pass_time(5)

    assert await pop_all(server.broker) == [b"a2", b"b1"]


@cell("priority", "fair_key")
async def _(server: Server) -> None:
    """A priority puts a message before others of its fair_key, and of no other one."""
    await put_of(server, "a", b"a1", b"a2")
    await put_of(server, "b", b"low")
    await server.put(b"high", fair_key="b", priority=9)

    assert await pop_all(server.broker) == [b"a1", b"high", b"a2", b"low"]


@cell("dedup", "fair_key")
async def _(server: Server) -> None:
    """A repeat changes no fair_key, and claims no turn for another."""
    await server.put(b"1", fair_key="a", dedup_id="x")
    await server.put(b"again", fair_key="b", dedup_id="x")

    assert (await stats(server.broker)).fair_keys == 1
    assert [each.options.fair_key for each in await popped(server)] == ["a"]


@cell("group", "fair_key")
async def _(server: Server) -> None:
    """The message that is next in its group waits for the turn of its own fair_key."""
    await server.put(b"g1", group_id="g", fair_key="a")
    await put_of(server, "a", b"a1", b"a2")
    await server.put(b"g2", group_id="g", fair_key="b")

    assert await pop_all(server.broker) == [b"g1", b"g2", b"a1", b"a2"]


@cell("fair_key", "limits")
async def _(server: Server) -> None:
    """The oldest ready message makes room, whoever fills the queue."""
    await server.change("jobs", limit=3, overflow=Overflow.DROP_OLDEST)
    await put_of(server, "b", b"b1", b"b2")
    await put_of(server, "a", b"a1", b"a2")

    assert await pop_all(server.broker) == [b"b2", b"a1", b"a2"]


@cell("fair_key", "leased_max")
async def _(server: Server) -> None:
    """Both hold, that of the queue and that of each fair_key; a place goes to whose turn it is."""
    await server.change("jobs", leased_max=3, fairness=Fairness(leased_max=2))
    await put_of(server, "a", b"a1", b"a2", b"a3", b"a4")
    assert await leased(server, 9) == [b"a1", b"a2"]
    await put_of(server, "b", b"b1", b"b2")

    assert await leased(server, 9) == [b"b1"]


@cell("fair_key", "rate")
async def _(server: Server) -> None:
    """Both hold, that of the queue and that of each fair_key; who goes is whose turn it is."""
    fairness = Fairness(rate=Rate(messages_per_second=1.0, burst=1))
    await server.change("jobs", rate=Rate(messages_per_second=2.0, burst=2), fairness=fairness)
    await put_of(server, "a", b"a1", b"a2", b"a3")
    assert await pop_all(server.broker) == [b"a1"]
    await put_of(server, "b", b"b1", b"b2")
    await put_of(server, "c", b"c1")
    assert await pop_all(server.broker) == [b"b1"]

    await server.pass_time(1)

    assert await pop_all(server.broker) == [b"c1", b"a2"]


@cell("fair_key", "leases")
async def _(server: Server) -> None:
    """What comes back waits for a turn of its fair_key again, and each delivery takes one."""
    await put_of(server, "a", b"a1", b"a2")
    await put_of(server, "b", b"b1", b"b2")
    await release(server.broker, *await lease(server.broker))

    assert await leased(server, 9) == [b"b1", b"a1", b"b2", b"a2"]


@cell("fair_key", "pause")
async def _(server: Server) -> None:
    """A pause holds up every fair_key; after it, they take turns as before."""
    await put_of(server, "a", b"a1", b"a2", b"a3")
    assert await pop_some(server, 1) == [b"a1"]
    await server.broker.pause("jobs", adds=False)
    await put_of(server, "b", b"b1", b"b2")
    assert await pop_all(server.broker) == []

    await server.broker.resume("jobs")

    assert await pop_all(server.broker) == [b"b1", b"a2", b"b2", b"a3"]


@cell("fair_key", "purge")
async def _(server: Server) -> None:
    """A purge spares no fair_key, and frees the places of each."""
    await server.change("jobs", fairness=Fairness(leased_max=1))
    await put_of(server, "a", b"a1", b"a2")
    await put_of(server, "b", b"b1")
    assert await leased(server) == [b"a1"]

    assert await server.broker.purge("jobs") == 3
    await put_of(server, "a", b"a3")

    assert (await stats(server.broker)).fair_keys == 1
    assert await leased(server) == [b"a3"]


@cell("fair_key", "redrive")
async def _(server: Server) -> None:
    """A dead letter has no fair_key; what is moved back has the one that it was added with."""
    await put_of(server, "a", b"a1", b"a2")
    await reject(server.broker, *await lease(server.broker, 2))
    await put_of(server, "b", b"b1")
    await reject(server.broker, *await lease(server.broker))
    dead = await lease(server.broker, 9, queue="dead")
    assert [each.payload for each in dead] == [b"a1", b"a2", b"b1"]
    await server.pass_time(30)

    await redriven(server)

    assert (await stats(server.broker)).fair_keys == 2
    assert await pop_all(server.broker) == [b"a1", b"b1", b"a2"]


@cell("fair_key", "browse")
async def _(server: Server) -> None:
    """Browse shows messages in order of arrival, whose ever they are; Peek shows who is next."""
    await put_of(server, "a", b"a1", b"a2")
    await put_of(server, "b", b"b1")
    assert await pop_some(server, 1) == [b"a1"]

    seen = await browsed(server.broker)

    assert payloads(seen) == [b"a2", b"b1"]
    assert [each.message.options.fair_key for each in seen] == ["a", "b"]
    assert payload_of(await server.broker.peek("jobs")) == b"b1"
