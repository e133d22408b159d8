"""Waiting for each other, for threads."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Lock, Thread, current_thread, main_thread
from typing import Final, Generic, TypeVar

from qmq.client.endings import WrongHandler

T = TypeVar("T")

#: Seconds after which the main thread sees a signal, at the latest, while it waits.
_LOOK_FOR_SIGNALS_S: Final = 0.5

#: `endable`: the EndableCall that this thread makes a call with.
_local = threading.local()


def sleep(seconds: float) -> None:
    """Pause. In a call that somebody may end, raises Ended when it is."""
    endable = endable_call()
    if endable:
        endable.sleep(seconds)
    else:
        time.sleep(seconds)


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
        if timeout_s is None and current_thread() is main_thread():
            # Python handles a signal in its main thread. If the system delivers it to another
            # one, as it may, the main thread has to wake by itself to see it.
            while not self._event.wait(_LOOK_FOR_SIGNALS_S):
                pass
            return True
        return self._event.wait(timeout_s)


def in_turn(call: Callable[[], None]) -> Callable[[], None]:
    """Return what a signal handler may call instead of `call`."""
    # The thread that handles signals may have been interrupted while it held a lock.
    return lambda: Thread(target=call, daemon=True).start()


def failure_of(error: BaseException) -> Exception | None:
    """Return why a piece of work failed; None if whoever does it is to end."""
    return error if isinstance(error, Exception) and not isinstance(error, WrongHandler) else None


class Background:
    """Works beside its owner until it is done."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._is_over = Signal()
        # A daemon, so that a program can end whose main thread was interrupted while it
        # waited for this.
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def check_caller(self) -> None:
        """Nothing: threads may share what works here."""

    def join(self) -> None:
        """Wait until it is done, and raise what it raised."""
        self._is_over.wait()
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
        finally:
            self._is_over.set()


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


class Ended(Exception):
    """The call was ended by somebody else while it waited."""


class EndableCall:
    """Calls, one at a time, that somebody else may end while they wait."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_ended = Event()
        self._cancel: Callable[[], object] | None = None

    def make(self, call: Callable[[], T]) -> T | None:
        """Make a call; return None if it was ended before it was done."""
        _local.endable = self
        try:
            return call()
        except Ended:
            return None
        finally:
            _local.endable = None

    def end(self) -> None:
        """End the call under way, and those to come."""
        with self._lock:
            self._is_ended.set()
            cancel = self._cancel
        if cancel:
            cancel()

    @contextmanager
    def cancelling(self, cancel: Callable[[], object]) -> Iterator[None]:
        """Call `cancel` if the call is to end while what is within waits.

        Raises:
            Ended: it is to end already.
        """
        with self._lock:
            if self._is_ended.is_set():
                cancel()
                raise Ended
            self._cancel = cancel
        try:
            yield
        finally:
            with self._lock:
                self._cancel = None

    def sleep(self, seconds: float) -> None:
        """Pause. Raises Ended."""
        if self._is_ended.wait(seconds):
            raise Ended


def endable_call() -> EndableCall | None:
    """Return what this thread makes a call with that somebody else may end, if it does."""
    return getattr(_local, "endable", None)


class ThreadEnded(Exception):
    """A thread has ended, and nothing tells how."""


class Watch:
    """Knows who works on something, each a thread, and looks whether those have ended."""

    def __init__(self, on_end: Callable[[object], None]) -> None:
        """Make a watch.

        Args:
            on_end: called with each that has ended.
        """
        self._on_end = on_end
        self._lock = Lock()
        self._known: set[Thread] = set()

    def current(self) -> object:
        """Return who runs now."""
        thread = threading.current_thread()
        if thread not in self._known:
            with self._lock:
                self._known.add(thread)
        return thread

    def look(self) -> None:
        """Find out who has ended since."""
        with self._lock:
            ended = {thread for thread in self._known if not thread.is_alive()}
            self._known -= ended
        for thread in ended:
            self._on_end(thread)

    def has_ended(self, worker: object) -> bool:
        """Tell whether somebody has ended."""
        assert isinstance(worker, Thread)
        return not worker.is_alive()

    def error_of(self, worker: object) -> BaseException | None:
        """Return the error that may have ended somebody, since that is not known."""
        assert isinstance(worker, Thread)
        return ThreadEnded(f"thread {worker.name} has ended, and did not ack its message")


class Crew:
    """Does the same work several times side by side."""

    def __init__(
        self, work: Callable[[], None], count: int, name: str, on_end: Callable[[], None]
    ) -> None:
        """Begin.

        Args:
            work: what each does.
            count: how many.
            name: of the work, for people.
            on_end: called when one of them ends.
        """
        self._work = work
        self._on_end = on_end
        self._error: BaseException | None = None
        # Daemons, so that a program can end that does not want to wait for them any more.
        self._threads = [
            Thread(target=self._run, name=f"{name} {number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def wait(self, timeout_s: float) -> bool:
        """Wait until all have ended, or the time is over; return whether they have."""
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def dismiss(self) -> None:
        """Nothing can stop a thread; each ends by itself after what it does."""

    def error(self) -> BaseException | None:
        """Return the error of the first that ended with one."""
        return self._error

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - Whoever asks for it raises it.
            self._error = self._error or error
        finally:
            self._on_end()
