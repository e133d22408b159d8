"""Waiting by a selector: who is served by which queue, and what becomes of promises."""

from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from qmq.engine.waiting import Gone
from qmq.errors import ShuttingDown
from qmq.values import NackKind, Tag
from tests.engine.callers import LONG_S, Caller, turns
from tests.engine.selections import MAIL, Waiter, add, lease, new_queue, waiters
from tests.engine.servers import Server
from tests.leased import leased_messages


async def test_who_waits_is_served_by_any_queue(server: Server) -> None:
    """Also by one that is made, or gets its tags, after the waiting began."""
    await new_queue(server, "a")
    await new_queue(server, "b", Tag("team", "web"))
    line = await waiters(server, *["team=mail"] * 3)

    await add(server, "a", b"a")
    assert await line[0].payloads() == [b"a"]
    await new_queue(server, "c")
    await add(server, "c", b"c")
    assert await line[1].payloads() == [b"c"]
    await add(server, "b", b"b")
    assert line[2].is_waiting
    await server.broker.add_queue_tag("b", MAIL)
    await turns()
    assert await line[2].payloads() == [b"b"]


async def test_who_waits_takes_all_that_there_is(server: Server) -> None:
    """Up to as many as it may, and goes on with other queues."""
    for name in "ab":
        await new_queue(server, name)
    waiter = Waiter(server.broker, count=9)
    await turns()
    waiter.may_go_on.clear()

    await add(server, "a", b"a0", b"a1")
    await add(server, "b", b"b0")
    waiter.may_go_on.set()

    assert await waiter.payloads() == [b"a0", b"a1", b"b0"]


async def test_those_who_wait_for_the_queue_itself_come_first(server: Server) -> None:
    """Whenever they came; among those who wait by selectors, who came first."""
    await new_queue(server, "jobs2")
    await server.broker.add_queue_tag("jobs", MAIL)
    line = await waiters(server, "team=mail", "team", "team=mail", "team")
    caller = Caller(server.broker)
    await turns()

    await add(server, "jobs", b"0", b"1", b"2", b"3")

    assert [await each.payloads() for each in line[:3]] == [[b"1"], [b"2"], [b"3"]]
    assert caller.payloads == [b"0"]
    assert line[3].is_waiting
    await add(server, "jobs2", b"4")
    assert await line[3].payloads() == [b"4"]


async def test_what_was_promised_is_for_nobody_else(server: Server) -> None:
    """Neither for calls on the queue nor for others by a selector."""
    await new_queue(server, "a")
    [waiter] = await waiters(server, "team=mail")

    await server.broker.add_batch("a", [(b"", b"0"), (b"", b"1")])
    assert await server.broker.pop("a") is not None
    assert await lease(server, 9) == []
    await turns()

    assert await waiter.payloads() in ([b"0"], [b"1"])


async def test_who_waits_in_vain_is_told_in_time(server: Server) -> None:
    """Nothing came; what comes later is for others."""
    await new_queue(server, "a")
    [waiter] = await waiters(server, "team=mail")

    await server.pass_time(LONG_S - 1)
    assert waiter.is_waiting
    await server.pass_time(1)

    assert await waiter.payloads() == []
    await add(server, "a", b"0")
    assert await lease(server) == [b"0"]


@pytest.mark.parametrize("way", ["cancelled", "gone"])
async def test_who_leaves_takes_nothing_along(server: Server, way: str) -> None:
    """Before or after it was promised a message: that is for the next."""
    await new_queue(server, "a")
    line = await waiters(server, *["team=mail"] * 3)

    def leave(waiter: Waiter) -> None:
        if way == "gone":
            waiter.is_gone = True
        else:
            waiter.cancel()

    leave(line[0])
    await server.pass_time(1)
    line[1].may_go_on.clear()
    await add(server, "a", b"0")
    assert line[2].is_waiting
    leave(line[1])
    line[1].may_go_on.set()

    assert await line[2].payloads() == [b"0"]
    if way == "gone":
        assert [type(each.error) for each in line[:2]] == [Gone, Gone]


async def purge(server: Server) -> None:
    """Remove what was promised."""
    await server.broker.purge("a")


async def pause(server: Server) -> None:
    """Hand out nothing any more."""
    await server.broker.pause("a", adds=False)


async def delete(server: Server) -> None:
    """Delete the queue."""
    await server.broker.delete_queue("a")


async def untag(server: Server) -> None:
    """Take the queue out of the selection."""
    await server.broker.delete_queue_tag("a", MAIL)


@pytest.mark.parametrize("take_away", [purge, pause, delete, untag])
async def test_one_whose_message_is_gone_waits_on_at_its_place(
    server: Server, take_away: Callable[[Server], Awaitable[None]]
) -> None:
    """And is served before all who came later, by another queue."""
    for name in "abc":
        await new_queue(server, name)
    line = await waiters(server, "team=mail", "team=mail")
    # Promised, and not taken yet.
    queue = server.broker.catalog.find("a")
    line[0].may_go_on.clear()
    line[1].may_go_on.clear()
    await server.broker.add("a", b"a")
    await take_away(server)
    line[0].may_go_on.set()
    line[1].may_go_on.set()
    await turns(60)
    assert [each.is_waiting for each in line] == [True, True], queue

    await add(server, "b", b"b")
    assert await line[0].payloads() == [b"b"]
    await add(server, "c", b"c")
    assert await line[1].payloads() == [b"c"]


async def test_what_is_there_is_given_back_when_the_queue_left_the_selection(
    server: Server,
) -> None:
    """To those who wait for it elsewhere."""
    await new_queue(server, "a", MAIL, Tag("env", "prod"))
    [first] = await waiters(server, "team=mail")
    [other] = await waiters(server, "env=prod")
    first.may_go_on.clear()
    await server.broker.add("a", b"a")
    await server.broker.delete_queue_tag("a", MAIL)
    first.may_go_on.set()
    await turns(60)

    assert first.is_waiting
    assert await other.payloads() == [b"a"]


async def test_another_queue_serves_one_whose_message_is_gone_at_once(server: Server) -> None:
    """If it has messages that nobody was promised."""
    for name in "ab":
        await new_queue(server, name)
    [waiter] = await waiters(server, "team=mail")
    waiter.may_go_on.clear()
    await server.broker.add("a", b"a")
    await server.broker.add("b", b"b")
    await server.broker.purge("a")
    waiter.may_go_on.set()
    await turns(60)

    assert await waiter.payloads() == [b"b"]


async def test_messages_that_come_back_serve_who_waits(server: Server) -> None:
    """By a nack, by the end of a lease or a delay, and by the end of a pause."""
    await new_queue(server, "a", lease_duration=10)
    await add(server, "a", b"a")
    leased, _ = await server.broker.selecting.lease("team=mail", 1, wait_s=0.0, is_gone=None)
    [held] = leased_messages(leased)
    [first] = await waiters(server, "team=mail")
    await server.broker.leasing.nack("a", [held.lease_id], NackKind.RELEASE, delay_ns=10**9)
    await turns()
    assert first.is_waiting
    await server.pass_time(1)
    assert await first.payloads() == [b"a"]

    [second] = await waiters(server, "team=mail")
    await server.pass_time(10)
    assert await second.payloads() == [b"a"]

    await server.broker.pause("a", adds=False)
    [third] = await waiters(server, "team=mail")
    await server.pass_time(10)
    assert third.is_waiting
    await server.broker.resume("a")
    await turns()
    assert await third.payloads() == [b"a"]


async def test_redrives_and_dead_letters_serve_who_waits(server: Server) -> None:
    """A dead letter comes to a queue as a message does."""
    await server.broker.add_queue_tag("dead", MAIL)
    [waiter] = await waiters(server, "team=mail")
    await add(server, "jobs", b"bad")
    leased = await server.broker.leasing.lease("jobs", 1, wait_s=0.0, is_gone=None)
    [held] = leased_messages(leased)

    await server.broker.leasing.nack("jobs", [held.lease_id], NackKind.REJECT)
    await turns()

    assert await waiter.payloads() == [b"bad"]


async def test_many_who_wait_share_what_comes(server: Server) -> None:
    """Each message goes to one of them."""
    for name in "abc":
        await new_queue(server, name)
    line = await waiters(server, *["team=mail", "team"] * 6)

    for n in range(4):
        for name in "abc":
            await server.broker.add(name, f"{name}{n}".encode())
    await turns(60)

    taken = [each for waiter in line for each in await waiter.payloads()]
    assert Counter(taken) == Counter(f"{name}{n}".encode() for n in range(4) for name in "abc")


async def test_stats_count_who_waits_by_selectors(server: Server) -> None:
    """For each queue that they may be served by."""
    await new_queue(server, "a")
    await new_queue(server, "b", Tag("env", "prod"))
    await waiters(server, "team=mail", "team", "env")

    stats = {each.info.name: each.waiting for each in (await server.broker.stats("", 0, ""))[0]}

    assert (stats["a"], stats["b"], stats["jobs"]) == (2, 1, 0)


async def test_nobody_waits_when_q_shuts_down(server: Server) -> None:
    """Those who do are told, and those who come then."""
    await new_queue(server, "a")
    [waiter] = await waiters(server, "team=mail")

    server.broker.stop_waiting()
    await turns()

    assert isinstance(waiter.error, ShuttingDown)
    late = Waiter(server.broker)
    await turns()
    assert isinstance(late.error, ShuttingDown)
