"""Starts qrest: what it can be told, and how it becomes Envoy."""

import json
import re
from dataclasses import asdict, dataclass
from typing import Final, NoReturn, Self

from qmq.limits import CONNECTIONS_MAX
from qmq.server.address import Address
from qmq.server.launch import (
    admin_socket,
    become_envoy,
    claim,
    connections_max,
    make_runtime_directory,
    pyvoy_module,
)
from qmq.transport.envoy import Endpoint, Process, gateway_bootstrap

#: The environment variable that carries the timeouts to the application, as JSON.
SETTINGS_VARIABLE: Final = "QREST_SETTINGS_JSON"

_UNITS_S: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_TERM: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s)")


def parse_duration(text: str) -> float:
    """Read a duration such as 1m, 2m30s or 1.5s, and return it in seconds.

    Raises:
        ValueError: the text is none.
    """
    if not re.fullmatch(f"(?:{_TERM.pattern})+", text):
        raise ValueError(f"{text!r} is no duration; write it like 90s, 2m30s or 1h")
    return sum(float(number) * _UNITS_S[unit] for number, unit in _TERM.findall(text))


def parse_server(text: str) -> Address:
    """Read the address of a q; one without a host is on this machine.

    Raises:
        ValueError: the text is none.
    """
    address = Address.parse(text)
    if address.port == 0:
        raise ValueError(f"{text!r}: 0 is no port to connect to")
    return Address(address.host or "127.0.0.1", address.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the application of the gateway needs to know."""

    debug: bool
    #: How long a shutdown waits for requests before it cuts connections.
    close_after_s: float
    #: How long a shutdown may take at all.
    kill_after_s: float

    def to_json(self) -> str:
        """Write the settings as a JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))


def start_gateway(
    *, listen: Address, server: Address, message_bytes_max: int, settings: Settings
) -> NoReturn:
    """Turn this process into a gateway to `server`.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    endpoint = claim(listen)
    runtime = make_runtime_directory()
    bootstrap = gateway_bootstrap(
        Process(
            pyvoy_module=pyvoy_module(),
            admin_socket=str(admin_socket(runtime)),
            connections_max=connections_max(CONNECTIONS_MAX),
            message_bytes_max=message_bytes_max,
        ),
        listen=endpoint,
        server=Endpoint(server.host, server.port),
        app="qmq.server.gateway_app:app",
        debug=settings.debug,
    )
    environment = {
        SETTINGS_VARIABLE: settings.to_json(),
        "QREST_LISTEN": str(endpoint),
        "QREST_SERVER": str(server),
    }
    become_envoy(bootstrap, runtime, environment)
