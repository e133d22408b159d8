"""A machine that remembers each write and each sync, so that its power can be lost at any of them.

Of what was written after a file was synced last, some may be on disk and some not. What is tried:
nothing of it, all of the database's, or all of the log's.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from qmq.store.local.checksums import checking_vfs

_NAME: Final = "recorder"
DATABASE: Final = "q.db"
LOG: Final = "q.db-wal"


class Step(NamedTuple):
    """What was done to a file, or how many commits were acknowledged by then."""

    verb: str
    file: str = ""
    offset: int = 0
    data: bytes = b""


class Recorder(apsw.VFS):
    """SQLite's own file system, as q uses it, which remembers what was done."""

    def __init__(self, data: Path) -> None:
        """Put it before SQLite's own; `data` is the directory whose files it watches."""
        self.base = checking_vfs()
        super().__init__(_NAME, self.base, makedefault=True)
        self._data = data
        self._lock = threading.Lock()
        self._steps: list[Step] = []
        #: Called before each write and sync, in the thread that does it: the verb and the
        #: name of the file. What it raises is what SQLite gets.
        self.before: Callable[[str, str], None] = _let_go

    def xOpen(  # noqa: N802 - SQLite's name.
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        """Open a file."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        assert path
        return _File(self, name, Path(path), flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802 - SQLite's.
        """Delete a file."""
        super().xDelete(filename, syncdir)
        if self.is_watched(Path(filename)):
            self.note(Step("delete", Path(filename).name))

    def note(self, step: Step) -> None:
        """Remember a step."""
        with self._lock:
            self._steps.append(step)

    @property
    def steps(self) -> Sequence[Step]:
        """What was done so far, in order."""
        return self._steps

    def is_watched(self, path: Path) -> bool:
        """Whether a file is one of the directory's."""
        return path.parent == self._data

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


class _File(apsw.VFSFile):
    def __init__(
        self, recorder: Recorder, name: str | apsw.URIFilename | None, path: Path, flags: list[int]
    ) -> None:
        super().__init__(recorder.base, name, flags)
        self._recorder = recorder
        self._path = path

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name.
        self._do(
            Step("write", self._path.name, offset, bytes(data)),
            lambda: super(_File, self).xWrite(data, offset),
        )

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name.
        self._do(
            Step("truncate", self._path.name, newsize),
            lambda: super(_File, self).xTruncate(newsize),
        )

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name.
        self._do(Step("sync", self._path.name), lambda: super(_File, self).xSync(flags))

    def _do(self, step: Step, action: Callable[[], None]) -> None:
        if not self._recorder.is_watched(self._path):
            action()
            return
        self._recorder.before(step.verb, step.file)
        action()
        self._recorder.note(step)


def _let_go(verb: str, file: str) -> None:
    """Do nothing before a step."""
