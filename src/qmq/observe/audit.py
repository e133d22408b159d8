"""The audit log: managing calls, and refused ones. It has no payloads and no secrets."""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from qmq.errors import AccessDenied, QError

#: What `--audit-log` takes for q's own log, and for none.
TO_LOG: Final = "log"
TO_NOTHING: Final = "none"

#: Refusals that are noted in a second, on average and at once; of others it is said how many
#: there were. An attacker could fill a disk with them.
_REFUSALS_PER_S: Final = 10.0
_REFUSALS_AT_ONCE: Final = 100.0

#: Characters of what a caller has said that are noted.
_CHARS_MAX: Final = 200

_log = logging.getLogger("qmq.audit")

#: Writes what was noted.
Write = Callable[[Mapping[str, Any]], None]


class AuditFile:
    """Lines of JSON at the end of a file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        """Open it, or make it.

        Raises:
            OSError: it cannot be written.
        """
        self._path = path
        self._descriptor = self._opened()
        self._has_failed = False
        #: Whether it ends with a part of a line, for the rest of which there was no room.
        self._is_torn = False

    def _opened(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.open(self._path, flags, 0o600)

    def reopen(self) -> None:
        """Go on in the file that has the name now: the former one may have been renamed."""
        try:
            former, self._descriptor = self._descriptor, self._opened()
        except OSError as error:
            _log.warning("cannot open the audit log anew", extra={"error": str(error)})
            return
        self._is_torn = False
        os.close(former)

    def write(self, fields: Mapping[str, Any]) -> None:
        """Add a line; that it failed is in q's log, once until it goes on."""
        text = json.dumps({"ts": round(time.time(), 6), **fields}, ensure_ascii=False)
        line = b"\n" * self._is_torn + text.encode(errors="replace") + b"\n"
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            self._fail(str(error))
            return
        if written == len(line):
            self._has_failed = self._is_torn = False
        else:
            self._is_torn = True
            self._fail("there was no room for a whole line")

    def _fail(self, error: str) -> None:
        if not self._has_failed:
            fields = {"error": error, "path": str(self._path)}
            _log.error("cannot write the audit log", extra=fields)
        self._has_failed = True


def to_log(fields: Mapping[str, Any]) -> None:
    """Write what was noted into q's own log."""
    _log.info("audit", extra=dict(fields))


def to_nothing(_: Mapping[str, Any]) -> None:
    """Write nothing."""


class Audit:
    """Notes managing calls and refused ones."""

    def __init__(
        self,
        write: Write,
        now_s: Callable[[], float] = time.monotonic,
        *,
        reopen: Callable[[], None] = lambda: None,
    ) -> None:
        """Make one.

        Args:
            write: keeps what is noted.
            now_s: tells the present, in seconds of a clock that nobody sets.
            reopen: has it kept in another file, where it is in one that was renamed.
        """
        self.reopen = reopen
        self._write = write
        self._now_s = now_s
        self._room = _REFUSALS_AT_ONCE
        self._since_s = now_s()
        self._left_out = 0

    def called(  # noqa: PLR0913 - What there is to say, each by name.
        self,
        scope: Mapping[str, Any],
        *,
        identity: str,
        by: str,
        method: str,
        queue: str,
        outcome: str,
        more: Mapping[str, str] = {},
    ) -> None:
        """Note a call that manages something.

        Args:
            scope: the call.
            identity: who called.
            by: what told that.
            method: its name.
            queue: what it was about, as the caller said it.
            outcome: OK, or the reason of the error.
            more: what else it was about, as the caller said it.
        """
        self._write(
            {
                "event": "call",
                "identity": identity,
                "by": by,
                "method": method,
                "queue": queue[:_CHARS_MAX],
                **{name: text[:_CHARS_MAX] for name, text in more.items()},
                "outcome": outcome,
                **_origin(scope),
            }
        )

    def refused(self, scope: Mapping[str, Any], identity: str, by: str, error: QError) -> None:
        """Note a call that was refused, unless there are too many; see `transport.guarding`."""
        now_s = self._now_s()
        since_s, self._since_s = self._since_s, now_s
        self._room = min(_REFUSALS_AT_ONCE, self._room + (now_s - since_s) * _REFUSALS_PER_S)
        if self._room < 1:
            self._left_out += 1
            return
        self._room -= 1
        left_out, self._left_out = self._left_out, 0
        why = {"why": error.message[:_CHARS_MAX]} if isinstance(error, AccessDenied) else {}
        self._write(
            {
                "event": "refused",
                "identity": identity,
                "by": by,
                "method": str(scope.get("path", ""))[:_CHARS_MAX],
                "outcome": error.reason,
                **why,
                **_origin(scope),
                **({"left_out_before": left_out} if left_out else {}),
            }
        )


def _origin(scope: Mapping[str, Any]) -> dict[str, str]:
    """Return where a call came from, as far as that is known."""
    client = scope.get("client")
    origin = {"remote": f"{client[0]}:{client[1]}" if client else ""}
    for name, value in scope.get("headers", ()):
        if name == b"x-request-id":
            origin["request_id"] = value[:_CHARS_MAX].decode(errors="replace")
        elif name == b"q-forwarded":
            # Said by another q of the cluster, or by whoever reaches this one and lies.
            origin["forwarded_for"] = value[:_CHARS_MAX].decode(errors="replace")
    return origin
