"""Waiting for each other, for asyncio."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from qmq.client.endings import WrongHandler
from qmq.client.errors import ClientUnusable

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


def in_turn(call: Callable[[], None]) -> Callable[[], None]:
    """Return what a signal handler may call instead of `call`."""
    loop = asyncio.get_running_loop()

    def call_soon() -> None:
        loop.call_soon_threadsafe(call)

    return call_soon


def failure_of(error: BaseException) -> Exception | None:
    """Return why a piece of work failed; None if whoever does it is to end."""
    if isinstance(error, WrongHandler):
        return None
    if isinstance(error, Exception):
        return error
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task and not task.cancelling():
        return RuntimeError("something that it waited for was cancelled")
    return None


class AsyncBackground:
    """Works beside its owner until it is done."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._task = asyncio.create_task(work(), name=name)

    def check_caller(self) -> None:
        """Refuse who runs in another event loop: nobody would wake it up.

        Raises:
            ClientUnusable: it does.
        """
        if asyncio.get_running_loop() is not self._task.get_loop():
            raise ClientUnusable(
                "producers and consumers belong to the event loop that entered them by"
                " `async with`: make one in each"
            )

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


class AsyncEndableCall:
    """Calls, one at a time, that somebody else may end while they wait."""

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._is_ended = False

    async def make(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        """Make a call; return None if it was ended before it was done."""
        if self._is_ended:
            return None
        task: asyncio.Task[T] = asyncio.create_task(call())
        self._task = task
        try:
            await asyncio.wait((task,))
        finally:
            task.cancel()
        return None if task.cancelled() else task.result()

    def end(self) -> None:
        """End the call under way, and those to come."""
        self._is_ended = True
        if self._task:
            self._task.cancel()


class AsyncWatch:
    """Knows who works on something, each a task, and is told how those end."""

    def __init__(self, on_end: Callable[[object], None]) -> None:
        """Make a watch.

        Args:
            on_end: called with each that has ended.
        """
        self._on_end = on_end
        self._known: set[asyncio.Task[Any]] = set()

    def current(self) -> object:
        """Return who runs now."""
        task = asyncio.current_task()
        assert task is not None
        if task not in self._known:
            self._known.add(task)
            task.add_done_callback(self._ended)
        return task

    def look(self) -> None:
        """Nothing: each task tells by itself."""

    def has_ended(self, worker: object) -> bool:
        """Tell whether somebody has ended."""
        assert isinstance(worker, asyncio.Task)
        return worker.done()

    def error_of(self, worker: object) -> BaseException | None:
        """Return the error that has ended somebody, if one did."""
        assert isinstance(worker, asyncio.Task)
        return asyncio.CancelledError() if worker.cancelled() else worker.exception()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._known.discard(task)
        self._on_end(task)


class AsyncCrew:
    """Does the same work several times side by side."""

    def __init__(
        self,
        work: Callable[[], Coroutine[Any, Any, None]],
        count: int,
        name: str,
        on_end: Callable[[], None],
    ) -> None:
        """Begin.

        Args:
            work: what each does.
            count: how many.
            name: of the work, for people.
            on_end: called when one of them ends.
        """
        self._tasks = [
            asyncio.create_task(work(), name=f"{name} {number}") for number in range(count)
        ]
        for task in self._tasks:
            task.add_done_callback(lambda _: on_end())

    async def wait(self, timeout_s: float) -> bool:
        """Wait until all have ended, or the time is over; return whether they have."""
        _, pending = await asyncio.wait(self._tasks, timeout=timeout_s)
        return not pending

    async def dismiss(self) -> None:
        """Stop those that have not ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    def error(self) -> BaseException | None:
        """Return the error of the first that ended with one."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                return error
        return None
