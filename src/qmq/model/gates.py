"""The rules of what a queue hands out at most, whatever stands in its lines."""

from typing import Final

from qmq.descriptions import QueueInfo, Rate
from qmq.model.rate import Bucket
from qmq.values import NS_PER_S

#: More messages than any queue holds.
_ANY_NUMBER: Final = 1 << 62

#: Seconds after which to ask again for messages that are held back until somebody acts.
_ASK_AGAIN_S: Final = 1.0


class Gates:
    """A pause, a bound on leases, a rate; and that outdated messages are being removed."""

    __slots__ = ("_bucket", "_leased_max", "_level", "is_behind", "is_paused")

    def __init__(self) -> None:
        self.is_paused = False
        #: How many messages may be on lease at a time; 0 is any number.
        self._leased_max = 0
        #: How fast messages are handed out, and how many may be now; None if as fast as may be.
        self._bucket: Bucket | None = None
        self._level = 0
        #: Whether more has ended by now than one step could end: it must not be handed out.
        self.is_behind = False

    def set_info(self, info: QueueInfo) -> None:
        """Do as a queue says of itself."""
        self.is_paused = info.pause is not None
        self._leased_max = info.settings.leased_max
        self._set_rate(info.settings.rate)

    def _set_rate(self, rate: Rate) -> None:
        if not rate.messages_per_second:
            self._bucket = None
        elif self._bucket is None or self._bucket.rate != rate:
            self._bucket = Bucket(rate)
            self._level = rate.burst_max

    @property
    def are_there(self) -> bool:
        """Whether anything has to be looked at besides the lines."""
        return bool(self.is_paused or self._leased_max or self._bucket or self.is_behind)

    @property
    def has_rate(self) -> bool:
        """Whether it matters when a message is handed out."""
        return self._bucket is not None

    def most(self, leased: int) -> int:
        """Return how many messages may be handed out now, if so many are on lease."""
        if self.is_paused or self.is_behind:
            return 0
        count = _ANY_NUMBER
        if self._leased_max:
            count = max(0, self._leased_max - leased)
        return min(count, self._level) if self._bucket else count

    def count_out(self, count: int, now_ns: int) -> None:
        """Count messages that were handed out against the rate."""
        if self._bucket:
            self._bucket.take(count, now_ns)
            self._level = self._bucket.level(now_ns)

    def pass_time(self, now_ns: int) -> None:
        """Let the bucket fill up to a moment."""
        if self._bucket:
            self._level = self._bucket.level(now_ns)

    def next_moment_ns(self) -> int | None:
        """Return when the rate lets the next message out; None if it does now."""
        # Also while the queue is empty: nobody looks at the bucket when a message comes.
        return self._bucket.next_ns() if self._bucket and not self._level else None

    def obstacle(self, leased: int) -> str:
        """Say what lets nothing out but a pause, given how many are on lease; or nothing."""
        if 0 < self._leased_max <= leased:
            return (
                f"the queue has {leased} on lease, as many as its leased_max of"
                f" {self._leased_max} allows"
            )
        if self._bucket and not self._level:
            return (
                "the queue hands out no more than"
                f" {self._bucket.rate.messages_per_second:g} messages a second"
            )
        if self.is_behind:
            return "messages that are of no use any more are being removed before it"
        return ""

    def ask_again_s(self, now_ns: int | None, of_keys_ns: int | None) -> float:
        """Return after how many seconds it is worth while to ask again.

        Args:
            now_ns: the moment; None if it is not known.
            of_keys_ns: when the rate of a fair_key lets one of its messages out, if that is known.
        """
        next_ns = self.next_moment_ns() or of_keys_ns
        # Of a lease nobody knows when it ends; a bucket fills by the clock.
        if next_ns is None or now_ns is None:
            return _ASK_AGAIN_S
        return max(0, next_ns - now_ns) / NS_PER_S
