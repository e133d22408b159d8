"""gRPC over ASGI: Envoy speaks HTTP, this speaks the protocol on top of it.

See https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md. The way of a unary
call through `GrpcApp._serve` is the hot path of q: it makes no object and awaits
nothing that it does not need.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol

from qmq.engine.waiting import Gone
from qmq.errors import DeadlineExceeded, InvalidArgument, QError, ShuttingDown
from qmq.ids import request_id_of
from qmq.limits import STREAM_REQUEST_BYTES_MAX
from qmq.transport.asgi import Event, Receive, Scope, Send
from qmq.transport.forwarded import connection
from qmq.transport.framing import (
    FRAME_HEAD_BYTES,
    Deframer,
    frame,
    frame_head,
    parse_timeout,
)
from qmq.transport.in_hand import COUNTED_BYTES_MIN, Bounds, InHand
from qmq.transport.methods import Methods, UnaryMethod, UnaryMethods
from qmq.transport.sending import (
    COMPRESS_BYTES_MIN,
    NO_BODY,
    OK,
    START,
    START_GZIP,
    internal,
    send_end,
    send_piece,
)
from qmq.transport.status import Code, error_headers, plain_headers, refusal_headers
from qmq.transport.streams import Requests, StreamMethod, send_replies

#: Answers a request that is no gRPC.
Fallback = Callable[[Scope, Send], Awaitable[None]]

_log = logging.getLogger(__name__)

#: Seconds that pass between a call's arrival and its method's beginning, at the very least.
_TIMEOUT_S_MIN: Final = 1e-6
#: Seconds between two looks for clients that have left calls that wait, and how many are looked
#: at before others have their turn.
_LOOK_FOR_ABANDONED_S: Final = 1.0
_LOOKED_AT_ONCE: Final = 100
#: Characters of an unknown path that are told back: clients refuse long headers.
_PATH_CHARS_MAX: Final = 200

#: Methods that change nothing, so that a reply can be taken back.
READING: Final = frozenset(
    f"/proto.Q/{name}"
    for name in (
        "ListQueues",
        "GetQueue",
        "Peek",
        "Browse",
        "Stats",
        "ListSchedules",
        "ListRedrives",
        "GetIdentity",
        "ListIdentities",
    )
)


class Caller(Protocol):
    """A caller whose identity is known, and what it is served."""

    #: Methods of one request and one reply.
    unary: UnaryMethods
    #: All other methods, by path.
    streams: Mapping[str, StreamMethod]
    #: Those of its streams that are open.
    open_streams: set[Requests]

    def check(self) -> None:
        """Check that it may still wait.

        Raises:
            QError: it may not.
        """
        ...

    def note_refusal(self, scope: Scope, error: QError) -> None:
        """Note that one of its calls was refused, for any reason."""
        ...


class GrpcApp:
    """An ASGI app that serves gRPC methods, and leaves everything else to a fallback."""

    def __init__(
        self,
        methods: Methods,
        *,
        request_bytes_max: int,
        fallback: Fallback,
        bounds: Bounds | None = None,
    ) -> None:
        """Make an app.

        Args:
            methods: what it serves.
            request_bytes_max: most bytes of one request message, decompressed as well.
            fallback: answers requests that are no gRPC.
            bounds: how much there may be in hand for clients at one time; None stands for what
                holds unless q is told otherwise.
        """
        self._unary = {**methods.of_one_reply}
        self._streams = methods.streams
        self._request_bytes_max = request_bytes_max
        self._fallback = fallback
        self._in_hand = InHand(bounds or Bounds())
        #: What receives the calls that may wait, by their tasks.
        self._waiting: dict[asyncio.Task[Any], Receive] = {}
        #: Those of them that are being ended since nobody waits for them.
        self._abandoned: set[asyncio.Task[Any]] = set()
        self._open_streams: set[Requests] = set()
        #: What streams are told that begin after all were ended.
        self._end_of_streams: QError | None = None
        #: How many streams have ended, by their path and the name of their status.
        self.streams_ended: dict[tuple[str, str], int] = {}
        #: Calls under way.
        self.active = 0
        #: Set, from any thread, when calls are refused from now on. After that, and once
        #: `active` is 0, no call has an effect whose answer is still to be sent.
        self.is_closed = False

    def take_over(self, methods: Methods, bounds: Bounds) -> None:
        """Serve methods in place of those of the same paths, and within other bounds.

        How long a request may take to come in stays as it is, and so do streams.
        """
        self._unary.update(methods.of_one_reply)
        self._in_hand.bounds = bounds

    @property
    def open_streams(self) -> int:
        """How many streams are open. Any thread may ask."""
        return len(self._open_streams)

    def end_streams(self, error: QError) -> None:
        """End every stream that waits for its client's next message, with an error.

        Streams that begin later end the same way.
        """
        self._end_of_streams = error
        for stream in self._open_streams:
            stream.end(error)

    def __call__(
        self, scope: Scope, receive: Receive, send: Send, caller: Caller | None = None
    ) -> Coroutine[Any, Any, None]:
        """Serve one request; what is returned does it when it is awaited.

        `caller` is given where it is asked who calls.
        """
        return self._serve(scope, dict(scope["headers"]), receive, send, caller)

    async def _serve(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        send: Send,
        caller: Caller | None,
    ) -> None:
        """Serve one request, given its headers."""
        self.active += 1
        try:
            unary = (self._unary if caller is None else caller.unary).get(scope["path"])
            if unary is None or not is_grpc(headers):
                await self._serve_other(scope, headers, receive, send, caller)
                return
            try:
                message = await self._read_message(scope, headers, receive, send)
                if self._in_hand.unread:
                    await self._wait_for_turn(scope, receive)
                reply = await self._call(unary, message, headers, receive, caller)
                # It may be large, and its reply long in going out.
                del message
                if self._in_hand.unread:
                    await self._check_reply(scope, reply)
            except Gone:
                return
            except Exception as error:  # noqa: BLE001 - Whatever failed, the caller gets an answer.
                await self._send_error(scope, headers, send, caller, error)
                return
            if len(reply) > COUNTED_BYTES_MIN:
                large = [reply]
                del reply
                await self._send_large(scope, headers, send, large)
                return
            start, body = START, frame_head(len(reply)) + reply
            if b"grpc-encoding" in headers and _wants_gzip(headers, reply):
                start, body = START_GZIP, frame(reply, gzip=True)
            await send(start)
            await send({"type": "http.response.body", "body": body, "more_body": False})
            await send(OK)
        finally:
            self.active -= 1
            if self._in_hand.requests:
                self._in_hand.let_go(receive)

    async def _wait_for_turn(self, scope: Scope, receive: Receive) -> None:
        """Wait until the connection of a call has read enough to be given another reply.

        Raises:
            Gone: the client has left meanwhile.
            Overloaded: it has not read for too long.
        """
        await self._in_hand.turn_of(connection(scope))
        if await _is_gone(receive):
            raise Gone

    def _call(
        self,
        unary: tuple[Callable[..., Awaitable[bytes]], bool],
        message: bytes,
        headers: dict[bytes, bytes],
        receive: Receive,
        caller: Caller | None,
    ) -> Awaitable[bytes]:
        """Call a method, within the call's deadline if there is one."""
        method, may_wait = unary
        timeout = headers.get(b"grpc-timeout")
        if may_wait:
            limit_s = None if timeout is None else _limit_s(timeout)
            is_gone = (
                partial(_is_gone, receive)
                if caller is None
                else partial(_is_gone_or_may_not, receive, caller)
            )
            return self._waited(method(message, is_gone, limit_s), receive)
        return method(message) if timeout is None else _within(timeout, method, message)

    async def _send_error(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        send: Send,
        caller: Caller | None,
        error: Exception,
    ) -> None:
        """Answer a call that was refused, or that failed unexpectedly."""
        if isinstance(error, QError):
            if caller is not None:
                caller.note_refusal(scope, error)
            await send_end(send, refusal_headers(error))
            return
        request_id = request_id_of(headers)
        _log.error(
            "call failed", exc_info=error, extra={"path": scope["path"], "request_id": request_id}
        )
        await send_end(send, internal(request_id))

    async def _waited(self, call: Awaitable[bytes], receive: Receive) -> bytes:
        """Await a call that may wait, unless its client turns out to have left."""
        task = asyncio.current_task()
        assert task is not None
        self._waiting[task] = receive
        try:
            return await call
        except asyncio.CancelledError:
            if task in self._abandoned:
                raise Gone from None
            raise
        finally:
            self._abandoned.discard(task)
            del self._waiting[task]

    async def _check_reply(self, scope: Scope, reply: bytes) -> None:
        """Make sure that a reply can go out on a connection that may not read."""
        if scope["path"] in READING:
            self._in_hand.check_reply(connection(scope), len(reply))
            return
        try:
            await self._in_hand.turn_of(connection(scope))
        except QError as error:
            # It has had its effect, which must not be denied: to the caller it is lost on its way.
            raise Gone from error

    async def _send_large(
        self, scope: Scope, headers: dict[bytes, bytes], send: Send, reply: list[bytes]
    ) -> None:
        """Send a large reply and the end of it, and count it until it is read.

        It is taken out of its list, so that nothing else holds it while it waits to be read.
        """
        with suppress(Gone):
            async with self._in_hand.unread_by(connection(scope), len(reply[0])):
                async with self._in_hand.turns.turn():
                    # The rest is done in the same turn of the event loop.
                    pass
                if b"grpc-encoding" in headers and _wants_gzip(headers, reply[0]):
                    await send(START_GZIP)
                    await send_piece(send, frame(reply.pop(), gzip=True))
                else:
                    await send(START)
                    # The head of its frame goes ahead, rather than to copy the reply behind it.
                    await send_piece(send, frame_head(len(reply[0])))
                    await send_piece(send, reply.pop())
                # This one waits until hardly anything of the other is left.
                await send_piece(send, b"")
            await send(NO_BODY)
            await send(OK)

    async def _send_counted(self, scope: Scope, send: Send, body: bytes) -> None:
        """Send a piece of a reply, and if it is large count it and wait until it is read.

        Raises:
            Gone: the client is gone.
        """
        if len(body) <= COUNTED_BYTES_MIN:
            await send_piece(send, body)
            return
        async with self._in_hand.unread_by(connection(scope), len(body)):
            await send_piece(send, body)
            # Envoy has a copy of it.
            del body
            # This one waits until hardly anything of the other is left.
            await send_piece(send, b"")

    async def end_idle_calls(self) -> None:
        """End calls whose clients have left, and calls whose requests do not arrive.

        As long as this runs: the former each second, if there are many calls. Otherwise q notices
        when something comes for them, or when their time is over.
        """
        now = asyncio.get_running_loop().time
        interval_s = self._in_hand.bounds.transfer_timeout_s / 2
        due = now() + interval_s
        while True:
            await asyncio.sleep(min(_LOOK_FOR_ABANDONED_S, max(0.0, due - now())))
            if now() >= due:
                due = now() + interval_s
                await self._end_half_open()
            if self.active > self._in_hand.bounds.calls_max // 2:
                await self._end_abandoned()

    async def _end_half_open(self) -> None:
        """Answer the calls whose requests are overdue."""
        overdue = self._in_hand.overdue()
        if overdue:
            headers = error_headers(self._in_hand.timeout())
            for send in overdue:
                # Some have left, without anybody having looked.
                with suppress(OSError):
                    await send_end(send, headers)

    async def _end_abandoned(self) -> None:
        """End the waiting calls of clients that have left."""
        for at, (task, receive) in enumerate(list(self._waiting.items())):
            if task in self._waiting and await _is_gone(receive) and task in self._waiting:
                self._abandoned.add(task)
                task.cancel()
            if at % _LOOKED_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _read_message(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send
    ) -> bytes:
        """Return the one request message of a unary call."""
        if self.is_closed:
            raise ShuttingDown("q is shutting down; the call had no effect")
        in_hand = self._in_hand
        if self.active > in_hand.bounds.calls_max:
            raise in_hand.too_many(self.active)
        half_open = in_hand.half_open
        half_open[receive] = send
        if in_hand.heavy and connection(scope) in in_hand.heavy:
            async with in_hand.turns.turn():
                event = await receive()
        else:
            event = await receive()
        body: bytes | None = event.get("body")
        if (
            body is not None
            and not event.get("more_body")
            and FRAME_HEAD_BYTES <= len(body) <= COUNTED_BYTES_MIN
            and body[0] == 0
            and int.from_bytes(body[1:FRAME_HEAD_BYTES], "big") == len(body) - FRAME_HEAD_BYTES
        ):
            message = body[FRAME_HEAD_BYTES:]
        else:
            try:
                message = await self._gather(event, self._deframer(headers), scope, receive)
            except (QError, Gone):
                if half_open.pop(receive, None) is None:
                    raise Gone from None
                raise
        # One that is not there any more was answered, since it took too long.
        if half_open.pop(receive, None) is None:
            raise Gone
        return message

    async def _gather(
        self, event: Event, deframer: Deframer, scope: Scope, receive: Receive
    ) -> bytes:
        """Return the one request message of a body that begins with an event."""
        messages: list[bytes] = []
        while True:
            if event["type"] == "http.disconnect":
                raise Gone
            messages += deframer.feed(event.get("body", b""))
            self._in_hand.hold(receive, deframer.announced + sum(map(len, messages)))
            is_large = receive in self._in_hand.requests
            if is_large:
                self._in_hand.note_heavy(connection(scope))
            if not event.get("more_body") or len(messages) > 1:
                break
            if is_large:
                async with self._in_hand.turns.turn():
                    event = await receive()
            else:
                event = await receive()
        if len(messages) <= 1:
            deframer.finish()
        if len(messages) != 1:
            raise InvalidArgument("request", f"has {len(messages)} gRPC messages, must have one")
        return messages[0]

    def _deframer(self, headers: dict[bytes, bytes]) -> Deframer:
        return Deframer(self._request_bytes_max, headers.get(b"grpc-encoding", b"identity"))

    async def _serve_other(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        send: Send,
        caller: Caller | None,
    ) -> None:
        """Serve a stream, an unknown method, or what is no gRPC."""
        if not is_grpc(headers):
            # A reply before the end of a body is lost on clients that are still sending it;
            # who does not know the body's length may be waiting for the reply to end it.
            while b"content-length" in headers and (await receive()).get("more_body"):
                pass
            await self._fallback(scope, send)
        elif method := (self._streams if caller is None else caller.streams).get(scope["path"]):
            open_streams = set[Requests]() if caller is None else caller.open_streams
            await self._serve_stream(method, scope, headers, receive, send, open_streams)
        else:
            message = f"unknown method {scope['path'][:_PATH_CHARS_MAX]}"
            await send_end(send, plain_headers(Code.UNIMPLEMENTED, message))

    async def _serve_stream(  # noqa: PLR0913, PLR0917 - A stream has as many parts.
        self,
        method: StreamMethod,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        send: Send,
        open_streams: set[Requests],
    ) -> None:
        """Serve a stream; meanwhile it is among the open ones of its caller."""
        requests = Requests(
            receive,
            Deframer(
                min(self._request_bytes_max, STREAM_REQUEST_BYTES_MAX),
                headers.get(b"grpc-encoding", b"identity"),
            ),
        )
        self._open_streams.add(requests)
        open_streams.add(requests)
        if self._end_of_streams:
            requests.end(self._end_of_streams)
        elif self.active > self._in_hand.bounds.calls_max:
            requests.end(self._in_hand.too_many(self.active))
        half_open = asyncio.get_running_loop().call_later(
            self._in_hand.bounds.transfer_timeout_s,
            requests.end_unless_begun,
            self._in_hand.timeout(),
        )
        send_piece = partial(self._send_counted, scope, send)
        serving = asyncio.ensure_future(
            send_replies(method, requests, headers, send, send_piece, scope["path"])
        )
        reading = asyncio.ensure_future(requests.read_all())
        try:
            await asyncio.wait((serving, reading), return_when=asyncio.FIRST_COMPLETED)
            if reading.done() and reading.exception():
                _log.error("stream reader failed", exc_info=reading.exception())
            elif reading.done() and not requests.is_disconnected:
                await asyncio.wait((serving,))
        finally:
            self._open_streams.discard(requests)
            open_streams.discard(requests)
            half_open.cancel()
            # The client is gone or has its answer: whatever still runs, runs for nobody.
            for task in (serving, reading):
                task.cancel()
            code, _ = await asyncio.gather(serving, reading, return_exceptions=True)
            requests.forget_error()
            key = scope["path"], code.name if isinstance(code, Code) else Code.CANCELLED.name
            self.streams_ended[key] = self.streams_ended.get(key, 0) + 1


def is_grpc(headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether a request is one of gRPC."""
    return headers.get(b"content-type", b"").startswith(b"application/grpc")


async def _is_gone(receive: Receive) -> bool:
    """Tell whether a client has left after sending its whole request."""
    # pyvoy's receive() returns at once then, with an empty event while the client is there.
    return bool((await receive())["type"] == "http.disconnect")


async def _is_gone_or_may_not(receive: Receive, caller: Caller) -> bool:
    """Do the same, and check that the caller may still wait.

    Raises:
        QError: it has.
    """
    caller.check()
    return await _is_gone(receive)


async def _within(deadline: bytes, method: UnaryMethod, message: bytes) -> bytes:
    """Call a method until the call's deadline, a grpc-timeout."""
    try:
        async with asyncio.timeout(_limit_s(deadline)):
            return await method(message)
    except TimeoutError:
        raise DeadlineExceeded(
            "the call's deadline has passed; it may have taken effect all the same"
        ) from None


def _limit_s(deadline: bytes) -> float:
    """Return the seconds until a call's deadline, a grpc-timeout."""
    limit_s = parse_timeout(deadline)
    if limit_s < _TIMEOUT_S_MIN:
        raise DeadlineExceeded("the call's deadline had passed when it came; nothing was done")
    return limit_s


def _wants_gzip(headers: dict[bytes, bytes], reply: bytes) -> bool:
    """Whether a reply goes out compressed: as the request came in, if it is worth it."""
    return headers[b"grpc-encoding"] == b"gzip" and len(reply) >= COMPRESS_BYTES_MIN
