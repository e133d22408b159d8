"""Ctrl-C and SIGTERM, at moments when nothing is lost by them."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from threading import Thread
from types import FrameType, TracebackType
from typing import Any, Final, Self

from qmq.cli.failures import INTERRUPTED

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """Somebody wants the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__()
        #: As a shell reports a program that the signal ended.
        self.exit_code = INTERRUPTED - signal.SIGINT + number


class _Mode(Enum):
    """What a signal does."""

    #: It raises Interrupted.
    ENDS = auto()
    #: The first is noted, the second raises.
    INSISTS = auto()
    #: It is noted.
    WAITS = auto()


class _Attended:
    """Work in a thread of its own, with a byte at its end."""

    def __init__(self, work: Callable[[], None], end: socket.socket) -> None:
        self._work = work
        self._end = end
        self.is_over = False
        self.error: BaseException | None = None
        self.thread = Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - Who waits for it raises it.
            self.error = error
        finally:
            self.is_over = True
            self._end.send(b"\0")


class Stop:
    """Within `with`, both signals raise Interrupted: at once, or as soon as it does no harm."""

    def __init__(self) -> None:
        self._mode = _Mode.ENDS
        self._noted: list[int] = []
        self._before: dict[int, Callable[..., Any] | int | None] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            # Who started this program may want it to ignore one, as nohup does.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let what is within come to its end first, unless a second signal comes."""
        with self._in(_Mode.INSISTS):
            yield
        if self._noted:
            raise self.interrupted()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let what is within come to its end; it may look whether somebody `insists`."""
        with self._in(_Mode.WAITS):
            yield

    def attend(self, work: Callable[[], None], tell: Callable[[], None]) -> None:
        """Do work to its end in a thread of its own, and call `tell` after each signal.

        The main thread, which handles signals, waits for bytes on a socket meanwhile, since a
        signal that comes to another thread does not end its waiting for a lock. Raises what
        the work raises, and Interrupted if there were signals.
        """
        reader, writer = socket.socketpair()
        with reader, writer, self._in(_Mode.WAITS):
            writer.setblocking(False)  # noqa: FBT003 - It has no name.
            before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
            try:
                attended = _Attended(work, writer)
                told = 0
                while not attended.is_over:
                    reader.recv(1)
                    if len(self._noted) > told:
                        told = len(self._noted)
                        tell()
                attended.thread.join()
            finally:
                signal.set_wakeup_fd(before)
        if attended.error:
            raise attended.error
        if self._noted:
            raise self.interrupted()

    @property
    def insists(self) -> bool:
        """Whether a second signal has come."""
        return len(self._noted) > 1

    def interrupted(self) -> Interrupted:
        """Return what the signals that were noted raise in the end."""
        return Interrupted(self._noted[0])

    @contextmanager
    def _in(self, mode: _Mode) -> Iterator[None]:
        before, self._mode = self._mode, mode
        try:
            yield
        finally:
            self._mode = before

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._noted.append(number)
        if self._mode is _Mode.ENDS or (self._mode is _Mode.INSISTS and self.insists):
            raise self.interrupted()
