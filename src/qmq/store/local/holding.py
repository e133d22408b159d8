"""Keeping the database's file as it is for somebody who copies it, while commits go on."""

import asyncio
from collections import deque
from collections.abc import Callable

from qmq.store.local.checkpoints import Checkpointer


class FileHold:
    """The hold that one at a time may have on the database's file. Of the event loop's thread."""

    def __init__(self, checkpointer: Checkpointer, wake_writer: Callable[[], None]) -> None:
        """Begin with nobody who holds it.

        Args:
            checkpointer: of the database; it writes nothing back while the file is held.
            wake_writer: has the writer thread call `do_orders` soon.
        """
        self._checkpointer = checkpointer
        self._wake_writer = wake_writer
        self._loop = asyncio.get_running_loop()
        #: What the writer is to do about the file before anything else.
        self._orders: deque[Callable[[], None]] = deque()
        #: Done when the file is held.
        self._held: asyncio.Future[None] | None = None

    async def begin(self) -> None:
        """Wait until the file holds all that is committed, and keep it so.

        Commits that come later stay in the log, which grows until `end`.

        Raises:
            StoreFailed: a commit has failed.
            DiskFull: likewise, for want of room.
        """
        assert self._held is None
        held = self._held = self._loop.create_future()

        def tell() -> None:
            if not held.done():
                held.set_result(None)

        def tell_loop() -> None:
            self._loop.call_soon_threadsafe(tell)

        self._order(lambda: self._checkpointer.hold(tell_loop))
        try:
            await held
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Have the log written back into the file as ever."""
        self._held = None
        self._order(self._checkpointer.let_go)

    def fail(self, error: Exception) -> None:
        """Tell one who waits for it that it will not come."""
        if self._held and not self._held.done():
            self._held.set_exception(error)

    def do_orders(self) -> None:
        """Do what was asked for: in the writer thread, between commits."""
        while self._orders:
            self._orders.popleft()()

    def _order(self, order: Callable[[], None]) -> None:
        self._orders.append(order)
        self._wake_writer()
