"""The data directory: its owner, the process that holds it, and the database in it."""

import contextlib
import fcntl
import io
import os
from pathlib import Path
from typing import Final

import apsw

from qmq.errors import DataDirectoryError
from qmq.limits import LOG_PAGES_MAX
from qmq.store.local.broken_log import Mark, problem_of
from qmq.store.local.checksums import (
    CHECKSUMS_FORMAT,
    begin_checksums,
    database_vfs,
    has_checksums,
    is_damage,
    unreadable,
)
from qmq.store.local.room import NO_ROOM, has_room, is_for_want_of_room, sync_data
from qmq.store.sql import load_migrations

DATABASE: Final = "q.db"
#: SQLite's log of what is to be written into it.
LOG: Final = f"{DATABASE}-wal"
LOCK: Final = "q.lock"
#: A file system's own, found in any freshly mounted volume.
_NOT_FOREIGN = {"lost+found"}
#: The first release of SQLite in which two connections cannot corrupt a database in WAL mode.
_SQLITE_MIN = (3, 51, 3)


class DataDirectory:
    """A data directory that this process alone holds, until `close` or its end."""

    def __init__(self, path: Path) -> None:
        """Create the directory if needed, and lock it.

        Raises:
            DataDirectoryError: it cannot be made or written, holds something else than
                q's data, or another process holds it.
        """
        self.path = path
        #: A descriptor of the database, once it is open. It must not be closed before SQLite's
        #: own are: that would let go of the locks that this process has on the file.
        self._database_fd = -1
        try:
            _make_directory(path)
            _refuse_foreign(path)
            self._lock = _lock(path)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise _no_room(path) from error
            reason = "it is a file" if path.is_file() else error.strerror or error
            raise DataDirectoryError(
                f"cannot use data directory {path}: {reason};"
                " give a directory that this user can write, by --data DIR"
            ) from error

    def close(self) -> None:
        """Let go of the directory, whose connections are closed; to do so again does nothing."""
        if self._database_fd >= 0:
            os.close(self._database_fd)
            self._database_fd = -1
        self._lock.close()

    def open_database(self, *, needs_room: bool = True) -> apsw.Connection:
        """Open the database, creating or migrating it as needed.

        Its log holds nothing then, and no commit writes it back into the database: see
        `qmq.store.local.checkpoints`.

        Args:
            needs_room: whether it is an error that the disk has no room for what the log holds.
                Otherwise that stays there, and is synced.

        Raises:
            DataDirectoryError: it is none of q's, made by a newer q, or cannot be opened
                the way q needs it.
        """
        path = self.path / DATABASE
        is_new = not path.exists()
        system_errno = 0
        try:
            connection = apsw.Connection(str(path), vfs=database_vfs())
            # What cannot be read stays as it is.
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            try:
                version = refuse_unknown(connection, path)
                _refuse_broken_log(connection, self.path)
                if version >= CHECKSUMS_FORMAT and not (self.path / LOG).exists():
                    _refuse_unchecked(connection, path)
                _make_durable(connection, path)
                _migrate(connection)
                connection.create_scalar_function("append_bytes", _append_bytes, 2)
                _write_log_back(connection, needs_room=needs_room)
                _refuse_unchecked(connection, path)
                connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
            except BaseException:
                system_errno = connection.system_errno
                connection.close()
                raise
        except apsw.Error as error:
            raise self._unopened(error, system_errno) from error
        if is_new:
            sync_directory(self.path)
        return connection

    def open_beside(self) -> apsw.Connection:
        """Open the database, which `open_database` has made ready, a second time.

        Raises:
            DataDirectoryError: it cannot be opened.
        """
        path = self.path / DATABASE
        try:
            connection = apsw.Connection(str(path), vfs=database_vfs())
            try:
                _make_durable(connection, path)
                _refuse_unchecked(connection, path)
            except BaseException:
                connection.close()
                raise
        except apsw.Error as error:
            raise self._unopened(error) from error
        return connection

    def _unopened(self, error: apsw.Error, system_errno: int = 0) -> DataDirectoryError:
        if is_damage(error):
            return unreadable(self.path, error)
        if is_for_want_of_room(error, system_errno):
            return _no_room(self.path)
        return DataDirectoryError(f"cannot open {self.path / DATABASE}: {error}")

    def database_file(self) -> int:
        """Return a descriptor of the database's file, which `close` closes.

        Raises:
            OSError: it cannot be opened.
        """
        if self._database_fd < 0:
            self._database_fd = os.open(self.path / DATABASE, os.O_RDWR | os.O_CLOEXEC)
        return self._database_fd

    def has_room(self) -> bool:
        """Find out whether the disk takes some megabytes, by writing them."""
        return has_room(self.path)

    def sync_database(self) -> None:
        """Make sure that what was written to the database's file is on disk, if not in its log.

        Raises:
            OSError: it may not be.
        """
        sync_data(self.database_file())


def _no_room(path: Path) -> DataDirectoryError:
    """Return what is said where a start finds no room for what it has to write."""
    log = path / LOG
    size = log.stat().st_size if log.exists() else 0
    first = (
        f"; {LOG}, {size / 2**20:.1f} MiB, is to be written into {DATABASE} first" if size else ""
    )
    return DataDirectoryError(
        f"the disk of {path} is full, or a quota is used up{first}."
        " Nothing is lost: make room there, and start q again"
    )


def _write_log_back(connection: apsw.Connection, *, needs_room: bool) -> None:
    """Write back what the log holds, which is synced before anything else is done."""
    try:
        connection.wal_checkpoint()
    except apsw.Error as error:
        if needs_room or not is_for_want_of_room(error, connection.system_errno):
            raise


def _make_directory(path: Path) -> None:
    """Create a directory and its parents, and make their entries durable."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for made in missing:
        sync_directory(made.parent)


def sync_directory(path: Path) -> None:
    """Make a directory's entries durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _refuse_foreign(path: Path) -> None:
    """Refuse a directory that holds somebody else's files."""
    names = {entry.name for entry in path.iterdir()} - _NOT_FOREIGN
    if names and names.isdisjoint((DATABASE, LOCK)):
        raise DataDirectoryError(
            f"{path} is not a data directory of q: it holds {min(names)!r} and no {DATABASE};"
            " give an empty or new directory by --data DIR"
        )


class DirectoryHeld(Exception):
    """Another process holds a data directory."""

    def __init__(self, holder: str) -> None:
        """Take the number of that process, as it has written it down."""
        super().__init__(holder)
        self.holder = holder


def lock_directory(path: Path, *, makes: bool = False) -> io.FileIO | None:
    """Lock a data directory until the file that is returned is closed, or this process ends.

    Args:
        path: the directory.
        makes: whether the file is made that is locked, if there is none.

    Returns:
        None where there is no such file, and it is not made: that is a copy which somebody made
        of the database alone, and no q uses it.

    Raises:
        DirectoryHeld: another process has locked it.
        OSError: the file cannot be opened.
    """
    flags = os.O_RDWR | os.O_CREAT if makes else os.O_RDONLY
    try:
        file = io.FileIO(os.open(path / LOCK, flags | os.O_CLOEXEC, 0o644), "r+" if makes else "r")
    except FileNotFoundError:
        if makes:
            raise
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = file.read(32).decode(errors="replace").strip() or "unknown"
        file.close()
        raise DirectoryHeld(holder) from None
    except BaseException:
        file.close()
        raise
    return file


def _lock(path: Path) -> io.FileIO:
    """Lock a data directory for this process's life and write our process id into it."""
    try:
        lock = lock_directory(path, makes=True)
    except DirectoryHeld as held:
        raise DataDirectoryError(
            f"data directory {path} is in use by process {held.holder};"
            " stop that q first, or give another directory by --data DIR"
        ) from None
    assert lock, "it was made"
    try:
        lock.truncate(0)
        os.pwrite(lock.fileno(), f"{os.getpid()}\n".encode(), 0)
    except BaseException:
        lock.close()
        raise
    return lock


def refuse_unknown(connection: apsw.Connection, path: Path) -> int:
    """Refuse a database that is not q's or that a newer q has written.

    Args:
        connection: one to the database, which was just opened.
        path: its file.

    Returns:
        Its format; 0 if there is nothing in it yet.

    Raises:
        DataDirectoryError: it is refused.
    """
    try:
        application_id = connection.pragma("application_id")
    except apsw.NotADBError:
        raise DataDirectoryError(
            f"{path} is no database, or its first page is damaged;"
            " move it away or give another directory by --data DIR"
        ) from None
    version = connection.pragma("user_version")
    tables = connection.execute("select count(*) from sqlite_schema").get
    if application_id not in set(Mark) and (application_id, version, tables) != (0, 0, 0):
        raise DataDirectoryError(
            f"{path} is the database of another program; give another directory by --data DIR"
        )
    known = len(load_migrations(__package__))
    if version > known:
        raise DataDirectoryError(
            f"{path} has format {version}, written by a newer q; this q reads up to format"
            f" {known}: upgrade q, or give another directory by --data DIR"
        )
    return int(version)


def _make_durable(connection: apsw.Connection, path: Path) -> None:
    """Set what durability and speed rest on, and read it back."""
    if tuple(map(int, apsw.sqlite_lib_version().split("."))) < _SQLITE_MIN:
        raise DataDirectoryError(
            f"SQLite {apsw.sqlite_lib_version()} can corrupt {path}: install a newer apsw"
        )
    wanted = (
        ("journal_mode", "wal"),
        # FULL (2) syncs the WAL in every commit; NORMAL, which the journal sets for a commit
        # that nobody needs synced, does not.
        ("synchronous", 2),
    )
    for pragma, value in wanted:
        connection.pragma(pragma, value)
        if (got := connection.pragma(pragma)) != value:
            raise DataDirectoryError(f"{path}: SQLite keeps {pragma} at {got!r}, not {value!r}")
    # Where fsync leaves data in the drive's cache (macOS), ask for more.
    connection.pragma("fullfsync", 1)
    connection.pragma("checkpoint_fullfsync", 1)
    # Or a commit would write the log back into the database, while everybody waits for it.
    connection.wal_autocheckpoint(0)
    # One large batch does not leave a large log for ever.
    connection.pragma("journal_size_limit", LOG_PAGES_MAX * connection.pragma("page_size"))


def broken_log(connection: apsw.Connection, path: Path) -> str:
    """Return what is wrong with the log, as a sentence without a stop; empty if nothing is.

    Args:
        connection: one to the database, which was just opened.
        path: the data directory.
    """
    taken, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
    return problem_of(path / LOG, max(0, taken))


def _refuse_broken_log(connection: apsw.Connection, path: Path) -> None:
    """Refuse a log of which SQLite takes only a part, since the rest was damaged."""
    if problem := broken_log(connection, path):
        raise DataDirectoryError(
            f"{problem}. To serve nothing wrong, q serves nothing: put back a backup of {path}"
        )


def _refuse_unchecked(connection: apsw.Connection, path: Path) -> None:
    """Refuse to work with pages that nobody compares with their checksums."""
    if not has_checksums(connection):
        raise DataDirectoryError(
            f"the first page of {path} is damaged: it does not say that pages have checksums. To"
            f" serve nothing wrong, q serves nothing of it: put back a backup of {path.parent}"
        )


def _append_bytes(*parts: "apsw.SQLiteValue") -> bytes:
    return b"".join(part for part in parts if isinstance(part, bytes))


def _migrate(connection: apsw.Connection) -> None:
    """Bring the schema to the newest format, one transaction a step."""
    version = connection.pragma("user_version")
    if version < CHECKSUMS_FORMAT:
        begin_checksums(connection)
    for migration in load_migrations(__package__)[version:]:
        with connection:
            connection.execute(migration.script)
            connection.pragma("application_id", Mark.SYNCED)
            connection.pragma("user_version", migration.version)
    if connection.pragma("application_id") != Mark.SYNCED:
        connection.pragma("application_id", Mark.SYNCED)


def check_data_directory(path: Path) -> None:
    """Find out whether `path` could be used now, and let go of it again.

    Raises:
        DataDirectoryError: it could not, and why.
    """
    with contextlib.closing(DataDirectory(path)) as directory:
        directory.open_database().close()
