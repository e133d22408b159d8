"""The site of the documentation is made without a warning, whole, and asks nobody else."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from scripts.docs_site import CONTENTS, HOME, navigation
from tests.documents import ROOT, pages

#: Where a browser looks for more by itself: in a page, and in a style sheet.
_FETCHED = re.compile(
    r"<(?:script|link|img|iframe|source|object)\b[^>]*?\b(?:src|href|data)=\"([^\"]*)\""
)
_FETCHED_BY_STYLE = re.compile(r"url\(\s*[\"']?([^\"')]+)|@import\s+[\"']([^\"']+)")

#: What leads to a place in the site.
_LINK = re.compile(r"<a\b[^>]*?\bhref=\"([^\"]*)\"")
_ANCHOR = re.compile(r"\b(?:id|name)=\"([^\"]*)\"")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, made of what is there."""
    directory = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "scripts.docs_site", str(directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return directory


def test_contents_list_every_page_once() -> None:
    """Whoever adds a page says in docs/README.md where it belongs."""
    listed = Counter(path for section in navigation() for _, path in section.pages)

    assert {*listed} == {*pages()} - {CONTENTS, HOME}
    assert [path for path, count in listed.items() if count > 1] == []
    assert all(section.pages for section in navigation())


def test_site_asks_no_other_host(site: Path) -> None:
    """Neither a page nor a style names anything that is not in the site itself."""
    fetched = [
        (path.name, "".join(match))
        for path in [*site.rglob("*.html"), *site.rglob("*.css")]
        for match in (_FETCHED if path.suffix == ".html" else _FETCHED_BY_STYLE).findall(
            path.read_text("utf-8")
        )
    ]

    assert len(fetched) > 100
    assert [each for each in fetched if re.match("(?:[a-z]+:)?//", each[1])] == []


def test_links_of_the_site_lead_somewhere(site: Path) -> None:
    """To a file of the site, and to a place in it."""
    texts = {path: path.read_text("utf-8") for path in site.rglob("*.html")}
    anchors = {path: {*_ANCHOR.findall(text)} for path, text in texts.items()}
    broken: set[tuple[str, str]] = set()
    for path, text in texts.items():
        for link in _LINK.findall(text):
            parts = urlsplit(link)
            if parts.scheme or not link.strip("#"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file() or (
                parts.fragment and unquote(parts.fragment) not in anchors.get(target, set())
            ):
                broken.add((path.name, link))

    assert len(texts) > 20
    assert broken == set()


def test_site_can_be_searched(site: Path) -> None:
    """The index is a script of the site, and knows words of the pages."""
    index = (site / "searchindex.js").read_text("utf-8")

    assert "searchindex.js" in (site / "search.html").read_text("utf-8")
    assert "redriv" in index
    assert (site / "index.html").read_bytes() == (site / "README.html").read_bytes()
