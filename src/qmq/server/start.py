"""Starts q: everything that can be found wrong is found here, before Envoy runs."""

from dataclasses import replace
from typing import NoReturn

from qmq.observe.traces import check_installed
from qmq.server import exposure
from qmq.server.config import Config
from qmq.server.forwarding import Forwarding
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
from qmq.server.tls import Tls, check_name
from qmq.store.local.directory import check_data_directory
from qmq.transport.envoy.bootstrap import Process, server_bootstrap
from qmq.transport.envoy.jwt import Issuer


def start(config: Config, origin: Origin) -> NoReturn:
    """Check what q needs, and turn this process into the server.

    Raises:
        ConfigError: an address cannot be listened on, something is not installed, or a certificate
            or the access file cannot be used.
        DataDirectoryError: the data directory cannot be used.
    """
    open_standard_streams()
    listen, metrics = (
        claim(exposure.narrowed(address, is_open=config.is_open), option)
        for address, option in ((config.listen, "--listen"), (config.metrics, "--metrics"))
    )
    if config.traces_to:
        check_installed()
    issuers = _checked_access(config)
    if config.data:
        check_data_directory(config.data)
    check_name(config)
    runtime = make_runtime_directory()
    tls = Tls.of(config, runtime)
    with telling_of_no_room():
        tls.begin()
    process = Process(
        pyvoy_module=pyvoy_module(),
        admin_socket=str(admin_socket(runtime)),
        connections_max=connections_max(config.connections_max),
        message_bytes_max=config.message_bytes_max,
        heap_bytes_max=config.heap_max,
        transfer_timeout_s=config.transfer_timeout,
        logs_requests=config.request_log != "none",
        debug=config.debug,
        makes_request_ids=config.debug or config.request_log != "none",
    )
    forwarding = (
        Forwarding.begin(runtime, config.advertised.host, process, listen)
        if config.postgres
        else None
    )
    bootstrap = server_bootstrap(
        process,
        listen=listen,
        metrics=metrics,
        app="qmq.server.app:api",
        ops_app="qmq.server.app:ops",
        cluster=forwarding.files if forwarding else None,
        tls=tls.server,
        leader_tls=tls.client,
        issuers=issuers,
    )
    # With the ports that were chosen where the configuration left that open.
    claimed = replace(
        config,
        listen=replace(config.listen, port=listen.port),
        metrics=replace(config.metrics, port=metrics.port),
    )
    environment = {CONFIG_VARIABLE: claimed.to_json(), ORIGIN_VARIABLE: origin.to_json()}
    become_envoy(bootstrap, runtime, environment)


def _checked_access(config: Config) -> list[Issuer]:
    """Check the access file, if there is one, and return the issuers of JWTs."""
    if config.access is None:
        return []
    # Imported late: a q that asks nobody needs none of it.
    from qmq.server.access import audit_of  # noqa: PLC0415
    from qmq.server.access_file import issuers_of, read_policy  # noqa: PLC0415

    policy = read_policy(config.access, in_cluster=bool(config.postgres))
    audit_of(config.audit_log)
    return issuers_of(policy, config.access)
