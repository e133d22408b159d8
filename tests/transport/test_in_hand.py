"""How much q has in hand for clients."""

import asyncio

import pytest

from qmq.errors import Overloaded
from qmq.transport.asgi import Event, Receive
from qmq.transport.in_hand import COUNTED_BYTES_MIN, Bounds, InHand

LARGE = COUNTED_BYTES_MIN * 2


def receiver() -> Receive:
    """Return what receives one more call."""

    async def receive() -> Event:
        raise AssertionError

    return receive


async def send(_: Event) -> None:
    """Answer a call."""


@pytest.fixture
async def in_hand() -> InHand:
    """Return an account that has room for two large requests, and one large reply unread."""
    return InHand(Bounds(transfer_bytes_max=2 * LARGE, unread_bytes_max=LARGE))


async def test_what_would_be_too_much_is_refused_until_something_is_let_go(
    in_hand: InHand,
) -> None:
    """By requests of whatever number; the refusal names the limit."""
    one, other, third = receiver(), receiver(), receiver()
    in_hand.hold(one, LARGE)
    in_hand.hold(other, LARGE)

    with pytest.raises(Overloaded) as refusal:
        in_hand.hold(third, LARGE)
    in_hand.let_go(one)
    in_hand.hold(third, LARGE)

    assert refusal.value.metadata == {
        "limit": "transfer_bytes_max",
        "value": str(2 * LARGE),
        "current": str(2 * LARGE),
    }


async def test_a_request_is_counted_once_however_often_it_is_looked_at(in_hand: InHand) -> None:
    """It counts with the most that it was."""
    one, other = receiver(), receiver()
    for size in (LARGE, LARGE, LARGE // 2, LARGE):
        in_hand.hold(one, size)

    in_hand.hold(other, LARGE)

    with pytest.raises(Overloaded):
        in_hand.hold(other, LARGE + 1)


async def test_one_request_alone_may_be_larger_than_the_bound(in_hand: InHand) -> None:
    """Else no message of that size could be added, whatever its limit says."""
    in_hand.hold(receiver(), 5 * LARGE)

    with pytest.raises(Overloaded):
        in_hand.hold(receiver(), LARGE)


async def test_small_requests_are_not_counted(in_hand: InHand) -> None:
    """However many there are."""
    for _ in range(100):
        in_hand.hold(receiver(), COUNTED_BYTES_MIN - 1)

    assert in_hand.requests == {}


async def test_a_call_is_overdue_when_it_is_there_at_two_looks(in_hand: InHand) -> None:
    """One that was taken out in between is not."""
    stays, leaves = receiver(), receiver()
    place = in_hand.half_open
    place[stays] = place[leaves] = send

    assert in_hand.overdue() == []
    del place[leaves]
    assert in_hand.overdue() == [send]
    assert in_hand.overdue() == []
    assert place == {}


async def test_who_does_not_read_waits_for_more(in_hand: InHand) -> None:
    """Others do not."""
    async with in_hand.unread_by("slow", LARGE), in_hand.unread_by("slow", 1):
        waiting = asyncio.ensure_future(in_hand.turn_of("slow"))
        await in_hand.turn_of("quick")
        await asyncio.sleep(0)
        assert not waiting.done()
        with pytest.raises(Overloaded):
            in_hand.check_reply("slow", LARGE)
        in_hand.check_reply("quick", LARGE)

    await waiting
    assert in_hand.unread == {}


async def test_all_who_have_not_read_wait_when_all_of_it_is_too_much(in_hand: InHand) -> None:
    """A connection that has read everything does not; nothing more is kept for it either."""
    async with (
        in_hand.unread_by("a", LARGE),
        in_hand.unread_by("b", LARGE),
        in_hand.unread_by("c", 1),
    ):
        assert [in_hand.is_behind(each) for each in "abcd"] == [True, True, True, False]
        with pytest.raises(Overloaded) as refusal:
            in_hand.check_reply("d", LARGE)

    assert refusal.value.metadata["limit"] == "transfer_bytes_max"


async def test_who_never_reads_is_refused_in_the_end() -> None:
    """With the limit of its connection."""
    in_hand = InHand(Bounds(unread_bytes_max=1, transfer_timeout_s=0.01))

    async with in_hand.unread_by("slow", LARGE):
        with pytest.raises(Overloaded) as refusal:
            await in_hand.turn_of("slow")

    assert refusal.value.metadata["limit"] == "unread_bytes_max"


async def test_who_has_sent_nothing_large_for_long_is_as_others_are(in_hand: InHand) -> None:
    """It is found out whenever somebody looks for requests that are overdue."""
    in_hand.note_heavy("one")
    in_hand.note_heavy("other")
    in_hand.heavy["one"] -= 61

    in_hand.overdue()

    assert list(in_hand.heavy) == ["other"]
