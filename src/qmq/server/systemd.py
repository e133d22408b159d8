"""Tells systemd how the program does, or whoever else has started it and wants to know."""

import os
import socket
from contextlib import suppress
from typing import Final

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"

_SOCKET: Final = "NOTIFY_SOCKET"


def is_under_systemd() -> bool:
    """Tell whether the program was started by who wants to know how it does."""
    return bool(os.environ.get(_SOCKET))


def tell_systemd(state: str) -> None:
    """Tell a state such as `READY`, where there is somebody to tell.

    It is no concern of the program whether that is heard. See sd_notify(3).
    """
    if not is_under_systemd():
        return
    path = os.environ[_SOCKET]
    # One that is no file, but a name alone.
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(state.encode(), address)
