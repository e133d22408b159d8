"""Markdown as far as the tests of the documentation need to read it."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parent.parent

_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK: Final = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_SPAN: Final = re.compile(r"`([^`]+)`")


def pages() -> dict[str, str]:
    """Return the documentation: the text of each page by its path in the repository."""
    paths = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}


def page(path: str) -> str:
    """Return the text of one page."""
    return (ROOT / path).read_text(encoding="utf-8")


class Block(NamedTuple):
    """A fenced block of code."""

    #: What stands behind the fence: sh, json; empty if nothing does.
    language: str
    #: With the line break at its end.
    text: str


def blocks(text: str) -> list[Block]:
    """List the fenced blocks of a page."""
    return [Block(*match) for match in _FENCE.findall(text)]


def section(text: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one of the same level or above."""
    start = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert start, f"there is no heading {heading!r}"
    end = re.search(rf"^#{{1,{len(start[1])}}} ", text[start.end() :], re.MULTILINE)
    return text[start.end() : start.end() + end.start() if end else None]


def spans(text: str) -> list[str]:
    """List what stands in backticks within the prose of a page."""
    return _SPAN.findall(_without_blocks(text))


def code(text: str) -> list[str]:
    """List all code of a page: each fenced block, each span in backticks."""
    return [*(block.text for block in blocks(text)), *spans(text)]


def links(text: str) -> list[str]:
    """List the targets of a page's links."""
    return _LINK.findall(_SPAN.sub("``", _without_blocks(text)))


def anchors(text: str) -> set[str]:
    """Return the anchors that a renderer gives the headings of a page, as GitHub does."""
    return set(_anchors(text))


def _anchors(text: str) -> Iterator[str]:
    seen: Counter[str] = Counter()
    for heading in _HEADING.findall(_without_blocks(text)):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        yield f"{plain}-{seen[plain]}" if seen[plain] else plain
        seen[plain] += 1


def _without_blocks(text: str) -> str:
    return _FENCE.sub("", text)
