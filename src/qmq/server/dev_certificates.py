"""Certificates to try TLS with: a CA of one's own, and what it has signed."""

import os
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from qmq.errors import ConfigError

#: Names of the files: certificates, each with its key.
CA: Final = "ca"
SERVER: Final = "server"

#: How long the CA holds; what it signs holds for as long as was asked for.
_CA_HOLDS: Final = timedelta(days=3650)

#: Certificates hold from a little earlier on, for machines whose clocks are late.
_EARLIER: Final = timedelta(minutes=5)

_CA_NAME: Final = "q certs dev"


class Made(NamedTuple):
    """What was written, and what was there."""

    directory: Path
    is_new_ca: bool

    def cert(self, name: str) -> Path:
        """Return the file of a certificate."""
        return self.directory / f"{name}.pem"

    def key(self, name: str) -> Path:
        """Return the file of its key."""
        return self.directory / f"{name}-key.pem"


class _Signer(NamedTuple):
    cert: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make(
    directory: Path, *, hosts: list[str], client: str, holds: timedelta, now: datetime
) -> Made:
    """Write a CA, and certificates of a server and of a client that it has signed.

    A CA that is there already signs again: so certificates are renewed.

    Args:
        directory: where; it is made if it is missing.
        hosts: the names and addresses by which clients reach the server.
        client: the name of the client, which is its subject's CN, and of its files.
        holds: for how long the two hold.
        now: from when on.

    Raises:
        ConfigError: the directory cannot be written, or holds something else.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        made = Made(directory, is_new_ca=not (directory / f"{CA}.pem").exists())
        ca = _new_ca(made, now) if made.is_new_ca else _ca(made)
        _issue(made, SERVER, ca, _names(hosts), (now, holds))
        _issue(made, client, ca, None, (now, holds))
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from error
    return made


def _new_ca(made: Made, now: datetime) -> _Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _CA_NAME)])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    cert = (
        _builder(name, name, key, (now, _CA_HOLDS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(made, CA, cert, key)
    return _Signer(cert, key)


def _ca(made: Made) -> _Signer:
    try:
        cert = x509.load_pem_x509_certificate(made.cert(CA).read_bytes())
        key: PrivateKeyTypes = load_pem_private_key(made.key(CA).read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{made.cert(CA)} and {made.key(CA)} are no CA: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != cert.public_key():
        raise ConfigError(
            f"{made.cert(CA)} was not made by q certs dev, or {made.key(CA)} is not its key;"
            " name another directory"
        )
    return _Signer(cert, key)


def _issue(
    made: Made,
    name: str,
    ca: _Signer,
    names: x509.SubjectAlternativeName | None,
    when: tuple[datetime, timedelta],
) -> None:
    """Sign the certificate of a server, if there are names of hosts, or else of a client."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    purpose: ObjectIdentifier = (
        ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
    )
    builder = (
        _builder(subject, ca.cert.subject, key, when)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key()), critical=False
        )
    )
    if names:
        builder = builder.add_extension(names, critical=False)
    _write(made, name, builder.sign(ca.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    when: tuple[datetime, timedelta],
) -> x509.CertificateBuilder:
    now, holds = when
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + holds)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _names(hosts: list[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(list(map(_name, dict.fromkeys(hosts))))


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(made: Made, name: str, cert: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # The key first: q takes the two when both are there.
    _replace(made.key(name), pem, 0o600)
    _replace(made.cert(name), cert.public_bytes(Encoding.PEM), 0o644)


def _replace(path: Path, content: bytes, mode: int) -> None:
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    new.rename(path)
