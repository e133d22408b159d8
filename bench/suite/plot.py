"""Plots as SVG: small, the same for the same figures, and readable on light and dark pages."""

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final, NamedTuple

_WIDTH: Final = 760
_LEFT: Final = 250
_RIGHT: Final = 130
_ROW: Final = 20
_HEAD: Final = 30
_STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}.t{font-weight:600}.n{text-anchor:end}"
    ".g{stroke:#d0d7de}.r,.q{stroke-width:2}.r{stroke:#6e7781;fill:#6e7781}"
    ".q{stroke:#0969da;fill:#0969da}.m{text-anchor:middle;font-size:11px}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.g{stroke:#30363d}"
    ".r{stroke:#8b949e;fill:#8b949e}.q{stroke:#58a6ff;fill:#58a6ff}}"
)


class Row(NamedTuple):
    """One line of a plot: three values, joined, the one in the middle with a dot."""

    title: str
    values: tuple[float, float, float]
    #: What stands at its right.
    label: str
    #: Drawn in the colour of q.
    is_ours: bool


class Group(NamedTuple):
    """Rows under a title of their own."""

    title: str
    rows: Sequence[Row]


def dots(title: str, groups: Sequence[Group]) -> str:
    """Draw rows of dots on a logarithmic axis.

    Args:
        title: what it shows, with the unit; also for those who cannot see it.
        groups: the rows. Values are above zero.
    """
    values = [value for group in groups for row in group.rows for value in row.values]
    low = math.floor(math.log10(min(values, default=1)))
    high = max(math.ceil(math.log10(max(values, default=10))), low + 1)
    height = _HEAD + sum(_HEAD + _ROW * len(group.rows) for group in groups) + _HEAD
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" role="img"',
        f' width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<text class="t" x="0" y="16">{escape(title)}</text>',
    ]
    for power in range(low, high + 1):
        x = _x(10.0**power, low, high)
        lines.append(f'<path class="g" d="M{x} {_HEAD}V{height - _HEAD + 4}"/>')
        lines.append(f'<text class="m" x="{x}" y="{height - 10}">{10.0**power:,.10g}</text>')
    y = _HEAD
    for group in groups:
        lines.append(f'<text class="t" x="0" y="{y + 20}">{escape(group.title)}</text>')
        y += _HEAD
        for row in group.rows:
            lines += _row(row, y, low, high)
            y += _ROW
    return "\n".join([*lines, "</svg>", ""])


def _row(row: Row, y: int, low: int, high: int) -> Iterator[str]:
    first, middle, last = (_x(value, low, high) for value in row.values)
    kind, centre = "q" if row.is_ours else "r", y + 10
    yield f'<text class="n" x="{_LEFT - 12}" y="{y + 14}">{escape(row.title)}</text>'
    yield (
        f'<path class="{kind}" d="M{first} {centre}H{last}M{first} {centre - 3}v6'
        f'M{last} {centre - 3}v6"/>'
    )
    yield f'<circle class="{kind}" cx="{middle}" cy="{centre}" r="3.5"/>'
    yield f'<text x="{_WIDTH - _RIGHT + 12}" y="{y + 14}">{escape(row.label)}</text>'


def _x(value: float, low: int, high: int) -> float:
    part = (math.log10(value) - low) / (high - low)
    return round(_LEFT + part * (_WIDTH - _LEFT - _RIGHT), 1)
