"""How far a long command is, on a terminal."""

import sys
import time
from types import TracebackType
from typing import Final, Self

#: Seconds between two looks of a person.
_PAUSE_S: Final = 0.1


class Progress:
    """One line on standard error, if that is a terminal, written over again and again."""

    def __init__(self, bytes_total: int | None) -> None:
        """Make one that shows nothing yet.

        Args:
            bytes_total: how much there is to do, if that is known.
        """
        self._bytes_total = bytes_total
        self._is_shown = sys.stderr is not None and sys.stderr.isatty()
        self._started = self._next = time.monotonic()
        self._lines = self._bytes = 0

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

    def show(self, lines: int, size: int) -> None:
        """Show how many lines, and bytes of standard input, are done."""
        self._lines, self._bytes = lines, size
        now = time.monotonic()
        if self._is_shown and now >= self._next:
            self._next = now + _PAUSE_S
            sys.stderr.write(f"\r{self._text()}\x1b[K")
            sys.stderr.flush()

    def _text(self) -> str:
        took_s = max(time.monotonic() - self._started, 1e-9)
        text = f"{self._lines:,} lines, {self._lines / took_s:,.0f}/s"
        if self._bytes_total:
            share = min(self._bytes / self._bytes_total, 1.0)
            return f"{'#' * int(20 * share):<20} {share:4.0%}  {text}"
        return text
