"""Where to listen, and where to connect."""

from typing import NamedTuple

from qmq.transport.envoy.replies import JsonObject


class Endpoint(NamedTuple):
    """A host and a port. One to listen on has a numeric host, and a port that is not 0."""

    host: str
    port: int
    #: More hosts on which the same port is listened on.
    more_hosts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def socket_address(endpoint: Endpoint) -> JsonObject:
    """Build an address; "::" takes IPv4 clients as well."""
    address: JsonObject = {"address": endpoint.host, "port_value": endpoint.port}
    if endpoint.host == "::":
        address["ipv4_compat"] = True
    return {"socket_address": address}
