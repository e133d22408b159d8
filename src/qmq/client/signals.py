"""Ending by SIGINT and SIGTERM what goes on until it is told to end."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def caught(on_signal: Callable[[], None]) -> Iterator[None]:
    """Call `on_signal` instead of ending the program, once: a second signal does what it did.

    In other threads than the main one, which gets no signals, this does nothing.
    """
    before: dict[int, Callable[..., Any] | int | None] = {}

    def restore() -> None:
        while before:
            signal.signal(*before.popitem())

    def handle(_number: int, _frame: FrameType | None) -> None:
        restore()
        on_signal()

    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            # Who started the program may want it to ignore one, as nohup does.
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
