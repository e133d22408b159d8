"""Starts qrest: how it becomes Envoy."""

from dataclasses import replace
from typing import NoReturn

from qmq.limits import CONNECTIONS_MAX
from qmq.server import exposure
from qmq.server.gateway_config import GatewayConfig
from qmq.server.launch import (
    CONFIG_VARIABLE,
    admin_socket,
    become_envoy,
    claim,
    connections_max,
    make_runtime_directory,
    open_standard_streams,
    pyvoy_module,
    telling_of_no_room,
)
from qmq.server.reloading import ORIGIN_VARIABLE, Origin
from qmq.server.tls import Tls
from qmq.transport.envoy import Endpoint, Process, gateway_bootstrap


def start_gateway(config: GatewayConfig, origin: Origin) -> NoReturn:
    """Turn this process into a gateway.

    Raises:
        ConfigError: the address cannot be listened on, or a certificate not be used.
    """
    open_standard_streams()
    listen = claim(exposure.narrowed(config.listen, is_open=config.is_open), "--listen")
    runtime = make_runtime_directory()
    tls = Tls.of_gateway(config, runtime)
    with telling_of_no_room():
        tls.begin()
    bootstrap = gateway_bootstrap(
        Process(
            pyvoy_module=pyvoy_module(),
            admin_socket=str(admin_socket(runtime)),
            connections_max=connections_max(CONNECTIONS_MAX),
            message_bytes_max=config.message_bytes_max,
            debug=config.debug,
        ),
        listen=listen,
        server=Endpoint(config.server.address.host, config.server.address.port),
        app="qmq.server.gateway_app:app",
        tls=tls.server,
        server_tls=tls.client,
    )
    # With the port that was chosen where the configuration left that open.
    claimed = replace(config, listen=replace(config.listen, port=listen.port))
    environment = {CONFIG_VARIABLE: claimed.to_json(), ORIGIN_VARIABLE: origin.to_json()}
    become_envoy(bootstrap, runtime, environment)
