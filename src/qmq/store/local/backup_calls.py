"""How `q backup` and the q that holds the data directory talk: a socket in the directory.

Whoever connects holds the database's file, for as long as the connection lasts:

 1. The server says HELD, and the moment that the file stands for, when it holds all that was
    acknowledged before and does not change any more; or it says REFUSED, and why.
 2. The client copies the file, and says COPIED.
 3. The server says so, too, if it has held the file all the time, and lets go of it.
 4. The client says KEPT when the copy is in its place.

Each of these is a line. A connection that ends lets go: so does a client that is killed. Only
who owns the directory can connect.
"""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

#: The socket, in the data directory.
SOCKET: Final = "q.sock"

HELD: Final = "held"
REFUSED: Final = "refused"
COPIED: Final = "copied"
KEPT: Final = "kept"

#: Bytes that a line has at most.
LINE_BYTES_MAX: Final = 4096

#: Of a socket's path, as Linux and macOS both have it, without the byte that ends it.
_PATH_BYTES_MAX: Final = 103


def listen_in(directory: Path) -> socket.socket:
    """Make the socket in a data directory that this process holds, and listen.

    Raises:
        OSError: the file system has no sockets, say.
    """
    (directory / SOCKET).unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _at_path(directory, listening.bind)
        # Nobody can connect before it listens.
        (directory / SOCKET).chmod(0o600)
        listening.listen()
    except BaseException:
        listening.close()
        raise
    return listening


def connect_in(directory: Path) -> socket.socket:
    """Connect to the q that holds a data directory.

    Raises:
        OSError: there is none that listens, or it is another user's.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _at_path(directory, connection.connect)
    except BaseException:
        connection.close()
        raise
    return connection


def _at_path(directory: Path, call: Callable[[str], None]) -> None:
    """Call something with the path of the socket, which may be longer than sockets allow."""
    path = directory / SOCKET
    if len(os.fsencode(path)) <= _PATH_BYTES_MAX:
        call(str(path))
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        call(f"/proc/self/fd/{descriptor}/{SOCKET}")
    finally:
        os.close(descriptor)
