"""Browsers call q by its own names only, where it asks nobody who they are."""

import pytest

from qmq.transport.asgi import Event, Receive, Scope, Send
from qmq.transport.hosts import Hosts, called_by, is_foreign


def of(host: str, **more: str) -> dict[bytes, bytes]:
    """Return the headers of a call by a name."""
    named = {name.replace("_", "-").encode(): value.encode() for name, value in more.items()}
    return {b"host": host.encode(), **named}


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:10002", "LOCALHOST:1", "localhost.", "q.localhost:10002"),
        *("127.0.0.1:10002", "127.9.9.9", "[::1]:10002", "192.0.2.7:10002", "[2001:db8::1]"),
        *("nas", "q:10002", "", "q.example", "Q.Example:10002", "q.example.", "a.b.wide.example"),
    ],
)
def test_own_names_are_served(host: str) -> None:
    """Those of this machine, addresses, names without a dot, and those that q was told."""
    hosts = Hosts(["q.example", "*.wide.example"], only_browsers=False)

    assert not hosts.refusal(of(host, origin=f"http://{host}"))


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:10002", "q.example.evil.example", "xq.example"),
        *("localhost.evil.example", "127.0.0.1.evil.example", "wide.example", "xwide.example"),
        *("127.1", "0x7f.1", "::1.example", "evil.example:10002:1"),
    ],
)
def test_other_names_are_refused(host: str) -> None:
    """Also of who looks like no browser: a page can make its browser look so."""
    hosts = Hosts(["q.example", "*.wide.example"], only_browsers=False)

    assert "--allow-host" in hosts.refusal(of(host))
    assert not Hosts(["*"], only_browsers=False).refusal(of(host))


@pytest.mark.parametrize(
    ("more", "is_refused"),
    [
        ({}, False),
        ({"user_agent": "curl/8.0", "accept": "*/*"}, False),
        ({"user_agent": "grpc-go/1.60"}, False),
        ({"user_agent": "node", "sec_fetch_mode": "cors", "accept_language": "*"}, False),
        ({"user_agent": "Mozilla/5.0 (X11)"}, True),
        ({"origin": "http://evil.example"}, True),
        ({"sec_fetch_site": "same-origin"}, True),
        ({"referer": "http://evil.example/"}, True),
    ],
)
def test_programs_may_use_any_name_where_everybody_is_let_in(
    more: dict[str, str],
    is_refused: bool,  # noqa: FBT001 - A parameter of the test.
) -> None:
    """As in a cluster of Kubernetes; browsers may not even there."""
    hosts = Hosts([], only_browsers=True)

    assert bool(hosts.refusal(of("q.default.svc.cluster.local:10002", **more))) is is_refused


def test_pages_of_other_sites_are_known_by_what_browsers_say() -> None:
    """Programs say nothing of the kind."""
    assert is_foreign(of("q", sec_fetch_site="cross-site"))
    assert is_foreign(of("q", sec_fetch_site="same-site"))
    assert not is_foreign(of("q", sec_fetch_site="same-origin"))
    assert not is_foreign(of("q"))


async def answers(version: str, headers: dict[bytes, bytes]) -> list[Event]:
    """Return what a call is answered, by an application that would say nothing."""
    sent: list[Event] = []

    async def serve(_scope: Scope, _receive: Receive, _send: Send) -> None:
        pass

    async def receive() -> Event:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event: Event) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/x",
        "http_version": version,
        "headers": [*headers.items()],
    }
    await called_by(Hosts([], only_browsers=False), serve, takes_forwarded=True)(
        scope, receive, send
    )
    return sent


async def test_a_call_is_refused_as_its_caller_reads_it() -> None:
    """gRPC, and so REST, by a status of gRPC; all else by one of HTTP."""
    grpc = await answers("1.1", {**of("evil.example"), b"content-type": b"application/grpc-web"})
    page = await answers("1.1", {**of("evil.example"), b"content-length": b"3"})

    assert (b"grpc-status", b"7") in [each for event in grpc for each in event.get("headers", ())]
    assert page[0]["status"] == 403
    assert b"--allow-host" in page[1]["body"]


async def test_protocols_that_no_browser_speaks_are_served_by_any_name() -> None:
    """Unless another q has sent on what came by one that it speaks."""
    assert not await answers("2", of("q.default.svc.cluster.local"))
    assert not await answers("1.0", of("q.default.svc.cluster.local"))
    assert not await answers("2", of("evil.example", q_protocol="HTTP/2"))
    assert await answers("2", of("evil.example", q_protocol="HTTP/1.1"))
