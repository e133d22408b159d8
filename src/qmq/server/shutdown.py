"""How the server process ends: on a signal, after the requests in flight.

Before Envoy runs, TERM, INT and HUP are blocked, so that a thread of ours takes them: Envoy would
cut every connection.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from qmq.server.admin import Admin, AdminError
from qmq.server.systemd import (
    READY,
    STOPPING,
    is_under_systemd,
    tell_systemd,
)

_log = logging.getLogger(__name__)

#: The signals that the process is started with blocked.
HANDLED_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})

_END_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT})

#: Seconds between two looks at what is still in flight.
_LOOK_AGAIN_S: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown:
    """What to do when a signal comes."""

    admin: Admin
    #: The listeners whose requests are waited for, by their names in Envoy.
    listeners: tuple[str, ...]
    #: Counts the calls that the application has not answered yet.
    in_flight: Callable[[], int]
    #: Called once when draining begins, from the signal thread.
    drain: Callable[[], None]
    #: Seconds; asked when draining begins.
    drain_timeout_s: Callable[[], float]
    #: Called on HUP, from the signal thread.
    reload: Callable[[], None]
    #: Called when nothing is in flight: from then on the application refuses calls that
    #: come on open connections, so that none takes effect without an answer.
    close: Callable[[], None] = lambda: None

    def start(self) -> threading.Thread:
        """Start the thread that waits for signals."""
        thread = threading.Thread(target=self._wait_for_signals, name="signals", daemon=True)
        thread.start()
        return thread

    def _wait_for_signals(self) -> None:
        if is_under_systemd():
            while not self.admin.is_live():
                time.sleep(_LOOK_AGAIN_S)
            tell_systemd(READY)
        while (number := signal.sigwait(HANDLED_SIGNALS)) == signal.SIGHUP:
            try:
                self.reload()
            except Exception:  # noqa: BLE001
                # Whatever is wrong with it, nobody else takes the signals.
                _log.exception("cannot reload")
        _log.info("shutting down", extra={"signal": signal.Signals(number).name})
        tell_systemd(STOPPING)
        self._drain()
        self._exit()

    def _drain(self) -> None:
        """Wait until nothing is in flight, the time is up, or another signal comes."""
        deadline = time.monotonic() + self.drain_timeout_s()
        try:
            self.drain()
            self.admin.stop_accepting()
            if self._wait_for_calls(deadline):
                self.close()
                self._wait_for_calls(deadline)
        except AdminError as error:
            _log.warning("cannot drain", extra={"error": str(error)})

    def _wait_for_calls(self, deadline: float) -> bool:
        """Wait until nothing is in flight, and return whether that is so."""
        while (count := self._count_in_flight()) > 0:
            if time.monotonic() >= deadline:
                _log.warning(
                    "requests in flight are cut off",
                    extra={"count": count, "drain_timeout_s": self.drain_timeout_s()},
                )
                return False
            if signal.sigtimedwait(_END_SIGNALS, _LOOK_AGAIN_S):
                _log.warning(
                    "second signal: requests in flight are cut off", extra={"count": count}
                )
                return False
        return True

    def _count_in_flight(self) -> int:
        return self.in_flight() or sum(map(self.admin.active, self.listeners))

    @staticmethod
    def _exit() -> None:
        """Let Envoy end the process: it runs the applications' shutdown, and exits with 0."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.kill(os.getpid(), signal.SIGTERM)


def request_shutdown() -> None:
    """Ask this process to end as TERM does."""
    os.kill(os.getpid(), signal.SIGTERM)
