"""A function that works on the messages of a queue."""

import functools
import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from typing import Final, Generic, TypeVar

from qmq.client._async.consumer import AsyncConsumer
from qmq.client._async.lease import AsyncLeasedMessage
from qmq.client.endings import Reject, Release
from qmq.client.handlers import name_of
from qmq.client.on_asyncio.concurrency import AsyncCrew, AsyncSignal, failure_of, in_turn
from qmq.client.on_asyncio.handlers import called, check_handler
from qmq.client.options import Duration, seconds
from qmq.client.signals import caught
from qmq.client.tracing import working

T = TypeVar("T")
R = TypeVar("R")

#: Seconds that messages under way have to be finished when a worker stops.
GRACE_S: Final = 30.0

_log = logging.getLogger("qmq.client")


class AsyncWorker(Generic[T, R]):
    """Calls a function with each message of a queue, several at a time: at least once.

    Made by `AsyncQueue.worker` and `AsyncSelection.worker`. A message is acked when the function
    returns, and failed with the text of the exception if it raises one; Reject and Release say
    otherwise. The function may also ack the message itself, or give it back. To call the worker
    calls the function.
    """

    def __init__(
        self,
        handler: Callable[[AsyncLeasedMessage[T]], Awaitable[R]],
        consume: Callable[[], AsyncConsumer[T]],
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
        self._stopping = AsyncSignal()

    def __repr__(self) -> str:
        return f"<AsyncWorker {self._name} of {self._source!r}>"

    def __call__(self, message: AsyncLeasedMessage[T]) -> Awaitable[R]:
        """Call the function, and nothing else: for its tests."""
        return self._handler(message)

    async def run(self, *, grace: Duration = GRACE_S, handle_signals: bool = True) -> None:
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
            await self._run(grace_s)

    def stop(self) -> None:
        """Let `run` end: the one under way, or the next one if there is none."""
        self._stopping.set()

    def _stop_by_signal(self) -> None:
        _log.info("worker %s of queue %s is told to end", self._name, self._source)
        self.stop()

    @property
    def _name(self) -> str:
        return name_of(self._handler)

    async def _run(self, grace_s: float) -> None:
        async with self._consume() as messages:
            await self._work(messages, grace_s)

    async def _work(self, messages: AsyncConsumer[T], grace_s: float) -> None:
        """Have messages worked on until that is to end."""
        crew = AsyncCrew(
            partial(self._handle_all, messages),
            self._concurrency,
            f"qmq worker {self._name}",
            self._stopping.set,
        )
        try:
            await self._stopping.wait()
            messages.stop()
            if not await crew.wait(grace_s):
                _log.warning(
                    "worker %s of queue %s releases messages that were not finished within %g s",
                    self._name,
                    self._source,
                    grace_s,
                )
        finally:
            messages.stop()
            await crew.dismiss()
            messages.release_under_way()
            self._stopping = AsyncSignal()
        if error := crew.error():
            raise error

    async def _handle_all(self, messages: AsyncConsumer[T]) -> None:
        """Work on messages, one after the other: what each of the crew does."""
        async for message in messages:
            try:
                with working(message.queue_id, message.id, message.tags):
                    await called(self._handler, message)
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
