"""The site of the documentation is made without a warning, whole, and asks nobody else."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.documents import ROOT, pages

#: Where a browser looks for more by itself: in a page, and in a style sheet.
_FETCHED = re.compile(
    r"<(?:script|link|img|iframe|source|object)\b[^>]*?\b(?:src|href|data)=\"([^\"]*)\""
)
_FETCHED_BY_STYLE = re.compile(r"(?:url\(|@import)\s*[\"']?([^\"')]+)")

#: What leads to a place in the site.
_LINK = re.compile(r"<a\b[^>]*?\bhref=\"([^\"]*)\"")
_ANCHOR = re.compile(r"\b(?:id|name)=\"([^\"]*)\"")


def fetched_from_elsewhere(text: str, *, is_style: bool = False) -> list[str]:
    """List what a page or a style sheet fetches from another host."""
    pattern = _FETCHED_BY_STYLE if is_style else _FETCHED
    return [place for place in pattern.findall(text) if re.match("(?:[a-z]+:)?//", place)]


def broken_links(texts: dict[Path, str]) -> Iterator[tuple[str, str]]:
    """Name the links of pages that lead to no file, or to no place in it."""
    anchors = {path: {*_ANCHOR.findall(text)} for path, text in texts.items()}
    for path, text in texts.items():
        for link in {*_LINK.findall(text)}:
            parts = urlsplit(link)
            if parts.scheme or not link.strip("#"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = unquote(parts.fragment)
            if not target.is_file() or (place and place not in anchors.get(target, set())):
                yield path.name, link


def test_site_is_whole_and_asks_no_other_host(tmp_path: Path) -> None:
    """No warning when it is made, no link that leads nowhere, nothing from elsewhere; a search."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.docs_site", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    site = tmp_path / "site"
    texts = {path: path.read_text("utf-8") for path in site.rglob("*.html")}
    styles = [path.read_text("utf-8") for path in site.rglob("*.css")]

    assert len(texts) > len(pages())
    assert [*broken_links(texts)] == []
    assert [each for text in texts.values() for each in fetched_from_elsewhere(text)] == []
    assert [each for css in styles for each in fetched_from_elsewhere(css, is_style=True)] == []
    assert texts[site / "index.html"] == texts[site / "README.html"]
    assert "searchindex.js" in texts[site / "search.html"]
    assert "redriv" in (site / "searchindex.js").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "is_style", "count"),
    [
        ('<script src="a.js"></script><a href="https://example.org">', False, 0),
        ('<link rel="stylesheet" href="https://example.org/font.css">', False, 1),
        ('<img alt="" src="//example.org/a.png">', False, 1),
        ("@import 'https://example.org/a.css'; a { background: url(//example.org/b) }", True, 2),
        ("a { background: url(data:image/png;base64,AA//) }", True, 0),
    ],
)
def test_what_is_fetched_from_elsewhere_is_found(text: str, count: int, *, is_style: bool) -> None:
    """A link that somebody may follow is none of it."""
    assert len(fetched_from_elsewhere(text, is_style=is_style)) == count


def test_broken_links_are_found(tmp_path: Path) -> None:
    """A file that is not there, and a place that is not in it."""
    page = tmp_path / "a.html"
    page.write_text('<a href="b.html">x</a><a href="#none">x</a><a href="#here" id="here">x</a>')

    assert {*broken_links({page: page.read_text()})} == {("a.html", "b.html"), ("a.html", "#none")}
