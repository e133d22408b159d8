"""Tables for people."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

_GAP: Final = "  "

#: Characters of the first column that a narrow terminal leaves at least.
_FIRST_CHARS_MIN: Final = 8


@dataclass(frozen=True, slots=True)
class Column:
    """A title, and a text for each row."""

    title: str
    texts: Sequence[str]
    #: Numbers are lined up at their last digit.
    is_number: bool = False

    @property
    def width(self) -> int:
        """Characters that it takes."""
        return max(map(len, (self.title, *self.texts)))

    def lines(self, width: int) -> list[str]:
        """Return title and texts, each that many characters long."""
        side = ">" if self.is_number else "<"
        return [f"{_cut(text, width):{side}{width}}" for text in (self.title, *self.texts)]


def numbers(title: str, values: Iterable[object]) -> Column:
    """Return a column of numbers."""
    return Column(title, [str(value) for value in values], is_number=True)


def telling(*columns: Column) -> list[Column]:
    """Return the columns that say something of a row at least: more than nothing, or `-`."""
    return [column for column in columns if any(text not in ("", "-") for text in column.texts)]


def table(columns: Sequence[Column]) -> list[str]:
    """Return a line for the titles and one for each row."""
    rows = zip(*(column.lines(column.width) for column in columns), strict=True)
    return [_GAP.join(row).rstrip() for row in rows]


def narrow_table(columns: Sequence[Column], width: int, drop: Collection[str]) -> list[str]:
    """Return a table that is no wider than `width`, if possible.

    Args:
        columns: as above.
        width: characters.
        drop: titles of columns that are left out, in this order, where there is no room.
    """
    shown = list(columns)
    for title in drop:
        if _width(shown) <= width:
            break
        shown = [column for column in shown if column.title != title]
    excess = max(_width(shown) - width, 0)
    widths = [column.width for column in shown]
    widths[0] = min(widths[0], max(widths[0] - excess, _FIRST_CHARS_MIN))
    rows = zip(*map(Column.lines, shown, widths), strict=True)
    return [_GAP.join(row).rstrip()[:width] for row in rows]


def printable(text: str) -> str:
    """Return a text that breaks no line, moves no cursor and colours nothing."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def size_text(size: int) -> str:
    """Return a number of bytes, for example `1.2 MiB`."""
    amount, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        # What would be rounded to 1024 is one of the next unit.
        if amount < 1023.95:  # noqa: PLR2004
            break
        amount, unit = amount / 1024, larger
    return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"


def when_text(moment: datetime | None, otherwise: str = "-") -> str:
    """Return a moment to the second, for example `2026-11-24 13:56:47Z`."""
    return f"{moment:%Y-%m-%d %H:%M:%SZ}" if moment else otherwise


def age_text(age: timedelta | None) -> str:
    """Return a duration in its two largest units, for example `3m12s`; `-` for none."""
    if age is None:
        return "-"
    seconds = max(age.total_seconds(), 0.0)
    if seconds < 10:  # noqa: PLR2004 - Beyond that, nobody asks for tenths.
        return f"{seconds:.1f}s"
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d{hour:02}h"
    if hours:
        return f"{hours}h{minute:02}m"
    return f"{minute}m{second:02}s" if minutes else f"{second}s"


def _width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + len(_GAP) * (len(columns) - 1)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}~"
