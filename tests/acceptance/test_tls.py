"""The real q with TLS: what it starts with, whom it lets in, and certificates that are replaced."""

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509

import qmq
from qmq.server.certificates import utc_now
from qmq.server.dev_certificates import Made, make
from qmq.server.token_file import make as make_token
from tests.acceptance.running import RunningQ, environment, free_ports, program
from tests.acceptance.serving import PATIENCE_S, Serving
from tests.postgres.secured import Secured, secured

HOSTS = ["localhost", "127.0.0.1"]


def certificates(directory: Path, days: float = 30) -> Made:
    """Make certificates as `q certs dev` does."""
    holds = timedelta(days=days)
    return make(directory, hosts=HOSTS, client="worker", holds=holds, now=utc_now())


def with_tls(made: Made, *more: str) -> list[str]:
    """Return the options with which q shows its certificate."""
    return [f"--tls-cert={made.cert('server')}", f"--tls-key={made.key('server')}", *more]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Certificates in a directory of the test's own."""
    return certificates(tmp_path / "certs")


@pytest.fixture
def q(tmp_path: Path) -> Iterator[RunningQ]:
    """A q that the test starts."""
    running = RunningQ(tmp_path)
    yield running
    if running.is_running:
        running.stop()


def shown(address: str, made: Made) -> x509.Certificate:
    """Return the certificate that a new connection is shown, and that holds for localhost."""
    context = ssl.create_default_context(cafile=made.cert("ca"))
    context.load_cert_chain(made.cert("worker"), made.key("worker"))
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=30) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as secure,
    ):
        found = secure.getpeercert(binary_form=True)
    assert found
    return x509.load_der_x509_certificate(found)


def on_disk(made: Made) -> x509.Certificate:
    """Return the certificate that is in q's file."""
    return x509.load_pem_x509_certificate(made.cert("server").read_bytes())


def wait_until(holds: Callable[[], bool], q: RunningQ) -> None:
    """Look again and again until something holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, q.log
        time.sleep(0.05)


def refusal(*arguments: str) -> str:
    """Return why q does not start, which is not a usage error."""
    listen, metrics = free_ports(2)
    done = subprocess.run(
        [
            *(program("q"), "--data=none"),
            *(f"--listen=127.0.0.1:{listen}", f"--metrics=127.0.0.1:{metrics}"),
            *arguments,
        ],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line.removeprefix("q: error: ")


def curl(address: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask q for its queues."""
    url = f"https://localhost:{address.rpartition(':')[2]}/v1/queues"
    return subprocess.run(
        ["curl", "--silent", "--show-error", "--ipv4", *arguments, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_both_ports_speak_tls_alone_and_ask_for_certificates(q: RunningQ, made: Made) -> None:
    """The metrics port as well: what it tells is nobody else's business."""
    ca = str(made.cert("ca"))
    q.start(*with_tls(made, f"--tls-client-ca={ca}"))
    mine = ["--cert", str(made.cert("worker")), "--key", str(made.key("worker"))]

    for address in (q.address, q.metrics_address):
        assert curl(address, "--cacert", ca, *mine).returncode == 0
        assert curl(address, "--cacert", ca).returncode != 0
        assert curl(address, *mine).returncode == 60  # An unknown CA, says curl.
        plain = subprocess.run(
            ["curl", "--silent", f"http://{address}/v1/queues"], capture_output=True, check=False
        )
        assert plain.returncode != 0
        assert plain.stdout == b""


def test_metrics_tell_when_certificates_expire(q: RunningQ, made: Made) -> None:
    """So that somebody is told before clients are."""
    q.start(*with_tls(made))
    address = q.metrics_address.rpartition(":")[2]

    told = subprocess.run(
        ["curl", "-s", "--cacert", made.cert("ca"), f"https://localhost:{address}/metrics"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    moment = on_disk(made).not_valid_after_utc.timestamp()
    (line,) = (line for line in told.splitlines() if line.startswith("q_certificate_expires"))
    name, value = line.split(" ")
    assert name == 'q_certificate_expires_timestamp_seconds{certificate="server"}'
    assert float(value) == moment


def test_a_certificate_that_expires_soon_is_in_the_log(q: RunningQ, tmp_path: Path) -> None:
    """Two weeks are time enough to do something about it."""
    q.start(*with_tls(certificates(tmp_path / "certs", days=13)))

    wait_until(lambda: "a certificate expires soon" in q.log, q)


def in_place(made: Made, new: Made) -> None:
    """Write the new files over the old ones."""
    for path, source in ((made.key, new.key), (made.cert, new.cert)):
        path("server").write_bytes(source("server").read_bytes())


def by_renaming(made: Made, new: Made) -> None:
    """Put new files into the places of the old ones."""
    for path, source in ((made.cert, new.cert), (made.key, new.key)):
        shutil.copy(source("server"), made.directory / "new")
        (made.directory / "new").rename(path("server"))


@pytest.mark.parametrize("replace", [in_place, by_renaming])
def test_new_certificates_are_shown_and_connections_go_on(
    q: RunningQ, made: Made, tmp_path: Path, replace: Callable[[Made, Made], None]
) -> None:
    """However the files are replaced, and in whatever order."""
    q.start(*with_tls(made))
    ca = made.cert("ca")
    context = ssl.create_default_context(cafile=ca)
    host, _, port = q.address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=30) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as secure,
    ):
        new = _renewed(made, tmp_path / "new")

        replace(made, new)
        wait_until(lambda: shown(q.address, made) == on_disk(new), q)

        secure.sendall(b"GET /v1/queues HTTP/1.1\r\nhost: q\r\n\r\n")
        assert secure.recv(100).startswith(b"HTTP/1.1 200")


def _renewed(made: Made, directory: Path) -> Made:
    """Return certificates of the same CA, in another directory."""
    directory.mkdir()
    for path in (made.cert("ca"), made.key("ca")):
        shutil.copy(path, directory)
    return certificates(directory)


def test_a_mounted_secret_is_swapped_as_a_whole(q: RunningQ, made: Made, tmp_path: Path) -> None:
    """Kubernetes puts a link to another directory into the place of the one that there is."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()

    def swap(new: Made) -> None:
        (mounted / "..data_tmp").symlink_to(new.directory)
        (mounted / "..data_tmp").rename(mounted / "..data")

    swap(made)
    for name in ("server.pem", "server-key.pem"):
        (mounted / name).symlink_to(f"..data/{name}")
    q.start(f"--tls-cert={mounted}/server.pem", f"--tls-key={mounted}/server-key.pem")
    assert shown(q.address, made) == on_disk(made)

    new = _renewed(made, tmp_path / "new")
    swap(new)

    wait_until(lambda: shown(q.address, made) == on_disk(new), q)


def test_what_cannot_be_used_leaves_what_there_is(q: RunningQ, made: Made, tmp_path: Path) -> None:
    """A key without its certificate, say; the log tells once, and what is put right is taken."""
    q.start(*with_tls(made))
    before, old_key = on_disk(made), made.key("server").read_bytes()
    other = certificates(tmp_path / "other")

    shutil.copy(other.key("server"), made.key("server"))
    wait_until(lambda: "new certificates are not used" in q.log, q)
    assert shown(q.address, made) == before
    assert q.log.count("is not the key of the certificate") == 1

    made.key("server").write_bytes(old_key)
    wait_until(lambda: "certificates were read again" in q.log, q)
    assert shown(q.address, made) == before


def test_a_ca_of_clients_is_replaced(q: RunningQ, made: Made, tmp_path: Path) -> None:
    """Who was let in before is not any more, and the other way round."""
    asked = tmp_path / "clients.pem"
    other = certificates(tmp_path / "other")
    shutil.copy(made.cert("ca"), asked)
    q.start(*with_tls(made, f"--tls-client-ca={asked}"))

    def lets_in(client: Made) -> bool:
        mine = ["--cert", str(client.cert("worker")), "--key", str(client.key("worker"))]
        return curl(q.address, "--cacert", str(made.cert("ca")), *mine).returncode == 0

    assert lets_in(made)
    assert not lets_in(other)

    shutil.copy(other.cert("ca"), asked)

    wait_until(lambda: lets_in(other), q)
    assert not lets_in(made)


def test_files_that_cannot_be_used_are_named_before_q_serves(made: Made, tmp_path: Path) -> None:
    """With what is wrong, and what to do."""
    cert, key = f"--tls-cert={made.cert('server')}", f"--tls-key={made.key('server')}"
    missing, text = tmp_path / "missing", tmp_path / "text"
    text.write_text("no PEM")
    other = certificates(tmp_path / "other")
    past = datetime.now(UTC) - timedelta(days=1)
    expired = trustme.CA().issue_cert("localhost", not_after=past)
    expired.cert_chain_pems[0].write_to_path(tmp_path / "expired.pem")
    expired.private_key_pem.write_to_path(tmp_path / "expired-key.pem")

    assert refusal(f"--tls-cert={missing}", key) == (
        f"--tls-cert {missing}: No such file or directory;"
        " the user that runs q must be able to read it"
    )
    assert refusal(f"--tls-cert={text}", key).startswith(f"--tls-cert {text} holds no certificate")
    assert refusal(cert, f"--tls-key={text}").startswith(f"--tls-key {text} holds no private key")
    assert refusal(cert, f"--tls-key={other.key('server')}").startswith(
        f"--tls-key {other.key('server')} is not the key of the certificate in"
    )
    assert "has expired on 20" in refusal(
        f"--tls-cert={tmp_path / 'expired.pem'}", f"--tls-key={tmp_path / 'expired-key.pem'}"
    )
    assert "holds no certificate of a CA" in refusal(
        cert, key, f"--tls-client-ca={made.cert('worker')}"
    )


def test_who_calls_is_told_by_a_certificate_or_by_a_token(
    q: RunningQ, made: Made, tmp_path: Path
) -> None:
    """Where certificates are optional, each has to show one of the two; nobody else's will do."""
    ca = made.cert("ca")
    stranger = certificates(tmp_path / "other")
    access = tmp_path / "access.toml"
    grants = [{"queues": "*", "may": ["admin"]}]
    token = make_token(access, "ann", expires=None, note="", grants=grants).text
    with access.open("a") as file:
        file.write(
            '\n[[identity]]\nname = "worker"\ncertificates = ["CN=worker"]\n'
            'rights = [{ queues = "jobs", may = ["manage", "produce"] }]\n'
        )
    q.start(
        *with_tls(made, f"--tls-client-ca={ca}", "--tls-client-cert=optional"),
        f"--access={access}",
    )
    url = f"https://localhost:{q.address.rpartition(':')[2]}"

    def client(shown: Made | None = None, token: str | None = None) -> qmq.Client:
        return qmq.Client(
            url,
            ca=ca,
            cert=shown and shown.cert("worker"),
            key=shown and shown.key("worker"),
            token=token,
            retry=qmq.Retry(duration=0),
        )

    with client(made) as worker, client(token=token) as ann, client() as nobody:
        worker.new_queue("jobs", store="MEMORY")
        worker.queue("jobs").add("x")
        with pytest.raises(qmq.AccessDenied):
            worker.queue("jobs").pop()
        assert ann.queue("jobs").pop().payload == b"x"
        with pytest.raises(qmq.Unauthenticated):
            nobody.queue("jobs").pop()
    with client(stranger) as other, pytest.raises(qmq.HandshakeFailed):
        other.queue("jobs").pop()


def test_a_gateway_speaks_tls_on_both_sides(q: RunningQ, made: Made, tmp_path: Path) -> None:
    """It knows q by a CA, q knows it by its certificate, and a caller's token is q's to look at."""
    ca = made.cert("ca")
    access = tmp_path / "access.toml"
    grants = [{"queues": "*", "may": ["admin"]}]
    token = make_token(access, "ann", expires=None, note="", grants=grants).text
    q.start(*with_tls(made, f"--tls-client-ca={ca}", f"--access={access}"))
    server = f"https://localhost:{q.address.rpartition(':')[2]}"
    own = (f"--cert={made.cert('worker')}", f"--key={made.key('worker')}")
    (port,) = free_ports(1)
    gateway = Serving(
        tmp_path,
        "qrest",
        *(server, f"--ca={ca}", *own, f"--listen=127.0.0.1:{port}"),
        *with_tls(made),
        ports=[port],
    )
    try:

        def status(path: str, *arguments: str) -> str:
            return subprocess.run(
                [
                    *("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", ca),
                    *(*arguments, f"https://localhost:{port}{path}"),
                ],
                capture_output=True,
                text=True,
                check=False,
            ).stdout

        wait_until(lambda: status("/readyz") == "200", q)
        # Its certificate is none that the access file names.
        assert status("/v1/queues") == "401"
        assert status("/v1/queues", "-H", f"Authorization: Bearer {token}") == "200"
        assert status("/v1/queues", "-H", f"Authorization: Bearer {token}x") == "401"
    finally:
        gateway.kill()


@pytest.fixture(scope="module")
def database(
    tmp_path_factory: pytest.TempPathFactory,
    postgres: None,  # noqa: ARG001 - It skips tests where there is none.
) -> Iterator[Secured]:
    """A PostgreSQL that lets nobody in without TLS."""
    with secured(tmp_path_factory.mktemp("database")) as database:
        yield database


def test_all_of_a_cluster_speaks_tls(database: Secured, tmp_path: Path) -> None:
    """With its database, with its clients, and among its q: a call that is sent on arrives."""
    made = database.made
    ca = made.cert("ca")
    pair = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        pair.append(RunningQ(tmp_path / name))
    with database.node.database() as name, ExitStack() as stack:
        dsn = database.dsn(name, sslmode="verify-full", sslrootcert=ca)
        for each in pair:
            port = each.address.rpartition(":")[2]
            each.start(
                *(f"--postgres={dsn}", "--postgres-unsynced", "--data=none"),
                *with_tls(made, f"--tls-peer-ca={ca}", f"--advertise=localhost:{port}"),
            )
            stack.callback(each.kill)
        clients = [
            stack.enter_context(
                qmq.Client(f"https://localhost:{each.address.rpartition(':')[2]}", ca=ca)
            )
            for each in pair
        ]
        retry_until(lambda: clients[0].ensure_queue("jobs"))

        clients[0].queue("jobs").add("by the one")
        clients[1].queue("jobs").add("by the other")

        assert [clients[0].queue("jobs").pop().payload for _ in pair] == [
            b"by the one",
            b"by the other",
        ]
        assert any('"follows"' in each.log for each in pair)


def retry_until(call: Callable[[], object]) -> None:
    """Call again and again until it is not refused any more."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            call()
        except qmq.Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def test_a_q_that_others_would_not_know_does_not_start(database: Secured) -> None:
    """Its certificate has to be for the name by which they reach it."""
    made = database.made
    dsn = database.dsn(sslmode="verify-full", sslrootcert=made.cert("ca"))
    options = (f"--postgres={dsn}", *with_tls(made, f"--tls-peer-ca={made.cert('ca')}"))

    assert "is for localhost and not for q1.example" in refusal(
        *options, "--advertise=q1.example:1"
    )
    assert "by a name that its certificate is for, not by an address" in refusal(
        *options, "--advertise=127.0.0.1:1"
    )
