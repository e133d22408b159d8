"""What qrest can be told when it starts: a table as that of q, see `config`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from qmq import limits
from qmq.server import exposure
from qmq.server.address import Address
from qmq.server.option_kinds import ADDRESS, BOOLEAN, FILE, NONE, Kind, whole_number
from qmq.server.option_table import Table, option

#: The option that makes qrest ask callers who they are.
REMEDY: Final = "--tls-client-ca FILE"

_UNITS_S: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_HTTPS: Final = "https://"
_HTTP: Final = "http://"
_TERM: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s)")


def parse_duration(text: str) -> float:
    """Read a duration such as 1m, 2m30s or 1.5s, and return it in seconds.

    Raises:
        ValueError: the text is none.
    """
    if not re.fullmatch(f"(?:{_TERM.pattern})+", text):
        raise ValueError(f"{text!r} is no duration; write it like 90s, 2m30s or 1h")
    return sum(float(number) * _UNITS_S[unit] for number, unit in _TERM.findall(text))


class Server(NamedTuple):
    """Where a q is, and whether it is asked by TLS."""

    address: Address
    is_tls: bool = False

    def __str__(self) -> str:
        return f"{_HTTPS}{self.address}" if self.is_tls else str(self.address)


def parse_server(text: str) -> Server:
    """Read the address of a q; one without a host is on this machine, https:// asks for TLS.

    Raises:
        ValueError: the text is none.
    """
    address = Address.parse(text.removeprefix(_HTTPS).removeprefix(_HTTP))
    if address.port == 0:
        raise ValueError(f"{text!r}: 0 is no port to connect to")
    return Server(Address(address.host or "127.0.0.1", address.port), text.startswith(_HTTPS))


_DURATION: Final = Kind(
    placeholder="DURATION",
    parse=parse_duration,
    # No exponent, which the reader would not take.
    format=lambda value: f"{Decimal(repr(float(value))):f}s",
)
_SERVER: Final = Kind(placeholder=f"[{_HTTPS}][HOST]:PORT", parse=parse_server)

_option = partial(option, prefix="QREST")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig(Table):
    """Everything qrest is told when it starts."""

    server: Server = _option(
        "server",
        kind=_SERVER,
        default_text="",
        example=":10002",
        help="Where q is, which is reached by gRPC, and by TLS with https://. Without a host: on"
        " this machine.",
    )
    listen: Address = _option(
        "--listen",
        kind=ADDRESS,
        default_text=":80",
        help="Where to serve REST. Without a host: on all interfaces if callers are asked who they"
        " are or with --insecure, otherwise on loopback.",
    )
    insecure: bool = _option(
        "--insecure",
        kind=BOOLEAN,
        default_text="false",
        help="Serve everyone who reaches qrest: it asks nobody who they are, though q may. Without"
        " this it listens on loopback only, unless it asks for certificates.",
    )
    #: None: REST is served without TLS. So with the key.
    tls_cert: Path | None = _option(
        "--tls-cert",
        kind=FILE,
        default_text=NONE,
        help="The certificate that qrest shows, as q does: with it, REST is served by TLS alone.",
    )
    tls_key: Path | None = _option(
        "--tls-key",
        kind=FILE,
        default_text=NONE,
        help="The key of that certificate, without a passphrase.",
    )
    #: None: callers are asked for no certificates.
    tls_client_ca: Path | None = _option(
        "--tls-client-ca",
        kind=FILE,
        default_text=NONE,
        help="The CAs of the certificates that callers have to show.",
    )
    #: None: those of the machine.
    ca: Path | None = _option(
        "--ca",
        kind=FILE,
        default_text=NONE,
        help="The CAs to know a server at https:// by. The word none: those that this machine"
        " trusts.",
    )
    #: None: no certificate is shown to the server. So with the key.
    cert: Path | None = _option(
        "--cert",
        kind=FILE,
        default_text=NONE,
        help="The certificate to show to that server. For it, that is who calls, whoever calls"
        " qrest.",
    )
    key: Path | None = _option(
        "--key",
        kind=FILE,
        default_text=NONE,
        help="The key of that certificate.",
    )
    debug: bool = _option(
        "-d",
        "--debug",
        kind=BOOLEAN,
        default_text="false",
        help="Write logs for people instead of JSON.",
    )
    #: Seconds.
    close_after: float = _option(
        "--close-after",
        kind=_DURATION,
        default_text="1m",
        is_reloadable=True,
        help="How long a shutdown waits for requests before it closes connections.",
    )
    #: Seconds.
    kill_after: float = _option(
        "--kill-after",
        kind=_DURATION,
        default_text="2m",
        is_reloadable=True,
        help="How long a shutdown may take at all.",
    )
    message_bytes_max: int = _option(
        "--message-bytes-max",
        kind=whole_number(1, limits.JOURNAL_PENDING_BYTES_MAX),
        default_text=str(limits.MESSAGE_BYTES_MAX),
        unit="bytes",
        help="The largest message to pass on; that of the server, if that was changed.",
    )

    def contradictions(self) -> Iterator[str]:
        """Yield how valid options contradict each other, as sentences that name them."""
        yield from exposure.faults("--listen", self.listen, is_open=self.is_open, remedy=REMEDY)
        if bool(self.tls_cert) != bool(self.tls_key):
            yield "--tls-cert and --tls-key go together: give both, or neither"
        if bool(self.cert) != bool(self.key):
            yield "--cert and --key go together: give both, or neither"
        if self.tls_client_ca and not self.tls_cert:
            yield "--tls-client-ca needs TLS: give --tls-cert and --tls-key as well"
        for name, path in (("--ca", self.ca), ("--cert", self.cert)):
            if path and not self.server.is_tls:
                yield f"{name} is for a server that is asked by TLS: {_HTTPS}{self.server}"

    @property
    def is_open(self) -> bool:
        """Whether other machines are let in: callers are asked who they are, or nobody minds."""
        return self.insecure or self.tls_client_ca is not None
