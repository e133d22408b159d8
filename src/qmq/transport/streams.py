"""The streams of gRPC: request messages come one by one, and replies go out one by one."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Final

from qmq.engine.waiting import Gone
from qmq.errors import DeadlineExceeded, QError
from qmq.ids import request_id_of
from qmq.transport.asgi import Event, Headers, Receive, Send
from qmq.transport.framing import Deframer, frame, parse_timeout
from qmq.transport.sending import (
    COMPRESS_BYTES_MIN,
    NO_BODY,
    OK,
    START,
    START_GZIP,
    internal,
    send_end,
    unbroken,
)
from qmq.transport.status import Code, code_of, error_headers

#: Takes request messages and yields reply messages, those together that go out together.
#: It is closed when the call is over, whatever ended it, and that is not over before.
StreamMethod = Callable[["Requests"], AsyncGenerator[list[bytes], None]]

_log = logging.getLogger(__name__)

#: Request messages of one stream that wait for its method; the client waits beyond that.
_STREAM_BACKLOG_MESSAGES: Final = 16
#: Seconds in which it is noticed that a client has left that had ended its side of a stream.
_LOOK_AGAIN_S: Final = 0.5


class Requests(AsyncIterator[bytes]):
    """The request messages of a stream, in order, until the client ends its side.

    To be made in the event loop that serves the stream.
    """

    def __init__(self, receive: Receive, deframer: Deframer) -> None:
        self._receive = receive
        self._deframer = deframer
        self._inbox: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(
            _STREAM_BACKLOG_MESSAGES
        )
        self._error: Exception | None = None
        self._has_begun = False
        #: Done when `end` was called, for a method that waits for something else.
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_disconnected = False

    def end(self, error: Exception) -> None:
        """Give the method an error instead of the next message, unless it was given one before."""
        if self._error:
            return
        self._error = error
        self.ended.set_result(None)
        # This wakes the method if it waits; if it does not, it will see the error itself.
        with suppress(asyncio.QueueFull):
            self._inbox.put_nowait(error)

    def end_unless_begun(self, error: Exception) -> None:
        """Give the method an error unless the client has sent a message, or ended its side."""
        if not self._has_begun:
            self.end(error)

    def forget_error(self) -> None:
        """Drop the error that ended it, and with it all that its traceback holds.

        The traceback holds this object in turn, and the garbage collector may be long in coming.
        """
        self._error = None

    async def read_all(self) -> None:
        """Read until the client is gone, so that its going is noticed in time."""
        try:
            more_body = True
            while more_body:
                event = await self._next_event()
                if event["type"] == "http.disconnect":
                    self.is_disconnected = True
                    return
                for message in self._deframer.feed(event.get("body", b"")):
                    self._has_begun = True
                    await self._inbox.put(message)
                more_body = event.get("more_body", False)
            self._deframer.finish()
            self._has_begun = True
            await self._inbox.put(None)
        except QError as error:
            await self._inbox.put(error)
        # After the end of the body pyvoy's receive() returns at once, so it is asked in turns.
        while (await self._next_event())["type"] != "http.disconnect":  # noqa: ASYNC110 - See above.
            await asyncio.sleep(_LOOK_AGAIN_S)
        self.is_disconnected = True

    async def _next_event(self) -> Event:
        return await unbroken(self._receive())

    async def __anext__(self) -> bytes:
        """Wait for the next message.

        Raises:
            QError: what came is no message, or the stream was ended with this error.
        """
        item = self._error or await self._inbox.get()
        if item is None:
            raise StopAsyncIteration
        if isinstance(item, Exception):
            raise item
        return item


async def send_replies(  # noqa: PLR0913, PLR0917 - A stream has as many parts.
    method: StreamMethod,
    requests: Requests,
    headers: dict[bytes, bytes],
    send: Send,
    send_piece: Callable[[bytes], Awaitable[None]],
    path: str,
) -> Code:
    """Send a stream's replies, within the call's deadline, and how it ended; return that."""
    may_compress = headers.get(b"grpc-encoding") == b"gzip"
    is_started = False
    code = Code.OK
    end: Headers = [(b"grpc-status", b"0")]
    try:
        timeout = headers.get(b"grpc-timeout")
        limit_s = None if timeout is None else parse_timeout(timeout)
        async with asyncio.timeout(limit_s), aclosing(method(requests)) as replies:
            async for together in replies:
                if not is_started:
                    await send(START_GZIP if may_compress else START)
                    is_started = True
                await send_piece(_frames(together, may_compress=may_compress))
    except Gone:
        return Code.CANCELLED
    except TimeoutError:
        code = Code.DEADLINE_EXCEEDED
        end = error_headers(DeadlineExceeded("the call's deadline has passed"))
    except QError as error:
        code, end = code_of(error), error_headers(error)
    except Exception:  # noqa: BLE001 - Whatever failed, the caller gets an answer.
        request_id = request_id_of(headers)
        _log.exception("stream failed", extra={"path": path, "request_id": request_id})
        code, end = Code.INTERNAL, internal(request_id)
    if is_started:
        await send(NO_BODY)
        await send({**OK, "headers": end})
    else:
        await send_end(send, end)
    return code


def _frames(replies: list[bytes], *, may_compress: bool) -> bytes:
    """Return replies in their frames, and empty the list: they may wait long to be read."""
    frames = b"".join(
        frame(reply, gzip=may_compress and len(reply) >= COMPRESS_BYTES_MIN) for reply in replies
    )
    replies.clear()
    return frames
