"""Checking a data directory that no q holds, without a change to it."""

from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from qmq.errors import DataDirectoryError
from qmq.model.check import problems_of
from qmq.model.index import seqs_of
from qmq.model.redrive import redrive_of
from qmq.model.schedule import schedule_of
from qmq.store.local.checksums import CHECKSUMS_FORMAT, database_vfs, has_checksums, is_damage
from qmq.store.local.directory import (
    DATABASE,
    LOCK,
    LOG,
    DirectoryHeld,
    broken_log,
    lock_directory,
    refuse_unknown,
)
from qmq.store.local.loading import load
from qmq.store.rebuilding import Found
from qmq.store.together import Together
from qmq.values import NS_PER_S

#: Tables by which queues and messages are rebuilt, and what a row of each is about.
_TABLES: Final = {
    "queue": "a queue: its settings and tags, and all of its messages with it",
    "message": "a message",
    "delivery": "how a message was handed out and fails, or its options",
    "lease": "messages that were leased together",
    "gone": "messages that have left, and would come back",
    "redrive": "a redrive",
    "schedule": "a schedule",
    "dedup": "a dedup_id that is remembered",
    "sequence": "the highest number of a message",
    "clock": "the clock by which moments are told",
}
#: Those whose rows are known by the moment at which a message came.
_BY_MOMENT: Final = {"message", "delivery", "lease", "dedup"}

#: Problems that SQLite looks for at most.
_PROBLEMS_MAX: Final = 1_000

_ROWID_MAX: Final = (1 << 63) - 1


class Verdict(NamedTuple):
    """What was found in a data directory."""

    #: What is wrong, a sentence each.
    problems: list[str]
    #: How many queues there are, and messages in them; 0 where that cannot be known.
    queues: int = 0
    messages: int = 0


def _tell_nobody(read: int, done: int, total: int) -> None:
    """Say nothing of how far it is."""


def check_directory(
    path: Path, on_progress: Callable[[int, int, int], None] = _tell_nobody
) -> Verdict:
    """Look at all that is in the database of a data directory.

    Args:
        path: the data directory.
        on_progress: called now and then with the number of messages that were read, and how many
            of how many pages; by default, nobody is told.

    Raises:
        DataDirectoryError: it cannot be checked: there is none, it cannot be read, it has another
            format, or a q that is running holds it.
    """
    with ExitStack() as undo:
        _hold(path, undo)
        file = path / DATABASE
        try:
            connection = undo.enter_context(closing(open_to_read(path)))
            version = refuse_unknown(connection, file)
            if version < CHECKSUMS_FORMAT:
                raise DataDirectoryError(
                    f"{file} has format {version}, without checksums; q brings it to its format"
                    " when it is started"
                )
            return _look(connection, path, on_progress)
        except apsw.Error as error:
            if is_damage(error):
                return Verdict([f"{file}: its first page or its tables' is damaged ({error})"])
            raise DataDirectoryError(f"cannot read {file}: {error}") from error


def _look(
    connection: apsw.Connection, path: Path, on_progress: Callable[[int, int, int], None]
) -> Verdict:
    file = path / DATABASE
    problems = list(filter(None, [broken_log(connection, path)]))
    if not has_checksums(connection):
        problems.append(f"{file}: its first page does not say that pages have checksums")
    rows, found = 0, None
    pages = connection.pragma("page_count")

    def count(table: str) -> None:
        nonlocal rows
        rows += table == "message"
        if rows & 0xFFF == 0:
            read, _ = connection.status(apsw.SQLITE_DBSTATUS_CACHE_MISS)
            on_progress(rows, min(read, pages), pages)

    for table, about in _TABLES.items():
        problems += (f"{file}: {each}" for each in _unreadable(connection, table, about, count))
    problems += (f"{file}: {each}" for each in _problems_of_tree(connection))
    try:
        found = load(connection, Together(), lambda _read, _total: None)
        problems += _problems_of_model(found)
        if (known := found.live + _rows_left(connection, found)) != rows:
            problems.append(f"{file}: {rows} messages have rows, and {known} are known")
    except (apsw.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        if not problems:
            problems.append(
                f"{file}: its rows do not go together ({type(error).__name__}: {error})"
            )
    return Verdict(problems, len(found.queues), found.live) if found else Verdict(problems)


def _hold(path: Path, undo: ExitStack) -> None:
    """Keep any q from using a data directory meanwhile."""
    if not (path / DATABASE).exists():
        raise DataDirectoryError(f"{path} is not a data directory of q: it holds no {DATABASE}")
    try:
        lock = lock_directory(path)
    except DirectoryHeld as held:
        raise DataDirectoryError(
            f"data directory {path} is in use by process {held.holder};"
            " stop that q first, or check a copy"
        ) from None
    except OSError as error:
        raise DataDirectoryError(f"cannot read {path / LOCK}: {error.strerror}") from error
    if lock:
        undo.enter_context(lock)


def open_to_read(path: Path) -> apsw.Connection:
    """Open a database that nobody else has open, so that nothing is written or made."""
    file, vfs = path / DATABASE, database_vfs()
    if (path / LOG).exists():
        # One that may only read would make a file of memory that processes share.
        connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs)
        connection.pragma("query_only", 1)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return connection
    # SQLite would make a log even to read, but for a file that it is told never changes.
    return apsw.Connection(
        f"{file.absolute().as_uri()}?immutable=1",
        flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
        vfs=vfs,
    )


def _unreadable(
    connection: apsw.Connection, table: str, about: str, count: Callable[[str], None]
) -> Iterator[str]:
    """Read all rows of a table, and tell of those that cannot be read."""
    # By the key of a row that can be read, since SQLite looks at the page of the one before, too.
    all_rows = f"select rowid, * from {table} where rowid >= ? order by rowid"  # noqa: S608 - Ours.
    last, begin = -1, 0
    while True:
        try:
            for rowid, *_ in connection.execute(all_rows, (begin,)):
                last = rowid
                count(table)
        except apsw.Error as error:
            if not is_damage(error):
                raise
        else:
            return
        following = _next_readable(connection, table, last)
        if following is not None and _is_damaged(connection, table, following):
            # Its key can be read, and the rest cannot.
            yield f"table {table}: row {_named(table, following)} is damaged: {about}"
            count(table)
            last, begin = following, following + 1
            continue
        start = "the first one" if last < 0 else _named(table, last)
        end = "the last one" if following is None else _named(table, following)
        yield f"table {table}: no row after {start} and before {end} can be read, each {about}"
        if following is None:
            return
        begin = following


def _next_readable(connection: apsw.Connection, table: str, last: int) -> int | None:
    """Return the key of the first row behind damage that can be found; None if there is none."""
    key = f"select rowid from {table} where rowid >= ? order by rowid limit 1"  # noqa: S608 - Ours.

    def found(begin: int) -> int | None:
        try:
            rowid = connection.execute(key, (begin,)).get
        except apsw.Error as error:
            if not is_damage(error):
                raise
            return None
        return _ROWID_MAX if rowid is None else int(rowid)

    bad, good = last, last + 1
    while found(good) is None:
        if good == _ROWID_MAX:
            return None
        bad, good = good, min(_ROWID_MAX, last + 2 * (good - last))
    while good - bad > 1:
        middle = (bad + good) // 2
        if found(middle) is None:
            bad = middle
        else:
            good = middle
    rowid = found(good)
    return None if rowid == _ROWID_MAX else rowid


def _is_damaged(connection: apsw.Connection, table: str, rowid: int) -> bool:
    try:
        connection.execute(f"select * from {table} where rowid = ?", (rowid,)).fetchall()  # noqa: S608 - Ours.
    except apsw.Error as error:
        return is_damage(error)
    return False


def _named(table: str, rowid: int) -> str:
    """Return a key as people know it."""
    if table not in _BY_MOMENT:
        return str(rowid)
    came = datetime.fromtimestamp(min(rowid // NS_PER_S, 253_402_300_799), UTC)
    return f"{rowid} ({came:%Y-%m-%dT%H:%M:%SZ})"


def _problems_of_tree(connection: apsw.Connection) -> list[str]:
    """Return what SQLite itself finds, which looks at every page in use."""
    try:
        lines = connection.execute(f"pragma integrity_check({_PROBLEMS_MAX})").fetchall()
    except apsw.Error as error:
        if not is_damage(error):
            raise
        return [f"SQLite cannot go through it ({error})"]
    return [" ".join(str(line).split()) for (line,) in lines if line != "ok"]


def _rows_left(connection: apsw.Connection, found: Found) -> int:
    """Count the rows of messages that have left their queues."""
    there = "select count(*) from message where seq in (select value from carray(?))"
    seqs = array("q", seqs_of(found.gone))
    return int(connection.execute(there, (apsw.carray(seqs),)).get) if seqs else 0


def _problems_of_model(found: Found) -> Iterator[str]:
    """Return what does not hold of the queues that the rows make."""
    ids = {queue.info.id for queue in found.queues}
    for queue in found.queues:
        named = queue.info.name or queue.info.id
        yield from (f"queue {named}: {problem}" for problem in problems_of(queue))
        dead = queue.info.settings.dead_letter_queue_id
        if dead and dead not in ids:
            yield f"queue {named}: its dead-letter queue {dead} is not there"
    for _, redrive in found.redrives:
        redrive_of(redrive)
    for _, schedule in found.schedules:
        schedule_of(schedule)
