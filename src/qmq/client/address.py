"""Where a server is, as people write it."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Final

from qmq.client.errors import AddressError

_PORT_MAX: Final = 65_535
_ADDRESS: Final = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]]*)):(?P<port>[0-9]{1,5})"
)

_SEVERAL: Final = (
    "several addresses of servers are all numeric and of IPv4, or all of IPv6, such as"
    " 10.0.0.1:10002,10.0.0.2:10002; one name may stand for several addresses as well"
)

_SCHEME: Final = re.compile(r"(?:(?P<scheme>https?)://)?(?P<rest>.*)", re.DOTALL)

#: How this machine is called where an address names it by itself.
_THIS_MACHINE: Final = re.compile(r"localhost|127(?:\.[0-9]{1,3}){3}|\[::1\]", re.IGNORECASE)


def split_scheme(text: str | Sequence[str]) -> tuple[list[str], bool | None]:
    """Take `https://` or `http://` off addresses, and return whether they ask for TLS, if they say.

    Raises:
        AddressError: some of them do, and others do not.
        TypeError: they are no texts.
    """
    _check_texts(text)
    texts = text.split(",") if isinstance(text, str) else text
    found = [_SCHEME.fullmatch(each.strip()) for each in texts]
    schemes = {match["scheme"] for match in found if match}
    if len(schemes) > 1:
        raise AddressError("all addresses begin with https://, or none does")
    scheme = schemes.pop() if schemes else None
    rest = [match["rest"].removesuffix("/") if match else "" for match in found]
    return rest, None if scheme is None else scheme == "https"


def _check_texts(address: object) -> None:
    texts = address if isinstance(address, Sequence) else [address]
    if not all(isinstance(each, str) for each in texts):
        raise TypeError(f"the address of a server is a str, or several of them; got {address!r}")


def parse_address(text: str | Sequence[str]) -> str:
    """Return `text` as HOST:PORT, where `:10002` means this machine.

    An IPv6 host stands in brackets: `[::1]:10002`. Several, of which any will do, are divided by
    commas, or a sequence; they are numeric, and all of IPv4 or all of IPv6. Raises AddressError.
    """
    texts = text.split(",") if isinstance(text, str) else list(text)
    if len(texts) == 1:
        return _parse_one(texts[0])
    addresses = [_numeric(_parse_one(each.strip())) for each in texts]
    if not addresses or len({each.startswith("[") for each in addresses}) > 1:
        raise AddressError(_SEVERAL)
    return ",".join(addresses)


def _numeric(address: str) -> str:
    """Return one of several addresses, as numbers."""
    host, _, port = address.rpartition(":")
    if host == "localhost":
        return f"127.0.0.1:{port}"
    if not host.startswith("["):
        try:
            IPv4Address(host)
        except ValueError:
            raise AddressError(f"{host!r} is a name: {_SEVERAL}") from None
    return address


def _parse_one(text: str) -> str:
    match = _ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match["port"]) <= _PORT_MAX:
        message = (
            f"{text!r} is no address of a server: write HOST:PORT, "
            "for example localhost:10002 or [::1]:10002, or :10002 for this machine"
        )
        raise AddressError(message)
    host = f"[{match['ipv6']}]" if match["ipv6"] else match["host"] or "localhost"
    return f"{host}:{match['port']}"


def is_this_machine(address: str) -> bool:
    """Tell whether an address that `parse_address` returned is one of loopback, or all are."""
    hosts = [each.rpartition(":")[0] for each in address.split(",")]
    return all(map(_THIS_MACHINE.fullmatch, hosts))
