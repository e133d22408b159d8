"""Large requests and replies hold up others one at a time."""

import asyncio
from typing import Any

import pytest

from qmq.transport.asgi import Event, Scope, Send
from qmq.transport.framing import frame
from qmq.transport.grpc import GrpcApp
from qmq.transport.in_hand import COUNTED_BYTES_MIN, Bounds
from qmq.transport.methods import Methods

LARGE = bytes(COUNTED_BYTES_MIN + 1)


async def echo(request: bytes) -> bytes:
    """Reply with what was asked."""
    return request


async def large(_: bytes) -> bytes:
    """Reply with something large."""
    return LARGE


async def no_fallback(_: Scope, __: Send) -> None:
    """Answer what is no gRPC."""
    raise AssertionError


class Client:
    """One connection, whose calls have their requests taken at the same time or in turns."""

    def __init__(self, app: GrpcApp, port: int) -> None:
        self._app = app
        self._port = port
        self._receiving = 0
        self.receiving_max = 0

    async def call(self, request: bytes) -> bytes:
        """Make a call, and return the body of its reply."""
        sent = list[bytes]()

        is_received = False

        async def receive() -> Event:
            nonlocal is_received
            if is_received:
                # Whoever asks wants to know whether the client is still there.
                return {"type": "http.request", "body": b"", "more_body": False}
            is_received = True
            self._receiving += 1
            self.receiving_max = max(self.receiving_max, self._receiving)
            for _ in range(5):
                await asyncio.sleep(0)
            self._receiving -= 1
            return {"type": "http.request", "body": frame(request), "more_body": False}

        async def send(event: Event) -> None:
            sent.append(event.get("body", b""))

        scope: dict[str, Any] = {
            "path": "/proto.Q/Echo",
            "headers": [(b"content-type", b"application/grpc")],
            "client": ["127.0.0.1", self._port],
        }
        await self._app(scope, receive, send)
        return b"".join(sent)


@pytest.fixture(autouse=True)
def no_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let turns last for as long as they need, however slow the machine is."""
    monkeypatch.setattr("qmq.transport.turns.TURN_S_MAX", 60)


async def test_requests_of_a_connection_that_sends_large_ones_come_in_one_by_one() -> None:
    """From its second one on; those of other connections are not held up by them."""
    app = GrpcApp(
        Methods({"/proto.Q/Echo": echo}), request_bytes_max=2 * len(LARGE), fallback=no_fallback
    )
    heavy, light = Client(app, 1), Client(app, 2)

    assert await heavy.call(LARGE) == frame(LARGE)
    replies = await asyncio.gather(
        *(client.call(request) for client in (heavy, light) for request in (LARGE, b"", b"x"))
    )

    assert replies == [frame(LARGE), frame(b""), frame(b"x")] * 2
    assert (heavy.receiving_max, light.receiving_max) == (1, 3)


async def test_a_reply_counts_as_unread_while_it_waits_for_its_turn() -> None:
    """Else many at once would all be made before the first one counts."""
    app = GrpcApp(
        Methods({"/proto.Q/Peek": large}),
        request_bytes_max=2 * len(LARGE),
        fallback=no_fallback,
        bounds=Bounds(unread_bytes_max=0, transfer_timeout_s=0.01),
    )
    statuses = list[bytes]()

    async def receive() -> Event:
        return {"type": "http.request", "body": frame(b""), "more_body": False}

    async def send(event: Event) -> None:
        statuses.extend(value for name, value in event.get("headers", ()) if name == b"grpc-status")

    scope: dict[str, Any] = {
        "path": "/proto.Q/Peek",
        "headers": [(b"content-type", b"application/grpc")],
        "client": ["127.0.0.1", 1],
    }
    async with app._in_hand.turns.turn():  # noqa: SLF001 - As long as another is under way.
        calls = [asyncio.ensure_future(app(scope, receive, send)) for _ in range(3)]
        await asyncio.wait(calls[1:])
    await calls[0]

    assert statuses == [b"8", b"8", b"0"]
