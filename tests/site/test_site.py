"""The site of the documentation: made without a warning, whole, asking no one else, readable."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.console.browser import CHROMIUM, NARROW
from tests.documents import ROOT, pages

#: Where a browser looks for more by itself: in a page, and in a style sheet.
_FETCHED = re.compile(
    r"<(?:script|link|img|iframe|source|object)\b[^>]*?\b(?:src|href|data)=\"([^\"]*)\""
)
_FETCHED_BY_STYLE = re.compile(r"(?:url\(|@import)\s*[\"']?([^\"')]+)")

#: What leads to a place in the site.
_LINK = re.compile(r"<a\b[^>]*?\bhref=\"([^\"]*)\"")
_ANCHOR = re.compile(r"\b(?:id|name)=\"([^\"]*)\"")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the site, which has been made without a warning."""
    directory = tmp_path_factory.mktemp("made") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "scripts.docs_site", str(directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser; where there is none, the test is skipped, but in CI."""
    if not CHROMIUM.exists():
        missing = "a browser is needed: make test-pages installs it"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        # As root, Chromium has no sandbox; what it is shown here is our own.
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


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


def test_site_is_whole_and_asks_no_other_host(site: Path) -> None:
    """No link that leads nowhere, nothing from elsewhere; a search."""
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


def test_pages_fit_a_small_screen(browser: Browser, site: Path) -> None:
    """What is wider than it, such as a table, is scrolled by itself; pictures have words, too."""
    page = browser.new_page(viewport={"width": NARROW, "height": 800})
    paths = [site / "index.html", *sorted((site / "docs").glob("*.html"))]
    too_wide, wordless = [], []
    for path in paths:
        page.goto(path.as_uri())
        if page.evaluate("document.documentElement.scrollWidth") > NARROW:
            too_wide.append(path.name)
        wordless += page.locator("img:not([alt]), img[alt='']").all()

    assert len(paths) > 30
    assert not too_wide
    assert not wordless


def test_code_is_copied_without_what_was_not_typed(browser: Browser, site: Path) -> None:
    """Of a session in a terminal, the commands; of all else, everything."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()

    def copied(name: str, text: str) -> str:
        page.goto((site / "docs" / f"{name}.html").as_uri())
        block = page.locator(".highlight").filter(has_text=text).first
        block.hover()
        block.get_by_role("button", name="Copy").click()
        expect(block.get_by_role("button")).to_have_text("Copied")
        return str(page.evaluate("navigator.clipboard.readText()"))

    assert copied("quickstart", "activate") == ". .venv/bin/activate\n"
    assert copied("other-languages", "$ node") == "node worker.mjs\n"
    assert copied("from-redis", "redis-cli").startswith("redis-cli --raw RPOP")
