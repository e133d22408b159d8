"""A file system for SQLite with somebody between it and q, who may do more, or something else.

It is put before SQLite's own one, as q uses it, and passes on what is not about the files of one
directory.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from qmq.store.local.checksums import checking_vfs

DATABASE: Final = "q.db"
LOG: Final = "q.db-wal"


class Step(NamedTuple):
    """What is done to a file."""

    #: `write`, `truncate`, `sync` or `delete`.
    verb: str
    file: str = ""
    #: Where is written, or how long the file is from now on.
    offset: int = 0
    data: bytes = b""


class WatchedFiles(apsw.VFS):
    """SQLite's own file system, which hands each step on the files of a directory to `do`."""

    def __init__(self, name: str, data: Path) -> None:
        """Put it before SQLite's own, until `unregister`.

        Args:
            name: what SQLite knows it by.
            data: the directory whose files it watches.
        """
        #: The name of the file system that does the work: the one that q uses.
        self.base = checking_vfs()
        super().__init__(name, self.base, makedefault=True)
        self.data = data

    def do(self, step: Step, action: Callable[[], None]) -> None:
        """Do a step, in the thread that asks for it; what it raises is what SQLite gets."""
        raise NotImplementedError

    def xOpen(  # noqa: N802 - SQLite's name.
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        """Open a file."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        assert path
        return _File(self, name, Path(path), flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802 - SQLite's.
        """Delete a file."""

        def delete() -> None:
            super(WatchedFiles, self).xDelete(filename, syncdir)

        path = Path(filename)
        if self.is_watched(path):
            self.do(Step("delete", path.name), delete)
        else:
            delete()

    def is_watched(self, path: Path) -> bool:
        """Whether a file is one of the directory's."""
        return path.parent == self.data


class _File(apsw.VFSFile):
    def __init__(
        self, files: WatchedFiles, name: str | apsw.URIFilename | None, path: Path, flags: list[int]
    ) -> None:
        super().__init__(files.base, name, flags)
        self._files = files
        self._file = path.name
        self._is_watched = files.is_watched(path)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name.
        def write() -> None:
            super(_File, self).xWrite(data, offset)

        if self._is_watched:
            self._files.do(Step("write", self._file, offset, bytes(data)), write)
        else:
            write()

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name.
        def truncate() -> None:
            super(_File, self).xTruncate(newsize)

        if self._is_watched:
            self._files.do(Step("truncate", self._file, newsize), truncate)
        else:
            truncate()

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name.
        def sync() -> None:
            super(_File, self).xSync(flags)

        if self._is_watched:
            self._files.do(Step("sync", self._file), sync)
        else:
            sync()
