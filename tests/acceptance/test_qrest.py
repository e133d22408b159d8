"""The real qrest before the real q, and before a server that is none of ours."""

import base64
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from qmq.wire import q_pb2
from tests.acceptance.rest import RestReply, rest
from tests.acceptance.running import RunningQ, environment, free_ports, program
from tests.acceptance.serving import PATIENCE_S, Serving, SlowRequest

MESSAGE_BYTES_MAX = 4 * 1024 * 1024

ORIGIN = "http://page.example"


class Gateway(Serving):
    """A qrest of a test."""

    def __init__(self, directory: Path, server: str, *arguments: str, **variables: str) -> None:
        (port,) = free_ports(1)
        listen = f"--listen=127.0.0.1:{port}"
        super().__init__(directory, "qrest", server, listen, *arguments, ports=[port], **variables)

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> RestReply:
        """Return the reply to a request; a body that is no text becomes JSON."""
        data = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return rest(self.address, method, path, data, named)


Start = Callable[..., Gateway]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts gateways, and kills them after the test if they still run."""
    started: list[Gateway] = []

    def start_gateway(server: str, *arguments: str) -> Gateway:
        started.append(Gateway(tmp_path, server, *arguments))
        return started[-1]

    yield start_gateway
    for gateway in started:
        gateway.kill()


@pytest.fixture(scope="session")
def gateway(shared_q: RunningQ, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for all tests that leave it running."""
    running = Gateway(tmp_path_factory.mktemp("qrest"), shared_q.address)
    yield running
    running.signal(signal.SIGTERM)
    assert running.wait() == 0


@pytest.fixture
def queue(gateway: Gateway) -> str:
    """The path of a new MEMORY queue."""
    made = gateway("POST", "/v1/queues", {"store": "MEMORY"})
    return f"/v1/queues/{made.json['queue']['meta']['id']}"


@pytest.mark.parametrize("path", ["/console/", "/console/main.js", "/docs/", "/openapi.json"])
def test_console_is_served(gateway: Gateway, path: str) -> None:
    """As q serves it: pages of the gateway use the gateway's API."""
    reply = gateway("GET", path)

    assert reply.status == 200
    assert "script-src 'self'" in reply.headers["content-security-policy"]


def test_a_message_goes_in_and_out(gateway: Gateway, queue: str) -> None:
    """By REST alone."""
    added = gateway("POST", queue, {"payload": "aGVsbG8=", "tags": [{"key": "a", "value": "b"}]})
    popped = gateway("GET", f"{queue}/pop")

    assert (added.status, popped.status) == (200, 200)
    assert popped.body == added.body
    assert popped.json["message"]["payload"] == "aGVsbG8="


def test_batches_go_in_and_out(gateway: Gateway, queue: str) -> None:
    """By the routes that q has for them."""
    batch = {"messages": [{"payload": "MQ=="}, {"payload": "Mg=="}]}

    added = gateway("POST", f"{queue}/messages:batch", batch)
    stats = gateway("GET", f"{queue}/stats")
    popped = gateway("POST", f"{queue}/messages:pop", {"messages_max": 9})

    assert [message["meta"] for message in popped.json["messages"]] == added.json["messages"]
    assert [message["payload"] for message in popped.json["messages"]] == ["MQ==", "Mg=="]
    assert stats.json["queues"][0]["ready"] == "2"


def waiting(gateway: Gateway, queue: str) -> int:
    """Return how many calls wait for a message of a queue."""
    return int(gateway("GET", f"{queue}/stats").json["queues"][0].get("waiting", 0))


def test_a_message_ends_the_waiting(gateway: Gateway, queue: str) -> None:
    """The gateway sets no limit of its own to it."""
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(gateway, "GET", f"{queue}/pop?wait=60s")
        gateway.wait_until(lambda: waiting(gateway, queue) == 1)

        gateway("POST", queue, {"payload": "eA=="})

    assert call.result().json["message"]["payload"] == "eA=="


def test_who_leaves_while_waiting_takes_nothing_along(gateway: Gateway, queue: str) -> None:
    """Its leaving reaches q before the message does."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        request = f"GET {queue}/pop?wait=60s HTTP/1.1\r\nhost: q\r\n\r\n"
        connection.sendall(request.encode())
        gateway.wait_until(lambda: waiting(gateway, queue) == 1)
    gateway.wait_until(lambda: waiting(gateway, queue) == 0)

    added = gateway("POST", queue, {"payload": "eA=="})

    assert gateway("GET", f"{queue}/pop").body == added.body


def test_the_largest_message_goes_in_and_out(gateway: Gateway, queue: str) -> None:
    """No buffer on the way is too small."""
    payload = base64.b64encode(b"\xff" * (MESSAGE_BYTES_MAX - 400)).decode()

    assert gateway("POST", queue, {"payload": payload}).status == 200
    assert gateway("GET", f"{queue}/pop").json["message"]["payload"] == payload


def test_a_message_too_large_is_refused(gateway: Gateway, queue: str) -> None:
    """By the server if it gets that far, else by the gateway."""
    larger = gateway("POST", queue, {"payload": "A" * (MESSAGE_BYTES_MAX // 3 * 4 + 8)})
    largest = gateway("POST", queue, {"payload": "A" * (MESSAGE_BYTES_MAX * 5)})

    assert (larger.status, larger.json["code"]) == (429, 8)
    assert (largest.status, largest.json["code"]) == (413, 8)


def test_errors_of_the_server_are_statuses(gateway: Gateway, queue: str) -> None:
    """With their details."""
    reply = gateway("GET", f"{queue}/pop")

    assert (reply.status, reply.json["code"]) == (404, 5)
    assert reply.json["details"][0]["reason"] == "QUEUE_EMPTY"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v1/queues", {"stoer": "MEMORY"}, 400, 3),
        ("POST", "/v1/queues", "", 400, 3),
        ("POST", "/v1/queues", "{", 400, 3),
        ("GET", "/v1/queues?foo=bar", None, 400, 3),
        ("GET", "/v1/queues/", None, 404, 5),
        ("GET", "/nope", None, 404, 5),
        ("PUT", "/v1/queues", {}, 405, 12),
        ("POST", "/proto.Q/ListQueues", {}, 415, 3),
    ],
)
def test_requests_are_checked_as_by_q(  # noqa: PLR0913, PLR0917  # a table
    gateway: Gateway, method: str, path: str, body: object, status: int, code: int
) -> None:
    """A caller cannot tell which of the two answers."""
    reply = gateway(method, path, body)

    assert (reply.status, reply.json["code"]) == (status, code)
    assert reply.json["message"]


def test_pages_of_every_origin_may_call(gateway: Gateway) -> None:
    """Errors say so too, else a page could not read them."""
    for path, status in (("/v1/queues", 200), ("/nope", 404), ("/v1/queues/", 404)):
        reply = gateway("GET", path, origin=ORIGIN)

        assert reply.status == status
        assert reply.headers["access-control-allow-origin"] == ORIGIN
        assert reply.headers["vary"] == "Origin"


def test_pages_of_other_sites_are_what_it_is_for(gateway: Gateway) -> None:
    """Those that q itself refuses."""
    assert gateway("GET", "/v1/queues", sec_fetch_site="cross-site").status == 200


def test_a_preflight_names_the_methods(gateway: Gateway) -> None:
    """And the headers that were asked for."""
    reply = gateway(
        "OPTIONS",
        "/v1/queues",
        origin=ORIGIN,
        access_control_request_method="DELETE",
        access_control_request_headers="content-type",
    )

    assert reply.status == 200
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert reply.headers["access-control-allow-methods"] == "GET, POST, PUT, PATCH, DELETE"
    assert reply.headers["access-control-allow-headers"] == "content-type"


def test_without_an_origin_there_is_no_cors(gateway: Gateway) -> None:
    """Only that caches must not mix the two up."""
    headers = gateway("GET", "/v1/queues").headers

    assert not [name for name in headers if name.startswith("access-control")]
    assert headers["vary"] == "Origin"


def test_metrics_are_those_of_the_process(gateway: Gateway) -> None:
    """The queues' are the server's to show."""
    reply = gateway("GET", "/metrics")

    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    names = re.findall(r"^# TYPE (\w+)", reply.body.decode(), re.MULTILINE)
    assert "process_resident_memory_bytes" in names
    assert not [name for name in names if name.startswith(("queue_", "envoy_"))]


def test_each_request_is_a_line_of_the_log(gateway: Gateway) -> None:
    """Numbers are numbers, and whatever a caller sends is only text."""
    before = time.time()
    agent = 'a "quoted" \\ agent'
    gateway("POST", "/v1/queues?q={}", {}, user_agent=agent, host="q.example")

    gateway.wait_until(lambda: "q.example" in gateway.log)
    (line,) = (line for line in gateway.lines if line.get("host") == "q.example")
    asked = {"level", "ts", "msg", "host", "method", "url", "agent", "remote"}
    assert line.keys() == {*asked, "status", "took_ms", "bytes_in", "bytes_out", "request_id"}
    assert (line["status"], line["bytes_in"]) == (400, 2)
    assert before - 1 < line["ts"] < time.time() + 1
    assert re.fullmatch(r"127\.0\.0\.1:\d+", line["remote"])
    assert (line["level"], line["msg"]) == ("info", "request")
    assert (line["method"], line["url"], line["agent"]) == ("POST", "/v1/queues?q={}", agent)


def test_the_log_tells_what_was_asked_not_what_became_of_it(gateway: Gateway, queue: str) -> None:
    """On the way a request becomes gRPC."""
    gateway("GET", f"{queue}/peek")

    gateway.wait_until(lambda: f"{queue}/peek" in gateway.log)
    (line,) = (line for line in gateway.lines if line.get("url") == f"{queue}/peek")
    assert line["method"] == "GET"


def test_the_log_of_a_quiet_gateway_is_quiet(start: Start) -> None:
    """One line at the start, two at the end."""
    gateway = start("127.0.0.1:1")

    gateway.signal(signal.SIGTERM)

    assert gateway.wait() == 0
    assert gateway.messages == ["serving", "shutting down", "stopped"]
    assert gateway.lines[0]["listen"] == gateway.address
    assert gateway.lines[0]["server"] == "127.0.0.1:1"


def test_debugging_people_get_text(start: Start) -> None:
    """JSON is for machines."""
    gateway = start("127.0.0.1:1", "--debug")

    gateway("GET", "/nope")

    gateway.wait_until(lambda: " request " in gateway.log)
    line = gateway.log.splitlines()[-1]
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \[info     \] request host=", line)
    assert " method=GET url=/nope " in line


def test_a_server_that_is_not_there_is_unavailable_at_once(
    start: Start, q_server: RunningQ
) -> None:
    """And there again when it is there again."""
    gateway = start(q_server.address)
    assert gateway("GET", "/v1/queues").status == 200

    q_server.stop()
    before = time.monotonic()
    reply = gateway("GET", "/v1/queues")

    assert time.monotonic() - before < 20
    assert (reply.status, reply.json["code"]) == (503, 14)
    assert reply.json["message"].startswith(f"cannot reach the server {q_server.address}: ")

    q_server.start()
    gateway.wait_until(lambda: gateway("GET", "/v1/queues").status == 200)


def test_a_server_without_an_address_is_unavailable(start: Start) -> None:
    """Names may come to be later, so the gateway starts all the same."""
    gateway = start("no-such-host.invalid:10002")

    reply = gateway("GET", "/v1/queues")

    assert (reply.status, reply.json["code"]) == (503, 14)
    assert reply.json["message"].startswith("cannot reach the server no-such-host.invalid:10002")


class _Original(grpc.GenericRpcHandler):
    """Answers as a server does that knows gRPC's statuses and no details."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:  # noqa: ANN401
        def list_queues(_: bytes, __: grpc.ServicerContext) -> bytes:
            meta = q_pb2.Metadata(id="an-id")
            queues = [q_pb2.Queue(meta=meta, store=q_pb2.Queue.MEMORY)]
            return q_pb2.ListQueuesResponse(queues=queues).SerializeToString()

        def refuse(_: bytes, context: grpc.ServicerContext) -> bytes:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue é is full: 100 %")

        is_list = handler_call_details.method == "/proto.Q/ListQueues"
        return grpc.unary_unary_rpc_method_handler(list_queues if is_list else refuse)


def test_any_server_with_this_api_will_do(start: Start) -> None:
    """The original's, say."""
    server = grpc.server(ThreadPoolExecutor(max_workers=2), handlers=[_Original()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        gateway = start(f"127.0.0.1:{port}")

        listed = gateway("GET", "/v1/queues")
        refused = gateway("POST", "/v1/queues", {"store": "MEMORY"})
    finally:
        server.stop(None)

    assert listed.body == b'{"queues":[{"meta":{"id":"an-id"},"store":"MEMORY"}]}'
    assert refused.status == 429
    assert refused.json == {"code": 8, "message": "queue é is full: 100 %"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_gets_its_answer(
    start: Start, shared_q: RunningQ, number: signal.Signals
) -> None:
    """Meanwhile nobody new is let in."""
    gateway = start(shared_q.address)
    slow = SlowRequest(gateway)

    gateway.signal(number)

    gateway.wait_until(lambda: not gateway.accepts())
    assert slow.finish() == b"HTTP/1.1 200 OK"
    assert gateway.wait() == 0


def test_a_request_that_never_ends_is_cut_off(start: Start, shared_q: RunningQ) -> None:
    """After the time that --close-after allows."""
    gateway = start(shared_q.address, "--close-after=300ms")
    slow = SlowRequest(gateway)

    gateway.signal(signal.SIGTERM)

    assert gateway.wait() == 0
    assert slow.finish() == b""
    assert "requests in flight are cut off" in gateway.messages


def test_a_shutdown_has_an_end(start: Start, shared_q: RunningQ) -> None:
    """Whatever happens, after --kill-after there is no gateway any more."""
    gateway = start(shared_q.address, "--close-after=1h", "--kill-after=300ms")
    slow = SlowRequest(gateway)

    gateway.signal(signal.SIGTERM)

    assert gateway.wait() == 1
    assert slow.finish() == b""
    assert gateway.messages[-1] == "the shutdown takes too long: killed"


def test_quitquitquit_takes_a_post(start: Start) -> None:
    """A GET is told so."""
    gateway = start("127.0.0.1:1")

    refused = gateway("GET", "/quitquitquit")
    assert (refused.status, refused.headers["allow"]) == (405, "POST")

    assert gateway("POST", "/quitquitquit").status == 200
    assert gateway.wait() == 0


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run qrest to its end."""
    return subprocess.run(
        [program("qrest"), *arguments],
        capture_output=True,
        text=True,
        env=environment(**variables),
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing argument 'SERVER'."),
        (("q.example",), "'q.example' has no port"),
        (("q.example:1", "--close-after=1"), "'1' is no duration; write it like 90s, 2m30s or 1h"),
        (("q.example:1", "--listen=80"), "'80' has no port"),
        (("q.example:1", "other:1"), "Got unexpected extra argument (other:1)"),
    ],
)
def test_usage_errors_name_what_is_wrong(arguments: tuple[str, ...], message: str) -> None:
    """With the exit status that is for them."""
    done = run(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in " ".join(done.stderr.split())


def test_a_port_in_use_is_one_line() -> None:
    """Said before anything starts."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"

        done = run(QREST_SERVER="127.0.0.1:1", QREST_LISTEN=address)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"qrest: error: cannot listen on {address}: address already in use; "
        "stop the process that listens there, or give another port by --listen\n"
    )


def test_the_environment_configures_it_too(tmp_path: Path, shared_q: RunningQ) -> None:
    """As in the deployments of the original."""
    gateway = Gateway(
        tmp_path,
        shared_q.address,
        QREST_CLOSE_AFTER="1m",
        QREST_KILL_AFTER="300ms",
        QREST_DEBUG="true",
    )
    slow = SlowRequest(gateway)

    gateway.signal(signal.SIGTERM)

    assert gateway.wait() == 1
    assert slow.finish() == b""
    assert " CRITICAL " in gateway.log
