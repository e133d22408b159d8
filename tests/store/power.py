"""A machine that can lose its power: of each file it then has what was synced last.

It is a file system for SQLite, which lets one be put before its own. What the real
machine would have is at least that, and may be more.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from qmq.store.local.checksums import checking_vfs

_NAME = "power"


class Machine(apsw.VFS):
    """SQLite's own file system, which counts syncs and remembers what they have made sure."""

    def __init__(self, data: Path) -> None:
        """Put it before SQLite's own.

        Args:
            data: the directory whose files it watches.
        """
        #: The name of the file system that does the work: the one that q uses.
        self.base = checking_vfs()
        super().__init__(_NAME, self.base, makedefault=True)
        self._data = data
        #: How many syncs there were.
        self.syncs = 0
        #: What each file held when it was synced last.
        self._synced: dict[Path, bytes] = {}
        #: Two threads write, and sync, and may do so to the same file.
        self._lock = threading.Lock()

    def xOpen(  # noqa: N802 - SQLite's name.
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        """Open a file."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        assert path
        return _File(self, name, path, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802 - SQLite's.
        """Delete a file."""
        super().xDelete(filename, syncdir)
        self._synced.pop(Path(filename), None)

    def sync(self, path: Path, sync: Callable[[], None]) -> None:
        """Sync a file, and take note of what it has held when that began."""
        if path.parent != self._data:
            sync()
            return
        with self._lock:
            content = path.read_bytes()
            sync()
            self.syncs += 1
            self._synced[path] = content

    def after_power_loss(self, image: Path) -> Path:
        """Make a directory of what would be left of the other one; return it."""
        image.mkdir()
        for path, content in self._synced.items():
            (image / path.name).write_bytes(content)
        return image


class _File(apsw.VFSFile):
    def __init__(
        self, machine: Machine, name: str | apsw.URIFilename | None, path: str, flags: list[int]
    ) -> None:
        super().__init__(machine.base, name, flags)
        self._machine = machine
        self._path = Path(path)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name.
        self._machine.sync(self._path, lambda: super(_File, self).xSync(flags))


@contextmanager
def running_machine(data: Path) -> Iterator[Machine]:
    """Have SQLite use a machine's file system for what is opened from now on."""
    machine = Machine(data)
    try:
        yield machine
    finally:
        machine.unregister()
