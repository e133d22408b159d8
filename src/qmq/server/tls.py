"""The TLS of a process: from options to the configuration of Envoy, with a check of the files."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self

from qmq.errors import ConfigError
from qmq.observe.certificates import Expiries
from qmq.server.address import Address
from qmq.server.config import Config
from qmq.server.gateway_config import GatewayConfig
from qmq.transport.envoy.tls import ClientTls, Secrets, ServerTls

#: In a runtime directory, what Envoy watches.
_DIRECTORY: Final = "tls"

#: Where distributions keep the CAs that all programs trust.
_SYSTEM_CAS: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What a process speaks TLS with. Nothing of it was read or checked yet."""

    secrets: Secrets
    #: Of its ports; None: they speak none.
    server: ServerTls | None = None
    #: Of what it connects to; None: it does so without.
    client: ClientTls | None = None
    #: What the files are called by who gave them.
    options: Mapping[str, str]

    def begin(self) -> None:
        """Check the files, and make what Envoy reads, before it runs.

        Raises:
            ConfigError: a file cannot be used; the message says what to do.
        """
        if not (self.server or self.client):
            return
        # Imported late: it takes memory and time, and without TLS nobody needs it.
        from qmq.server import certificates  # noqa: PLC0415

        certificates.load(self, now=certificates.utc_now())
        self.secrets.begin()
        for each in (self.server, self.client):
            if each:
                each.begin()

    def watch(self) -> Expiries:
        """Follow the files from now on, and return what tells when the certificates expire."""
        if not (self.server or self.client):
            return dict
        from qmq.server import certificates  # noqa: PLC0415

        watch = certificates.Watch(self, clock=certificates.utc_now)
        watch.start()
        return lambda: watch.expiries

    @classmethod
    def of(cls, config: Config, runtime: Path) -> Self:
        """Return that of a q."""
        secrets = Secrets(runtime / _DIRECTORY)
        server = _server_tls(config, secrets, is_required=config.tls_client_cert == "required")
        client = None
        if config.tls_peer_ca:
            client = ClientTls(ca=config.tls_peer_ca.absolute(), secrets=secrets)
        options = {"server_ca": "--tls-peer-ca"}
        return cls(secrets=secrets, server=server, client=client, options=options)

    @classmethod
    def of_gateway(cls, config: GatewayConfig, runtime: Path) -> Self:
        """Return that of a qrest.

        Raises:
            ConfigError: there is nothing to know its server by.
        """
        secrets = Secrets(runtime / _DIRECTORY)
        server = _server_tls(config, secrets, is_required=True)
        client = None
        if config.server.is_tls:
            client = ClientTls(
                ca=config.ca.absolute() if config.ca else system_ca("--ca"),
                cert=config.cert and config.cert.absolute(),
                key=config.key and config.key.absolute(),
                secrets=secrets,
            )
        options = {"server_ca": "--ca", "client": "--cert", "client_key": "--key"}
        return cls(secrets=secrets, server=server, client=client, options=options)


def _server_tls(
    config: Config | GatewayConfig, secrets: Secrets, *, is_required: bool
) -> ServerTls | None:
    """Return what the ports of a process speak TLS with, if they do."""
    if not (config.tls_cert and config.tls_key):
        return None
    return ServerTls(
        cert=config.tls_cert.absolute(),
        key=config.tls_key.absolute(),
        client_ca=config.tls_client_ca and config.tls_client_ca.absolute(),
        requires_client_cert=is_required,
        secrets=secrets,
    )


def check_name(config: Config) -> None:
    """Check that the other q of a cluster will know this one by its certificate, if they ask.

    Raises:
        ConfigError: they will not; the message says what to do.
    """
    if not (config.tls_peer_ca and config.tls_cert):
        return
    from qmq.server import certificates  # noqa: PLC0415 - As above.

    advertised: Address = config.advertised
    host = advertised.host
    if _is_numeric(host):
        raise ConfigError(
            f"--advertise {advertised}: with TLS the other q know this one by a name that its"
            " certificate is for, not by an address; give --advertise NAME:PORT"
        )
    names = certificates.hosts(certificates.certificate(config.tls_cert, "--tls-cert"))
    if not any(_fits(host, name) for name in names):
        raise ConfigError(
            f"the certificate in --tls-cert {config.tls_cert} is for"
            f" {', '.join(names) or 'no name'} and not for {host}, by which the other q of the"
            " cluster reach this one; give another certificate, or --advertise with a name that it"
            " is for"
        )


def system_ca(option: str) -> Path:
    """Return the file with the CAs that this machine trusts.

    Raises:
        ConfigError: there is none.
    """
    import ssl  # noqa: PLC0415 - As above.

    candidates = (ssl.get_default_verify_paths().cafile, *_SYSTEM_CAS)
    for path in filter(None, candidates):
        if Path(path).is_file():
            return Path(path)
    raise ConfigError(
        "this machine has no certificates of CAs to know servers by; install ca-certificates,"
        f" or give {option} FILE"
    )


def _fits(host: str, name: str) -> bool:
    """Tell whether a name in a certificate, of which the first part may be *, is that of a host."""
    host, name = host.lower(), name.lower()
    return name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:])


def _is_numeric(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
