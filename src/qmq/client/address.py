"""Where a server is, as people write it."""

import re
from typing import Final

from qmq.client.errors import AddressError

_PORT_MAX: Final = 65_535
_ADDRESS: Final = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]]*)):(?P<port>[0-9]{1,5})"
)

#: How this machine is called where an address names it by itself.
_THIS_MACHINE: Final = re.compile(r"localhost|127(?:\.[0-9]{1,3}){3}|\[::1\]", re.IGNORECASE)


def parse_address(text: str) -> str:
    """Return `text` as HOST:PORT, where `:10002` means this machine.

    An IPv6 host stands in brackets: `[::1]:10002`. Raises AddressError.
    """
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
    """Tell whether an address that `parse_address` returned is one of loopback."""
    host, _, _ = address.rpartition(":")
    return _THIS_MACHINE.fullmatch(host) is not None
