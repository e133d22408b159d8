"""Priority and dedup_id together with everything else but time."""

from qmq.descriptions import Rate
from qmq.values import Overflow
from qmq.wire import q_pb2 as pb
from tests.engine.consumers import (
    ack,
    add,
    lease,
    leased_again,
    pop_all,
    reject,
    release,
    states,
    stats,
)
from tests.engine.looking import browsed, payloads
from tests.engine.pairs import cell, popped, redriven
from tests.engine.servers import Server


async def is_repeat(server: Server, dedup_id: str) -> bool:
    """Add a message, and tell whether its queue knew it."""
    return (await server.put(b"again", dedup_id=dedup_id)).payload == b""


@cell("priority", "dedup")
async def _(server: Server) -> None:
    """A repeat changes no priority."""
    await server.put(b"first", dedup_id="a", priority=1)
    await server.put(b"other", priority=2)
    await server.put(b"repeat", dedup_id="a", priority=9)

    assert await pop_all(server.broker) == [b"other", b"first"]


@cell("priority", "limits")
async def _(server: Server) -> None:
    """The oldest messages make room, whatever their priority."""
    await server.change("jobs", limit=2, overflow=Overflow.DROP_OLDEST)
    await server.put(b"old", priority=9)
    await server.put(b"low")
    await server.put(b"new", priority=5)

    assert await pop_all(server.broker) == [b"new", b"low"]


@cell("priority", "leased_max")
async def _(server: Server) -> None:
    """The message of the highest priority gets the next place."""
    await server.change("jobs", leased_max=1)
    await add(server.broker, b"1", b"low")
    (held,) = await lease(server.broker)
    await server.put(b"high", priority=1)

    await ack(server.broker, held)

    assert [each.payload for each in await lease(server.broker)] == [b"high"]


@cell("priority", "rate")
async def _(server: Server) -> None:
    """The message of the highest priority gets the next turn."""
    await server.change("jobs", rate=Rate(messages_per_second=1.0))
    await add(server.broker, b"1", b"low")
    await pop_all(server.broker)
    await server.put(b"high", priority=1)

    await server.pass_time(1)

    assert await pop_all(server.broker) == [b"high"]


@cell("priority", "leases")
async def _(server: Server) -> None:
    """What comes back has its old place within its priority; a dead letter has no priority."""
    await server.put(b"low")
    await server.put(b"first", priority=1)
    await server.put(b"second", priority=1)
    await release(server.broker, *await lease(server.broker))
    assert await leased_again(server.broker) == [b"first", b"second", b"low"]
    await server.pass_time(30)
    held = {each.payload: each for each in await lease(server.broker, 3)}
    await reject(server.broker, held[b"low"], held[b"first"])

    assert await pop_all(server.broker, "dead") == [b"low", b"first"]


@cell("priority", "pause")
async def _(server: Server) -> None:
    """A pause holds up every priority; after it, the highest goes first."""
    await server.broker.pause("jobs", adds=False)
    await add(server.broker, b"low")
    await server.put(b"high", priority=255)
    assert await pop_all(server.broker) == []

    await server.broker.resume("jobs")

    assert await pop_all(server.broker) == [b"high", b"low"]


@cell("priority", "purge")
async def _(server: Server) -> None:
    """A purge spares no priority."""
    await server.put(b"high", priority=255)

    assert await server.broker.purge("jobs") == 1

    assert await pop_all(server.broker) == []


@cell("priority", "redrive")
async def _(server: Server) -> None:
    """A message that is moved back has the priority that it was added with."""
    await server.put(b"high", priority=9)
    await reject(server.broker, *await lease(server.broker))
    await add(server.broker, b"low")

    await redriven(server)

    assert await pop_all(server.broker) == [b"high", b"low"]


@cell("priority", "browse")
async def _(server: Server) -> None:
    """Browse shows messages in order of arrival, whatever their priority."""
    await server.put(b"1")
    await server.put(b"2", priority=9)
    await server.put(b"3", priority=1)

    assert payloads(await browsed(server.broker)) == [b"1", b"2", b"3"]


@cell("dedup", "limits")
async def _(server: Server) -> None:
    """A full queue answers a repeat, which takes no room; a displaced message is still known."""
    await server.change("jobs", limit=1)
    await server.put(b"1", dedup_id="a")
    assert await is_repeat(server, "a")
    await server.change("jobs", overflow=Overflow.DROP_OLDEST)
    await server.put(b"2", dedup_id="b")

    assert await is_repeat(server, "a")
    assert await pop_all(server.broker) == [b"2"]


@cell("dedup", "leased_max")
async def _(server: Server) -> None:
    """A repeat of a message on lease takes no place, and is not handed out."""
    await server.change("jobs", leased_max=2)
    await server.put(b"1", dedup_id="a")
    await lease(server.broker)
    await is_repeat(server, "a")

    assert await lease(server.broker) == []
    assert await states(server.broker) == (0, 1, 0)


@cell("dedup", "rate")
async def _(server: Server) -> None:
    """A repeat takes no turn."""
    await server.change("jobs", rate=Rate(messages_per_second=1.0, burst=2))
    await server.put(b"1", dedup_id="a")
    await is_repeat(server, "a")
    await add(server.broker, b"2", b"3")

    assert await pop_all(server.broker) == [b"1", b"2"]


@cell("dedup", "leases")
async def _(server: Server) -> None:
    """A message is known while it is on lease, after its ack, and as a dead letter."""
    await server.put(b"1", dedup_id="a")
    await server.put(b"2", dedup_id="b")
    first, second = await lease(server.broker, 2)
    assert await is_repeat(server, "a")

    await ack(server.broker, first)
    await reject(server.broker, second)

    assert await is_repeat(server, "a")
    assert await is_repeat(server, "b")


@cell("dedup", "pause")
async def _(server: Server) -> None:
    """A queue that is paused for adds answers a repeat."""
    first = await server.put(b"1", dedup_id="a")
    await server.broker.pause("jobs", adds=True)

    assert await server.put(b"again", dedup_id="a") == pb.Message(meta=first.meta)


@cell("dedup", "purge")
async def _(server: Server) -> None:
    """A purge leaves the dedup_ids: what was purged is not added again."""
    await server.put(b"1", dedup_id="a")
    await server.broker.purge("jobs")

    assert await is_repeat(server, "a")
    assert await states(server.broker) == (0, 0, 0)


@cell("dedup", "redrive")
async def _(server: Server) -> None:
    """A redrive brings a message back though its queue knows it, and is remembered by none."""
    await server.put(b"1", dedup_id="a")
    await reject(server.broker, *await lease(server.broker))

    await redriven(server)

    assert [each.options.dedup_id for each in await popped(server)] == ["a"]
    await server.pass_time(300)
    assert not await is_repeat(server, "a")


@cell("dedup", "browse")
async def _(server: Server) -> None:
    """Browse shows the dedup_id of a message, and no repeats."""
    await server.put(b"1", dedup_id="a")
    await is_repeat(server, "a")

    (seen,) = await browsed(server.broker)

    assert (seen.message.payload, seen.message.options.dedup_id) == (b"1", "a")
    assert (await stats(server.broker)).dedup_ids == 1
