"""What became of messages that were not stored, for as long as nobody has asked about them."""

from threading import Lock
from typing import Final

from qmq.client._async.batch import AsyncBatch
from qmq.client.failed_adds import AddsFailed, FailedAdd

#: Messages that may have failed unnoticed; beyond that it is time to tell.
FAILED_MAX: Final = 10_000


class AsyncFailures:
    """The messages of one producer that failed and about which nobody has asked."""

    def __init__(self, queue_id: str) -> None:
        self._queue_id = queue_id
        self._lock = Lock()
        self._batches: list[AsyncBatch] = []
        #: Whether there are so many that somebody has to be told.
        self.is_full = False

    def note(self, batch: AsyncBatch) -> None:
        """Keep what failed of a batch."""
        if not batch.failed_count:
            return
        with self._lock:
            if batch in self._batches:
                return
            self._batches = [each for each in (*self._batches, batch) if each.failed_count]
            self.is_full = sum(each.failed_count for each in self._batches) >= FAILED_MAX

    def listed(self) -> tuple[FailedAdd, ...]:
        """List what failed, in order."""
        return tuple(failed for batch in self._batches for failed in batch.failures())

    def error(self) -> AddsFailed | None:
        """Return the error that tells of it all, or None if there is nothing to tell."""
        failed = self.listed()
        if not failed:
            return None
        return AddsFailed(
            f"{len(failed)} messages were not added to queue {self._queue_id};"
            f" the first: {failed[0].error}",
            failed,
        )

    def tell(self) -> None:
        """Raise AddsFailed if there is something to tell, and forget it."""
        with self._lock:
            error = self.error()
            self._batches = []
            self.is_full = False
        if error:
            raise error
