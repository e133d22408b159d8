"""Certificates and their keys: what is fit to be used, and what is told of the rest."""

import logging
import shutil
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from qmq.errors import ConfigError
from qmq.server.certificates import Watch, load, load_ca
from qmq.server.dev_certificates import Made, make
from qmq.server.tls import Tls, system_ca
from qmq.transport.envoy.tls import Secrets, ServerTls

NOW = datetime(2026, 11, 30, tzinfo=UTC)
DAY = timedelta(days=1)

#: Names of curves, of what keys are for, and what makes a certificate that of a CA, in DER.
_P_256 = bytes.fromhex("06082a8648ce3d030107")
_PRIME239V1 = bytes.fromhex("06082a8648ce3d030104")
_RSA = bytes.fromhex("06092a864886f70d0101010500")
_RSASSA_PSS = bytes.fromhex("06092a864886f70d01010a3000")
_CONSTRAINTS = bytes.fromhex("0603551d130101ff040830060101ff020100")


class Files:
    """Certificates of a q that runs, and a clock that the test sets."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.made = self.make("certs", days=30)
        self.now = NOW
        secrets = Secrets(directory / "tls")
        secrets.begin()
        server = ServerTls(
            cert=self.made.cert("server"),
            key=self.made.key("server"),
            client_ca=self.made.cert("ca"),
            secrets=secrets,
        )
        self.tls = Tls(secrets=secrets, server=server, options={})
        self.watch = Watch(self.tls, clock=lambda: self.now)

    def make(self, name: str, days: int) -> Made:
        """Make certificates in a directory of that name."""
        return make(self.directory / name, hosts=["q"], client="ann", holds=days * DAY, now=NOW)

    def was_told(self) -> bool:
        """Whether Envoy was told to read the files again."""
        return (self.directory / "tls" / "watched" / "changed").exists()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """What the test looks at."""
    return Files(tmp_path)


def logged(caplog: pytest.LogCaptureFixture, text: str) -> int:
    """Count the lines of the log with a text."""
    return sum(text in record.getMessage() for record in caplog.records)


def test_what_has_not_changed_is_not_read_again(files: Files) -> None:
    """Envoy would make its contexts anew."""
    files.watch.look()

    assert not files.was_told()
    assert files.watch.expiries["server"] == NOW + 30 * DAY
    assert set(files.watch.expiries) == {"server", "client_ca"}


def test_what_is_new_and_fit_is_told_to_envoy(files: Files) -> None:
    """With its end, for the metrics."""
    files.make("certs", days=60)

    files.watch.look()

    assert files.was_told()
    assert files.watch.expiries["server"] == NOW + 60 * DAY


def test_a_moment_between_two_files_is_no_fault(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    """Only what is still so at the next look is told of, and that once."""
    other = files.make("other", days=60)
    shutil.copy(other.key("server"), files.made.key("server"))

    files.watch.look()
    assert not caplog.records
    for _ in range(3):
        files.watch.look()
    assert logged(caplog, "new certificates are not used") == 1
    assert not files.was_told()

    shutil.copy(other.cert("server"), files.made.cert("server"))
    files.watch.look()
    assert files.was_told()
    assert files.watch.expiries["server"] == NOW + 60 * DAY


def test_a_file_that_has_gone_leaves_what_there_is(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    """It may come back."""
    files.made.cert("server").unlink()

    for _ in range(3):
        files.watch.look()

    assert logged(caplog, "new certificates are not used") == 1
    assert files.watch.expiries["server"] == NOW + 30 * DAY


def test_the_end_is_warned_of_once_a_day(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    """From two weeks before; not any more when there is a new one."""
    caplog.set_level(logging.WARNING)
    for now, count in (
        (NOW + 15 * DAY, 0),
        (NOW + 16 * DAY, 1),
        (NOW + 16.5 * DAY, 1),
        (NOW + 17 * DAY, 2),
    ):
        files.now = now
        files.watch.look()
        assert logged(caplog, "a certificate expires soon") == count
    files.make("certs", days=60)
    files.now = NOW + 18 * DAY
    files.watch.look()
    assert logged(caplog, "a certificate expires soon") == 2


def test_keys_that_envoy_would_not_take_are_refused(files: Files) -> None:
    """With what would do instead."""
    path = files.made.key("server")
    own = load_pem_private_key(path.read_bytes(), password=None)
    secret = BestAvailableEncryption(b"secret")

    path.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    with pytest.raises(ConfigError, match="is protected by a passphrase"):
        load(files.tls, now=NOW)
    for key in (ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 1024)):  # noqa: S505
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        with pytest.raises(ConfigError, match="RSA keys of 2048 bits or more"):
            load(files.tls, now=NOW)


@pytest.mark.parametrize("kinds", [("certs",), ("key",), ("certs", "key")])
def test_curves_that_nobody_knows_are_refused(files: Files, kinds: Sequence[str]) -> None:
    """In words, and with what would do instead."""
    both = {"certs": files.made.cert("server"), "key": files.made.key("server")}
    for kind in kinds:
        _edit(both[kind], _P_256, _PRIME239V1)

    with pytest.raises(ConfigError, match="keys on the curves P-256"):
        load(files.tls, now=NOW)


def test_certificates_that_envoy_would_not_show_are_refused(files: Files) -> None:
    """It would say that it serves, and nobody could connect."""
    key = rsa.generate_private_key(65537, 2048)
    path = files.made.cert("server")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    files.made.key("server").write_bytes(pem)

    path.write_bytes(_signed(key, "q"))
    assert load(files.tls, now=NOW)
    path.write_bytes(_signed(key, ""))
    with pytest.raises(ConfigError, match="names nobody"):
        load(files.tls, now=NOW)
    path.write_bytes(_signed(key, "q"))
    _edit(path, _RSA, _RSASSA_PSS)
    with pytest.raises(ConfigError, match="RSA key for all purposes"):
        load(files.tls, now=NOW)


def test_a_ca_that_cannot_be_read_is_none(files: Files) -> None:
    """And ends nobody who looks at the files."""
    _edit(files.made.cert("ca"), _CONSTRAINTS, _CONSTRAINTS[:-2] + b"\xff\xff")

    with pytest.raises(ConfigError, match="no certificate of a CA"):
        load(files.tls, now=NOW)


def test_what_envoy_could_not_be_told_is_told_at_the_next_look(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    """As where the disk has no room."""
    watched = files.directory / "tls" / "watched"
    watched.rmdir()
    files.make("certs", days=60)

    for _ in range(2):
        files.watch.look()
    assert logged(caplog, "cannot have certificates read again") == 1
    assert files.watch.expiries["server"] == NOW + 30 * DAY

    watched.mkdir()
    files.watch.look()
    assert files.was_told()
    assert files.watch.expiries["server"] == NOW + 60 * DAY


def _edit(path: Path, before: bytes, after: bytes) -> None:
    """Change what stands in a file in PEM."""
    text = path.read_text()
    label = text.split("-----")[1].removeprefix("BEGIN ")
    der = ssl.PEM_cert_to_DER_cert(text.replace(label, "CERTIFICATE"))
    assert before in der
    pem = ssl.DER_cert_to_PEM_cert(der.replace(before, after))
    path.write_text(pem.replace("CERTIFICATE", label))


def _signed(key: rsa.RSAPrivateKey, name: str) -> bytes:
    """Return a certificate of a name, or of nobody, in PEM."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
    subject = x509.Name(attributes)
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + DAY)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_of_several_cas_one_has_to_hold(files: Files, tmp_path: Path) -> None:
    """Bundles have some in them that have expired."""
    bundle = tmp_path / "bundle.pem"
    late = make(tmp_path / "late", hosts=["q"], client="a", holds=DAY, now=NOW + 3000 * DAY)
    parts = (files.made.cert("ca"), late.cert("ca"))
    bundle.write_bytes(b"".join(part.read_bytes() for part in parts))

    assert len(load_ca(bundle, option="--ca", now=NOW)) == 1
    assert len(load_ca(bundle, option="--ca", now=NOW + 3100 * DAY)) == 2
    with pytest.raises(ConfigError, match=r"--ca .*bundle\.pem has expired"):
        load_ca(bundle, option="--ca", now=NOW + 10_000 * DAY)


def test_the_machine_knows_cas() -> None:
    """By which qrest knows a server where it is told nothing else."""
    assert system_ca("--ca").is_file()
