"""A store whose disk was full goes on by itself when there is room again.

1. What was decided since the last commit is refused, and so memory is ahead of the disk. The
   store is read from disk anew, as by a start, and serves what needs no change from then on.
   Where the system gives no files or memory for that now, it is tried again.
2. Now and then it is tried whether the disk takes some megabytes; if so, all is taken again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

#: Seconds from one look at the disk to the next: at first, and at most.
_LOOK_S: Final = 1.0
_LOOK_S_MAX: Final = 10.0

#: Seconds after which a store that was full is taken for well: until then, it waits no shorter
#: than the last time.
_WELL_S: Final = 60.0

#: Waits until a future is done, or so many seconds have passed.
Wait = Callable[[asyncio.Future[None], float], Awaitable[None]]


async def wait_for(future: asyncio.Future[None], timeout_s: float) -> None:
    """Wait by the clock of the event loop."""
    await asyncio.wait((future,), timeout=timeout_s)


class Recoverable(Protocol):
    """What a recovery does to a store, in the event loop."""

    @property
    def is_to_be_reloaded(self) -> bool:
        """Whether memory is ahead of the disk, and that is well but for its want of room."""
        ...

    @property
    def takes_only_reads(self) -> bool:
        """Whether that was mended, and changes are refused all the same."""
        ...

    async def reload(self) -> None:
        """Forget what is not on disk, and take only reads; or fail for good, or be called again."""
        ...

    async def has_room(self) -> bool:
        """Whether the disk has room."""
        ...

    def take_changes(self) -> None:
        """Take all from now on."""
        ...


class Recovery:
    """Sees to a store after each failure, and ends when it takes changes or has failed for good."""

    def __init__(self, store: Recoverable, *, wait: Wait = wait_for) -> None:
        """Make one that has nothing to see to yet.

        Args:
            store: what it sees to.
            wait: measures the time between two looks at the disk.
        """
        self._store = store
        self._wait = wait
        self._now_s = asyncio.get_running_loop().time
        self._look_s = _LOOK_S
        #: When the store went on last.
        self._went_on_s: float | None = None
        self._task: asyncio.Task[None] | None = None
        #: Done when the store is to be closed.
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def see_to(self) -> None:
        """Begin, unless that is so: the store has failed."""
        if self._task is None and not self._end.done():
            if self._went_on_s is None or self._now_s() - self._went_on_s >= _WELL_S:
                self._look_s = _LOOK_S
            self._task = asyncio.get_running_loop().create_task(self._recover())

    async def close(self) -> None:
        """End, when what is under way is done."""
        if not self._end.done():
            self._end.set_result(None)
        if self._task:
            await self._task

    async def _recover(self) -> None:
        store = self._store
        while not self._end.done():
            if store.is_to_be_reloaded:
                await store.reload()
            if not (store.takes_only_reads or store.is_to_be_reloaded):
                break
            await self._wait(self._end, self._look_s)
            self._look_s = min(2 * self._look_s, _LOOK_S_MAX)
            if self._end.done() or store.is_to_be_reloaded or not await store.has_room():
                continue
            # It may have failed again meanwhile: to read it may need room as well.
            if store.takes_only_reads:
                self._went_on_s = self._now_s()
                store.take_changes()
        self._task = None
