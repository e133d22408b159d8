# Generated from _async by scripts/unasync.py; change it there.
"""The messages that a consumer has on lease, and those who ask for them."""

import copy
from collections import deque
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from qmq.client._sync.lease import Lease, LeasedMessage, lease_of
from qmq.client.errors import QmqError
from qmq.client.on_threads.concurrency import Signal
from qmq.limits import BATCH_MESSAGES_MAX

T = TypeVar("T")


class Want(NamedTuple):
    """What is to be leased next."""

    #: How many messages at most.
    messages_max: int
    #: Whether somebody waits for them.
    is_urgent: bool


class Held(Generic[T]):
    """Holds messages until they are asked for, and knows who works on which.

    Many ask for messages, first come, first served; one leases them.
    """

    def __init__(self, *, concurrency: int, prefetch: int) -> None:
        """Hold nothing.

        Args:
            concurrency: how many messages may be worked on at a time.
            prefetch: how many more to hold.
        """
        self._concurrency = concurrency
        self._prefetch = prefetch
        # Everything below is changed with this held, and nobody waits while holding it.
        self._lock = Lock()
        self._ready: deque[LeasedMessage[T]] = deque()
        #: The messages that are worked on, by who does.
        self._under_way: dict[object, LeasedMessage[T]] = {}
        #: Those who ask for a message.
        self._line: deque[_Ask[T]] = deque()
        #: Set when there may be something to lease.
        self._work = Signal()
        #: Whether the queue is likely to hold more than was leased.
        self._may_be_more = False
        self._is_open = True
        #: Why nothing can be leased any more.
        self._error: QmqError | None = None

    @property
    def counts(self) -> tuple[int, int]:
        """How many messages are worked on, and how many are not."""
        return len(self._under_way), len(self._ready)

    def ask(self, worker: object) -> LeasedMessage[T] | None:
        """Wait for a message to work on; None when there will be none.

        Raises QmqError.
        """
        with self._lock:
            self._check()
            if not self._is_open:
                return None
            message = None if self._line else self._hand_out(worker)
            if message:
                return message
            ask: _Ask[T] = _Ask(worker)
            self._line.append(ask)
            self._work.set()
        try:
            ask.is_over.wait()
        except BaseException:
            self._take_back(ask)
            raise
        if ask.message is None:
            self._check()
        return ask.message

    def is_busy(self, worker: object) -> bool:
        """Tell whether somebody works on a message."""
        return worker in self._under_way

    def finish(self, worker: object) -> LeasedMessage[T] | None:
        """Take the message from somebody who worked on it, if there is one."""
        with self._lock:
            message = self._under_way.pop(worker, None)
            if message and self._line:
                self._serve()
        return message

    def let_go(self, lease: Lease) -> None:
        """Hold a message no longer, since its lease was ended."""
        with self._lock:
            worker = lease.worker
            message = self._under_way.get(worker)
            if message and lease_of(message) is lease:
                del self._under_way[worker]
                self._serve()

    def is_stuck(self, has_ended: Callable[[object], bool]) -> bool:
        """Tell whether all messages are worked on by those who have ended."""
        with self._lock:
            workers = list(self._under_way)
        return len(workers) >= self._concurrency and all(map(has_ended, workers))

    def wanted(self) -> Want | None:
        """Wait until more is to be leased; None when nothing is any more."""
        while True:
            with self._lock:
                self._work.clear()
                if not self._is_open:
                    return None
                if want := self._want():
                    return want
            self._work.wait()

    def take_in(self, messages: Iterable[LeasedMessage[T]]) -> Iterable[LeasedMessage[T]]:
        """Hold messages that were leased; return those for which it is too late."""
        with self._lock:
            if not self._is_open:
                return messages
            count = len(self._ready)
            self._ready.extend(messages)
            self._may_be_more = self._prefetch > 0 and len(self._ready) > count
            self._serve()
        return ()

    def leases(self) -> list[Lease]:
        """List the leases that are to go on."""
        with self._lock:
            messages = [*self._under_way.values(), *self._ready]
        leases = map(lease_of, messages)
        return [lease for lease in leases if not (lease.is_lost or lease.is_ending)]

    def close(self, error: QmqError | None = None) -> None:
        """Hand out no more messages; who asks gets none, or the error."""
        with self._lock:
            self._is_open = False
            self._error = self._error or error
            while self._line:
                self._line.popleft().is_over.set()
            self._work.set()

    def take_ready(self) -> list[LeasedMessage[T]]:
        """Take the messages that nobody has asked for."""
        with self._lock:
            messages = list(self._ready)
            self._ready.clear()
        return messages

    def take_under_way(
        self, has_ended: Callable[[object], bool] | None = None
    ) -> list[LeasedMessage[T]]:
        """Take the messages that are worked on: all, or those of who has ended."""
        with self._lock:
            workers = [each for each in self._under_way if has_ended is None or has_ended(each)]
            return [self._under_way.pop(worker) for worker in workers]

    # The lock is held by who calls what follows, apart from `_take_back` and `_check`.

    def _want(self) -> Want | None:
        busy, ready = len(self._under_way), len(self._ready)
        room = min(self._concurrency + self._prefetch - busy - ready, BATCH_MESSAGES_MAX)
        if self._line and busy < self._concurrency:
            return Want(room, is_urgent=True)
        if self._may_be_more and ready <= self._prefetch // 2 and room > 0:
            # Once: what comes tells whether there is more.
            self._may_be_more = False
            return Want(room, is_urgent=False)
        return None

    def _serve(self) -> None:
        """Hand out to those who ask what can be handed out."""
        while self._line:
            ask = self._line[0]
            ask.message = self._hand_out(ask.worker)
            if ask.message is None:
                break
            self._line.popleft()
            ask.is_over.set()
        self._work.set()

    def _hand_out(self, worker: object) -> LeasedMessage[T] | None:
        """Return the next message, if there is one and somebody may work on it."""
        if len(self._under_way) >= self._concurrency:
            return None
        while self._ready:
            message = self._ready.popleft()
            if self._may_be_more and len(self._ready) <= self._prefetch // 2:
                self._work.set()
            lease = lease_of(message)
            if not lease.is_lost:
                lease.worker = worker
                self._under_way[worker] = message
                return message
        return None

    def _take_back(self, ask: "_Ask[T]") -> None:
        """Forget somebody who does not wait any more."""
        with self._lock:
            if ask in self._line:
                self._line.remove(ask)
            elif ask.message and self._under_way.get(ask.worker) is ask.message:
                del self._under_way[ask.worker]
                self._ready.appendleft(ask.message)
                self._serve()

    def _check(self) -> None:
        if self._error:
            # A copy, since several may raise it and each has its own traceback.
            raise copy.copy(self._error)


class _Ask(Generic[T]):
    """Somebody who asks for a message."""

    __slots__ = ("is_over", "message", "worker")

    def __init__(self, worker: object) -> None:
        self.worker = worker
        self.message: LeasedMessage[T] | None = None
        #: Set when the message is there, or there will be none.
        self.is_over = Signal()
