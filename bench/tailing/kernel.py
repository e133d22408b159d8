"""What the kernel says of threads: when each had a core, waited for one, or synced a file."""

import contextlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_TRACING: Final = Path("/sys/kernel/tracing")
_EVENTS: Final = (
    "sched/sched_switch",
    "sched/sched_waking",
    "syscalls/sys_enter_fdatasync",
    "syscalls/sys_exit_fdatasync",
)
_LINE: Final = re.compile(r"-(\d+) +\[\d+\] \S+ +([\d.]+): (\w+)(?::|\()? ?(.*)")
_SWITCH: Final = re.compile(r"prev_pid=(\d+) .*prev_state=(\S+) ==> .*next_pid=(\d+)")
_WAKING: Final = re.compile(r"pid=(\d+) ")

Spans = list[tuple[float, float]]


class Trace:
    """An instance of ftrace, which only root may make."""

    def __init__(self) -> None:
        self._here = _TRACING / "instances" / "q-tail"
        self._text = ""

    @contextlib.contextmanager
    def of(self, threads: Iterable[int]) -> Iterator[None]:
        """Trace threads until the block ends; do nothing where that is not allowed."""
        try:
            self._here.mkdir(exist_ok=True)
            for file, value in (
                ("trace_clock", "mono"),
                ("buffer_size_kb", "65536"),
                ("set_event_pid", " ".join(map(str, threads))),
                *((f"events/{event}/enable", "1") for event in _EVENTS),
            ):
                (self._here / file).write_text(value, encoding="ascii")
        except OSError:
            yield
            return
        try:
            yield
            (self._here / "tracing_on").write_text("0", encoding="ascii")
            self._text = (self._here / "trace").read_text(encoding="utf-8", errors="replace")
        finally:
            self._here.rmdir()

    def spans(self) -> dict[tuple[int, str], Spans]:
        """Return what the threads did: see `read`."""
        return read(self._text)


def read(text: str) -> dict[tuple[int, str], Spans]:
    """Return, by thread and what it did, when it did that, as a trace's text tells.

    It runs, waits for a core, or syncs; otherwise it sleeps, be it for work or for a lock.
    """
    reader = _Reader()
    for line in text.splitlines():
        reader.read(line)
    return reader.found


class _Reader:
    """Follows what threads do, line by line."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, str], Spans] = defaultdict(list)
        #: By thread: what it does, and since when. One that sleeps is not there.
        self._doing: dict[int, tuple[str, float]] = {}
        self._syncing: dict[int, float] = {}

    def read(self, line: str) -> None:
        """Take note of a line."""
        if not (match := _LINE.search(line)):
            return
        thread, now, event, rest = int(match[1]), float(match[2]), match[3], match[4]
        if event == "sys_fdatasync":
            self._sync(thread, now, is_done="->" in line)
        elif switch := _SWITCH.search(rest):
            self._change(int(switch[1]), "waits" if switch[2].startswith("R") else "", now)
            self._change(int(switch[3]), "runs", now)
        elif (waking := _WAKING.search(rest)) and int(waking[1]) not in self._doing:
            self._change(int(waking[1]), "waits", now)

    def _change(self, thread: int, to: str, now: float) -> None:
        if before := self._doing.pop(thread, None):
            what, since = before
            self.found[thread, what].append((since, now))
        if to:
            self._doing[thread] = (to, now)

    def _sync(self, thread: int, now: float, *, is_done: bool) -> None:
        if not is_done:
            self._syncing[thread] = now
        elif since := self._syncing.pop(thread, None):
            self.found[thread, "syncs"].append((since, now))
