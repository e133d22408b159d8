"""What the q processes of a cluster tell each other by headers; see `envoy.forwarding`."""

from collections.abc import Hashable
from typing import Final

from qmq.transport.asgi import Scope

#: The header of a call that another q has sent on; its value is the address of its client.
FORWARDED: Final = "q-forwarded"

#: The header of an answer that says that nothing was done, and another q may know more.
AGAIN: Final = "q-again"

#: The header of a call that says which protocol it came by to the q that has sent it on.
PROTOCOL: Final = "q-protocol"

#: That, of a call of a browser, if it came without TLS.
FORWARDED_PROTOCOL: Final = (PROTOCOL.encode(), b"HTTP/1.1")

_FORWARDED: Final = FORWARDED.encode()


def connection(scope: Scope) -> Hashable:
    """Return what tells the connection of a call from others: its client's host and port."""
    for name, value in scope["headers"]:
        if name == _FORWARDED:
            # All calls that one q sends on may share a connection.
            return bytes(value)
    client = scope.get("client")
    return tuple(client) if client else None
