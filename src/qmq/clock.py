"""Time as an argument: rules take a moment, and only a Clock knows the present."""

import time
from functools import partial
from typing import Final, Protocol


class Clock(Protocol):
    """Tells the present."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    now_ns = staticmethod(time.time_ns)


#: Nanoseconds by a clock that nobody sets, from a moment that differs from one start of the machine
#: to the next. Time passes while the machine sleeps, too, where the system can tell.
passed_ns: Final = partial(
    time.clock_gettime_ns, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
)
