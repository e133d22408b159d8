# Generated from _async by scripts/unasync.py; change it there.
"""A function that works on the messages of a queue."""

import functools
import logging
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Final, Generic, TypeVar

from qmq.client._sync.consumer import Consumer
from qmq.client._sync.lease import LeasedMessage
from qmq.client.endings import Reject, Release
from qmq.client.handlers import name_of
from qmq.client.on_threads.concurrency import Crew, Signal, failure_of, in_turn
from qmq.client.on_threads.handlers import called, check_handler
from qmq.client.options import Duration, seconds
from qmq.client.signals import caught
from qmq.client.tracing import working

T = TypeVar("T")
R = TypeVar("R")

#: Seconds that messages under way have to be finished when a worker stops.
GRACE_S: Final = 30.0

_log = logging.getLogger("qmq.client")


class Worker(Generic[T, R]):
    """Calls a function with each message of a queue, several at a time: at least once.

    Made by `Queue.worker` and `Selection.worker`. A message is acked when the function
    returns, and failed with the text of the exception if it raises one; Reject and Release say
    otherwise. The function may also ack the message itself, or give it back. To call the worker
    calls the function.
    """

    def __init__(
        self,
        handler: Callable[[LeasedMessage[T]], R],
        consume: Callable[[], Consumer[T]],
        *,
        source: str,
        concurrency: int,
    ) -> None:
        check_handler(handler)
        functools.update_wrapper(self, handler)
        self._handler = handler
        self._consume = consume
        self._source = source
        self._concurrency = concurrency
        #: Set when `run` is to end.
        self._stopping = Signal()

    def __repr__(self) -> str:
        return f"<Worker {self._name} of {self._source!r}>"

    def __call__(self, message: LeasedMessage[T]) -> R:
        """Call the function, and nothing else: for its tests."""
        return self._handler(message)

    def run(self, *, grace: Duration = GRACE_S, handle_signals: bool = True) -> None:
        """Work until `stop` is called, or the program is told to end.

        No further messages are begun then. Those under way are finished, and those that are
        not within `grace` are released. It outlives the server: while that is unavailable, it
        goes on trying, and logs that.

        Args:
            grace: in seconds.
            handle_signals: whether SIGINT and SIGTERM stop it, when it runs in the main
                thread; a second one ends the program.

        Raises:
            QmqError: messages cannot be leased any more: QueueNotFound, for example.
            TypeError: the function is for the other kind of client. Its message is released.
        """
        grace_s = seconds(grace, "grace")
        with caught(in_turn(self._stop_by_signal)) if handle_signals else nullcontext():
            self._run(grace_s)

    def stop(self) -> None:
        """Let `run` end: the one under way, or the next one if there is none."""
        self._stopping.set()

    def _stop_by_signal(self) -> None:
        _log.info("worker %s of queue %s is told to end", self._name, self._source)
        self.stop()

    @property
    def _name(self) -> str:
        return name_of(self._handler)

    def _run(self, grace_s: float) -> None:
        with self._consume() as messages:
            self._work(messages, grace_s)

    def _work(self, messages: Consumer[T], grace_s: float) -> None:
        """Have messages worked on until that is to end."""
        crew = Crew(
            partial(self._handle_all, messages),
            self._concurrency,
            f"qmq worker {self._name}",
            self._stopping.set,
        )
        try:
            self._stopping.wait()
            messages.stop()
            if not crew.wait(grace_s):
                _log.warning(
                    "worker %s of queue %s releases messages that were not finished within %g s",
                    self._name,
                    self._source,
                    grace_s,
                )
        finally:
            messages.stop()
            crew.dismiss()
            messages.release_under_way()
            self._stopping = Signal()
        if error := crew.error():
            raise error

    def _handle_all(self, messages: Consumer[T]) -> None:
        """Work on messages, one after the other: what each of the crew does."""
        for message in messages:
            try:
                with working(message.queue_id, message.id, message.tags):
                    called(self._handler, message)
            except (Reject, Release) as verdict:
                messages.end_under_way(verdict)
            except BaseException as error:
                failure = failure_of(error)
                messages.end_under_way(failure or error)
                if failure is None:
                    raise
                _log.error(
                    "worker %s failed on message %s of queue %s",
                    self._name,
                    message.id,
                    self._source,
                    exc_info=error,
                )
