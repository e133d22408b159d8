# Generated from _async by scripts/unasync.py; change it there.
"""Leasing one message after the other: at least once."""

import logging
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from qmq.client import forks
from qmq.client._sync.extender import Extender
from qmq.client._sync.held import Held, Want
from qmq.client._sync.lease import Lease, LeasedMessage, lease_of, received
from qmq.client._sync.leasing import Leasing
from qmq.client._sync.patience import outlast
from qmq.client._sync.settler import Settler
from qmq.client.codecs import Codec
from qmq.client.decode import queue_info
from qmq.client.endings import ACK, RELEASE, Ending, ending_of
from qmq.client.errors import ClientUnusable, DeadlineExceeded, Overloaded, QmqError, Unavailable
from qmq.client.on_threads.concurrency import Background, EndableCall, Watch
from qmq.client.options import must_be
from qmq.limits import BATCH_MESSAGES_MAX
from qmq.wire import q_pb2 as pb

T = TypeVar("T")

#: Seconds that leases last on messages of many queues, unless told otherwise.
SELECTION_LEASE_S: Final = 30.0

_log = logging.getLogger("qmq.client")


class Consumer(Generic[T]):
    """Leases messages one by one, and acks each when the next one is asked for.

    Made by `Queue.consume` and `Selection.consume`, to be used in `with`:

    - A message is acked when the task or thread that got it asks for the next one or leaves
      the block, unless the program has acked it or given it back.
    - An exception that leaves the block fails the message that its task or thread got, with
      the exception's text. What only ends the program, such as Ctrl-C, releases it.
    - Leases go on for as long as their messages are worked on.
    - What was leased and not asked for is released at the end of the block.

    Several tasks or threads may go through the same consumer side by side. A task that ends
    with an exception fails its message. Of a thread nobody can tell how it ended, so its
    message is failed too. If the block ends while others work on messages, those stay on
    lease as long as it lasts, and are acked when their workers ask for the next one.
    """

    def __init__(  # noqa: PLR0913 - What it is made of, each by name.
        self,
        leasing: Leasing,
        codec: Codec[T],
        *,
        concurrency: int,
        prefetch: int,
        duration_s: float | None,
        name: str | None,
    ) -> None:
        if name is not None:
            must_be(str, consumer=name)
        _check_range("concurrency", concurrency, 1)
        _check_range("prefetch", prefetch, 0)
        self._leasing = leasing
        self._codec = codec
        self._duration_s = duration_s
        self._name = f"{socket.gethostname()}:{os.getpid()}" if name is None else name
        self._generation = forks.generation
        self._held: Held[T] = Held(concurrency=concurrency, prefetch=prefetch)
        self._settler = Settler(leasing, self._held.let_go)
        self._extender = Extender(self._leases)
        self._watch = Watch(self._after)
        #: What waits for messages.
        self._wait = EndableCall()
        self._fetching: Background | None = None
        self._settling: Background | None = None
        self._extending: Background | None = None
        self._handed_out_total = 0

    def __repr__(self) -> str:
        under_way, ready = self._held.counts
        return (
            f"<Consumer of {self._leasing.source!r}: {self._handed_out_total} messages"
            f" handed out, {under_way} under way, {ready} leased ahead>"
        )

    def __enter__(self) -> Self:
        if self._fetching:
            raise ClientUnusable("a consumer is of use once: make another by `consume`")
        about = f"consumer of {self._leasing.source}"
        self._settler.open()
        self._settling = Background(self._settler.run, f"qmq settler, {about}")
        self._extending = Background(self._extender.run, f"qmq extender, {about}")
        self._fetching = Background(self._fetch_all, f"qmq {about}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._generation != forks.generation:
            # The leases are the parent's to end.
            return
        assert self._fetching
        assert self._settling
        assert self._extending
        self.stop()
        try:
            self._fetching.join()
            self._end_own(ending_of(error))
            self._settler.close()
            self._settling.join()
        except BaseException:
            self._settler.close()
            self._fetching.abandon()
            self._settling.abandon()
            raise
        finally:
            self._extender.close()
            self._extending.join()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> LeasedMessage[T]:
        if self._fetching is None:
            raise ClientUnusable("a consumer hands out messages in `with` only")
        if self._generation != forks.generation:
            raise ClientUnusable("a consumer is of no use to a forked process: make one there")
        self._fetching.check_caller()
        worker = self._watch.current()
        before = self._held.finish(worker)
        if before:
            self._settler.end_soon(lease_of(before), ACK)
        self._check_progress()
        message = self._held.ask(worker)
        if message is None:
            raise StopIteration
        self._handed_out_total += 1
        return message

    def stop(self) -> None:
        """Hand out no more messages: who asks for one is told that there is none.

        What was leased ahead is released.
        """
        self._held.close()
        self._wait.end()
        for message in self._held.take_ready():
            self._settler.put(lease_of(message), RELEASE)

    def end_under_way(self, error: BaseException | None) -> None:
        """End the message that the current task or thread works on, as if an error left the block.

        Args:
            error: the error; None acks the message.
        """
        message = self._held.finish(self._watch.current())
        if message:
            self._settler.put(lease_of(message), ending_of(error))

    def release_under_way(self) -> None:
        """Release all messages, also those that are worked on."""
        for message in self._held.take_under_way():
            self._settler.put(lease_of(message), RELEASE)

    def _end_own(self, ending: Ending) -> None:
        """End the messages of who leaves the block, and of who has ended before."""
        own = self._held.finish(self._watch.current())
        self._watch.look()
        messages = [own] if own else []
        for message in [*messages, *self._held.take_under_way(self._watch.has_ended)]:
            self._settler.put(lease_of(message), ending)

    def _after(self, worker: object) -> None:
        """End the message of somebody who has ended, if that tells anything about it."""
        # A task that ended well may have handed its message to another, as asyncio.wait_for
        # has it done before Python 3.12.
        if not self._held.is_busy(worker) or (error := self._watch.error_of(worker)) is None:
            return
        message = self._held.finish(worker)
        if message:
            ending = ending_of(error)
            _log.log(
                logging.INFO if ending == RELEASE else logging.WARNING,
                "who worked on message %s of queue %s has ended, so that it is %s",
                message.id,
                message.queue_id,
                ending,
                exc_info=error if isinstance(error, Exception) else None,
            )
            self._settler.put(lease_of(message), ending)

    def _leases(self) -> list[Lease]:
        """List the leases that are to go on."""
        self._watch.look()
        return self._held.leases()

    def _check_progress(self) -> None:
        """Refuse to wait for what will never happen."""
        if not self._held.is_stuck(self._watch.has_ended):
            return
        self._watch.look()
        if self._held.is_stuck(self._watch.has_ended):
            raise ClientUnusable(
                "every message that may be worked on at a time was handed to a task that has"
                " ended: ask for messages in the task that works on them, or ack them (before"
                " Python 3.12, asyncio.wait_for has a task of its own: use asyncio.timeout)"
            )

    def _fetch_all(self) -> None:
        """Lease messages for as long as they are wanted."""
        error: QmqError | None = None
        try:
            if self._duration_s is None:
                self._wait.make(self._learn_duration)
            while want := self._held.wanted():
                leased = self._fetch(want)
                messages = [
                    received(wire, self._codec, self._settler, self._duration_s) for wire in leased
                ]
                for message in self._held.take_in(messages):
                    self._settler.put(lease_of(message), RELEASE)
                self._extender.look()
        except QmqError as failure:
            error = failure
        finally:
            self._held.close(error)

    def _learn_duration(self) -> None:
        """Ask how long leases last."""
        leasing = self._leasing
        if leasing.selector:
            # Each of the queues may say something else.
            self._duration_s = SELECTION_LEASE_S
            return
        request = pb.GetQueueRequest(queue_id=leasing.queue_id)
        ask = partial(
            leasing.connection.ask, "GetQueue", request, pb.GetQueueResponse, repeatable=True
        )
        reply = outlast(leasing.connection, leasing.source, ask)
        lasts = queue_info(reply.queue).settings.lease_duration
        assert lasts is not None
        self._duration_s = lasts.total_seconds()

    def _fetch(self, want: Want) -> Iterable[pb.LeasedMessage]:
        """Lease messages, and wait for some if somebody waits for them."""
        leasing = self._leasing
        reply: pb.LeaseResponse | None = None
        # Cheaper than a call that can be ended, if there is a message. What stands in its way
        # is told by the next one.
        with suppress(Unavailable, Overloaded, DeadlineExceeded):
            reply = leasing.lease(want.messages_max, 0.0, self._duration_s, self._name)
        if want.is_urgent and not (reply and reply.messages):
            lease = partial(leasing.lease, want.messages_max, None, self._duration_s, self._name)
            wait = partial(outlast, leasing.connection, leasing.source, lease)
            reply = self._wait.make(wait)
        return reply.messages if reply else ()


def _check_range(name: str, value: int, least: int) -> None:
    if not least <= value <= BATCH_MESSAGES_MAX:
        message = f"{name} must be {least} to {BATCH_MESSAGES_MAX} messages; got {value}"
        raise ValueError(message)
