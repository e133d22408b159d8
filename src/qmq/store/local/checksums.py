"""Each page of the database ends with a checksum, so that damage is found and never read.

SQLite's own extension for that, cksumvfs, is a file system for SQLite: it writes the checksum
when a page goes from the log into the database's file, and compares it when the page is read
from there. What is in the log has checksums by SQLite itself. See https://sqlite.org/cksumvfs.html.
"""

import threading
from contextlib import closing
from pathlib import Path
from typing import Final

import apsw
import apsw.sqlite_extra

from qmq.errors import DataDirectoryError

#: The format from which on databases have them.
CHECKSUMS_FORMAT: Final = 5

#: What a checksum takes at the end of a page, which also says that there is one.
RESERVED_BYTES: Final = 8

#: SQLite's own file system; and the one by which it locks a database against all other
#: processes, once, and yet lets this one have several connections to it.
_PLAIN: Final = "unix"
_EXCLUSIVE: Final = "unix-excl"
#: The one with checksums, as its extension calls it.
_CHECKING: Final = "cksmvfs"
_EXTENSION: Final = "cksumvfs"

_registering = threading.Lock()


def checking_vfs() -> str:
    """Return SQLite's file system for databases, made known to it by the first call.

    Raises:
        DataDirectoryError: this apsw has none with checksums.
    """
    with _registering:
        names = apsw.vfs_names()
        if _CHECKING not in names:
            default = names[0]
            # It is put before the one that is the default then, and becomes the default.
            apsw.set_default_vfs(_EXCLUSIVE)
            try:
                with closing(apsw.Connection(":memory:")) as connection:
                    apsw.sqlite_extra.load(connection, _EXTENSION)
            except (LookupError, apsw.sqlite_extra.NotAvailable, apsw.Error) as error:
                raise DataDirectoryError(
                    f"this apsw comes without SQLite's checksums ({error}): install it as a wheel"
                    " from PyPI"
                ) from error
            finally:
                apsw.set_default_vfs(default)
    return _CHECKING


def database_vfs() -> str:
    """Return the file system for SQLite to use: a default of this process's own goes before.

    Raises:
        DataDirectoryError: this apsw has none with checksums.
    """
    checking, default = checking_vfs(), apsw.vfs_names()[0]
    return checking if default == _PLAIN else default


def begin_checksums(connection: apsw.Connection) -> None:
    """Write a database anew, with room for a checksum on each page: in one transaction."""
    connection.reserve_bytes(reserve=RESERVED_BYTES)
    connection.execute("vacuum")


def has_checksums(connection: apsw.Connection) -> bool:
    """Whether pages that are read from a database's file are compared with their checksums."""
    return bool(connection.pragma("checksum_verification"))


def is_damage(error: BaseException) -> bool:
    """Whether SQLite failed since what it has read is not what was written."""
    return isinstance(error, apsw.CorruptError | apsw.NotADBError) or (
        isinstance(error, apsw.IOError)
        and getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA
    )


def unreadable(path: Path, error: apsw.Error) -> DataDirectoryError:
    """Return the error that tells why a data directory's database cannot be read, and what to do.

    Args:
        path: the data directory.
        error: what SQLite said.
    """
    if is_damage(error):
        return DataDirectoryError(
            f"the database in {path} is damaged: what was read is not what was written ({error})."
            " To serve nothing wrong, q serves nothing of it. See what is affected by `q check"
            f" {path}`, and put back a backup, or give another directory by --data DIR"
        )
    return DataDirectoryError(
        f"cannot read the database in {path}: {error}; put back a copy of it, or"
        " give another directory by --data DIR"
    )
