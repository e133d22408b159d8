"""Who can reach q: this machine alone, unless callers show who they are, or with --insecure."""

import ipaddress
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from qmq.server.address import Address

#: The host whose addresses are those of loopback, of IPv4 and of IPv6.
LOOPBACK: Final = "localhost"

#: What the log says where an address without a host was taken for loopback.
ON_LOOPBACK: Final = (
    "listens on loopback only, since callers are not asked who they are: to let other machines in,"
    " give {remedy}, or --insecure to let everyone do everything"
)

#: What the log says where tokens are asked for, and could be read on their way.
PLAIN_TOKENS: Final = (
    "tokens come as plain text, which whoever is on the way can read: give --tls-cert and"
    " --tls-key, unless something in front of q speaks TLS"
)


def is_loopback(address: Address) -> bool:
    """Tell whether an address to listen on is on loopback, as far as it can be told by itself.

    No name is looked up: but for localhost, it may stand for another address tomorrow.
    """
    if address.host.lower() == LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return False


def faults(option: str, address: Address, *, is_open: bool, remedy: str) -> Iterator[str]:
    """Yield why q must not listen where others than this machine could do everything, if it would.

    Args:
        option: which one says so.
        address: its value. One without a host is taken for loopback, see `narrowed`.
        is_open: whether callers are asked who they are, or nobody minds.
        remedy: the options that ask callers who they are.
    """
    if address.host and not is_open and not is_loopback(address):
        yield (
            f"{option} {address} would let everyone who reaches it do everything: give {remedy} to"
            " ask callers who they are, --insecure if that is as it should be, or the address"
            f" {Address(LOOPBACK, address.port)}"
        )


def narrowed(address: Address, *, is_open: bool) -> Address:
    """Return where to listen: without a host on loopback, or everywhere if q is open."""
    return address if address.host or is_open else replace(address, host=LOOPBACK)
