"""The service at a q that does not lead: nothing is done, and calls learn where to go on."""

import asyncio

import pytest

from qmq.errors import NotLeading, QueueEmpty, ShuttingDown
from qmq.transport.following import Following
from qmq.transport.forwarded import AGAIN, FORWARDED, connection
from qmq.transport.status import error_headers, refusal_headers

AGAIN_HEADER = (AGAIN.encode(), b"1")


async def stays() -> bool:
    """Tell that the caller is there."""
    return False


async def tell(request: bytes) -> bytes:
    """Say something of this q."""
    return b"told " + request


async def refusal_by(following: Following, limit_s: float | None = None) -> NotLeading:
    """Add a message, and return what is said instead."""
    with pytest.raises(NotLeading) as refusal:
        await following.methods(tell).waiting["/proto.Q/Add"](b"", stays, limit_s)
    return refusal.value


async def test_while_somebody_leads_a_call_is_sent_back_at_once() -> None:
    """The q that has sent it on may know by now where to."""
    following = Following()
    following.tell("the q at q2:10002 leads the cluster", is_led=True)

    error = await refusal_by(following)

    assert error.message == "the q at q2:10002 leads the cluster; nothing was done"
    assert error.metadata == {"effect": "none"}
    assert AGAIN_HEADER in refusal_headers(error)


async def test_a_call_waits_until_somebody_leads() -> None:
    """And is sent anew then, rather than refused."""
    following = Following()
    following.tell("no q leads the cluster", is_led=False)
    call = asyncio.ensure_future(refusal_by(following))
    await asyncio.sleep(0)
    assert not call.done()

    following.tell("this q leads the cluster", is_led=True)

    assert (await call).ask_again


async def test_a_q_tells_of_itself_while_nobody_leads() -> None:
    """At once; and of the cluster, whoever leads it."""
    following = Following()
    following.tell("no q leads the cluster", is_led=False)
    get_server = following.methods(tell).waiting["/proto.Q/GetServer"]

    assert await get_server(b"it", stays, None) == b"told it"

    following.tell("the q at q2:10002 leads the cluster", is_led=True)
    with pytest.raises(NotLeading) as refusal:
        await get_server(b"it", stays, None)
    assert refusal.value.ask_again


async def test_a_call_whose_time_is_over_is_told_why_nobody_leads() -> None:
    """There is nobody to send it to."""
    following = Following()
    following.tell("this q has read 5 of about 9 messages", is_led=False)

    error = await refusal_by(following, limit_s=0.001)

    assert "5 of about 9" in error.message
    assert AGAIN_HEADER not in refusal_headers(error)


def test_every_method_of_the_service_is_answered() -> None:
    """Streams as well; none is unknown to a q because it does not lead."""
    methods = Following().methods(tell)

    assert {"/proto.Q/Add", "/proto.Q/Stats"} <= methods.waiting.keys()
    assert set(methods.streams) == {"/proto.Q/Consume"}


def test_a_call_that_was_shut_out_is_sent_anew_unless_it_is_a_stream() -> None:
    """A stream may have had other requests before, which had their effect."""
    error = ShuttingDown("q is shutting down")

    assert AGAIN_HEADER in refusal_headers(error)
    assert AGAIN_HEADER not in error_headers(error)
    assert AGAIN_HEADER not in refusal_headers(QueueEmpty("id"))


def test_calls_that_were_sent_on_count_for_their_clients() -> None:
    """One client that does not read holds up nobody else whose calls take the same way."""
    own = {"headers": [(b"te", b"trailers")], "client": ("10.0.0.1", 5)}
    sent_on = {**own, "headers": [(FORWARDED.encode(), b"10.0.0.9:7")]}

    assert connection(own) == ("10.0.0.1", 5)
    assert connection(sent_on) == b"10.0.0.9:7"
