"""Waiting for each other, for asyncio."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")

sleep = asyncio.sleep


class AsyncSignal:
    """Somebody waits until somebody else sets it."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def is_set(self) -> bool:
        """Tell whether it is set."""
        return self._event.is_set()

    def set(self) -> None:
        """Let everybody go who waits."""
        self._event.set()

    def clear(self) -> None:
        """Let those who come wait again."""
        self._event.clear()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it is set, or the time is over; return whether it is set."""
        if timeout_s is None or self._event.is_set():
            return await self._event.wait()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._event.wait()
        except TimeoutError:
            return False


class AsyncWorker:
    """Works beside its owner until it is done."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._task = asyncio.create_task(work(), name=name)

    async def join(self) -> None:
        """Wait until it is done, and raise what it raised. It goes on if the wait is cancelled."""
        await asyncio.wait((self._task,))
        self._task.result()

    async def abandon(self) -> None:
        """Stop it."""
        self._task.cancel()
        await asyncio.wait((self._task,))


class AsyncAhead(Generic[T]):
    """At most one call under way that was begun before its result was needed."""

    def __init__(self) -> None:
        self._task: asyncio.Task[T] | None = None

    @property
    def is_under_way(self) -> bool:
        """Tell whether there is a call whose result nobody has taken."""
        return self._task is not None

    def begin(self, call: Callable[[], Coroutine[Any, Any, T]]) -> None:
        """Begin a call. There must be none."""
        assert self._task is None
        self._task = asyncio.create_task(call())

    async def result(self) -> T:
        """Wait for the call under way. It goes on if the wait is cancelled."""
        assert self._task is not None
        await asyncio.wait((self._task,))
        task, self._task = self._task, None
        return task.result()

    async def run(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Make a call. If the wait is cancelled it goes on, and is the one under way."""
        self.begin(call)
        return await self.result()

    async def give_up(self) -> T | None:
        """End the call under way; return its result if it had one by then."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait((self._task,))
        task, self._task = self._task, None
        return None if task.cancelled() else task.result()

    def close(self) -> None:
        """Begin no more calls."""
