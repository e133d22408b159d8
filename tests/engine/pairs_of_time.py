"""Delay and ttl together with everything else."""

from qmq.descriptions import Rate
from qmq.testing import START_NS
from qmq.values import NS_PER_S, NackKind, Overflow
from tests.engine.consumers import (
    FINE,
    ack,
    add,
    fail,
    lease,
    nack,
    pop_all,
    release,
    states,
    stats,
)
from tests.engine.looking import DELAYED, browsed
from tests.engine.pairs import cell, dead_letter, redriven
from tests.engine.servers import Server


@cell("delay", "ttl")
async def _(server: Server) -> None:
    """Both count from the Add: what is kept back for as long as it is of use is never ready."""
    await server.put(b"never", delay=5, ttl=5)
    await server.put(b"later", delay=5, ttl=6)

    await server.pass_time(5)

    assert await pop_all(server.broker) == [b"later"]
    assert (await stats(server.broker)).expired_total == 1


@cell("delay", "priority")
async def _(server: Server) -> None:
    """When a message is due, it stands among those of its priority by its arrival."""
    await server.put(b"late", delay=5, priority=1)
    await server.put(b"high", priority=2)
    await server.put(b"same", priority=1)
    await add(server.broker, b"low")

    await server.pass_time(5)

    assert await pop_all(server.broker) == [b"high", b"late", b"same", b"low"]


@cell("delay", "dedup")
async def _(server: Server) -> None:
    """The window counts from the Add; a repeat changes no delay."""
    await server.change("jobs", dedup_window=10)
    await server.put(b"first", delay=5, dedup_id="a")
    await server.put(b"repeat", delay=60, dedup_id="a")
    await server.pass_time(5)
    assert await pop_all(server.broker) == [b"first"]

    await server.pass_time(5)
    await server.put(b"second", dedup_id="a")

    assert await pop_all(server.broker) == [b"second"]


@cell("delay", "limits")
async def _(server: Server) -> None:
    """A message that is kept back counts in the limits, and makes no room for others."""
    await server.change("jobs", limit=2, overflow=Overflow.DROP_OLDEST)
    await server.put(b"late", delay=5)
    await add(server.broker, b"1", b"2")

    assert await pop_all(server.broker) == [b"2"]
    assert await states(server.broker) == (0, 0, 1)


@cell("delay", "leased_max")
async def _(server: Server) -> None:
    """A message that is kept back takes no place among those on lease."""
    await server.change("jobs", leased_max=1)
    await server.put(b"late", delay=5)
    await add(server.broker, b"1")

    assert [each.payload for each in await lease(server.broker, duration_s=60)] == [b"1"]
    await server.pass_time(5)
    assert await lease(server.broker) == []


@cell("delay", "rate")
async def _(server: Server) -> None:
    """The delay says from when on a message may go out, and the rate when it does."""
    await server.change("jobs", rate=Rate(messages_per_second=0.1))
    await add(server.broker, b"1")
    await server.put(b"late", delay=5)

    counts = [len(await pop_all(server.broker))]
    for _ in range(2):
        await server.pass_time(5)
        counts.append(len(await pop_all(server.broker)))

    assert counts == [1, 0, 1]


@cell("delay", "leases")
async def _(server: Server) -> None:
    """A nack or the back-off keeps a message back anew; what it was added with is over then."""
    await server.put(b"1", delay=5)
    await server.pass_time(5)
    await release(server.broker, *await lease(server.broker))
    assert await states(server.broker) == (1, 0, 0)
    await fail(server.broker, *await lease(server.broker), delay_s=7)

    await server.pass_time(6.999)
    assert await states(server.broker) == (0, 0, 1)
    await server.pass_time(0.001)

    assert await states(server.broker) == (1, 0, 0)


@cell("delay", "pause")
async def _(server: Server) -> None:
    """Delays pass during a pause; what is due by then goes out after it."""
    await server.broker.pause("jobs", adds=False)
    await server.put(b"late", delay=5)
    await server.pass_time(5)
    assert await states(server.broker) == (1, 0, 0)
    assert await pop_all(server.broker) == []

    await server.broker.resume("jobs")

    assert await pop_all(server.broker) == [b"late"]


@cell("delay", "purge")
async def _(server: Server) -> None:
    """A purge removes what is kept back as well."""
    await server.put(b"late", delay=5)

    assert await server.broker.purge("jobs") == 1
    await server.pass_time(5)

    assert await states(server.broker) == (0, 0, 0)


@cell("delay", "redrive")
async def _(server: Server) -> None:
    """A redrive leaves what is kept back, and what it moves is ready at once."""
    await dead_letter(server, b"1")
    await dead_letter(server, b"2")
    held = await lease(server.broker, queue="dead")
    await nack(server.broker, NackKind.FAIL, *held, queue="dead", delay_s=60)
    await server.change("jobs", delay=5)

    redrive = await redriven(server)

    assert redrive.moved == 1
    assert await pop_all(server.broker) == [b"2"]
    assert await states(server.broker, "dead") == (0, 0, 1)


@cell("delay", "browse")
async def _(server: Server) -> None:
    """Browse shows it as DELAYED, at its place by arrival, with the moment until which it is."""
    await add(server.broker, b"1")
    await server.put(b"late", delay=5)
    await add(server.broker, b"2")

    _, late, _ = await browsed(server.broker)

    assert (late.message.payload, late.state) == (b"late", DELAYED)
    assert late.until.ToNanoseconds() == START_NS + 5 * NS_PER_S


@cell("ttl", "priority")
async def _(server: Server) -> None:
    """Priority says who goes first, and not who is of use for longer."""
    await server.put(b"brief", ttl=5, priority=9)
    await server.put(b"long", ttl=9)

    await server.pass_time(5)

    assert await pop_all(server.broker) == [b"long"]


@cell("ttl", "dedup")
async def _(server: Server) -> None:
    """An expired message is known by its dedup_id, and so is not added again."""
    await server.put(b"first", ttl=5, dedup_id="a")
    await server.pass_time(5)

    repeat = await server.put(b"repeat", dedup_id="a")

    assert repeat.payload == b""
    assert await states(server.broker) == (0, 0, 0)


@cell("ttl", "limits")
async def _(server: Server) -> None:
    """An expired message makes room before any other has to."""
    await server.change("jobs", limit=2, overflow=Overflow.DROP_OLDEST)
    await add(server.broker, b"1")
    await server.put(b"brief", ttl=5)
    server.timer.advance(5)

    await add(server.broker, b"2")

    assert await pop_all(server.broker) == [b"1", b"2"]
    assert (await stats(server.broker)).overflowed_total == 0


@cell("ttl", "leased_max")
async def _(server: Server) -> None:
    """What expires while it waits for a place is gone; what is on lease keeps its place."""
    await server.change("jobs", leased_max=1)
    await server.put(b"leased", ttl=5)
    await server.put(b"waiting", ttl=5)
    (held,) = await lease(server.broker, 9, duration_s=20)
    await server.pass_time(5)
    await add(server.broker, b"next")
    assert await states(server.broker) == (1, 1, 0)

    await ack(server.broker, held)

    assert [each.payload for each in await lease(server.broker)] == [b"next"]


@cell("ttl", "rate")
async def _(server: Server) -> None:
    """What expires before its turn is gone, and takes none."""
    await server.change("jobs", rate=Rate(messages_per_second=0.1))
    await add(server.broker, b"1")
    await pop_all(server.broker)
    await server.put(b"brief", ttl=5)
    await add(server.broker, b"2")

    await server.pass_time(10)

    assert await pop_all(server.broker) == [b"2"]


@cell("ttl", "leases")
async def _(server: Server) -> None:
    """A message on lease may be extended and acked after its ttl; if it comes back, it expires."""
    await server.put(b"1", ttl=5)
    await server.put(b"2", ttl=5)
    first, second = await lease(server.broker, 2, duration_s=20)
    await server.pass_time(19)
    await server.broker.leasing.extend("jobs", [first.lease_id], 20 * NS_PER_S)
    await server.pass_time(10)

    assert await states(server.broker) == (0, 1, 0)
    assert await ack(server.broker, first) == [FINE]
    assert await ack(server.broker, second) != [FINE]


@cell("ttl", "pause")
async def _(server: Server) -> None:
    """Messages expire during a pause, too."""
    await server.put(b"brief", ttl=5)
    await server.broker.pause("jobs", adds=True)

    await server.pass_time(5)

    assert await states(server.broker) == (0, 0, 0)


@cell("ttl", "purge")
async def _(server: Server) -> None:
    """What is purged does not expire: it is not counted, and is no dead letter."""
    await server.change("jobs", ttl=5, dead_letter_expired=True)
    await add(server.broker, b"1")

    await server.broker.purge("jobs")
    await server.pass_time(6)

    assert (await stats(server.broker)).expired_total == 0
    assert await states(server.broker, "dead") == (0, 0, 0)


@cell("ttl", "redrive")
async def _(server: Server) -> None:
    """What is moved has no ttl of its own any more; that of its queue counts from then on."""
    await server.change("jobs", dead_letter_expired=True)
    await server.put(b"1", ttl=5)
    await server.pass_time(5)
    await server.change("jobs", ttl=20)

    await redriven(server)
    await server.pass_time(19)
    assert await states(server.broker) == (1, 0, 0)
    await server.pass_time(2)

    assert await states(server.broker) == (0, 0, 0)


@cell("ttl", "browse")
async def _(server: Server) -> None:
    """Browse shows no expired message, and of the others until when they are of use."""
    await server.put(b"brief", ttl=5)
    await server.put(b"long", ttl=9)
    server.timer.advance(5)

    (long,) = await browsed(server.broker)

    assert long.message.options.expires_at.ToNanoseconds() == START_NS + 9 * NS_PER_S
    assert long.message.payload == b"long"
