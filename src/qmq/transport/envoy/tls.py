"""TLS of Envoy's: what it shows to clients, what it asks of them, and how it speaks to a server.

Certificates are named by their files. Envoy reads them when it starts, and again each time
something is renamed in a directory that q keeps for that. So q decides when the files are fit to be
used, however they were replaced.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from qmq.transport.envoy.replies import JsonObject
from qmq.transport.envoy.watched import source, write

_PACKAGE: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."

_SERVER: Final = "server"
_CLIENT_CA: Final = "client_ca"
_CLIENT: Final = "client"
_SERVER_CA: Final = "server_ca"

#: What TLS 1.2 may be spoken with: forward secrecy, and ciphers that authenticate. Those of TLS 1.3
#: are all so.
_CIPHERS: Final = (
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]",
    "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)

_VERSIONS: Final = {
    "tls_minimum_protocol_version": "TLSv1_2",
    "tls_maximum_protocol_version": "TLSv1_3",
    "cipher_suites": list(_CIPHERS),
}


@dataclass(frozen=True, slots=True)
class Secrets:
    """Where q keeps, for Envoy, which files there are and that they have changed."""

    directory: Path

    def begin(self) -> None:
        """Make the directory, before Envoy runs."""
        self._watched.mkdir(mode=0o700, parents=True)

    def read_again(self) -> None:
        """Have Envoy read all files again. Connections that there are go on."""
        new = self._watched / "new"
        new.touch()
        new.rename(self._watched / "changed")

    def put_pair(self, name: str, cert: Path, key: Path) -> None:
        """Tell of a certificate and its key, before Envoy runs."""
        pair: JsonObject = {"certificate_chain": _file(cert), "private_key": _file(key)}
        self._put(name, "tls_certificate", pair)

    def put_ca(self, name: str, ca: Path) -> None:
        """Tell of certificates with which others are signed, before Envoy runs."""
        self._put(name, "validation_context", {"trusted_ca": _file(ca)})

    def get(self, name: str) -> JsonObject:
        """Build what names one of them in the configuration."""
        return {"name": name, "sds_config": source(self._path(name))}

    def _put(self, name: str, kind: str, content: JsonObject) -> None:
        again = {"watched_directory": {"path": str(self._watched)}}
        secret: JsonObject = {
            "@type": f"{_PACKAGE}Secret",
            "name": name,
            kind: {**content, **again},
        }
        write(self._path(name), secret)

    @property
    def _watched(self) -> Path:
        return self.directory / "watched"

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """What a port shows to its clients, and asks of them. All files are PEM."""

    cert: Path
    key: Path
    #: With which certificates those of clients are signed; None: clients are asked for none.
    client_ca: Path | None = None
    #: Whether a client without a certificate is refused.
    requires_client_cert: bool = True
    secrets: Secrets

    def begin(self) -> None:
        """Tell of the files, before Envoy runs."""
        self.secrets.put_pair(_SERVER, self.cert, self.key)
        if self.client_ca:
            self.secrets.put_ca(_CLIENT_CA, self.client_ca)

    def transport_socket(self) -> JsonObject:
        """Build the transport socket of a listener."""
        context: JsonObject = {
            "tls_params": _VERSIONS,
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificate_sds_secret_configs": [self.secrets.get(_SERVER)],
        }
        if self.client_ca:
            context["validation_context_sds_secret_config"] = self.secrets.get(_CLIENT_CA)
        return _socket(
            "DownstreamTlsContext",
            context,
            require_client_certificate=bool(self.client_ca) and self.requires_client_cert,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """How Envoy speaks TLS to a server. All files are PEM."""

    #: With which certificates that of the server is signed.
    ca: Path
    #: What is shown to a server that asks, both or neither.
    cert: Path | None = None
    key: Path | None = None
    #: None: the files are read once. They are not those of a certificate to show.
    secrets: Secrets | None = None

    def begin(self) -> None:
        """Tell of the files, before Envoy runs."""
        assert self.secrets
        self.secrets.put_ca(_SERVER_CA, self.ca)
        if self.cert and self.key:
            self.secrets.put_pair(_CLIENT, self.cert, self.key)

    def transport_socket(self, *, host: str = "", alpn: Sequence[str] = ()) -> JsonObject:
        """Build the transport socket of a cluster of servers.

        Args:
            host: the name or the address that a server's certificate is for; empty: the name of
                each server itself.
            alpn: the protocols that are offered.
        """
        context: JsonObject = {"tls_params": _VERSIONS}
        if alpn:
            context["alpn_protocols"] = list(alpn)
        names = {"match_typed_subject_alt_names": [_named(host)]} if host else {}
        if self.secrets:
            # The names are put together with what is in the secret.
            context["combined_validation_context"] = {
                "default_validation_context": names,
                "validation_context_sds_secret_config": self.secrets.get(_SERVER_CA),
            }
        else:
            context["validation_context"] = {"trusted_ca": _file(self.ca), **names}
        if self.cert and self.secrets:
            context["tls_certificate_sds_secret_configs"] = [self.secrets.get(_CLIENT)]
        if host:
            return _socket("UpstreamTlsContext", context, sni=host)
        by_name = {"auto_host_sni": True, "auto_sni_san_validation": True}
        return _socket("UpstreamTlsContext", context, **by_name)


def _socket(kind: str, context: JsonObject, **fields: object) -> JsonObject:
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": _PACKAGE + kind, "common_tls_context": context, **fields},
    }


def _named(host: str) -> JsonObject:
    """Build what a server's certificate has to have: a host name, or an address."""
    try:
        ip_address(host)
    except ValueError:
        kind = "DNS"
    else:
        kind = "IP_ADDRESS"
    return {"san_type": kind, "matcher": {"exact": host}}


def _file(path: Path) -> JsonObject:
    return {"filename": str(path)}
