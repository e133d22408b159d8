"""Leasing messages and printing them. Whoever imports this loads gRPC."""

from collections.abc import Sequence
from typing import Final

from qmq.cli.actions import Lease
from qmq.cli.check_there import check_there
from qmq.cli.connect import connected
from qmq.cli.failures import EMPTY, Failure
from qmq.cli.message_output import Unprinted, is_read, leased_texts, print_messages
from qmq.cli.settings import Settings
from qmq.cli.stop import Stop
from qmq.client._sync.leasing import Leasing
from qmq.client.endings import RELEASE
from qmq.client.errors import QmqError
from qmq.limits import BATCH_MESSAGES_MAX
from qmq.wire import q_pb2 as pb

_FAILURE: Final = "cannot lease message from queue"


def lease(action: Lease, settings: Settings) -> None:
    """Lease messages from the head of a queue, and print them.

    Raises Failure, which says so if leased messages could not be printed; click's Exit if
    it was interrupted. Messages that could not be printed are given back.
    """
    with connected(settings, _FAILURE) as connection, Stop() as stop:
        check_there(connection.channel, action.queue_id, action.selector)
        leasing = Leasing(connection, action.queue_id, action.durability, selector=action.selector)
        _Printing(action, leasing, stop).run()


class _Printing:
    """Messages on their way from a queue to standard output."""

    def __init__(self, action: Lease, leasing: Leasing, stop: Stop) -> None:
        self._action = action
        self._leasing = leasing
        self._stop = stop
        self._printed = 0

    def run(self) -> None:
        """Print messages until there are enough, or no more.

        Raises Failure, Interrupted, QmqError.
        """
        wait_s = self._action.wait_s
        while self._printed < self._action.count:
            if not is_read():
                raise Failure(f"{_FAILURE}: nobody reads standard output")
            with self._stop.deferred():
                if self._print(self._lease(0.0)):
                    continue
            if self._printed or not wait_s:
                break
            # A signal ends the waiting at once. What came in that moment is handed out again.
            reply, wait_s = self._lease(wait_s), 0.0
            with self._stop.deferred():
                self._print(reply)
        if not self._printed:
            what = f"queue {self._action.queue_id} has none to hand out now"
            if self._action.selector:
                what = f"no queue that {self._action.selector} matches has one to hand out now"
            raise Failure(f"{_FAILURE}: {what}", EMPTY)

    def _lease(self, wait_s: float) -> pb.LeaseResponse:
        """Lease messages. Raises QmqError."""
        action = self._action
        count = min(action.count - self._printed, BATCH_MESSAGES_MAX)
        return self._leasing.lease(count, wait_s, action.lease_s, action.consumer)

    def _print(self, reply: pb.LeaseResponse) -> bool:
        """Print messages; return whether there were any. Raises Failure."""
        messages = reply.messages
        try:
            print_messages(leased_texts(self._action, reply), self._stop)
        except Unprinted as error:
            given_back = self._give_back(messages[len(messages) - error.count :])
            message = f"cannot print messages: {error}; {given_back}"
            raise Failure(message, error.exit_code) from error
        self._printed += len(messages)
        return bool(messages)

    def _give_back(self, messages: Sequence[pb.LeasedMessage]) -> str:
        """Release messages that nobody has read, and say so."""
        by_queue: dict[str, list[str]] = {}
        for message in messages:
            by_queue.setdefault(message.queue_id, []).append(message.lease_id)
        try:
            for queue_id, lease_ids in by_queue.items():
                self._leasing.of(queue_id).end(lease_ids, RELEASE)
        except QmqError as error:
            return f"{len(messages)} stay on lease: {error.code}: {error.message}"
        return f"{len(messages)} given back"
