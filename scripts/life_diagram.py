"""Draws the life of a message from the table in docs/concepts.md: life_diagram.py FILE."""

import re
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

_PAGE: Final = Path(__file__).parent.parent / "docs" / "concepts.md"
_ROW: Final = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)

_WIDTH, _HEIGHT = 800, 356
_BOX: Final = (112, 40)

#: Dark where the page is dark, as the plots are.
_STYLE: Final = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}.s{font-weight:600;text-anchor:middle}"
    ".b{fill:#ddf4ff;stroke:#0969da;stroke-width:1.5}.d{fill:#ffebe9;stroke:#cf222e}"
    ".e{fill:none;stroke:#57606a;stroke-width:1.5}.h,.o{fill:#57606a}"
    ".m{text-anchor:middle}.r{text-anchor:end}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.b{fill:#0c2d6b;stroke:#58a6ff}"
    ".d{fill:#5d0f12;stroke:#f85149}.e{stroke:#8b949e}.h,.o{fill:#8b949e}}"
)


class Step(NamedTuple):
    """A row of the table: what leads from one state to another."""

    source: str
    event: str
    target: str


class Way(NamedTuple):
    """How a step is drawn: a line or curve, and where the middle of its text is."""

    path: str
    x: int
    y: int
    #: Where the text stands from that place: m in the middle, r to the left, or nothing.
    side: str = ""


#: Where states stand, by their middle.
_STATES: Final = {
    "delayed": (300, 60),
    "ready": (300, 190),
    "leased": (600, 190),
    "dead letter": (450, 320),
}

#: Where messages come from, and where they are gone: dots, with what stands under them.
_DOTS: Final = (("new", 60, 190), ("gone", 130, 320), ("gone", 720, 190))

_WAYS: Final = {
    ("new", "ready"): Way("M66 190H240", 152, 182, "m"),
    ("new", "delayed"): Way("M64 185Q120 60 240 60", 150, 52, "m"),
    ("delayed", "ready"): Way("M300 80V166", 292, 128, "r"),
    ("ready", "gone"): Way("M262 212L138 313", 190, 258, "r"),
    ("ready", "leased"): Way("M356 182Q450 158 540 181", 448, 158, "m"),
    ("leased", "ready"): Way("M544 199Q450 222 360 199", 452, 232, "m"),
    ("leased", "gone"): Way("M656 190H710", 684, 182, "m"),
    ("leased", "delayed"): Way("M590 170Q560 60 362 60", 478, 58, "m"),
    ("leased", "dead letter"): Way("M590 210Q570 280 512 308", 580, 276),
    ("dead letter", "ready"): Way("M396 308Q330 280 309 216", 330, 276, "r"),
}


def steps() -> list[Step]:
    """Read the table."""
    text = _PAGE.read_text("utf-8")
    (_, life) = text.split("## The life of a message\n")
    rows = [Step(*row) for row in _ROW.findall(life.split("\n## ")[0])]
    return [row for row in rows if row.source not in {"from", "---"}]


def _drawing() -> Iterator[str]:
    yield '<svg xmlns="http://www.w3.org/2000/svg" role="img"'
    yield f' viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}">'
    yield f"<title>The life of a message</title><style>{_STYLE}</style>"
    yield '<marker id="a" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="7" markerHeight="7"'
    yield ' orient="auto"><path class="h" d="M0 0L10 5L0 10z"/></marker>'
    for state, x, y in _DOTS:
        yield f'<circle class="o" cx="{x}" cy="{y}" r="6"/>'
        yield f'<text class="s" x="{x}" y="{y + 22}">{state}</text>'
    for source, event, target in steps():
        way = _WAYS[source, target]
        yield f'<path class="e" marker-end="url(#a)" d="{way.path}"/>'
        yield f'<text class="{way.side}" x="{way.x}" y="{way.y}">{escape(event)}</text>'
    width, height = _BOX
    for state, (x, y) in _STATES.items():
        kind = "b d" if state == "dead letter" else "b"
        yield f'<rect class="{kind}" x="{x - width // 2}" y="{y - height // 2}"'
        yield f' width="{width}" height="{height}" rx="8"/>'
        yield f'<text class="s" x="{x}" y="{y + 5}">{state}</text>'
    yield "</svg>"


def main(file: str) -> None:
    """Write the drawing."""
    Path(file).write_text("\n".join(_drawing()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
