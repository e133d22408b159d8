"""The ASGI events of which replies are made, and how they are sent."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from qmq.engine.waiting import Gone
from qmq.transport.asgi import Headers, Send
from qmq.transport.status import Code, plain_headers

_T = TypeVar("_T")

#: Replies to a client that compresses are compressed from this size on.
COMPRESS_BYTES_MIN: Final = 1_024

_CONTENT_TYPE: Final = (b"content-type", b"application/grpc")
_ENCODINGS: Final = (b"grpc-accept-encoding", b"identity,gzip")

#: How a reply begins that has a message, and how it begins if that is compressed.
START: Final = {
    "type": "http.response.start",
    "status": 200,
    "headers": [_CONTENT_TYPE],
    "trailers": True,
}
START_GZIP: Final = {**START, "headers": [_CONTENT_TYPE, (b"grpc-encoding", b"gzip")]}

#: The end of a reply that has a message.
OK: Final = {
    "type": "http.response.trailers",
    "headers": [(b"grpc-status", b"0")],
    "more_trailers": False,
}
#: The end of a body.
NO_BODY: Final = {"type": "http.response.body", "body": b"", "more_body": False}

_INTERNAL: Final = plain_headers(Code.INTERNAL, "internal error of q; its log says more")


def internal(request_id: str) -> Headers:
    """Return the trailers of a call that failed in a way that nobody has thought of."""
    return [*_INTERNAL, (b"x-request-id", request_id.encode())]


async def send_end(send: Send, headers: Headers) -> None:
    """Answer with a status alone, in headers as `status` makes them.

    Raises:
        OSError: the client is gone.
    """
    start = {**START, "headers": [_CONTENT_TYPE, _ENCODINGS, *headers], "trailers": False}
    await send(start)
    await send(NO_BODY)


async def send_piece(send: Send, body: bytes) -> None:
    """Send a piece of a stream's replies.

    Raises:
        Gone: the client is gone.
    """
    try:
        # This is done when the client's connection has room again.
        await unbroken(send({"type": "http.response.body", "body": body, "more_body": True}))
    except OSError as error:
        raise Gone from error


async def unbroken(step: Awaitable[_T]) -> _T:
    """Wait for a receive() or send(); one that is under way goes on if the wait is cancelled.

    pyvoy complains about those that were cancelled.
    """
    future = asyncio.ensure_future(step)
    future.add_done_callback(_note_end)
    return await asyncio.shield(future)


def _note_end(future: asyncio.Future[Any]) -> None:
    """Look how a step ended: asyncio logs an error that nobody has looked at."""
    if not future.cancelled():
        future.exception()
