"""In which order messages with options are handed out, and shown."""

import pytest

from qmq.errors import MessageNotFound
from qmq.testing import START_NS
from qmq.values import NS_PER_S, MessageState
from qmq.wire import q_pb2 as pb
from tests.engine.consumers import add, lease, leased_again, pop_all, release
from tests.engine.looking import browsed, payloads
from tests.engine.servers import Server

DELAYED = pb.BrowseRequest.DELAYED


async def test_higher_priority_goes_first(server: Server) -> None:
    """In the order of arrival within one, by whatever way it is handed out."""
    for payload, priority in ((b"a", 0), (b"b", 5), (b"c", 255), (b"d", 5), (b"e", 0)):
        await server.put(payload, priority=priority)
    await add(server.broker, b"f")

    peeked = pb.Message.FromString(await server.broker.peek("jobs"))
    (held,) = await lease(server.broker)
    popped = pb.Message.FromString(await server.broker.pop("jobs"))

    assert [each.payload for each in (peeked, held, popped)] == [b"c", b"c", b"b"]
    assert peeked.options.priority == held.message.options.priority == 255
    assert await pop_all(server.broker) == [b"d", b"a", b"e", b"f"]


async def test_message_that_comes_back_keeps_its_priority(server: Server) -> None:
    """And its place among those of the same one."""
    await server.put(b"low")
    await server.put(b"first", priority=5)
    await server.put(b"second", priority=5)
    held = await lease(server.broker, 2)
    await release(server.broker, held[1])
    await release(server.broker, held[0])

    assert await leased_again(server.broker) == [b"first", b"second", b"low"]
    await server.pass_time(30)
    assert await pop_all(server.broker) == [b"first", b"second", b"low"]


async def test_ageing_lets_old_messages_go_before_important_ones(server: Server) -> None:
    """A message of priority 2 stands as if it had come 10 seconds earlier."""
    await server.change("jobs", priority_ageing=5)
    await server.put(b"old")
    await server.pass_time(8)
    await server.put(b"important", priority=2)
    await server.pass_time(4)
    await server.put(b"late", priority=2)

    order = [pb.Message.FromString(await server.broker.pop("jobs")).payload for _ in range(3)]

    assert order == [b"important", b"old", b"late"]


async def test_ageing_may_change_while_messages_wait(server: Server) -> None:
    """It is the order of the next one that is handed out."""
    await server.put(b"old")
    await server.pass_time(8)
    await server.put(b"important", priority=1)

    heads = []
    for ageing in (0, 5, 0, 9):
        await server.change("jobs", priority_ageing=ageing)
        heads.append(pb.Message.FromString(await server.broker.peek("jobs")).payload)

    assert heads == [b"important", b"old", b"important", b"important"]


async def test_browse_shows_messages_in_order_of_arrival(server: Server) -> None:
    """Whatever their priority, with their options."""
    await server.put(b"low")
    await server.put(b"high", priority=9)
    await server.put(b"late", delay=5, priority=3, dedup_id="x")

    seen = await browsed(server.broker)

    assert payloads(seen) == [b"low", b"high", b"late"]
    assert [each.message.options.priority for each in seen] == [0, 9, 3]
    assert (seen[2].state, seen[2].until.ToNanoseconds()) == (DELAYED, START_NS + 5 * NS_PER_S)
    assert seen[2].message.options.dedup_id == "x"
    assert payloads(await browsed(server.broker, states=(MessageState.DELAYED,))) == [b"late"]


async def test_explain_tells_of_delays_and_of_who_goes_first(server: Server) -> None:
    """In sentences, and how many are ahead."""
    low = (await server.put(b"low")).meta.id
    await server.put(b"high", priority=9)
    late = (await server.put(b"late", delay=5, priority=3)).meta.id

    about_low = await server.broker.browsing.explain("jobs", low)
    about_late = await server.broker.browsing.explain("jobs", late)

    assert about_low.ahead == 1
    assert about_low.reasons[0] == "1 message is handed out before it"
    assert (about_late.ahead, len(about_late.reasons)) == (0, 1)
    assert about_late.reasons[0].startswith("it is kept back until 20")
    await server.pass_time(5)
    assert (await server.broker.browsing.explain("jobs", late)).ahead == 1
    assert (await server.broker.browsing.explain("jobs", low)).ahead == 2


async def test_explain_does_not_find_what_has_expired(server: Server) -> None:
    """It is gone."""
    brief = (await server.put(b"brief", ttl=5)).meta.id
    server.timer.advance(5)

    with pytest.raises(MessageNotFound):
        await server.broker.browsing.explain("jobs", brief)
