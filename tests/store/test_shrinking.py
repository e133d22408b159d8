"""A database file that holds hardly anything is made smaller, and nothing is lost by that."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import apsw
import pytest

from qmq.store.local.checksums import checking_vfs
from qmq.store.local.directory import DataDirectory
from qmq.store.local.shrinking import Shrinker
from tests.store.power import Machine, running_machine

_MIB: Final = 2**20
#: Messages of a page each; some are left in the end.
_COUNT, _LEFT = 5_000, 20
_ENVELOPE: Final = bytes(3_000)
_AFTER_S: Final = 10


class Drained:
    """A database with a file that is much larger than what it holds."""

    def __init__(self, data: Path, **rules: int) -> None:
        self.path = data / "q.db"
        self.now_s = 0.0
        self.directory = DataDirectory(data)
        self.connection = self.directory.open_database()
        for first in range(0, _COUNT, 1_000):
            self.insert(*range(max(1, first), first + 1_000))
        with self.connection:
            self.connection.execute("delete from message where seq <= ?", (_COUNT - _LEFT,))
        self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        # The log holds no more than that from now on, and what was synced of it neither.
        self.insert(_COUNT)
        self.shrinker = Shrinker(
            self.connection,
            self.directory.database_file,
            now_s=lambda: self.now_s,
            **{"file_bytes_min": _MIB, "live_bytes_max": _MIB, "after_s": _AFTER_S, **rules},
        )

    @property
    def file_bytes(self) -> int:
        """What the file takes."""
        return self.path.stat().st_size

    def insert(self, *seqs: int) -> None:
        """Keep messages."""
        with self.connection:
            self.connection.executemany(
                "insert into message values (?, 1, ?)", ((seq, _ENVELOPE) for seq in seqs)
            )

    def pass_time(self, seconds: int, *, may_begin: bool = True) -> bool:
        """Look once a second, as the journal does; return whether the database was made anew."""
        is_anew = False
        for _ in range(seconds):
            self.now_s += 1
            is_anew = self.shrinker.proceed(may_begin=may_begin) or is_anew
            while self.shrinker.is_cutting:
                self.shrinker.proceed(may_begin=may_begin)
        return is_anew

    def close(self) -> None:
        """Leave nothing open."""
        self.connection.close()
        self.directory.close()


def seqs(data: Path) -> list[int]:
    """Return the messages in a data directory, as the next start finds them."""
    directory = DataDirectory(data)
    connection = directory.open_database()
    try:
        assert connection.execute("pragma integrity_check").get == "ok"
        found: list[tuple[int, bytes]] = list(
            connection.execute("select seq, envelope from message order by seq")
        )
        assert all(envelope == _ENVELOPE for _, envelope in found)
        return [seq for seq, _ in found]
    finally:
        connection.close()
        directory.close()


@pytest.fixture
def drained(data: Path) -> Iterator[Drained]:
    """Return a database of which hardly anything is left."""
    made = Drained(data)
    yield made
    made.close()


_STAYING: Final = list(range(_COUNT - _LEFT + 1, _COUNT + 1))


def test_file_is_as_small_as_what_is_left(drained: Drained, data: Path) -> None:
    """Once that has been so for a while; what is left is all there, and more can be added."""
    before = drained.file_bytes

    is_anew = [drained.pass_time(_AFTER_S), drained.pass_time(1)]

    after = drained.file_bytes
    drained.insert(_COUNT + 1)
    drained.close()
    assert (is_anew, before > 15 * _MIB, after < _MIB // 4) == ([False, True], True, True)
    assert seqs(data) == [*_STAYING, _COUNT + 1]


@pytest.mark.parametrize(
    "rules", [{"file_bytes_min": 64 * _MIB}, {"live_bytes_max": 4 * 4_096}, {"after_s": 100}]
)
def test_file_stays_as_it_is(data: Path, rules: dict[str, int]) -> None:
    """If it is small, if too much is left to be written at once, or for some time."""
    drained = Drained(data, **rules)
    before = drained.file_bytes

    is_anew = drained.pass_time(2 * _AFTER_S)

    assert (is_anew, drained.file_bytes) == (False, before)
    drained.close()


def test_file_stays_as_it_is_for_one_who_fills_it_again(drained: Drained) -> None:
    """He would have it made anew each time."""
    before = drained.file_bytes
    drained.pass_time(_AFTER_S)

    drained.insert(*range(_COUNT + 1, 2 * _COUNT))
    is_anew = drained.pass_time(_AFTER_S)
    with drained.connection:
        drained.connection.execute("delete from message where seq > ?", (_COUNT,))
    is_anew = drained.pass_time(_AFTER_S) or is_anew

    assert (is_anew, drained.file_bytes) == (False, before)


def test_nothing_happens_while_the_log_is_written_back(drained: Drained) -> None:
    """That may make the file longer; afterwards it is as if nothing had been in the way."""
    drained.pass_time(_AFTER_S)

    is_anew = drained.pass_time(5, may_begin=False), drained.pass_time(1)

    assert is_anew == (False, True)


def test_nobody_looks_where_nothing_changes(drained: Drained) -> None:
    """An idle server stays asleep."""
    waits = []
    for _ in range(2):
        drained.pass_time(_AFTER_S + 2)
        waits.append(drained.shrinker.wait_s)
        drained.insert(_COUNT + len(waits))
        drained.shrinker.has_committed()
        waits.append(drained.shrinker.wait_s)

    assert waits == [None, 1.0, None, 1.0]


def test_power_may_be_lost_at_any_moment(data: Path, tmp_path: Path) -> None:
    """What was synced is enough, whether the file was cut off by then or not, and wholly or not."""
    images: list[Path] = []

    def remember(machine: Machine) -> None:
        images.append(machine.after_power_loss(tmp_path / f"synced-{len(images)}"))
        # The file may be shorter than what was synced of it.
        cut = shutil.copytree(images[-1], tmp_path / f"cut-{len(images)}")
        shutil.copy(data / "q.db", cut / "q.db")
        images.append(cut)

    with running_machine(data) as machine:
        drained = Drained(data)
        drained.pass_time(_AFTER_S)
        before, syncs = drained.file_bytes, machine.syncs
        drained.now_s += 1
        assert drained.shrinker.proceed(may_begin=True)
        sizes = []
        while drained.shrinker.is_cutting:
            remember(machine)
            drained.shrinker.proceed(may_begin=True)
            sizes.append(drained.file_bytes)
        remember(machine)
        drained.insert(_COUNT + 1)
        remember(machine)
        drained.connection.wal_checkpoint()
        remember(machine)
        drained.close()

    assert machine.syncs > syncs
    assert before > 15 * _MIB > sizes[-1]
    for number, image in enumerate(images):
        staying = _STAYING if number < len(images) - 4 else [*_STAYING, _COUNT + 1]
        assert seqs(image) == staying, image


class Full(apsw.VFS):
    """SQLite's own file system, of a disk that has no room left in the log."""

    def __init__(self) -> None:
        self.is_full = False
        self.refused = 0
        self.base = checking_vfs()
        super().__init__("full", self.base, makedefault=True)

    def xOpen(  # noqa: N802 - SQLite's name.
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        """Open a file."""
        return _FullFile(self, name, flags)


class _FullFile(apsw.VFSFile):
    def __init__(self, disk: Full, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__(disk.base, name, flags)
        self._disk = disk

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name.
        if self._disk.is_full and offset > 64 * 1024:
            self._disk.refused += 1
            raise apsw.FullError
        super().xWrite(data, offset)


def test_disk_without_room_is_no_failure(data: Path) -> None:
    """The file stays as it is, commits go on, and it is tried again later."""
    disk = Full()
    try:
        drained = Drained(data)
        before = drained.file_bytes
        disk.is_full = True
        is_anew = [drained.pass_time(5 * _AFTER_S)]
        refused, unchanged = disk.refused, drained.file_bytes
        disk.is_full = False
        drained.insert(_COUNT + 1)
        is_anew += [drained.pass_time(100), drained.pass_time(1_000)]
        after = drained.file_bytes
        drained.close()
    finally:
        disk.unregister()

    assert is_anew == [False, False, True]
    assert (refused, unchanged, after < _MIB // 4) == (1, before, True)
    assert seqs(data) == [*_STAYING, _COUNT + 1]
