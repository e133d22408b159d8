"""What a consumer holds, and who gets it."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

import qmq
from qmq.client._async.held import AsyncHeld, Want
from qmq.client._async.lease import lease_of
from qmq.testing import running_broker

Message = qmq.AsyncLeasedMessage[bytes | str]
Held = AsyncHeld[bytes | str]


@pytest.fixture
async def messages() -> AsyncIterator[list[Message]]:
    """Nine messages on lease, 0 to 8."""
    async with running_broker() as (client, _):
        queue = await client.new_queue()
        await queue.add_batch([str(n) for n in range(9)])
        yield await queue.lease(9)


def asking(held: Held, *workers: str) -> list[asyncio.Task[Message | None]]:
    """Ask for a message for each."""
    return [asyncio.create_task(held.ask(worker)) for worker in workers]


async def steps() -> None:
    """Let other tasks do what they can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def got(tasks: list[asyncio.Task[Message | None]]) -> list[str]:
    """What those got who have got something, in order."""
    await steps()
    results = [task.result() for task in tasks if task.done()]
    return [message.text if message else "" for message in results]


async def nothing_is_wanted(held: Held) -> bool:
    """Whether nothing is to be leased now."""
    task = asyncio.create_task(held.wanted())
    await steps()
    task.cancel()
    return not task.done()


async def test_who_asks_first_is_served_first(messages: list[Message]) -> None:
    """As many as may be worked on at a time; finishing makes room."""
    held: Held = AsyncHeld(concurrency=2, prefetch=0)
    tasks = asking(held, "ann", "ben", "cat", "dan")

    held.take_in(messages[:3])
    assert await got(tasks) == ["0", "1"]
    assert held.counts == (2, 1)
    assert held.finish("ben") is messages[1]
    assert await got(tasks) == ["0", "1", "2"]
    assert held.finish("ben") is None
    held.let_go(lease_of(messages[0]))
    held.take_in(messages[3:4])

    assert await got(tasks) == ["0", "1", "2", "3"]
    assert held.finish("ann") is None


async def test_as_much_is_wanted_as_there_is_room_for(messages: list[Message]) -> None:
    """Urgently, as soon as somebody waits."""
    held: Held = AsyncHeld(concurrency=2, prefetch=0)
    assert await nothing_is_wanted(held)

    tasks = asking(held, "ann")
    assert await held.wanted() == Want(2, is_urgent=True)
    held.take_in(messages[:1])
    assert await got(tasks) == ["0"]
    assert await nothing_is_wanted(held)
    asking(held, "ben")
    assert await held.wanted() == Want(1, is_urgent=True)
    held.take_in(messages[1:2])
    asking(held, "cat")

    assert await nothing_is_wanted(held)


async def test_more_is_wanted_ahead_while_there_is_more(messages: list[Message]) -> None:
    """When half of it is left, and not after nothing came."""
    held: Held = AsyncHeld(concurrency=1, prefetch=4)
    tasks = asking(held, "ann")
    assert await held.wanted() == Want(5, is_urgent=True)
    held.take_in(messages[:4])
    assert await got(tasks) == ["0"]
    assert await nothing_is_wanted(held)

    held.finish("ann")
    await held.ask("ann")
    assert await held.wanted() == Want(2, is_urgent=False)
    held.take_in([])

    assert await nothing_is_wanted(held)


async def test_no_more_is_wanted_than_a_call_may_bring() -> None:
    """Whatever there is room for."""
    held: Held = AsyncHeld(concurrency=1_000, prefetch=1_000)
    asking(held, "ann")

    assert await held.wanted() == Want(1_000, is_urgent=True)


async def test_who_leaves_gives_its_message_back(messages: list[Message]) -> None:
    """Also in the moment in which it gets one; its place in the order is kept."""
    held: Held = AsyncHeld(concurrency=3, prefetch=0)
    ann, ben, cat = asking(held, "ann", "ben", "cat")
    await steps()

    ben.cancel()
    await steps()
    held.take_in(messages[:2])
    ann.cancel()
    dan, eve = asking(held, "dan", "eve")

    assert await got([cat, dan]) == ["1", "0"]
    assert not eve.done()
    assert held.counts == (2, 0)


async def test_what_is_lost_is_not_handed_out(messages: list[Message]) -> None:
    """And its lease is not to go on, nor is one that is about to end."""
    held: Held = AsyncHeld(concurrency=1, prefetch=3)
    lease_of(messages[0]).is_lost = True
    held.take_in(messages[:4])
    lease_of(messages[3]).is_ending = True

    message = await held.ask("ann")

    assert message is messages[1]
    assert held.leases() == [lease_of(messages[1]), lease_of(messages[2])]


async def test_the_end_is_for_everybody(messages: list[Message]) -> None:
    """Who asks gets nothing; what is here can be taken, and what comes is too late."""
    held: Held = AsyncHeld(concurrency=1, prefetch=3)
    tasks = asking(held, "ann", "ben")
    await steps()
    held.take_in(messages[:3])

    held.close()

    assert await got([*tasks, *asking(held, "cat")]) == ["0", "", ""]
    assert await held.wanted() is None
    assert held.take_ready() == messages[1:3]
    assert held.take_in(messages[3:5]) == messages[3:5]
    assert held.counts == (1, 0)


async def test_an_error_is_for_everybody() -> None:
    """Each has its own."""
    held: Held = AsyncHeld(concurrency=1, prefetch=0)
    tasks = asking(held, "ann", "ben")
    await steps()

    held.close(qmq.QueueNotFound("gone"))

    errors = await asyncio.gather(*tasks, *asking(held, "cat"), return_exceptions=True)
    assert [str(error) for error in errors] == ["gone"] * 3
    assert len(set(map(id, errors))) == 3


@pytest.mark.parametrize(
    ("has_ended", "left"),
    [(None, (0, 0)), (lambda worker: worker == "ann", (1, 0))],
    ids=["all", "ended"],
)
async def test_what_is_worked_on_can_be_taken(
    messages: list[Message], has_ended: Callable[[object], bool] | None, left: tuple[int, int]
) -> None:
    """From everybody, or from those who have ended."""
    held: Held = AsyncHeld(concurrency=2, prefetch=0)
    held.take_in(messages[:2])
    for worker in ("ann", "ben"):
        await held.ask(worker)
        assert held.is_busy(worker)

    assert not held.is_stuck(lambda worker: worker == "ann")
    assert held.is_stuck(lambda _: True)
    held.take_under_way(has_ended)

    assert held.counts == left
    assert not held.is_busy("ann")
