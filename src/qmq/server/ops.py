"""The metrics port: an ASGI application for those who run q."""

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final

from qmq.server.readiness import Probe, Probes
from qmq.transport.asgi import App, Headers, Receive, Scope, Send

_PROMETHEUS: Final = b"text/plain; version=0.0.4; charset=utf-8"
_TEXT: Final = b"text/plain; charset=utf-8"
_JSON: Final = b"application/json"

_METRICS: Final = "/metrics"
_QUIT: Final = "/quitquitquit"
_ALIVE: Final = "/healthz"
_READY: Final = "/readyz"

#: The paths that the application knows.
OPS_PATHS: Final = frozenset({_METRICS, _QUIT, _ALIVE, _READY})


def ops_app(
    *,
    render_metrics: Callable[[], bytes],
    probes: Probes,
    quit_process: Callable[[], None],
    may_any_quit: Callable[[], bool],
) -> App:
    """Make the application: GET /metrics, /healthz and /readyz, POST /quitquitquit, else 404.

    `render_metrics` returns Prometheus text; `probes` answers what its name says;
    `quit_process` starts the shutdown and returns at once. Unless `may_any_quit`, which is
    asked each time, only callers on this machine may quit.
    """

    async def metrics(_: Scope, send: Send) -> None:
        await _reply(send, 200, render_metrics(), content_type=_PROMETHEUS)

    async def alive(_: Scope, send: Send) -> None:
        await _tell(send, probes.alive())

    async def ready(_: Scope, send: Send) -> None:
        await _tell(send, probes.ready())

    async def quitquitquit(scope: Scope, send: Send) -> None:
        if not (may_any_quit() or is_loopback(scope.get("client"))):
            await _reply(send, 403, b"only callers on this machine may quit\n")
            return
        await _reply(send, 200, b"quitting\n")
        quit_process()

    routes = {
        _METRICS: ("GET", metrics),
        _ALIVE: ("GET", alive),
        _READY: ("GET", ready),
        _QUIT: ("POST", quitquitquit),
    }

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        method, answer = routes.get(scope["path"], ("", None))
        if answer is None:
            await _reply(send, 404, b"not found\n")
        elif scope["method"] != method:
            allow = [(b"allow", method.encode())]
            await _reply(send, 405, b"method not allowed\n", headers=allow)
        else:
            await answer(scope, send)

    return app


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
