"""Time as an argument: rules take a moment, and only a Clock knows the present."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the present."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    now_ns = staticmethod(time.time_ns)
