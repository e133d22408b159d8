"""A machine's disk, whose every write and sync may be slow, fail, or be the last one.

It is a file system for SQLite. What is written goes to real files, which are what a process finds
that is started after another was killed. What a loss of power leaves is what was synced and, of
what was written after that, whatever chance wants: nothing, all, some of it, and of one write
a part.
"""

import errno
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import apsw

from qmq.store.local.checksums import checking_vfs
from qmq.store.local.directory import DataDirectory
from tests.world.loop import SimulatedLoop

_NAME: Final = "world"
DATABASE: Final = "q.db"

#: A disk writes sectors of so many bytes as a whole.
_SECTOR: Final = 512

#: Seconds that a write and a sync take, on average, on a disk that is well.
_WRITE_S: Final = 1e-5
_SYNC_S: Final = 4e-4


class Off(apsw.IOError):
    """The machine is off, or the process was killed: nothing can be written."""


class _Write(NamedTuple):
    """Bytes that were written; None for the file's end being cut off at `offset`."""

    offset: int
    data: bytes | None

    def to(self, content: bytearray) -> None:
        """Do the same to a file's content."""
        if self.data is None:
            del content[self.offset :]
            return
        content.extend(bytes(max(0, self.offset - len(content))))
        content[self.offset : self.offset + len(self.data)] = self.data


@dataclass
class _OnDisk:
    """What a disk holds of one file."""

    synced: bytearray = field(default_factory=bytearray)
    #: What was written after that, and is in the memory of the kernel.
    unsynced: list[_Write] = field(default_factory=list)


@dataclass
class Trouble:
    """What a disk does to who uses it."""

    #: The number of writes and syncs, from now on, at which the machine goes off; None for never.
    off_after: int | None = None
    #: Each is how many of the next writes, or syncs, succeed before one fails; None for all.
    no_space_after: int | None = None
    no_sync_after: int | None = None
    #: How many times as long as usual everything takes.
    slowness: float = 1.0


class Machine(apsw.VFS):
    """The disk of a machine, with one process on it that may be killed."""

    def __init__(self, data: Path, loop: SimulatedLoop, chance: Random) -> None:
        """Put it before SQLite's own file system, until `unregister`.

        Args:
            data: the directory whose files it watches.
            loop: whose time passes while the disk works.
            chance: decides how long that takes, and what a loss of power leaves.
        """
        #: The name of the file system that does the work: the one that q uses.
        self.base = checking_vfs()
        super().__init__(_NAME, self.base, makedefault=True)
        self.data = data
        self._loop = loop
        self._chance = chance
        self._files: dict[str, _OnDisk] = {}
        self.trouble = Trouble()
        #: Called when the machine goes off in the midst of a write or sync.
        self.on_off: Callable[[], object] = lambda: None
        #: Whether nothing can be written now.
        self.is_off = False
        #: How many writes and syncs there were, and how many of them failed.
        self.writes = self.syncs = self.failures = 0

    def xOpen(  # noqa: N802 - SQLite's name.
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        """Open a file."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        assert path
        return _File(self, name, Path(path), flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802 - SQLite's.
        """Delete a file."""
        if self.is_off:
            raise Off(filename)
        super().xDelete(filename, syncdir)
        self._files.pop(Path(filename).name, None)

    def is_watched(self, path: Path) -> bool:
        """Whether a file is one of the directory's."""
        return path.parent == self.data

    def write(self, file: str, offset: int, data: bytes | None, write: Callable[[], None]) -> None:
        """Write to a file, or cut it off."""
        self._work(_WRITE_S)
        if _is_due(self.trouble, "no_space_after"):
            self.failures += 1
            raise apsw.FullError(f"no space for {file}")
        self.writes += 1
        write()
        if data is not None:
            # On its way to the file, a page got its checksum.
            with (self.data / file).open("rb") as written:
                written.seek(offset)
                data = written.read(len(data))
        self._files.setdefault(file, _OnDisk()).unsynced.append(_Write(offset, data))

    def sync(self, file: str) -> None:
        """Sync a file: what was written to it is on disk then."""
        self._work(_SYNC_S)
        on_disk = self._files.setdefault(file, _OnDisk())
        if _is_due(self.trouble, "no_sync_after"):
            self.failures += 1
            # A kernel may drop what it could not write, and take the next sync for a good one.
            if self._chance.random() < 0.5:
                on_disk.unsynced.clear()
            raise apsw.IOError(f"cannot sync {file}")
        self.syncs += 1
        for each in on_disk.unsynced:
            each.to(on_disk.synced)
        on_disk.unsynced.clear()

    def lose_power(self) -> None:
        """Make the files what a loss of power leaves of them; nobody has them open."""
        for name, on_disk in self._files.items():
            for each in self._surviving(on_disk.unsynced):
                each.to(on_disk.synced)
            on_disk.unsynced.clear()
            (self.data / name).write_bytes(on_disk.synced)

    def _surviving(self, writes: list[_Write]) -> Iterable[_Write]:
        """Return what of unsynced writes was on disk all the same."""
        kept: list[_Write] = []
        match self._chance.randrange(4):
            case 0:
                pass
            case 1:
                kept = list(writes)
            case 2:
                kept = writes[: self._chance.randint(0, len(writes))]
            case _:
                kept = [each for each in writes if self._chance.random() < 0.5]
        if kept and (last := kept[-1]).data and self._chance.random() < 0.5:
            sectors = self._chance.randint(0, len(last.data) // _SECTOR)
            kept[-1] = _Write(last.offset, last.data[: sectors * _SECTOR])
        return kept

    def _work(self, average_s: float) -> None:
        """Take time, unless the machine is off by then."""
        if not self.is_off and _is_due(self.trouble, "off_after"):
            self.is_off = True
            self.on_off()
        if self.is_off:
            raise Off("the machine is off")
        spent_s = self._chance.expovariate(1 / average_s) * self.trouble.slowness
        self._loop.ahead_s += spent_s


def _is_due(trouble: Trouble, what: str) -> bool:
    """Count one of those that succeed; return whether the next one comes that does not."""
    left: int | None = getattr(trouble, what)
    if left is None:
        return False
    setattr(trouble, what, left - 1 if left else None)
    return left == 0


class _File(apsw.VFSFile):
    def __init__(
        self, machine: Machine, name: str | apsw.URIFilename | None, path: Path, flags: list[int]
    ) -> None:
        super().__init__(machine.base, name, flags)
        self._machine = machine
        self._file = path.name
        self._is_watched = machine.is_watched(path)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name.
        def write() -> None:
            super(_File, self).xWrite(data, offset)

        if self._is_watched:
            self._machine.write(self._file, offset, bytes(data), write)
        else:
            write()

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name.
        def truncate() -> None:
            super(_File, self).xTruncate(newsize)

        if self._is_watched:
            self._machine.write(self._file, newsize, None, truncate)
        else:
            truncate()

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802 - SQLite's name.
        if self._is_watched:
            self._machine.sync(self._file)


class Directory(DataDirectory):
    """A data directory on such a machine."""

    def __init__(self, machine: Machine) -> None:
        """Hold the machine's directory."""
        super().__init__(machine.data)
        self._machine = machine
        #: Told of each further connection.
        self.opened_beside: Callable[[apsw.Connection], object] = lambda _: None

    def open_beside(self) -> apsw.Connection:
        """Open the database a second time."""
        connection = super().open_beside()
        self.opened_beside(connection)
        return connection

    def sync_database(self) -> None:
        """Sync the database's file, as a checkpoint does."""
        try:
            self._machine.sync(DATABASE)
        except apsw.IOError as error:
            raise OSError(errno.EIO, str(error)) from error
