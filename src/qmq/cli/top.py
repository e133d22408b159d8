"""The live table of all queues. Whoever imports this loads gRPC."""

import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from qmq.cli.actions import Top
from qmq.cli.connect import connected
from qmq.cli.rates import Row, rows_of, sorted_rows
from qmq.cli.reply import write_lines
from qmq.cli.settings import Settings
from qmq.cli.stop import Stop
from qmq.cli.table import (
    Column,
    age_text,
    narrow_table,
    numbers,
    printable,
    size_text,
    table,
)
from qmq.client._sync.client import Client
from qmq.client.errors import QmqError
from qmq.client.options import Retry
from qmq.client.queue_values import QueueStats

#: Seconds that one look may take.
_TIMEOUT_S: Final = 5.0

#: What a narrow terminal does without, in this order.
_DROPPED: Final = (
    "WAITING",
    "STORE",
    "BYTES",
    "DELAYED",
    "DEAD/S",
    "OLDEST",
    "LEASED",
    "DONE/S",
    "ADDED/S",
)

#: See https://invisible-island.net/xterm/ctlseqs/ctlseqs.html: the second screen, on which
#: full-screen programs leave what was there before alone, and the cursor hidden.
_ENTER: Final = "\x1b[?1049h\x1b[?25l"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_CLEAR_LINE: Final = "\x1b[2K"
_CLEAR_BELOW: Final = "\x1b[J"


def top(action: Top, settings: Settings) -> None:
    """Show the table. Raises Failure; click's Exit when it was interrupted."""
    with connected(settings, "cannot look at the queues") as connection, Stop():
        channel = connection.channel
        # The next look is the repetition.
        client = Client.over(channel, timeout=_TIMEOUT_S, retry=Retry(duration=0))
        look = _Look(client, action.selector)
        look.again()
        if action.is_once or not _is_screen():
            time.sleep(action.interval_s)
            look.again()
            write_lines(table(_columns(sorted_rows(look.rows, action.sort))))
            return
        with _screen():
            _show_for_ever(look, action, channel.address)


class _Look:
    """What the queues hold, as of the last look at them."""

    def __init__(self, client: Client, selector: str) -> None:
        self._client = client
        self._selector = selector
        self._before: dict[str, QueueStats] = {}
        self._seen_at = 0.0
        self.rows: list[Row] = []

    def again(self) -> None:
        """Ask the server. Raises QmqError."""
        stats = self._client.stats()
        if self._selector:
            # Each time anew, since tags change.
            selected = {info.id for info in self._client.list_queues(selector=self._selector)}
            stats = [each for each in stats if each.info.id in selected]
        now = time.monotonic()
        self.rows = rows_of(stats, self._before, now - self._seen_at)
        self._before = {each.info.id: each for each in stats}
        self._seen_at = now


def frame(rows: Sequence[Row], action: Top, heading: str, size: tuple[int, int]) -> list[str]:
    """Return the lines of a screen.

    Args:
        rows: the queues.
        action: how they are sorted.
        heading: what stands before all.
        size: columns and lines of the terminal.
    """
    width, height = size
    sums = [
        f"queues {len(rows):,}",
        f"ready {sum(row.stats.ready for row in rows):,}",
        f"leased {sum(row.stats.leased for row in rows):,}",
        f"delayed {sum(row.stats.delayed for row in rows):,}",
        f"added/s {sum(row.added_per_s or 0.0 for row in rows):,.0f}",
        f"done/s {sum(row.done_per_s or 0.0 for row in rows):,.0f}",
        f"dead/s {sum(row.dead_per_s or 0.0 for row in rows):,.0f}",
    ]
    # What is not seen need not be laid out.
    shown = sorted_rows(rows, action.sort)[: max(height - 4, 0)]
    lines = [heading[:width], "  ".join(sums)[:width], ""]
    return [*lines, *narrow_table(_columns(shown), width, _DROPPED)][:height]


def _columns(rows: Sequence[Row]) -> list[Column]:
    return [
        Column("QUEUE", [row.name for row in rows]),
        Column("STORE", [row.stats.info.store.name for row in rows]),
        numbers("READY", (row.stats.ready for row in rows)),
        numbers("LEASED", (row.stats.leased for row in rows)),
        numbers("DELAYED", (row.stats.delayed for row in rows)),
        numbers("BYTES", (size_text(row.stats.ready_bytes) for row in rows)),
        numbers("OLDEST", (age_text(row.stats.oldest_age) for row in rows)),
        numbers("ADDED/S", (_rate(row.added_per_s) for row in rows)),
        numbers("DONE/S", (_rate(row.done_per_s) for row in rows)),
        numbers("DEAD/S", (_rate(row.dead_per_s) for row in rows)),
        numbers("WAITING", (row.stats.waiting for row in rows)),
    ]


def _rate(per_s: float | None) -> str:
    return "-" if per_s is None else f"{per_s:.0f}" if per_s >= 10 else f"{per_s:.1f}"  # noqa: PLR2004


def _show_for_ever(look: _Look, action: Top, address: str) -> None:
    """Draw the table and look again, until somebody interrupts. A server may come back."""
    problem = ""
    while True:
        state = problem or f"by {action.sort}, every {action.interval_s:g} s; Ctrl-C ends it"
        lines = frame(look.rows, action, f"{address}  {state}", shutil.get_terminal_size())
        body = "\n".join(f"{_CLEAR_LINE}{line}" for line in lines)
        sys.stdout.write(f"{_HOME}{body}{_CLEAR_BELOW}")
        sys.stdout.flush()
        time.sleep(action.interval_s)
        try:
            look.again()
            problem = ""
        except QmqError as error:
            problem = printable(f"{error.code}: {error.message}")


def _is_screen() -> bool:
    """Whether standard output is a terminal on which a line can be written anew."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


@contextmanager
def _screen() -> Iterator[None]:
    """Take the terminal's second screen, and give it back whatever happens."""
    sys.stdout.write(_ENTER)
    try:
        yield
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
