"""Who does what would hold up the event loop: threads, unless somebody else is handed in.

A simulation has to decide itself when a commit happens beside the event loop, and how long it
takes: so what is to be done is a turn, and when turns are taken is the worker's business.
"""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, Protocol

#: What a thread is called for.
_TURN: Final = True
_END: Final = False


class Worker(Protocol):
    """Takes a turn after each call, one after the other, beside the event loop."""

    def call(self) -> None:
        """Have it take a turn; from any thread, and at any time."""
        ...

    def end(self) -> None:
        """Have it end when it has taken the turns that it was called for."""
        ...

    def join(self) -> None:
        """Wait until it has ended, by `end` or by itself."""
        ...


class Hire(Protocol):
    """Makes a worker, which begins at once."""

    def __call__(
        self, name: str, turn: Callable[[], bool], wait_s: Callable[[], float | None]
    ) -> Worker:
        """Return a new worker.

        Args:
            name: what it is called.
            turn: does what there is to do, and returns whether there may be another turn.
            wait_s: after how many seconds without a call it takes one all the same; None is never.
        """
        ...


class WorkerThread:
    """A worker that is a thread; the class is a `Hire`."""

    def __init__(
        self, name: str, turn: Callable[[], bool], wait_s: Callable[[], float | None]
    ) -> None:
        """Start the thread; the arguments are those of `Hire`."""
        self._turn = turn
        self._wait_s = wait_s
        self._calls: SimpleQueue[bool] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name)
        self._thread.start()

    def call(self) -> None:
        """Take a turn."""
        self._calls.put(_TURN)

    def end(self) -> None:
        """End when the turns that were called for are taken."""
        self._calls.put(_END)

    def join(self) -> None:
        """Wait for the thread's end."""
        self._thread.join()

    def _work(self) -> None:
        while self._await_call() and self._turn():
            pass

    def _await_call(self) -> bool:
        """Wait until there is something to do; return whether to go on."""
        try:
            return self._calls.get(timeout=self._wait_s())
        except Empty:
            return _TURN


def for_ever() -> None:
    """Wait for a call, however long that takes."""
