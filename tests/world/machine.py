"""A machine's disk, whose every write and sync may be slow, fail, or be the last one.

It is a file system for SQLite. What is written goes to real files, which are what a process finds
that is started after another was killed. What a loss of power leaves is what was synced and, of
what was written after that, whatever chance wants: nothing, all, some of it, and of one write
a part.
"""

import errno
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import apsw

from qmq.store.local.directory import DataDirectory
from tests.store.watched import DATABASE, Step, WatchedFiles
from tests.world.loop import SimulatedLoop

_NAME: Final = "world"

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
    #: Seconds for which no file can grow, once one write has found no space.
    full_s: float = 0.0
    #: How many times as long as usual everything takes.
    slowness: float = 1.0


class Machine(WatchedFiles):
    """The disk of a machine, with one process on it that may be killed."""

    def __init__(self, data: Path, loop: SimulatedLoop, chance: Random) -> None:
        """Put it before SQLite's own file system, until `unregister`.

        Args:
            data: the directory whose files it watches.
            loop: whose time passes while the disk works.
            chance: decides how long that takes, and what a loss of power leaves.
        """
        super().__init__(_NAME, data)
        self._root = str(data)
        self._loop = loop
        self._chance = chance
        self._files: dict[str, _OnDisk] = {}
        self.trouble = Trouble()
        self._full_until_s = 0.0
        #: Called when the machine goes off in the midst of a write or sync.
        self.on_off: Callable[[], object] = lambda: None
        #: Whether nothing can be written now.
        self.is_off = False
        #: How many writes and syncs there were, and how many of them failed.
        self.writes = self.syncs = self.failures = 0

    def do(self, step: Step, action: Callable[[], None]) -> None:
        """Do a step, unless the disk does something else."""
        match step.verb:
            case "delete":
                if self.is_off:
                    raise Off(step.file)
                action()
                self._files.pop(step.file, None)
            case "sync":
                # The real file need not be: what a loss of power leaves is known here.
                self.sync(step.file)
            case _:
                self._write(step, action)

    def _write(self, step: Step, action: Callable[[], None]) -> None:
        """Write to a file, or cut it off."""
        self._work(_WRITE_S)
        if self._is_full(step):
            self.failures += 1
            raise apsw.FullError(f"no space for {step.file}")
        self.writes += 1
        action()
        written: bytes | None = None
        if step.verb == "write":
            # On its way to the file, a page got its checksum.
            fd = os.open(f"{self._root}/{step.file}", os.O_RDONLY)
            written = os.pread(fd, len(step.data), step.offset)
            os.close(fd)
        self._files.setdefault(step.file, _OnDisk()).unsynced.append(_Write(step.offset, written))

    @property
    def has_room(self) -> bool:
        """Whether files can grow."""
        return self._loop.time() >= self._full_until_s

    def make_room(self) -> None:
        """Let files grow again."""
        self._full_until_s = 0.0

    def _is_full(self, step: Step) -> bool:
        """Whether a write finds no space; one into what a file has already does, but once."""
        if step.verb != "write":
            return False
        if _is_due(self.trouble, "no_space_after"):
            self._full_until_s = self._loop.time() + self.trouble.full_s
            return True
        if self.has_room:
            return False
        return step.offset + len(step.data) > (self.data / step.file).stat().st_size

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


class Directory(DataDirectory):
    """A data directory on such a machine."""

    def __init__(self, machine: Machine, opened: Callable[[apsw.Connection], object]) -> None:
        """Hold the machine's directory; `opened` is told of each connection to the database."""
        super().__init__(machine.data)
        self._machine = machine
        self._opened = opened

    def open_database(self, *, needs_room: bool = True) -> apsw.Connection:
        """Open the database."""
        connection = super().open_database(needs_room=needs_room)
        self._opened(connection)
        return connection

    def open_beside(self) -> apsw.Connection:
        """Open the database a second time."""
        connection = super().open_beside()
        self._opened(connection)
        return connection

    def has_room(self) -> bool:
        """Whether the machine's disk has room."""
        return self._machine.has_room

    def sync_database(self) -> None:
        """Sync the database's file, as a checkpoint does."""
        try:
            self._machine.sync(DATABASE)
        except apsw.IOError as error:
            raise OSError(errno.EIO, str(error)) from error
