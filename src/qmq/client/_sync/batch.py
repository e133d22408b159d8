# Generated from _async by scripts/unasync.py; change it there.
"""Messages that a producer sends together, and what became of each."""

import copy
import time
from collections.abc import Iterator, Sequence
from typing import Final

from qmq.client.decode import durability_of, metadata
from qmq.client.encode import read_new_message
from qmq.client.errors import QmqError
from qmq.client.failed_adds import FailedAdd
from qmq.client.made_ids import is_made
from qmq.client.on_threads.concurrency import Signal
from qmq.client.options import Duration, seconds
from qmq.client.values import Metadata
from qmq.limits import BATCH_MESSAGES_MAX, MESSAGE_BYTES_MAX
from qmq.wire import q_pb2 as pb

#: Bytes of messages in one batch. A server's largest request is somewhat larger than its
#: largest message, and leaves room for the queue's id.
BATCH_BYTES_MAX: Final = MESSAGE_BYTES_MAX


class Batch:
    """Messages that a producer sends together.

    What became of them is looked at for those only that somebody asks about.
    """

    __slots__ = ("_bytes", "_claimed", "_errors", "_replies", "is_settled", "opened_at", "records")

    def __init__(self) -> None:
        #: The messages, encoded, in order.
        self.records: list[bytes] = []
        #: What they take.
        self._bytes = 0
        #: When the first one came, by `time.monotonic`.
        self.opened_at = 0.0
        #: Set when it is known what became of all of them.
        self.is_settled = Signal()
        #: Replies of the server, which messages each is about, and at which places of the reply
        #: are those that it says were there already.
        self._replies: list[tuple[Sequence[int], pb.AddBatchResponse, frozenset[int]]] = []
        self._errors: dict[int, QmqError] = {}
        #: Those about which somebody has asked.
        self._claimed: set[int] = set()

    def append(self, record: bytes) -> "PendingAdd | None":
        """Put a message at the end, if there is room for it; an empty batch takes any."""
        count = len(self.records)
        if not count:
            self.opened_at = time.monotonic()
        elif count >= BATCH_MESSAGES_MAX or self._bytes + len(record) > BATCH_BYTES_MAX:
            return None
        self.records.append(record)
        self._bytes += len(record)
        return PendingAdd(self, count)

    def store(self, indexes: Sequence[int], reply: pb.AddBatchResponse) -> None:
        """Note that the server has stored messages, and what it said of them."""
        self._replies.append((indexes, reply, frozenset(reply.deduplicated)))

    def fail(self, indexes: Sequence[int], error: QmqError) -> None:
        """Note that messages were not acknowledged."""
        for index in indexes:
            self._errors[index] = error

    def fail_unanswered(self, error: QmqError) -> None:
        """Note that all messages failed of which it is not known what became of them."""
        known = sum(len(indexes) for indexes, *_ in self._replies) + len(self._errors)
        if known == len(self.records):
            return
        answered = {index for indexes, *_ in self._replies for index in indexes}
        for index in range(len(self.records)):
            if index not in answered:
                self._errors.setdefault(index, error)

    @property
    def failed_count(self) -> int:
        """How many messages failed about which nobody has asked."""
        return len(self._errors.keys() - self._claimed)

    def failures(self) -> Iterator[FailedAdd]:
        """Go through the messages that failed and about which nobody has asked."""
        for index, error in sorted(self._errors.items()):
            if index not in self._claimed:
                yield FailedAdd(read_new_message(self.records[index]), error)

    def outcome(self, index: int, timeout_s: float | None) -> Metadata:
        """Wait until it is known what became of a message; raise its error if it failed."""
        self._claimed.add(index)
        is_known = False
        try:
            is_known = self.is_settled.wait(timeout_s)
        finally:
            if not is_known:
                self._claimed.discard(index)
        if not is_known:
            message = f"the server has not answered within {timeout_s:g} s"
            raise TimeoutError(message)
        if index in self._errors:
            # A copy, since those of a batch share one error and each has its own traceback.
            raise copy.copy(self._errors[index])
        for indexes, reply, known in self._replies:
            if index in indexes:
                place = indexes.index(index)
                return metadata(
                    reply.messages[place],
                    durability_of(reply.durability),
                    deduplicated=place in known and not self._has_made_id(index),
                )
        raise AssertionError("a message of a settled batch was stored or has failed")

    def _has_made_id(self, index: int) -> bool:
        """Tell whether a message has a dedup_id that its sender knows nothing of."""
        return is_made(read_new_message(self.records[index]).dedup_id)


class PendingAdd:
    """A message that a producer was given, and that may be on its way still.

    Nobody has to ask for its `result`.
    """

    __slots__ = ("_batch", "_index")

    def __init__(self, batch: Batch, index: int) -> None:
        self._batch = batch
        self._index = index

    def __repr__(self) -> str:
        return f"<PendingAdd {'done' if self.is_done() else 'pending'}>"

    def is_done(self) -> bool:
        """Tell whether `result` returns, or raises, at once."""
        return self._batch.is_settled.is_set()

    def result(
        self,
        timeout: Duration | None = None,
    ) -> Metadata:
        """Wait until the message is stored, and return what the server says of it.

        Args:
            timeout: how many seconds to wait at most; None waits until it is known.

        Raises:
            QmqError: the message was not acknowledged; see `Producer.add`.
            TimeoutError: the time is over. The message is still on its way.
        """
        timeout_s = None if timeout is None else seconds(timeout, "timeout")
        return self._batch.outcome(self._index, timeout_s)
