"""Time and randomness for tests, in the caller's hand: what runs has no use for this."""

import random
from collections.abc import Callable

from qmq.ids import RandomIds

_NS_PER_S = 1_000_000_000

#: Where a ManualClock stands unless told otherwise: 2023-11-14 22:13:20 UTC.
START_NS = 1_700_000_000 * _NS_PER_S


class ManualClock:
    """A `qmq.clock.Clock` that stands still until it is advanced."""

    def __init__(self, start_ns: int = START_NS) -> None:
        """Make a clock.

        Args:
            start_ns: where it stands, in nanoseconds since the Unix epoch.
        """
        self._now_ns = start_ns

    def __repr__(self) -> str:
        """Tell the time."""
        return f"<ManualClock {self._now_ns} ns>"

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, UTC."""
        return self._now_ns

    def advance(self, seconds: float) -> None:
        """Move the clock on, or back if negative, as a machine's clock may be set back."""
        self._now_ns += round(seconds * _NS_PER_S)


def seeded_ids(seed: int = 0) -> Callable[[], bytes]:
    """Return a source of UUIDs that makes the same ones in each run.

    Args:
        seed: another seed, other UUIDs.

    Returns:
        A function that returns a new UUID in its canonical form, as 36 ASCII bytes.
    """
    return RandomIds(random.Random(seed).randbytes)  # noqa: S311 - Repeating it is the point.
