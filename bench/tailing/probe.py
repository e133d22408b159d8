"""Tells when a core was not to be had: sleeps again and again, and notes when it woke late.

    python -m tailing.probe CORE NOTES

With a CORE it wakes up ahead of everything else there (SCHED_FIFO, where that is allowed), so
that it is late only if the core itself stood still: a virtual one that its host did not run. As
CORE any, it is a program like others, and late also where cores are busy.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

_EVERY_S: Final = 0.002
#: Later than that it is noted; a sleep has some 0.06 ms of slack by itself.
_LATE_S: Final = 0.0005
#: Of the piece of work: some 0.05 ms.
_STEPS: Final = 2_000


def main() -> None:
    """Probe until a signal ends it."""
    core, notes = sys.argv[1:]
    if core != "any":
        os.sched_setaffinity(0, {int(core)})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(90))
    late: list[tuple[float, float]] = []
    #: When a fixed piece of work began, and how long it took.
    work: list[tuple[float, float]] = []
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    while going:
        due = time.perf_counter() + _EVERY_S
        time.sleep(_EVERY_S)
        now = time.perf_counter()
        if now - due > _LATE_S:
            late.append((due, now))
        for _ in range(_STEPS):
            pass
        work.append((now, time.perf_counter() - now))
    Path(notes).write_text(json.dumps({"late": late, "work": work}), encoding="utf-8")


if __name__ == "__main__":
    main()
