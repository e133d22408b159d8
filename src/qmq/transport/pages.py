"""What a browser gets: the console, the reference of the API, and the API's description.

They are files of the package, each read when it is first asked for. They need nothing from any
other host, and say so: see `_POLICY`.
"""

import gzip
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from qmq.transport.asgi import Headers, Scope, Send
from qmq.transport.rest import DIRECTORIES, answer_unmatched, answer_wrong_method

_CONSOLE, _REFERENCE = DIRECTORIES

#: What is served where no file is called so: the package and the path in it.
_BY_PATH: Final = {
    _CONSOLE: ("qmq", "console/index.html"),
    _REFERENCE: ("qmq", "console/reference.html"),
    "/openapi.json": ("qmq.wire", "openapi.json"),
}

#: What a page may do: run and show what came from here, ask here, and nothing else. A payload that
#: came to be markup by mistake could neither run nor send anything away.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

_TYPES: Final = {
    "css": b"text/css; charset=utf-8",
    "html": b"text/html; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "json": b"application/json",
    "svg": b"image/svg+xml",
    "LICENSE": b"text/plain; charset=utf-8",
}

_FOR_ALL: Final[Headers] = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    # A browser asks each time whether it has the newest: another q may serve here tomorrow.
    (b"cache-control", b"no-cache"),
    (b"vary", b"accept-encoding"),
]

_METHODS: Final = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class _Page:
    """A file as it is sent."""

    content_type: bytes
    body: bytes
    compressed: bytes
    #: Weak, since it stands for both of them.
    tag: bytes


async def answer_without_call(scope: Scope, send: Send) -> None:
    """Answer an HTTP request that is no call of the API: with a page, or saying what is wrong.

    The caller has read the request's body to its end.
    """
    path, method = scope["path"], scope["method"]
    headers = dict(scope["headers"])
    target = _target(path, headers) if method in _METHODS else b""
    page = _page_at(path)
    if target:
        await _send(send, 302, [(b"location", target)], b"")
    elif page and method in _METHODS:
        await _send_page(send, page, headers, with_body=method == "GET")
    elif page:
        await answer_wrong_method(scope, send, _METHODS)
    else:
        await answer_unmatched(scope, send)


def _target(path: str, headers: dict[bytes, bytes]) -> bytes:
    """Return where a path leads, relative to it; nothing for one that leads nowhere else."""
    if path == "/" and b"text/html" in headers.get(b"accept", b""):
        return _CONSOLE[1:].encode()
    return f"{path[1:]}/".encode() if f"{path}/" in DIRECTORIES else b""


def _page_at(path: str) -> _Page | None:
    if path in _BY_PATH:
        return _read(*_BY_PATH[path])
    name = path.removeprefix(_CONSOLE)
    return _read("qmq", f"console/{name}") if name != path and name in _names() else None


@cache
def _names() -> frozenset[str]:
    """Return the names of the console's files, so that no other file can be asked for."""

    def names(directory: Traversable, prefix: str) -> Iterable[str]:
        for each in directory.iterdir():
            if each.is_dir():
                yield from names(each, f"{prefix}{each.name}/")
            elif each.name.rpartition(".")[2] in _TYPES:
                yield prefix + each.name

    return frozenset(names(files("qmq").joinpath("console"), ""))


@cache
def _read(package: str, path: str) -> _Page:
    """Read a file of a package, once."""
    file = files(package).joinpath(path)
    body = file.read_bytes()
    return _Page(
        content_type=_TYPES[file.name.rpartition(".")[2]],
        body=body,
        compressed=gzip.compress(body, mtime=0),
        tag=f'W/"{hashlib.sha256(body).hexdigest()[:24]}"'.encode(),
    )


async def _send_page(
    send: Send, page: _Page, headers: dict[bytes, bytes], *, with_body: bool
) -> None:
    if page.tag in headers.get(b"if-none-match", b""):
        await _send(send, 304, [(b"etag", page.tag)], b"")
        return
    own: Headers = [(b"content-type", page.content_type), (b"etag", page.tag)]
    body = page.body
    if b"gzip" in headers.get(b"accept-encoding", b""):
        own.append((b"content-encoding", b"gzip"))
        body = page.compressed
    own.append((b"content-length", b"%d" % len(body)))
    await _send(send, 200, own, body if with_body else b"")


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *_FOR_ALL]})
    await send({"type": "http.response.body", "body": body})
