"""The metrics port: who gets what."""

from collections.abc import Mapping, MutableMapping
from typing import Any

import pytest

from qmq.access.rights import Right
from qmq.errors import AccessDenied, QError, Unauthenticated
from qmq.server.ops import is_loopback, ops_app
from qmq.server.readiness import Probes
from qmq.transport.asgi import Scope
from qmq.transport.hosts import Hosts

Event = MutableMapping[str, Any]


class Ops:
    """The application with what it asks for, and the answers it gave."""

    def __init__(self, *, quit_from_any: bool = False, error: QError | None = None) -> None:
        """Make one; with an `error` that refuses all who have to show who they are."""
        self.quits = 0
        #: The rights to all queues that were asked for.
        self.asked: list[Right] = []
        self._error = error
        self.probes = Probes(lambda: None)
        self._app = ops_app(
            render_metrics=lambda: b"up 1\n",
            probes=self.probes,
            quit_process=self._quit,
            may_any_quit=lambda: quit_from_any,
            check=self._check if error else None,
            hosts=lambda: Hosts([], only_browsers=False),
        )

    def _check(self, _: Scope, right: Right) -> None:
        self.asked.append(right)
        assert self._error
        raise self._error

    def _quit(self) -> None:
        self.quits += 1

    async def request(
        self,
        method: str,
        path: str,
        client: tuple[str, int] | None = ("127.0.0.1", 5),
        headers: Mapping[bytes, bytes] = {},
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        """Return status, headers and body of the answer to a request."""
        events: list[Event] = []

        async def receive() -> Event:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(event: Event) -> None:
            # Who quits has the answer first.
            assert self.quits == 0
            events.append(event)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "client": client,
            "headers": [*headers.items()],
        }
        await self._app(scope, receive, send)
        start, *bodies = events
        return (
            start["status"],
            dict(start["headers"]),
            b"".join(event["body"] for event in bodies),
        )


async def test_metrics_are_prometheus_text() -> None:
    """The content type is the one that scrapers expect."""
    status, headers, body = await Ops().request("GET", "/metrics")

    assert (status, body) == (200, b"up 1\n")
    assert headers[b"content-type"] == b"text/plain; version=0.0.4; charset=utf-8"


async def test_post_quits() -> None:
    """The caller gets an answer before the end begins."""
    ops = Ops()

    status, _, body = await ops.request("POST", "/quitquitquit")

    assert (status, body, ops.quits) == (200, b"quitting\n", 1)


async def test_get_does_not_quit() -> None:
    """Whatever follows links must not end the server."""
    ops = Ops()

    status, headers, _ = await ops.request("GET", "/quitquitquit")

    assert (status, headers[b"allow"], ops.quits) == (405, b"POST", 0)


@pytest.mark.parametrize("client", [("192.0.2.7", 5), ("2001:db8::7", 5), None])
async def test_others_may_not_quit(client: tuple[str, int] | None) -> None:
    """By default only callers on this machine may."""
    ops = Ops()

    status, _, body = await ops.request("POST", "/quitquitquit", client)

    assert (status, body, ops.quits) == (403, b"only callers on this machine may quit\n", 0)


async def test_others_may_quit_if_told_so() -> None:
    """For those whose orchestrator calls from outside."""
    ops = Ops(quit_from_any=True)

    status, _, _ = await ops.request("POST", "/quitquitquit", ("192.0.2.7", 5))

    assert (status, ops.quits) == (200, 1)


async def test_other_paths_are_not_found() -> None:
    """There is nothing else on the port, and what there is is told."""
    status, _, body = await Ops().request("GET", "/")

    assert (status, b"/metrics, /healthz, /readyz" in body) == (404, True)


async def test_metrics_are_only_read() -> None:
    """A POST changes nothing, so it is told what to use."""
    status, headers, _ = await Ops().request("POST", "/metrics")

    assert (status, headers[b"allow"]) == (405, b"GET")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_addresses(host: str) -> None:
    """IPv4 in IPv6 clothes is IPv4."""
    assert is_loopback((host, 1))


@pytest.mark.parametrize("host", ["192.0.2.7", "::ffff:192.0.2.7", "fe80::1"])
def test_other_addresses(host: str) -> None:
    """A link-local neighbour is not this machine."""
    assert not is_loopback((host, 1))


@pytest.mark.parametrize(
    ("error", "status"), [(Unauthenticated("expired"), 401), (AccessDenied("no right"), 403)]
)
@pytest.mark.parametrize(
    ("method", "path", "right"),
    [("GET", "/metrics", Right.BROWSE), ("POST", "/quitquitquit", Right.ADMIN)],
)
async def test_who_has_no_right_is_refused(
    error: QError, status: int, method: str, path: str, right: Right
) -> None:
    """Whoever `--quit-from` lets quit otherwise."""
    ops = Ops(quit_from_any=True, error=error)

    found, headers, body = await ops.request(method, path, ("192.0.2.1", 5))

    assert (found, body, ops.asked) == (status, f"{error.message}\n".encode(), [right])
    assert (headers.get(b"www-authenticate") == b"Bearer") is (status == 401)


async def test_probes_and_quitting_from_here_need_no_right() -> None:
    """Whoever is on this machine can end q anyway, and a load balancer has no token."""
    ops = Ops(error=Unauthenticated())

    assert (await ops.request("GET", "/healthz"))[0] != 401
    assert (await ops.request("POST", "/quitquitquit"))[0] == 200
    assert ops.asked == []


async def test_a_page_of_another_site_does_not_quit() -> None:
    """Neither as itself, nor by having its name stand for this machine."""
    ops = Ops(quit_from_any=True)

    for headers in (
        {b"sec-fetch-site": b"cross-site"},
        {b"host": b"evil.example:10003"},
    ):
        status, _, body = await ops.request("POST", "/quitquitquit", headers=headers)
        assert status == 403
        assert b"site" in body
    assert ops.quits == 0
