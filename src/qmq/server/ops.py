"""The metrics port: an ASGI application for those who run q."""

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from qmq.access.rights import Right
from qmq.errors import AccessDenied, Unauthenticated
from qmq.server.readiness import Probe, Probes
from qmq.transport.asgi import App, Headers, Receive, Scope, Send
from qmq.transport.hosts import Hosts, is_foreign

_PROMETHEUS: Final = b"text/plain; version=0.0.4; charset=utf-8"
_TEXT: Final = b"text/plain; charset=utf-8"
_JSON: Final = b"application/json"

_METRICS: Final = "/metrics"
_QUIT: Final = "/quitquitquit"
_ALIVE: Final = "/healthz"
_READY: Final = "/readyz"

#: The paths that the application knows.
OPS_PATHS: Final = frozenset({_METRICS, _QUIT, _ALIVE, _READY})

#: Answers a request.
_Answer = Callable[[Scope, Send], Awaitable[None]]


def ops_app(  # noqa: PLR0913 - What it needs, each by name.
    *,
    render_metrics: Callable[[], bytes],
    probes: Probes,
    quit_process: Callable[[], None],
    may_any_quit: Callable[[], bool],
    check: Callable[[Scope, Right], object] | None = None,
    hosts: Callable[[], Hosts | None] = lambda: None,
) -> App:
    """Make the application: GET /metrics, /healthz and /readyz, POST /quitquitquit, else 404.

    `render_metrics` returns Prometheus text, `probes` answers the probes, and `quit_process` starts
    the shutdown and returns at once. Only callers on this machine may quit, unless `may_any_quit`,
    which is asked each time. `check` raises an error unless a caller has a right to all queues:
    with it, metrics need the right to browse, and a caller with the right to admin may quit from
    anywhere. Browsers have to use a name that `hosts` returns, or any if that is None, and pages of
    other sites may not quit.
    """

    async def metrics(scope: Scope, send: Send) -> None:
        if check:
            check(scope, Right.BROWSE)
        await _reply(send, 200, render_metrics(), content_type=_PROMETHEUS)

    async def alive(_: Scope, send: Send) -> None:
        await _tell(send, probes.alive())

    async def ready(_: Scope, send: Send) -> None:
        await _tell(send, probes.ready())

    async def quitquitquit(scope: Scope, send: Send) -> None:
        is_near = is_loopback(scope.get("client"))
        if is_foreign(dict(scope["headers"])):
            await _reply(send, 403, b"a page of another site may not end q\n")
            return
        if check and not is_near:
            check(scope, Right.ADMIN)
        elif not (may_any_quit() or is_near):
            await _reply(send, 403, b"only callers on this machine may quit\n")
            return
        await _reply(send, 200, b"quitting\n")
        quit_process()

    return _routed(
        {
            _METRICS: ("GET", metrics),
            _ALIVE: ("GET", alive),
            _READY: ("GET", ready),
            _QUIT: ("POST", quitquitquit),
        },
        hosts,
    )


def _routed(routes: Mapping[str, tuple[str, _Answer]], hosts: Callable[[], Hosts | None]) -> App:
    """Make an application of methods and answers, by path."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        found = routes.get(scope["path"])
        if why := _refusal(scope, hosts()):
            await _reply(send, 403, f"{why}\n".encode())
        elif found is None:
            await _reply(send, 404, f"not found; here are {', '.join(routes)}\n".encode())
        elif scope["method"] != found[0]:
            allowed = found[0].encode()
            text = b"method not allowed: it takes %b\n" % allowed
            await _reply(send, 405, text, headers=[(b"allow", allowed)])
        else:
            await _answer_or_refuse(found[1], scope, send)

    return app


def _refusal(scope: Scope, hosts: Hosts | None) -> str:
    """Return why a request of a browser is refused, as a sentence; empty if it is not."""
    headers = dict(scope["headers"])
    # Where there is TLS, the browser sees to that, and no other protocol is one of a browser.
    return hosts.refusal(headers) if hosts and scope["http_version"] == "1.1" else ""


async def _answer_or_refuse(answer: _Answer, scope: Scope, send: Send) -> None:
    """Answer a request, or say that its caller may not know."""
    try:
        await answer(scope, send)
    except Unauthenticated as error:
        challenge = [(b"www-authenticate", b"Bearer")]
        await _reply(send, 401, f"{error.message}\n".encode(), headers=challenge)
    except AccessDenied as error:
        await _reply(send, 403, f"{error.message}\n".encode())


def is_loopback(client: tuple[str, int] | None) -> bool:
    """Tell whether an ASGI client address is on this machine."""
    if client is None:
        return False
    address = ipaddress.ip_address(client[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


async def _live(receive: Receive, send: Send) -> None:
    """Answer the lifespan protocol: nothing to start, nothing to end."""
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def _tell(send: Send, probe: Awaitable[Probe]) -> None:
    """Answer a probe: 200 if all is well, else 503."""
    is_well, body = await probe
    await _reply(send, 200 if is_well else 503, body, content_type=_JSON)


async def _reply(
    send: Send,
    status: int,
    body: bytes,
    *,
    content_type: bytes = _TEXT,
    headers: Headers | None = None,
) -> None:
    start_headers = [(b"content-type", content_type), *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": start_headers})
    await send({"type": "http.response.body", "body": body})
