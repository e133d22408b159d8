# Generated from _async by scripts/unasync.py; change it there.
"""Messages that wait for being sent, and those whose senders wait for room."""

import time
from collections import deque
from threading import Lock
from typing import Final

from qmq.client._sync.batch import Batch, PendingAdd
from qmq.client.errors import ClientUnusable
from qmq.client.on_threads.concurrency import Signal
from qmq.limits import BATCH_MESSAGES_MAX

#: Batches that wait beside the one that gathers messages and the one on its way.
BACKLOG_BATCHES_MAX: Final = 4

#: How many messages a batch has when its taker should look at it: it has begun, or is full.
_WORTH_A_LOOK: Final = frozenset({1, BATCH_MESSAGES_MAX})


class Backlog:
    """Gathers messages into batches, in order. Many put messages in, one takes batches out."""

    def __init__(self, linger_s: float) -> None:
        """Make a backlog, which is closed.

        Args:
            linger_s: how many seconds a message waits for others at most.
        """
        self._linger_s = linger_s
        # Everything below is changed with this held, and nobody waits while holding it.
        # With asyncio there is nobody to share with, and it costs next to nothing.
        self._lock = Lock()
        #: What gathers messages now.
        self._open = Batch()
        #: What waits for being taken, in order.
        self._sealed: deque[Batch] = deque()
        #: What was taken last.
        self.taken: Batch | None = None
        #: Those who wait for room, first come, first served.
        self._line: deque[_Turn] = deque()
        #: Set when there is something for the taker to look at.
        self._work = Signal()
        self._takes_messages = False

    @property
    def count(self) -> int:
        """How many messages are here, or were taken and are not settled."""
        batches = [*self._sealed, self._open]
        if self.taken and not self.taken.is_settled.is_set():
            batches.append(self.taken)
        return sum(len(batch.records) for batch in batches)

    @property
    def is_open(self) -> bool:
        """Whether it takes messages."""
        return self._takes_messages

    def open(self) -> None:
        """Take messages from now on."""
        self._takes_messages = True

    def close(self) -> None:
        """Take no more messages; who waits for room gets ClientUnusable."""
        with self._lock:
            self._takes_messages = False
            self._work.set()
            while self._line:
                self._line.popleft().is_over.set()

    def put(self, record: bytes) -> PendingAdd | None:
        """Put a message at the end, if there is room for it now and nobody waits for some.

        Raises:
            ClientUnusable: the backlog is closed.
        """
        with self._lock:
            if not self._takes_messages:
                raise _closed()
            return None if self._line else self._gather(record)

    def put_in_turn(self, record: bytes) -> PendingAdd:
        """Put a message at the end, as soon as there is room for it.

        Raises:
            ClientUnusable: the backlog is closed.
        """
        turn = _Turn(record)
        with self._lock:
            if not self._takes_messages:
                raise _closed()
            self._line.append(turn)
            self._admit()
        try:
            turn.is_over.wait()
        except BaseException:
            with self._lock:
                if turn in self._line:
                    self._line.remove(turn)
            raise
        if turn.pending is None:
            raise _closed()
        return turn.pending

    def take(self) -> Batch | None:
        """Take the next batch, as soon as there is one; None when there will be none."""
        while True:
            with self._lock:
                self._work.clear()
                pause_s = self._pause_s()
                if pause_s == 0:
                    return self._next()
                if not self._takes_messages:
                    return None
            self._work.wait(pause_s)

    def seal(self) -> Batch | None:
        """Let what was put wait no longer for more; return the batch that is settled last."""
        with self._lock:
            if self._open.records:
                self._seal()
            return self._sealed[-1] if self._sealed else self.taken

    def drop(self) -> list[Batch]:
        """Close the backlog, and return what nobody will take, in order."""
        self.close()
        with self._lock:
            batches = [batch for batch in (*self._sealed, self._open) if batch.records]
            self._sealed.clear()
            self._open = Batch()
        return batches

    # The lock is held by who calls what follows.

    def _gather(self, record: bytes) -> PendingAdd | None:
        """Take in a message, if there is room for it."""
        pending = self._open.append(record)
        if pending is None:
            if len(self._sealed) >= BACKLOG_BATCHES_MAX:
                return None
            self._seal()
            pending = self._open.append(record)
        if len(self._open.records) in _WORTH_A_LOOK:
            self._work.set()
        return pending

    def _seal(self) -> None:
        """Let the messages gathered so far wait for being taken, and gather others."""
        self._sealed.append(self._open)
        self._open = Batch()
        self._work.set()

    def _pause_s(self) -> float | None:
        """Tell how long to wait for the next batch: 0 if it is there, None if nothing is."""
        if self._sealed:
            return 0.0
        count = len(self._open.records)
        if not count:
            return None
        if count >= BATCH_MESSAGES_MAX or not self._takes_messages:
            return 0.0
        return max(self._open.opened_at + self._linger_s - time.monotonic(), 0.0)

    def _next(self) -> Batch:
        """Hand out the next batch, and take in those who wait for room."""
        if not self._sealed:
            self._seal()
        self.taken = self._sealed.popleft()
        self._admit()
        return self.taken

    def _admit(self) -> None:
        """Take in the messages of those who wait in line, as far as there is room."""
        while self._line and (pending := self._gather(self._line[0].record)):
            turn = self._line.popleft()
            turn.pending = pending
            turn.is_over.set()


class _Turn:
    """A message whose sender waits for room, in line."""

    __slots__ = ("is_over", "pending", "record")

    def __init__(self, record: bytes) -> None:
        self.record = record
        #: Set when it was taken in, or will not be.
        self.is_over = Signal()
        #: What the sender gets, once it was taken in.
        self.pending: PendingAdd | None = None


def _closed() -> ClientUnusable:
    return ClientUnusable("a producer takes messages in `with` only")
