"""The program `qrest`: a REST gateway to a message-queue server."""

import click

from qmq.bin.failing import failing
from qmq.server.gateway_config import GatewayConfig
from qmq.server.options import KnowingOthers, Told, options_of


@click.command(cls=KnowingOthers, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="qmq", prog_name="qrest")
@options_of(GatewayConfig)
def program(told: Told[GatewayConfig]) -> None:
    """Serve the REST API of the q at SERVER, which is reached by gRPC.

    SERVER is HOST:PORT, or :PORT on this machine; QREST_SERVER stands for it.
    """
    config = told.config()
    # Imported late: help and usage errors need none of it.
    from qmq.server.gateway import start_gateway  # noqa: PLC0415

    with failing(program="qrest"):
        start_gateway(config, told.origin)
