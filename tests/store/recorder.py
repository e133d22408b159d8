"""A machine that remembers each write and each sync, so that its power can be lost at any of them.

Of what was written after a file was synced last, some may be on disk and some not. What is tried:
nothing of it, all of the database's, or all of the log's.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.store.watched import DATABASE, LOG, Step, WatchedFiles

_NAME: Final = "recorder"


class Recorder(WatchedFiles):
    """SQLite's own file system, as q uses it, which remembers what was done.

    A step `acknowledge` besides those says how many commits were acknowledged by then.
    """

    def __init__(self, data: Path) -> None:
        """Put it before SQLite's own; `data` is the directory whose files it watches."""
        super().__init__(_NAME, data)
        self._lock = threading.Lock()
        self._steps: list[Step] = []
        #: Called before each write and sync, in the thread that does it: the verb and the
        #: name of the file. What it raises is what SQLite gets.
        self.before: Callable[[str, str], None] = _let_go

    def do(self, step: Step, action: Callable[[], None]) -> None:
        """Do a step and remember it."""
        if step.verb != "delete":
            self.before(step.verb, step.file)
        action()
        self.note(step)

    def note(self, step: Step) -> None:
        """Remember a step."""
        with self._lock:
            self._steps.append(step)

    @property
    def steps(self) -> Sequence[Step]:
        """What was done so far, in order."""
        return self._steps

    def images(self) -> Iterator[tuple[int, dict[str, bytes]]]:
        """Return what may be on disk after each step, and how many commits were acknowledged.

        From the first of those on.
        """
        written: defaultdict[str, bytearray] = defaultdict(bytearray)
        synced: defaultdict[str, bytes] = defaultdict(bytes)
        acknowledged = 0
        seen: set[tuple[int, int, int]] = set()
        for step in self._steps:
            if step.verb == "acknowledge":
                acknowledged = step.offset
            elif step.verb == "sync":
                synced[step.file] = bytes(written[step.file])
            elif step.verb == "delete":
                written.pop(step.file, None)
                synced.pop(step.file, None)
            elif step.verb == "truncate":
                del written[step.file][step.offset :]
            else:
                content = written[step.file]
                content.extend(bytes(max(0, step.offset - len(content))))
                content[step.offset : step.offset + len(step.data)] = step.data
            if not acknowledged:
                continue
            for database, log in ((synced, synced), (written, synced), (synced, written)):
                image = {DATABASE: bytes(database[DATABASE]), LOG: bytes(log[LOG])}
                key = (acknowledged, hash(image[DATABASE]), hash(image[LOG]))
                if key not in seen:
                    seen.add(key)
                    yield acknowledged, image


def _let_go(verb: str, file: str) -> None:
    """Do nothing before a step."""
