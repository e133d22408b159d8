"""How far a long command is, on a terminal."""

import sys
import time
from types import TracebackType
from typing import Final, Self

#: Seconds between two looks of a person.
_PAUSE_S: Final = 0.1


class Progress:
    """One line on standard error, if that is a terminal, written over again and again."""

    def __init__(self, total: int | None, what: str, *, counted: int = 0) -> None:
        """Make one that shows nothing yet.

        Args:
            total: how much there is to do, if that is known.
            what: what is counted, for example `lines`.
            counted: how many there are already, which took no time of ours.
        """
        self._total = total
        self._what = what
        self._is_shown = sys.stderr is not None and sys.stderr.isatty()
        self._started = self._next = time.monotonic()
        self._counted = self._count = counted
        self._done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_shown:
            sys.stderr.write(f"\r{self._text()}\x1b[K\n")
            sys.stderr.flush()

    def show(self, count: int, done: int, total: int | None = None) -> None:
        """Show how many things are counted, and how much of the total is done.

        A `total` counts from now on: how much there is to do may be known only later.
        """
        self._count, self._done = count, done
        if total is not None:
            self._total = total
        now = time.monotonic()
        if self._is_shown and now >= self._next:
            self._next = now + _PAUSE_S
            sys.stderr.write(f"\r{self._text()}\x1b[K")
            sys.stderr.flush()

    def note(self, text: str) -> None:
        """Say something beside that, also where nothing else is shown."""
        clear = "\r\x1b[K" if self._is_shown else ""
        sys.stderr.write(f"{clear}qcli: {text}\n")
        sys.stderr.flush()

    def _text(self) -> str:
        took_s = max(time.monotonic() - self._started, 1e-9)
        text = f"{self._count:,} {self._what}, {(self._count - self._counted) / took_s:,.0f}/s"
        if self._total:
            share = min(self._done / self._total, 1.0)
            return f"{'#' * int(20 * share):<20} {share:4.0%}  {text}"
        return text
