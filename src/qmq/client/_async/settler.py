"""Ending leases in batches, as they come."""

import copy
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Lock

from qmq.client import forks
from qmq.client._async.lease import AsyncLease
from qmq.client._async.leasing import AsyncLeasing
from qmq.client.endings import Ending
from qmq.client.errors import (
    DeadlineExceeded,
    LeaseLost,
    NoDeadLetterQueue,
    Overloaded,
    QmqError,
    Unavailable,
)
from qmq.client.on_asyncio.concurrency import AsyncSignal, sleep
from qmq.limits import BATCH_MESSAGES_MAX
from qmq.values import NackKind

_log = logging.getLogger("qmq.client")


class AsyncSettler:
    """Ends the leases of one consumer: what comes while a call is under way goes with the next.

    It is a keeper of leases. What nobody waits for is tried again while the server is
    unavailable.
    """

    def __init__(self, leasing: AsyncLeasing, on_over: Callable[[AsyncLease], None]) -> None:
        """Take nothing yet.

        Args:
            leasing: makes the calls.
            on_over: told of each lease that has ended.
        """
        self.leasing = leasing
        self.let_go = on_over
        self._generation = forks.generation
        # Everything below is changed with this held, and nobody waits while holding it.
        self._lock = Lock()
        self._pending: list[_Pending] = []
        self._work = AsyncSignal()
        self._is_open = False
        #: Until when to try again, by `time.monotonic`, once it is closed.
        self._gives_up_at = 0.0
        #: The pauses between attempts, while the server is unavailable.
        self._pauses_s: Iterator[float] | None = None

    def open(self) -> None:
        """Take endings from now on."""
        self._is_open = True

    def close(self) -> None:
        """Let `run` end when all is settled, or cannot be within the client's timeout."""
        with self._lock:
            self._is_open = False
            self._gives_up_at = time.monotonic() + self.leasing.connection.timeout_s
            self._work.set()

    async def end(self, lease: AsyncLease, ending: Ending) -> QmqError | None:
        """End a lease; return why it is refused. Raises QmqError."""
        pending = _Pending(lease, ending, AsyncSignal())
        if not self._put(pending):
            return await lease.leasing.end_one(lease.id, ending)
        assert pending.is_over
        await pending.is_over.wait()
        return pending.error

    async def end_soon(self, lease: AsyncLease, ending: Ending) -> None:
        """End a lease, and wait for that only if there is nobody to do it later.

        Whether it succeeds is told to the log alone.
        """
        if not self.put(lease, ending):
            pending = _Pending(lease, ending, None)
            for left in await self._settle([pending]):
                self._over(left, left.error)

    def put(self, lease: AsyncLease, ending: Ending) -> bool:
        """End a lease later; return whether somebody will do so.

        Whether it succeeds is told to the log alone.
        """
        lease.is_ending = True
        return self._put(_Pending(lease, ending, None))

    async def run(self) -> None:
        """End leases until this is closed and nothing is left."""
        while batch := await self._take():
            groups: dict[tuple[str, Ending], list[_Pending]] = {}
            for pending in batch:
                key = pending.lease.queue_id, pending.ending
                groups.setdefault(key, []).append(pending)
            left: list[_Pending] = []
            for group in groups.values():
                for start in range(0, len(group), BATCH_MESSAGES_MAX):
                    left += await self._settle(group[start : start + BATCH_MESSAGES_MAX])
            if left:
                await self._pause(left)
            elif self._pauses_s:
                _log.info("ending leases of queue %s: the server is back", self._source)
                self._pauses_s = None

    @property
    def _source(self) -> str:
        return self.leasing.source

    def _put(self, pending: "_Pending") -> bool:
        if self._generation != forks.generation:
            # Nobody is here to do it.
            return False
        with self._lock:
            if self._is_open:
                self._pending.append(pending)
                self._work.set()
            return self._is_open

    async def _take(self) -> "list[_Pending]":
        """Take what is pending, as soon as something is; nothing when nothing will be."""
        while True:
            with self._lock:
                self._work.clear()
                if self._pending or not self._is_open:
                    batch, self._pending = self._pending, []
                    return batch
            await self._work.wait()

    async def _settle(self, group: "Sequence[_Pending]") -> "list[_Pending]":
        """End leases of one queue, all in the same way; return those to try again later."""
        lease_ids = [pending.lease.id for pending in group]
        is_nobodys = all(pending.is_over is None for pending in group)
        errors: Iterable[QmqError | None]
        try:
            leasing = group[0].lease.leasing
            errors = await leasing.end(lease_ids, group[0].ending, repeatable=is_nobodys)
        except (Unavailable, Overloaded, DeadlineExceeded) as error:
            for pending in group:
                pending.error = copy.copy(error)
            later = [pending for pending in group if self._can_wait(pending)]
            for pending in group:
                if pending not in later:
                    self._over(pending, pending.error)
            return later
        except Exception as error:  # noqa: BLE001 - Who waits would wait for ever.
            known = error if isinstance(error, QmqError) else _fault(error)
            # Copies, since each has its own traceback.
            errors = [copy.copy(known) for _ in group]
        for pending, refusal in zip(group, errors, strict=True):
            self._over(pending, refusal)
        return []

    def _can_wait(self, pending: "_Pending") -> bool:
        """Tell whether to try again what has failed since the server is unavailable."""
        return pending.is_over is None and (self._is_open or time.monotonic() < self._gives_up_at)

    async def _pause(self, left: "list[_Pending]") -> None:
        """Wait before the next attempt."""
        if self._pauses_s is None:
            _log.warning("ending leases of queue %s: %s; trying again", self._source, left[0].error)
            self._pauses_s = self.leasing.connection.retry.pauses_s()
        with self._lock:
            self._pending[:0] = left
        await sleep(next(self._pauses_s))

    def _over(self, pending: "_Pending", error: QmqError | None) -> None:
        """Let it be known how it ended."""
        if pending.is_over:
            pending.error = error
            pending.is_over.set()
            return
        lease, ending = pending.lease, pending.ending
        lease.note_end(error)
        if error is None:
            return
        # Who gives a message back does not mind that somebody else has it already.
        is_harmless = ending.kind is not None and isinstance(error, LeaseLost)
        _log.log(
            logging.INFO if is_harmless else logging.WARNING,
            "message %s of queue %s was not %s: %s",
            lease.message_id,
            lease.queue_id,
            ending,
            error,
        )
        if isinstance(error, NoDeadLetterQueue):
            # Without this the message would come back at the end of its lease, not sooner.
            self.put(lease, Ending(NackKind.FAIL, reason=ending.reason))


def _fault(error: Exception) -> QmqError:
    """Return what is told of an error that no call should end with."""
    return QmqError(f"{type(error).__name__}: {error}")


class _Pending:
    """A lease that is to end."""

    __slots__ = ("ending", "error", "is_over", "lease")

    def __init__(self, lease: AsyncLease, ending: Ending, is_over: AsyncSignal | None) -> None:
        self.lease = lease
        self.ending = ending
        #: Set when it is settled; None if nobody waits for that.
        self.is_over = is_over
        #: Why it was refused, or could not be done.
        self.error: QmqError | None = None
