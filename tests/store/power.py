"""A machine that can lose its power: of each file it then has what was synced last.

It is a file system for SQLite, which lets one be put before its own. What the real
machine would have is at least that, and may be more.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.store.watched import Step, WatchedFiles

_NAME: Final = "power"


class Machine(WatchedFiles):
    """SQLite's own file system, which counts syncs and remembers what they have made sure."""

    def __init__(self, data: Path) -> None:
        """Put it before SQLite's own; `data` is the directory whose files it watches."""
        super().__init__(_NAME, data)
        #: How many syncs there were.
        self.syncs = 0
        #: What each file held when it was synced last.
        self._synced: dict[str, bytes] = {}
        #: Two threads write, and sync, and may do so to the same file.
        self._lock = threading.Lock()

    def do(self, step: Step, action: Callable[[], None]) -> None:
        """Do a step; at a sync, take note of what the file has held when that began."""
        if step.verb != "sync":
            action()
            if step.verb == "delete":
                self._synced.pop(step.file, None)
            return
        with self._lock:
            content = (self.data / step.file).read_bytes()
            action()
            self.syncs += 1
            self._synced[step.file] = content

    def after_power_loss(self, image: Path) -> Path:
        """Make a directory of what would be left of the other one; return it."""
        image.mkdir()
        for file, content in self._synced.items():
            (image / file).write_bytes(content)
        return image


@contextmanager
def running_machine(data: Path) -> Iterator[Machine]:
    """Have SQLite use a machine's file system for what is opened from now on."""
    machine = Machine(data)
    try:
        yield machine
    finally:
        machine.unregister()
