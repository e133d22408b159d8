"""Addresses that q listens on."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self

_PORT_MAX = 65_535
_PORT = re.compile("[0-9]{1,5}")
#: Hosts that stand for all interfaces.
_EVERY_HOST = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # nothing is bound here
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port.

    Written `host:port`; an IPv6 host stands in brackets, as in `[::1]:10002`.
    """

    #: An IP address or a host name; empty for all interfaces.
    host: str
    #: 0 lets the system choose a free port.
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address as a person writes it.

        Raises:
            ValueError: the text is none; the message quotes it and says what is wrong.
        """
        host, colon, port = text.rpartition(":")
        if not colon or port.endswith("]"):
            msg = f"{text!r} has no port; write host:port, or :port"
            raise ValueError(msg)
        if not port:
            raise ValueError(f"{text!r} has no port after the colon; write host:port")
        if not _PORT.fullmatch(port) or int(port) > _PORT_MAX:
            raise ValueError(f"{text!r}: the port {port!r} is not a number from 0 to {_PORT_MAX}")
        return cls(_parse_host(host, text), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_every_host(self) -> bool:
        """Whether it stands for all interfaces."""
        return self.host in _EVERY_HOST

    def overlaps(self, other: Self) -> bool:
        """Tell whether listening on both is bound to fail."""
        hosts = {self.host, other.host}
        return self.port == other.port != 0 and bool(len(hosts) == 1 or hosts & _EVERY_HOST)


def _parse_host(host: str, text: str) -> str:
    """Check the host part of an address, and take its brackets off."""
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise ValueError(f"{text!r}: {host!r} holds no IPv6 address") from None
    if ":" in host:
        raise ValueError(f"{text!r} is ambiguous; write an IPv6 host in brackets: [::1]:10002")
    if host and not _HOST_NAME.fullmatch(host):
        raise ValueError(f"{text!r}: {host!r} is neither an IP address nor a host name")
    return host
