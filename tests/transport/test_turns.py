"""Turns for what is large."""

import asyncio

import pytest

from qmq.transport.turns import Turns


async def test_all_others_have_their_turn_between_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many wait: they begin in order, and what is ready by then is done in between."""
    monkeypatch.setattr("qmq.transport.turns.TURN_S_MAX", 60)
    turns, seen = Turns(), list[str]()

    async def large(name: str) -> None:
        async with turns.turn():
            seen.append(name)
            asyncio.get_running_loop().call_soon(seen.append, "small")

    await asyncio.gather(*(large(name) for name in "abcd"))

    assert [name for name in seen if name != "small"] == list("abcd")
    assert seen[:7:2] == list("abcd")


async def test_who_waits_for_a_client_holds_nobody_up_for_long() -> None:
    """The next one has its turn although the one before is not done, and so have those after it."""
    turns, is_done = Turns(), asyncio.Event()

    async def waits() -> None:
        async with turns.turn():
            await is_done.wait()

    waiting = asyncio.ensure_future(waits())
    await asyncio.sleep(0)
    async with asyncio.timeout(10), turns.turn():
        pass
    async with asyncio.timeout(10), turns.turn():
        pass

    assert not waiting.done()
    is_done.set()
    await waiting


async def test_who_gives_up_is_passed_over() -> None:
    """Whether or not the turn had just come to it."""
    turns = Turns()
    is_done = asyncio.Event()

    async def waits() -> None:
        async with turns.turn():
            await is_done.wait()

    first, second, third = (asyncio.ensure_future(waits()) for _ in range(3))
    await asyncio.sleep(0)
    second.cancel()
    first.cancel()
    await asyncio.wait((first, second))
    third.cancel()

    async with asyncio.timeout(10), turns.turn():
        pass

    assert third.cancelled()
