"""The data directory: made if need be, used by one process, refused if it is not q's."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from qmq.errors import DataDirectoryError
from qmq.store.local.checksums import database_vfs
from qmq.store.local.directory import DataDirectory, check_data_directory
from qmq.store.local.disk import DiskStore
from tests.store.damage import fill

#: "nobody" on Linux: a user who may write nowhere.
NOBODY = 65534


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a data directory that q has used."""
    path = tmp_path / "data"
    check_data_directory(path)
    return path


@pytest.fixture
def closed_directory() -> Iterator[Path]:
    """Return a directory that this process may not write, whoever runs it."""
    # Not below tmp_path, which another user could not even reach.
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    yield directory
    if is_root:
        os.seteuid(0)
    directory.chmod(0o755)
    shutil.rmtree(directory)


def refusal_of(path: Path) -> str:
    """Return what q says when it refuses a directory."""
    with pytest.raises(DataDirectoryError) as refusal:
        check_data_directory(path)
    return refusal.value.message


def test_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    """The first start needs no preparation."""
    path = tmp_path / "state" / "q"

    check_data_directory(path)

    assert {file.name for file in path.iterdir()} == {"q.db", "q.lock"}


@pytest.mark.parametrize("entry", [None, "lost+found", "q.lock"])
def test_directory_that_holds_nothing_of_others_is_used(tmp_path: Path, entry: str | None) -> None:
    """An empty one, a freshly mounted volume, and one in which q once failed to start."""
    if entry:
        (tmp_path / entry).touch()

    check_data_directory(tmp_path)

    assert (tmp_path / "q.db").exists()


def test_check_changes_nothing_and_lets_go(data: Path) -> None:
    """A directory can be checked, and then opened by another process."""
    before = (data / "q.db").read_bytes()

    check_data_directory(data)
    check_data_directory(data)

    assert (data / "q.db").read_bytes() == before


def test_second_process_is_told_who_holds_the_directory(data: Path) -> None:
    """By its process id, whether it is another process or another part of this one."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from qmq.errors import DataDirectoryError\n"
        "from qmq.store.local.directory import check_data_directory\n"
        "try:\n"
        "    check_data_directory(Path(sys.argv[1]))\n"
        "except DataDirectoryError as error:\n"
        "    print(error.message)\n"
    )

    # A process with a longer id had it before.
    (data / "q.lock").write_text("99999999999999\n", encoding="utf-8")
    directory = DataDirectory(data)
    directory.open_database().close()
    by_another = subprocess.run(
        [sys.executable, "-c", program, str(data)], capture_output=True, text=True, check=True
    )
    by_this = refusal_of(data)
    directory.close()

    assert by_this == (
        f"data directory {data} is in use by process {os.getpid()};"
        " stop that q first, or give another directory by --data DIR"
    )
    assert (by_another.stdout, by_another.stderr) == (f"{by_this}\n", "")
    check_data_directory(data)


def test_lock_ends_with_its_process(data: Path) -> None:
    """A process that was killed leaves nothing that has to be cleaned up."""
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from qmq.store.local.directory import DataDirectory\n"
        "directory = DataDirectory(Path(sys.argv[1]))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    killed = subprocess.run([sys.executable, "-c", program, str(data)], check=False)

    assert killed.returncode == -9
    check_data_directory(data)


def test_unwritable_directory_is_refused(closed_directory: Path) -> None:
    """The system's reason is told, and what to do."""
    assert refusal_of(closed_directory) == (
        f"cannot use data directory {closed_directory}: Permission denied;"
        " give a directory that this user can write, by --data DIR"
    )


def test_directory_that_cannot_be_made_is_refused(closed_directory: Path) -> None:
    """So is one whose parent cannot be written."""
    path = closed_directory / "data"

    assert refusal_of(path).startswith(f"cannot use data directory {path}: Permission denied;")


@pytest.mark.parametrize(
    ("path", "reason"), [("file", "it is a file"), ("file/data", "Not a directory")]
)
def test_file_is_no_directory(tmp_path: Path, path: str, reason: str) -> None:
    """Neither is anything below one."""
    (tmp_path / "file").write_text("mine")

    assert refusal_of(tmp_path / path).startswith(
        f"cannot use data directory {tmp_path / path}: {reason};"
    )
    assert (tmp_path / "file").read_text() == "mine"


def test_directory_of_others_is_refused_and_left_alone(tmp_path: Path) -> None:
    """One file that is there is named, so that a mistyped path is seen."""
    for name in ("thesis.tex", "notes.md"):
        (tmp_path / name).touch()

    assert refusal_of(tmp_path) == (
        f"{tmp_path} is not a data directory of q: it holds 'notes.md' and no q.db;"
        " give an empty or new directory by --data DIR"
    )
    assert {file.name for file in tmp_path.iterdir()} == {"thesis.tex", "notes.md"}


@pytest.mark.parametrize(
    "setup",
    [
        "create table song (title text)",
        "pragma application_id = 5",
        "pragma user_version = 1",
    ],
)
def test_database_of_another_program_is_refused_and_left_alone(tmp_path: Path, setup: str) -> None:
    """Whatever it is that shows it: its tables, its mark or its version."""
    path = tmp_path / "q.db"
    connection = apsw.Connection(str(path))
    connection.execute(setup)
    connection.execute("create table if not exists other (x); drop table other")
    connection.close()
    before = path.read_bytes()

    assert refusal_of(tmp_path) == (
        f"{path} is the database of another program; give another directory by --data DIR"
    )
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database", b"no database\n" * 10_000])
def test_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    """A q.db of something else is not written over."""
    path = tmp_path / "q.db"
    path.write_bytes(content)

    assert refusal_of(tmp_path) == (
        f"{path} is no database, or its first page is damaged;"
        " move it away or give another directory by --data DIR"
    )
    assert path.read_bytes() == content


def test_database_of_a_newer_q_is_refused_and_left_alone(data: Path) -> None:
    """Its format and ours are named: what an older q does not know, it could destroy."""
    path = data / "q.db"
    connection = apsw.Connection(str(path), vfs=database_vfs())
    known = connection.pragma("user_version")
    connection.pragma("user_version", known + 1)
    connection.close()
    before = path.read_bytes()

    assert refusal_of(data) == (
        f"{path} has format {known + 1}, written by a newer q; this q reads up to format"
        f" {known}: upgrade q, or give another directory by --data DIR"
    )
    assert path.read_bytes() == before


async def test_damaged_database_is_refused(data: Path) -> None:
    """Damage beyond the first page is found when the rows are read, and the lock is let go of."""
    path = data / "q.db"
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)

    for _ in range(2):
        with pytest.raises(DataDirectoryError) as refusal:
            DiskStore.open(data)

        assert refusal.value.message == (
            f"the database in {data} is damaged: what was read is not what was written (disk I/O"
            " error). To serve nothing wrong, q serves nothing of it. See what is affected by `q"
            f" check {data}`, and put back a backup, or give another directory by --data DIR"
        )


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "used"])
def test_every_commit_is_synced_unless_the_journal_knows_better(
    tmp_path: Path, *, is_new: bool
) -> None:
    """The settings that durability rests on are what SQLite says they are."""
    if not is_new:
        check_data_directory(tmp_path)
    directory = DataDirectory(tmp_path)
    connection = directory.open_database()

    settings = {
        name: connection.pragma(name)
        for name in ("synchronous", "journal_mode", "fullfsync", "wal_autocheckpoint")
    }
    connection.close()
    directory.close()

    assert settings == {
        "synchronous": 2,
        "journal_mode": "wal",
        "fullfsync": 1,
        "wal_autocheckpoint": 0,
    }


def test_no_other_process_gets_between(data: Path) -> None:
    """Not even a tool of SQLite's that does not know of the lock file, and only reads."""
    program = (
        "import sys, apsw\n"
        "try:\n"
        "    apsw.Connection(sys.argv[1]).execute('select * from queue').fetchall()\n"
        "except apsw.BusyError as error:\n"
        "    print(error)\n"
    )
    directory = DataDirectory(data)
    connection = directory.open_database()

    other = subprocess.run(
        [sys.executable, "-c", program, str(data / "q.db")],
        capture_output=True,
        text=True,
        check=True,
    )
    connection.close()
    directory.close()

    assert (other.stdout, other.stderr) == ("database is locked\n", "")


def test_sqlite_is_one_without_the_wal_reset_bug() -> None:
    """Releases before 3.51.3 could corrupt a database in WAL mode."""
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= (3, 51, 3)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (
            60_000,
            "; q.db-wal, 0.2 MiB, is to be written into q.db first. Nothing is lost: make room",
        ),
        (0, "Nothing is lost: make room there, and start q again"),
    ],
)
async def test_start_on_a_full_disk_says_what_to_do(tmp_path: Path, size: int, said: str) -> None:
    """And changes nothing: with room it starts."""
    data = tmp_path / "killed"
    await fill(tmp_path / "data", data)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        message = refusal_of(data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert message.startswith(f"the disk of {data} is full, or a quota is used up")
    assert said in message
    check_data_directory(data)
