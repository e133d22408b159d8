"""Taking messages out of a queue and printing them. Whoever imports this loads gRPC."""

import time
from collections.abc import Iterator
from typing import Final

import click

from qmq.cli.actions import Take
from qmq.cli.check_there import check_there
from qmq.cli.connect import connected
from qmq.cli.failures import EMPTY, Failure, failure_of
from qmq.cli.message_output import Unprinted, is_read, message_texts, print_messages
from qmq.cli.settings import Settings
from qmq.cli.stop import Stop
from qmq.client._sync.connection import Connection
from qmq.client._sync.take import Taker
from qmq.client.codecs import AS_IS
from qmq.client.errors import DeadlineExceeded, QmqError, QueueEmpty, Unavailable
from qmq.client.options import Retry
from qmq.limits import BATCH_MESSAGES_MAX
from qmq.wire import q_pb2 as pb

_POP: Final = "cannot pop message from queue"
_PEEK: Final = "cannot peek at message in queue"


def take(action: Take, settings: Settings) -> None:
    """Print messages from the head of a queue, and take them out unless it is a peek.

    Raises Failure, which says so if popped messages could not be printed; click's Exit if
    it was interrupted and nothing is lost.
    """
    what = _PEEK if action.is_peek else _POP
    with connected(settings, what) as connection, Stop() as stop:
        check_there(connection.channel, action.queue_id, action.selector)
        if not action.is_peek:
            taker = Taker(
                connection, action.queue_id, AS_IS, action.durability, selector=action.selector
            )
            _Taking(action, taker, stop).run()
            return
        try:
            print_messages(message_texts(action, _peek(connection, action.queue_id)), stop)
        except Unprinted as error:
            raise Failure(f"cannot print the message: {error}") from error


def _peek(connection: Connection, queue_id: str) -> pb.PopBatchResponse:
    """Return the message at the head as if it was popped. Raises QmqError."""
    request = pb.PeekRequest(queue_id=queue_id)
    reply = connection.ask("Peek", request, pb.PeekResponse, repeatable=True)
    return pb.PopBatchResponse(messages=[reply.message])


class _Taking:
    """Messages on their way from a queue to standard output.

    They are out of the queue when they come, so each batch is printed before the next
    one is asked for, and is at most twice as large as the one before: when it turns out
    that nobody reads, about as many are lost at most as were read.
    """

    def __init__(self, action: Take, taker: Taker[bytes | str], stop: Stop) -> None:
        self._action = action
        self._taker = taker
        self._stop = stop
        self._printed = 0
        #: How many to ask for next.
        self._batch_max = 1
        #: How long to wait for the server, while it is away.
        self._pauses_s: Iterator[float] | None = None

    def run(self) -> None:
        """Print messages until there are enough, or no more. Raises Failure, Interrupted."""
        count = self._action.count
        try:
            while count is None or self._printed < count:
                if not is_read():
                    raise Failure(f"{_POP}: nobody reads standard output; {self._state()}")
                if self._take_some():
                    continue
                if self._printed:
                    break
                if selector := self._action.selector:
                    what = f"no queue that {selector} matches has one to hand out now"
                    raise Failure(f"{_POP}: {what}", EMPTY)
                self._take_one()
        except QueueEmpty as error:
            raise failure_of(_POP, error) from error
        except QmqError as error:
            raise failure_of(_POP, error, self._state(error)) from error

    def _take_some(self) -> bool:
        """Print a batch; return whether there may be more.

        Who waits for ever outlives the server.
        """
        wait_s = self._action.wait_s
        try:
            with self._stop.deferred():
                if self._print(self._taker.take(self._next_max(), 0.0)):
                    return True
            if wait_s == 0:
                return False
            # A signal ends the waiting at once.
            reply = self._taker.take(self._next_max(), wait_s)
            with self._stop.deferred():
                return self._print(reply)
        except (Unavailable, DeadlineExceeded) as error:
            if wait_s is not None:
                raise
            self._wait_for_server(error)
            return True

    def _take_one(self) -> None:
        """Print a message, or have the server say why there is none.

        A batch without messages does not tell. Raises QueueEmpty and other QmqErrors.
        """
        with self._stop.deferred():
            reply = self._taker.take_one(0.0)
            self._print(pb.PopBatchResponse(messages=[reply.message], durability=reply.durability))

    def _next_max(self) -> int:
        """How many messages to ask for."""
        count = self._action.count
        left = BATCH_MESSAGES_MAX if count is None else count - self._printed
        return min(self._batch_max, left)

    def _print(self, reply: pb.PopBatchResponse) -> bool:
        """Print messages; return whether there were any. Raises Failure."""
        self._pauses_s = None
        messages = reply.messages
        try:
            print_messages(message_texts(self._action, reply), self._stop)
        except Unprinted as error:
            self._printed += len(messages) - error.count
            message = f"cannot print messages: {error}; {self._state()}, {error.count} lost"
            raise Failure(message, error.exit_code) from error
        self._printed += len(messages)
        self._batch_max = min(max(2 * len(messages), 1), BATCH_MESSAGES_MAX)
        return bool(messages)

    def _state(self, error: QmqError | None = None) -> str:
        """Say how many messages were printed, and how many may be lost."""
        state = f"{self._printed} messages printed"
        if isinstance(error, DeadlineExceeded) or (
            isinstance(error, Unavailable) and error.may_have_happened
        ):
            state += f", up to {self._next_max()} lost on their way"
        return state

    def _wait_for_server(self, error: QmqError) -> None:
        """Tell a person that the server is away, once, and wait a little."""
        if self._pauses_s is None:
            self._pauses_s = Retry().pauses_s()
            note = f"qcli: {error.code}: {error.message}; {self._state(error)}; trying again"
            click.echo(note, err=True)
        time.sleep(next(self._pauses_s))
