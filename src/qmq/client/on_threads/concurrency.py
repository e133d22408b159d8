"""Waiting for each other, for threads."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

sleep = time.sleep


class Signal:
    """Somebody waits until somebody else sets it."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = Event()

    def is_set(self) -> bool:
        """Tell whether it is set."""
        return self._event.is_set()

    def set(self) -> None:
        """Let everybody go who waits."""
        self._event.set()

    def clear(self) -> None:
        """Let those who come wait again."""
        self._event.clear()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it is set, or the time is over; return whether it is set."""
        return self._event.wait(timeout_s)


class Worker:
    """Works beside its owner until it is done."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._work = work
        self._error: BaseException | None = None
        # A daemon, so that a program can end whose main thread was interrupted while it
        # waited for this.
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until it is done, and raise what it raised."""
        self._thread.join()
        if self._error:
            raise self._error

    def abandon(self) -> None:
        """Nothing can stop a thread; it ends by itself after the call that it makes."""

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - `join` raises it.
            self._error = error


class Ahead(Generic[T]):
    """At most one call under way that was begun before its result was needed."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="qmq-ahead")
        self._call: Future[T] | None = None

    @property
    def is_under_way(self) -> bool:
        """Tell whether there is a call whose result nobody has taken."""
        return self._call is not None

    def begin(self, call: Callable[[], T]) -> None:
        """Begin a call. There must be none."""
        assert self._call is None
        self._call = self._thread.submit(call)

    def result(self) -> T:
        """Wait for the call under way."""
        assert self._call is not None
        result = self._call.result()
        self._call = None
        return result

    def run(self, call: Callable[[], T]) -> T:
        """Make a call. It is made in this thread, so that Ctrl-C ends it."""
        return call()

    def give_up(self) -> T | None:
        """Wait for the call under way, which nothing can end."""
        return self.result()

    def close(self) -> None:
        """Begin no more calls."""
        self._thread.shutdown(wait=False)
