"""Keeping leases from ending while somebody works on their messages."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from qmq.client._async.lease import AsyncLease
from qmq.client.errors import DeadlineExceeded, Overloaded, QmqError, Unavailable
from qmq.client.on_asyncio.concurrency import AsyncSignal
from qmq.limits import BATCH_MESSAGES_MAX

#: A lease is extended when so much of its duration is left, and those with it that have
#: not much more.
_LEFT_MIN: Final = 2 / 3
_LEFT_SOON: Final = 5 / 6

#: Seconds to the next attempt, at most, while the server is unavailable.
_PAUSE_S: Final = 1.0

_log = logging.getLogger("qmq.client")


class AsyncExtender:
    """Extends the leases of one consumer at about a third of their duration."""

    def __init__(self, leases: Callable[[], Sequence[AsyncLease]]) -> None:
        """Extend nothing yet.

        Args:
            leases: lists the leases that are to go on.
        """
        self._leases = leases
        #: Set when there are new leases, or there is nothing to do any more.
        self._work = AsyncSignal()
        self._is_open = True

    def look(self) -> None:
        """Look at the leases again, since there are new ones."""
        self._work.set()

    def close(self) -> None:
        """Let `run` end."""
        self._is_open = False
        self._work.set()

    async def run(self) -> None:
        """Extend leases until this is closed."""
        while self._is_open:
            self._work.clear()
            pause_s = await self._extend_due()
            if self._is_open:
                await self._work.wait(pause_s)

    async def _extend_due(self) -> float | None:
        """Extend leases that are due; return how many seconds that suffices, None for ever."""
        leases = self._leases()
        now = time.monotonic()
        dues = [(_left_s(lease, now) - _LEFT_MIN * _duration_s(lease)) for lease in leases]
        if not dues:
            return None
        if (soonest_s := min(dues)) > 0:
            return soonest_s
        due = [lease for lease in leases if _left_s(lease, now) <= _LEFT_SOON * _duration_s(lease)]
        # A call is about one queue. Those of others have theirs right after it.
        queue_id, duration_s = due[0].queue_id, _duration_s(due[0])
        due = [lease for lease in due if lease.queue_id == queue_id][:BATCH_MESSAGES_MAX]
        try:
            results = await due[0].leasing.extend([lease.id for lease in due], duration_s)
        except (Unavailable, Overloaded, DeadlineExceeded) as error:
            return self._after_failure(due, error)
        except QmqError as error:
            results = [error] * len(due)
        for lease, result in zip(due, results, strict=True):
            lease.note_extension(result, now, duration_s)
            if isinstance(result, QmqError):
                self._lost(lease, result)
        return 0.0

    def _after_failure(self, leases: Sequence[AsyncLease], error: QmqError) -> float:
        """Tell which leases have ended meanwhile; return when to try again."""
        now = time.monotonic()
        for lease in leases:
            if _left_s(lease, now) <= 0:
                self._lost(lease, error)
        return min(_PAUSE_S, min(map(_duration_s, leases)) / 10)

    def _lost(self, lease: AsyncLease, error: QmqError) -> None:
        lease.is_lost = True
        # Whoever has ended it meanwhile has lost nothing.
        if not (lease.is_ending or lease.is_over):
            _log.warning(
                "the lease on message %s of queue %s is lost: %s",
                lease.message_id,
                lease.queue_id,
                error,
            )


def _duration_s(lease: AsyncLease) -> float:
    assert lease.duration_s is not None
    return lease.duration_s


def _left_s(lease: AsyncLease, now: float) -> float:
    """Return how many seconds are left of a lease."""
    assert lease.ends_at is not None
    return lease.ends_at - now
