"""How fast messages are handed out: a bucket of tokens, one for each message."""

from typing import Final

from qmq.descriptions import Rate
from qmq.values import NS_PER_S

#: Tokens are given out together that come within so short a time, so that a fast queue does
#: not wake up for each message.
_TOGETHER_NS: Final = 10_000_000

#: Time is counted in parts of a nanosecond, in integers: what is rounded for each of a million
#: messages a second would add up to a rate that is some percent off.
_PARTS: Final = 1 << 32


class Bucket:
    """A bucket that fills at an even pace up to its brim.

    It is the generic cell rate algorithm: all that it remembers is when it will be full.
    See https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm.
    """

    __slots__ = ("_brim", "_full", "_interval", "rate")

    def __init__(self, rate: Rate) -> None:
        """Make a full one, for a rate that is a limit."""
        self.rate = rate
        self._interval = round(NS_PER_S * _PARTS / rate.messages_per_second)
        self._brim = rate.burst_max
        #: When it will be full, or was, in parts since the Unix epoch.
        self._full = 0

    def level(self, now_ns: int) -> int:
        """Return how many messages may be handed out now."""
        missing = max(0, self._full - now_ns * _PARTS)
        return max(0, (self._brim * self._interval - missing) // self._interval)

    def take(self, count: int, now_ns: int) -> None:
        """Count messages that are handed out; more than `level` says are paid for later."""
        self._full = max(self._full, now_ns * _PARTS) + count * self._interval

    def next_ns(self) -> int:
        """Return when it is worth while to look again at an empty one."""
        together = max(1, min(self._brim, _TOGETHER_NS * _PARTS // self._interval))
        # Rounded up, so that there is a whole token then.
        return -(((self._brim - together) * self._interval - self._full) // _PARTS)
