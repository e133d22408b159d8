"""Turns for large messages, so that they hold up small ones for one message at a time.

To copy a message of 4 MB takes the event loop, and Envoy's thread as well, half a millisecond, and
up to five where the memory for it is new.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

#: Seconds after which the next one has its turn though the one before goes on: that may wait for a
#: client that is slow.
TURN_S_MAX: Final = 0.005


class Turns:
    """A line of calls that are about to move something large. To be used in one event loop."""

    def __init__(self) -> None:
        self._line: deque[asyncio.Future[None]] = deque()
        #: Whose turn it is; None if nobody has had one in this turn of the event loop.
        self._current: asyncio.Future[None] | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, first come, first served, and have it for 5 ms at most.

        A turn that lasts longer is not stopped, but the next one begins. No two turns begin in one
        turn of the event loop, so that all other calls have theirs in between.
        """
        loop = asyncio.get_running_loop()
        mine = loop.create_future()
        if self._current is None:
            self._current = mine
        else:
            self._line.append(mine)
            try:
                await mine
            except asyncio.CancelledError:
                self._end(mine)
                raise
        limit = loop.call_later(TURN_S_MAX, self._end, mine)
        try:
            yield
        finally:
            limit.cancel()
            self._end(mine)

    def _end(self, turn: asyncio.Future[None]) -> None:
        asyncio.get_running_loop().call_soon(self._begin_next, turn)

    def _begin_next(self, ended: asyncio.Future[None]) -> None:
        """Let the next one begin that has not given up, unless that was done before."""
        if self._current is not ended:
            return
        self._current = None
        while self._line and self._current is None:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)
                self._current = turn
