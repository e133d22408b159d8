"""By which names q is called, where a page of another site could have its browser do so.

Somebody with a name in the DNS can let it stand for this machine once the browser has shown a page
of that name. To the browser the page and q are one site then, and the page may do whatever q lets
anybody do (DNS rebinding). What the page cannot change is the name itself, in the header Host. A
browser speaks HTTP/1.1 where there is no TLS; with TLS it asks for a certificate of the name. So
gRPC, which is HTTP/2, has nothing to do with any of this.
"""

import ipaddress
import re
from collections.abc import Awaitable, Iterable, Mapping
from typing import Final

from qmq.errors import AccessDenied
from qmq.transport.asgi import App, Receive, Scope, Send
from qmq.transport.forwarded import FORWARDED_PROTOCOL
from qmq.transport.grpc import is_grpc
from qmq.transport.rest import answer_refused
from qmq.transport.sending import send_end
from qmq.transport.status import error_headers

#: What a browser says that is asked for something, at least one of it.
_OF_BROWSERS: Final = (b"origin", b"sec-fetch-site", b"referer")
_USER_AGENT_OF_BROWSERS: Final = b"Mozilla/"

_PORT: Final = re.compile(r":[0-9]*$")

_LOOPBACK: Final = "localhost"

#: Characters of a name that are told back.
_CHARS_MAX: Final = 120

#: Stands for every name.
ANY_HOST: Final = "*"


class Hosts:
    """The names by which q may be called."""

    def __init__(self, names: Iterable[str], *, only_browsers: bool) -> None:
        """Make them.

        Args:
            names: those besides localhost, IP addresses and names without a dot, which nobody
                elsewhere can have: `q.example`, `*.example` for all below that, or `*`.
            only_browsers: whether programs may use any name, as far as they can be told from
                browsers.
        """
        self._names = frozenset(name.lower() for name in names)
        self._only_browsers = only_browsers

    def refusal(self, headers: Mapping[bytes, bytes]) -> str:
        """Return why a call of HTTP/1.1 is refused, as a sentence; empty if it is not.

        Args:
            headers: those of the call, by their names in lower case.
        """
        host = headers.get(b"host", b"").decode("latin-1")
        name = _PORT.sub("", host).removesuffix(".").lower()
        if self._knows(name) or (self._only_browsers and not _is_of_browser(headers)):
            return ""
        return (
            f"q does not answer to the name {name[:_CHARS_MAX]!r}, which any site could have lead"
            " here: use localhost or an IP address or, if the name is q's own, start q with"
            " --allow-host and the name"
        )

    def _knows(self, name: str) -> bool:
        if "." not in name or name.endswith(f".{_LOOPBACK}") or name in self._names:
            return True
        if _is_address(name) or ANY_HOST in self._names:
            return True
        return any(each.startswith("*.") and name.endswith(each[1:]) for each in self._names)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _is_of_browser(headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether a browser makes a call, as far as that can be told."""
    return any(name in headers for name in _OF_BROWSERS) or headers.get(
        b"user-agent", b""
    ).startswith(_USER_AGENT_OF_BROWSERS)


def is_foreign(headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether a page of another site makes a call, as browsers say; see strict.lua."""
    return headers.get(b"sec-fetch-site", b"") in {b"cross-site", b"same-site"}


def called_by(hosts: Hosts, serve: App, *, takes_forwarded: bool) -> App:
    """Wrap an application, so that calls by other names are refused.

    What is returned is no coroutine around that of `serve`: each step of a call would go through
    it.

    Args:
        hosts: the names.
        serve: the application.
        takes_forwarded: whether other q send calls on, by HTTP/2 whatever they came by.
    """

    def serve_named(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["http_version"] == "1.1" or (
            takes_forwarded and FORWARDED_PROTOCOL in scope["headers"]
        ):
            why = hosts.refusal(dict(scope["headers"]))
            if why:
                return _refuse(scope, receive, send, why)
        return serve(scope, receive, send)

    return serve_named


async def _refuse(scope: Scope, receive: Receive, send: Send, why: str) -> None:
    headers = dict(scope["headers"])
    if is_grpc(headers):
        await send_end(send, error_headers(AccessDenied(why)))
        return
    # As `GrpcApp` does, so that the answer is not lost.
    while b"content-length" in headers and (await receive()).get("more_body"):
        pass
    await answer_refused(scope, send, why)
