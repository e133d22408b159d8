"""What a browser gets: files of the package, and what they may do."""

import gzip
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from qmq.transport.pages import answer_without_call

CONSOLE = Path(str(files("qmq").joinpath("console")))


class Answer:
    """What was sent."""

    def __init__(self, events: list[Any]) -> None:
        start, *bodies = events
        self.status: int = start["status"]
        self.headers: dict[bytes, bytes] = dict(start["headers"])
        self.body = b"".join(each.get("body", b"") for each in bodies)


async def ask(path: str, method: str = "GET", **headers: str) -> Answer:
    """Ask for a path, with headers such as accept_encoding."""
    events: list[Any] = []

    async def send(event: Any) -> None:  # noqa: ANN401 - ASGI
        events.append(event)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await answer_without_call({"path": path, "method": method, "headers": named}, send)
    return Answer(events)


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/console/", b"text/html; charset=utf-8"),
        ("/console/main.js", b"text/javascript; charset=utf-8"),
        ("/console/vendor/preact.js", b"text/javascript; charset=utf-8"),
        ("/console/vendor/preact.LICENSE", b"text/plain; charset=utf-8"),
        ("/console/base.css", b"text/css; charset=utf-8"),
        ("/console/icon.svg", b"image/svg+xml"),
        ("/docs/", b"text/html; charset=utf-8"),
        ("/openapi.json", b"application/json"),
    ],
)
async def test_page_is_served(path: str, content_type: bytes) -> None:
    """With its type, and with what it may do: nothing but run and ask here."""
    answer = await ask(path)

    assert answer.status == 200
    assert answer.headers[b"content-type"] == content_type
    assert answer.headers[b"content-length"] == b"%d" % len(answer.body)
    assert answer.headers[b"x-content-type-options"] == b"nosniff"
    policy = answer.headers[b"content-security-policy"].decode().split("; ")
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in str(policy)


async def test_page_is_sent_compressed_to_who_takes_that() -> None:
    """And as it is to others."""
    plain = await ask("/console/base.css")
    small = await ask("/console/base.css", accept_encoding="gzip, br")

    assert small.headers[b"content-encoding"] == b"gzip"
    assert gzip.decompress(small.body) == plain.body
    assert len(small.body) * 2 < len(plain.body)
    assert b"accept-encoding" in small.headers[b"vary"]


async def test_page_that_is_known_is_not_sent_again() -> None:
    """A browser asks each time, and is told that nothing has changed."""
    first = await ask("/console/main.js")
    again = await ask("/console/main.js", if_none_match=first.headers[b"etag"].decode())

    assert (again.status, again.body) == (304, b"")
    assert first.headers[b"cache-control"] == b"no-cache"


async def test_head_has_the_headers_alone() -> None:
    """Those of GET."""
    whole, head = await ask("/docs/"), await ask("/docs/", "HEAD")

    assert (head.status, head.headers, head.body) == (200, whole.headers, b"")


async def test_pages_are_read_only() -> None:
    """Another method says which there are."""
    answer = await ask("/console/", "POST")

    assert answer.status == 405
    assert answer.headers[b"allow"] == b"GET, HEAD"


@pytest.mark.parametrize(
    "path",
    [
        "/console/none.js",
        "/console/../limits.py",
        "/console/vendor",
        "/console/vendor/../../limits.py",
        "/console/%2e%2e/limits.py",
        "/consolemain.js",
        "/docs/main.js",
    ],
)
async def test_nothing_else_can_be_had(path: str) -> None:
    """No other file of the package, wherever it is."""
    answer = await ask(path)

    assert answer.status == 404
    assert answer.headers[b"content-type"] == b"application/json"


@pytest.mark.parametrize(
    ("path", "accept", "location"),
    [
        ("/", "text/html,*/*", b"console/"),
        ("/console", "*/*", b"console/"),
        ("/docs", "*/*", b"docs/"),
    ],
)
async def test_people_are_led_to_the_pages(path: str, accept: str, location: bytes) -> None:
    """Relative, so that it is right behind a proxy's prefix as well."""
    answer = await ask(path, accept=accept)

    assert (answer.status, answer.headers[b"location"]) == (302, location)


@pytest.mark.parametrize(("method", "accept"), [("GET", "*/*"), ("POST", "text/html")])
async def test_programs_are_not_led_there(method: str, accept: str) -> None:
    """They are told where the API is."""
    answer = await ask("/", method, accept=accept)

    assert answer.status == 404
    assert b"/v1/queues" in answer.body


def test_pages_have_nothing_from_elsewhere_and_no_markup_of_their_own() -> None:
    """No other host, no inline script or style, and nothing that makes markup of text."""
    ours = [each for each in CONSOLE.iterdir() if each.suffix in {".html", ".js", ".css"}]
    assert CONSOLE / "main.js" in ours

    for each in ours:
        text = each.read_text(encoding="utf-8")
        assert not re.search(r"https?://(?!www\.w3\.org/)\w", text), each
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text), (
            each
        )
        assert not re.search(
            r"<style|<script(?! type=\"module\" src=)| on\w+=\"| style=\"", text
        ), each


def test_modules_are_short() -> None:
    """As those in Python are."""
    for each in CONSOLE.glob("*.*"):
        assert len(each.read_text(encoding="utf-8").splitlines()) < 600, each
