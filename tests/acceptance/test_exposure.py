"""Who reaches the real q, by where it listens."""

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from qmq.server.token_file import make as make_token
from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ, environment, program
from tests.acceptance.serving import PATIENCE_S
from tests.acceptance.test_shutdown import address_of_this_machine


@pytest.fixture
def q(tmp_path: Path) -> Iterator[RunningQ]:
    """A q that the test starts."""
    running = RunningQ(tmp_path)
    yield running
    if running.is_running:
        running.stop()


def accepts(host: str, q: RunningQ) -> bool:
    """Tell whether q takes connections at a host."""
    try:
        socket.create_connection((host, int(q.address.rpartition(":")[2])), timeout=5).close()
    except OSError:
        return False
    return True


def until_logged(q: RunningQ, *texts: str) -> None:
    """Wait until all of these stand in the log."""
    deadline = time.monotonic() + PATIENCE_S
    while not all(text in q.log for text in texts):
        assert time.monotonic() < deadline, q.log
        time.sleep(0.02)


def test_without_a_host_q_is_on_loopback_unless_nobody_minds(q: RunningQ) -> None:
    """The log says so, and what to do."""
    host = address_of_this_machine()
    if host is None:
        pytest.skip("this machine has no address but loopback")
    ports = [address.rpartition(":")[2] for address in (q.address, q.metrics_address)]
    options = [f"--listen=:{ports[0]}", f"--metrics=:{ports[1]}"]

    q.start(*options)
    until_logged(q, f'"listen": "localhost:{ports[0]}"', "listens on loopback only")
    assert accepts("127.0.0.1", q)
    assert accepts("localhost", q)
    assert not accepts(host, q)
    q.stop()

    q.start(*options, "--insecure")
    until_logged(q, f'"listen": ":{ports[0]}"')
    assert accepts(host, q)
    assert q.log.count("listens on loopback only") == 1


def test_whoever_is_asked_may_come_from_anywhere(q: RunningQ, tmp_path: Path) -> None:
    """But tokens should not cross a network as plain text."""
    access = tmp_path / "access.toml"
    grants = [{"queues": "*", "may": ["admin"]}]
    make_token(access, "ann", expires=None, note="", grants=grants)

    q.start(f"--listen=0.0.0.0:{q.address.rpartition(':')[2]}", f"--access={access}")

    until_logged(q, "tokens come as plain text")


@pytest.mark.parametrize(("name", "options"), [("q", []), ("qrest", ["127.0.0.1:1"])])
def test_everyone_is_not_let_in_by_mistake(name: str, options: list[str]) -> None:
    """It is a usage error, which says what to do."""
    done = subprocess.run(
        [program(name), *options, "--listen=0.0.0.0:0"],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert "--listen 0.0.0.0:0 would let everyone who reaches it do everything" in done.stderr
    assert "--insecure" in done.stderr


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        ("GET", "/v1/queues", None, {}),
        ("GET", "/v1/queues/a/pop", None, {"user-agent": "curl/8.0"}),
        ("POST", "/v1/queues", {}, {"content-type": "application/json"}),
        ("GET", "/console/", None, {}),
        ("POST", "/proto.Q/ListQueues", bytes(5), {"content-type": "application/grpc"}),
        ("POST", "/proto.Q/ListQueues", bytes(5), {"content-type": "application/grpc-web"}),
    ],
)
def test_a_name_of_another_site_leads_nowhere(
    shared_q: RunningQ, method: str, path: str, body: object, headers: dict[str, str]
) -> None:
    """Whatever it may be made to stand for: by no way of HTTP/1.1 that there is."""
    port = shared_q.address.rpartition(":")[2]
    evil = {"host": f"evil.example:{port}", "origin": f"http://evil.example:{port}"}

    foreign = rest(shared_q.address, method, path, body, {**headers, **evil})
    own = rest(shared_q.address, method, path, body, {**headers, "host": f"localhost:{port}"})

    text = unquote(f"{foreign.body.decode()}{foreign.headers.get('grpc-message', '')}")
    assert "--allow-host" in text
    assert (foreign.status, foreign.headers.get("grpc-status")) in {(403, None), (200, "7")}
    assert own.status in {200, 400}
    assert own.headers.get("grpc-status") in {None, "0"}


def test_a_name_that_is_q_s_own_is_served(q: RunningQ) -> None:
    """Others are not, and are not told what the metrics port says either."""
    q.start("--allow-host=q.example")

    for name, status in (("q.example", 200), ("evil.example", 403)):
        assert rest(q.address, "GET", "/v1/queues", headers={"host": name}).status == status
        assert rest(q.metrics_address, "GET", "/healthz", headers={"host": name}).status == status
        assert rest(q.metrics_address, "GET", "/metrics", headers={"host": name}).status == status
    evil = {"host": "evil.example"}
    assert rest(q.metrics_address, "POST", "/quitquitquit", headers=evil).status == 403
    q.stop()

    q.start("--insecure")
    by_name = {"host": "q.default.svc.cluster.local"}
    assert rest(q.address, "GET", "/v1/queues", headers=by_name).status == 200
    of_a_page = {**by_name, "origin": "http://q.default.svc.cluster.local"}
    assert rest(q.address, "GET", "/v1/queues", headers=of_a_page).status == 403
