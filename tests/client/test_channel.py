"""Calls over gRPC, and what they end with when there is no reply: both kinds of channel."""

import asyncio
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
import trustme

import qmq
from qmq.client.on_asyncio.channel import AsyncGrpcChannel
from qmq.client.on_threads.channel import GrpcChannel
from qmq.errors import QueueEmpty
from qmq.transport.status import status_of
from qmq.wire import q_pb2
from tests.client.conftest import Peer

#: Makes one call with a channel made of an address and options: (timeout_s, address, **options).
Pop = Callable[..., bytes]

REQUEST: Final = q_pb2.PopRequest(queue_id="jobs").SerializeToString()

#: Seconds within which a person hears that the server is not there, on a slow machine: less than
#: the call might take.
PATIENCE_S: Final = 20.0


def pop_on_threads(address: str | list[str], timeout_s: float = 10.0, **options: Any) -> bytes:  # noqa: ANN401
    """Pop from the server at `address`."""
    with closing(GrpcChannel(address, **options)) as channel:
        return channel.call("Pop", REQUEST, timeout_s)


def pop_on_asyncio(address: str | list[str], timeout_s: float = 10.0, **options: Any) -> bytes:  # noqa: ANN401
    """Pop from the server at `address`."""

    async def call() -> bytes:
        channel = AsyncGrpcChannel(address, **options)
        try:
            return await channel.call("Pop", REQUEST, timeout_s)
        finally:
            await channel.close()

    return asyncio.run(call())


@pytest.fixture(params=[pop_on_threads, pop_on_asyncio], ids=["threads", "asyncio"])
def pop(request: pytest.FixtureRequest) -> Pop:
    """One call over a channel of its own, of either kind."""
    found: Pop = request.param
    return found


def test_a_call_sends_its_request_and_returns_the_reply(peer: Peer, pop: Pop) -> None:
    """Method and messages are those of the wire contract."""
    peer.answer = lambda _request, _context: b"\x00\xff"

    assert pop(peer.address) == b"\x00\xff"

    assert peer.asked == [("/proto.Q/Pop", REQUEST)]


def test_the_first_of_several_servers_that_is_there_is_asked(peer: Peer, pop: Pop) -> None:
    """So a client of a cluster goes on when one of its servers is down."""
    peer.answer = lambda _request, _context: b"here"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]

        assert pop([f"127.0.0.1:{port}", peer.address]) == b"here"


def test_a_reply_of_any_size_is_received(peer: Peer, pop: Pop) -> None:
    """A message that is popped is not lost because it is larger than gRPC's 4 MiB."""
    peer.answer = lambda _request, _context: bytes(9 * 1024 * 1024)

    assert pop(peer.address) == bytes(9 * 1024 * 1024)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (grpc.StatusCode.NOT_FOUND, "queue jobs is empty", qmq.QmqError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "no room", qmq.LimitReached),
        (grpc.StatusCode.INTERNAL, "zwei\nZeilen, 100 %, é", qmq.QmqError),
        (grpc.StatusCode.UNKNOWN, "", qmq.QmqError),
        (grpc.StatusCode.CANCELLED, "by the server", qmq.QmqError),
    ],
    ids=lambda value: value.name if isinstance(value, grpc.StatusCode) else "",
)
def test_a_refusal_carries_the_servers_status_and_message(
    peer: Peer, pop: Pop, status: grpc.StatusCode, message: str, kind: type[qmq.QmqError]
) -> None:
    """Nothing of gRPC's own exception is needed to handle it."""

    def refuse(_request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(status, message)

    peer.answer = refuse

    with pytest.raises(qmq.QmqError) as refusal:
        pop(peer.address)

    assert type(refusal.value) is kind
    assert (refusal.value.code, refusal.value.message) == (status.name, message)


def test_a_refusal_by_q_is_told_once(peer: Peer, pop: Pop) -> None:
    """Its traceback has none of gRPC's, which says the same; that of other failures has."""
    empty = QueueEmpty("jobs")

    def refuse(_request: bytes, context: grpc.ServicerContext) -> bytes:
        details = status_of(empty).SerializeToString()
        context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(grpc.StatusCode.NOT_FOUND, empty.message)

    peer.answer = refuse

    with pytest.raises(qmq.QueueEmpty) as refusal:
        pop(peer.address)
    peer.answer = lambda _request, context: context.abort(grpc.StatusCode.INTERNAL, "no idea")
    with pytest.raises(qmq.QmqError) as failure:
        pop(peer.address)

    assert "RpcError" not in "".join(traceback.format_exception(refusal.value))
    assert isinstance(failure.value.__cause__, grpc.RpcError)


def test_a_late_answer_names_the_server_and_the_deadline(peer: Peer, pop: Pop) -> None:
    """DEADLINE_EXCEEDED says who did not answer, and how long the client waited."""
    is_over = threading.Event()

    def linger(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        is_over.wait(timeout=60)
        return b""

    peer.answer = linger

    with pytest.raises(qmq.DeadlineExceeded) as refusal:
        pop(peer.address, timeout_s=0.2)
    is_over.set()

    assert refusal.value.message == f"no answer from {peer.address} within 0.2 s"


def test_a_refused_connection_is_reported_at_once(pop: Pop) -> None:
    """The error names the address and the reason, and nothing has happened."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        start = time.monotonic()
        with pytest.raises(qmq.ServerNotReached) as refusal:
            pop(f":{port}", timeout_s=30)
        took_s = time.monotonic() - start

    assert refusal.value.code == "UNAVAILABLE"
    assert refusal.value.message == f"no server at localhost:{port}: Connection refused"
    assert not refusal.value.may_have_happened
    assert took_s < PATIENCE_S


def test_an_unknown_host_is_reported(pop: Pop) -> None:
    """Whatever the resolver says, it is one line that names the host."""
    start = time.monotonic()
    with pytest.raises(qmq.ServerNotReached, match=r"no server at nohost\.invalid:1: \w[^\n]*$"):
        pop("nohost.invalid:1", timeout_s=30)
    took_s = time.monotonic() - start

    assert took_s < PATIENCE_S


def test_a_server_that_accepts_and_says_nothing_is_given_up(pop: Pop) -> None:
    """A port that is no q's, or a q that hangs, does not hold the caller for a minute."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]

        start = time.monotonic()
        with pytest.raises(
            qmq.ServerNotReached, match=f"no server at localhost:{port}: .*timed out"
        ):
            pop(f":{port}", timeout_s=30)
        took_s = time.monotonic() - start

    assert took_s < PATIENCE_S


def test_a_server_that_hangs_up_may_have_done_it(pop: Pop) -> None:
    """A connection that ends before the answer tells nothing about the call."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        preface_and_settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"

        def hang_up() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(preface_and_settings)
                received = b""
                while b"proto.Q/Pop" not in received:
                    received += connection.recv(65_536)

        with ThreadPoolExecutor(1) as threads:
            hung_up = threads.submit(hang_up)
            address = f"127.0.0.1:{server.getsockname()[1]}"
            with pytest.raises(qmq.ConnectionLost) as failure:
                pop(address)
            hung_up.result()

    assert failure.value.may_have_happened
    assert failure.value.message.startswith(f"no answer from {address}: ")
    assert failure.value.message.endswith("the call may have taken effect")


def test_a_web_server_is_told_from_a_q(pop: Pop) -> None:
    """It answers HTTP and no gRPC, and the error asks whether the port is right."""
    with serving_http_2() as address, pytest.raises(qmq.QmqError) as refusal:
        pop(address)

    assert refusal.value.message == (
        f"{address} answered HTTP status 404 and no gRPC: is it the port on which q listens?"
    )


def test_a_proxy_of_the_environment_is_not_used(
    peer: Peer, pop: Pop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server on this machine is asked directly, whatever the web is reached through."""
    for variable in ("grpc_proxy", "https_proxy", "http_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")

    assert pop(peer.address) == b""


def test_a_token_is_shown_with_each_call(peer: Peer, pop: Pop) -> None:
    """As `authorization: Bearer`; to this machine also without TLS."""
    shown: list[str | bytes] = []

    def note(_request: bytes, context: grpc.ServicerContext) -> bytes:
        shown.extend(
            value for key, value in context.invocation_metadata() if key == "authorization"
        )
        return b""

    peer.answer = note

    pop(peer.address, token="secret")  # noqa: S106 - It opens nothing.
    pop(peer.address)

    assert shown == ["Bearer secret"]


@pytest.mark.parametrize("kind", [qmq.Client, qmq.AsyncClient])
def test_a_token_is_not_sent_over_a_network_in_plain_text(
    kind: type[qmq.Client | qmq.AsyncClient],
) -> None:
    """The error says what to do."""
    with pytest.raises(ValueError, match=r"with TLS: give tls=TLS\(\.\.\.\)"):
        kind("q.example:10002", token="secret")  # noqa: S106 - It opens nothing.


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Somebody who signs certificates."""
    return trustme.CA()


@pytest.fixture
def tls_peer(authority: trustme.CA, tmp_path: Path) -> Iterator[tuple[Peer, qmq.TLS]]:
    """A server that shows a certificate and asks for one, and what a client needs for it."""
    own, theirs = authority.issue_cert("localhost"), authority.issue_cert("client@example.com")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    theirs.private_key_pem.write_to_path(tmp_path / "key.pem")
    theirs.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    credentials = grpc.ssl_server_credentials(
        [(own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes())],
        root_certificates=authority.cert_pem.bytes(),
        require_client_auth=True,
    )
    peer = Peer()
    with ThreadPoolExecutor(max_workers=2) as threads:
        server = grpc.server(threads, handlers=[peer])
        peer.address = f"localhost:{server.add_secure_port('127.0.0.1:0', credentials)}"
        server.start()
        yield (
            peer,
            qmq.TLS(
                ca_file=tmp_path / "ca.pem",
                cert_file=tmp_path / "cert.pem",
                key_file=str(tmp_path / "key.pem"),
            ),
        )
        server.stop(grace=None).wait()


def test_a_token_file_is_read_again_when_it_changes(peer: Peer, tmp_path: Path) -> None:
    """So a token is replaced while a program runs; until the new one is whole the former counts."""
    shown: list[str | bytes] = []

    def note(_request: bytes, context: grpc.ServicerContext) -> bytes:
        shown.append(dict(context.invocation_metadata())["authorization"])
        return b""

    peer.answer = note
    file = tmp_path / "token"
    file.write_text("one\n")
    with closing(GrpcChannel(peer.address, token_file=file)) as channel:
        channel.call("Pop", REQUEST, 10.0)
        file.write_text("")
        channel.call("Pop", REQUEST, 10.0)
        file.unlink()
        channel.call("Pop", REQUEST, 10.0)
        (tmp_path / "new").write_text("second")
        (tmp_path / "new").rename(file)
        channel.call("Pop", REQUEST, 10.0)

    assert shown == ["Bearer one"] * 3 + ["Bearer second"]


@pytest.mark.parametrize("kind", [qmq.Client, qmq.AsyncClient])
def test_tokens_and_tls_that_contradict_each_other_are_refused(
    kind: type[qmq.Client | qmq.AsyncClient], tmp_path: Path
) -> None:
    """When the client is made."""
    (tmp_path / "empty").touch()
    (tmp_path / "lines").write_text("one\ntwo")

    with pytest.raises(ValueError, match="token and token_file exclude each other"):
        kind(token="t", token_file=tmp_path / "empty")  # noqa: S106 - It opens nothing.
    with pytest.raises(ValueError, match="is empty"):
        kind(token_file=tmp_path / "empty")
    with pytest.raises(ValueError, match="a character in it that no token has"):
        kind(token_file=tmp_path / "lines")
    with pytest.raises(FileNotFoundError):
        kind(token_file=tmp_path / "missing")
    with pytest.raises(ValueError, match="begins with http://"):
        kind("http://q:1", tls=True)
    with pytest.raises(ValueError, match="begins with https://"):
        kind("https://q:1", tls=False)
    with pytest.raises(ValueError, match="are short for"):
        kind(tls=qmq.TLS(), ca="ca.pem")
    with pytest.raises(qmq.AddressError, match="or none does"):
        kind("https://10.0.0.1:1,10.0.0.2:1")


def test_an_address_with_https_is_asked_by_tls(
    tls_peer: tuple[Peer, qmq.TLS], pop: Pop, tmp_path: Path
) -> None:
    """With its files named in short as well."""
    peer, tls = tls_peer

    assert pop(f"https://{peer.address}", tls=tls) == b""
    with qmq.Client(
        f"https://{peer.address}",
        ca=tmp_path / "ca.pem",
        cert=tmp_path / "cert.pem",
        key=tmp_path / "key.pem",
    ) as client:
        assert client.list_queues() == []


def test_a_handshake_that_fails_says_why(
    tls_peer: tuple[Peer, qmq.TLS], peer: Peer, pop: Pop, tmp_path: Path
) -> None:
    """Whoever reads it knows what to give."""
    tls_only, tls = tls_peer
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    port = tls_only.address.rpartition(":")[2]

    for address, tried, why in (
        (tls_only.address, qmq.TLS(ca_file=tmp_path / "other.pem"), "is of no CA that the client"),
        (tls_only.address, qmq.TLS(ca_file=tls.ca_file), "asks for a certificate of the client's"),
        (f"127.0.0.1:{port}", tls, "is for another name"),
        (peer.address, tls, "no TLS is spoken there"),
    ):
        with pytest.raises(qmq.HandshakeFailed, match=why):
            pop(address, tls=tried)
    with pytest.raises(qmq.ServerNotReached, match="if TLS is spoken there"):
        pop(tls_only.address)


def test_certificates_that_were_replaced_are_used_when_the_old_ones_fail(
    tls_peer: tuple[Peer, qmq.TLS], tmp_path: Path
) -> None:
    """A program that runs for a year sees several."""
    peer, tls = tls_peer
    peer.answer = lambda _request, _context: b"secret"
    good = {name: (tmp_path / name).read_bytes() for name in ("cert.pem", "key.pem")}
    stranger = trustme.CA().issue_cert("client@example.com")
    stranger.private_key_pem.write_to_path(tmp_path / "key.pem")
    stranger.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")

    with closing(GrpcChannel(peer.address, tls=tls)) as channel:
        with pytest.raises(qmq.HandshakeFailed):
            channel.call("Pop", REQUEST, 10.0)
        for name, content in good.items():
            (tmp_path / name).write_bytes(content)
        with pytest.raises(qmq.HandshakeFailed):  # This one finds out.
            channel.call("Pop", REQUEST, 10.0)

        assert channel.call("Pop", REQUEST, 10.0) == b"secret"


def test_tls_shows_and_checks_certificates(tls_peer: tuple[Peer, qmq.TLS], pop: Pop) -> None:
    """The server's, and the client's if the server asks."""
    peer, tls = tls_peer
    peer.answer = lambda _request, _context: b"secret"

    assert pop(peer.address, tls=tls) == b"secret"
    for other in (qmq.TLS(), qmq.TLS(ca_file=tls.ca_file), None):
        with pytest.raises(qmq.Unavailable):
            pop(peer.address, tls=other)


@pytest.mark.parametrize("kind", [qmq.Client, qmq.AsyncClient])
def test_a_file_that_is_not_there_is_reported_at_once(
    kind: type[qmq.Client | qmq.AsyncClient], tmp_path: Path
) -> None:
    """When the client is made, not at its first call."""
    with pytest.raises(FileNotFoundError, match="missing"):
        kind(tls=qmq.TLS(ca_file=tmp_path / "missing"))
    with pytest.raises(ValueError, match="give both, or neither"):
        kind(tls=qmq.TLS(cert_file="cert.pem"))


def test_threads_share_a_channel(peer: Peer) -> None:
    """Each call has its own answer."""
    peer.answer = lambda request, _context: request

    with closing(GrpcChannel(peer.address)) as channel, ThreadPoolExecutor(8) as threads:
        requests = [b"%d" % n for n in range(200)]
        replies = [*threads.map(lambda request: channel.call("Pop", request, 10.0), requests)]

    assert replies == requests


def test_closing_ends_calls_under_way(peer: Peer) -> None:
    """They do not look like calls that were refused, and no more are taken."""
    has_come, is_over = threading.Event(), threading.Event()

    def linger(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        has_come.set()
        is_over.wait(timeout=60)
        return b""

    peer.answer = linger
    channel = GrpcChannel(peer.address)
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(channel.call, "Pop", REQUEST, 60.0)
        has_come.wait()
        channel.close()
        with pytest.raises(qmq.ClientUnusable, match="is closed"):
            call.result()
    is_over.set()

    with pytest.raises(qmq.ClientUnusable, match="is closed"):
        channel.call("Pop", REQUEST, 1.0)
    channel.close()


async def test_closing_is_not_taken_for_being_cancelled(peer: Peer) -> None:
    """Only a task that somebody cancelled is."""
    has_come, is_over = threading.Event(), threading.Event()

    def linger(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        has_come.set()
        is_over.wait(timeout=60)
        return b""

    peer.answer = linger
    channel = AsyncGrpcChannel(peer.address)
    calls = [asyncio.create_task(channel.call("Pop", REQUEST, 60.0)) for _ in range(2)]
    await asyncio.to_thread(has_come.wait)
    calls[0].cancel()
    await asyncio.wait(calls[:1])
    await channel.close()
    await asyncio.wait(calls)
    is_over.set()

    assert calls[0].cancelled()
    assert isinstance(calls[1].exception(), qmq.ClientUnusable)
    with pytest.raises(qmq.ClientUnusable, match="is closed"):
        await channel.call("Pop", REQUEST, 1.0)
    await channel.close()


def test_a_channel_follows_into_the_next_event_loop(peer: Peer) -> None:
    """A client that was made once serves one `asyncio.run` after the other."""
    channel = AsyncGrpcChannel(peer.address)

    replies = [asyncio.run(channel.call("Pop", REQUEST, 10.0)) for _ in range(2)]

    assert replies == [b"", b""]


async def test_a_channel_serves_one_event_loop_at_a_time(peer: Peer) -> None:
    """Another one is told so, rather than left to hang."""
    channel = AsyncGrpcChannel(peer.address)
    await channel.call("Pop", REQUEST, 10.0)

    def elsewhere() -> bytes:
        return asyncio.run(channel.call("Pop", REQUEST, 10.0))

    with pytest.raises(qmq.ClientUnusable, match="another event loop"):
        await asyncio.to_thread(elsewhere)

    assert await channel.call("Pop", REQUEST, 10.0) == b""
    await channel.close()


def test_channels_show_where_they_lead_to() -> None:
    """The address in full."""
    assert repr(GrpcChannel(":1")) == "<GrpcChannel localhost:1>"
    assert repr(AsyncGrpcChannel("[::1]:2")) == "<AsyncGrpcChannel [::1]:2>"


@contextmanager
def serving_http_2() -> Iterator[str]:
    """Serve HTTP/2 that knows no gRPC and answers 404; yields the address."""
    from h2.config import H2Configuration  # noqa: PLC0415 - For this alone.
    from h2.connection import H2Connection  # noqa: PLC0415
    from h2.events import RequestReceived  # noqa: PLC0415

    is_over = threading.Event()

    def serve() -> None:
        connection, _ = server.accept()
        http = H2Connection(H2Configuration(client_side=False))
        http.initiate_connection()
        is_answered = False
        with connection:
            while not is_answered:
                connection.sendall(http.data_to_send())
                for event in http.receive_data(connection.recv(65_536)):
                    if isinstance(event, RequestReceived):
                        http.send_headers(event.stream_id, [(":status", "404")], end_stream=True)
                        is_answered = True
            connection.sendall(http.data_to_send())
            is_over.wait(timeout=60)

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as threads:
        serving = threads.submit(serve)
        yield f"127.0.0.1:{server.getsockname()[1]}"
        is_over.set()
        serving.result()
