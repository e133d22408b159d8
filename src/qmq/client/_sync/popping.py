# Generated from _async by scripts/unasync.py; change it there.
"""Popping one message after the other, with some fetched ahead."""

import logging
from collections import deque
from functools import partial
from types import TracebackType
from typing import Generic, Self, TypeVar

from qmq.client._sync.take import Taker
from qmq.client.errors import ClientUnusable, DeadlineExceeded, Overloaded, QmqError, Unavailable
from qmq.client.on_threads.concurrency import Ahead
from qmq.client.values import Message
from qmq.limits import BATCH_MESSAGES_MAX

T = TypeVar("T")

_log = logging.getLogger("qmq.client")


class Popping(Generic[T]):
    """Takes the messages of a queue at most once, some before they are asked for.

    Made by `Queue.popping`, to be used in `with`. While the program works on a
    message, the next ones are fetched. All of them are out of the queue already: they are
    lost if the process dies. A step that is cancelled loses nothing: the next one goes on
    where it was.

    One task or thread at a time may use it.
    """

    def __init__(self, taker: Taker[T], *, prefetch: int, wait_s: float | None) -> None:
        if not 1 <= prefetch <= BATCH_MESSAGES_MAX:
            message = f"prefetch must be 1 to {BATCH_MESSAGES_MAX} messages; got {prefetch}"
            raise ValueError(message)
        self._taker = taker
        self._prefetch = prefetch
        self._wait_s = wait_s
        self._buffer: deque[Message[T]] = deque()
        self._ahead: Ahead[list[Message[T]]] | None = None
        #: Whether the call under way waits for a message rather than takes what is there.
        self._is_waiting = False
        #: How many messages are left in the buffer when more are fetched.
        self._low = prefetch // 2
        #: Whether the queue is likely to hold more than was fetched.
        self._may_be_more = False
        self._taken_total = 0

    def __repr__(self) -> str:
        return (
            f"<Popping of {self._taker.queue_id!r}: {self._taken_total} messages handed out,"
            f" {len(self._buffer)} fetched ahead>"
        )

    @property
    def leftover(self) -> tuple[Message[T], ...]:
        """The messages that were fetched and not handed out, oldest first.

        After `with` nobody else has them: add them again, or let them go.
        """
        return tuple(self._buffer)

    def __enter__(self) -> Self:
        self._ahead = Ahead()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        ahead, self._ahead = self._ahead, None
        assert ahead is not None
        try:
            if ahead.is_under_way:
                end = ahead.give_up if self._is_waiting else ahead.result
                self._buffer += end() or ()
        except QmqError as failure:
            _log.warning("the last fetch from queue %s failed: %s", self._taker.queue_id, failure)
        finally:
            ahead.close()
            if self._buffer:
                _log.warning(
                    "%d messages of queue %s were fetched ahead and not handed out",
                    len(self._buffer),
                    self._taker.queue_id,
                )

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message[T]:
        ahead = self._ahead
        if ahead is None:
            raise ClientUnusable("popping hands out messages in `with` only")
        buffer = self._buffer
        while not buffer:
            is_last = self._refill(ahead)
            if is_last and not buffer:
                raise StopIteration
        message = buffer.popleft()
        self._taken_total += 1
        if self._may_be_more and len(buffer) <= self._low:
            self._may_be_more = self._is_waiting = False
            ahead.begin(partial(self._taker.next_batch, self._prefetch - len(buffer), 0.0))
        return message

    def _refill(self, ahead: Ahead[list[Message[T]]]) -> bool:
        """Put more into the buffer; return whether it waited for as long as it should."""
        if ahead.is_under_way:
            messages = self._fetched(ahead)
        else:
            self._is_waiting = True
            messages = ahead.run(partial(self._taker.next_batch, self._prefetch, self._wait_s))
        self._may_be_more = bool(messages) and self._prefetch > 1
        self._buffer += messages
        return self._is_waiting

    def _fetched(self, ahead: Ahead[list[Message[T]]]) -> list[Message[T]]:
        """Return what the call under way brings."""
        try:
            return ahead.result()
        except (Unavailable, Overloaded, DeadlineExceeded) as error:
            if self._wait_s is not None:
                raise
            # Who waits for ever outlives the server: the next call waits until it is back.
            _log.warning("fetching ahead from queue %s: %s", self._taker.queue_id, error)
            return []
