"""Copying a large file, hardly holding up others that sync files on the same disk."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

#: Bytes that are copied, and synced, at a time: a sync of somebody else's may have to wait for
#: all that was written before it, and waits for these at most.
_PIECE_BYTES: Final = 1024 * 1024

#: What the system says where it cannot copy from one file to the other by itself.
_CANNOT: Final = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF}
)


def copy_synced(source: Path, target: Path, on_copied: Callable[[int], None]) -> None:
    """Copy a file that does not change to a new one, which is on disk then.

    Args:
        source: the file to read.
        target: the file to make, with the same permissions.
        on_copied: called with the bytes of each piece; what it raises ends the copying.

    Raises:
        OSError: it cannot be read or written.
    """
    with source.open("rb", buffering=0) as read, target.open("xb", buffering=0) as written:
        status = os.fstat(read.fileno())
        os.fchmod(written.fileno(), status.st_mode & 0o777)
        offset = 0
        while offset < status.st_size:
            size = min(_PIECE_BYTES, status.st_size - offset)
            copied = _copy_piece(read.fileno(), written.fileno(), offset, size)
            if not copied:
                raise OSError(errno.EIO, f"{source} ends before its {status.st_size} bytes")
            offset += copied
            _sync_data(written.fileno())
            on_copied(copied)
        os.fsync(written.fileno())


def _copy_piece(source: int, target: int, offset: int, size: int) -> int:
    """Copy a piece of a file to the same place in another; return how much that was."""
    if _copies_in_kernel:
        try:
            # The file system may have both share what is on disk.
            return os.copy_file_range(source, target, size, offset, offset)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
    piece = os.pread(source, size, offset)
    done = 0
    while done < len(piece):
        done += os.pwrite(target, piece[done:], offset + done)
    return done


_copies_in_kernel: Final = hasattr(os, "copy_file_range")

#: macOS has none that leaves out the time of the last change.
_sync_data: Final[Callable[[int], None]] = getattr(os, "fdatasync", os.fsync)
