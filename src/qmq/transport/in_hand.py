"""How much q has in hand for its clients: calls, requests that come in, replies that nobody reads.

Each is bounded: what would exceed its bound waits, or is refused before anything is done. A call
pays for this with one entry in a dict.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from qmq.errors import Overloaded, RequestTimeout
from qmq.limits import CALLS_MAX, TRANSFER_BYTES_MAX, TRANSFER_TIMEOUT_S, UNREAD_BYTES_MAX
from qmq.transport.asgi import Receive, Send
from qmq.transport.turns import Turns

#: Bytes up to which neither requests nor replies are counted: most are as small as that, and
#: all that there may be of them at a time are no more than a few large ones.
COUNTED_BYTES_MIN: Final = 256 * 1024

#: Seconds for which it is remembered that a connection has sent a large request.
_HEAVY_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much there may be in hand."""

    #: Calls under way, those that wait and streams included.
    calls_max: int = CALLS_MAX
    #: Bytes of requests above 256 KiB that come in or are worked on, and of replies above 256 KiB
    #: that nobody has read.
    transfer_bytes_max: int = TRANSFER_BYTES_MAX
    #: Seconds that a request may take to come in, up to half as much again; and that a call waits
    #: for its connection to read what came before.
    transfer_timeout_s: float = TRANSFER_TIMEOUT_S
    #: Bytes of replies above 256 KiB that one connection has not read, but for the last one.
    unread_bytes_max: int = UNREAD_BYTES_MAX


class InHand:
    """What there is. To be used in one event loop."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        #: The `send` of each call whose request has not come in whole, by its `receive`. Whoever
        #: takes a call out of here answers it.
        self.half_open: dict[Receive, Send] = {}
        #: The same of those that were there the last time that somebody looked.
        self._older: dict[Receive, Send] = {}
        #: Bytes of large requests, by what receives them.
        self.requests: dict[Receive, int] = {}
        self._requests_bytes = 0
        #: Bytes of large replies that were not read, by connection.
        self.unread: dict[Hashable, int] = {}
        self._unread_bytes = 0
        self._has_read = asyncio.Event()
        #: For what is large, one after the other.
        self.turns = Turns()
        #: Connections that have sent large requests, and when the last one came, in seconds of the
        #: event loop's time. What more they send may be as large.
        self.heavy: dict[Hashable, float] = {}

    def too_many(self, active: int) -> Overloaded:
        """Return the error of a call if more calls, itself included, are under way than may be."""
        return Overloaded(
            f"{active - 1} calls are under way, as many as calls_max of"
            f" {self.bounds.calls_max} allows; the call had no effect",
            "calls_max",
            self.bounds.calls_max,
            active - 1,
        )

    def hold(self, receive: Receive, size: int) -> None:
        """Count a request of so many bytes, or more of one that was counted before.

        Raises:
            Overloaded: requests would take more than they may; it stays as it was.
        """
        more = size - self.requests.get(receive, 0)
        if more <= 0 or size < COUNTED_BYTES_MIN:
            return
        # One that is alone is let in however small the bound.
        if self._requests_bytes and self._requests_bytes + more > self.bounds.transfer_bytes_max:
            raise Overloaded(
                f"requests that come in or are worked on take {self._requests_bytes} bytes; with"
                f" one of {size} bytes they would pass transfer_bytes_max of"
                f" {self.bounds.transfer_bytes_max}; the call had no effect",
                "transfer_bytes_max",
                self.bounds.transfer_bytes_max,
                self._requests_bytes,
            )
        self.requests[receive] = size
        self._requests_bytes += more

    def let_go(self, receive: Receive) -> None:
        """Stop counting a request, if it was counted."""
        self._requests_bytes -= self.requests.pop(receive, 0)

    def note_heavy(self, connection: Hashable) -> None:
        """Remember for a minute or more that a connection has sent a large request."""
        self.heavy[connection] = asyncio.get_running_loop().time()

    def overdue(self) -> list[Send]:
        """Return what answers the calls whose requests are overdue.

        Call it twice in the time that a request may take. It also forgets connections that have
        sent nothing large for long.
        """
        since = asyncio.get_running_loop().time() - _HEAVY_S
        for connection in [each for each, last in self.heavy.items() if last < since]:
            del self.heavy[connection]
        found = list(self._older.values())
        self._older.clear()
        self._older, self.half_open = self.half_open, self._older
        return found

    def timeout(self) -> RequestTimeout:
        """Return the error of a call whose request did not arrive in time."""
        seconds = self.bounds.transfer_timeout_s
        return RequestTimeout(
            f"the request did not come in whole within {seconds:g} seconds, as transfer_timeout"
            " demands; the call had no effect",
            limit="transfer_timeout",
            value=f"{seconds:g}",
        )

    def is_behind(self, connection: Hashable) -> bool:
        """Tell whether a connection has to read something before it is given more."""
        unread = self.unread.get(connection, 0)
        return unread > self.bounds.unread_bytes_max or (
            unread > 0 and self._unread_bytes > self.bounds.transfer_bytes_max
        )

    def check_reply(self, connection: Hashable, size: int) -> None:
        """Refuse a reply that changed nothing, rather than keep it, if it cannot go out soon.

        Raises:
            Overloaded: too much waits to be read already.
        """
        if size <= COUNTED_BYTES_MIN:
            return
        if self.is_behind(connection):
            raise self._unread_error(connection)
        if self._unread_bytes > self.bounds.transfer_bytes_max:
            raise Overloaded(
                f"replies that were not read take {self._unread_bytes} bytes, more than"
                f" transfer_bytes_max of {self.bounds.transfer_bytes_max}; the call had no effect",
                "transfer_bytes_max",
                self.bounds.transfer_bytes_max,
                self._unread_bytes,
            )

    async def turn_of(self, connection: Hashable) -> None:
        """Wait until a connection has read enough of its replies to be given another.

        Raises:
            Overloaded: it has not for as long as that may take.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self.bounds.transfer_timeout_s):
                while self.is_behind(connection):
                    self._has_read.clear()
                    await self._has_read.wait()
                return
        raise self._unread_error(connection)

    def _unread_error(self, connection: Hashable) -> Overloaded:
        current = self.unread.get(connection, 0)
        return Overloaded(
            f"{current} bytes of replies were not read on this connection; it is given more than"
            f" one when they are fewer than unread_bytes_max of {self.bounds.unread_bytes_max}, or"
            " than what there is for all; the call had no effect",
            "unread_bytes_max",
            self.bounds.unread_bytes_max,
            current,
        )

    @asynccontextmanager
    async def unread_by(self, connection: Hashable, size: int) -> AsyncIterator[None]:
        """Count a reply of so many bytes for as long as it is not read."""
        self.unread[connection] = self.unread.get(connection, 0) + size
        self._unread_bytes += size
        try:
            yield
        finally:
            self._unread_bytes -= size
            left = self.unread[connection] - size
            if left:
                self.unread[connection] = left
            else:
                del self.unread[connection]
            self._has_read.set()
