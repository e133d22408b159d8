"""Certificates and their keys, looked at before Envoy gets to see them.

A fault is found, and said in words, before anybody connects. While q runs, the files are looked at
again and again: new ones that are fit to be used replace the old ones, others change nothing.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from qmq.errors import ConfigError
from qmq.server.tls import Tls

_log = logging.getLogger(__name__)

#: Seconds between two looks at the files.
_LOOK_AGAIN_S: Final = 1.0

#: The log warns of a certificate that expires within this time, once a day.
_WARN_BEFORE: Final = timedelta(days=14)
_WARN_EVERY: Final = timedelta(days=1)

#: What each file is called by who gave it, unless told otherwise.
_OPTIONS: Final = {
    "server": "--tls-cert",
    "server_key": "--tls-key",
    "client_ca": "--tls-client-ca",
}

#: Envoy takes no shorter RSA keys, and of other keys those on these curves.
_RSA_BITS_MIN: Final = 2048
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_KEYS: Final = (
    f"TLS of q's takes RSA keys of {_RSA_BITS_MIN} bits or more, and keys on the curves P-256,"
    " P-384 and P-521; make one of these, and its certificate"
)

#: What cryptography raises besides ValueError about what is no proper certificate.
_MALFORMED: Final = (
    ValueError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


class Pair(NamedTuple):
    """A certificate that q shows, with its key, which fits."""

    cert: x509.Certificate
    key: PrivateKeyTypes


def load_pair(cert: Path, key: Path, *, options: tuple[str, str], now: datetime) -> Pair:
    """Read a certificate and its key, and check that they can be used.

    Args:
        cert: the file of the certificate, followed by those between it and its CA.
        key: the file of its key.
        options: what the two files are called by who gave them.
        now: the moment at which it has to be valid.

    Raises:
        ConfigError: they cannot; the message names the file, and says what to do.
    """
    where = f"{options[0]} {cert}"
    leaf = certificate(cert, options[0])
    _check_time(leaf, where, now)
    private = _key(key, options[1])
    _check_shown(leaf, where)
    if private.public_key() != leaf.public_key():
        raise ConfigError(
            f"{options[1]} {key} is not the key of the certificate in {where}, which is that of"
            f" {subject(leaf)}; give the two that belong together"
        )
    return Pair(leaf, private)


def load_ca(path: Path, *, option: str, now: datetime) -> list[x509.Certificate]:
    """Read certificates with which others are signed.

    Args:
        path: the file, with one or several.
        option: what the file is called by who gave it.
        now: the moment at which one of them has to be valid.

    Raises:
        ConfigError: none can be used; the message names the file, and says what to do.
    """
    found = _certificates(path, option)
    if not any(_is_ca(each) for each in found):
        raise ConfigError(
            f"{option} {path} holds no certificate of a CA, but that of {subject(found[0])};"
            " give the one that the certificates were signed with"
        )
    valid = [each for each in found if each.not_valid_before_utc <= now < each.not_valid_after_utc]
    if not valid:
        _check_time(found[0], f"{option} {path}", now)
    return valid


def certificate(path: Path, option: str) -> x509.Certificate:
    """Read the first certificate of a file.

    Raises:
        ConfigError: there is none.
    """
    return _certificates(path, option)[0]


def hosts(cert: x509.Certificate) -> list[str]:
    """Return the host names, and the addresses as text, that a certificate is for."""
    try:
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *_MALFORMED):
        return []
    dns = names.get_values_for_type(x509.DNSName)
    return [*dns, *map(str, names.get_values_for_type(x509.IPAddress))]


def subject(cert: x509.Certificate) -> str:
    """Return whose certificate it is, as Envoy shows it to applications; for people as well."""
    return cert.subject.rfc4514_string() or "nobody"


class Watch:
    """Looks at the files of a running q, and has Envoy read them again when they have changed."""

    def __init__(self, tls: Tls, *, clock: Callable[[], datetime]) -> None:
        """Make one that does nothing yet.

        Args:
            tls: the files. They are fit to be used at this moment.
            clock: tells the time.
        """
        self._tls = tls
        self._clock = clock
        self._is_closed = threading.Event()
        self._seen = self._look()
        self._refused = ""
        self._warned: dict[str, datetime] = {}
        #: When each certificate expires, by what it is for.
        self._expiries: Mapping[str, datetime] = load(tls, now=clock())

    @property
    def expiries(self) -> Mapping[str, datetime]:
        """When the certificates in use expire, by their purposes."""
        return self._expiries

    def start(self) -> None:
        """Begin to look, in a thread of its own."""
        threading.Thread(target=self._run, name="certificates", daemon=True).start()

    def close(self) -> None:
        """Look no more."""
        self._is_closed.set()

    def look(self) -> None:
        """Take what the files hold now, if it has changed and can be used."""
        found = self._look()
        now = self._clock()
        if found != self._seen:
            self._take(found, now)
        for what, expires in self._expiries.items():
            self._warn(what, expires, now)

    def _run(self) -> None:
        while True:
            self.look()
            if self._is_closed.wait(_LOOK_AGAIN_S):
                return

    def _take(self, found: list[object], now: datetime) -> None:
        try:
            expiries = load(self._tls, now=now)
        except ConfigError as error:
            # Of two files that are replaced one after the other, this may be the moment between.
            if error.message == self._refused:
                self._seen = found
                _log.error(
                    "new certificates are not used, and the former ones stay",
                    extra={"error": error.message},
                )
            self._refused = error.message
            return
        try:
            self._tls.secrets.read_again()
        except OSError as error:
            # Such as on a disk without room: it may go well at the next look.
            if str(error) != self._refused:
                _log.error("cannot have certificates read again", extra={"error": str(error)})
            self._refused = str(error)
            return
        self._seen = found
        self._expiries = expiries
        self._refused = ""
        self._warned.clear()
        until = {what: moment.isoformat() for what, moment in self._expiries.items()}
        _log.info("certificates were read again", extra={"expires": until})

    def _warn(self, what: str, expires: datetime, now: datetime) -> None:
        last = self._warned.get(what)
        if expires - now > _WARN_BEFORE or (last and now - last < _WARN_EVERY):
            return
        self._warned[what] = now
        _log.warning(
            "a certificate expires soon: put a new one in its file",
            extra={"certificate": what, "expires": expires.isoformat()},
        )

    def _look(self) -> list[object]:
        """Return what changes whenever a file does, whether it is written or replaced."""
        pairs = [path for _, *paths in _pairs(self._tls) for path in paths]
        return [_state(path) for path in (*pairs, *(path for _, path in _cas(self._tls)))]


def load(tls: Tls, *, now: datetime) -> dict[str, datetime]:
    """Check all files, and return when each certificate expires, by its purpose.

    Raises:
        ConfigError: something in them cannot be used.
    """
    options = {**_OPTIONS, **tls.options}
    expiries = {}
    for what, cert, key in _pairs(tls):
        names = (options[what], options[f"{what}_key"])
        pair = load_pair(cert, key, options=names, now=now)
        if what == "server" and not _names_somebody(pair.cert):
            raise ConfigError(
                f"the certificate in {names[0]} {cert} names nobody; make one for the names of"
                " this machine"
            )
        expiries[what] = pair.cert.not_valid_after_utc
    for what, path in _cas(tls):
        valid = load_ca(path, option=options[what], now=now)
        expiries[what] = max(each.not_valid_after_utc for each in valid)
    return expiries


def _pairs(tls: Tls) -> list[tuple[str, Path, Path]]:
    found = []
    if tls.server:
        found.append(("server", tls.server.cert, tls.server.key))
    if tls.client and tls.client.cert and tls.client.key:
        found.append(("client", tls.client.cert, tls.client.key))
    return found


def _cas(tls: Tls) -> list[tuple[str, Path]]:
    found = {
        "client_ca": tls.server and tls.server.client_ca,
        "server_ca": tls.client and tls.client.ca,
    }
    return [(what, path) for what, path in found.items() if path]


def _state(path: Path) -> object:
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{option} {path}: {error.strerror}; the user that runs q must be able to read it"
        ) from error


def _certificates(path: Path, option: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path, option))
    except _MALFORMED as error:
        raise ConfigError(
            f"{option} {path} holds no certificate in PEM, which begins with"
            " -----BEGIN CERTIFICATE-----"
        ) from error


def _key(path: Path, option: str) -> PrivateKeyTypes:
    data = _read(path, option)
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError as error:
        raise ConfigError(
            f"{option} {path} is protected by a passphrase, which q does not ask for; write it"
            f" without one: openssl pkey -in {path} -out FILE"
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"{option} {path} holds no private key in PEM, which begins with"
            " -----BEGIN PRIVATE KEY-----"
        ) from error
    except UnsupportedAlgorithm as error:
        raise ConfigError(f"{option} {path}: {_KEYS}") from error
    is_rsa = isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _RSA_BITS_MIN
    is_ec = isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, _CURVES)
    if not (is_rsa or is_ec):
        raise ConfigError(f"{option} {path}: {_KEYS}")
    return key


def _is_ca(cert: x509.Certificate) -> bool:
    try:
        return cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, *_MALFORMED):
        return False


def _check_shown(cert: x509.Certificate, where: str) -> None:
    """Refuse a certificate that Envoy would not show, so that nobody could connect."""
    try:
        own = cert.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{where}: {_KEYS}") from error
    # A curve that is described rather than named, or a key for RSASSA-PSS alone, is written
    # otherwise.
    if own not in cert.tbs_certificate_bytes:
        raise ConfigError(f"{where}: {_KEYS}; the curve by its name, an RSA key for all purposes")


def _names_somebody(cert: x509.Certificate) -> bool:
    try:
        names: object = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        names = cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except _MALFORMED:
        # Envoy reads less of a certificate, and may find nothing wrong with it.
        return True
    return bool(names)


def _check_time(cert: x509.Certificate, where: str, now: datetime) -> None:
    if now >= cert.not_valid_after_utc:
        raise ConfigError(
            f"the certificate in {where} has expired on {cert.not_valid_after_utc.isoformat()};"
            " put a new one in its place"
        )
    if now < cert.not_valid_before_utc:
        raise ConfigError(
            f"the certificate in {where} holds only from {cert.not_valid_before_utc.isoformat()}"
            " on; does this machine's clock tell the right time?"
        )


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)
